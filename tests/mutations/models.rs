//! A model's config, its weights as safetensors, and the index of several files of them.

use peartree::error::{Error, Result};
use peartree::model::layout::{LAYOUTS, parts};
use peartree::model::{Config, Model, ModelLoader, WeightDtype};
use peartree::protocol::{GenerateOptions, PredictOptions, Prompt, Request};
use peartree::session::AnySession;
use serde_json::{Value, json};

use crate::chance::Chance;
use crate::common::parts::halves;
use crate::common::{CONFIG, WEIGHTS, ask, greedy};
use crate::watch::{Watch, each};

/// Loads a model; says what came of it.
fn try_model(watch: &mut Watch, what: &str, (config, weights): (&[u8], &[u8]), dtype: WeightDtype) -> Result<()> {
    let bytes = config.len() + weights.len();
    let result = watch.tried(what, bytes, || use_model(Model::from_bytes(config, None, weights, dtype)?));
    let is_typed = matches!(result, Ok(()) | Err(Error::Config(_) | Error::Weights(_) | Error::BeyondF16 { .. }));
    assert!(is_typed, "{what}: {result:?}");
    result
}

/// Runs a model that could be loaded; what it is asked may be more than it has.
///
/// # Errors
/// Another than that.
pub fn use_model(model: Model) -> Result<()> {
    let session = AnySession::cpu("mutated".into(), model);
    let prompt = Prompt::Ids(vec![1, 2, 3]);
    for request in [
        Request::Predict(PredictOptions { prompt: prompt.clone(), top: 3, no_bos: true }),
        Request::Generate(GenerateOptions { no_bos: true, ..greedy(prompt, 2) }),
    ] {
        match ask(&session, request) {
            Ok(_) | Err(Error::UnknownId { .. } | Error::PromptTooLong { .. } | Error::NoNumbers) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn dtype(chance: &mut Chance) -> WeightDtype {
    if chance.once_in(2) { WeightDtype::F32 } else { WeightDtype::F16 }
}

#[test]
fn mutated_configs_end_in_an_error_or_work() {
    let json: Value = serde_json::from_slice(CONFIG).unwrap();
    each("config.json", |watch, chance, what| {
        let (config, dtype) = (chance.damage_json(&json), dtype(chance));
        let _ = try_model(watch, what, (&config, WEIGHTS), dtype);
    });
}

/// What a config asks for is compared with the file before anything is sized by it.
#[test]
fn sizes_that_a_file_does_not_have_take_no_memory() {
    let mut watch = Watch::new("sizes");
    let json: Value = serde_json::from_slice(CONFIG).unwrap();
    for (name, most) in [
        ("n_layer", 1 << 20),
        ("n_embd", 1 << 20),
        ("n_positions", 1 << 20),
        ("vocab_size", 1 << 20),
        ("n_inner", 1 << 20),
        ("n_head", 1),
    ] {
        for size in [most, 1 << 16, 1u64 << 40, u64::MAX] {
            let mut config = json.clone();
            config[name] = json!(size);
            if name == "n_head" && size == most {
                continue; // one head is one head
            }
            let result = try_model(&mut watch, name, (config.to_string().as_bytes(), WEIGHTS), WeightDtype::F32);
            assert!(result.is_err(), "{name} = {size} was accepted");
        }
    }
}

/// Where the header of [`WEIGHTS`] ends, and what it says.
fn header() -> (usize, Value) {
    let end = 8 + u64::from_le_bytes(*WEIGHTS.first_chunk().unwrap()) as usize;
    (end, serde_json::from_slice(&WEIGHTS[8..end]).unwrap())
}

fn with_header(header: &[u8]) -> Vec<u8> {
    let end = self::header().0;
    [&(header.len() as u64).to_le_bytes(), header, &WEIGHTS[end..]].concat()
}

/// A size or an offset at the ends of what 64 bits can say.
fn at_the_ends(chance: &mut Chance, header: &Value) -> Vec<u8> {
    let mut odd = header.clone();
    let name = odd.as_object().unwrap().keys().nth(chance.below(40)).cloned().unwrap();
    let ends = [u64::MAX, 1 << 63, 1 << 50, 1 << 32, 0, 3];
    let numbers = [*chance.pick(&ends), *chance.pick(&ends)];
    odd[&name][*chance.pick(&["shape", "data_offsets"])] = json!(numbers);
    odd.to_string().into_bytes()
}

#[test]
fn mutated_safetensors_end_in_an_error_or_work() {
    let (end, json) = header();
    each("safetensors", |watch, chance, what| {
        let file = match chance.below(4) {
            0 => with_header(chance.change(&json).to_string().as_bytes()),
            1 => with_header(&chance.damage(&WEIGHTS[8..end])),
            2 => with_header(&at_the_ends(chance, &json)),
            _ => chance.damage(WEIGHTS),
        };
        let dtype = dtype(chance);
        let _ = try_model(watch, what, (CONFIG, &file), dtype);
    });
}

#[test]
fn headers_of_one_tensor_of_everything_and_of_many_sides_are_refused() {
    let mut watch = Watch::new("wild headers");
    let entry = |dtype: &str, shape: &str, end: u64| {
        format!(r#"{{"x": {{"dtype": "{dtype}", "shape": [{shape}], "data_offsets": [0, {end}]}}}}"#)
    };
    let many = format!("{}0", "0,".repeat(1 << 22));
    for header in [entry("U8", &u64::MAX.to_string(), u64::MAX), entry("F32", &many, 0)] {
        let file = with_header(header.as_bytes());
        assert!(try_model(&mut watch, "a header", (CONFIG, &file), WeightDtype::F32).is_err());
    }
}

/// The index first, then the files that it names, as far as they are there.
fn load_parts(index: &[u8], files: &[(&str, Vec<u8>)]) -> Result<()> {
    let mut loader = ModelLoader::new(CONFIG, None, None, WeightDtype::F32)?;
    for name in parts(&LAYOUTS[1], index, loader.expected().config())? {
        let Some((_, bytes)) = files.iter().find(|(file, _)| *file == name) else { continue };
        loader.begin(&name, bytes.len() as u64, None, true)?;
        loader.push(bytes)?;
    }
    use_model(loader.finish()?.in_order()?)
}

#[test]
fn mutated_indexes_and_parts_end_in_an_error_or_work() {
    let config = Config::from_json(CONFIG).unwrap();
    let (files, index) = halves();
    load_parts(&index, &files).unwrap();
    let json: Value = serde_json::from_slice(&index).unwrap();
    each("indexes and parts", |watch, chance, what| {
        let (mut index, mut files) = (index.clone(), files.clone());
        match chance.below(6) {
            0 => {
                let at = chance.below(2);
                files[at].1 = chance.damage(&files[at].1);
            }
            1 => {
                let end = 8 + u64::from_le_bytes(*files[0].1.first_chunk().unwrap()) as usize;
                let head = chance.damage(&files[0].1[..end]);
                files[0].1.splice(..end, head);
            }
            _ => index = chance.damage_json(&json),
        }
        let bytes = index.len() + files.iter().map(|(_, file)| file.len()).sum::<usize>();
        let result = watch.tried(what, bytes, || load_parts(&index, &files));
        assert!(matches!(result, Ok(()) | Err(Error::Weights(_) | Error::WeightsIn { .. })), "{what}: {result:?}");
        // an index alone, against its own size
        let result = watch.tried(what, index.len(), || parts(&LAYOUTS[1], &index, &config));
        assert!(matches!(result, Ok(_) | Err(Error::WeightsIn { .. })), "{what}: {result:?}");
    });
}

//! The forms in which people's models come: in parts, under others' names for tensors, as PyTorch writes them, with the
//! tokenizer's older files.

mod common;

use common::parts::{PROMPT, Parts, Pickler, half, logits, parts, pickled, zipped};
use common::{CONFIG, TOKENIZER, model};
use peartree::engine::complete;
use peartree::error::{Error, Result};
use peartree::model::pytorch::{self, Bytes};
use peartree::model::{Config, Model, ModelLoader, SmallFiles, Tensors, WeightDtype};
use peartree::protocol::Prompt;
use serde_json::{Value, json};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn load(file: &[u8]) -> Result<Model> {
    Model::from_bytes(CONFIG, Some(TOKENIZER), file, WeightDtype::F32)
}

/// A model's files, one after the other.
fn load_parts(files: &[(&str, Vec<u8>)]) -> Result<Model> {
    let small = SmallFiles { config: CONFIG.to_vec(), tokenizer: Some(TOKENIZER.to_vec()), ..SmallFiles::default() };
    let mut loader = ModelLoader::from_files(&small, WeightDtype::F32, Tensors::new())?;
    for (name, file) in files {
        let contents = match name.ends_with(".bin") {
            true => Some(complete(pytorch::contents(&InMemory(file), file.len() as u64)).map_err(|e| e.in_file(name))?),
            false => None,
        };
        loader.begin(name, file.len() as u64, contents, files.len() > 1)?;
        for chunk in file.chunks(40_009) {
            loader.push(chunk)?;
        }
    }
    loader.finish()?.in_order()
}

struct InMemory<'a>(&'a [u8]);

impl Bytes for InMemory<'_> {
    async fn read_at(&self, at: u64, into: &mut [u8]) -> Result<()> {
        let at = usize::try_from(at).unwrap();
        let bytes = at.checked_add(into.len()).and_then(|end| self.0.get(at..end));
        into.copy_from_slice(bytes.ok_or_else(|| Error::Weights("is cut short.".into()))?);
        Ok(())
    }
}

#[test]
fn a_model_in_parts_is_the_same_model() {
    let files = [("model-00001-of-00002.safetensors", half(0)), ("model-00002-of-00002.safetensors", half(1))];
    assert_eq!(logits(load_parts(&files).unwrap()), logits(model()));
    let message = |files: &[(&str, Vec<u8>)]| load_parts(files).err().unwrap().to_string();
    let twice = message(&[files[0].clone(), files[0].clone()]);
    assert!(twice.contains("model-00001-of-00002.safetensors holds") && twice.contains("twice"), "{twice}");
    let cut = message(&[(files[0].0, files[0].1[..90_000].to_vec()), files[1].clone()]);
    assert!(cut.contains("model-00001-of-00002.safetensors is cut short"), "{cut}");
}

#[test]
fn a_part_of_another_model_or_with_another_byte_is_told_by_its_name() {
    let message = |files: &[(&str, Vec<u8>)]| load_parts(files).err().unwrap().to_string();
    let (first, second) = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors");
    let mut other = Parts::of(&half(1));
    let name = other.names().into_iter().find(|name| name.ends_with("c_fc.weight")).unwrap();
    other.header[&name]["shape"].as_array_mut().unwrap().reverse();
    let odd = message(&[(first, half(0)), (second, other.file())]);
    assert!(odd.starts_with(&format!("{second} has {name} in the shape")), "{odd}");
    let mut flipped = zipped();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    let name = "pytorch_model-00002-of-00002.bin";
    let damaged = message(&[(name, flipped), ("pytorch_model-00001-of-00002.bin", zipped())]);
    assert!(damaged.starts_with(name) && damaged.contains("another checksum"), "{damaged}");
}

#[test]
fn names_may_carry_what_any_saver_adds() {
    for prefix in ["_orig_mod.", "module.", "model.", "module.transformer.", "_orig_mod.module.transformer."] {
        let prefixed = parts().rewritten(|name| format!("{prefix}{name}"), "F32", |x| x.to_le_bytes().to_vec());
        assert_eq!(logits(load(&prefixed.file()).unwrap()), logits(model()), "{prefix}");
    }
}

#[test]
fn numbers_of_64_bits_are_rounded_to_the_nearest() {
    let wide = parts().rewritten(str::to_owned, "F64", |x| f64::from(x).to_le_bytes().to_vec());
    assert_eq!(logits(load(&wide.file()).unwrap()), logits(model()));
}

#[test]
fn what_nobody_needs_stops_no_load() {
    let mut parts = parts();
    for (name, dtype, shape, bytes) in [
        ("h.9.attn.bias", "U8", json!([1, 1, 4, 4]), 16),
        ("h.9.attn.masked_bias", "F64", json!([]), 8),
        ("optimizer.step", "I64", json!([1]), 8),
        ("packed", "F4", json!([6]), 3),
        ("later", "F8_E4M3", json!([5]), 5),
        ("another", "Q4_0", json!([32]), 18),
    ] {
        let start = parts.data.len();
        parts.data.extend(vec![0xff; bytes]);
        parts.header[name] = json!({"dtype": dtype, "shape": shape, "data_offsets": [start, parts.data.len()]});
    }
    assert_eq!(logits(load(&parts.file()).unwrap()), logits(model()));
}

/// As PyTorch wrote before it wrote zips.
fn unzipped() -> Vec<u8> {
    let (pickle, storages) = pickled();
    let mut file = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.\x80\x02}.".to_vec();
    file.extend(pickle);
    let mut keys = Pickler::default();
    keys.op(b"\x80\x02](");
    for (key, _) in &storages {
        keys.text(key);
    }
    keys.op(b"e.");
    file.extend(keys.0);
    for (_, bytes) in storages {
        file.extend((bytes.len() as u64 / 4).to_le_bytes());
        file.extend(bytes);
    }
    file
}

#[test]
fn files_of_pytorch_are_read_and_nothing_in_them_is_run() {
    let whole = logits(model());
    for file in [zipped(), unzipped()] {
        let model = load_parts(&[("pytorch_model.bin", file)]).unwrap();
        // the head is the embedding, and is held once
        assert!(model.weights.head.is_none() && model.notes.is_empty());
        assert_eq!(logits(model), whole);
    }
    assert!(!std::path::Path::new("/tmp/never").exists());
}

#[test]
fn a_damaged_file_of_pytorch_is_refused_by_name() {
    for (file, has_checksums) in [(zipped(), true), (unzipped(), false)] {
        let refused = |file: &[u8]| load_parts(&[("pytorch_model.bin", file.to_vec())]).err().map(|e| e.to_string());
        for len in [0, 3, 100, file.len() / 2, file.len() - 1] {
            let message = refused(&file[..len]).unwrap();
            assert!(message.starts_with("pytorch_model.bin "), "cut at {len}: {message}");
        }
        if has_checksums {
            let mut flipped = file.clone();
            flipped[file.len() / 2] ^= 1;
            let message = refused(&flipped).unwrap();
            assert!(message.contains("another checksum"), "{message}");
        }
        // wherever a byte is another, nothing panics
        let mut at = 7;
        while at < file.len() {
            let mut changed = file.clone();
            changed[at] = changed[at].wrapping_add(77);
            let _ = refused(&changed);
            at += if at < 40_000 { 211 } else { 70_001 };
        }
    }
}

#[test]
fn the_old_two_files_make_the_same_tokenizer() {
    let json: Value = serde_json::from_slice(TOKENIZER).unwrap();
    let lines = |merge: &Value| match merge {
        Value::Array(pair) => format!("{} {}\r\n", pair[0].as_str().unwrap(), pair[1].as_str().unwrap()),
        other => format!("{}\r\n", other.as_str().unwrap()),
    };
    let merges: String = json["model"]["merges"].as_array().unwrap().iter().map(lines).collect();
    let mut vocab = json["model"]["vocab"].clone();
    vocab["<|endoftext|>"] = json!(1256);
    let small = SmallFiles {
        config: CONFIG.to_vec(),
        vocab: Some(format!("\u{feff}{vocab}").into_bytes()),
        merges: Some(format!("#version: 0.2\n{merges}").into_bytes()),
        ..SmallFiles::default()
    };
    let config = Config::from_json(CONFIG).unwrap();
    let ours = small.vocabulary(&config).unwrap();
    for text in [PROMPT, "It's 25 degrees;  the naïve apple's gone.\n", "a<|endoftext|>b"] {
        let prompt = Prompt::Text(text.into());
        assert_eq!(ours.prompt_ids(&prompt, true).unwrap(), model().vocabulary.prompt_ids(&prompt, true).unwrap());
    }
    // what the tokenizer's other files say of the two
    let mut told = small.clone();
    let start = json!({"content": "<|startoftext|>", "special": true});
    let about =
        json!({"add_prefix_space": true, "bos_token": "<|startoftext|>", "added_tokens_decoder": {"1300": start}});
    told.tokenizer_config = Some(about.to_string().into_bytes());
    told.special_tokens_map = Some(json!({"additional_special_tokens": ["Ġan", "<nowhere>"]}).to_string().into_bytes());
    let wide = Config { vocab_size: 1301, ..config.clone() };
    let told = told.vocabulary(&wide).unwrap();
    let ids = |text: &str| told.prompt_ids(&Prompt::Text(text.into()), true).unwrap();
    let an = ours.token(" an").unwrap();
    assert_eq!(ids("a<|startoftext|>b")[0], 1300);
    assert_eq!(ids("a<|startoftext|>b")[2], 1300);
    assert_eq!(ids("xĠan").last(), Some(&an), "named as one to be found whole");
    assert_eq!(ids("an"), [1300, an]);
    let alone = SmallFiles { merges: None, ..small };
    assert!(alone.vocabulary(&config).err().unwrap().to_string().contains("merges.txt"));
}

#[test]
fn what_begins_a_text_is_what_the_files_say() {
    let mut tokenizer: Value = serde_json::from_slice(TOKENIZER).unwrap();
    let mut start = tokenizer["added_tokens"][0].clone();
    (start["id"], start["content"]) = (json!(1257), json!("<|startoftext|>"));
    tokenizer["added_tokens"].as_array_mut().unwrap().push(start);
    let config = |bos: u32| {
        String::from_utf8(CONFIG.to_vec())
            .unwrap()
            .replace("1257", "1300")
            .replace("\"bos_token_id\": 1256", &format!("\"bos_token_id\": {bos}"))
    };
    let bos = |bos: u32, file: &str, content: Value, with_tokenizer: bool| {
        let tokenizer = with_tokenizer.then(|| tokenizer.to_string().into_bytes());
        let mut small = SmallFiles { config: config(bos).into_bytes(), tokenizer, ..SmallFiles::default() };
        if let Some(place) = small.place(file) {
            *place = Some(content.to_string().into_bytes());
        }
        small.vocabulary(&Config::from_json(&small.config).unwrap()).unwrap().bos()
    };
    let none = Value::Null;
    assert_eq!(bos(1256, "", none.clone(), true), Some(1256));
    assert_eq!(bos(1256, "tokenizer_config.json", json!({"bos_token": "<|startoftext|>"}), true), Some(1257));
    assert_eq!(
        bos(1256, "tokenizer_config.json", json!({"bos_token": {"content": "<|startoftext|>"}}), true),
        Some(1257)
    );
    assert_eq!(bos(1256, "special_tokens_map.json", json!({"bos_token": "<|startoftext|>"}), true), Some(1257));
    assert_eq!(bos(1256, "generation_config.json", json!({"bos_token_id": 1257}), true), Some(1257));
    assert_eq!(bos(1256, "generation_config.json", json!({"bos_token_id": [1257, 1]}), true), Some(1257));
    assert_eq!(bos(1257, "generation_config.json", json!({"bos_token_id": -1}), true), Some(1257));
    assert_eq!(bos(1257, "", none.clone(), true), Some(1257), "the config's, a special token");
    assert_eq!(bos(281, "", none.clone(), true), Some(1256), "the config's is a word: nobody has said another");
    assert_eq!(bos(5000, "", none.clone(), true), Some(1256), "the config's is none");
    assert_eq!(bos(281, "", none, false), Some(281), "without a tokenizer there is only the config's");
    assert_eq!(bos(1256, "tokenizer_config.json", json!({"bos_token": "<nowhere>"}), true), Some(1256));
}

#[test]
fn a_small_file_that_git_kept_elsewhere_is_told_as_that() {
    for name in ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "generation_config.json"] {
        let mut small = SmallFiles { config: CONFIG.to_vec(), ..SmallFiles::default() };
        small.tokenizer = Some(TOKENIZER.to_vec());
        *small.place(name).unwrap() = Some(b"version https://git-lfs.github.com/spec/v1\noid x\n".to_vec());
        let said = small.vocabulary(&Config::from_json(CONFIG).unwrap()).err().unwrap().to_string();
        assert!(said.starts_with(name) && said.contains("git lfs pull"), "{said}");
    }
}

#[test]
fn tokens_without_a_text_have_a_number_and_those_that_read_alike_are_told_apart() {
    let config = br#"{"n_layer":1,"n_head":1,"n_embd":4,"n_positions":8,"vocab_size":9}"#;
    let tokenizer = json!({"version": "1.0", "added_tokens": [], "normalizer": null,
        "pre_tokenizer": {"type": "Metaspace", "replacement": "\u{2581}", "prepend_scheme": "always"},
        "decoder": {"type": "Metaspace", "replacement": "\u{2581}", "prepend_scheme": "always"},
        "model": {"type": "Unigram", "unk_id": 0, "vocab": [["<unk>", 0.0], ["\u{2581}an", -1.0], ["an", -2.0], ["a", -3.0], ["<0x61>", -9.0]]}});
    let small = SmallFiles {
        config: config.to_vec(),
        tokenizer: Some(tokenizer.to_string().into_bytes()),
        ..SmallFiles::default()
    };
    let vocabulary = small.vocabulary(&Config::from_json(config).unwrap()).unwrap();
    let texts: Vec<String> = (0..6).map(|id| vocabulary.text(id)).collect();
    assert_eq!(texts, ["<unk>", " an", "an", "a", "<0x61>", "#5"]);
    assert_eq!(vocabulary.join(&[1, 2, 7, 8, 3]), "anan#7#8a");
}

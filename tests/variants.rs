//! Every variant of GPT-2 that is run against a plain pass in f64, natively and in the browser: predictions, lens, patches,
//! estimates, edits, generation, a corpus's batches, congruence.

mod common;

use candle_core::{Device, Tensor};
use common::ask;
use common::plain::{Plain, centred, dot, scale};
use peartree::analysis::congruence::column::column;
use peartree::analysis::congruence::row::output_row;
use peartree::analysis::congruence::table::Making;
use peartree::analysis::tables;
use peartree::engine::cpu::CpuEngine;
use peartree::engine::reference::forward::{self, Hooks};
use peartree::engine::site::{BlockSite, Site};
use peartree::engine::{Engine, Unhurried, complete};
use peartree::model::{Model, ModelLoader, SmallFiles, Tensors, WeightDtype};
use peartree::protocol::{
    Answer, AttributeOptions, CongruenceOptions, Convention, EditOptions, LayerArgument, LensOptions, NeuronsOptions,
    PatchOptions, PatchSite, PredictOptions, Prompt, Request, TokenArgument,
};
use peartree::session::AnySession;
use serde_json::{Value, json};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const CLEAN: [u32; 7] = [36, 4, 17, 9, 4, 22, 30];
const CORRUPTED: [u32; 7] = [36, 4, 11, 9, 4, 22, 30];
const TOKENS: (u32, u32) = (5, 21);

/// Every variant, and some together.
fn variants() -> Vec<(&'static str, Plain)> {
    let with = |name: &'static str, config: &[(&str, Value)]| (name, Plain::new(config));
    let activation = |name: &'static str| (name, Plain::new(&[("activation_function", json!(name))]));
    let is_bias = |name: &str| name.ends_with(".bias");
    let mut all = vec![
        with("usual", &[]),
        with("by layer", &[("scale_attn_by_inverse_layer_idx", json!(true)), ("reorder_and_upcast_attn", json!(true))]),
        with("unscaled", &[("scale_attn_weights", json!(false))]),
        ("own head", Plain::new(&[("tie_word_embeddings", json!(false))]).with_head()),
        ("own head, unsaid", Plain::new(&[]).with_head()),
        ("head that isn't used", Plain::new(&[("tie_word_embeddings", json!(true))]).with_head()),
        ("no biases", Plain::new(&[]).without(is_bias)),
        (
            "no bias of c_attn and ln_f",
            Plain::new(&[]).without(|name| name.contains("c_attn.b") || name == "ln_f.bias"),
        ),
        (
            "several",
            Plain::new(&[
                ("activation_function", json!("relu")),
                ("scale_attn_weights", json!(false)),
                ("scale_attn_by_inverse_layer_idx", json!(true)),
                ("tie_word_embeddings", json!(false)),
            ])
            .with_head()
            .without(is_bias),
        ),
    ];
    let names = ["gelu_pytorch_tanh", "gelu", "gelu_10", "relu", "silu", "swish", "gelu_fast", "quick_gelu", "tanh"];
    all.extend(names.map(activation));
    all
}

fn session(plain: &Plain) -> AnySession {
    AnySession::cpu("variant".into(), plain.load(WeightDtype::F32).unwrap())
}

fn engine(plain: &Plain) -> CpuEngine {
    let model = plain.load(WeightDtype::F32).unwrap();
    CpuEngine::new(model.config, model.weights)
}

fn ids(ids: &[u32]) -> Prompt {
    Prompt::Ids(ids.to_vec())
}

fn tokens() -> (TokenArgument, TokenArgument) {
    (TokenArgument::Id(TOKENS.0), TokenArgument::Id(TOKENS.1))
}

/// Compares an f32 engine's figures with those in f64; figures that were divided by `by` are less exact by as much.
#[track_caller]
fn close(what: &str, ours: &[f32], right: &[f64], by: f64) {
    assert_eq!(ours.len(), right.len(), "{what}: lengths");
    assert!(!ours.is_empty(), "{what}: nothing to compare");
    for (at, (&ours, &right)) in ours.iter().zip(right).enumerate() {
        let tolerance = 4e-5 * (1.0 + right.abs()) / by.abs().min(1.0);
        assert!((f64::from(ours) - right).abs() <= tolerance, "{what}[{at}]: ours {ours}, in f64 {right}");
    }
}

fn predicted(session: &AnySession, prompt: &[u32]) -> (Vec<f32>, Vec<f32>) {
    let options = PredictOptions { prompt: ids(prompt), top: usize::MAX, no_bos: true };
    let Answer::Prediction(mut found) = ask(session, Request::Predict(options)).unwrap() else { panic!() };
    found.top.sort_by_key(|candidate| candidate.id);
    (found.top.iter().map(|candidate| candidate.logit).collect(), found.logprobs)
}

#[test]
fn predictions_are_those_of_f64() {
    let mut seen: Vec<(&str, Vec<f64>)> = Vec::new();
    for (name, plain) in variants() {
        let run = plain.run(&CLEAN, &mut |_, _| ());
        let (logits, logprobs) = predicted(&session(&plain), &CLEAN);
        let last = run.logits[(CLEAN.len() - 1) * Plain::VOCAB..].to_vec();
        close(name, &logits, &last, 1.0);
        let log_prob = |(pos, row): (usize, &[f64])| {
            let sum: f64 = row.iter().map(|logit| logit.exp()).sum();
            CLEAN.get(pos + 1).map(|&next| row[next as usize] - sum.ln())
        };
        let right: Vec<f64> = run.logits.chunks_exact(Plain::VOCAB).enumerate().filter_map(log_prob).collect();
        close(name, &logprobs, &right, 1.0);
        // each would be seen if it were passed over
        let same = ["gelu_pytorch_tanh", "gelu_10", "swish", "gelu_fast", "own head, unsaid", "head that isn't used"];
        let differs = |other: &[f64]| other.iter().zip(&last).any(|(a, b)| (a - b).abs() > 2e-4);
        if !same.contains(&name) {
            for (other, logits) in &seen {
                assert!(differs(logits), "{name} is as {other}");
            }
            seen.push((name, last));
        }
    }
}

struct Nothing;

impl Hooks for Nothing {
    fn at(&mut self, _: Site, value: Tensor) -> candle_core::Result<Tensor> {
        Ok(value)
    }
}

#[test]
fn the_readable_pass_and_f16_are_those_of_f64() {
    for (name, plain) in variants() {
        let run = plain.run(&CLEAN, &mut |_, _| ());
        for (dtype, by) in [(WeightDtype::F32, 1.0), (WeightDtype::F16, 1.5e-3)] {
            let model = plain.load(dtype).unwrap();
            let input = Tensor::new(&[CLEAN], &Device::Cpu).unwrap();
            let logits = forward::logits(&model.config, &model.weights, &input, &mut Nothing).unwrap();
            close(name, &logits.flatten_all().unwrap().to_vec1().unwrap(), &run.logits, by);
            let session = AnySession::cpu("variant".into(), model);
            close(name, &predicted(&session, &CLEAN).0, &run.logits[(CLEAN.len() - 1) * Plain::VOCAB..], by);
        }
    }
}

#[test]
fn the_lens_reads_through_the_models_own_unembedding() {
    for (name, plain) in variants() {
        let options = LensOptions { prompt: ids(&CLEAN), tokens: tokens(), no_bos: true };
        let Answer::Lens(lens) = ask(&session(&plain), Request::Lens(options)).unwrap() else { panic!() };
        let (d, last) = (Plain::D, CLEAN.len() - 1);
        let points = plain.run(&CLEAN, &mut |_, _| ()).points;
        let end = scale(&points[points.len() - 1][last * d..]);
        let unembedding = plain.unembedding();
        let row = |token: u32| &unembedding[token as usize * d..][..d];
        let along: Vec<f64> = row(TOKENS.0).iter().zip(row(TOKENS.1)).map(|(a, b)| a - b).collect();
        let read = |point: &Vec<f64>, scale: f64| {
            let (weight, bias) = (plain.get("ln_f.weight"), plain.get("ln_f.bias"));
            let centred = centred(&point[last * d..]);
            let normed: Vec<f64> = (0..d).map(|i| centred[i] / scale * weight[i] + bias[i]).collect();
            dot(&normed, &along)
        };
        close(name, &lens.final_ln, &points.iter().map(|point| read(point, end)).collect::<Vec<_>>(), 1.0);
        let own = points.iter().map(|point| read(point, scale(&point[last * d..])));
        close(name, &lens.own_ln, &own.collect::<Vec<_>>(), 1.0);
    }
}

/// Puts `share` of the way from the corrupted to the clean run in, at some columns of some positions.
fn patched(plain: &Plain, at: Site, pos: Option<usize>, columns: std::ops::Range<usize>, share: f64) -> f64 {
    let (clean, corrupted) = (plain.value(&CLEAN, at), plain.value(&CORRUPTED, at));
    let width = clean.len() / CLEAN.len();
    plain.difference(&CORRUPTED, TOKENS, &mut |site, values| {
        if site == at {
            for (here, row) in values.chunks_exact_mut(width).enumerate() {
                if pos.is_none_or(|pos| pos == here) {
                    for column in columns.clone() {
                        let (from, to) = (corrupted[here * width + column], clean[here * width + column]);
                        row[column] = from + share * (to - from);
                    }
                }
            }
        }
    })
}

/// A patch's figure, and its first-order estimate.
fn figures(plain: &Plain, at: Site, pos: Option<usize>, columns: std::ops::Range<usize>) -> [f64; 2] {
    let clean = plain.difference(&CLEAN, TOKENS, &mut |_, _| ());
    let corrupted = plain.difference(&CORRUPTED, TOKENS, &mut |_, _| ());
    let with = |share: f64| patched(plain, at, pos, columns.clone(), share);
    let step = 1e-6;
    let slope = (with(step) - with(-step)) / (2.0 * step);
    [(with(1.0) - corrupted) / (clean - corrupted), slope / (clean - corrupted)]
}

/// What figures are divided by.
fn between(plain: &Plain) -> f64 {
    let [clean, corrupted] = [CLEAN, CORRUPTED].map(|ids| plain.difference(&ids, TOKENS, &mut |_, _| ()));
    clean - corrupted
}

#[test]
fn patches_and_their_estimates_are_those_of_f64() {
    for (name, plain) in variants() {
        let session = session(&plain);
        for (site, at) in [
            (PatchSite::ResidPre, BlockSite::ResidPre),
            (PatchSite::AttnOut, BlockSite::AttnOut),
            (PatchSite::MlpOut, BlockSite::MlpOut),
            (PatchSite::Heads, BlockSite::Z),
        ] {
            let (clean, corrupted) = (ids(&CLEAN), ids(&CORRUPTED));
            let options = PatchOptions { clean, corrupted, tokens: tokens(), site, whole_layer: false, no_bos: true };
            let Answer::Patch(found) = ask(&session, Request::Patch(options)).unwrap() else { panic!() };
            let d_head = Plain::D / Plain::HEADS;
            let cell = |layer: usize, column: usize| match site {
                PatchSite::Heads => {
                    figures(&plain, Site::Block(layer, at), None, column * d_head..(column + 1) * d_head)
                }
                _ => figures(&plain, Site::Block(layer, at), Some(column), 0..Plain::D),
            };
            let columns = found.values.columns;
            let cells = (0..Plain::LAYERS).flat_map(|layer| (0..columns).map(move |column| (layer, column)));
            let right: Vec<[f64; 2]> = cells.map(|(layer, column)| cell(layer, column)).collect();
            let what = format!("{name}, {at}");
            let by = between(&plain);
            close(&what, &found.values.values.0, &right.iter().map(|[exact, _]| *exact).collect::<Vec<_>>(), by);
            let estimates: Vec<f64> = right.iter().map(|[_, estimate]| *estimate).collect();
            close(&format!("{what}, estimated"), &found.estimate.values.0, &estimates, by);
        }
    }
}

#[test]
fn every_neuron_its_estimate_and_its_direct_effect_are_those_of_f64() {
    for (name, plain) in variants() {
        let (clean, corrupted) = (ids(&CLEAN), ids(&CORRUPTED));
        let layer = LayerArgument::Word("all".into());
        let options = NeuronsOptions { clean, corrupted, tokens: tokens(), layer, no_bos: true };
        let Answer::Neurons(found) = ask(&session(&plain), Request::Neurons(options)).unwrap() else { panic!() };
        let (d, by, last) = (Plain::D, between(&plain), CLEAN.len() - 1);
        let end = plain.run(&CLEAN, &mut |_, _| ()).points.pop().unwrap();
        let (unembedding, weight) = (plain.unembedding(), plain.get("ln_f.weight"));
        let token = |id: u32, i: usize| unembedding[id as usize * d + i];
        let along: Vec<f64> = (0..d).map(|i| weight[i] * (token(TOKENS.0, i) - token(TOKENS.1, i))).collect();
        let (mut exact, mut estimates, mut direct) = (Vec::new(), Vec::new(), Vec::new());
        for layer in 0..Plain::LAYERS {
            let at = Site::Block(layer, BlockSite::MlpPost);
            let (post, w_out) = (plain.value(&CLEAN, at), plain.get(&format!("h.{layer}.mlp.c_proj.weight")));
            for neuron in 0..Plain::M {
                let [value, estimate] = figures(&plain, at, None, neuron..neuron + 1);
                exact.push(value);
                estimates.push(estimate);
                let writes = dot(&centred(&w_out[neuron * d..][..d]), &along);
                direct.push(post[last * Plain::M + neuron] * writes / scale(&end[last * d..]));
            }
        }
        close(name, &found.values.values.0, &exact, by);
        close(&format!("{name}, estimated"), &found.estimate.values.0, &estimates, by);
        close(&format!("{name}, direct"), &found.direct.values.0, &direct, 1.0);
    }
}

#[test]
fn direct_effects_add_up_to_the_difference() {
    for (name, plain) in variants() {
        let options = AttributeOptions { prompt: ids(&CLEAN), tokens: tokens(), no_bos: true };
        let Answer::Attribution(found) = ask(&session(&plain), Request::Attribute(options)).unwrap() else { panic!() };
        let right = plain.difference(&CLEAN, TOKENS, &mut |_, _| ());
        let parts: f32 = found.attn.iter().chain(&found.mlp).sum::<f32>() + found.embed + found.pos_embed + found.bias;
        close(name, &[found.total, parts], &[right, right], 1.0);
    }
}

#[test]
fn edits_on_either_side_of_the_activation_are_those_of_f64() {
    for (name, plain) in variants() {
        for (text, layer, site) in [
            ("blocks.1.mlp.hook_pre[3]=0.7@all", 1, BlockSite::MlpPre),
            ("blocks.0.mlp.hook_pre[3]=-0.7@all", 0, BlockSite::MlpPre),
            ("2:3=0.7@all", 2, BlockSite::MlpPost),
        ] {
            let options = EditOptions {
                prompt: ids(&CLEAN),
                tokens: tokens(),
                set: vec![text.into()],
                clean: None,
                corrupted: None,
                corpus: vec![],
                top: 1,
                no_bos: true,
            };
            let Answer::Edited(found) = ask(&session(&plain), Request::Edit(options)).unwrap() else { panic!() };
            let set = if text.contains("-0.7") { -0.7 } else { 0.7 };
            let right = plain.difference(&CLEAN, TOKENS, &mut |at, values| {
                if at == Site::Block(layer, site) {
                    values.chunks_exact_mut(Plain::M).for_each(|row| row[3] = set);
                }
            });
            close(&format!("{name}, {text}"), &[found.after.diff], &[right], 1.0);
        }
    }
}

#[test]
fn generation_writes_what_f64_would() {
    for (name, plain) in variants() {
        let Answer::Generation(found) =
            ask(&session(&plain), Request::Generate(common::greedy(ids(&CLEAN[..3]), 8))).unwrap()
        else {
            panic!()
        };
        let mut all = CLEAN[..3].to_vec();
        while all.len() < 11 {
            let run = plain.run(&all, &mut |_, _| ());
            let last = &run.logits[(all.len() - 1) * Plain::VOCAB..];
            let best = (0..last.len()).max_by(|&a, &b| last[a].total_cmp(&last[b])).unwrap();
            all.push(best as u32);
        }
        assert_eq!(found.ids, all[3..], "{name}");
    }
}

#[test]
fn what_a_corpus_is_read_with_is_that_of_f64() {
    for (name, plain) in variants() {
        let engine = engine(&plain);
        let (mut neurons, layers) = (Vec::new(), [1].into_iter().collect());
        let on_layer = |_, values: &[f32]| neurons = values.to_vec();
        let resid = complete(engine.neurons(&[&CLEAN, &CORRUPTED], &layers, true, &Unhurried, on_layer)).unwrap();
        let at = Site::Block(1, BlockSite::MlpPost);
        close(name, &neurons, &[plain.value(&CLEAN, at), plain.value(&CORRUPTED, at)].concat(), 1.0);
        let all: Vec<u32> = (0..Plain::VOCAB as u32).collect();
        let found = complete(engine.likeliest_among(&resid, &all, &Unhurried)).unwrap();
        let rows = [CLEAN, CORRUPTED].map(|ids| plain.run(&ids, &mut |_, _| ()).logits).concat();
        let best = |row: &[f64]| (0..row.len()).max_by(|&a, &b| row[a].total_cmp(&row[b])).map(|id| id as u32);
        assert_eq!(found, rows.chunks_exact(Plain::VOCAB).map(best).collect::<Vec<_>>(), "{name}");
    }
}

#[test]
fn congruence_is_that_of_f64_in_every_convention_of_the_model() {
    for (name, plain) in variants() {
        let engine = engine(&plain);
        let (d, vocab) = (Plain::D, Plain::VOCAB);
        let (wte, head, g) = (plain.get("wte.weight"), plain.unembedding(), plain.get("ln_f.weight"));
        let mean: Vec<f64> = (0..d).map(|i| (0..vocab).map(|t| head[t * d + i]).sum::<f64>() / vocab as f64).collect();
        let is_tied = wte == head;
        let conventions = Convention::of_model(&engine.config().variant);
        assert_eq!(conventions.len(), if is_tied { 3 } else { 5 }, "{name}");
        for &convention in conventions {
            let right = |place: usize, token: usize| {
                let w_out = plain.get(&format!("h.{}.mlp.c_proj.weight", place / Plain::M));
                let w = &w_out[place % Plain::M * d..][..d];
                let (e, u) = (&wte[token * d..][..d], &head[token * d..][..d]);
                match convention {
                    Convention::Notebook => dot(&centred(w), &centred(e)),
                    Convention::Raw => dot(w, e),
                    Convention::Unembed => {
                        let folded: Vec<f64> = (0..d).map(|i| g[i] * (u[i] - mean[i])).collect();
                        dot(&centred(w), &centred(&folded))
                    }
                    Convention::NotebookUnembedding => dot(&centred(w), &centred(u)),
                    Convention::RawUnembedding => dot(w, u),
                }
            };
            let what = format!("{name}, {}", convention.name());
            let row = complete(output_row(&engine, convention, 1, 4)).unwrap();
            close(&what, &row, &(0..vocab).map(|token| right(Plain::M + 4, token)).collect::<Vec<_>>(), 1.0);
            let found = complete(column(&engine, convention, &[8], &Unhurried)).unwrap();
            let places = Plain::LAYERS * Plain::M;
            close(&what, &found, &(0..places).map(|place| right(place, 8)).collect::<Vec<_>>(), 1.0);
            let mut making = complete(Making::new(&engine, convention, 2, "hash".into(), &Unhurried)).unwrap();
            while !complete(making.step(&engine)).unwrap() {}
            let table = making.finish().unwrap();
            let best = |place: usize| (0..vocab).map(|token| right(place, token)).fold(f64::MIN, f64::max);
            let ours: Vec<f32> = (0..places).map(|place| table.neurons.largest(place)[0].value).collect();
            close(&what, &ours, &(0..places).map(best).collect::<Vec<_>>(), 1.0);
            // and the file says by its name which it is
            let read = tables::read(&tables::write(&table).unwrap()).unwrap();
            assert_eq!(read.about, table.about, "{what}");
            assert!(read.about.check(engine.config(), "hash").is_ok());
        }
    }
}

#[test]
fn conventions_of_an_unembedding_of_its_own_are_refused_where_there_is_none() {
    let (tied, own) = (Plain::new(&[]), Plain::new(&[("tie_word_embeddings", json!(false))]).with_head());
    let ask = |plain: &Plain, convention| {
        let options = CongruenceOptions { neuron: Some("1:2".into()), convention, top: 3, ..Default::default() };
        ask(&session(plain), Request::Congruence(options))
    };
    for convention in [Convention::NotebookUnembedding, Convention::RawUnembedding] {
        let refused = ask(&tied, convention).unwrap_err().to_string();
        assert!(refused.contains(convention.name()), "{refused}");
        assert!(ask(&own, convention).is_ok());
        assert_eq!(Convention::parse(convention.name()), Some(convention));
        assert_eq!(serde_json::to_value(convention).unwrap(), convention.name());
    }
}

fn hash(plain: &Plain) -> String {
    complete(tables::model_hash(&engine(plain), &Unhurried)).unwrap()
}

#[test]
fn another_unembedding_is_another_model() {
    let (tied, own) = (Plain::new(&[]), Plain::new(&[]).with_head());
    let mut other = own.clone();
    other.tensors.get_mut("lm_head.weight").unwrap().1[5] += 0.25;
    let hashes = [hash(&tied), hash(&own), hash(&other)];
    assert!(hashes[0] != hashes[1] && hashes[1] != hashes[2] && hashes[0] != hashes[2]);
    let unused = Plain { config: Plain::new(&[("tie_word_embeddings", json!(true))]).config, ..own };
    assert_eq!(hash(&unused), hashes[0]);
}

#[test]
fn what_is_said_of_the_unembedding_and_what_the_file_has() {
    let wte = Plain::new(&[]).tensors["wte.weight"].clone();
    // a tensor's place in a file is its name's in the alphabet: before the embedding, and behind it
    for wte_name in ["wte.weight", "a.wte.weight"] {
        for (said, same, is_tied, note) in [
            (None, false, false, Some("it is used")),
            (None, true, true, None),
            (Some(true), false, true, Some("It is not used")),
            (Some(true), true, true, None),
            (Some(false), false, false, None),
            (Some(false), true, true, None),
        ] {
            let config: Vec<(&str, Value)> = said.iter().map(|&said| ("tie_word_embeddings", json!(said))).collect();
            let mut plain = Plain::new(&config).with_head();
            if same {
                plain.tensors.insert("lm_head.weight".into(), wte.clone());
            }
            let embedding = plain.tensors.remove("wte.weight").unwrap();
            plain.tensors.insert(wte_name.replace("a.", "base_model."), embedding);
            for dtype in [WeightDtype::F32, WeightDtype::F16] {
                let model = plain.load(dtype).unwrap();
                let what = format!("{wte_name}, {said:?}, {same}");
                assert_eq!(model.config.variant.tie_word_embeddings, is_tied, "{what}");
                assert_eq!(model.weights.head.is_none(), is_tied, "{what}");
                assert_eq!(model.notes.len(), usize::from(note.is_some()), "{what}: {:?}", model.notes);
                assert!(note.is_none_or(|note| model.notes[0].contains(note)), "{what}: {:?}", model.notes);
            }
        }
    }
    let lacks = Plain::new(&[("tie_word_embeddings", json!(false))]).load(WeightDtype::F32).err().unwrap().to_string();
    assert!(lacks.contains("lacks the tensor lm_head.weight"), "{lacks}");
    let mut narrow = Plain::new(&[]).with_head();
    narrow.tensors.get_mut("lm_head.weight").unwrap().0 = vec![Plain::D, Plain::VOCAB];
    let refused = narrow.load(WeightDtype::F32).err().unwrap().to_string();
    assert!(refused.contains("lm_head.weight in the shape"), "{refused}");
}

#[test]
fn a_head_that_comes_before_the_embedding_or_differs_in_its_last_number_is_told_from_it() {
    for at in [0, Plain::VOCAB * Plain::D / 2, Plain::VOCAB * Plain::D - 1] {
        let mut plain = Plain::new(&[]);
        let mut head = plain.tensors["wte.weight"].clone();
        head.1[at] += 0.5;
        plain.tensors.insert("lm_head.weight".into(), head);
        let run = plain.run(&CLEAN, &mut |_, _| ());
        let logits = predicted(&session(&plain), &CLEAN).0;
        close("own head", &logits, &run.logits[(CLEAN.len() - 1) * Plain::VOCAB..], 1.0);
    }
}

/// Loads a model from files, each with the tensors that are chosen.
fn load_parts(plain: &Plain, parts: &[&dyn Fn(&str) -> bool]) -> peartree::error::Result<Model> {
    let small = SmallFiles { config: plain.config.to_string().into_bytes(), ..SmallFiles::default() };
    let mut loader = ModelLoader::from_files(&small, WeightDtype::F32, Tensors::new())?;
    for (index, is_in) in parts.iter().enumerate() {
        let file = plain.file(is_in);
        loader.begin(&format!("part-{index}.safetensors"), file.len() as u64, None, true)?;
        for chunk in file.chunks(777) {
            loader.push(chunk)?;
        }
    }
    loader.finish()?.in_order()
}

#[test]
fn biases_are_lacking_in_all_layers_or_in_none_however_the_files_are_cut() {
    let none = Plain::new(&[]).without(|name| name.ends_with(".bias"));
    let model = none.load(WeightDtype::F32).unwrap();
    assert!(model.notes[0].contains("without biases"), "{:?}", model.notes);
    let some = Plain::new(&[]).without(|name| name.ends_with("c_fc.bias"));
    assert!(some.load(WeightDtype::F32).unwrap().notes[0].contains("without mlp.c_fc.bias"));
    let is_first = |name: &str| name < "h.1.ln";
    let in_parts = load_parts(&some, &[&is_first, &|name| !is_first(name)]).unwrap();
    assert_eq!(in_parts.notes, some.load(WeightDtype::F32).unwrap().notes);
    // the parts together have them, though neither does alone
    assert!(load_parts(&Plain::new(&[]), &[&is_first, &|name| !is_first(name)]).unwrap().notes.is_empty());
    for lacking in ["h.0.attn.c_proj.bias", "h.1.attn.c_proj.bias", "h.2.mlp.c_fc.bias"] {
        let odd = Plain::new(&[]).without(|name| name == lacking);
        for loaded in [odd.load(WeightDtype::F32), load_parts(&odd, &[&is_first, &|name| !is_first(name)])] {
            let refused = loaded.err().unwrap().to_string();
            assert!(refused.contains(lacking) && refused.contains("other layers have"), "{refused}");
        }
    }
    let weightless = Plain::new(&[]).without(|name| name == "h.1.ln_2.weight");
    for loaded in [weightless.load(WeightDtype::F32), load_parts(&weightless, &[&is_first, &|name| !is_first(name)])] {
        let refused = loaded.err().unwrap().to_string();
        assert!(refused.contains("lacks the tensor h.1.ln_2.weight"), "{refused}");
    }
}

#[test]
fn a_config_of_a_million_layers_is_refused_by_the_first_weight_that_is_not_there() {
    for plain in [Plain::new(&[]), Plain::new(&[]).without(|name| name.ends_with(".bias"))] {
        let plain = Plain { config: Plain::new(&[("n_layer", json!(1_000_000))]).config, ..plain };
        let is_first = |name: &str| name < "h.1.ln";
        for loaded in [plain.load(WeightDtype::F32), load_parts(&plain, &[&is_first, &|name| !is_first(name)])] {
            let refused = loaded.err().unwrap().to_string();
            assert!(refused.contains("h.3."), "{refused}");
        }
    }
}

#[test]
fn a_vocabulary_beyond_the_tokenizers_and_a_narrow_mlp_are_the_models_own() {
    // n_inner is 20 where 4 * n_embd would be 48; there is no tokenizer at all
    let plain = Plain::new(&[]);
    let info = session(&plain).info();
    assert_eq!((info.config.d_mlp, info.config.vocab_size), (Plain::M, Plain::VOCAB));
    let resid = complete(engine(&plain).last_resid(&[&[36]], &[], &Unhurried)).unwrap();
    assert_eq!(resid.shape, [1, Plain::D]);
}

#[test]
fn info_says_the_variant_and_what_was_done() {
    let plain = Plain::new(&[("activation_function", json!("relu"))]).with_head();
    let info = serde_json::to_value(session(&plain).info()).unwrap();
    let right = json!({
        "activation_function": "relu", "scale_attn_weights": true,
        "scale_attn_by_inverse_layer_idx": false, "tie_word_embeddings": false,
    });
    assert_eq!(info["config"]["variant"], right);
    assert!(info["notes"][0].as_str().unwrap().contains("lm_head.weight"), "{info}");
}

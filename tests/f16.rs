//! A model in f16 is the model with its matrices rounded, computed in f32: every figure is the same.

mod common;

use candle_core::{DType, Device, Tensor};
use common::{ask, assert_close, corpus, greedy, model_in, pairs};
use peartree::engine::cpu::CpuEngine;
use peartree::engine::reference::forward::{self, Hooks};
use peartree::engine::{Activation, Engine, FinalNorm, Site, Unhurried, complete};
use peartree::model::{Model, WeightDtype};
use peartree::protocol::json::Json;
use peartree::protocol::{
    AttributeOptions, EditOptions, GenerateOptions, LayerArgument, LensOptions, LensTableOptions, NeuronsOptions,
    PatchOptions, PatchSite, PredictOptions, Prompt, Request, TokenArgument,
};
use peartree::session::AnySession;
use serde_json::Value;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// The oracle's model in f32, its matrices rounded to f16 by candle.
fn rounded() -> Model {
    let mut model = model_in(WeightDtype::F32);
    let round = |tensor: &mut Tensor| {
        *tensor = tensor.to_dtype(DType::F16).unwrap().to_dtype(DType::F32).unwrap();
    };
    round(&mut model.weights.wte);
    round(&mut model.weights.wpe);
    for block in &mut model.weights.blocks {
        for layer in [&mut block.c_attn, &mut block.attn_c_proj, &mut block.c_fc, &mut block.mlp_c_proj] {
            round(&mut layer.weight);
        }
    }
    model
}

/// One request of each kind.
fn requests() -> Vec<Request> {
    let oracle = &pairs()[0];
    let prompt = |key: &str| Prompt::Text(oracle.text(key).into());
    let (clean, corrupted, no_bos) = (prompt("clean"), prompt("corrupted"), false);
    let token = |key: &str| TokenArgument::Text(oracle.text(key).replace('Ġ', " "));
    let tokens = (token("token"), token("other"));
    let patch = |site| PatchOptions {
        clean: clean.clone(),
        corrupted: corrupted.clone(),
        tokens: tokens.clone(),
        site,
        whole_layer: false,
        no_bos,
    };
    let edit = |set: &[&str]| EditOptions {
        prompt: corrupted.clone(),
        tokens: tokens.clone(),
        set: set.iter().map(|&set| set.to_owned()).collect(),
        clean: Some(clean.clone()),
        corrupted: None,
        corpus: corpus()[..2].to_vec(),
        top: 10,
        no_bos,
    };
    vec![
        Request::Predict(PredictOptions { prompt: clean.clone(), top: 2000, no_bos }),
        Request::Lens(LensOptions { prompt: clean.clone(), tokens: tokens.clone(), no_bos }),
        Request::LensTable(LensTableOptions { prompt: clean.clone(), final_ln: true, no_bos }),
        Request::Attribute(AttributeOptions { prompt: clean.clone(), tokens: tokens.clone(), no_bos }),
        Request::Patch(patch(PatchSite::ResidPre)),
        Request::Patch(patch(PatchSite::Heads)),
        Request::Patch(patch(PatchSite::MlpOut)),
        Request::Neurons(NeuronsOptions {
            clean: clean.clone(),
            corrupted: corrupted.clone(),
            tokens: tokens.clone(),
            layer: LayerArgument::Word("all".into()),
            no_bos,
        }),
        Request::Edit(edit(&["2:137=clean@all", "1.h2=zero@all", "0:5=mean@last", "2.mlp=*0.5@last"])),
        Request::Generate(GenerateOptions { no_bos, ..greedy(clean.clone(), 12) }),
    ]
}

/// All numbers in an answer, in order.
fn numbers(value: &Value, into: &mut Vec<f32>) {
    match value {
        Value::Number(number) => into.push(number.as_f64().unwrap() as f32),
        Value::Array(values) => values.iter().for_each(|value| numbers(value, into)),
        Value::Object(fields) => fields.values().for_each(|value| numbers(value, into)),
        _ => {}
    }
}

#[test]
fn every_answer_is_that_of_the_rounded_model() {
    let (ours, exact) =
        (AnySession::cpu("f16".into(), model_in(WeightDtype::F16)), AnySession::cpu("rounded".into(), rounded()));
    assert_eq!((ours.info().dtype, exact.info().dtype), (WeightDtype::F16, WeightDtype::F32));
    let unrounded = common::session();
    for request in requests() {
        let figures = |session: &AnySession| {
            let (mut found, answer) = (Vec::new(), ask(session, request.clone()).unwrap());
            numbers(&serde_json::to_value(Json(&answer)).unwrap(), &mut found);
            found
        };
        let found = figures(&ours);
        assert_close(&format!("{request:?}"), &found, &figures(&exact));
        assert!(matches!(request, Request::Generate(_)) || found != figures(&unrounded), "{request:?}: rounding shows");
    }
}

#[test]
fn logits_are_the_readable_passes_at_any_number_of_rows() {
    struct Nothing;
    impl Hooks for Nothing {
        fn at(&mut self, _: Site, value: Tensor) -> candle_core::Result<Tensor> {
            Ok(value)
        }
    }
    let ids = pairs()[0].ids("clean_ids");
    let (model, exact) = (model_in(WeightDtype::F16), rounded());
    let input = Tensor::from_slice(&ids, (1, ids.len()), &Device::Cpu).unwrap();
    let reference = forward::logits(&exact.config, &exact.weights, &input, &mut Nothing).unwrap();
    let widened = forward::logits(&model.config, &model.weights, &input, &mut Nothing).unwrap();
    let last = |logits: &Tensor| logits.get(ids.len() - 1).unwrap().to_vec1::<f32>().unwrap();
    assert_close("the readable pass", &last(&widened), &last(&reference));
    let engine = CpuEngine::new(model.config, model.weights);
    // one row at a time, a few, and so many that a block of weights is packed
    let mut cache = engine.cache();
    let mut end = None;
    for id in &ids {
        end = Some(complete(engine.extend(&mut cache, &[*id], &[], &Unhurried)).unwrap());
    }
    let unembed = |resid: &Activation| complete(engine.unembed(resid, FinalNorm::Own, &Unhurried)).unwrap().data;
    assert_close("token by token", &unembed(&end.unwrap().resid), &last(&reference));
    for batch in [1, 6] {
        let resid = complete(engine.last_resid(&vec![&ids[..]; batch], &[], &Unhurried)).unwrap();
        for row in unembed(&resid).chunks_exact(engine.config().vocab_size) {
            assert_close(&format!("{batch} at once"), row, &last(&reference));
        }
    }
}

#[test]
fn a_matrix_with_numbers_that_cannot_be_lifted_is_rounded_all_the_same() {
    // 64 and more don't fit once lifted; late in the matrix, so that what came before is put back
    let large = [63.99, 64.03, -1234.6, 65519.0];
    let scale = |weights: &[u8]| {
        let end = 8 + u64::from_le_bytes(*weights.first_chunk().unwrap()) as usize;
        let header: Value = serde_json::from_slice(&weights[8..end]).unwrap();
        let name = header.as_object().unwrap().keys().find(|name| name.ends_with("h.1.mlp.c_fc.weight")).unwrap();
        let last = end + header[name]["data_offsets"][1].as_u64().unwrap() as usize;
        let mut weights = weights.to_vec();
        for (number, at) in large.iter().zip((last - 16..last).step_by(4)) {
            weights[at..at + 4].copy_from_slice(&f32::to_le_bytes(*number));
        }
        weights
    };
    let weights = scale(common::WEIGHTS);
    let load = |dtype| Model::from_bytes(common::CONFIG, Some(common::TOKENIZER), &weights, dtype).unwrap();
    let model = load(WeightDtype::F16);
    assert_eq!(model.weights.dtype(), WeightDtype::F16);
    let layer = &model.weights.blocks[1].c_fc.weight;
    assert_eq!(layer.dtype(), DType::F32);
    let rounded = load(WeightDtype::F32).weights.blocks[1].c_fc.weight.to_dtype(DType::F16).unwrap();
    let numbers = |tensor: &Tensor| tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    assert_eq!(numbers(layer), numbers(&rounded.to_dtype(DType::F32).unwrap()));
    assert_eq!(numbers(layer)[numbers(layer).len() - 4..], [64.0, 64.0, -1235.0, 65504.0]);
}

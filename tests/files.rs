//! Model files as the hub has them, in every form it has them, and as accidents leave them.

mod common;

use candle_core::{DType, Tensor};
use common::parts::{PROMPT, Parts, logits, parts};
use common::{CONFIG, TOKENIZER, WEIGHTS, model};
use half::{bf16, f16};
use peartree::error::{Error, Result};
use peartree::model::weights::in_f32;
use peartree::model::{Model, ModelLoader, WeightDtype};
use peartree::protocol::Prompt;
use serde_json::{Value, json};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn load(file: &[u8]) -> Result<Model> {
    Model::from_bytes(CONFIG, Some(TOKENIZER), file, WeightDtype::F32)
}

/// The message of a file that must be refused.
#[track_caller]
fn refusal(file: &[u8]) -> String {
    match load(file) {
        Err(error @ Error::Weights(_)) => error.to_string(),
        Err(other) => panic!("refused for another reason: {other}"),
        Ok(_) => panic!("a damaged file was accepted"),
    }
}

#[test]
fn names_may_carry_the_transformer_prefix() {
    let prefixed = parts().rewritten(|name| format!("transformer.{name}"), "F32", |x| x.to_le_bytes().to_vec());
    assert_eq!(logits(load(&prefixed.file()).unwrap()), logits(model()));
}

#[test]
fn a_tied_head_in_the_file_changes_nothing() {
    assert_eq!(logits(load(&parts().with_tied_head().file()).unwrap()), logits(model()));
}

#[test]
fn half_precision_files_are_widened_exactly() {
    type Narrow = fn(f32) -> Vec<u8>;
    type Round = fn(f32) -> f32;
    let forms: [(&str, Narrow, Round); 2] = [
        ("F16", |x| f16::from_f32(x).to_le_bytes().to_vec(), |x| f16::from_f32(x).to_f32()),
        ("BF16", |x| bf16::from_f32(x).to_le_bytes().to_vec(), |x| bf16::from_f32(x).to_f32()),
    ];
    for (dtype, narrow, round) in forms {
        let half = parts().rewritten(str::to_owned, dtype, narrow);
        let widened = parts().rewritten(str::to_owned, "F32", |x| round(x).to_le_bytes().to_vec());
        let ours = logits(load(&half.file()).unwrap());
        assert_eq!(ours, logits(load(&widened.file()).unwrap()), "{dtype}");
        assert_ne!(ours, logits(model()), "{dtype} rounds");
    }
}

/// A model's parameters as f32, by name, and the type each is held in.
fn held(model: &Model) -> Vec<(&'static str, DType, Vec<f32>)> {
    let (weights, block) = (&model.weights, &model.weights.blocks[1]);
    let tensors = [
        ("wte.weight", &weights.wte),
        ("wpe.weight", &weights.wpe),
        ("h.1.ln_2.weight", &block.ln_2.weight),
        ("h.1.attn.c_attn.weight", &block.c_attn.weight),
        ("h.1.attn.c_attn.bias", &block.c_attn.bias),
        ("h.1.attn.c_proj.weight", &block.attn_c_proj.weight),
        ("h.1.mlp.c_fc.weight", &block.c_fc.weight),
        ("h.1.mlp.c_proj.weight", &block.mlp_c_proj.weight),
        ("ln_f.bias", &weights.ln_f.bias),
    ];
    let values = |tensor: &Tensor| in_f32(tensor).unwrap().flatten_all().unwrap().to_vec1().unwrap();
    tensors.map(|(name, tensor)| (name, tensor.dtype(), values(tensor))).to_vec()
}

#[test]
fn in_f16_matrices_are_rounded_and_vectors_stay_whatever_the_file_holds() {
    type Narrow = fn(f32) -> Vec<u8>;
    let forms: [(&str, Narrow); 3] = [
        ("F32", |x| x.to_le_bytes().to_vec()),
        ("F16", |x| f16::from_f32(x).to_le_bytes().to_vec()),
        ("BF16", |x| bf16::from_f32(x).to_le_bytes().to_vec()),
    ];
    for (form, narrow) in forms {
        let file = parts().rewritten(str::to_owned, form, narrow).file();
        let mut loader = ModelLoader::new(CONFIG, None, None, WeightDtype::F16).unwrap();
        file.chunks(4097).for_each(|chunk| loader.push(chunk).unwrap());
        let model = loader.finish().unwrap().in_order().unwrap();
        assert_eq!(model.weights.dtype(), WeightDtype::F16);
        for ((name, dtype, ours), (_, _, exact)) in held(&model).into_iter().zip(held(&load(&file).unwrap())) {
            let is_vector = name.contains("ln_") || name.ends_with("bias");
            assert_eq!(dtype, if is_vector { DType::F32 } else { DType::F16 }, "{name}");
            let right: Vec<f32> =
                exact.iter().map(|&x| if is_vector { x } else { f16::from_f32(x).to_f32() }).collect();
            assert_eq!(ours, right, "{name} of a file in {form}");
        }
    }
}

#[test]
fn a_number_beyond_f16_is_refused_in_f16_alone() {
    let mut parts = parts();
    let set = |parts: &mut Parts, name: &str, value: f32| {
        let at = parts.range(name).start + 4 * 7;
        parts.data[at..at + 4].copy_from_slice(&value.to_le_bytes());
    };
    // the first rounds to the largest f16; vectors stay f32
    set(&mut parts, "h.1.mlp.c_fc.weight", -65519.9);
    set(&mut parts, "h.1.mlp.c_fc.bias", 1e6);
    assert!(Model::from_bytes(CONFIG, None, &parts.file(), WeightDtype::F16).is_ok());
    set(&mut parts, "h.1.mlp.c_fc.weight", -65520.0);
    assert!(load(&parts.file()).is_ok());
    let error = Model::from_bytes(CONFIG, None, &parts.file(), WeightDtype::F16).err().unwrap();
    assert_eq!(error.code(), "beyond_f16");
    assert!(error.to_string().contains("-65520 at element 7 of h.1.mlp.c_fc.weight"), "{error}");
    set(&mut parts, "h.1.mlp.c_fc.weight", f32::NAN);
    let error = Model::from_bytes(CONFIG, None, &parts.file(), WeightDtype::F16).err().unwrap();
    assert!(error.to_string().contains("holds NaN at element 7"), "{error}");
}

#[test]
fn pieces_of_any_size_make_the_same_model() {
    let whole = logits(model());
    for piece in [1 << 10, 4097, 100_003] {
        let mut loader = ModelLoader::new(CONFIG, Some(TOKENIZER), None, WeightDtype::F32).unwrap();
        WEIGHTS.chunks(piece).for_each(|chunk| loader.push(chunk).unwrap());
        assert_eq!(logits(loader.finish().unwrap().in_order().unwrap()), whole, "pieces of {piece} bytes");
    }
}

#[test]
fn a_truncated_file_is_refused_wherever_it_is_cut() {
    for len in [0, 7, 8, 100, WEIGHTS.len() / 2, WEIGHTS.len() - 1] {
        assert!(refusal(&WEIGHTS[..len]).contains("cut short"), "cut at {len}: {}", refusal(&WEIGHTS[..len]));
        // also when nobody told how long the file should be
        let mut loader = ModelLoader::new(CONFIG, None, None, WeightDtype::F32).unwrap();
        loader.push(&WEIGHTS[..len]).unwrap();
        let message = loader.finish().err().unwrap().to_string();
        assert!(message.contains("cut short") && message.contains("Get the file again"), "{message}");
    }
}

#[test]
fn bytes_past_the_end_are_refused() {
    let longer = [WEIGHTS, b"more"].concat();
    assert!(refusal(&longer).contains("bytes where its header describes"));
    let mut loader = ModelLoader::new(CONFIG, None, None, WeightDtype::F32).unwrap();
    assert!(loader.push(&longer).unwrap_err().to_string().contains("past its end"));
}

#[test]
fn a_wrong_header_length_is_refused() {
    for len in [0u64, 3, 1 << 40, u64::MAX] {
        let mut file = WEIGHTS.to_vec();
        file[..8].copy_from_slice(&len.to_le_bytes());
        assert!(refusal(&file).contains("header"), "length {len}");
    }
    assert!(refusal(b"<!doctype html><title>Not found</title>").contains("header"));
}

#[test]
fn not_a_number_is_refused_with_its_place() {
    for bad in [f32::NAN, f32::INFINITY] {
        let mut parts = parts();
        let at = parts.range("h.1.mlp.c_fc.weight").start + 4 * 5;
        parts.data[at..at + 4].copy_from_slice(&bad.to_le_bytes());
        let message = refusal(&parts.file());
        assert!(message.contains("element 5 of h.1.mlp.c_fc.weight"), "{message}");
    }
}

#[test]
fn a_missing_tensor_is_named() {
    let mut parts = parts();
    let entry = parts.header.as_object_mut().unwrap().remove("h.2.ln_1.bias").unwrap();
    parts.header["something.else"] = entry;
    let message = refusal(&parts.file());
    assert!(message.contains("lacks the tensor h.2.ln_1.bias"), "{message}");
}

#[test]
fn a_wrong_shape_is_named() {
    let mut parts = parts();
    parts.header["wpe.weight"]["shape"] = json!([64, 128]);
    let message = refusal(&parts.file());
    assert!(message.contains("wpe.weight in the shape [64, 128]"), "{message}");
}

#[test]
fn impossible_offsets_are_refused() {
    let huge = u64::MAX - 3;
    for offsets in [json!([0, 1]), json!([4, 0]), json!([huge, u64::MAX]), json!([4, 4 + 64 * 4])] {
        let mut parts = parts();
        parts.header["ln_f.bias"]["data_offsets"] = offsets.clone();
        assert!(refusal(&parts.file()).contains("damaged"), "{offsets}");
    }
}

#[test]
fn a_tensor_given_twice_is_refused() {
    let text = serde_json::to_string(&parts().header).unwrap();
    let entry = serde_json::to_string(&parts().header["ln_f.bias"]).unwrap();
    let twice = text.replacen('{', &format!("{{\"ln_f.bias\":{entry},"), 1);
    let mut file = (twice.len() as u64).to_le_bytes().to_vec();
    file.extend_from_slice(twice.as_bytes());
    file.extend_from_slice(&parts().data);
    assert!(refusal(&file).contains("ln_f.bias stands in it twice"));
}

#[test]
fn a_tensor_under_both_of_its_names_is_refused() {
    let mut parts = parts();
    let start = parts.data.len();
    parts.data.extend([0; 4]);
    parts.header["transformer.ln_f.bias"] = json!({"dtype": "F32", "shape": [1], "data_offsets": [start, start + 4]});
    assert!(refusal(&parts.file()).contains("holds ln_f.bias twice"));
}

#[test]
fn parameters_in_an_unknown_type_are_refused() {
    let mut parts = parts();
    parts.header["ln_f.bias"]["dtype"] = json!("I32");
    assert!(refusal(&parts.file()).contains("stores ln_f.bias as I32"));
    parts.header["ln_f.bias"]["dtype"] = json!("Q4_0");
    assert!(refusal(&parts.file()).contains("Q4_0"));
}

#[test]
fn a_damaged_tokenizer_is_refused() {
    for file in [&b"{}"[..], b"", b"<html>", &TOKENIZER[..TOKENIZER.len() / 2]] {
        assert!(matches!(Model::from_bytes(CONFIG, Some(file), WEIGHTS, WeightDtype::F32), Err(Error::Tokenizer(_))));
    }
}

#[test]
fn a_tokenizer_may_go_past_the_embedding() {
    let mut tokenizer: Value = serde_json::from_slice(TOKENIZER).unwrap();
    let mut pad = tokenizer["added_tokens"][0].clone();
    (pad["id"], pad["content"]) = (json!(1257), json!("[PAD]"));
    tokenizer["added_tokens"].as_array_mut().unwrap().push(pad);
    let tokenizer = tokenizer.to_string();
    let model = Model::from_bytes(CONFIG, Some(tokenizer.as_bytes()), WEIGHTS, WeightDtype::F32).unwrap();
    let prompt = |text: &str| model.vocabulary.prompt_ids(&Prompt::Text(text.into()), true);
    assert!(prompt(PROMPT).is_ok());
    let error = prompt("a [PAD]").unwrap_err();
    assert!(error.code() == "unknown_id" && error.to_string().contains("1257"), "{error}");
}

//! Model files as the hub has them, in every form it has them, and as accidents leave them.

mod common;

use common::{CONFIG, TOKENIZER, WEIGHTS, ask, model};
use half::{bf16, f16};
use peartree::error::{Error, Result};
use peartree::model::{Model, ModelLoader};
use peartree::protocol::{Answer, PredictOptions, Prompt, Request};
use peartree::session::Session;
use serde_json::{Value, json};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const PROMPT: &str = "I climbed up the pear tree and picked a pear. I climbed up the apple tree and picked";

/// A safetensors file taken apart: its header and its data.
struct Parts {
    header: Value,
    data: Vec<u8>,
}

fn parts() -> Parts {
    let end = 8 + u64::from_le_bytes(*WEIGHTS.first_chunk().unwrap()) as usize;
    Parts { header: serde_json::from_slice(&WEIGHTS[8..end]).unwrap(), data: WEIGHTS[end..].to_vec() }
}

impl Parts {
    fn file(&self) -> Vec<u8> {
        let header = serde_json::to_vec(&self.header).unwrap();
        let mut file = (header.len() as u64).to_le_bytes().to_vec();
        file.extend_from_slice(&header);
        file.extend_from_slice(&self.data);
        file
    }

    fn names(&self) -> Vec<String> {
        self.header.as_object().unwrap().keys().filter(|name| *name != "__metadata__").cloned().collect()
    }

    fn range(&self, name: &str) -> std::ops::Range<usize> {
        let at = |i: usize| self.header[name]["data_offsets"][i].as_u64().unwrap() as usize;
        at(0)..at(1)
    }

    /// The same tensors under other names and in another type.
    fn rewritten(&self, rename: impl Fn(&str) -> String, dtype: &str, narrow: impl Fn(f32) -> Vec<u8>) -> Parts {
        let (mut header, mut data) = (serde_json::Map::new(), Vec::new());
        for name in self.names() {
            let start = data.len();
            let values = self.data[self.range(&name)].as_chunks::<4>().0.iter().map(|&b| f32::from_le_bytes(b));
            data.extend(values.flat_map(&narrow));
            let shape = &self.header[&name]["shape"];
            header.insert(rename(&name), json!({"dtype": dtype, "shape": shape, "data_offsets": [start, data.len()]}));
        }
        Parts { header: header.into(), data }
    }
}

fn load(file: &[u8]) -> Result<Model> {
    Model::from_bytes(CONFIG, Some(TOKENIZER), file)
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

fn logits(model: Model) -> Vec<f32> {
    let options = PredictOptions { prompt: Prompt::Text(PROMPT.into()), top: usize::MAX, no_bos: false };
    match ask(&Session::new("test".into(), model), Request::Predict(options)).unwrap() {
        Answer::Prediction(mut prediction) => {
            prediction.top.sort_by_key(|candidate| candidate.id);
            prediction.top.iter().map(|candidate| candidate.logit).collect()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn names_may_carry_the_transformer_prefix() {
    let prefixed = parts().rewritten(|name| format!("transformer.{name}"), "F32", |x| x.to_le_bytes().to_vec());
    assert_eq!(logits(load(&prefixed.file()).unwrap()), logits(model()));
}

#[test]
fn a_tied_head_in_the_file_changes_nothing() {
    let mut parts = parts();
    let (start, wte) = (parts.data.len(), parts.data[parts.range("wte.weight")].to_vec());
    parts.data.extend(wte);
    let shape = parts.header["wte.weight"]["shape"].clone();
    parts.header["lm_head.weight"] = json!({"dtype": "F32", "shape": shape, "data_offsets": [start, parts.data.len()]});
    assert_eq!(logits(load(&parts.file()).unwrap()), logits(model()));
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

#[test]
fn pieces_of_any_size_make_the_same_model() {
    let whole = logits(model());
    for piece in [1 << 10, 4097, 100_003] {
        let mut loader = ModelLoader::new(CONFIG, Some(TOKENIZER), None).unwrap();
        WEIGHTS.chunks(piece).for_each(|chunk| loader.push(chunk).unwrap());
        assert_eq!(logits(loader.finish().unwrap()), whole, "pieces of {piece} bytes");
    }
}

#[test]
fn a_truncated_file_is_refused_wherever_it_is_cut() {
    for len in [0, 7, 8, 100, WEIGHTS.len() / 2, WEIGHTS.len() - 1] {
        assert!(refusal(&WEIGHTS[..len]).contains("cut short"), "cut at {len}: {}", refusal(&WEIGHTS[..len]));
        // also when nobody told how long the file should be
        let mut loader = ModelLoader::new(CONFIG, None, None).unwrap();
        loader.push(&WEIGHTS[..len]).unwrap();
        let message = loader.finish().err().unwrap().to_string();
        assert!(message.contains("cut short") && message.contains("Get the file again"), "{message}");
    }
}

#[test]
fn bytes_past_the_end_are_refused() {
    let longer = [WEIGHTS, b"more"].concat();
    assert!(refusal(&longer).contains("bytes where its header describes"));
    let mut loader = ModelLoader::new(CONFIG, None, None).unwrap();
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
fn parameters_in_an_unknown_type_are_refused() {
    let mut parts = parts();
    parts.header["ln_f.bias"]["dtype"] = json!("I32");
    assert!(refusal(&parts.file()).contains("other than f32, f16 and bf16"));
    parts.header["ln_f.bias"]["dtype"] = json!("Q4_0");
    assert!(refusal(&parts.file()).contains("Q4_0"));
}

#[test]
fn a_damaged_tokenizer_is_refused() {
    for file in [&b"{}"[..], b"", b"<html>", &TOKENIZER[..TOKENIZER.len() / 2]] {
        assert!(matches!(Model::from_bytes(CONFIG, Some(file), WEIGHTS), Err(Error::Tokenizer(_))));
    }
    let small = String::from_utf8(CONFIG.to_vec()).unwrap().replace("1257", "1000").replace("1256", "0");
    let message = Model::from_bytes(small.as_bytes(), Some(TOKENIZER), WEIGHTS).err().unwrap().to_string();
    assert!(message.contains("id 1256") && message.contains("999"), "{message}");
}

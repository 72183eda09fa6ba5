//! A safetensors file taken apart, and a model's logits: what tests of files need.

use peartree::model::Model;
use peartree::protocol::{Answer, PredictOptions, Prompt, Request};
use peartree::session::Session;
use serde_json::{Value, json};

use super::{WEIGHTS, ask};

pub const PROMPT: &str = "I climbed up the pear tree and picked a pear. I climbed up the apple tree and picked";

/// A safetensors file taken apart: its header and its data.
pub struct Parts {
    pub header: Value,
    pub data: Vec<u8>,
}

pub fn parts() -> Parts {
    let end = 8 + u64::from_le_bytes(*WEIGHTS.first_chunk().unwrap()) as usize;
    Parts { header: serde_json::from_slice(&WEIGHTS[8..end]).unwrap(), data: WEIGHTS[end..].to_vec() }
}

impl Parts {
    pub fn file(&self) -> Vec<u8> {
        let header = serde_json::to_vec(&self.header).unwrap();
        let mut file = (header.len() as u64).to_le_bytes().to_vec();
        file.extend_from_slice(&header);
        file.extend_from_slice(&self.data);
        file
    }

    pub fn names(&self) -> Vec<String> {
        self.header.as_object().unwrap().keys().filter(|name| *name != "__metadata__").cloned().collect()
    }

    pub fn range(&self, name: &str) -> std::ops::Range<usize> {
        let at = |i: usize| self.header[name]["data_offsets"][i].as_u64().unwrap() as usize;
        at(0)..at(1)
    }

    /// The same tensors under other names and in another type.
    pub fn rewritten(&self, rename: impl Fn(&str) -> String, dtype: &str, narrow: impl Fn(f32) -> Vec<u8>) -> Parts {
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

pub fn logits(model: Model) -> Vec<f32> {
    let options = PredictOptions { prompt: Prompt::Text(PROMPT.into()), top: usize::MAX, no_bos: false };
    match ask(&Session::new("test".into(), model), Request::Predict(options)).unwrap() {
        Answer::Prediction(mut prediction) => {
            prediction.top.sort_by_key(|candidate| candidate.id);
            prediction.top.iter().map(|candidate| candidate.logit).collect()
        }
        other => panic!("{other:?}"),
    }
}

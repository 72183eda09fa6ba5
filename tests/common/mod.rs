//! The oracle's model and figures, compiled in, so that the same tests run natively and in a browser.
#![allow(dead_code)] // each test file uses its part

pub mod models;
pub mod operations;
pub mod parts;
pub mod plain;

use peartree::engine::{Unhurried, complete};
use peartree::error::Result;
use peartree::model::{Model, WeightDtype};
use peartree::protocol::{Answer, Event, GenerateOptions, Prompt, Request};
use peartree::session::AnySession;
#[cfg(not(target_arch = "wasm32"))]
use peartree::session::{EngineKind, card};
use safetensors::SafeTensors;
use serde_json::Value;

pub const CONFIG: &[u8] = include_bytes!("../fixtures/model-p/config.json");
pub const TOKENIZER: &[u8] = include_bytes!("../fixtures/model-p/tokenizer.json");
pub const WEIGHTS: &[u8] = include_bytes!("../fixtures/model-p/model.safetensors");

/// The oracle's tolerance for an f32 engine.
pub const TOLERANCE: f32 = 1e-4;

macro_rules! pair {
    ($n:literal) => {
        Pair {
            json: include_bytes!(concat!("../fixtures/model-p/pair-", $n, ".json")),
            arrays: include_bytes!(concat!("../fixtures/model-p/pair-", $n, ".safetensors")),
        }
    };
}

const PAIRS: [Pair; 4] = [pair!("0"), pair!("1"), pair!("2"), pair!("3")];

struct Pair {
    json: &'static [u8],
    arrays: &'static [u8],
}

/// What the oracle says of one pair of prompts.
pub struct Oracle {
    pub json: Value,
    arrays: SafeTensors<'static>,
}

pub fn pairs() -> Vec<Oracle> {
    let read = |pair: Pair| Oracle {
        json: serde_json::from_slice(pair.json).unwrap(),
        arrays: SafeTensors::deserialize(pair.arrays).unwrap(),
    };
    PAIRS.into_iter().map(read).collect()
}

impl Oracle {
    pub fn text(&self, key: &str) -> &str {
        self.json[key].as_str().unwrap()
    }

    pub fn ids(&self, key: &str) -> Vec<u32> {
        serde_json::from_value(self.json[key].clone()).unwrap()
    }

    pub fn number(&self, key: &str) -> f32 {
        self.json[key].as_f64().unwrap() as f32
    }

    pub fn numbers(&self, key: &str) -> Vec<f32> {
        serde_json::from_value(self.json[key].clone()).unwrap()
    }

    /// A list of lists, row by row; a list stays as it is.
    pub fn grid(&self, key: &str) -> Vec<f32> {
        let rows = self.json[key].as_array().unwrap().iter();
        rows.flat_map(|row| match row {
            Value::Array(row) => row.iter().map(|value| value.as_f64().unwrap() as f32).collect(),
            value => vec![value.as_f64().unwrap() as f32],
        })
        .collect()
    }

    pub fn array(&self, key: &str) -> Vec<f32> {
        let view = self.arrays.tensor(key).unwrap();
        view.data().as_chunks::<4>().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect()
    }
}

/// What the oracle says of edits of pair 0's best neuron.
pub fn intervene() -> Value {
    serde_json::from_slice(include_bytes!("../fixtures/model-p/intervene.json")).unwrap()
}

/// The oracle's documents.
pub fn corpus() -> Vec<String> {
    serde_json::from_slice(include_bytes!("../fixtures/model-p/corpus.json")).unwrap()
}

pub fn model() -> Model {
    model_in(WeightDtype::F32)
}

pub fn model_in(dtype: WeightDtype) -> Model {
    Model::from_bytes(CONFIG, Some(TOKENIZER), WEIGHTS, dtype).unwrap()
}

/// Writes on with the likeliest token each time, nothing edited.
pub fn greedy(prompt: Prompt, max: usize) -> GenerateOptions {
    GenerateOptions {
        prompt,
        max,
        temperature: 0.0,
        top_k: None,
        top_p: None,
        seed: 0,
        set: vec![],
        clean: None,
        corrupted: None,
        corpus: vec![],
        no_bos: false,
    }
}

/// On the processor, or natively on the engine that PEARTREE_TEST_ENGINE names: so the same tests hold for the card.
pub fn session() -> AnySession {
    #[cfg(not(target_arch = "wasm32"))]
    if std::env::var("PEARTREE_TEST_ENGINE").is_ok_and(|engine| engine == "gpu") {
        let sink = EngineKind::Gpu.sink(card::open).unwrap();
        let model = Model::read(CONFIG, Some(TOKENIZER), WEIGHTS, WeightDtype::F32, sink).unwrap();
        return AnySession::of("model-p".into(), model).unwrap();
    }
    AnySession::cpu("model-p".into(), model())
}

pub fn ask(session: &AnySession, request: Request) -> Result<Answer> {
    complete(session.answer(&request, &Unhurried, |_: Event| ()))
}

/// Fails unless every figure is within the tolerance; says where the largest difference is.
#[track_caller]
pub fn assert_close(what: &str, ours: &[f32], oracle: &[f32]) {
    assert_eq!(ours.len(), oracle.len(), "{what}: lengths");
    assert!(!ours.is_empty(), "{what}: nothing to compare");
    for (at, (&a, &b)) in ours.iter().zip(oracle).enumerate() {
        assert!((a - b).abs() <= TOLERANCE, "{what}[{at}]: ours {a}, the oracle's {b}");
    }
}

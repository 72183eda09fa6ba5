//! What loading a model takes of memory: one tensor at a time for an engine that keeps its weights elsewhere, the weights
//! for one that keeps them here.
#![cfg(not(target_arch = "wasm32"))]

#[path = "common/memory.rs"]
mod memory;

use candle_core::Tensor;
use memory::most_held;
use peartree::error::Result;
use peartree::model::weights::{HEAD, parameters};
use peartree::model::{Config, Model, ModelLoader, Sink, SmallFiles, Tensors, WeightDtype};
use serde_json::{Map, json};

const CONFIG: &[u8] = br#"{"n_layer":3,"n_head":4,"n_embd":256,"n_positions":64,"vocab_size":4000}"#;
/// Of the embedding, the largest tensor, in f32.
const LARGEST: usize = 4 * 256 * 4000;
/// What a header and its names take, and a piece that is held against another tensor.
const SLACK: usize = 500_000;

/// Looks at each tensor and lets it go, as an engine does that holds its weights on a card.
#[derive(Default)]
struct Elsewhere {
    n: usize,
    bytes: usize,
}

impl Sink for Elsewhere {
    fn put(&mut self, _: &str, tensor: Tensor) -> Result<()> {
        self.n += 1;
        self.bytes += tensor.elem_count() * tensor.dtype().size_in_bytes();
        Ok(())
    }
}

/// A file of all parameters and, where there is one, a head whose last number is `last`.
fn file(last: Option<f32>) -> Vec<u8> {
    let (mut header, mut data) = (Map::new(), Vec::new());
    let all = parameters(&Config::from_json(CONFIG).unwrap()).collect::<Vec<_>>();
    let head = last.map(|_| (HEAD.to_owned(), all[0].1.clone()));
    for (name, shape) in all.into_iter().chain(head) {
        let start = data.len();
        data.extend((0..shape.iter().product()).flat_map(|at: usize| (at as f32 / 1e7).to_le_bytes()));
        header.insert(name, json!({"dtype": "F32", "shape": shape, "data_offsets": [start, data.len()]}));
    }
    if let Some(last) = last {
        let at = data.len() - 4;
        data[at..].copy_from_slice(&last.to_le_bytes());
    }
    let header = serde_json::to_vec(&header).unwrap();
    [&(header.len() as u64).to_le_bytes()[..], &header, &data].concat()
}

/// Loads a file in pieces of so many bytes; says what it took at its most.
fn load<S: Sink>(file: &[u8], piece: usize, dtype: WeightDtype, sink: S) -> (Model<S>, usize) {
    let small = SmallFiles { config: CONFIG.to_vec(), ..SmallFiles::default() };
    most_held(|| {
        let mut loader = ModelLoader::from_files(&small, dtype, sink).unwrap();
        file.chunks(piece).for_each(|bytes| loader.push(bytes).unwrap());
        loader.finish().unwrap()
    })
}

// one test, since others beside it would be counted too
#[test]
fn loading_takes_the_largest_tensor_or_the_weights_where_they_stay() {
    let last = (LARGEST / 4 - 1) as f32 / 1e7;
    // a head is held beside the embedding only from where it is seen to be another
    for (head, most) in [(None, 1), (Some(last), 1), (Some(1.0), 2)] {
        let file = file(head);
        for (piece, dtype) in [(100_000, WeightDtype::F32), (file.len(), WeightDtype::F32), (100_000, WeightDtype::F16)]
        {
            let what = format!("{head:?}, {piece}, {dtype:?}");
            let largest = LARGEST * dtype.bytes() as usize / 4;
            let (elsewhere, took) = load(&file, piece, dtype, Elsewhere::default());
            // beside an embedding that waits there is each of the others in its turn
            let other = if head.is_some() { largest / 4 } else { 0 };
            assert!(took < most * largest + other + SLACK, "{what}: {took} bytes");
            let (here, took) = load(&file, piece, dtype, Tensors::new());
            let weights = elsewhere.weights.bytes;
            assert!(took >= weights && took < weights + SLACK, "{what}: {took} bytes for {weights}");
            assert_eq!(here.weights.len(), elsewhere.weights.n, "{what}");
            assert_eq!(here.config.variant.tie_word_embeddings, head != Some(1.0), "{what}");
        }
    }
}

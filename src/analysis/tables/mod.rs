//! What is kept of all neurons times all tokens, and the file that it is kept in.
//!
//! # The file, version 2
//!
//! A `.safetensors` file. Its `__metadata__` holds `format` = `peartree-congruence`, `version` = `2`, `model` (the model's
//! hash, see [`model_hash`]), `convention` (`notebook`, `raw`, `unembed`,
//! and of models with an unembedding of their own `notebook-unembedding` and `raw-unembedding`), `k`, `n_layer`, `d_mlp`, `vocab`, and for every tensor `sha256.NAME`, the
//! SHA-256 of its bytes in hexadecimal. (Version 1 had no hashes: such a file is refused and made again.) With `N =
//! n_layer * d_mlp` neurons, counted through all layers, and `V` tokens, its tensors are
//!
//! | name | type | shape | |
//! |---|---|---|---|
//! | `neuron.ids` | u16 (u32 where V > 65536) | `[N, 2, k]` | tokens: the largest products, largest first; then the smallest, smallest first |
//! | `token.layers` | u8 | `[V, 2, k]` | neurons likewise: their layers |
//! | `token.neurons` | u16 | `[V, 2, k]` | … and their numbers in the layer |
//! | `*.ends` | f32 | `[rows, 2, 2]` | the first and the last of the k values of either side |
//! | `*.codes` | u16 | `[rows, 2, k]` | values: `first + (last - first) * code / 65535` |
//! | `*.wide_rows` | u32 | `[n]` | rows of which a side spans too much for codes to be good to 5e-5 |
//! | `*.wide_values` | f32 | `[n, 2, k]` | their values |
//! | `*.mean`, `*.sd`, `*.width` | f32 | `[rows]` | mean and standard deviation of the whole row; width of its intervals |
//! | `*.counts` | u16, or u32 | `[rows, 16]` | how many products lie in interval `i`, which begins at `mean + width (i - 8)`; the first and the last are open |
//!
//! where `*` is `neuron` and `token`. Counts are u32 where a row is longer than 65535. For GPT-2 Large at k = 16 that is 188
//! bytes a neuron and 252 a token: 47.3 MB.
//!
//! The reader trusts nothing: it takes a file for damaged unless every tensor is there with its type and shape, every
//! id is within the model, values are finite and in order, and every row's counts add up.

mod bytes;
pub mod checkpoint;
mod hash;
mod read;
mod write;

use crate::engine::Extremes;
use crate::error::{Error, Result};
use crate::model::Config;
use crate::protocol::Convention;
pub use hash::{model_hash, sha256};
pub use read::read;
pub use write::write;

const FORMAT: &str = "peartree-congruence";
const VERSION: &str = "2";

/// What a table is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    /// The model's hash.
    pub model: String,
    pub convention: Convention,
    pub n_layer: usize,
    pub d_mlp: usize,
    pub vocab: usize,
}

impl About {
    pub fn of(config: &Config, convention: Convention, model: String) -> Self {
        About { model, convention, n_layer: config.n_layer, d_mlp: config.d_mlp, vocab: config.vocab_size }
    }

    pub fn n_neurons(&self) -> usize {
        self.n_layer * self.d_mlp
    }

    /// # Errors
    /// [`Error::Table`] unless the table is this model's; [`Error::BadOption`] for a convention that isn't.
    pub fn check(&self, config: &Config, model: &str) -> Result<()> {
        self.convention.check(&config.variant)?;
        let ours = About::of(config, self.convention, model.to_owned());
        if *self == ours {
            return Ok(());
        }
        Err(Error::Table(format!(
            "belongs to another model: its hash begins with {}, this model's with {}. Weights that differ in a single \
             number, or are held as f16 in place of f32, are another model. Compute the table here, or get the right one.",
            beginning(&self.model),
            beginning(model)
        )))
    }
}

fn beginning(hash: &str) -> String {
    hash.chars().take(12).collect()
}

/// All neurons against all tokens.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    pub about: About,
    /// By neuron, counted through all layers: tokens.
    pub neurons: Extremes,
    /// By token: neurons.
    pub tokens: Extremes,
}

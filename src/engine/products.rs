//! Weights against weights: the coarse operations behind congruence, which need no prompt.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::Engine;
use super::extremes::{Entry, Extremes};
use super::vector::{centre, dot};
use crate::error::{Error, Result};
use crate::model::Config;
use crate::model::weights::{EMBEDDING, HEAD};

/// Rows of a matrix that are read at once.
const ROWS: usize = 4096;
/// What kernels take of a block's rows at once divides this.
pub const ROOM: usize = 64;

/// Which of a model's two matrices of tokens, each `[vocab, d_model]`; often they are one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum TokenRows {
    Embedding,
    Unembedding,
}

impl TokenRows {
    /// The parameter's canonical name.
    pub fn name(self, config: &Config) -> &'static str {
        match self {
            TokenRows::Unembedding if !config.variant.tie_word_embeddings => HEAD,
            _ => EMBEDDING,
        }
    }
}

/// What an engine can do with a model's weights alone. Like [`Engine`], coarse and async, so that a GPU can keep the
/// products on the card.
#[allow(async_fn_in_trait)] // futures stay on the thread that made them
pub trait Products: Engine {
    /// Rows of `W_out`: what each of a layer's neurons writes at activation 1, `[neurons, d_model]`.
    async fn output_weights(&self, layer: usize, neurons: Range<usize>) -> Result<Vec<f32>> {
        check_neurons(self.config(), layer, &neurons)?;
        self.parameter(&format!("h.{layer}.mlp.c_proj.weight"), neurons).await
    }

    /// A neuron's column of `W_in`, `[d_model]`.
    async fn input_column(&self, layer: usize, neuron: usize) -> Result<Vec<f32>> {
        let (d_model, d_mlp) = (self.config().d_model, self.config().d_mlp);
        let weights = self.parameter(&format!("h.{layer}.mlp.c_fc.weight"), 0..d_model).await?;
        Ok(weights.iter().skip(neuron).step_by(d_mlp).copied().collect())
    }

    /// What a neuron reads.
    async fn input_weights(&self, layer: usize, neuron: usize) -> Result<InputWeights> {
        check_neurons(self.config(), layer, &(neuron..neuron + 1))?;
        let raw = self.input_column(layer, neuron).await?;
        let scale = self.parameter(&format!("h.{layer}.ln_2.weight"), 0..1).await?;
        let shift = self.parameter(&format!("h.{layer}.ln_2.bias"), 0..1).await?;
        let mut folded: Vec<f32> = raw.iter().zip(&scale).map(|(weight, scale)| weight * scale).collect();
        centre(&mut folded);
        let bias = self.parameter(&format!("h.{layer}.mlp.c_fc.bias"), 0..1).await?[neuron];
        let folded_bias = bias + dot(&raw, &shift);
        Ok(InputWeights { raw, folded, bias, folded_bias })
    }

    /// Some tokens' rows, `[tokens, d_model]`.
    async fn token_rows(&self, of: TokenRows, tokens: &[u32]) -> Result<Vec<f32>> {
        let mut rows = Vec::with_capacity(tokens.len() * self.config().d_model);
        for &token in tokens {
            rows.extend(self.token_row(of, token).await?);
        }
        Ok(rows)
    }

    /// The mean of all tokens' rows, `[d_model]`.
    async fn mean_row(&self, of: TokenRows) -> Result<Vec<f64>> {
        let mut sums = vec![0.0; self.config().d_model];
        for rows in pieces(self.config().vocab_size) {
            for row in self.parameter(of.name(self.config()), rows).await?.chunks_exact(sums.len()) {
                sums.iter_mut().zip(row).for_each(|(sum, &value)| *sum += f64::from(value));
            }
        }
        let n_tokens = self.config().vocab_size as f64;
        Ok(sums.into_iter().map(|sum| sum / n_tokens).collect())
    }

    /// The final LayerNorm's weight, `[d_model]`.
    async fn final_weight(&self) -> Result<Vec<f32>> {
        self.parameter("ln_f.weight", 0..1).await
    }

    /// The product of every token's row with `direction [d_model]`: `[vocab]`.
    async fn token_products(&self, of: TokenRows, direction: &[f32]) -> Result<Vec<f32>> {
        let mut products = Vec::with_capacity(self.config().vocab_size);
        for rows in pieces(self.config().vocab_size) {
            let rows = self.parameter(of.name(self.config()), rows).await?;
            products.extend(rows.chunks_exact(direction.len()).map(|row| dot(row, direction)));
        }
        Ok(products)
    }

    /// Products of some tokens' rows with those of a block: `[tokens, rows]`.
    async fn project(&self, of: TokenRows, block: &Block, tokens: Range<usize>) -> Result<Vec<f32>> {
        block.check(self.config(), &tokens)?;
        let rows = self.parameter(of.name(self.config()), tokens).await?;
        let mut products = Vec::new();
        for row in rows.chunks_exact(self.config().d_model) {
            let mut sums = block.offsets.clone();
            for (value, column) in row.iter().zip(block.by_column.chunks_exact(block.stride)) {
                sums.iter_mut().zip(column).for_each(|(sum, weight)| *sum += value * weight);
            }
            products.extend_from_slice(&sums[..block.rows]);
        }
        Ok(products)
    }

    /// As [`Products::project`], but of the products only what stands out is kept: `by_token` covers the whole
    /// vocabulary, `by_row` the block's rows.
    async fn project_topk(
        &self,
        of: TokenRows,
        block: &Block,
        tokens: Range<usize>,
        by_token: &mut Extremes,
        by_row: &mut Extremes,
    ) -> Result<()> {
        let products = self.project(of, block, tokens.clone()).await?;
        for (token, products) in tokens.zip(products.chunks_exact(block.rows)) {
            for (row, &value) in products.iter().enumerate() {
                by_token.see(token, Entry { value, id: (block.first + row) as u32 });
                by_row.see(row, Entry { value, id: token as u32 });
            }
        }
        Ok(())
    }
}

/// # Errors
/// [`Error::BadOption`] for neurons that the model doesn't have.
pub fn check_neurons(config: &Config, layer: usize, neurons: &Range<usize>) -> Result<()> {
    if layer < config.n_layer && neurons.end <= config.d_mlp {
        return Ok(());
    }
    let problem = format!(
        "names a neuron that this model doesn't have: its layers are 0 to {}, each with neurons 0 to {}.",
        config.n_layer - 1,
        config.d_mlp - 1
    );
    Err(Error::BadOption { option: "neuron", problem })
}

/// `0..len` in pieces.
pub fn pieces(len: usize) -> impl Iterator<Item = Range<usize>> {
    (0..len).step_by(ROWS).map(move |start| start..len.min(start + ROWS))
}

/// What a neuron reads, before its activation function.
#[derive(Debug, Clone, PartialEq)]
pub struct InputWeights {
    /// Its column of `W_in`, `[d_model]`.
    pub raw: Vec<f32>,
    /// With LayerNorm 2's scale folded in and centred, `[d_model]`.
    pub folded: Vec<f32>,
    pub bias: f32,
    /// With LayerNorm 2's bias folded in.
    pub folded_bias: f32,
}

/// Vectors of the residual stream, each with a number that is added to its products, laid out to be multiplied with all
/// tokens' rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Block {
    /// Number of the first row among all the rows that blocks are made of.
    pub first: usize,
    pub rows: usize,
    /// Rows with room for what kernels take at once; those beyond `rows` are zero.
    pub stride: usize,
    /// The vectors side by side, `[d_model, stride]`.
    pub by_column: Vec<f32>,
    /// `[stride]`
    pub offsets: Vec<f32>,
}

impl Block {
    /// From `vectors [rows, d_model]` and `offsets [rows]`.
    pub fn new(first: usize, vectors: &[f32], offsets: &[f32], d_model: usize) -> Self {
        let rows = offsets.len();
        let stride = rows.next_multiple_of(ROOM);
        let mut by_column = vec![0.0; d_model * stride];
        for (row, vector) in vectors.chunks_exact(d_model).enumerate() {
            for (column, &value) in vector.iter().enumerate() {
                by_column[column * stride + row] = value;
            }
        }
        let mut offsets = offsets.to_vec();
        offsets.resize(stride, 0.0);
        Block { first, rows, stride, by_column, offsets }
    }

    /// # Errors
    /// [`Error::Unsupported`] for a block of another model's vectors, or tokens that this one doesn't have.
    pub fn check(&self, config: &Config, tokens: &Range<usize>) -> Result<()> {
        if tokens.end > config.vocab_size || self.by_column.len() != config.d_model * self.stride {
            return Err(Error::Unsupported("This block of weights is another model's.".into()));
        }
        Ok(())
    }
}

//! Weights against weights: the coarse operations behind congruence, which need no prompt.

use std::ops::Range;

use super::cpu::kernels::scan::COLUMNS;
use super::{Engine, Extremes};
use crate::error::Result;

/// Which of a model's two matrices of tokens, each `[vocab, d_model]`; often they are one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenRows {
    Embedding,
    Unembedding,
}

/// What an engine can do with a model's weights alone. Like [`Engine`], coarse and async, so that a GPU can keep the
/// products on the card.
#[allow(async_fn_in_trait)] // futures stay on the thread that made them
pub trait Products: Engine {
    /// Rows of `W_out`: what each of a layer's neurons writes at activation 1, `[neurons, d_model]`.
    async fn output_weights(&self, layer: usize, neurons: Range<usize>) -> Result<Vec<f32>>;

    /// What a neuron reads.
    async fn input_weights(&self, layer: usize, neuron: usize) -> Result<InputWeights>;

    /// Some tokens' rows, `[tokens, d_model]`.
    async fn token_rows(&self, of: TokenRows, tokens: &[u32]) -> Result<Vec<f32>>;

    /// The mean of all tokens' rows, `[d_model]`.
    async fn mean_row(&self, of: TokenRows) -> Result<Vec<f64>>;

    /// The final LayerNorm's weight, `[d_model]`.
    async fn final_weight(&self) -> Result<Vec<f32>>;

    /// The product of every token's row with `direction [d_model]`: `[vocab]`.
    async fn token_products(&self, of: TokenRows, direction: &[f32]) -> Result<Vec<f32>>;

    /// Products of some tokens' rows with those of a block: `[tokens, rows]`.
    async fn project(&self, of: TokenRows, block: &Block, tokens: Range<usize>) -> Result<Vec<f32>>;

    /// As [`Products::project`], but of the products only what stands out is kept: `by_token` covers the whole
    /// vocabulary, `by_row` the block's rows.
    async fn project_topk(
        &self,
        of: TokenRows,
        block: &Block,
        tokens: Range<usize>,
        by_token: &mut Extremes,
        by_row: &mut Extremes,
    ) -> Result<()>;
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
#[derive(Debug, Clone, PartialEq)]
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
        let stride = rows.next_multiple_of(COLUMNS);
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
}

//! Products of weights with weights, on the kernels that run the model.

use std::cell::RefCell;
use std::ops::Range;

use candle_core::Tensor;

use super::kernels::matmul::{linear, linear_transposed};
use super::kernels::{norm, scan};
use super::values::values;
use super::{CpuEngine, check_rows};
use crate::engine::products::{Block, InputWeights, Products, TokenRows};
use crate::engine::{Engine, Extremes};
use crate::error::{Error, Result};
use crate::model::weights::in_f32;

/// Rows of a matrix that are widened at once, where its weights aren't f32.
const ROWS: usize = 4096;

thread_local! {
    /// A tile of products, before what stands out is taken.
    static TILE: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

impl Products for CpuEngine {
    async fn output_weights(&self, layer: usize, neurons: Range<usize>) -> Result<Vec<f32>> {
        self.check_neurons(layer, &neurons)?;
        let rows = rows_of(&self.weights.blocks[layer].mlp_c_proj.weight, neurons)?;
        let rows = values(&rows)?;
        Ok(rows.to_vec())
    }

    async fn input_weights(&self, layer: usize, neuron: usize) -> Result<InputWeights> {
        self.check_neurons(layer, &(neuron..neuron + 1))?;
        let block = &self.weights.blocks[layer];
        let column = in_f32(&block.c_fc.weight.narrow(1, neuron, 1)?)?.contiguous()?;
        let raw = values(&column)?.to_vec();
        let (scale, shift) = (values(&block.ln_2.weight)?, values(&block.ln_2.bias)?);
        let mut folded: Vec<f32> = raw.iter().zip(scale.iter()).map(|(weight, scale)| weight * scale).collect();
        // what all entries of the residual stream share is taken out by the LayerNorm
        let mean = norm::mean(&folded);
        folded.iter_mut().for_each(|weight| *weight -= mean);
        let bias = values(&block.c_fc.bias)?[neuron];
        let shifted: f32 = raw.iter().zip(shift.iter()).map(|(weight, shift)| weight * shift).sum();
        Ok(InputWeights { raw, folded, bias, folded_bias: bias + shifted })
    }

    async fn token_rows(&self, of: TokenRows, tokens: &[u32]) -> Result<Vec<f32>> {
        let mut rows = Vec::with_capacity(tokens.len() * self.config.d_model);
        for &token in tokens {
            check_rows(&self.config, &[&[token]], 1)?;
            rows.extend_from_slice(&values(&rows_of(self.matrix_of(of), token as usize..token as usize + 1)?)?);
        }
        Ok(rows)
    }

    async fn mean_row(&self, of: TokenRows) -> Result<Vec<f64>> {
        let mut sums = vec![0.0; self.config.d_model];
        for rows in pieces(self.config.vocab_size) {
            let rows = rows_of(self.matrix_of(of), rows)?;
            for row in values(&rows)?.chunks_exact(self.config.d_model) {
                sums.iter_mut().zip(row).for_each(|(sum, &value)| *sum += f64::from(value));
            }
        }
        let n_tokens = self.config.vocab_size as f64;
        Ok(sums.into_iter().map(|sum| sum / n_tokens).collect())
    }

    async fn final_weight(&self) -> Result<Vec<f32>> {
        Ok(values(&self.weights.ln_f.weight)?.to_vec())
    }

    async fn token_products(&self, of: TokenRows, direction: &[f32]) -> Result<Vec<f32>> {
        let mut products = vec![0.0; self.config.vocab_size];
        for rows in pieces(self.config.vocab_size) {
            let out = &mut products[rows.clone()];
            linear_transposed(direction, &values(&rows_of(self.matrix_of(of), rows)?)?, self.config.d_model, out);
        }
        Ok(products)
    }

    async fn project(&self, of: TokenRows, block: &Block, tokens: Range<usize>) -> Result<Vec<f32>> {
        let mut tile = vec![0.0; tokens.len() * block.stride];
        self.tile(of, block, tokens, &mut tile)?;
        Ok(tile.chunks_exact(block.stride).flat_map(|row| &row[..block.rows]).copied().collect())
    }

    async fn project_topk(
        &self,
        of: TokenRows,
        block: &Block,
        tokens: Range<usize>,
        by_token: &mut Extremes,
        by_row: &mut Extremes,
    ) -> Result<()> {
        TILE.with_borrow_mut(|tile| {
            tile.resize(tokens.len() * block.stride, 0.0);
            self.tile(of, block, tokens.clone(), tile)?;
            scan::tile(tile, block.stride, tokens, block.first, by_token, by_row);
            Ok(())
        })
    }
}

impl CpuEngine {
    fn matrix_of(&self, of: TokenRows) -> &Tensor {
        match of {
            TokenRows::Embedding => &self.weights.wte,
            TokenRows::Unembedding => self.weights.unembedding(),
        }
    }

    /// `tile [tokens, stride]`: products of the tokens' rows with the block's.
    fn tile(&self, of: TokenRows, block: &Block, tokens: Range<usize>, tile: &mut [f32]) -> Result<()> {
        let config = self.config();
        if tokens.end > config.vocab_size || block.by_column.len() != config.d_model * block.stride {
            return Err(Error::Unsupported("This block of weights is another model's.".into()));
        }
        let rows = rows_of(self.matrix_of(of), tokens)?;
        linear(&values(&rows)?, &block.by_column, Some(&block.offsets), block.stride, false, tile);
        Ok(())
    }

    fn check_neurons(&self, layer: usize, neurons: &Range<usize>) -> Result<()> {
        let (n_layer, d_mlp) = (self.config.n_layer, self.config.d_mlp);
        if layer < n_layer && neurons.end <= d_mlp {
            return Ok(());
        }
        let problem = format!(
            "names a neuron that this model doesn't have: its layers are 0 to {}, each with neurons 0 to {}.",
            n_layer - 1,
            d_mlp - 1
        );
        Err(Error::BadOption { option: "neuron", problem })
    }
}

/// Rows of a matrix, in f32; no copy where it is f32 already.
fn rows_of(matrix: &Tensor, rows: Range<usize>) -> Result<Tensor> {
    Ok(in_f32(&matrix.narrow(0, rows.start, rows.len())?)?)
}

fn pieces(len: usize) -> impl Iterator<Item = Range<usize>> {
    (0..len).step_by(ROWS).map(move |start| start..len.min(start + ROWS))
}

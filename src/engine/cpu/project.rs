//! Products of weights with weights, on the kernels that run the model.

use std::cell::RefCell;
use std::ops::Range;

use candle_core::Tensor;

use super::CpuEngine;
use super::kernels::matmul::{linear, linear_transposed};
use super::kernels::scan;
use super::values::values;
use crate::engine::Extremes;
use crate::engine::products::{Block, Products, ROOM, TokenRows, pieces};
use crate::error::Result;
use crate::model::weights::in_f32;

const _: () = assert!(ROOM.is_multiple_of(scan::COLUMNS), "a block has room for whole groups of columns");

thread_local! {
    /// A tile of products, before what stands out is taken.
    static TILE: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

impl Products for CpuEngine {
    async fn input_column(&self, layer: usize, neuron: usize) -> Result<Vec<f32>> {
        let column = in_f32(&self.weights.blocks[layer].c_fc.weight.narrow(1, neuron, 1)?)?.contiguous()?;
        Ok(values(&column)?.to_vec())
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
        block.check(&self.config, &tokens)?;
        let rows = rows_of(self.matrix_of(of), tokens)?;
        linear(&values(&rows)?, &block.by_column, Some(&block.offsets), block.stride, false, tile);
        Ok(())
    }
}

/// Rows of a matrix, in f32; no copy where it is f32 already.
fn rows_of(matrix: &Tensor, rows: Range<usize>) -> Result<Tensor> {
    Ok(in_f32(&matrix.narrow(0, rows.start, rows.len())?)?)
}

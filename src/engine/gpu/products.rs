//! Products of weights with weights, on the card.

use std::ops::Range;

use super::GpuEngine;
use super::matrix::padded;
use crate::engine::products::{Block, Products, TokenRows};
use crate::error::Result;

impl Products for GpuEngine {
    async fn input_column(&self, layer: usize, neuron: usize) -> Result<Vec<f32>> {
        // a matrix times the vector that is 1 at one place is its column there, without the rest of it coming back
        let mut place = vec![0; padded(self.config.d_mlp)];
        place[neuron] = 1f32.to_bits();
        let weight = &self.weights.blocks[layer].c_fc.weight;
        let column = self.card.room(padded(weight.rows));
        self.card.transposed(&self.card.upload(&place), 1, weight, 0..weight.rows, &column);
        Ok(self.card.read(&[(&column, 0, weight.rows)]).await?.concat())
    }

    async fn token_products(&self, of: TokenRows, direction: &[f32]) -> Result<Vec<f32>> {
        let vocab = self.config.vocab_size;
        let products = self.card.room(padded(vocab));
        let matrix = self.weights.matrix(of.name(&self.config))?;
        self.card.transposed(&self.rows(direction), 1, matrix, 0..vocab, &products);
        Ok(self.card.read(&[(&products, 0, vocab)]).await?.concat())
    }

    async fn project(&self, of: TokenRows, block: &Block, tokens: Range<usize>) -> Result<Vec<f32>> {
        block.check(&self.config, &tokens)?;
        let matrix = self.weights.matrix(of.name(&self.config))?;
        // the kernel takes the block's vectors one after the other, and gives a row for each
        let vector = |row: usize| block.by_column.iter().skip(row).step_by(block.stride).copied();
        let vectors: Vec<f32> = (0..block.rows).flat_map(vector).collect();
        let stride = padded(tokens.len());
        let products = self.card.room(block.rows * stride);
        self.card.transposed(&self.rows(&vectors), block.rows, matrix, tokens.clone(), &products);
        let products = self.card.read(&[(&products, 0, block.rows * stride)]).await?.concat();
        let of_token = |token: usize| {
            let products = products.iter().skip(token).step_by(stride).zip(&block.offsets);
            products.map(|(product, offset)| product + offset)
        };
        Ok((0..tokens.len()).flat_map(of_token).collect())
    }
}

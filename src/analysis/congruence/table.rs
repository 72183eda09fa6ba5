//! All neurons against all tokens, in tiles; of the products only what stands out is kept.
//!
//! Neurons go by in blocks, and tokens past each block in tiles. Means are known before: a row's is the product with the
//! mean of all others. The histograms' widths are half a standard deviation, estimated from a few of the products; the
//! deviation that is kept is that of all. Between two tiles the making can be left, kept as bytes, and gone on with.

use std::ops::Range;

use super::{Weighing, dot};
use crate::analysis::tables::{About, Table};
use crate::engine::extremes::{Extremes, Spread};
use crate::engine::products::Block;
use crate::engine::{Control, Products};
use crate::error::{Error, Result};
use crate::model::Config;
use crate::protocol::Convention;

/// Neurons of a block.
const BLOCK: usize = 512;
/// Tokens of a tile: with the block's size, a tile of products fits a second-level cache.
const TILE: usize = 512;
/// Products that a width is estimated from, in runs of neighbours from all over.
const SAMPLE: usize = 128;
const RUN: usize = 16;
/// A histogram's interval, in standard deviations.
const INTERVAL: f32 = 0.5;
/// So that a row of equal products can be divided by its width.
const LEAST_WIDTH: f32 = 1e-30;

/// A table on its way.
pub struct Making {
    pub about: About,
    pub k: usize,
    weighing: Weighing,
    /// The mean of the tokens' rows.
    mean_row: Vec<f64>,
    /// The blocks that are done.
    pub neurons: Extremes,
    pub tokens: Extremes,
    current: Option<Current>,
}

/// The block that tokens go past.
struct Current {
    block: Block,
    found: Extremes,
    next_token: usize,
}

impl Making {
    /// Nothing done yet; `hash` is the model's, as [`crate::analysis::tables::model_hash`] finds it.
    ///
    /// # Errors
    /// [`Error::BadOption`] for a `k` that makes no table; what the engine fails with.
    pub async fn new<E: Products>(
        engine: &E,
        convention: Convention,
        k: usize,
        hash: String,
        control: &impl Control,
    ) -> Result<Self> {
        let config = engine.config();
        let k = checked_k(config, k)?;
        let weighing = Weighing::new(engine, convention).await?;
        let mean_row = engine.mean_row(weighing.rows()).await?;
        let tokens = token_spreads(engine, &weighing, control).await?;
        Ok(Making {
            about: About::of(config, convention, hash),
            k,
            weighing,
            mean_row,
            neurons: Extremes::new(k, Vec::new()),
            tokens: Extremes::new(k, tokens),
            current: None,
        })
    }

    /// Where another session was: the blocks it had done, and what it had seen of the tokens and of the block it was at.
    ///
    /// # Errors
    /// What the engine fails with.
    pub async fn resumed<E: Products>(engine: &E, about: About, parts: Parts) -> Result<Self> {
        let weighing = Weighing::new(engine, about.convention).await?;
        let mean_row = engine.mean_row(weighing.rows()).await?;
        let mut making = Making {
            k: parts.neurons.k(),
            weighing,
            mean_row,
            neurons: parts.neurons,
            tokens: parts.tokens,
            current: None,
            about,
        };
        if let Some((found, next_token)) = parts.current {
            let (block, _) = making.next_block(engine).await?;
            making.current = Some(Current { block, found, next_token });
        }
        Ok(making)
    }

    /// What [`Making::resumed`] needs, besides what the table is about.
    pub fn parts(&self) -> (&Extremes, &Extremes, Option<(&Extremes, usize)>) {
        let current = self.current.as_ref().map(|current| (&current.found, current.next_token));
        (&self.neurons, &self.tokens, current)
    }

    /// Neurons of the block that comes after the first `done`.
    pub fn block_after(about: &About, done: usize) -> usize {
        BLOCK.min(about.n_neurons() - done)
    }

    /// Products done, and all there are.
    pub fn progress(&self) -> (f64, f64) {
        let vocab = self.about.vocab as f64;
        let done = self.neurons.spreads().len() as f64 * vocab;
        let current = self.current.as_ref().map_or(0.0, |c| c.found.spreads().len() as f64 * c.next_token as f64);
        (done + current, self.about.n_neurons() as f64 * vocab)
    }

    /// One more tile; true when all are done.
    ///
    /// # Errors
    /// What the engine fails with.
    pub async fn step<E: Products>(&mut self, engine: &E) -> Result<bool> {
        if self.neurons.spreads().len() == self.about.n_neurons() {
            return Ok(true);
        }
        let mut current = match self.current.take() {
            Some(current) => current,
            None => {
                let (block, found) = self.next_block(engine).await?;
                Current { block, found, next_token: 0 }
            }
        };
        let tile = current.next_token..self.about.vocab.min(current.next_token + TILE);
        current.next_token = tile.end;
        engine.project_topk(self.weighing.rows(), &current.block, tile, &mut self.tokens, &mut current.found).await?;
        if current.next_token < self.about.vocab {
            self.current = Some(current);
            return Ok(false);
        }
        self.neurons.append(current.found);
        Ok(self.neurons.spreads().len() == self.about.n_neurons())
    }

    /// The whole table, once [`Making::step`] has said so.
    ///
    /// # Errors
    /// [`Error::Unsupported`] before; [`Error::Table`] where a checkpoint or the weights led to what is no number.
    pub fn finish(self) -> Result<Table> {
        let Making { about, neurons, tokens, .. } = self;
        if neurons.spreads().len() < about.n_neurons() {
            return Err(Error::Unsupported("This table isn't finished.".into()));
        }
        let is_sound = |rows: &Extremes, end: usize| {
            rows.entries().iter().all(|entry| entry.value.is_finite() && (entry.id as usize) < end)
        };
        if !is_sound(&neurons, about.vocab) || !is_sound(&tokens, about.n_neurons()) {
            return Err(Error::Table("holds what is no number. Drop it and compute it again.".into()));
        }
        Ok(Table { about, neurons, tokens })
    }

    async fn next_block<E: Products>(&self, engine: &E) -> Result<(Block, Extremes)> {
        let done = self.neurons.spreads().len();
        let range = done..done + Self::block_after(&self.about, done);
        let found = self.weighing.vectors(engine, range.clone()).await?;
        let d_model = engine.config().d_model;
        let rows = found.vectors.chunks_exact(d_model).zip(&found.offsets);
        let means: Vec<f32> =
            rows.map(|(vector, offset)| (dot(vector, &self.mean_row) + f64::from(*offset)) as f32).collect();
        let block = Block::new(range.start, &found.vectors, &found.offsets, d_model);
        let mut squares = vec![0.0; means.len()];
        let mut count = 0;
        for tokens in sample(self.about.vocab) {
            count += tokens.len();
            for row in engine.project(self.weighing.rows(), &block, tokens).await?.chunks_exact(means.len()) {
                add_squares(row, &means, &mut squares);
            }
        }
        let spreads = means.iter().zip(&squares).map(|(&mean, &squares)| spread(mean, squares, count));
        let found = Extremes::new(self.k, spreads.collect());
        Ok((block, found))
    }
}

/// What was kept of a table on its way.
pub struct Parts {
    pub neurons: Extremes,
    pub tokens: Extremes,
    pub current: Option<(Extremes, usize)>,
}

/// As many as there are to keep; a gap needs two.
fn checked_k(config: &Config, k: usize) -> Result<usize> {
    if !(2..=64).contains(&k) {
        return Err(Error::BadOption { option: "top-k", problem: "must be from 2 to 64.".into() });
    }
    let most = config.vocab_size.min(config.n_layer * config.d_mlp);
    if most < 2 {
        return Err(Error::Unsupported("This model has a single token or neuron: there is nothing to search.".into()));
    }
    Ok(k.min(most))
}

/// Mean and estimated width of every token's congruences.
async fn token_spreads<E: Products>(engine: &E, weighing: &Weighing, control: &impl Control) -> Result<Vec<Spread>> {
    let config = engine.config();
    let (d_model, n_neurons) = (config.d_model, config.n_layer * config.d_mlp);
    let (mut sum, mut offset) = (vec![0.0; d_model], 0.0);
    for start in (0..n_neurons).step_by(BLOCK) {
        let found = weighing.vectors(engine, start..n_neurons.min(start + BLOCK)).await?;
        for vector in found.vectors.chunks_exact(d_model) {
            sum.iter_mut().zip(vector).for_each(|(sum, &value)| *sum += f64::from(value));
        }
        offset += found.offsets.iter().map(|&offset| f64::from(offset)).sum::<f64>();
        control.breathe().await?;
    }
    let mean: Vec<f32> = sum.iter().map(|sum| (sum / n_neurons as f64) as f32).collect();
    let mean_offset = (offset / n_neurons as f64) as f32;
    let products = engine.token_products(weighing.rows(), &mean).await?;
    let means: Vec<f32> = products.iter().map(|product| product + mean_offset).collect();
    let (mut vectors, mut offsets) = (Vec::new(), Vec::new());
    for neurons in sample(n_neurons) {
        let found = weighing.vectors(engine, neurons).await?;
        vectors.extend(found.vectors);
        offsets.extend(found.offsets);
    }
    let block = Block::new(0, &vectors, &offsets, d_model);
    let mut spreads = Vec::with_capacity(config.vocab_size);
    for start in (0..config.vocab_size).step_by(TILE) {
        let tokens = start..config.vocab_size.min(start + TILE);
        let products = engine.project(weighing.rows(), &block, tokens.clone()).await?;
        for (row, &mean) in products.chunks_exact(block.rows).zip(&means[tokens]) {
            let squares = row.iter().map(|&value| f64::from(value - mean).powi(2)).sum();
            spreads.push(spread(mean, squares, row.len()));
        }
        control.breathe().await?;
    }
    Ok(spreads)
}

/// Runs of neighbours from all over `0..len`.
fn sample(len: usize) -> Vec<Range<usize>> {
    if len <= SAMPLE {
        return std::iter::once(0..len).collect();
    }
    let runs = SAMPLE / RUN;
    (0..runs).map(|run| run * (len - RUN) / (runs - 1)).map(|start| start..start + RUN).collect()
}

fn add_squares(row: &[f32], means: &[f32], squares: &mut [f64]) {
    for ((squares, &value), &mean) in squares.iter_mut().zip(row).zip(means) {
        *squares += f64::from(value - mean).powi(2);
    }
}

fn spread(mean: f32, squares: f64, count: usize) -> Spread {
    let deviation = (squares / count.max(1) as f64).sqrt() as f32;
    Spread::new(mean, (INTERVAL * deviation).max(LEAST_WIDTH))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_lie_within_and_reach_both_ends() {
        for len in [1, 127, 128, 129, 1257, 50257] {
            let runs = sample(len);
            assert_eq!(runs[0].start, 0);
            assert_eq!(runs.last().map(|run| run.end), Some(len));
            assert!(runs.windows(2).all(|pair| pair[0].start < pair[1].start));
        }
    }
}

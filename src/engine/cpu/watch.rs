//! Many prompts' neurons, watched in passing: what a corpus is read with.

use std::collections::{BTreeSet, HashMap};
use std::sync::{MutexGuard, PoisonError};

use super::CpuEngine;
use super::kernels::matmul::linear_transposed;
use super::matrix::matrix;
use super::rows::RowHooks;
use crate::engine::plan::Segment;
use crate::engine::site::{BlockSite, Site};
use crate::engine::vector::dot;
use crate::engine::{Activation, Control, FinalNorm, check_ids, check_rows, logit_rows};
use crate::error::Result;

/// Tokens that a row's candidates are held against before all of them are: an eighth of the vocabulary, at most this many. A vocabulary
/// is in order of its merges, so the first ones are the commonest, and nearly every row prefers one of them to a
/// candidate that isn't its likeliest token.
const COMMON: usize = 1024;
/// Two kernels' sums of the same logit differ by less than this share of it, and by less than this.
const DOUBT: f32 = 1e-3;

impl CpuEngine {
    pub(super) async fn watch(
        &self,
        prompts: &[&[u32]],
        layers: &BTreeSet<usize>,
        to_end: bool,
        control: &impl Control,
        on_layer: impl FnMut(usize, &[f32]),
    ) -> Result<Activation> {
        prompts.iter().try_for_each(|prompt| check_rows(&self.config, &[prompt]))?;
        let mut hooks = Watch { layers, on_layer };
        let mut stream = self.embed(prompts, 0, &mut hooks)?;
        let wanted = layers.last().map_or(0, |last| last + 1);
        let n_layer = if to_end { self.config.n_layer } else { wanted.min(self.config.n_layer) };
        for layer in 0..n_layer {
            self.pass(layer, None, false, control).block(&mut stream, None, &mut hooks).await?;
        }
        let data = if to_end { stream.x } else { Vec::new() };
        Ok(Activation::rows(data, self.config.d_model))
    }

    pub(super) async fn likeliest(
        &self,
        resid: &Activation,
        tokens: &[u32],
        control: &impl Control,
    ) -> Result<Vec<Option<u32>>> {
        let (d_model, vocab) = (self.config.d_model, self.config.vocab_size);
        check_ids(&self.config, tokens)?;
        let normed = self.final_norm(resid, FinalNorm::Own)?;
        let mut likeliest = vec![None; normed.len() / d_model];
        let all: Vec<usize> = (0..likeliest.len()).collect();
        // each set of rivals decides what it can; whatever they are, the answer is the same
        let winners = self.winners().first();
        let left = self.undecided((&normed, &all), tokens, &winners, control).await?;
        let common: Vec<u32> = (0..(vocab / 8).min(COMMON) as u32).collect();
        let left = self.undecided((&normed, &left), tokens, &common, control).await?;
        for rows in left.chunks(logit_rows(&self.config)) {
            control.breathe().await?;
            for (&row, logits) in rows.iter().zip(self.logits(&picked(&normed, rows, d_model))?.chunks_exact(vocab)) {
                let first = first_of_largest(logits);
                self.winners().add(first);
                likeliest[row] = Some(first).filter(|id| tokens.contains(id));
            }
        }
        Ok(likeliest)
    }

    fn winners(&self) -> MutexGuard<'_, Winners> {
        // counts are whole whoever broke down while holding them
        self.winners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Those of some rows where one of `tokens` may be the likeliest: no rival is clearly above all of them.
    async fn undecided(
        &self,
        (normed, rows): (&[f32], &[usize]),
        tokens: &[u32],
        rivals: &[u32],
        control: &impl Control,
    ) -> Result<Vec<usize>> {
        if rivals.is_empty() {
            return Ok(rows.to_vec());
        }
        let d_model = self.config.d_model;
        let unembedding = matrix(self.weights.unembedding())?;
        // widened once: a hundredth of the vocabulary
        let candidates: Vec<Vec<f32>> = tokens.iter().map(|&id| unembedding.row(id as usize)).collect();
        let theirs: Vec<f32> = rivals.iter().flat_map(|&id| unembedding.row(id as usize)).collect();
        let mut undecided = Vec::new();
        for rows in rows.chunks(logit_rows(&self.config)) {
            control.breathe().await?;
            let normed = picked(normed, rows, d_model);
            let mut logits = vec![0.0; rows.len() * rivals.len()];
            linear_transposed(&normed, &theirs, d_model, &mut logits);
            let each = rows.iter().zip(normed.chunks_exact(d_model)).zip(logits.chunks_exact(rivals.len()));
            for ((&at, row), logits) in each {
                let best = candidates.iter().map(|token| dot(row, token)).fold(f32::NEG_INFINITY, f32::max);
                let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                if most <= best + DOUBT * (1.0 + best.abs()) {
                    undecided.push(at);
                }
            }
        }
        Ok(undecided)
    }
}

fn picked(normed: &[f32], rows: &[usize], d_model: usize) -> Vec<f32> {
    rows.iter().flat_map(|&row| &normed[row * d_model..][..d_model]).copied().collect()
}

/// The tokens that have been the likeliest of rows which only all logits could decide: good rivals for the next ones.
#[derive(Default)]
pub(super) struct Winners(HashMap<u32, u32>);

/// So many of them are tried first.
const RIVALS: usize = 48;

impl Winners {
    fn add(&mut self, id: u32) {
        *self.0.entry(id).or_default() += 1;
    }

    /// The most frequent ones.
    fn first(&self) -> Vec<u32> {
        let mut ids: Vec<(u32, u32)> = self.0.iter().map(|(&id, &count)| (count, id)).collect();
        ids.sort_unstable_by(|a, b| b.cmp(a));
        ids.into_iter().take(RIVALS).map(|(_, id)| id).collect()
    }
}

/// Hands on the neurons of the wanted layers.
struct Watch<'a, F> {
    layers: &'a BTreeSet<usize>,
    on_layer: F,
}

impl<F: FnMut(usize, &[f32])> RowHooks for Watch<'_, F> {
    fn wants(&self, site: Site) -> bool {
        matches!(site, Site::Block(layer, BlockSite::MlpPost) if self.layers.contains(&layer))
    }

    fn at(&mut self, site: Site, _: &[Segment], values: &mut [f32]) {
        if let Some(layer) = site.layer() {
            (self.on_layer)(layer, values);
        }
    }
}

fn first_of_largest(logits: &[f32]) -> u32 {
    let mut best = 0;
    for (id, logit) in logits.iter().enumerate() {
        if *logit > logits[best] {
            best = id;
        }
    }
    best as u32
}

//! Many prompts' neurons, watched in passing: what a corpus is read with.

use std::collections::BTreeSet;

use super::kernels::matmul::{dot, linear_transposed};
use super::matrix::matrix;
use super::rows::{RowHooks, Segment};
use super::{CpuEngine, check_rows};
use crate::engine::site::{BlockSite, Site};
use crate::engine::{Activation, Control, FinalNorm};
use crate::error::Result;

/// Tokens that a row's candidates are held against first: an eighth of the vocabulary, at most this many. A vocabulary
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
        prompts.iter().try_for_each(|prompt| check_rows(&self.config, &[prompt], prompt.len()))?;
        let mut hooks = Watch { layers, on_layer };
        let mut stream = self.embed(prompts, 0, &mut hooks)?;
        let wanted = layers.last().map_or(0, |last| last + 1);
        let n_layer = if to_end { self.config.n_layer } else { wanted.min(self.config.n_layer) };
        for layer in 0..n_layer {
            self.pass(layer, None, false, control).block(&mut stream, None, &mut hooks).await?;
        }
        let data = if to_end { stream.x } else { Vec::new() };
        Ok(Activation { shape: vec![data.len() / self.config.d_model, self.config.d_model], data })
    }

    pub(super) async fn likeliest(
        &self,
        resid: &Activation,
        tokens: &[u32],
        control: &impl Control,
    ) -> Result<Vec<Option<u32>>> {
        let (d_model, vocab) = (self.config.d_model, self.config.vocab_size);
        tokens.iter().try_for_each(|&id| check_rows(&self.config, &[&[id]], 1))?;
        let normed = self.final_norm(resid, FinalNorm::Own)?;
        let mut likeliest = vec![None; normed.len() / d_model];
        for rows in self.undecided(&normed, tokens, control).await?.chunks(self.logit_rows()) {
            control.breathe().await?;
            let picked: Vec<f32> = rows.iter().flat_map(|&row| &normed[row * d_model..][..d_model]).copied().collect();
            for (&row, logits) in rows.iter().zip(self.logits(&picked)?.chunks_exact(vocab)) {
                likeliest[row] = Some(first_of_largest(logits)).filter(|id| tokens.contains(id));
            }
        }
        Ok(likeliest)
    }

    /// The rows where one of `tokens` may be the likeliest: no common token is clearly above all of them.
    async fn undecided(&self, normed: &[f32], tokens: &[u32], control: &impl Control) -> Result<Vec<usize>> {
        let (d_model, common) = (self.config.d_model, (self.config.vocab_size / 8).min(COMMON));
        let wte = matrix(&self.weights.wte)?;
        // widened once: a hundredth of the vocabulary
        let candidates: Vec<Vec<f32>> = tokens.iter().map(|&id| wte.row(id as usize)).collect();
        let first: Vec<f32> = (0..common).flat_map(|id| wte.row(id)).collect();
        let mut undecided = Vec::new();
        let n_rows = self.logit_rows();
        for (piece, rows) in normed.chunks(n_rows * d_model).enumerate() {
            control.breathe().await?;
            let mut logits = vec![0.0; rows.len() / d_model * common];
            linear_transposed(rows, &first, d_model, &mut logits);
            for (at, row) in rows.chunks_exact(d_model).enumerate() {
                let logits = &logits[at * common..(at + 1) * common];
                let best = candidates.iter().map(|token| dot(row, token)).fold(f32::NEG_INFINITY, f32::max);
                let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                if most <= best + DOUBT * (1.0 + best.abs()) {
                    undecided.push(piece * n_rows + at);
                }
            }
        }
        Ok(undecided)
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

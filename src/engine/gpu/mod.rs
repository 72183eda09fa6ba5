//! The engine on the graphics card, by WebGPU: the same kernels natively and in a browser.
//!
//! The weights lie on the card, and so does all that is computed; what comes back is what was asked for.

mod backward;
mod base;
mod buffers;
pub mod device;
mod hooks;
pub mod kernels;
mod matrix;
mod products;
mod resume;
mod stream;
mod tape;
mod unembed;
mod weights;

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::rc::Rc;

use super::edit::Edit;
use super::site::BlockSite;
use super::{
    Activation, Control, Ends, Engine, FinalNorm, Gradients, Readings, Site, SiteSet, TopToken, check_ids, check_rows,
};
use crate::error::{Error, Result};
use crate::model::weights::parameters;
use crate::model::{Config, WeightDtype, Weights};
use base::GpuBase;
use buffers::Buffer;
use hooks::{Hooks, Lies};
use kernels::product::Then;
pub use matrix::Matrix;
use matrix::{padded, unpadded};
use stream::Past;
pub use tape::{Card, Counts};
use weights::CardWeights;

/// Positions that a cache grows by.
const GROWTH: usize = 256;

pub struct GpuEngine {
    config: Config,
    card: Rc<Card>,
    weights: CardWeights,
}

impl GpuEngine {
    /// Takes a model's weights over to the card.
    ///
    /// # Errors
    /// [`Error::Card`] where it has no room for them.
    pub fn new(card: Rc<Card>, config: Config, weights: &Weights) -> Result<Self> {
        let tensors = parameters(&config).filter_map(|(name, _)| Some((weights.tensor(&name)?, name)));
        let upload = |(tensor, name)| Ok((name, Matrix::upload(&card, tensor)?));
        let matrices = tensors.map(upload).collect::<Result<_>>()?;
        Self::of(card, config, matrices)
    }

    /// Of parameters that are on the card, by canonical name.
    ///
    /// # Errors
    /// [`Error::Weights`] naming one that is missing.
    pub fn of(card: Rc<Card>, config: Config, matrices: HashMap<String, Matrix>) -> Result<Self> {
        let weights = CardWeights::new(&config, matrices)?;
        Ok(GpuEngine { config, card, weights })
    }

    /// What was made and done so far.
    pub fn counts(&self) -> Counts {
        self.card.counts()
    }

    /// The residual stream's rows, back in the host's memory: `[rows, d_model]`.
    async fn resid(&self, x: &Buffer, rows: usize) -> Result<Activation> {
        let d = self.config.d_model;
        let read = self.card.read(&[(x, 0, rows * padded(d))]).await?.concat();
        Ok(Activation::rows(unpadded(&read, d), d))
    }

    /// `direction` times the transposed weights of a layer: what each of its inputs writes along it.
    async fn writes(&self, layer: &weights::Linear, direction: &[f32]) -> Result<Vec<f32>> {
        let n_in = layer.weight.rows;
        let out = self.card.room(padded(n_in));
        self.card.transposed(&self.rows(direction), 1, &layer.weight, 0..n_in, &out);
        Ok(self.card.read(&[(&out, 0, n_in)]).await?.concat())
    }
}

impl Engine for GpuEngine {
    type Base = GpuBase;
    type Cache = GpuCache;

    fn config(&self) -> &Config {
        &self.config
    }

    fn dtype(&self) -> WeightDtype {
        self.weights.dtype()
    }

    fn threads(&self) -> usize {
        1
    }

    async fn parameter(&self, name: &str, rows: Range<usize>) -> Result<Vec<f32>> {
        self.weights.matrix(name)?.read(&self.card, rows).await
    }

    async fn last_resid(&self, rows: &[&[u32]], edits: &[Vec<Edit>], control: &impl Control) -> Result<Activation> {
        check_rows(&self.config, rows)?;
        let n_pos = rows.first().map_or(0, |row| row.len());
        edits.iter().flatten().try_for_each(|edit| edit.check(&self.config, n_pos))?;
        let edits = rows.iter().enumerate().map(|(run, _)| edits.get(run).map_or(&[][..], |edits| edits)).collect();
        let mut hooks = Hooks::of(edits);
        let mut stream = self.embed(rows, 0, rows.len() * n_pos, &mut hooks)?;
        for layer in 0..self.config.n_layer {
            let past = Past { last_rows_only: layer + 1 == self.config.n_layer, ..Past::default() };
            self.block(layer, past, &mut stream, &mut hooks, control).await?;
        }
        self.resid(&stream.x, rows.len()).await
    }

    async fn neurons(
        &self,
        prompts: &[&[u32]],
        layers: &BTreeSet<usize>,
        to_end: bool,
        control: &impl Control,
        mut on_layer: impl FnMut(usize, &[f32]),
    ) -> Result<Activation> {
        prompts.iter().try_for_each(|prompt| check_rows(&self.config, &[prompt]))?;
        let site = |layer| Site::Block(layer, BlockSite::MlpPost);
        let mut hooks = Hooks::seeing(layers.iter().map(|&layer| site(layer)).collect());
        let rows = prompts.iter().map(|prompt| prompt.len()).sum();
        let mut stream = self.embed(prompts, 0, rows, &mut hooks)?;
        let wanted = layers.last().map_or(0, |last| last + 1);
        let n_layer = if to_end { self.config.n_layer } else { wanted.min(self.config.n_layer) };
        for layer in 0..n_layer {
            self.block(layer, Past::default(), &mut stream, &mut hooks, control).await?;
            if layers.contains(&layer) {
                on_layer(layer, &hooks.take(&self.card, &self.config).await?.at(site(layer))?.data);
            }
        }
        if to_end { self.resid(&stream.x, rows).await } else { Ok(Activation::rows(Vec::new(), self.config.d_model)) }
    }

    /// Every prompt is run whole: what two begin with costs a card little.
    async fn base(&self, ids: &[u32], _: Option<&GpuBase>, _: &SiteSet, control: &impl Control) -> Result<GpuBase> {
        check_rows(&self.config, &[ids])?;
        self.make_base(ids, control).await
    }

    async fn read(&self, base: &GpuBase, sites: &SiteSet, from: usize, control: &impl Control) -> Result<Readings> {
        self.read_sites(base, sites, from, control).await
    }

    async fn resume(
        &self,
        base: &GpuBase,
        runs: &[Vec<Edit>],
        control: &impl Control,
        mut on_done: impl FnMut(&[usize], Ends),
    ) -> Result<()> {
        self.resume_runs(base, runs, control, &mut on_done).await
    }

    async fn sweep(
        &self,
        base: &GpuBase,
        runs: &[Vec<Edit>],
        tokens: (u32, u32),
        control: &impl Control,
        mut on_done: impl FnMut(&[usize], &[f32]),
    ) -> Result<()> {
        let direction = self.direction(tokens).await?;
        self.sweep_runs(base, runs, (&direction.along, direction.bias), control, &mut on_done).await
    }

    async fn gradients(
        &self,
        base: &GpuBase,
        tokens: (u32, u32),
        from: (usize, usize),
        control: &impl Control,
    ) -> Result<Gradients> {
        self.backward(base, tokens, from, control).await
    }

    async fn neuron_writes(&self, layer: usize, direction: &[f32]) -> Result<Vec<f32>> {
        self.writes(&self.weights.blocks[layer].mlp_c_proj, direction).await
    }

    async fn head_writes(&self, layer: usize, direction: &[f32]) -> Result<Vec<f32>> {
        self.writes(&self.weights.blocks[layer].attn_c_proj, direction).await
    }

    async fn value_bias(&self, layer: usize) -> Result<Vec<f32>> {
        // what the values of an input of zeros are after LayerNorm 1
        let (d, block) = (self.config.d_model, &self.weights.blocks[layer]);
        let qkv = self.card.room(padded(3 * d));
        self.card.product(&block.ln_1.bias, 1, &block.c_attn, Then::default(), &qkv)?;
        Ok(self.card.read(&[(&qkv, 2 * d, d)]).await?.concat())
    }

    fn cache(&self) -> GpuCache {
        GpuCache { layers: Vec::new(), len: 0, capacity: 0 }
    }

    async fn extend(&self, cache: &mut GpuCache, ids: &[u32], edits: &[Edit], control: &impl Control) -> Result<Ends> {
        let len = cache.len + ids.len();
        if len > self.config.n_ctx {
            return Err(Error::PromptTooLong { len, n_ctx: self.config.n_ctx });
        }
        check_rows(&self.config, &[ids])?;
        self.make_room(cache, len);
        let mut hooks = Hooks::of(vec![edits]);
        let mut stream = self.embed(&[ids], cache.len, ids.len(), &mut hooks)?;
        for (layer, qkv) in cache.layers.iter().enumerate() {
            let last_rows_only = layer + 1 == self.config.n_layer;
            let past = Past { before: Some(qkv), into: Some((qkv, cache.len)), last_rows_only };
            self.block(layer, past, &mut stream, &mut hooks, control).await?;
        }
        cache.len = len;
        let (scales, _) = self.final_norm((&stream.x, 1), None);
        hooks.at(self, Site::FinalScale, &stream.segments, &scales, Lies::rows(1));
        let d = self.config.d_model;
        let mut read = self.card.read(&[(&stream.x, 0, d), (&scales, 0, 1)]).await?.into_iter();
        let mut next = || read.next().unwrap_or_default();
        Ok(Ends { resid: Activation::rows(next(), d), scales: next() })
    }

    async fn unembed(&self, resid: &Activation, norm: FinalNorm<'_>, control: &impl Control) -> Result<Activation> {
        self.all_logits(resid, norm, control).await
    }

    async fn unembed_topk(
        &self,
        resid: &Activation,
        norm: FinalNorm<'_>,
        k: usize,
        control: &impl Control,
    ) -> Result<Vec<Vec<TopToken>>> {
        let tops = self.tops(&resid.data, norm, &[], k, control).await?;
        Ok(tops.into_iter().map(|top| top.tokens).collect())
    }

    async fn logprobs(&self, resid: &Activation, targets: &[u32], control: &impl Control) -> Result<Vec<f32>> {
        check_ids(&self.config, targets)?;
        let wanted = &resid.data[..targets.len() * self.config.d_model];
        let tops = self.tops(wanted, FinalNorm::Own, targets, 0, control).await?;
        Ok(tops.into_iter().map(|top| top.target_logprob).collect())
    }
}

/// Queries, keys and values of one sequence.
pub struct GpuCache {
    /// By layer, `[capacity, padded(3 d_model)]`.
    layers: Vec<Buffer>,
    len: usize,
    capacity: usize,
}

impl GpuEngine {
    /// Grows a cache until it holds `len` positions.
    fn make_room(&self, cache: &mut GpuCache, len: usize) {
        if len <= cache.capacity {
            return;
        }
        let width = padded(3 * self.config.d_model);
        cache.capacity = len.next_multiple_of(GROWTH).min(self.config.n_ctx);
        let before = std::mem::take(&mut cache.layers);
        for layer in 0..self.config.n_layer {
            let larger = self.card.room(cache.capacity * width);
            if let Some(before) = before.get(layer).filter(|_| cache.len > 0) {
                self.card.copy((before, 0), (&larger, 0), 4 * (cache.len * width) as u64);
            }
            cache.layers.push(larger);
        }
    }
}

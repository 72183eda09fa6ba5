//! The engine on the CPU: kernels over plain slices, the same natively and in wasm.

pub mod backward;
pub mod base;
pub mod kernels;
mod matrix;
mod project;
pub mod resume;
pub mod rows;
mod values;
mod watch;

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Mutex;

use super::edit::Edit;
use super::{Activation, Control, Ends, Engine, FinalNorm, Gradients, Readings, Site, SiteSet, check_rows, threads};
use crate::error::{Error, Result};
use crate::model::{Config, WeightDtype, Weights};
use base::CpuBase;
use kernels::norm;
use matrix::matrix;
use rows::{KeyValues, LayerPass, RowHooks, Stream};
use values::values;

pub struct CpuEngine {
    config: Config,
    weights: Weights,
    winners: Mutex<watch::Winners>,
}

impl CpuEngine {
    pub fn new(config: Config, weights: Weights) -> Self {
        CpuEngine { config, weights, winners: Mutex::default() }
    }

    pub fn weights(&self) -> &Weights {
        &self.weights
    }

    /// Token plus position embedding of rows whose first token stands at `start`.
    fn embed(&self, rows: &[&[u32]], start: usize, hooks: &mut dyn RowHooks) -> Result<Stream> {
        let (wte, wpe) = (matrix(&self.weights.wte)?, matrix(&self.weights.wpe)?);
        let ids = rows.iter().flat_map(|row| row.iter());
        let x = ids.flat_map(|&id| wte.row(id as usize)).collect();
        let mut stream = Stream::new(x, rows.iter().map(|row| row.len()));
        stream.segments.iter_mut().for_each(|segment| segment.first = start);
        if hooks.wants(Site::Embed) {
            hooks.at(Site::Embed, &stream.segments, &mut stream.x);
        }
        let positions = rows.iter().flat_map(|row| start..start + row.len());
        let mut positions: Vec<f32> = positions.flat_map(|position| wpe.row(position)).collect();
        if hooks.wants(Site::PosEmbed) {
            hooks.at(Site::PosEmbed, &stream.segments, &mut positions);
        }
        stream.x.iter_mut().zip(&positions).for_each(|(x, position)| *x += position);
        Ok(stream)
    }

    fn pass<'a, C: Control>(
        &'a self,
        layer: usize,
        past: Option<&'a KeyValues>,
        last_rows_only: bool,
        control: &'a C,
    ) -> LayerPass<'a, C> {
        LayerPass { config: &self.config, weights: &self.weights.blocks[layer], layer, past, last_rows_only, control }
    }

    /// The final LayerNorm's scale of each row of `x [rows, d_model]`.
    fn final_scales(&self, x: &[f32]) -> Vec<f32> {
        let mut scales = vec![0.0; x.len() / self.config.d_model];
        norm::scales(x, self.config.d_model, self.config.ln_eps as f32, &mut scales);
        scales
    }

    /// Normalised rows, ready for the unembedding: `[rows, d_model]`.
    fn final_norm(&self, resid: &Activation, norm: FinalNorm<'_>) -> Result<Vec<f32>> {
        let own = match norm {
            FinalNorm::Own => self.final_scales(&resid.data),
            FinalNorm::Frozen(scales) => scales.to_vec(),
        };
        let ln = &self.weights.ln_f;
        let mut normed = vec![0.0; resid.data.len()];
        norm::normalise(&resid.data, &own, &values(&ln.weight)?, &values(&ln.bias)?, &mut normed);
        Ok(normed)
    }

    /// Logits of normalised rows: `[rows, d_model] -> [rows, vocab]`.
    fn logits(&self, normed: &[f32]) -> Result<Vec<f32>> {
        let mut logits = vec![0.0; normed.len() / self.config.d_model * self.config.vocab_size];
        matrix(self.weights.unembedding())?.linear_transposed(normed, &mut logits);
        Ok(logits)
    }
}

impl Engine for CpuEngine {
    type Base = CpuBase;
    type Cache = CpuCache;

    fn config(&self) -> &Config {
        &self.config
    }

    fn dtype(&self) -> WeightDtype {
        self.weights.dtype()
    }

    fn threads(&self) -> usize {
        threads::count()
    }

    async fn parameter(&self, name: &str, rows: Range<usize>) -> Result<Vec<f32>> {
        self.weights.rows(name, rows)
    }

    async fn last_resid(&self, rows: &[&[u32]], edits: &[Vec<Edit>], control: &impl Control) -> Result<Activation> {
        check_rows(&self.config, rows)?;
        let n_pos = rows.first().map_or(0, |row| row.len());
        edits.iter().flatten().try_for_each(|edit| edit.check(&self.config, n_pos))?;
        let edits = rows.iter().enumerate().map(|(run, _)| edits.get(run).map_or(&[][..], |edits| edits)).collect();
        let mut hooks = resume::EditHooks { config: &self.config, edits };
        let mut stream = self.embed(rows, 0, &mut hooks)?;
        for layer in 0..self.config.n_layer {
            let is_last = layer + 1 == self.config.n_layer;
            self.pass(layer, None, is_last, control).block(&mut stream, None, &mut hooks).await?;
        }
        Ok(Activation::rows(stream.x, self.config.d_model))
    }

    async fn neurons(
        &self,
        prompts: &[&[u32]],
        layers: &BTreeSet<usize>,
        to_end: bool,
        control: &impl Control,
        on_layer: impl FnMut(usize, &[f32]),
    ) -> Result<Activation> {
        self.watch(prompts, layers, to_end, control, on_layer).await
    }

    async fn base(
        &self,
        ids: &[u32],
        like: Option<&CpuBase>,
        keep: &SiteSet,
        control: &impl Control,
    ) -> Result<CpuBase> {
        check_rows(&self.config, &[ids])?;
        self.make_base(ids, like, keep, control).await
    }

    async fn read(&self, base: &CpuBase, sites: &SiteSet, from: usize, control: &impl Control) -> Result<Readings> {
        self.read_sites(base, sites, from, control).await
    }

    async fn resume(
        &self,
        base: &CpuBase,
        runs: &[Vec<Edit>],
        control: &impl Control,
        mut on_done: impl FnMut(&[usize], Ends),
    ) -> Result<()> {
        // one way for all callers: it is long, and a browser has to download it
        self.resume_runs(base, runs, control, &mut on_done).await
    }

    async fn gradients(
        &self,
        base: &CpuBase,
        tokens: (u32, u32),
        from: (usize, usize),
        control: &impl Control,
    ) -> Result<Gradients> {
        self.backward(base, tokens, from, control).await
    }

    async fn neuron_writes(&self, layer: usize, direction: &[f32]) -> Result<Vec<f32>> {
        let mut along = vec![0.0; self.config.d_mlp];
        matrix(&self.weights.blocks[layer].mlp_c_proj.weight)?.linear_transposed(direction, &mut along);
        Ok(along)
    }

    async fn head_writes(&self, layer: usize, direction: &[f32]) -> Result<Vec<f32>> {
        let mut along = vec![0.0; self.config.d_model];
        matrix(&self.weights.blocks[layer].attn_c_proj.weight)?.linear_transposed(direction, &mut along);
        Ok(along)
    }

    async fn value_bias(&self, layer: usize) -> Result<Vec<f32>> {
        // as the default, without the queries' and keys' weights
        let (d_model, block) = (self.config.d_model, &self.weights.blocks[layer]);
        let mut value = values(&block.c_attn.bias)?[2 * d_model..].to_vec();
        let (bias, weight) = (values(&block.ln_1.bias)?, matrix(&block.c_attn.weight)?);
        for (row, bias) in bias.iter().enumerate() {
            weight.add_row(row, 2 * d_model..3 * d_model, *bias, &mut value);
        }
        Ok(value)
    }

    fn cache(&self) -> CpuCache {
        CpuCache { layers: vec![KeyValues::default(); self.config.n_layer], len: 0 }
    }

    async fn extend(&self, cache: &mut CpuCache, ids: &[u32], edits: &[Edit], control: &impl Control) -> Result<Ends> {
        let len = cache.len + ids.len();
        if len > self.config.n_ctx {
            return Err(Error::PromptTooLong { len, n_ctx: self.config.n_ctx });
        }
        check_rows(&self.config, &[ids])?;
        let mut hooks = resume::EditHooks { config: &self.config, edits: vec![edits] };
        let mut stream = self.embed(&[ids], cache.len, &mut hooks)?;
        for (layer, past) in cache.layers.iter_mut().enumerate() {
            let before = std::mem::take(past);
            let mut new = KeyValues::default();
            let pass = self.pass(layer, Some(&before), layer + 1 == self.config.n_layer, control);
            let done = pass.block(&mut stream, Some(&mut new), &mut hooks).await;
            *past = before;
            done?;
            past.keys.append(&mut new.keys);
            past.values.append(&mut new.values);
        }
        cache.len = len;
        let mut scales = self.final_scales(&stream.x);
        hooks.end(len - 1, &mut scales);
        Ok(Ends { resid: Activation::rows(stream.x, self.config.d_model), scales })
    }

    async fn unembed(&self, resid: &Activation, norm: FinalNorm<'_>, control: &impl Control) -> Result<Activation> {
        let normed = self.final_norm(resid, norm)?;
        control.breathe().await?;
        Ok(Activation::rows(self.logits(&normed)?, self.config.vocab_size))
    }

    async fn likeliest_among(
        &self,
        resid: &Activation,
        tokens: &[u32],
        control: &impl Control,
    ) -> Result<Vec<Option<u32>>> {
        // most rows are decided without all of their logits
        self.likeliest(resid, tokens, control).await
    }
}

/// Keys and values of one sequence.
pub struct CpuCache {
    layers: Vec<KeyValues>,
    len: usize,
}

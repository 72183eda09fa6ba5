//! The engine on the CPU: kernels over plain slices, the same natively and in wasm.

pub mod backward;
pub mod base;
mod capture;
pub mod forward;
pub mod kernels;
mod matrix;
mod project;
pub mod resume;
pub mod rows;
mod values;
mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use super::edit::Edit;
use super::{Activation, BaseRun, Control, Direction, Engine, FinalNorm, Gradients, Resumed, Site, SiteSet, TopToken};
use crate::error::{Error, Result};
use crate::model::{Config, WeightDtype, Weights};
use base::CpuBase;
use capture::Capture;
use kernels::norm;
use matrix::matrix;
use rows::{KeyValues, LayerPass, RowHooks, Stream};
use values::values;

/// Rows turned into logits at once: bounds the memory of `[rows, vocab]`.
const LOGIT_BUDGET_BYTES: usize = 64 << 20;

pub struct CpuEngine {
    config: Config,
    weights: Weights,
    winners: Mutex<watch::Winners>,
}

impl CpuEngine {
    pub fn new(config: Config, weights: Weights) -> Self {
        CpuEngine { config, weights, winners: Mutex::default() }
    }

    /// How the matrices are held.
    pub fn dtype(&self) -> WeightDtype {
        self.weights.dtype()
    }

    /// Token plus position embedding of rows whose first token stands at `start`.
    fn embed(&self, rows: &[&[u32]], start: usize, hooks: &mut impl RowHooks) -> Result<Stream> {
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

    /// As [`Engine::last_resid`], with edits of each run (or of none): whole passes, which resumed ones are measured
    /// against.
    ///
    /// # Errors
    /// As there, and for an edit that names what isn't there.
    pub async fn last_resid_edited(
        &self,
        rows: &[&[u32]],
        edits: &[Vec<Edit>],
        control: &impl Control,
    ) -> Result<Activation> {
        let n_pos = rows.first().map_or(0, |row| row.len());
        check_rows(&self.config, rows, n_pos)?;
        edits.iter().flatten().try_for_each(|edit| edit.check(&self.config, n_pos))?;
        let edits = rows.iter().enumerate().map(|(run, _)| edits.get(run).map_or(&[][..], |edits| edits)).collect();
        let mut hooks = resume::EditHooks { config: &self.config, edits };
        let mut stream = self.embed(rows, 0, &mut hooks)?;
        for layer in 0..self.config.n_layer {
            let is_last = layer + 1 == self.config.n_layer;
            self.pass(layer, None, is_last, control).block(&mut stream, None, &mut hooks).await?;
        }
        Ok(Activation { shape: vec![rows.len(), self.config.d_model], data: stream.x })
    }

    /// Rows per piece of logits.
    fn logit_rows(&self) -> usize {
        (LOGIT_BUDGET_BYTES / (4 * self.config.vocab_size)).max(1)
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

    async fn run(&self, rows: &[&[u32]], capture: &SiteSet, control: &impl Control) -> Result<BaseRun> {
        let n_pos = rows.first().map_or(0, |row| row.len());
        check_rows(&self.config, rows, n_pos)?;
        let mut hooks =
            Capture { sites: capture, config: &self.config, batch: rows.len(), n_pos, kept: BTreeMap::new() };
        let mut stream = self.embed(rows, 0, &mut hooks)?;
        for layer in 0..self.config.n_layer {
            self.pass(layer, None, false, control).block(&mut stream, None, &mut hooks).await?;
        }
        if capture.contains(Site::FinalScale) {
            let scales = self.final_scales(&stream.x);
            hooks.keep(Site::FinalScale, scales);
        }
        let shape = vec![rows.len(), n_pos, self.config.d_model];
        Ok(BaseRun {
            batch: rows.len(),
            n_pos,
            resid_final: Activation { shape, data: stream.x },
            captured: hooks.kept,
        })
    }

    async fn last_resid(&self, rows: &[&[u32]], control: &impl Control) -> Result<Activation> {
        self.last_resid_edited(rows, &[], control).await
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

    async fn base(&self, ids: &[u32], control: &impl Control) -> Result<CpuBase> {
        check_rows(&self.config, &[ids], ids.len())?;
        self.make_base(ids, control).await
    }

    async fn base_value(&self, base: &CpuBase, site: Site, control: &impl Control) -> Result<Activation> {
        self.value_of(base, site, control).await
    }

    fn base_end(&self, base: &CpuBase) -> Resumed {
        let row = &base.resid_final[base.resid_final.len() - self.config.d_model..];
        Resumed { resid: Activation { shape: vec![1, row.len()], data: row.to_vec() }, scales: self.final_scales(row) }
    }

    async fn resume(&self, base: &CpuBase, runs: &[Vec<Edit>], control: &impl Control) -> Result<Resumed> {
        let d_model = self.config.d_model;
        let resid = Activation { shape: vec![runs.len(), d_model], data: vec![0.0; runs.len() * d_model] };
        let mut ends = Resumed { resid, scales: vec![0.0; runs.len()] };
        self.resume_runs(base, runs, control, &mut |places: &[usize], resumed: Resumed| {
            let rows = resumed.resid.data.chunks_exact(d_model).zip(resumed.scales);
            for (&place, (row, scale)) in places.iter().zip(rows) {
                ends.resid.data[place * d_model..(place + 1) * d_model].copy_from_slice(row);
                ends.scales[place] = scale;
            }
        })
        .await?;
        Ok(ends)
    }

    async fn sweep(
        &self,
        base: &CpuBase,
        runs: &[Vec<Edit>],
        tokens: (u32, u32),
        control: &impl Control,
        mut on_done: impl FnMut(&[usize], &[f32]),
    ) -> Result<()> {
        let direction = self.direction(tokens).await?;
        self.resume_runs(base, runs, control, &mut |places: &[usize], resumed: Resumed| {
            let rows = resumed.resid.data.chunks_exact(self.config.d_model).zip(resumed.scales);
            let differences: Vec<f32> = rows.map(|(row, scale)| direction.difference(row, scale)).collect();
            on_done(places, &differences);
        })
        .await
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
        let (d_model, block) = (self.config.d_model, &self.weights.blocks[layer]);
        // the part of every value that doesn't depend on the input: the bias, LayerNorm 1's own folded in
        let mut value = values(&block.c_attn.bias)?[2 * d_model..].to_vec();
        let (bias, weight) = (values(&block.ln_1.bias)?, matrix(&block.c_attn.weight)?);
        for (row, bias) in bias.iter().enumerate() {
            weight.add_row(row, 2 * d_model..3 * d_model, *bias, &mut value);
        }
        Ok(value)
    }

    async fn direction(&self, tokens: (u32, u32)) -> Result<Direction> {
        for id in [tokens.0, tokens.1] {
            check_rows(&self.config, &[&[id]], 1)?;
        }
        let rows = matrix(self.weights.unembedding())?;
        let (first, second) = (rows.row(tokens.0 as usize), rows.row(tokens.1 as usize));
        let difference: Vec<f32> = first.iter().zip(&second).map(|(a, b)| a - b).collect();
        let (weight, bias) = (values(&self.weights.ln_f.weight)?, values(&self.weights.ln_f.bias)?);
        let mut along: Vec<f32> = difference.iter().zip(weight.iter()).map(|(u, w)| u * w).collect();
        // what the residual stream adds to all of its entries is taken out by the LayerNorm
        let mean = norm::mean(&along);
        along.iter_mut().for_each(|x| *x -= mean);
        Ok(Direction { along, bias: kernels::matmul::dot(&difference, &bias) })
    }

    fn cache(&self) -> CpuCache {
        CpuCache { layers: vec![KeyValues::default(); self.config.n_layer], len: 0 }
    }

    async fn extend(
        &self,
        cache: &mut CpuCache,
        ids: &[u32],
        edits: &[Edit],
        control: &impl Control,
    ) -> Result<Resumed> {
        let len = cache.len + ids.len();
        if len > self.config.n_ctx {
            return Err(Error::PromptTooLong { len, n_ctx: self.config.n_ctx });
        }
        check_rows(&self.config, &[ids], ids.len())?;
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
        Ok(Resumed { resid: Activation { shape: vec![1, self.config.d_model], data: stream.x }, scales })
    }

    async fn unembed(&self, resid: &Activation, norm: FinalNorm<'_>, control: &impl Control) -> Result<Activation> {
        let normed = self.final_norm(resid, norm)?;
        control.breathe().await?;
        let rows = normed.len() / self.config.d_model;
        Ok(Activation { shape: vec![rows, self.config.vocab_size], data: self.logits(&normed)? })
    }

    async fn unembed_tokens(&self, resid: &Activation, norm: FinalNorm<'_>, tokens: &[u32]) -> Result<Activation> {
        let d_model = self.config.d_model;
        let normed = self.final_norm(resid, norm)?;
        let unembedding = matrix(self.weights.unembedding())?;
        let columns: Vec<Vec<f32>> = tokens.iter().map(|&id| unembedding.row(id as usize)).collect();
        let rows = normed.chunks_exact(d_model);
        let data = rows.flat_map(|row| columns.iter().map(move |column| kernels::matmul::dot(row, column))).collect();
        Ok(Activation { shape: vec![normed.len() / d_model, tokens.len()], data })
    }

    async fn unembed_topk(
        &self,
        resid: &Activation,
        norm: FinalNorm<'_>,
        k: usize,
        control: &impl Control,
    ) -> Result<Vec<Vec<TopToken>>> {
        let normed = self.final_norm(resid, norm)?;
        let mut top = Vec::new();
        for piece in normed.chunks(self.logit_rows() * self.config.d_model) {
            control.breathe().await?;
            top.extend(self.logits(piece)?.chunks_exact(self.config.vocab_size).map(|logits| top_k(logits, k)));
        }
        Ok(top)
    }

    async fn likeliest_among(
        &self,
        resid: &Activation,
        tokens: &[u32],
        control: &impl Control,
    ) -> Result<Vec<Option<u32>>> {
        self.likeliest(resid, tokens, control).await
    }

    async fn logprobs(&self, resid: &Activation, targets: &[u32], control: &impl Control) -> Result<Vec<f32>> {
        let normed = self.final_norm(resid, FinalNorm::Own)?;
        let rows = &normed[..targets.len() * self.config.d_model];
        let mut found = Vec::with_capacity(targets.len());
        for piece in rows.chunks(self.logit_rows() * self.config.d_model) {
            control.breathe().await?;
            let logits = self.logits(piece)?;
            for logits in logits.chunks_exact(self.config.vocab_size) {
                found.push(logits[targets[found.len()] as usize] - log_sum_exp(logits));
            }
        }
        Ok(found)
    }
}

/// Keys and values of one sequence.
pub struct CpuCache {
    layers: Vec<KeyValues>,
    len: usize,
}

/// The engine's own guard: callers have checked their prompts already, but an index must never run wild.
fn check_rows(config: &Config, rows: &[&[u32]], n_pos: usize) -> Result<()> {
    if n_pos == 0 {
        return Err(Error::EmptyPrompt);
    }
    if n_pos > config.n_ctx {
        return Err(Error::PromptTooLong { len: n_pos, n_ctx: config.n_ctx });
    }
    for row in rows {
        if row.len() != n_pos {
            return Err(Error::Unsupported("The prompts of one batch must have the same number of tokens.".into()));
        }
        if let Some(&id) = row.iter().find(|&&id| id as usize >= config.vocab_size) {
            return Err(Error::UnknownId { id, vocab: config.vocab_size });
        }
    }
    Ok(())
}

fn log_sum_exp(logits: &[f32]) -> f32 {
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    most + logits.iter().map(|logit| (logit - most).exp()).sum::<f32>().ln()
}

fn top_k(logits: &[f32], k: usize) -> Vec<TopToken> {
    let log_sum = log_sum_exp(logits);
    let mut ids: Vec<u32> = (0..logits.len() as u32).collect();
    let likelier = |&a: &u32, &b: &u32| logits[b as usize].total_cmp(&logits[a as usize]).then(a.cmp(&b));
    let k = k.min(ids.len());
    if k == 0 {
        return Vec::new();
    }
    ids.select_nth_unstable_by(k - 1, likelier);
    ids.truncate(k);
    ids.sort_unstable_by(likelier);
    ids.iter().map(|&id| TopToken { id, logit: logits[id as usize], logprob: logits[id as usize] - log_sum }).collect()
}

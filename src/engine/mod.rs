//! Runs a model: named sites, base runs that are kept, and the coarse operations that analyses are written against.

mod answers;
pub mod any;
pub mod control;
pub mod cpu;
pub mod edit;
pub mod extremes;
#[cfg(any(not(target_arch = "wasm32"), feature = "card"))]
pub mod gpu;
pub mod plan;
pub mod products;
pub mod reference;
pub mod remote;
pub mod site;
pub mod threads;
pub mod vector;

use std::collections::BTreeSet;
use std::ops::Range;

use crate::error::{Error, Result};
use crate::model::{Config, WeightDtype};
pub use answers::{Activation, Direction, Ends, FinalNorm, Gradients, Readings, TopToken};
pub use control::{Control, Unhurried, complete};
use edit::Edit;
pub use extremes::Extremes;
pub use products::{Products, TokenRows};
pub use site::{Site, SiteSet};
use vector::{centre, dot, log_sum_exp};

/// Rows turned into logits at once: bounds the memory of `[rows, vocab]`.
const LOGIT_BUDGET_BYTES: usize = 64 << 20;

/// One prompt's run, kept so that others can resume it, and that its sites can be read.
pub trait BaseRun {
    fn ids(&self) -> &[u32];
}

/// A model on some device. Operations are coarse and take batches, so that a GPU can fuse them and keep
/// everything on the card; they are async, and each looks at `control` between its pieces. What has a body here follows
/// from the rest; an engine that has a shorter way to it goes that way.
#[allow(async_fn_in_trait)] // futures stay on the thread that made them: the worker has just one
pub trait Engine {
    type Base: BaseRun;
    /// Keys and values of the tokens read so far, for decoding.
    type Cache;

    fn config(&self) -> &Config;

    /// How the matrices are held.
    fn dtype(&self) -> WeightDtype;

    /// How many threads of the processor compute.
    fn threads(&self) -> usize;

    /// Rows of a parameter, in f32, by its canonical name (`h.3.mlp.c_proj.weight`); a vector is one row.
    async fn parameter(&self, name: &str, rows: Range<usize>) -> Result<Vec<f32>>;

    /// Runs rows of equal length, each with its edits (or, if there are none at all, without), for their ends alone: the
    /// residual stream at the last position, `[batch, d_model]`. Whole passes, which resumed ones are measured against.
    async fn last_resid(&self, rows: &[&[u32]], edits: &[Vec<Edit>], control: &impl Control) -> Result<Activation>;

    /// Runs prompts of any lengths, one under the other with nothing between them, and shows `on_layer` the neurons
    /// of each wanted layer as they come: `mlp.hook_post`, `[rows, d_mlp]`. Layers above the last wanted one are run
    /// only for `to_end`: then the result is the residual stream after the last block, `[rows, d_model]`, otherwise
    /// it has no rows.
    async fn neurons(
        &self,
        prompts: &[&[u32]],
        layers: &BTreeSet<usize>,
        to_end: bool,
        control: &impl Control,
        on_layer: impl FnMut(usize, &[f32]),
    ) -> Result<Activation>;

    /// Runs one prompt and keeps what others need to resume it. Every site can be read of it; those in `keep` will be,
    /// and an engine that would have to work them out again may keep them. What the prompt and that of `like` both begin
    /// with may be taken from there.
    async fn base(
        &self,
        ids: &[u32],
        like: Option<&Self::Base>,
        keep: &SiteSet,
        control: &impl Control,
    ) -> Result<Self::Base>;

    /// Sites' values in a base run, from position `from` on.
    async fn read(&self, base: &Self::Base, sites: &SiteSet, from: usize, control: &impl Control) -> Result<Readings>;

    /// Runs that differ from `base` by the edits of each, in order. `on_done` is told of every batch: the places of its
    /// runs in `runs`, and how they ended. Memory for what is computed on the way is bounded by a budget, whatever the
    /// number of runs.
    async fn resume(
        &self,
        base: &Self::Base,
        runs: &[Vec<Edit>],
        control: &impl Control,
        on_done: impl FnMut(&[usize], Ends),
    ) -> Result<()>;

    /// Derivatives of `logit(tokens.0) - logit(tokens.1)`, from a layer and a position on: `from = (layer, position)`.
    async fn gradients(
        &self,
        base: &Self::Base,
        tokens: (u32, u32),
        from: (usize, usize),
        control: &impl Control,
    ) -> Result<Gradients>;

    /// An empty cache for one sequence.
    fn cache(&self) -> Self::Cache;

    /// Reads `ids` after what `cache` holds, with `edits` made at the positions they name; returns the last one's end.
    async fn extend(
        &self,
        cache: &mut Self::Cache,
        ids: &[u32],
        edits: &[Edit],
        control: &impl Control,
    ) -> Result<Ends>;

    /// Logits of every token for residual rows: `[rows, d_model] -> [rows, vocab]`.
    async fn unembed(&self, resid: &Activation, norm: FinalNorm<'_>, control: &impl Control) -> Result<Activation>;

    /// How the base run itself ended.
    async fn end(&self, base: &Self::Base, control: &impl Control) -> Result<Ends> {
        let resid = Site::Block(self.config().n_layer - 1, site::BlockSite::ResidPost);
        let sites = [resid, Site::FinalScale].into_iter().collect();
        let mut found = self.read(base, &sites, base.ids().len() - 1, control).await?;
        let scales = found.at(Site::FinalScale)?.data.clone();
        let resid = found.0.remove(&resid).unwrap_or_else(|| Activation::rows(Vec::new(), self.config().d_model));
        Ok(Ends { resid, scales })
    }

    /// As [`Engine::resume`], all at once, in the order of `runs`.
    async fn ends(&self, base: &Self::Base, runs: &[Vec<Edit>], control: &impl Control) -> Result<Ends> {
        let d_model = self.config().d_model;
        let mut ends =
            Ends { resid: Activation::rows(vec![0.0; runs.len() * d_model], d_model), scales: vec![0.0; runs.len()] };
        self.resume(base, runs, control, |places, ended| {
            let rows = ended.resid.data.chunks_exact(d_model).zip(ended.scales);
            for (&place, (row, scale)) in places.iter().zip(rows) {
                ends.resid.data[place * d_model..(place + 1) * d_model].copy_from_slice(row);
                ends.scales[place] = scale;
            }
        })
        .await?;
        Ok(ends)
    }

    /// As [`Engine::resume`], for the logit difference of two tokens alone.
    async fn sweep(
        &self,
        base: &Self::Base,
        runs: &[Vec<Edit>],
        tokens: (u32, u32),
        control: &impl Control,
        mut on_done: impl FnMut(&[usize], &[f32]),
    ) -> Result<()> {
        let direction = self.direction(tokens).await?;
        self.resume(base, runs, control, |places, ended| {
            let rows = ended.resid.data.chunks_exact(self.config().d_model).zip(ended.scales);
            let differences: Vec<f32> = rows.map(|(row, scale)| direction.difference(row, scale)).collect();
            on_done(places, &differences);
        })
        .await
    }

    /// A token's row of the embedding or the unembedding, `[d_model]`.
    async fn token_row(&self, of: TokenRows, token: u32) -> Result<Vec<f32>> {
        check_ids(self.config(), &[token])?;
        self.parameter(of.name(self.config()), token as usize..token as usize + 1).await
    }

    /// The direction that tells two tokens apart.
    async fn direction(&self, tokens: (u32, u32)) -> Result<Direction> {
        let first = self.token_row(TokenRows::Unembedding, tokens.0).await?;
        let second = self.token_row(TokenRows::Unembedding, tokens.1).await?;
        let difference: Vec<f32> = first.iter().zip(&second).map(|(a, b)| a - b).collect();
        let (weight, bias) = (self.parameter("ln_f.weight", 0..1).await?, self.parameter("ln_f.bias", 0..1).await?);
        let mut along: Vec<f32> = difference.iter().zip(&weight).map(|(u, w)| u * w).collect();
        centre(&mut along);
        Ok(Direction { along, bias: dot(&difference, &bias) })
    }

    /// What each neuron of a layer writes along `direction [d_model]`, at activation 1: `[d_mlp]`.
    async fn neuron_writes(&self, layer: usize, direction: &[f32]) -> Result<Vec<f32>> {
        let weights = self.parameter(&format!("h.{layer}.mlp.c_proj.weight"), 0..self.config().d_mlp).await?;
        Ok(weights.chunks_exact(direction.len()).map(|row| dot(row, direction)).collect())
    }

    /// What each entry of `attn.hook_z` writes along `direction [d_model]`: `[d_model]`, heads side by side.
    async fn head_writes(&self, layer: usize, direction: &[f32]) -> Result<Vec<f32>> {
        let weights = self.parameter(&format!("h.{layer}.attn.c_proj.weight"), 0..self.config().d_model).await?;
        Ok(weights.chunks_exact(direction.len()).map(|row| dot(row, direction)).collect())
    }

    /// The part of a layer's values that is the same for every input, `[d_model]`: their bias, LayerNorm 1's bias
    /// folded in.
    async fn value_bias(&self, layer: usize) -> Result<Vec<f32>> {
        let d_model = self.config().d_model;
        let weights = self.parameter(&format!("h.{layer}.attn.c_attn.weight"), 0..d_model).await?;
        let shift = self.parameter(&format!("h.{layer}.ln_1.bias"), 0..1).await?;
        let mut value = self.parameter(&format!("h.{layer}.attn.c_attn.bias"), 0..1).await?.split_off(2 * d_model);
        for (row, shift) in weights.chunks_exact(3 * d_model).zip(&shift) {
            value.iter_mut().zip(&row[2 * d_model..]).for_each(|(value, weight)| *value += shift * weight);
        }
        Ok(value)
    }

    /// Logits of a few tokens only: `[rows, d_model] -> [rows, tokens]`.
    async fn unembed_tokens(&self, resid: &Activation, norm: FinalNorm<'_>, tokens: &[u32]) -> Result<Activation> {
        let (weight, bias) = (self.parameter("ln_f.weight", 0..1).await?, self.parameter("ln_f.bias", 0..1).await?);
        let mut columns = Vec::with_capacity(tokens.len());
        for &token in tokens {
            columns.push(self.token_row(TokenRows::Unembedding, token).await?);
        }
        let mut data = Vec::new();
        for (row, x) in resid.data.chunks_exact(self.config().d_model).enumerate() {
            let mut normed = x.to_vec();
            centre(&mut normed);
            let scale = match norm {
                FinalNorm::Own => (dot(&normed, &normed) / normed.len() as f32 + self.config().ln_eps as f32).sqrt(),
                FinalNorm::Frozen(scales) => scales[row],
            };
            let scaled = normed.iter_mut().zip(weight.iter().zip(&bias));
            scaled.for_each(|(x, (weight, bias))| *x = *x / scale * weight + bias);
            data.extend(columns.iter().map(|column| dot(&normed, column)));
        }
        Ok(Activation::rows(data, tokens.len()))
    }

    /// The `k` likeliest tokens of each row, likeliest first; equal logits in order of id.
    async fn unembed_topk(
        &self,
        resid: &Activation,
        norm: FinalNorm<'_>,
        k: usize,
        control: &impl Control,
    ) -> Result<Vec<Vec<TopToken>>> {
        let mut top = Vec::new();
        for (rows, piece) in pieces(resid, self.config()) {
            let logits = self.unembed(&piece, norm.of_rows(rows), control).await?;
            top.extend(logits.data.chunks_exact(self.config().vocab_size).map(|logits| top_k(logits, k)));
        }
        Ok(top)
    }

    /// Each row's likeliest token (of equals the first) if it is one of `tokens`, for rows that the final LayerNorm
    /// normalises by themselves.
    async fn likeliest_among(
        &self,
        resid: &Activation,
        tokens: &[u32],
        control: &impl Control,
    ) -> Result<Vec<Option<u32>>> {
        check_ids(self.config(), tokens)?;
        let tops = self.unembed_topk(resid, FinalNorm::Own, 1, control).await?;
        Ok(tops.iter().map(|top| top.first().map(|top| top.id).filter(|id| tokens.contains(id))).collect())
    }

    /// Log-probability of `targets[i]` by row `i` of `resid [rows, d_model]`, for as many rows as there are targets.
    async fn logprobs(&self, resid: &Activation, targets: &[u32], control: &impl Control) -> Result<Vec<f32>> {
        check_ids(self.config(), targets)?;
        let d_model = self.config().d_model;
        let wanted = Activation::rows(resid.data[..targets.len() * d_model].to_vec(), d_model);
        let mut found = Vec::with_capacity(targets.len());
        for (_, piece) in pieces(&wanted, self.config()) {
            let logits = self.unembed(&piece, FinalNorm::Own, control).await?;
            for logits in logits.data.chunks_exact(self.config().vocab_size) {
                found.push(logits[targets[found.len()] as usize] - log_sum_exp(logits));
            }
        }
        Ok(found)
    }
}

/// How many tokens both prompts begin with.
pub fn common_start(a: &[u32], b: &[u32]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

/// The engine's own guard: callers have checked their prompts already, but an index must never run wild.
///
/// # Errors
/// [`Error::UnknownId`].
pub fn check_ids(config: &Config, ids: &[u32]) -> Result<()> {
    match ids.iter().find(|&&id| id as usize >= config.vocab_size) {
        Some(&id) => Err(Error::UnknownId { id, vocab: config.vocab_size }),
        None => Ok(()),
    }
}

/// # Errors
/// [`Error::Unsupported`] for a site of a layer that the model doesn't have.
pub fn check_site(config: &Config, site: Site) -> Result<()> {
    let last = config.n_layer - 1;
    match site.layer() {
        Some(layer) if layer > last => {
            Err(Error::Unsupported(format!("This model has no {site}: its layers are 0 to {last}.")))
        }
        _ => Ok(()),
    }
}

/// As [`check_ids`], of a batch of prompts.
///
/// # Errors
/// For prompts that are empty, too long, or of unequal lengths.
pub fn check_rows(config: &Config, rows: &[&[u32]]) -> Result<()> {
    let n_pos = rows.first().map_or(0, |row| row.len());
    if n_pos == 0 {
        return Err(Error::EmptyPrompt);
    }
    if n_pos > config.n_ctx {
        return Err(Error::PromptTooLong { len: n_pos, n_ctx: config.n_ctx });
    }
    if rows.iter().any(|row| row.len() != n_pos) {
        return Err(Error::Unsupported("The prompts of one batch must have the same number of tokens.".into()));
    }
    rows.iter().try_for_each(|row| check_ids(config, row))
}

/// Rows in pieces of which the logits fit into the budget, with where each lies.
fn pieces<'a>(resid: &'a Activation, config: &Config) -> impl Iterator<Item = (Range<usize>, Activation)> + use<'a> {
    let (d_model, at_once) = (config.d_model, logit_rows(config));
    resid.data.chunks(at_once * d_model).enumerate().map(move |(index, piece)| {
        let first = index * at_once;
        (first..first + piece.len() / d_model, Activation::rows(piece.to_vec(), d_model))
    })
}

/// Rows per piece of logits.
fn logit_rows(config: &Config) -> usize {
    (LOGIT_BUDGET_BYTES / (4 * config.vocab_size)).max(1)
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

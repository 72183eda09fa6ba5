//! Runs a model: named sites, base runs that are kept, and the coarse operations that analyses are written against.

pub mod control;
pub mod cpu;
pub mod edit;
pub mod extremes;
pub mod products;
pub mod site;

use std::collections::{BTreeMap, BTreeSet};

use crate::error::Result;
use crate::model::Config;
pub use control::{Control, Unhurried, complete};
pub use cpu::CpuEngine;
use edit::Edit;
pub use extremes::Extremes;
pub use products::{Products, TokenRows};
pub use site::{Site, SiteSet};

/// A site's value over a batch: row-major `f32`, shape in `shape`.
#[derive(Debug, Clone, PartialEq)]
pub struct Activation {
    pub shape: Vec<usize>,
    pub data: Vec<f32>,
}

impl Activation {
    /// The last row: the last position's.
    pub fn last_row(&self) -> &[f32] {
        let width = self.shape.last().copied().unwrap_or(0);
        &self.data[self.data.len().saturating_sub(width)..]
    }

    /// Row `index` along all but the last axis (for `[batch, pos, d_model]`: one position's vector).
    pub fn row(&self, index: usize) -> &[f32] {
        let width = self.shape.last().copied().unwrap_or(0);
        &self.data[index * width..(index + 1) * width]
    }
}

/// A batch of prompts that was run once and is kept.
#[derive(Debug, Clone)]
pub struct BaseRun {
    pub batch: usize,
    pub n_pos: usize,
    /// Residual stream after the last block, `[batch, pos, d_model]`.
    pub resid_final: Activation,
    /// What was asked to be captured.
    pub captured: BTreeMap<Site, Activation>,
}

/// How a residual vector is normalised before it is turned into logits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum FinalNorm<'a> {
    /// By its own mean and variance: `ln_f` itself.
    Own,
    /// Centred, then divided by a given scale for each row: the real run's, frozen.
    Frozen(&'a [f32]),
}

/// How runs that resumed a base run ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Resumed {
    /// The residual stream after the last block at the last position, `[runs, d_model]`.
    pub resid: Activation,
    /// The final LayerNorm's scale there, `[runs]`: each run's own, unless it was edited.
    pub scales: Vec<f32>,
}

impl Resumed {
    pub fn norm(&self) -> FinalNorm<'_> {
        FinalNorm::Frozen(&self.scales)
    }
}

/// The direction of the residual stream that tells two tokens apart: divided by the final LayerNorm's scale, a
/// vector's product with `along` is what it adds to their logit difference.
#[derive(Debug, Clone, PartialEq)]
pub struct Direction {
    /// `[d_model]`, centred: `ln_f.weight * (U[first] - U[second])` less its mean, `U` being the unembedding.
    pub along: Vec<f32>,
    /// What the final LayerNorm's bias adds, whatever the input.
    pub bias: f32,
}

impl Direction {
    /// The logit difference of the two tokens where the residual stream ends as `resid [d_model]`.
    pub fn difference(&self, resid: &[f32], scale: f32) -> f32 {
        self.written(resid, scale) + self.bias
    }

    /// What `vector [d_model]`, a part of the residual stream, adds to the difference.
    pub fn written(&self, vector: &[f32], scale: f32) -> f32 {
        cpu::kernels::matmul::dot(vector, &self.along) / scale
    }
}

/// Derivatives of the logit difference of two tokens at the last position, in a base run, by the residual stream.
/// They cover the layers and positions asked for: rows are positions from `first` on, `[pos - first, d_model]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Gradients {
    pub first: usize,
    /// The lowest layer covered.
    pub layer: usize,
    /// By layer from `layer` on: at `resid_pre`.
    pub resid_pre: Vec<Vec<f32>>,
    /// At `resid_mid`, which is also what attention writes to.
    pub resid_mid: Vec<Vec<f32>>,
    /// At `resid_post`, which is also what the MLP writes to.
    pub resid_post: Vec<Vec<f32>>,
    /// At `mlp.hook_post`, `[pos - first, d_mlp]`.
    pub mlp_post: Vec<Vec<f32>>,
    /// At `attn.hook_z`.
    pub z: Vec<Vec<f32>>,
}

/// One of the likeliest tokens of a row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TopToken {
    pub id: u32,
    pub logit: f32,
    /// Natural logarithm of the token's probability.
    pub logprob: f32,
}

/// A model on some device. Operations are coarse and take batches, so that a GPU can fuse them and keep
/// everything on the card; they are async, and each looks at `control` between its pieces.
#[allow(async_fn_in_trait)] // futures stay on the thread that made them: the worker has just one
pub trait Engine {
    /// One prompt's run, kept so that others can resume it.
    type Base;
    /// Keys and values of the tokens read so far, for decoding.
    type Cache;

    fn config(&self) -> &Config;

    /// Runs rows of equal length and keeps what `capture` names.
    async fn run(&self, rows: &[&[u32]], capture: &SiteSet, control: &impl Control) -> Result<BaseRun>;

    /// Runs rows of equal length for their ends alone: the residual stream at the last position, `[batch, d_model]`.
    async fn last_resid(&self, rows: &[&[u32]], control: &impl Control) -> Result<Activation>;

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

    /// Runs one prompt and keeps what others need to resume it.
    async fn base(&self, ids: &[u32], control: &impl Control) -> Result<Self::Base>;

    /// A site's value in a base run, `[pos, width]`; `attn.hook_pattern` as `[head, query, key]`.
    async fn base_value(&self, base: &Self::Base, site: Site, control: &impl Control) -> Result<Activation>;

    /// How the base run itself ended.
    fn base_end(&self, base: &Self::Base) -> Resumed;

    /// How runs end that differ from `base` by the edits of each, in order. Memory for what is computed on the way is
    /// bounded by a budget, whatever the number of runs.
    async fn resume(&self, base: &Self::Base, runs: &[Vec<Edit>], control: &impl Control) -> Result<Resumed>;

    /// As [`Engine::resume`], for the logit difference of two tokens alone. `on_done` is told of every batch: the
    /// places of its runs in `runs`, and their differences.
    async fn sweep(
        &self,
        base: &Self::Base,
        runs: &[Vec<Edit>],
        tokens: (u32, u32),
        control: &impl Control,
        on_done: impl FnMut(&[usize], &[f32]),
    ) -> Result<()>;

    /// Derivatives of `logit(tokens.0) - logit(tokens.1)`, from a layer and a position on: `from = (layer, position)`.
    async fn gradients(
        &self,
        base: &Self::Base,
        tokens: (u32, u32),
        from: (usize, usize),
        control: &impl Control,
    ) -> Result<Gradients>;

    /// The direction that tells two tokens apart.
    async fn direction(&self, tokens: (u32, u32)) -> Result<Direction>;

    /// What each neuron of a layer writes along `direction [d_model]`, at activation 1: `[d_mlp]`.
    async fn neuron_writes(&self, layer: usize, direction: &[f32]) -> Result<Vec<f32>>;

    /// What each entry of `attn.hook_z` writes along `direction [d_model]`: `[d_model]`, heads side by side.
    async fn head_writes(&self, layer: usize, direction: &[f32]) -> Result<Vec<f32>>;

    /// The part of a layer's values that is the same for every input, `[d_model]`: their bias, LayerNorm 1's bias
    /// folded in.
    async fn value_bias(&self, layer: usize) -> Result<Vec<f32>>;

    /// An empty cache for one sequence.
    fn cache(&self) -> Self::Cache;

    /// Reads `ids` after what `cache` holds, with `edits` made at the positions they name; returns the last one's end.
    async fn extend(
        &self,
        cache: &mut Self::Cache,
        ids: &[u32],
        edits: &[Edit],
        control: &impl Control,
    ) -> Result<Resumed>;

    /// Logits of every token for residual rows: `[rows, d_model] -> [rows, vocab]`.
    async fn unembed(&self, resid: &Activation, norm: FinalNorm<'_>, control: &impl Control) -> Result<Activation>;

    /// Logits of a few tokens only: `[rows, d_model] -> [rows, tokens]`.
    async fn unembed_tokens(&self, resid: &Activation, norm: FinalNorm<'_>, tokens: &[u32]) -> Result<Activation>;

    /// The `k` likeliest tokens of each row, likeliest first; equal logits in order of id.
    async fn unembed_topk(
        &self,
        resid: &Activation,
        norm: FinalNorm<'_>,
        k: usize,
        control: &impl Control,
    ) -> Result<Vec<Vec<TopToken>>>;

    /// Each row's likeliest token (of equals the first) if it is one of `tokens`, for rows that the final LayerNorm
    /// normalises by themselves. Most rows are decided without all of their logits.
    async fn likeliest_among(
        &self,
        resid: &Activation,
        tokens: &[u32],
        control: &impl Control,
    ) -> Result<Vec<Option<u32>>>;

    /// Log-probability of `targets[i]` by row `i` of `resid [rows, d_model]`, for as many rows as there are targets.
    async fn logprobs(&self, resid: &Activation, targets: &[u32], control: &impl Control) -> Result<Vec<f32>>;
}

//! GPT-2's blocks over the rows of many runs at once: what answers requests, where [`crate::engine::reference`] is what
//! it is held against.
//!
//! Runs lie one under the other. A run that resumes another has only its last positions here and reads the earlier
//! ones' keys and values from the run that it resumes; a whole run is the case where there are none.

use super::kernels::activation::activate;
use super::kernels::attention::{Past, Run, attend};
use super::kernels::norm::{normalise, scales};
use super::matrix::matrix;
use super::values::values;
use crate::engine::Control;
use crate::engine::plan::Segment;
use crate::engine::site::{BlockSite, Site};
use crate::error::Result;
use crate::model::Config;
use crate::model::weights::{Block, Conv1d, LayerNorm};

/// The residual stream of a batch, on its way through the layers, with the room that the blocks work in.
#[derive(Debug, Default)]
pub struct Stream {
    /// `[rows, d_model]`
    pub x: Vec<f32>,
    pub segments: Vec<Segment>,
    scale: Vec<f32>,
    normed: Vec<f32>,
    qkv: Vec<f32>,
    z: Vec<f32>,
    hidden: Vec<f32>,
    out: Vec<f32>,
}

/// Keys and values of one run at one layer, each `[pos, d_model]`.
#[derive(Debug, Clone, Default)]
pub struct KeyValues {
    pub keys: Vec<f32>,
    pub values: Vec<f32>,
}

/// Sees the rows at every site that it wants, and may change them.
pub trait RowHooks {
    fn wants(&self, site: Site) -> bool;

    /// `values` are the segments' rows, `[rows, width of the site]`; at `attn.hook_pattern` they are one segment's
    /// weights, `[head, query, key]`.
    fn at(&mut self, site: Site, segments: &[Segment], values: &mut [f32]);
}

/// Watches nothing.
pub struct NoRowHooks;

impl RowHooks for NoRowHooks {
    fn wants(&self, _: Site) -> bool {
        false
    }

    fn at(&mut self, _: Site, _: &[Segment], _: &mut [f32]) {}
}

impl Stream {
    /// `x [rows, d_model]`, runs of the given lengths one under the other, each starting at position 0.
    pub fn new(x: Vec<f32>, lengths: impl IntoIterator<Item = usize>) -> Self {
        let mut start = 0;
        let segment = |(run, n): (usize, usize)| {
            let rows = start..start + n;
            start = rows.end;
            Segment { run, rows, first: 0 }
        };
        let segments = lengths.into_iter().enumerate().map(segment).collect();
        Stream { x, segments, ..Stream::default() }
    }

    /// Puts the rows `x` of another run, the first of which stands at position `first`, under the others.
    pub fn push(&mut self, x: &[f32], run: usize, first: usize, d_model: usize) {
        let start = self.x.len() / d_model;
        self.x.extend_from_slice(x);
        self.segments.push(Segment { run, rows: start..self.x.len() / d_model, first });
    }

    /// Leaves of each run only its last row.
    fn keep_last_rows(&mut self, d_model: usize) {
        for (index, segment) in self.segments.iter_mut().enumerate() {
            let last = segment.rows.end - 1;
            self.x.copy_within(last * d_model..(last + 1) * d_model, index * d_model);
            segment.first += segment.rows.len() - 1;
            segment.rows = index..index + 1;
        }
        self.x.truncate(self.segments.len() * d_model);
    }
}

/// One layer at work.
pub struct LayerPass<'a, C> {
    pub config: &'a Config,
    pub weights: &'a Block,
    pub layer: usize,
    /// Keys and values before each segment's first row: the leading rows of these.
    pub past: Option<&'a KeyValues>,
    /// Of the last layer often just the last position is wanted.
    pub last_rows_only: bool,
    pub control: &'a C,
}

impl<C: Control> LayerPass<'_, C> {
    /// The whole block, `resid_pre` to `resid_post`.
    ///
    /// # Errors
    /// From the control, or for weights in a type that the engine doesn't know.
    pub async fn block(
        &self,
        stream: &mut Stream,
        keep: Option<&mut KeyValues>,
        hooks: &mut dyn RowHooks,
    ) -> Result<()> {
        self.attention(stream, keep, hooks).await?;
        self.mlp(stream, hooks).await
    }

    /// `resid_pre` to `resid_mid`. The keys and values of the rows are appended to `keep`.
    ///
    /// # Errors
    /// As [`Self::block`].
    pub async fn attention(
        &self,
        stream: &mut Stream,
        keep: Option<&mut KeyValues>,
        hooks: &mut dyn RowHooks,
    ) -> Result<()> {
        let d_model = self.config.d_model;
        self.hook(hooks, BlockSite::ResidPre, &stream.segments, &mut stream.x);
        self.norm(&self.weights.ln_1, BlockSite::Ln1Scale, stream, hooks)?;
        product(&self.weights.c_attn, &stream.normed, &mut stream.qkv)?;
        self.control.breathe().await?;
        for (part, site) in [BlockSite::Q, BlockSite::K, BlockSite::V].into_iter().enumerate() {
            self.hook_part(hooks, site, part, stream);
        }
        if let Some(keep) = keep {
            for row in stream.qkv.chunks_exact(3 * d_model) {
                keep.keys.extend_from_slice(&row[d_model..2 * d_model]);
                keep.values.extend_from_slice(&row[2 * d_model..]);
            }
        }
        self.mix(stream, hooks);
        if self.last_rows_only {
            stream.keep_last_rows(d_model);
        }
        self.hook(hooks, BlockSite::Z, &stream.segments, &mut stream.z);
        self.control.breathe().await?;
        self.add_product(&self.weights.attn_c_proj, BlockSite::AttnOut, stream, hooks)?;
        self.hook(hooks, BlockSite::ResidMid, &stream.segments, &mut stream.x);
        self.control.breathe().await
    }

    /// `resid_mid` to `resid_post`.
    ///
    /// # Errors
    /// As [`Self::block`].
    pub async fn mlp(&self, stream: &mut Stream, hooks: &mut dyn RowHooks) -> Result<()> {
        self.norm(&self.weights.ln_2, BlockSite::Ln2Scale, stream, hooks)?;
        product(&self.weights.c_fc, &stream.normed, &mut stream.hidden)?;
        self.hook(hooks, BlockSite::MlpPre, &stream.segments, &mut stream.hidden);
        self.control.breathe().await?;
        activate(self.config.variant.activation_function, &mut stream.hidden);
        self.hook(hooks, BlockSite::MlpPost, &stream.segments, &mut stream.hidden);
        self.add_product(&self.weights.mlp_c_proj, BlockSite::MlpOut, stream, hooks)?;
        self.hook(hooks, BlockSite::ResidPost, &stream.segments, &mut stream.x);
        self.control.breathe().await
    }

    fn hook(&self, hooks: &mut dyn RowHooks, site: BlockSite, segments: &[Segment], values: &mut [f32]) {
        let site = Site::Block(self.layer, site);
        if hooks.wants(site) {
            hooks.at(site, segments, values);
        }
    }

    /// Queries, keys or values are a third of each row of `qkv`.
    fn hook_part(&self, hooks: &mut dyn RowHooks, site: BlockSite, part: usize, stream: &mut Stream) {
        let (d_model, site) = (self.config.d_model, Site::Block(self.layer, site));
        if !hooks.wants(site) {
            return;
        }
        let columns = part * d_model..(part + 1) * d_model;
        let rows = stream.qkv.chunks_exact(3 * d_model);
        let mut values: Vec<f32> = rows.flat_map(|row| &row[columns.clone()]).copied().collect();
        hooks.at(site, &stream.segments, &mut values);
        for (row, values) in stream.qkv.chunks_exact_mut(3 * d_model).zip(values.chunks_exact(d_model)) {
            row[columns.clone()].copy_from_slice(values);
        }
    }

    /// LayerNorm of the stream into `normed`.
    fn norm(&self, ln: &LayerNorm, site: BlockSite, stream: &mut Stream, hooks: &mut dyn RowHooks) -> Result<()> {
        let d_model = self.config.d_model;
        stream.scale.resize(stream.x.len() / d_model, 0.0);
        scales(&stream.x, d_model, self.config.ln_eps as f32, &mut stream.scale);
        self.hook(hooks, site, &stream.segments, &mut stream.scale);
        stream.normed.resize(stream.x.len(), 0.0);
        let (weight, bias) = (values(&ln.weight)?, values(&ln.bias)?);
        normalise(&stream.x, &stream.scale, &weight, &bias, &mut stream.normed);
        Ok(())
    }

    /// Attention from `qkv` into `z`; of the wanted rows only.
    fn mix(&self, stream: &mut Stream, hooks: &mut dyn RowHooks) {
        let (d_model, n_head) = (self.config.d_model, self.config.n_head);
        let scale = self.config.attention_scale(self.layer);
        let runs: Vec<Run<'_>> = stream
            .segments
            .iter()
            .map(|segment| {
                let n_rows = segment.rows.len();
                let past = self.past.map_or(Past::default(), |past| Past {
                    keys: &past.keys[..segment.first * d_model],
                    values: &past.values[..segment.first * d_model],
                });
                let queries = if self.last_rows_only { n_rows - 1..n_rows } else { 0..n_rows };
                let qkv = &stream.qkv[segment.rows.start * 3 * d_model..segment.rows.end * 3 * d_model];
                Run { qkv, past, queries, n_head, d_model, scale }
            })
            .collect();
        let rows: usize = runs.iter().map(|run| run.queries.len()).sum();
        stream.z.resize(rows * d_model, 0.0);
        let site = Site::Block(self.layer, BlockSite::Pattern);
        if !hooks.wants(site) {
            return attend(&runs, &mut stream.z);
        }
        let mut z = &mut stream.z[..];
        for (run, segment) in runs.iter().zip(&stream.segments) {
            let mut pattern = vec![0.0; n_head * run.queries.len() * run.n_key()];
            run.pattern(&mut pattern);
            hooks.at(site, std::slice::from_ref(segment), &mut pattern);
            let (own, rest) = z.split_at_mut(run.queries.len() * d_model);
            run.mix(&pattern, own);
            z = rest;
        }
    }

    /// Adds what attention (from `z`) or the MLP (from `hidden`) writes to the stream.
    fn add_product(
        &self,
        layer: &Conv1d,
        site: BlockSite,
        stream: &mut Stream,
        hooks: &mut dyn RowHooks,
    ) -> Result<()> {
        let input = if site == BlockSite::AttnOut { &stream.z } else { &stream.hidden };
        let (weight, bias) = (matrix(&layer.weight)?, values(&layer.bias)?);
        if !hooks.wants(Site::Block(self.layer, site)) {
            weight.linear(input, Some(&bias), true, &mut stream.x);
            return Ok(());
        }
        stream.out.resize(stream.x.len(), 0.0);
        weight.linear(input, Some(&bias), false, &mut stream.out);
        self.hook(hooks, site, &stream.segments, &mut stream.out);
        stream.x.iter_mut().zip(&stream.out).for_each(|(x, out)| *x += out);
        Ok(())
    }
}

/// `out [rows, n_out] = x W + b`, `out` being given its size.
fn product(layer: &Conv1d, x: &[f32], out: &mut Vec<f32>) -> Result<()> {
    let (n_in, n_out) = layer.weight.dims2()?;
    out.resize(x.len() / n_in * n_out, 0.0);
    matrix(&layer.weight)?.linear(x, Some(&values(&layer.bias)?), false, out);
    Ok(())
}

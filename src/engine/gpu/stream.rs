//! GPT-2's blocks over the rows of many runs at once, on the card: what [`crate::engine::cpu::rows`] is on the processor.
//!
//! Every activation has a buffer of its own, so that what is read of a run, or kept of it, is there without a copy.

use super::GpuEngine;
use super::buffers::Buffer;
use super::hooks::{Hooks, Lies};
use super::kernels::attention::Heads;
use super::kernels::product::Then;
use super::matrix::padded;
use super::weights::{Linear, Norm};
use crate::engine::Control;
use crate::engine::plan::Segment;
use crate::engine::site::{BlockSite, Site};
use crate::error::Result;
use crate::model::weights::EMBEDDING;

/// Memory for the weights of attention that are there at once.
const PATTERN_BYTES: usize = 32 << 20;

/// The residual stream of a batch, on its way through the layers.
pub struct Stream {
    /// `[capacity, d_model]`
    pub x: Buffer,
    pub segments: Vec<Segment>,
    /// Rows there is room for: runs may join on the way.
    pub capacity: usize,
    /// What kernels know of each row that looks back, while the segments are as they are.
    queries: Option<Buffer>,
}

/// What a layer's attention looks at beside the stream's own rows.
#[derive(Clone, Copy, Default)]
pub struct Past<'a> {
    /// Queries, keys and values of the positions before each segment's first.
    pub before: Option<&'a Buffer>,
    /// Where the rows' own go, from which row on; into a buffer of their own if not said.
    pub into: Option<(&'a Buffer, usize)>,
    /// Of the last layer often just the last position is wanted.
    pub last_rows_only: bool,
}

impl Stream {
    /// Without rows, and room for so many.
    pub fn empty(engine: &GpuEngine, capacity: usize) -> Self {
        Stream { x: engine.activation(capacity), segments: Vec::new(), capacity, queries: None }
    }

    pub fn rows(&self) -> usize {
        self.segments.last().map_or(0, |segment| segment.rows.end)
    }

    /// The next `n` rows are run `run`'s, the first of them at position `first`.
    pub fn push(&mut self, run: usize, n: usize, first: usize) {
        let start = self.rows();
        self.segments.push(Segment { run, rows: start..start + n, first });
        self.queries = None;
    }

    /// Of each run the last row.
    fn last_rows(&self) -> Vec<Segment> {
        let last = |(place, segment): (usize, &Segment)| Segment {
            run: segment.run,
            rows: place..place + 1,
            first: segment.first + segment.rows.len() - 1,
        };
        self.segments.iter().enumerate().map(last).collect()
    }

    /// Numbers of the runs' last rows.
    pub fn ends(&self) -> Vec<u32> {
        self.segments.iter().map(|segment| segment.rows.end as u32 - 1).collect()
    }
}

impl GpuEngine {
    /// Room for rows of the residual stream.
    pub(super) fn activation(&self, rows: usize) -> Buffer {
        self.card.room(rows * padded(self.config.d_model))
    }

    /// Token plus position embedding of rows whose first token stands at `start`, with room for `capacity` rows in all.
    pub(super) fn embed(
        &self,
        rows: &[&[u32]],
        start: usize,
        capacity: usize,
        hooks: &mut Hooks<'_>,
    ) -> Result<Stream> {
        let mut stream = Stream::empty(self, capacity);
        rows.iter().enumerate().for_each(|(run, row)| stream.push(run, row.len(), start));
        let d = self.config.d_model;
        let lies = Lies::rows(padded(d));
        let positions: Vec<u32> = rows.iter().flat_map(|row| start as u32..(start + row.len()) as u32).collect();
        let (wte, wpe) = (self.weights.matrix(EMBEDDING)?, self.weights.matrix("wpe.weight")?);
        self.card.gather(wte, &rows.concat(), false, &stream.x);
        hooks.at(self, Site::Embed, &stream.segments, &stream.x, lies);
        if hooks.wants(Site::Embed) || hooks.wants(Site::PosEmbed) {
            let embedded = stream.x.clone();
            let position = self.activation(stream.rows());
            self.card.gather(wpe, &positions, false, &position);
            hooks.at(self, Site::PosEmbed, &stream.segments, &position, lies);
            stream.x = self.activation(capacity);
            self.card.add(&embedded, &position, stream.rows() * padded(d), &stream.x);
        } else {
            self.card.gather(wpe, &positions, true, &stream.x);
        }
        Ok(stream)
    }

    /// The whole block, `resid_pre` to `resid_post`.
    pub(super) async fn block(
        &self,
        layer: usize,
        past: Past<'_>,
        stream: &mut Stream,
        hooks: &mut Hooks<'_>,
        control: &impl Control,
    ) -> Result<()> {
        self.attention(layer, past, stream, hooks)?;
        self.card.pace(control).await?;
        self.mlp(layer, stream, hooks)?;
        self.card.pace(control).await
    }

    /// `resid_pre` to `resid_mid`; the rows' queries, keys and values, `[rows, padded(3 d_model)]`.
    pub(super) fn attention(
        &self,
        layer: usize,
        past: Past<'_>,
        stream: &mut Stream,
        hooks: &mut Hooks<'_>,
    ) -> Result<Buffer> {
        let (d, weights) = (self.config.d_model, &self.weights.blocks[layer]);
        let site = |site| Site::Block(layer, site);
        let lies = Lies::rows(padded(d));
        hooks.at(self, site(BlockSite::ResidPre), &stream.segments, &stream.x, lies);
        let normed = self.normed(&weights.ln_1, site(BlockSite::Ln1Scale), stream, hooks);
        let (qkv, first) = match past.into {
            Some((into, row)) => (into.clone(), row),
            None => (self.card.room(stream.rows() * padded(3 * d)), 0),
        };
        let then = Then { out_row: first, ..Then::default() };
        self.card.product(&normed, stream.rows(), &weights.c_attn, then, &qkv)?;
        for (part, name) in [BlockSite::Q, BlockSite::K, BlockSite::V].into_iter().enumerate() {
            let lies = Lies { stride: padded(3 * d), column: part * d, row: first };
            hooks.at(self, site(name), &stream.segments, &qkv, lies);
        }
        let z = self.mix(layer, past, (&qkv, first), stream, hooks);
        if past.last_rows_only {
            self.keep_last_rows(stream);
        }
        hooks.at(self, site(BlockSite::Z), &stream.segments, &z, lies);
        self.add_product(&weights.attn_c_proj, &z, site(BlockSite::AttnOut), stream, hooks)?;
        hooks.at(self, site(BlockSite::ResidMid), &stream.segments, &stream.x, lies);
        Ok(qkv)
    }

    /// `resid_mid` to `resid_post`.
    pub(super) fn mlp(&self, layer: usize, stream: &mut Stream, hooks: &mut Hooks<'_>) -> Result<()> {
        let (weights, width) = (&self.weights.blocks[layer], padded(self.config.d_mlp));
        let site = |site| Site::Block(layer, site);
        let activation = self.config.variant.activation_function;
        let rows = stream.rows();
        let normed = self.normed(&weights.ln_2, site(BlockSite::Ln2Scale), stream, hooks);
        let hidden = self.card.room(rows * width);
        if hooks.wants(site(BlockSite::MlpPre)) {
            let pre = self.card.room(rows * width);
            self.card.product(&normed, rows, &weights.c_fc, Then::default(), &pre)?;
            hooks.at(self, site(BlockSite::MlpPre), &stream.segments, &pre, Lies::rows(width));
            self.card.activate(activation, &pre, rows * width, &hidden);
        } else {
            let then = Then { activation: Some(activation), ..Then::default() };
            self.card.product(&normed, rows, &weights.c_fc, then, &hidden)?;
        }
        hooks.at(self, site(BlockSite::MlpPost), &stream.segments, &hidden, Lies::rows(width));
        self.add_product(&weights.mlp_c_proj, &hidden, site(BlockSite::MlpOut), stream, hooks)?;
        let lies = Lies::rows(padded(self.config.d_model));
        hooks.at(self, site(BlockSite::ResidPost), &stream.segments, &stream.x, lies);
        Ok(())
    }

    /// LayerNorm of rows by their own scales: the scales, `[rows]`, and the rows.
    pub(super) fn norm_rows(&self, norm: &Norm, x: &Buffer, rows: usize) -> (Buffer, Buffer) {
        let (scales, out) = (self.card.room(rows), self.activation(rows));
        self.card.norm(&self.config, norm, (x, rows), (&scales, false), &out);
        (scales, out)
    }

    /// LayerNorm of the stream.
    fn normed(&self, norm: &Norm, site: Site, stream: &Stream, hooks: &mut Hooks<'_>) -> Buffer {
        let rows = stream.rows();
        let (scales, out) = self.norm_rows(norm, &stream.x, rows);
        hooks.at(self, site, &stream.segments, &scales, Lies::rows(1));
        if hooks.changes(site) {
            self.card.norm(&self.config, norm, (&stream.x, rows), (&scales, true), &out);
        }
        out
    }

    /// Queries, `qkv` being the rows' own, and what they look at.
    fn heads<'a>(
        &'a self,
        layer: usize,
        (past, qkv): (Past<'a>, &'a Buffer),
        n_key: usize,
        (queries, n_query): (&'a Buffer, usize),
    ) -> Heads<'a> {
        let scale = self.config.attention_scale(layer);
        let past = past.before.unwrap_or(qkv);
        Heads { config: &self.config, queries, n_query, past, own: qkv, n_key, scale }
    }

    /// Attention from `qkv` into `z`; of the wanted rows only.
    fn mix(
        &self,
        layer: usize,
        past: Past<'_>,
        (qkv, first): (&Buffer, usize),
        stream: &mut Stream,
        hooks: &mut Hooks<'_>,
    ) -> Buffer {
        let wanted = if past.last_rows_only { stream.last_rows() } else { stream.segments.clone() };
        let n_query = wanted.last().map_or(0, |segment| segment.rows.end);
        let n_key = stream.segments.iter().map(|segment| segment.first + segment.rows.len()).max().unwrap_or(0);
        let z = self.activation(n_query);
        let bytes = PATTERN_BYTES.min(self.card.device.largest_binding() as usize);
        let at_once = (bytes / (4 * self.config.n_head * n_key.max(1))).max(1);
        if n_query > at_once && !hooks.wants(Site::Block(layer, BlockSite::Pattern)) {
            let all = queries(&stream.segments, first, past.last_rows_only);
            for (piece, queries) in all.chunks(4 * at_once).enumerate() {
                let table = self.card.upload(queries);
                let heads = self.heads(layer, (past, qkv), n_key, (&table, queries.len() / 4));
                let pattern = self.card.room(heads.pattern_len());
                self.card.pattern(&heads, &pattern);
                self.card.mix(&heads, &pattern, (&z, piece * at_once));
            }
            return z;
        }
        let is_plain = !past.last_rows_only && first == 0;
        let known = stream.queries.take().filter(|_| is_plain);
        let table = known.unwrap_or_else(|| self.card.upload(&queries(&stream.segments, first, past.last_rows_only)));
        let heads = self.heads(layer, (past, qkv), n_key, (&table, n_query));
        let pattern = self.card.room(heads.pattern_len());
        self.card.pattern(&heads, &pattern);
        hooks.at_pattern(self, layer, &wanted, &pattern, n_key);
        self.card.mix(&heads, &pattern, (&z, 0));
        stream.queries = is_plain.then_some(table);
        z
    }

    /// Leaves of each run only its last row.
    fn keep_last_rows(&self, stream: &mut Stream) {
        let picked = self.activation(stream.capacity);
        self.card.pick(&stream.x, self.config.d_model, &stream.ends(), &picked);
        stream.x = picked;
        stream.segments = stream.last_rows();
        stream.queries = None;
    }

    /// Adds what attention or the MLP writes to the stream.
    fn add_product(
        &self,
        layer: &Linear,
        input: &Buffer,
        site: Site,
        stream: &mut Stream,
        hooks: &mut Hooks<'_>,
    ) -> Result<()> {
        let (rows, width) = (stream.rows(), padded(self.config.d_model));
        let after = self.activation(stream.capacity);
        if hooks.wants(site) {
            let out = self.activation(rows);
            self.card.product(input, rows, layer, Then::default(), &out)?;
            hooks.at(self, site, &stream.segments, &out, Lies::rows(width));
            self.card.add(&stream.x, &out, rows * width, &after);
        } else {
            let then = Then { add: Some(&stream.x), ..Then::default() };
            self.card.product(input, rows, layer, then, &after)?;
        }
        stream.x = after;
        Ok(())
    }
}

/// What kernels know of each row that looks back: its row among the queries, its run's first row there, that row's position,
/// its own position. The stream's rows begin at row `at` there.
pub fn queries(segments: &[Segment], at: usize, last_rows_only: bool) -> Vec<u32> {
    let of_segment = |segment: &Segment| {
        let rows = if last_rows_only { segment.rows.end - 1..segment.rows.end } else { segment.rows.clone() };
        let (start, first) = (segment.rows.start, segment.first);
        rows.flat_map(move |row| [at + row, at + start, first, first + row - start]).collect::<Vec<usize>>()
    };
    segments.iter().flat_map(of_segment).map(|number| number as u32).collect()
}

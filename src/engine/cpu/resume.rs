//! Runs that resume a base run where their first edit changes something.
//!
//! Only the layers from there on are computed, only the positions from the first changed one, and of the last layer
//! only the last position. Edits of the residual stream, of what attention or the MLP write, of heads' outputs and of
//! neurons need no matrix product in their own layer: the base's residual stream is changed by the difference times
//! the rows of `W_O` or `W_out` that belong to it. All other edits start from the layer's `resid_pre`. Nothing is
//! approximated; an edit that changes nothing costs nothing.

use std::ops::{Deref, Range};

use candle_core::Storage;

use super::CpuEngine;
use super::base::CpuBase;
use super::kernels::activation::activate;
use super::matrix::{Matrix, matrix};
use super::rows::{RowHooks, Segment, Stream};
use crate::engine::edit::{Edit, Part, width};
use crate::engine::site::{BlockSite, Site};
use crate::engine::{Activation, Control, Resumed};
use crate::error::{Error, Result};
use crate::model::Config;

/// Memory for the rows of one batch.
const BUDGET_BYTES: usize = 64 << 20;
/// Multiply-adds between two looks at the control: some hundredths of a second on one thread.
const BUDGET_WORK: usize = 1 << 30;

/// Where in the model a run starts to differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Embed,
    /// Before block `.0`.
    Pre(usize),
    /// Between attention and MLP of block `.0`.
    Mid(usize),
    /// After the last block.
    End,
}

/// One run, cut down to what must be computed.
struct Plan {
    /// Place in the caller's list.
    run: usize,
    stage: Stage,
    /// First position that differs.
    first: usize,
    /// The residual stream at `stage` from `first` on, `[pos - first, d_model]`; at [`Stage::Embed`] nothing yet.
    x: Vec<f32>,
    /// Edits still to be made on the way.
    rest: Vec<Edit>,
}

impl CpuEngine {
    /// Rows that go through the layers together.
    fn rows_at_once(&self) -> usize {
        let (d, m) = (self.config.d_model, self.config.d_mlp);
        let bytes = 4 * (7 * d + m);
        (BUDGET_BYTES / bytes).min(BUDGET_WORK / (d * m)).max(1)
    }

    pub(super) async fn resume_runs(
        &self,
        base: &CpuBase,
        runs: &[Vec<Edit>],
        control: &impl Control,
        on_done: &mut impl FnMut(&[usize], Resumed),
    ) -> Result<()> {
        for edit in runs.iter().flatten() {
            edit.check(&self.config, base.n_pos())?;
        }
        let mut values = SiteValues { kept: Vec::new() };
        // by site, so that runs that start together go together
        let mut order: Vec<usize> = (0..runs.len()).collect();
        order.sort_by_key(|&run| runs[run].iter().map(|edit| order_of(edit.site)).min());
        let (mut ended, mut batch): (Vec<Plan>, Vec<Plan>) = (Vec::new(), Vec::new());
        for run in order {
            let plan = self.plan(base, run, &runs[run], &mut values, control).await?;
            let open = if plan.stage == Stage::End { &mut ended } else { &mut batch };
            let n_rows = |plan: &Plan| base.n_pos() - plan.first;
            let together: usize = open.iter().chain([&plan]).map(n_rows).sum();
            let is_another_stage = open.first().is_some_and(|first| first.stage != plan.stage);
            if is_another_stage || (together > self.rows_at_once() && !open.is_empty()) {
                self.run_batch(base, &std::mem::take(open), control, on_done).await?;
            }
            open.push(plan);
        }
        self.run_batch(base, &batch, control, on_done).await?;
        self.run_batch(base, &ended, control, on_done).await
    }

    /// Takes the earliest edits into the residual stream, as long as that can be done without running a layer.
    async fn plan(
        &self,
        base: &CpuBase,
        run: usize,
        edits: &[Edit],
        values: &mut SiteValues,
        control: &impl Control,
    ) -> Result<Plan> {
        let mut rest = edits.to_vec();
        rest.sort_by_key(|edit| order_of(edit.site)); // stable: edits of one site keep their order
        let last = base.n_pos() - 1;
        while let Some(earliest) = rest.first().map(|edit| edit.site) {
            let Some(stage) = direct_stage(earliest, self.config.n_layer) else {
                return Ok(self.hooked(base, run, earliest, rest));
            };
            let same = rest.iter().take_while(|edit| edit.site == earliest).count();
            let now: Vec<Edit> = rest.drain(..same).collect();
            let Some(difference) = self.difference(values.get(self, base, earliest, control).await?, &now) else {
                continue;
            };
            if rest.iter().any(|edit| is_passed(edit.site, stage)) {
                // another edit builds on this one before the stage is reached
                rest.splice(0..0, now);
                return Ok(self.hooked(base, run, earliest, rest));
            }
            let later = rest.iter().filter_map(|edit| edit.at.first(base.n_pos()));
            let first = later.chain([difference.first]).min().unwrap_or(last);
            let first = if stage == Stage::End { last } else { first };
            let x = self.with_difference(base, stage, first, &difference)?;
            return Ok(Plan { run, stage, first, x, rest });
        }
        Ok(Plan { run, stage: Stage::End, first: last, x: self.last_row(&base.resid_final).to_vec(), rest })
    }

    /// A run computed from the last stage before `earliest`, with every edit left as a hook on the way.
    fn hooked(&self, base: &CpuBase, run: usize, earliest: Site, rest: Vec<Edit>) -> Plan {
        let last = base.n_pos() - 1;
        let first = rest.iter().filter_map(|edit| edit.at.first(base.n_pos())).min().unwrap_or(last);
        let from = |x: &[f32]| x[first * self.config.d_model..].to_vec();
        let (stage, x) = match earliest {
            Site::Embed | Site::PosEmbed => (Stage::Embed, Vec::new()),
            Site::Block(layer, site) if site <= BlockSite::ResidMid => {
                (Stage::Pre(layer), from(&base.resid_pre[layer]))
            }
            Site::Block(layer, _) => (Stage::Mid(layer), from(&base.resid_mid[layer])),
            Site::FinalScale => (Stage::End, self.last_row(&base.resid_final).to_vec()),
        };
        Plan { run, stage, first: if stage == Stage::End { last } else { first }, x, rest }
    }

    fn last_row<'a>(&self, x: &'a [f32]) -> &'a [f32] {
        &x[x.len() - self.config.d_model..]
    }

    /// What `edits`, all of one site, change in the base's value `[pos, width]`; nothing if that is nothing.
    fn difference(&self, before: &[f32], edits: &[Edit]) -> Option<Difference> {
        let edit = edits.first()?;
        let (site, n_in) = (edit.site, width(edit.site, &self.config));
        // mostly one part of the vector, and nothing else of it need be looked at
        let is_same_part = edits.iter().all(|other| other.part == edit.part);
        let columns = if is_same_part { edit.columns(&self.config) } else { 0..n_in };
        let part = before.chunks_exact(n_in).flat_map(|row| &row[columns.clone()]);
        let before: Vec<f32> = part.copied().collect();
        let mut after = before.clone();
        for edit in edits {
            let own = edit.columns(&self.config);
            for (pos, row) in after.chunks_exact_mut(columns.len()).enumerate() {
                edit.apply(pos, own.start - columns.start..own.end - columns.start, row);
            }
        }
        let differs = |(a, b): (&[f32], &[f32])| a != b;
        let first = after.chunks_exact(columns.len()).zip(before.chunks_exact(columns.len())).position(differs)?;
        Some(Difference { site, columns, first, before, after })
    }

    /// The base's residual stream at `stage`, from position `first` on, with the difference in it.
    fn with_difference(&self, base: &CpuBase, stage: Stage, first: usize, difference: &Difference) -> Result<Vec<f32>> {
        let (d_model, site) = (self.config.d_model, difference.site);
        let resid = match stage {
            Stage::Pre(layer) => &base.resid_pre[layer],
            Stage::Mid(layer) => &base.resid_mid[layer],
            Stage::Embed | Stage::End => &base.resid_final,
        };
        let mut x = resid[first * d_model..].to_vec();
        let Site::Block(layer, block_site) = site else { return Ok(x) };
        let block = &self.weights.blocks[layer];
        let from = first * difference.columns.len();
        let (before, after) = (&difference.before[from..], &difference.after[from..]);
        match block_site {
            BlockSite::ResidPre | BlockSite::ResidMid | BlockSite::ResidPost => x.copy_from_slice(after),
            BlockSite::AttnOut | BlockSite::MlpOut => {
                x.iter_mut().zip(after.iter().zip(before)).for_each(|(x, (a, b))| *x += a - b);
            }
            BlockSite::Z => {
                add_written(&matrix(&block.attn_c_proj.weight)?, &difference.columns, after, before, &mut x);
            }
            BlockSite::MlpPost => {
                add_written(&matrix(&block.mlp_c_proj.weight)?, &difference.columns, after, before, &mut x);
            }
            _ => {
                // MlpPre: through the neurons' own function on both sides
                let (mut before, mut after) = (before.to_vec(), after.to_vec());
                let activation = self.config.variant.activation_function;
                activate(activation, &mut before);
                activate(activation, &mut after);
                add_written(&matrix(&block.mlp_c_proj.weight)?, &difference.columns, &after, &before, &mut x);
            }
        }
        Ok(x)
    }

    /// Runs plans of one stage to the end.
    async fn run_batch(
        &self,
        base: &CpuBase,
        plans: &[Plan],
        control: &impl Control,
        on_done: &mut impl FnMut(&[usize], Resumed),
    ) -> Result<()> {
        control.breathe().await?;
        let Some(stage) = plans.first().map(|plan| plan.stage) else { return Ok(()) };
        let edits = plans.iter().map(|plan| plan.rest.as_slice()).collect();
        let mut hooks = EditHooks { config: &self.config, edits };
        let n_layer = self.config.n_layer;
        let (mut stream, from) = match stage {
            Stage::Embed => {
                let first = plans.iter().map(|plan| plan.first).min().unwrap_or(0);
                let rows: Vec<&[u32]> = plans.iter().map(|_| &base.ids[first..]).collect();
                (self.embed(&rows, first, &mut hooks)?, 0)
            }
            Stage::Pre(layer) | Stage::Mid(layer) => (join(plans, self.config.d_model), layer),
            Stage::End => (join(plans, self.config.d_model), n_layer),
        };
        for layer in from..n_layer {
            let pass = self.pass(layer, Some(&base.past[layer]), layer + 1 == n_layer, control);
            if stage != Stage::Mid(layer) {
                pass.attention(&mut stream, None, &mut hooks).await?;
            }
            pass.mlp(&mut stream, &mut hooks).await?;
        }
        let d_model = self.config.d_model;
        let ends = stream.segments.iter().flat_map(|segment| &stream.x[(segment.rows.end - 1) * d_model..][..d_model]);
        let resid = Activation { shape: vec![plans.len(), d_model], data: ends.copied().collect() };
        let mut scales = self.final_scales(&resid.data);
        hooks.end(base.n_pos() - 1, &mut scales);
        let runs: Vec<usize> = plans.iter().map(|plan| plan.run).collect();
        on_done(&runs, Resumed { resid, scales });
        Ok(())
    }
}

/// What edits of one site change.
struct Difference {
    site: Site,
    /// The only columns of the site that differ.
    columns: Range<usize>,
    /// The first position that differs.
    first: usize,
    /// `[pos, columns]`
    before: Vec<f32>,
    after: Vec<f32>,
}

/// Adds `(after - before) · weight[columns]` to `x [rows, d_model]`, touching only the rows of `weight` that count.
fn add_written<G: Deref<Target = Storage>>(
    weight: &Matrix<G>,
    columns: &Range<usize>,
    after: &[f32],
    before: &[f32],
    x: &mut [f32],
) {
    let d_model = weight.columns();
    let rows = after.chunks_exact(columns.len()).zip(before.chunks_exact(columns.len()));
    for (x, (after, before)) in x.chunks_exact_mut(d_model).zip(rows) {
        for (row, (after, before)) in columns.clone().zip(after.iter().zip(before)) {
            if after != before {
                weight.add_row(row, 0..d_model, after - before, x);
            }
        }
    }
}

/// A run meets its sites in this order.
fn order_of(site: Site) -> (usize, Option<BlockSite>) {
    match site {
        Site::Embed => (0, None),
        Site::PosEmbed => (1, None),
        Site::Block(layer, site) => (layer + 2, Some(site)),
        Site::FinalScale => (usize::MAX, None),
    }
}

/// Whether a run that starts at `stage` no longer meets `site`.
fn is_passed(site: Site, stage: Stage) -> bool {
    let start = match stage {
        Stage::Embed => return false,
        Stage::Pre(layer) => (layer + 2, Some(BlockSite::ResidPre)),
        Stage::Mid(layer) => (layer + 2, Some(BlockSite::Ln2Scale)),
        Stage::End => order_of(Site::FinalScale),
    };
    order_of(site) < start
}

/// The stage whose residual stream an edit of this site changes by a known difference.
fn direct_stage(site: Site, n_layer: usize) -> Option<Stage> {
    let Site::Block(layer, site) = site else { return None };
    match site {
        BlockSite::ResidPre => Some(Stage::Pre(layer)),
        BlockSite::Z | BlockSite::AttnOut | BlockSite::ResidMid => Some(Stage::Mid(layer)),
        BlockSite::MlpPre | BlockSite::MlpPost | BlockSite::MlpOut | BlockSite::ResidPost => {
            Some(if layer + 1 == n_layer { Stage::End } else { Stage::Pre(layer + 1) })
        }
        _ => None,
    }
}

/// The plans' rows one under the other.
fn join(plans: &[Plan], d_model: usize) -> Stream {
    let lengths = plans.iter().map(|plan| plan.x.len() / d_model);
    let mut stream = Stream::new(plans.iter().flat_map(|plan| &plan.x).copied().collect(), lengths);
    for (segment, plan) in stream.segments.iter_mut().zip(plans) {
        segment.first = plan.first;
    }
    stream
}

/// The base's values of the sites that a sweep edits: runs of one sweep mostly share one.
struct SiteValues {
    kept: Vec<(Site, Vec<f32>)>,
}

impl SiteValues {
    async fn get(
        &mut self,
        engine: &CpuEngine,
        base: &CpuBase,
        site: Site,
        control: &impl Control,
    ) -> Result<&Vec<f32>> {
        if !self.kept.iter().any(|(kept, _)| *kept == site) {
            // the sites come in order, so older ones are not met again; a few serve runs with several edits
            if self.kept.len() >= 4 {
                self.kept.remove(0);
            }
            let value = engine.value_of(base, site, control).await?;
            self.kept.push((site, value.data));
        }
        let found = self.kept.iter().find(|(kept, _)| *kept == site);
        found.map(|(_, values)| values).ok_or_else(|| Error::Unsupported(format!("The base run has no {site}.")))
    }
}

/// Makes each run's edits as the batch meets their sites.
pub(super) struct EditHooks<'a> {
    pub config: &'a Config,
    /// By run.
    pub edits: Vec<&'a [Edit]>,
}

impl EditHooks<'_> {
    /// Edits of the final LayerNorm's scale, one a run, at its last position.
    pub fn end(&self, last: usize, scales: &mut [f32]) {
        for (edits, scale) in self.edits.iter().zip(scales) {
            for edit in edits.iter().filter(|edit| edit.site == Site::FinalScale) {
                edit.apply(last, 0..1, std::slice::from_mut(scale));
            }
        }
    }
}

impl RowHooks for EditHooks<'_> {
    fn wants(&self, site: Site) -> bool {
        self.edits.iter().copied().flatten().any(|edit| edit.site == site)
    }

    fn at(&mut self, site: Site, segments: &[Segment], values: &mut [f32]) {
        for segment in segments {
            for edit in self.edits[segment.run].iter().filter(|edit| edit.site == site) {
                if site.block_site() == Some(BlockSite::Pattern) {
                    apply_to_pattern(edit, segment, self.config.n_head, values);
                    continue;
                }
                let (width, columns) = (width(site, self.config), edit.columns(self.config));
                let rows = values[segment.rows.start * width..segment.rows.end * width].chunks_exact_mut(width);
                for (row, values) in rows.enumerate() {
                    edit.apply(segment.first + row, columns.clone(), values);
                }
            }
        }
    }
}

/// `pattern [head, query, key]` of one segment: an edit's position is the query's.
fn apply_to_pattern(edit: &Edit, segment: &Segment, n_head: usize, pattern: &mut [f32]) {
    let n_key = segment.first + segment.rows.len();
    let n_query = pattern.len() / (n_head * n_key);
    for (index, row) in pattern.chunks_exact_mut(n_key).enumerate() {
        let (head, query) = (index / n_query, n_key - n_query + index % n_query);
        let is_meant = match edit.part {
            Part::Head(only) => only == head,
            _ => true,
        };
        if is_meant {
            edit.apply(query, 0..query + 1, row);
        }
    }
}

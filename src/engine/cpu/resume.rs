//! Runs that resume a base run: carries out what [`crate::engine::plan`] has planned.

use std::ops::{Deref, Range};

use candle_core::Storage;

use super::CpuEngine;
use super::base::CpuBase;
use super::kernels::activation::activate;
use super::matrix::{Matrix, matrix};
use super::rows::{RowHooks, Stream};
use crate::engine::edit::{Edit, Part, width};
use crate::engine::plan::{self, Budget, Difference, Plan, Segment, Stage, Walk};
use crate::engine::site::{BlockSite, Site};
use crate::engine::{Activation, BaseRun, Control, Ends};
use crate::error::Result;
use crate::model::Config;

/// Memory for the rows of one walk.
const BUDGET_BYTES: usize = 64 << 20;
/// Multiply-adds between two looks at the control, for runs that begin together: a tenth of a second on one thread, and rows
/// enough that what each layer's weights are packed for counts little.
const BUDGET_WORK: usize = 3 << 30;
/// So many times that where runs join on the way.
const JOINED: usize = 2;

impl CpuEngine {
    fn budget(&self) -> Budget {
        let (d, m) = (self.config.d_model, self.config.d_mlp);
        let held = BUDGET_BYTES / (4 * (7 * d + m));
        let beginning = held.min(BUDGET_WORK / (d * m)).max(1);
        Budget { beginning, walking: held.min(JOINED * beginning).max(1) }
    }

    pub(super) async fn resume_runs(
        &self,
        base: &CpuBase,
        runs: &[Vec<Edit>],
        control: &impl Control,
        on_done: &mut dyn FnMut(&[usize], Ends),
    ) -> Result<()> {
        let budget = self.budget();
        plan::carry_out(self, base, runs, budget, control, async |walk| self.walk(base, &walk, control, on_done).await)
            .await
    }

    /// Takes runs to the end, each from where it begins.
    async fn walk(
        &self,
        base: &CpuBase,
        walk: &Walk,
        control: &impl Control,
        on_done: &mut dyn FnMut(&[usize], Ends),
    ) -> Result<()> {
        control.breathe().await?;
        let n_layer = self.config.n_layer;
        let edits = walk.plans.iter().map(|plan| plan.rest.as_slice()).collect();
        let mut hooks = EditHooks { config: &self.config, edits };
        let mut stream = self.begin(base, walk, &mut hooks)?;
        for layer in 0..n_layer {
            let pass = self.pass(layer, Some(&base.past[layer]), layer + 1 == n_layer, control);
            self.join(base, walk, Stage::Pre(layer), &mut stream)?;
            if !stream.segments.is_empty() {
                pass.attention(&mut stream, None, &mut hooks).await?;
            }
            self.join(base, walk, Stage::Mid(layer), &mut stream)?;
            if !stream.segments.is_empty() {
                pass.mlp(&mut stream, &mut hooks).await?;
            }
        }
        self.join(base, walk, Stage::End, &mut stream)?;
        let d_model = self.config.d_model;
        let ends = stream.segments.iter().flat_map(|segment| &stream.x[(segment.rows.end - 1) * d_model..][..d_model]);
        let resid = Activation::rows(ends.copied().collect(), d_model);
        let mut scales = self.final_scales(&resid.data);
        hooks.end(base.ids().len() - 1, &mut scales);
        let runs: Vec<usize> = walk.plans.iter().map(|plan| plan.run).collect();
        on_done(&runs, Ends { resid, scales });
        Ok(())
    }

    /// The stream of those that begin at the embedding: all from the first position that one of them needs.
    fn begin(&self, base: &CpuBase, walk: &Walk, hooks: &mut dyn RowHooks) -> Result<Stream> {
        let plans = &walk.plans[walk.beginning_at(Stage::Embed)];
        let Some(first) = plans.iter().map(|plan| plan.first).min() else { return Ok(Stream::default()) };
        let rows: Vec<&[u32]> = plans.iter().map(|_| &base.ids()[first..]).collect();
        self.embed(&rows, first, hooks)
    }

    /// Puts those that begin at `stage` under the others.
    fn join(&self, base: &CpuBase, walk: &Walk, stage: Stage, stream: &mut Stream) -> Result<()> {
        for place in walk.beginning_at(stage) {
            let plan = &walk.plans[place];
            let at = stream.x.len();
            stream.push(base.resid_at(stage, plan.first), place, plan.first, self.config.d_model);
            self.differ(plan, &mut stream.x[at..])?;
        }
        Ok(())
    }

    /// Makes the base's residual stream the plan's.
    fn differ(&self, plan: &Plan, x: &mut [f32]) -> Result<()> {
        let Some(Difference { layer, site, columns, before, after }) = &plan.difference else { return Ok(()) };
        let block = &self.weights.blocks[*layer];
        match site {
            BlockSite::ResidPre | BlockSite::ResidMid | BlockSite::ResidPost => x.copy_from_slice(after),
            BlockSite::AttnOut | BlockSite::MlpOut => {
                x.iter_mut().zip(after.iter().zip(before)).for_each(|(x, (a, b))| *x += a - b);
            }
            BlockSite::Z => add_written(&matrix(&block.attn_c_proj.weight)?, columns, after, before, x),
            BlockSite::MlpPost => add_written(&matrix(&block.mlp_c_proj.weight)?, columns, after, before, x),
            _ => {
                // MlpPre: through the neurons' own function on both sides
                let (mut before, mut after) = (before.clone(), after.clone());
                let activation = self.config.variant.activation_function;
                activate(activation, &mut before);
                activate(activation, &mut after);
                add_written(&matrix(&block.mlp_c_proj.weight)?, columns, &after, &before, x);
            }
        }
        Ok(())
    }
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

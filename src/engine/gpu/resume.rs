//! Runs that resume a base run, on the card: carries out what [`crate::engine::plan`] has planned.

use super::GpuEngine;
use super::base::GpuBase;
use super::buffers::Buffer;
use super::hooks::{Hooks, Lies};
use super::kernels::join::Begin;
use super::matrix::{padded, unpadded};
use super::stream::{Past, Stream};
use crate::engine::edit::Edit;
use crate::engine::plan::{self, Budget, Difference, Plan, Stage, Walk};
use crate::engine::site::{BlockSite, Site};
use crate::engine::{Activation, BaseRun, Control, Ends};
use crate::error::Result;

/// Memory for the largest activation of one walk.
const BUDGET_BYTES: usize = 64 << 20;
/// Rows that go together at least: fewer would leave the card idle.
const LEAST_ROWS: usize = 64;

/// Runs that have come to their ends.
struct Ended {
    runs: Vec<usize>,
    /// `[runs, d_model]`
    x: Buffer,
    /// `[runs]`
    scales: Buffer,
}

impl GpuEngine {
    fn budget(&self, n_pos: usize) -> Budget {
        let (d, m, h) = (self.config.d_model, self.config.d_mlp, self.config.n_head);
        let held = BUDGET_BYTES / (4 * m.max(3 * d).max(h * n_pos));
        // one dispatch must not take longer than a piece
        let worked = (self.card.piece() / (d * m) as u64) as usize;
        let rows = held.min(worked.max(LEAST_ROWS)).clamp(1, 65535);
        Budget { beginning: rows, walking: rows }
    }

    pub(super) async fn resume_runs(
        &self,
        base: &GpuBase,
        runs: &[Vec<Edit>],
        control: &impl Control,
        on_done: &mut dyn FnMut(&[usize], Ends),
    ) -> Result<()> {
        let (d, stride) = (self.config.d_model, padded(self.config.d_model));
        plan::carry_out(self, base, runs, self.budget(base.ids().len()), control, async |walk| {
            let ended = self.walk(base, &walk, control).await?;
            let n = ended.runs.len();
            let read = self.card.read(&[(&ended.x, 0, n * stride), (&ended.scales, 0, n)]).await?;
            let [x, scales] = &read[..] else { return Ok(()) };
            on_done(&ended.runs, Ends { resid: Activation::rows(unpadded(x, d), d), scales: scales.clone() });
            Ok(())
        })
        .await
    }

    /// As [`Self::resume_runs`], of which only the difference along a direction is read back: four bytes a run.
    pub(super) async fn sweep_runs(
        &self,
        base: &GpuBase,
        runs: &[Vec<Edit>],
        (along, bias): (&[f32], f32),
        control: &impl Control,
        on_done: &mut dyn FnMut(&[usize], &[f32]),
    ) -> Result<()> {
        let mut along = along.to_vec();
        along.resize(padded(along.len()), 0.0);
        let along = self.card.upload_floats(&along);
        plan::carry_out(self, base, runs, self.budget(base.ids().len()), control, async |walk| {
            let ended = self.walk(base, &walk, control).await?;
            let n = ended.runs.len();
            let differences = self.card.room(n);
            self.card.metric((&ended.x, n, self.config.d_model), (&along, bias), &ended.scales, &differences);
            let differences = self.card.read(&[(&differences, 0, n)]).await?.concat();
            on_done(&ended.runs, &differences);
            Ok(())
        })
        .await
    }

    /// Takes runs to the end, each from where it begins.
    async fn walk(&self, base: &GpuBase, walk: &Walk, control: &impl Control) -> Result<Ended> {
        control.breathe().await?;
        let n_layer = self.config.n_layer;
        let mut hooks = Hooks::of(walk.plans.iter().map(|plan| plan.rest.as_slice()).collect());
        let mut stream = self.begin(base, walk, &mut hooks)?;
        for layer in 0..n_layer {
            self.join_at(base, walk, Stage::Pre(layer), &mut stream)?;
            if !stream.segments.is_empty() {
                let past = Past { before: Some(&base.qkv[layer]), last_rows_only: layer + 1 == n_layer, into: None };
                self.attention(layer, past, &mut stream, &mut hooks)?;
                self.card.pace(control).await?;
            }
            self.join_at(base, walk, Stage::Mid(layer), &mut stream)?;
            if !stream.segments.is_empty() {
                self.mlp(layer, &mut stream, &mut hooks)?;
                self.card.pace(control).await?;
            }
        }
        self.join_at(base, walk, Stage::End, &mut stream)?;
        let n = stream.segments.len();
        let x = self.activation(n);
        self.card.pick(&stream.x, self.config.d_model, &stream.ends(), &x);
        let (scales, _) = self.final_norm((&x, n), None);
        let ends: Vec<_> =
            (0..n).map(|run| plan::Segment { run, rows: run..run + 1, first: base.ids().len() - 1 }).collect();
        hooks.at(self, Site::FinalScale, &ends, &scales, Lies::rows(1));
        Ok(Ended { runs: walk.plans.iter().map(|plan| plan.run).collect(), x, scales })
    }

    /// The stream of those that begin at the embedding: all from the first position that one of them needs.
    fn begin(&self, base: &GpuBase, walk: &Walk, hooks: &mut Hooks<'_>) -> Result<Stream> {
        let n_pos = base.ids().len();
        let plans = &walk.plans[walk.beginning_at(Stage::Embed)];
        let Some(first) = plans.iter().map(|plan| plan.first).min() else {
            return Ok(Stream::empty(self, walk.rows(n_pos)));
        };
        let rows: Vec<&[u32]> = plans.iter().map(|_| &base.ids()[first..]).collect();
        let others: usize = walk.plans[plans.len()..].iter().map(|plan| n_pos - plan.first).sum();
        let capacity = rows.len() * (n_pos - first) + others;
        self.embed(&rows, first, capacity, hooks)
    }

    /// Puts those that begin at `stage` under the others.
    fn join_at(&self, base: &GpuBase, walk: &Walk, stage: Stage, stream: &mut Stream) -> Result<()> {
        let joining = walk.beginning_at(stage);
        if joining.is_empty() {
            return Ok(());
        }
        let (n_pos, out_row) = (base.ids().len(), stream.rows());
        let mut rows = Vec::new();
        for place in joining {
            let plan = &walk.plans[place];
            rows.extend((plan.first..n_pos).map(|pos| (pos, begin_of(plan, pos))));
            stream.push(place, n_pos - plan.first, plan.first);
        }
        // what runs that begin here have changed was written by these
        let written = match stage {
            Stage::Embed | Stage::Pre(0) => &self.weights.blocks[0].mlp_c_proj,
            Stage::Pre(layer) => &self.weights.blocks[layer - 1].mlp_c_proj,
            Stage::Mid(layer) => &self.weights.blocks[layer].attn_c_proj,
            Stage::End => &self.weights.blocks[self.config.n_layer - 1].mlp_c_proj,
        };
        let written = (&written.weight, self.config.variant.activation_function);
        self.card.join(&rows, base.resid_at(stage), written, (&stream.x, out_row))
    }
}

/// What a run's row at `pos` begins with.
fn begin_of(plan: &Plan, pos: usize) -> Begin {
    let Some(Difference { site, columns, before, after, .. }) = &plan.difference else { return Begin::Base };
    let at = (pos - plan.first) * columns.len();
    let (before, after) = (&before[at..at + columns.len()], &after[at..at + columns.len()]);
    let difference = || after.iter().zip(before).map(|(after, before)| after - before).collect();
    let first = columns.start;
    match site {
        BlockSite::ResidPre | BlockSite::ResidMid | BlockSite::ResidPost => Begin::Instead(after.to_vec()),
        BlockSite::AttnOut | BlockSite::MlpOut => Begin::Added(difference()),
        BlockSite::MlpPre => Begin::Through { first, before: before.to_vec(), after: after.to_vec() },
        _ => Begin::Written { first, by: difference() },
    }
}

//! What of a run must be computed after its edits: from which stage of the model on, from which position on, what is known
//! to differ there, and which edits remain to be made on the way. Pure: devices carry plans out.
//!
//! Edits of the residual stream, of what attention or the MLP write, of heads' outputs and of neurons need no matrix
//! product in their own layer: the base's residual stream is changed by the difference times the rows of `W_O` or `W_out`
//! that belong to it. All other edits start from the layer's `resid_pre` or `resid_mid`. Nothing is approximated; an edit
//! that changes nothing costs nothing. Runs that begin at different stages walk together: a run joins where it begins, so
//! that each layer's weights are read once for all.

use std::cmp::Ordering;
use std::ops::Range;

use super::edit::{Edit, width};
use super::site::{BlockSite, Site, SiteSet};
use super::{BaseRun, Control, Engine, Readings};
use crate::error::Result;
use crate::model::Config;

/// Where in the model a run starts to differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    Embed,
    /// Before block `.0`.
    Pre(usize),
    /// Between attention and MLP of block `.0`.
    Mid(usize),
    /// After the last block.
    End,
}

impl Stage {
    fn place(self) -> usize {
        match self {
            Stage::Embed => 0,
            Stage::Pre(layer) => 1 + 2 * layer,
            Stage::Mid(layer) => 2 + 2 * layer,
            Stage::End => usize::MAX,
        }
    }
}

impl PartialOrd for Stage {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Stage {
    /// In the order in which a run comes to them.
    fn cmp(&self, other: &Self) -> Ordering {
        self.place().cmp(&other.place())
    }
}

/// One run, cut down to what must be computed.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Place in the caller's list.
    pub run: usize,
    pub stage: Stage,
    /// First position that is computed; from the last block's MLP on there is only the last.
    pub first: usize,
    /// What is changed in the base's residual stream at `stage`.
    pub difference: Option<Difference>,
    /// Edits still to be made on the way.
    pub rest: Vec<Edit>,
}

/// What edits of one site change, from a plan's first position on.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    pub layer: usize,
    pub site: BlockSite,
    /// The only columns of the site that differ.
    pub columns: Range<usize>,
    /// `[pos - first, columns]`
    pub before: Vec<f32>,
    pub after: Vec<f32>,
}

/// Runs that go through the model together, in the order of their stages.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Walk {
    pub plans: Vec<Plan>,
}

/// The rows of one run, among those of others.
#[derive(Debug, Clone, PartialEq)]
pub struct Segment {
    /// Which run, of those that go together.
    pub run: usize,
    pub rows: Range<usize>,
    /// Position of the first row.
    pub first: usize,
}

/// Rows that are computed together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Of runs that begin at one stage.
    pub beginning: usize,
    /// Of all that walk together.
    pub walking: usize,
}

impl Walk {
    pub fn rows(&self, n_pos: usize) -> usize {
        self.plans.iter().map(|plan| n_pos - plan.first).sum()
    }

    /// The plans that begin at a stage, by their places in the walk.
    pub fn beginning_at(&self, stage: Stage) -> Range<usize> {
        let start = self.plans.partition_point(|plan| plan.stage < stage);
        let end = self.plans.partition_point(|plan| plan.stage <= stage);
        start..end
    }

    /// Whether another run may come along.
    fn takes(&self, plan: &Plan, n_pos: usize, budget: Budget) -> bool {
        let rows = n_pos - plan.first;
        let same = self.plans.iter().filter(|other| other.stage == plan.stage).map(|other| n_pos - other.first);
        self.plans.is_empty()
            || (same.sum::<usize>() + rows <= budget.beginning && self.rows(n_pos) + rows <= budget.walking)
    }
}

/// Plans all `runs` and has `walk` carry them out.
///
/// # Errors
/// For an edit that names what isn't there; what the engine or `walk` fails with.
pub async fn carry_out<E: Engine>(
    engine: &E,
    base: &E::Base,
    runs: &[Vec<Edit>],
    budget: Budget,
    control: &impl Control,
    mut walk: impl AsyncFnMut(Walk) -> Result<()>,
) -> Result<()> {
    let (config, n_pos) = (engine.config(), base.ids().len());
    runs.iter().flatten().try_for_each(|edit| edit.check(config, n_pos))?;
    // by site, so that runs that start together go together
    let mut order: Vec<usize> = (0..runs.len()).collect();
    order.sort_by_key(|&run| runs[run].iter().map(|edit| order_of(edit.site)).min());
    let (mut open, mut ended) = (Walk::default(), Walk::default());
    let mut known = Readings::default();
    for run in order {
        let sites: SiteSet = reads(&runs[run], config.n_layer).collect();
        if sites.iter().any(|site| !known.0.contains_key(&site)) {
            // the sites come in order, so older ones are mostly not met again
            known = engine.read(base, &sites, 0, control).await?;
        }
        let plan = plan(config, n_pos, run, &runs[run], &known)?;
        // those that need no layer wait for each other
        let together = if plan.stage == Stage::End { &mut ended } else { &mut open };
        if !together.takes(&plan, n_pos, budget) {
            walk(std::mem::take(together)).await?;
        }
        let place = together.plans.partition_point(|other| other.stage <= plan.stage);
        together.plans.insert(place, plan);
    }
    for left in [open, ended].into_iter().filter(|walk| !walk.plans.is_empty()) {
        walk(left).await?;
    }
    Ok(())
}

/// The sites whose values in the base run [`plan`] needs.
pub fn reads(edits: &[Edit], n_layer: usize) -> impl Iterator<Item = Site> + '_ {
    edits.iter().map(|edit| edit.site).filter(move |site| direct_stage(*site, n_layer).is_some())
}

/// Takes the earliest edits into the residual stream, as long as that can be done without running a layer. `base` holds
/// what [`reads`] names, at all positions.
///
/// # Errors
/// Where it doesn't.
pub fn plan(config: &Config, n_pos: usize, run: usize, edits: &[Edit], base: &Readings) -> Result<Plan> {
    let mut rest = edits.to_vec();
    rest.sort_by_key(|edit| order_of(edit.site)); // stable: edits of one site keep their order
    let last = n_pos - 1;
    while let Some(earliest) = rest.first().map(|edit| edit.site) {
        let (Some(stage), Site::Block(layer, site)) = (direct_stage(earliest, config.n_layer), earliest) else {
            return Ok(hooked(config, n_pos, run, earliest, rest));
        };
        let same = rest.iter().take_while(|edit| edit.site == earliest).count();
        let now: Vec<Edit> = rest.drain(..same).collect();
        let Some((first, mut difference)) = difference((layer, site), &base.at(earliest)?.data, &now, config) else {
            continue;
        };
        if rest.iter().any(|edit| is_passed(edit.site, stage)) {
            // another edit builds on this one before the stage is reached
            rest.splice(0..0, now);
            return Ok(hooked(config, n_pos, run, earliest, rest));
        }
        let later = rest.iter().filter_map(|edit| edit.at.first(n_pos));
        let first = later.chain([first]).min().unwrap_or(last);
        let first = if is_of_the_last_position(stage, config.n_layer) { last } else { first };
        difference.before.drain(..first * difference.columns.len());
        difference.after.drain(..first * difference.columns.len());
        return Ok(Plan { run, stage, first, difference: Some(difference), rest });
    }
    Ok(Plan { run, stage: Stage::End, first: last, difference: None, rest })
}

/// A run computed from the last stage before `earliest`, with every edit left as a hook on the way.
fn hooked(config: &Config, n_pos: usize, run: usize, earliest: Site, rest: Vec<Edit>) -> Plan {
    let last = n_pos - 1;
    let first = rest.iter().filter_map(|edit| edit.at.first(n_pos)).min().unwrap_or(last);
    let stage = match earliest {
        Site::Embed | Site::PosEmbed => Stage::Embed,
        Site::Block(layer, site) if site <= BlockSite::ResidMid => Stage::Pre(layer),
        Site::Block(layer, _) => Stage::Mid(layer),
        Site::FinalScale => Stage::End,
    };
    let first = if is_of_the_last_position(stage, config.n_layer) { last } else { first };
    Plan { run, stage, first, difference: None, rest }
}

/// What `edits`, all of one site, change in the base's value `[pos, width]`, and the first position where they do; nothing
/// if that is nothing.
fn difference(
    (layer, site): (usize, BlockSite),
    before: &[f32],
    edits: &[Edit],
    config: &Config,
) -> Option<(usize, Difference)> {
    let edit = edits.first()?;
    let n_in = width(edit.site, config);
    // mostly one part of the vector, and nothing else of it need be looked at
    let is_same_part = edits.iter().all(|other| other.part == edit.part);
    let columns = if is_same_part { edit.columns(config) } else { 0..n_in };
    let before: Vec<f32> = before.chunks_exact(n_in).flat_map(|row| &row[columns.clone()]).copied().collect();
    let mut after = before.clone();
    for edit in edits {
        let own = edit.columns(config);
        for (pos, row) in after.chunks_exact_mut(columns.len()).enumerate() {
            edit.apply(pos, own.start - columns.start..own.end - columns.start, row);
        }
    }
    let differs = |(a, b): (&[f32], &[f32])| a != b;
    let first = after.chunks_exact(columns.len()).zip(before.chunks_exact(columns.len())).position(differs)?;
    Some((first, Difference { layer, site, columns, before, after }))
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

/// After the last attention nothing at earlier positions reaches the end.
fn is_of_the_last_position(stage: Stage, n_layer: usize) -> bool {
    stage >= Stage::Mid(n_layer - 1)
}

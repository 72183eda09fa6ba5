//! Activation patching by layer and position, by layer, and by head: SPEC row 4.
//!
//! The corrupted prompt is run with one activation of the clean run put in. Each figure is exact; before the first of
//! them comes the first-order estimate from one backward pass.

use crate::analysis::pair::Pair;
use crate::engine::edit::{Change, Edit, Part, Positions};
use crate::engine::site::{BlockSite, Site};
use crate::engine::{Activation, Control, Engine, Gradients};
use crate::error::Result;
use crate::protocol::{Bulk, Event, Grid, Partial, Patch, PatchSite, Progress, Stage, Unit};

/// Every patch of one kind of site.
///
/// # Errors
/// What the engine fails with.
pub async fn patch<E: Engine>(
    pair: &Pair<'_, E>,
    site: PatchSite,
    whole_layer: bool,
    control: &impl Control,
    on_event: &mut impl FnMut(Event),
) -> Result<Patch> {
    let n_layer = pair.engine.config().n_layer;
    let columns = match site {
        PatchSite::Heads => pair.engine.config().n_head,
        _ if whole_layer => 1,
        _ => pair.n_pos,
    };
    let gradients = pair.gradients(0, control).await?;
    let sites = (0..n_layer).map(|layer| Site::Block(layer, block_site(site))).collect();
    let clean = pair.engine.read(pair.clean, &sites, 0, control).await?;
    let corrupted = pair.engine.read(pair.corrupted, &sites, 0, control).await?;
    let (mut runs, mut cells) = (Vec::new(), Vec::new());
    let mut estimate = vec![f32::NAN; n_layer * columns];
    for layer in 0..n_layer {
        let at = Site::Block(layer, block_site(site));
        let changes = Changes {
            site: at,
            clean: clean.at(at)?,
            corrupted: corrupted.at(at)?,
            gradient: gradient(&gradients, site, layer),
        };
        for column in 0..columns {
            let (part, positions) = match site {
                PatchSite::Heads => (Part::Head(column), pair.aligned.clone()),
                _ if whole_layer => (Part::Whole, pair.aligned.clone()),
                _ if column < pair.differs_from => {
                    estimate[layer * columns + column] = 0.0;
                    (Part::Whole, Vec::new())
                }
                _ => (Part::Whole, pair.aligned.iter().copied().filter(|(here, _)| *here == column).collect()),
            };
            if positions.is_empty() {
                continue;
            }
            let edit = changes.edit(part, &positions, pair.engine.config());
            estimate[layer * columns + column] =
                pair.share(changes.first_order(&edit, &positions, gradients.first, pair.engine.config()));
            runs.push(vec![edit]);
            cells.push(layer * columns + column);
        }
    }
    // where nothing can change the figure is known, where nothing can be aligned there is none
    let mut values: Vec<f32> = estimate.iter().map(|figure| if figure.is_nan() { f32::NAN } else { 0.0 }).collect();
    let grid = |values: Vec<f32>| Grid {
        columns,
        is_list: columns == 1 && site != PatchSite::Heads && whole_layer,
        values: Bulk(values),
    };
    let mut answer = Patch {
        clean: pair.clean_diff,
        corrupted: pair.corrupted_diff,
        values: grid(values.clone()),
        estimate: grid(estimate),
    };
    on_event(Event::Partial(Partial::PatchEstimate(answer.clone())));
    let (total, mut done) = (runs.len(), 0);
    pair.engine
        .sweep(pair.corrupted, &runs, pair.tokens, control, |places, differences| {
            for (&place, &difference) in places.iter().zip(differences) {
                let figure = pair.recovered(difference);
                values[cells[place]] = figure;
                on_event(exact(cells[place], vec![figure]));
            }
            done += places.len();
            on_event(progress("patched runs", done, total));
        })
        .await?;
    answer.values = grid(values);
    Ok(answer)
}

pub(super) fn exact(first: usize, figures: Vec<f32>) -> Event {
    Event::Partial(Partial::Exact { first, figures: Bulk(figures) })
}

pub(super) fn progress(what: &str, done: usize, total: usize) -> Event {
    let (done, total) = (done as f64, Some(total as f64));
    Event::Progress(Progress { what: what.into(), done, total, unit: Unit::Runs, stage: Stage::Computing })
}

fn block_site(site: PatchSite) -> BlockSite {
    match site {
        PatchSite::ResidPre => BlockSite::ResidPre,
        PatchSite::AttnOut => BlockSite::AttnOut,
        PatchSite::MlpOut => BlockSite::MlpOut,
        PatchSite::Heads => BlockSite::Z,
    }
}

/// Derivatives at a site: what writes to the residual stream has that of the place it writes to.
fn gradient(gradients: &Gradients, site: PatchSite, layer: usize) -> &[f32] {
    match site {
        PatchSite::ResidPre => &gradients.resid_pre[layer],
        PatchSite::AttnOut => &gradients.resid_mid[layer],
        PatchSite::MlpOut => &gradients.resid_post[layer],
        PatchSite::Heads => &gradients.z[layer],
    }
}

/// One site's values in both runs, and the derivatives there.
pub(super) struct Changes<'a> {
    pub site: Site,
    /// `[clean pos, width]`
    pub clean: &'a Activation,
    /// `[pos, width]`
    pub corrupted: &'a Activation,
    /// `[pos - first, width]`
    pub gradient: &'a [f32],
}

impl Changes<'_> {
    /// Puts the clean values of `part` in at the given (corrupted, clean) positions.
    pub fn edit(&self, part: Part, positions: &[(usize, usize)], config: &crate::model::Config) -> Edit {
        let place = Edit { site: self.site, part, at: Positions::All, change: Change::Set(0.0) };
        let columns = place.columns(config);
        let rows = positions.iter().flat_map(|(_, clean)| &self.clean.row(*clean)[columns.clone()]).copied();
        let change = Change::Rows(rows.collect());
        Edit { at: Positions::These(positions.iter().map(|(here, _)| *here).collect()), change, ..place }
    }

    /// How much that changes the difference, to first order.
    pub fn first_order(
        &self,
        edit: &Edit,
        positions: &[(usize, usize)],
        first: usize,
        config: &crate::model::Config,
    ) -> f32 {
        let columns = edit.columns(config);
        let width = self.corrupted.shape.last().copied().unwrap_or(1);
        let at = |(here, clean): &(usize, usize)| {
            let gradient = &self.gradient[(here - first) * width..][columns.clone()];
            let rows = self.clean.row(*clean)[columns.clone()].iter().zip(&self.corrupted.row(*here)[columns.clone()]);
            rows.zip(gradient).map(|((clean, corrupted), gradient)| (clean - corrupted) * gradient).sum::<f32>()
        };
        positions.iter().map(at).sum()
    }
}

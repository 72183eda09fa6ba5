//! Patching every single neuron of a layer, or of all: SPEC row 5, with the direct effect of row 14 beside it.

use std::ops::Range;

use crate::analysis::pair::Pair;
use crate::analysis::patch::{exact, progress};
use crate::engine::edit::{Change, Edit, Part, Positions};
use crate::engine::site::{BlockSite, Site};
use crate::engine::{Activation, Control, Engine};
use crate::error::Result;
use crate::protocol::{Bulk, Event, Grid, Neurons, Partial};

/// Each neuron's clean activation put into the corrupted run, at all positions. Exact figures come layer by layer,
/// after the estimates of all.
///
/// # Errors
/// What the engine fails with.
pub async fn neurons<E: Engine>(
    pair: &Pair<'_, E>,
    layers: Range<usize>,
    is_list: bool,
    control: &impl Control,
    on_event: &mut impl FnMut(Event),
) -> Result<Neurons> {
    let d_mlp = pair.engine.config().d_mlp;
    let grid = |values: Vec<f32>| Grid { columns: d_mlp, is_list, values: Bulk(values) };
    let mut answer = estimates(pair, layers.clone(), &grid, control).await?;
    on_event(Event::Partial(Partial::NeuronsEstimate(answer.clone())));
    let (total, mut done) = (layers.len() * d_mlp, 0);
    for (index, layer) in layers.enumerate() {
        let (clean, _) = activations(pair, layer, control).await?;
        let runs: Vec<Vec<Edit>> = (0..d_mlp).map(|neuron| vec![patch_of(pair, layer, neuron, &clean)]).collect();
        let values = &mut answer.values.values.0[index * d_mlp..(index + 1) * d_mlp];
        pair.engine
            .sweep(pair.corrupted, &runs, pair.tokens, control, |places, differences| {
                for (&place, &difference) in places.iter().zip(differences) {
                    values[place] = pair.recovered(difference);
                }
                for run in stretches(places) {
                    on_event(exact(index * d_mlp + run.start, values[run].to_vec()));
                }
                done += places.len();
                on_event(progress("neurons", done, total));
            })
            .await?;
    }
    Ok(answer)
}

/// The answer with its estimates and direct effects, the exact figures still missing.
async fn estimates<E: Engine>(
    pair: &Pair<'_, E>,
    layers: Range<usize>,
    grid: &impl Fn(Vec<f32>) -> Grid,
    control: &impl Control,
) -> Result<Neurons> {
    let d_mlp = pair.engine.config().d_mlp;
    let gradients = pair.gradients(layers.start, control).await?;
    // without a counterpart of the last position there is no direct effect to tell
    let last = pair.aligned.last().copied().filter(|(here, _)| here + 1 == pair.n_pos);
    let (mut estimate, mut direct, mut direct_share) = (Vec::new(), Vec::new(), Vec::new());
    for layer in layers.clone() {
        let (clean, corrupted) = activations(pair, layer, control).await?;
        let writes = pair.engine.neuron_writes(layer, &pair.direction.along).await?;
        let by_position = &gradients.mlp_post[layer - gradients.layer];
        let mut sums = vec![0.0; d_mlp];
        for (here, there) in &pair.aligned {
            let gradient = &by_position[(here - gradients.first) * d_mlp..][..d_mlp];
            let rows = clean.row(*there).iter().zip(corrupted.row(*here));
            for ((sum, gradient), (clean, corrupted)) in sums.iter_mut().zip(gradient).zip(rows) {
                *sum += (clean - corrupted) * gradient;
            }
        }
        estimate.extend(sums.into_iter().map(|sum| pair.share(sum)));
        let ends = clean.row(pair.clean_n_pos - 1).iter().zip(&writes);
        direct.extend(ends.map(|(activation, writes)| activation * writes / pair.clean_scale));
        direct_share.extend((0..d_mlp).map(|neuron| {
            last.map_or(f32::NAN, |(here, there)| {
                let change = clean.row(there)[neuron] - corrupted.row(here)[neuron];
                pair.share(change * writes[neuron] / pair.corrupted_scale)
            })
        }));
        control.breathe().await?;
    }
    Ok(Neurons {
        clean: pair.clean_diff,
        corrupted: pair.corrupted_diff,
        values: grid(vec![f32::NAN; estimate.len()]),
        estimate: grid(estimate),
        direct: grid(direct),
        direct_share: grid(direct_share),
    })
}

/// A layer's neurons in the clean and the corrupted run, each `[pos, d_mlp]`.
async fn activations<E: Engine>(
    pair: &Pair<'_, E>,
    layer: usize,
    control: &impl Control,
) -> Result<(Activation, Activation)> {
    let site = Site::Block(layer, BlockSite::MlpPost);
    let sites = [site].into_iter().collect();
    let clean = pair.engine.read(pair.clean, &sites, 0, control).await?;
    let corrupted = pair.engine.read(pair.corrupted, &sites, 0, control).await?;
    Ok((clean.at(site)?.clone(), corrupted.at(site)?.clone()))
}

fn patch_of<E: Engine>(pair: &Pair<'_, E>, layer: usize, neuron: usize, clean: &Activation) -> Edit {
    Edit {
        site: Site::Block(layer, BlockSite::MlpPost),
        part: Part::Neuron(neuron),
        at: Positions::These(pair.aligned.iter().map(|(here, _)| *here).collect()),
        change: Change::Rows(pair.aligned.iter().map(|(_, there)| clean.row(*there)[neuron]).collect()),
    }
}

/// Ascending places as stretches without gaps.
fn stretches(places: &[usize]) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    for &place in places {
        match found.last_mut() {
            Some(last) if last.end == place => last.end += 1,
            _ => found.push(place..place + 1),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_become_stretches() {
        assert_eq!(stretches(&[3, 4, 5, 7, 9, 10]), [3..6, 7..8, 9..11]);
        assert!(stretches(&[]).is_empty());
    }
}

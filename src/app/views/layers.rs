//! Each component's total effect beside its direct one: where the bars part, later layers add to it or cancel it.

use yew::prelude::*;

use super::maps::runs;
use crate::app::charts::heat::Unit;
use crate::app::charts::line::{Band, LineChart, Point, Series};
use crate::app::state::{Dispatch, Figure, LAYER_SITES, Patched, Patching};
use crate::app::widgets::section::Section;
use crate::app::widgets::shown::Shown;
use crate::app::widgets::{failure::Notice, sweep};
use crate::link::View;
use crate::protocol::{Attribution, PatchSite};

#[derive(Properties, PartialEq)]
pub struct Props {
    pub patching: Patching,
    pub is_busy: bool,
    pub dispatch: Dispatch,
}

const TOTAL: &str = "total effect";
const DIRECT: &str = "direct effect";

#[component]
pub fn Layers(props: &Props) -> Html {
    let patching = &props.patching;
    let (from, into) = runs(patching);
    let failure = patching
        .layers
        .iter()
        .find_map(Figure::failure)
        .or_else(|| patching.attributions.iter().find_map(Figure::failure));
    let is_current =
        patching.layers.iter().all(Figure::is_current) && patching.attributions.iter().all(Figure::is_current);
    let caption = html! {
        "A whole layer's attention or MLP at once. The total effect comes by whatever way; the direct one through the \
         unembedding alone. Where they part, later layers pass the effect on, add to it or cancel it."
    };
    html! {
        <Section view={View::Layers} title="Layer by layer" {caption} is_busy={props.is_busy} dispatch={props.dispatch.clone()}>
            <Notice id="layers-failure" {failure} />
            <Shown class="layers-plot" {is_current}>{ for chart(patching) }</Shown>
            <div class="layer-keys">
                <p class="key total-effect"><i />
                    <span><b>{ TOTAL }</b>{ format!(": the {into} run with all positions of the component taken from the {from} run; share of the difference brought back") }</span></p>
                <p class="key direct-effect"><i />
                    <span><b>{ DIRECT }</b>{ ": what it writes along the difference itself in the clean run, less the corrupted one, as a share of the whole difference; the final LayerNorm's scale is each run's own" }</span></p>
            </div>
            { for LAYER_SITES.iter().enumerate().filter(|(i, _)| patching.layers[*i].current().is_some_and(|sweep| !sweep.is_complete()))
                .map(|(i, _)| sweep::status(&patching.layers[i], Patched::Layers(i), &props.dispatch)) }
        </Section>
    }
}

/// Both series, once all of their parts are there.
fn chart(patching: &Patching) -> Option<Html> {
    let [attn, mlp] = &patching.layers;
    let (attn, mlp) = (attn.current()?, mlp.current()?);
    let [clean, corrupted] = &patching.attributions;
    let (clean, corrupted) = (clean.current()?, corrupted.current()?);
    let layers = attn.values().len().min(mlp.values().len());
    if clean.attn.len() != layers || corrupted.attn.len() != layers {
        return None;
    }
    let total = (0..layers).flat_map(|layer| [attn.values()[layer], mlp.values()[layer]]).collect();
    let direct = direct_shares(clean, corrupted);
    let series = vec![
        Series { name: TOTAL, class: "total-effect", values: total },
        Series { name: DIRECT, class: "direct-effect", values: direct },
    ];
    let point = |i: usize| {
        let (layer, short) = (i / 2, if i.is_multiple_of(2) { "attn" } else { "mlp" });
        let site = LAYER_SITES[i % 2];
        let site = if site == PatchSite::AttnOut { "attn_out" } else { "mlp_out" };
        Point { name: format!("L{layer} {short}"), short, site: format!("blocks.{layer}.hook_{site}") }
    };
    let points: Vec<Point> = (0..2 * layers).map(point).collect();
    let bands: Vec<Band> =
        (0..layers).map(|layer| Band { name: format!("L{layer}"), points: 2 * layer..2 * layer + 2 }).collect();
    Some(html! {
        <LineChart label="Total and direct effect by component; arrow keys move along it" {points} {bands} {series}
            title="share of the logit difference" unit={Unit::Share} is_bars=true />
    })
}

/// Attention and MLP of each layer, clean less corrupted, as shares of the whole difference.
fn direct_shares(clean: &Attribution, corrupted: &Attribution) -> Vec<f32> {
    let whole = clean.total - corrupted.total;
    let share = |(a, b): (&f32, &f32)| (a - b) / whole;
    let attn = clean.attn.iter().zip(&corrupted.attn).map(share);
    let mlp = clean.mlp.iter().zip(&corrupted.mlp).map(share);
    attn.zip(mlp).flat_map(|(attn, mlp)| [attn, mlp]).collect()
}

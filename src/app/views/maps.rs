//! Heat maps of what each patch brings back: layer by position for three places of the model, layer by head.

use yew::prelude::*;

use super::prompts::differing;
use crate::app::charts::heat::{Cell, Column, HeatMap, Unit};
use crate::app::format::{share, signed};
use crate::app::state::{Action, Dispatch, Figure, Patched, Patching, SITES, Shared, Sweep};
use crate::app::widgets::section::Section;
use crate::app::widgets::shown::Shown;
use crate::app::widgets::{failure::Notice, sweep, token};
use crate::engine::edit::{EditText, Part, TextChange, TextPositions};
use crate::engine::site::{BlockSite, Site};
use crate::link::{Layer, View};
use crate::protocol::{Attribution, Patch, PatchSite, Prediction};

#[derive(Properties, PartialEq)]
pub struct Props {
    pub prediction: Figure<Prediction>,
    pub patching: Patching,
    pub is_busy: bool,
    pub dispatch: Dispatch,
}

#[component]
pub fn Maps(props: &Props) -> Html {
    let patching = &props.patching;
    let (from, into) = runs(patching);
    let caption = html! {
        <>
        { format!("Each cell runs the {into} prompt with one activation taken from the {from} run. Its colour is the share of the \
            logit difference that this brings back: (patched − {into}) / ({from} − {into}). 100 % turns the answer all the way.") }
        </>
    };
    // one notice for all maps: they fail together
    let failure = patching.maps.iter().find_map(Figure::failure);
    let columns = columns(props);
    let mut maps = SITES.into_iter().enumerate().map(|(which, site)| {
        // by position it needs the tokens of the run that is patched
        let is_named = site == PatchSite::Heads || !columns.is_empty();
        let patch = patching.maps[which].current().filter(|_| is_named);
        let title = match site {
            PatchSite::ResidPre => "Residual stream before each layer",
            PatchSite::AttnOut => "Attention output",
            PatchSite::MlpOut => "MLP output",
            PatchSite::Heads => "Attention heads, all positions",
        };
        html! {
            <div class="map">
                <h3>{ title }</h3>
                <Shown class="map-body" is_current={patch.is_some()}>
                    { for patch.map(|patch| map(props, (which, site), title, patch, &columns)) }
                </Shown>
            </div>
        }
    });
    let maps_by_position: Vec<Html> = maps.by_ref().take(3).collect();
    let heads: Html = maps.collect();
    html! {
        <Section view={View::Maps} title="Where the difference is carried" {caption} is_busy={props.is_busy} dispatch={props.dispatch.clone()}>
            <Notice id="maps-failure" {failure} />
            <div class="maps-grid">
                { for maps_by_position }
                <div class="head-maps">{ heads }{ direct_heads(props) }</div>
            </div>
        </Section>
    }
}

/// The names of the run that is taken from and the one that is patched.
pub fn runs(patching: &Patching) -> (&'static str, &'static str) {
    if patching.reversed { ("corrupted", "clean") } else { ("clean", "corrupted") }
}

/// What an edit does that is a patch.
pub fn taken_from(reversed: bool) -> TextChange {
    if reversed { TextChange::Corrupted } else { TextChange::Clean }
}

/// The positions of the run that is patched.
fn columns(props: &Props) -> Vec<Column> {
    let (clean, corrupted) = (props.prediction.current(), props.patching.contrast.current());
    let (Some(clean), Some(corrupted)) = (clean, corrupted) else { return Vec::new() };
    let [in_clean, in_corrupted] = differing(&clean.ids, &corrupted.ids);
    let (run, marks) = if props.patching.reversed { (clean, in_clean) } else { (corrupted, in_corrupted) };
    let column = |(text, is_marked): (&String, bool)| Column { name: token::plain(text), is_marked };
    run.tokens.iter().zip(marks).map(column).collect()
}

fn map(
    props: &Props,
    (which, site): (usize, PatchSite),
    title: &str,
    patch: &Shared<Sweep<Patch>>,
    columns: &[Column],
) -> Html {
    let width = patch.columns();
    let (values, is_heads) = (patch.values(), site == PatchSite::Heads);
    let cells: Vec<Cell> =
        values.iter().enumerate().map(|(i, &value)| Cell { value, is_exact: patch.is_exact(i) }).collect();
    let names: Vec<Column> = (0..width)
        .map(|i| match columns.get(i) {
            Some(column) if !is_heads => column.clone(),
            _ => Column { name: i.to_string(), is_marked: false },
        })
        .collect();
    let describe = {
        let (patch, names) = (patch.clone(), names.clone());
        Callback::from(move |(row, column): (usize, usize)| {
            let index = row * width + column;
            let value = patch.values().get(index).copied().unwrap_or(f32::NAN);
            let place = match names.get(column) {
                _ if is_heads => format!("head {column}"),
                Some(name) => format!("position {column} “{}”", name.name),
                None => format!("position {column}"),
            };
            let figure = match patch.is_exact(index) {
                _ if value.is_nan() => "has no counterpart in the other prompt".to_owned(),
                true => format!("brings back {}", share(value)),
                false => format!("brings back about {} (estimate)", share(value)),
            };
            format!("Layer {row}, {place}: {figure}")
        })
    };
    let onpick = {
        let dispatch = props.dispatch.clone();
        let reversed = props.patching.reversed;
        Callback::from(move |(row, column): (usize, usize)| pick(&dispatch, reversed, site, (row, column)))
    };
    let status = sweep::status(&props.patching.maps[which], Patched::Map(which), &props.dispatch);
    let (id, hint) = match site {
        PatchSite::ResidPre => (
            "map-resid_pre",
            "Click a cell, or press Enter on it, to add the patch to the edits below; a tap only reads it.",
        ),
        PatchSite::AttnOut => (
            "map-attn_out",
            "Click a cell, or press Enter on it, to add the patch to the edits below; a tap only reads it.",
        ),
        PatchSite::MlpOut => {
            ("map-mlp_out", "Click a cell, or press Enter on it, to see that layer's neurons; a tap only reads it.")
        }
        PatchSite::Heads => (
            "map-heads",
            "Click a head, or press Enter on it, to add the patch to the edits below; a tap only reads it.",
        ),
    };
    let label = format!(
        "{title}: share brought back, by layer and {}; arrow keys move",
        if is_heads { "head" } else { "position" }
    );
    let (act, done) = match site {
        PatchSite::MlpOut => ("That layer’s neurons", None),
        _ => ("Patch this here", Some("Added to the edits")),
    };
    html! {
        <HeatMap {id} {label} columns={names} {cells} unit={Unit::Share} {describe} {hint} {onpick} {act} {done} {status} />
    }
}

/// What a click on a cell does: an MLP's leads to its neurons, any other becomes an edit.
fn pick(dispatch: &Dispatch, reversed: bool, site: PatchSite, (row, column): (usize, usize)) {
    let edit = |site: BlockSite, part: Part, at: TextPositions| {
        // the edit is made in the run that was patched
        dispatch.dispatch(Action::EditCorrupted(!reversed));
        let change = taken_from(reversed);
        let edit = EditText { site: Site::Block(row, site), part, at, change };
        dispatch.dispatch(Action::Edit(edit));
    };
    match site {
        PatchSite::MlpOut => {
            dispatch.dispatch(Action::Layer(Some(Layer::One(row))));
            scroll_to(View::Neurons);
        }
        PatchSite::ResidPre => edit(BlockSite::ResidPre, Part::Whole, TextPositions::These(vec![column])),
        PatchSite::AttnOut => edit(BlockSite::AttnOut, Part::Whole, TextPositions::These(vec![column])),
        PatchSite::Heads => edit(BlockSite::Z, Part::Head(column), TextPositions::All),
    }
}

/// Brings a figure on screen.
pub fn scroll_to(view: View) {
    let document = web_sys::window().and_then(|window| window.document());
    if let Some(element) = document.and_then(|document| document.get_element_by_id(view.word())) {
        element.scroll_into_view();
    }
}

/// What each head writes straight into the difference, clean run less corrupted run.
fn direct_heads(props: &Props) -> Html {
    let [clean, corrupted] = &props.patching.attributions;
    if clean.is_empty() || corrupted.is_empty() {
        return html! {};
    }
    let map = clean.current().zip(corrupted.current()).map(|(clean, corrupted)| direct_map(clean, corrupted));
    html! {
        <div class="map">
            <h3 translate="yes">{ "Attention heads, direct" }</h3>
            <Shown class="map-body" is_current={map.is_some()}>{ for map }</Shown>
        </div>
    }
}

fn direct_map(clean: &Shared<Attribution>, corrupted: &Shared<Attribution>) -> Html {
    let cells = direct(clean, corrupted);
    let width = clean.heads.first().map_or(1, Vec::len);
    let columns: Vec<Column> = (0..width).map(|i| Column { name: i.to_string(), is_marked: false }).collect();
    let describe = {
        let (clean, corrupted) = (clean.clone(), corrupted.clone());
        Callback::from(move |(row, column): (usize, usize)| {
            let of =
                |run: &Attribution| run.heads.get(row).and_then(|heads| heads.get(column)).copied().unwrap_or(f32::NAN);
            format!(
                "Layer {row}, head {column}: writes {} logits in the clean run, {} in the corrupted one",
                signed(of(&clean)),
                signed(of(&corrupted))
            )
        })
    };
    html! {
        <HeatMap id="map-direct" label="Attention heads: direct logit attribution, clean less corrupted, by layer and head; arrow keys move"
            {columns} {cells} unit={Unit::Logits} {describe}
            hint="What a head writes into the logit difference through the unembedding alone, in logits: clean less corrupted." />
    }
}

fn direct(clean: &Attribution, corrupted: &Attribution) -> Vec<Cell> {
    let pairs = clean.heads.iter().flatten().zip(corrupted.heads.iter().flatten());
    pairs.map(|(a, b)| Cell { value: a - b, is_exact: true }).collect()
}

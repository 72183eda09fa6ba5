//! The pairs as a table: every column sorts, three filter, and the list can be saved. Hubs likewise, as they come.

use std::fmt::Write;

use serde_json::json;
use web_sys::HtmlInputElement;
use yew::prelude::*;

use super::pairs::Found;
use super::{argument, to_token, to_weights};
use crate::app::congruence::export::{csv_field, save};
use crate::app::congruence::find::{Column, Wanted, find};
use crate::app::congruence::matcher::use_matched;
use crate::app::congruence::name;
use crate::app::congruence::vocabulary::Vocabulary;
use crate::app::format::{number, whole};
use crate::app::state::{Dispatch, Shared};
use crate::app::widgets::scrolls::Scrolls;
use crate::app::widgets::token::{quoted, visible};
use crate::protocol::{Hubness, PairColumns};

/// Rows drawn at first, and with every "more".
const PAGE: usize = 20;

#[derive(Properties, PartialEq)]
pub struct Props {
    pub found: Shared<Found>,
    pub words: Shared<Vocabulary>,
    pub d_mlp: usize,
    /// What a saved list is called.
    pub name: String,
    pub dispatch: Dispatch,
}

const COLUMNS: [(Column, &str); 5] = [
    (Column::Token, "token"),
    (Column::Neuron, "neuron"),
    (Column::TokenGap, "token’s gap"),
    (Column::NeuronGap, "neuron’s gap"),
    (Column::Score, "score"),
];

#[component]
pub fn PairRows(props: &Props) -> Html {
    let wanted = use_state_eq(Wanted::default);
    let drawn = use_state_eq(|| PAGE);
    let matched = use_matched(&props.words, &wanted.token);
    let order = use_memo((props.found.clone(), (*wanted).clone(), matched), {
        let (words, d_mlp) = (props.words.clone(), props.d_mlp);
        move |(found, wanted, matched)| match &**found {
            Found::Pairs(pairs) => find(pairs, &words, d_mlp, wanted, matched),
            Found::Hubs(_) => Ok(Vec::new()),
        }
    });
    let Found::Pairs(pairs) = &*props.found else { return html! {} };
    let (places, problem) = match &*order {
        Ok(places) => (&places[..], None),
        Err(problem) => (&[][..], Some(problem.clone())),
    };
    let head = |(column, text): (Column, &'static str)| {
        let is_sorted = wanted.by == column;
        let order = match (is_sorted, wanted.is_rising) {
            (false, _) => "none",
            (true, true) => "ascending",
            (true, false) => "descending",
        };
        let (setter, was) = (wanted.setter(), (*wanted).clone());
        let onclick = Callback::from(move |_: MouseEvent| {
            setter.set(Wanted { by: column, is_rising: was.by == column && !was.is_rising, ..was.clone() });
        });
        html! { <th scope="col" aria-sort={order}><button type="button" class="sort" {onclick}>{ text }</button></th> }
    };
    let more = {
        let drawn = drawn.clone();
        Callback::from(move |_: MouseEvent| drawn.set(*drawn + 5 * PAGE))
    };
    let row = |&at: &usize| {
        let (token, neuron) = (pairs.tokens.0[at] as usize, pairs.neurons.0[at] as usize);
        let neuron = (neuron / props.d_mlp, neuron % props.d_mlp);
        html! {
            <tr key={at}>
                <th scope="row"><button type="button" class="link" onclick={to_token(&props.dispatch, argument(&props.words, token))}>{ visible(props.words.text(token)) }</button></th>
                <td><button type="button" class="link" onclick={to_weights(&props.dispatch, neuron)}>{ name(neuron) }</button></td>
                <td>{ gap(pairs.token_gaps.0[at]) }</td><td>{ gap(pairs.neuron_gaps.0[at]) }</td><td><b>{ gap(pairs.scores.0[at]) }</b></td>
            </tr>
        }
    };
    html! {
        <>
        { filters(&wanted) }
        <div class="pairs-foot">
            <p class="readout" role="status">{ problem.unwrap_or_else(|| format!("{} of {} pairs", whole(places.len() as u64), whole(pairs.scores.0.len() as u64))) }</p>
            <button type="button" class="small" onclick={saved(props, places, as_csv, "csv", "text/csv")}>{ "Save as CSV" }</button>
            <button type="button" class="small" onclick={saved(props, places, as_json, "json", "application/json")}>{ "Save as JSON" }</button>
        </div>
        <Scrolls class="pairs-scroll">
            <table class="pairs-table">
                <thead><tr>{ for COLUMNS.into_iter().map(head) }</tr></thead>
                <tbody>{ for places.iter().take(*drawn).map(row) }</tbody>
            </table>
        </Scrolls>
        if places.len() > *drawn { <button type="button" class="small" onclick={more}>{ "More" }</button> }
        </>
    }
}

fn gap(value: f32) -> String {
    let text = format!("{:.4}", value.abs());
    if value < 0.0 { format!("−{text}") } else { text }
}

fn filters(wanted: &UseStateHandle<Wanted>) -> Html {
    let field = |id: &'static str,
                 label: &'static str,
                 hint: &'static str,
                 value: String,
                 put: fn(&mut Wanted, String)| {
        let wanted = wanted.clone();
        let oninput = Callback::from(move |event: InputEvent| {
            if let Some(input) = event.target_dyn_into::<HtmlInputElement>() {
                let mut next = (*wanted).clone();
                put(&mut next, input.value());
                wanted.set(next);
            }
        });
        html! {
            <div class="field"><label for={id}>{ label }</label><input {id} type="text" placeholder={hint} {value} autocomplete="off" spellcheck="false" {oninput} /></div>
        }
    };
    html! {
        <div class="filters" role="group" aria-label="Filters">
            { field("pairs-layer", "Layers", "all, or 2-5", wanted.layers.clone(), |wanted, text| wanted.layers = text) }
            { field("pairs-token", "Token holds", "text or /expression/", wanted.token.clone(), |wanted, text| wanted.token = text) }
            { field("pairs-least", "Score from", "any", wanted.least.clone(), |wanted, text| wanted.least = text) }
        </div>
    }
}

type AsText = fn(&PairColumns, &Vocabulary, usize, &[usize]) -> String;

fn saved(
    props: &Props,
    places: &[usize],
    text: AsText,
    ending: &'static str,
    kind: &'static str,
) -> Callback<MouseEvent> {
    let (found, words, d_mlp) = (props.found.clone(), props.words.clone(), props.d_mlp);
    let (places, name) = (places.to_vec(), format!("{}.{ending}", props.name));
    Callback::from(move |_| {
        if let Found::Pairs(pairs) = &*found {
            // a browser that saves nothing has said so itself
            let _ = save(&name, kind, &text(pairs, &words, d_mlp, &places).into());
        }
    })
}

fn as_csv(pairs: &PairColumns, words: &Vocabulary, d_mlp: usize, places: &[usize]) -> String {
    let mut text = String::from("token,id,layer,neuron,token_gap,neuron_gap,score\n");
    for &at in places {
        let (token, neuron) = (pairs.tokens.0[at] as usize, pairs.neurons.0[at] as usize);
        // writing to a string can't fail
        let _ = writeln!(
            text,
            "{},{token},{},{},{},{},{}",
            csv_field(words.text(token)),
            neuron / d_mlp,
            neuron % d_mlp,
            pairs.token_gaps.0[at],
            pairs.neuron_gaps.0[at],
            pairs.scores.0[at]
        );
    }
    text
}

fn as_json(pairs: &PairColumns, words: &Vocabulary, d_mlp: usize, places: &[usize]) -> String {
    let row = |&at: &usize| {
        let (token, neuron) = (pairs.tokens.0[at] as usize, pairs.neurons.0[at] as usize);
        json!({
            "token": words.text(token), "id": token, "layer": neuron / d_mlp, "neuron": neuron % d_mlp,
            "token_gap": pairs.token_gaps.0[at], "neuron_gap": pairs.neuron_gaps.0[at], "score": pairs.scores.0[at],
        })
        .to_string()
    };
    format!("[\n{}\n]\n", places.iter().map(row).collect::<Vec<_>>().join(",\n"))
}

#[derive(Properties, PartialEq)]
pub struct HubProps {
    pub found: Shared<Found>,
    pub of_tokens: bool,
    pub dispatch: Dispatch,
}

/// Hubs, those of most first.
#[component]
pub fn HubRows(props: &HubProps) -> Html {
    let drawn = use_state_eq(|| PAGE);
    let Found::Hubs(hubs) = &*props.found else { return html! {} };
    let row = |key: String, token: &str, id: u32, neuron: (usize, usize), (best_of, value, z): (u32, f32, f32)| {
        let argument = if token.is_empty() || token.contains('\u{fffd}') { format!("#{id}") } else { token.to_owned() };
        let token_cell = html! { <button type="button" class="link" onclick={to_token(&props.dispatch, argument)}>{ visible(token) }</button> };
        let neuron_cell = html! { <button type="button" class="link" onclick={to_weights(&props.dispatch, neuron)}>{ name(neuron) }</button> };
        let (first, second) = if props.of_tokens { (token_cell, neuron_cell) } else { (neuron_cell, token_cell) };
        html! {
            <tr {key} aria-label={props.of_tokens.then(|| quoted(token))}>
                <th scope="row">{ first }</th><td><b>{ whole(u64::from(best_of)) }</b></td><td>{ second }</td><td>{ number(value) }</td><td>{ number(z) }</td>
            </tr>
        }
    };
    let rows: Vec<Html> = if props.of_tokens {
        let hubs = hubs.tokens.iter().take(*drawn);
        hubs.map(|h| row(h.id.to_string(), &h.token, h.id, (h.layer, h.neuron), (h.best_of, h.value, h.z))).collect()
    } else {
        let hubs = hubs.neurons.iter().take(*drawn);
        hubs.map(|h| row(name((h.layer, h.neuron)), &h.token, h.id, (h.layer, h.neuron), (h.best_of, h.value, h.z)))
            .collect()
    };
    let (hubness, others, count) = match props.of_tokens {
        true => (&hubs.token_hubs, "neurons", hubs.tokens.len()),
        false => (&hubs.neuron_hubs, "tokens", hubs.neurons.len()),
    };
    let more = {
        let drawn = drawn.clone();
        Callback::from(move |_: MouseEvent| drawn.set(*drawn + PAGE))
    };
    let (first, second) = if props.of_tokens { ("token", "its best neuron") } else { ("neuron", "its best token") };
    html! {
        <>
        <p class="readout">{ spread(hubness, others) }</p>
        <Scrolls class="pairs-scroll">
            <table class="pairs-table">
                <thead><tr>
                    <th scope="col">{ first }</th><th scope="col">{ format!("best of … {others}") }</th><th scope="col">{ second }</th>
                    <th scope="col">{ "congruence" }</th><th scope="col">{ "standard deviations out" }</th>
                </tr></thead>
                <tbody>{ for rows }</tbody>
            </table>
        </Scrolls>
        if count > *drawn { <button type="button" class="small" onclick={more}>{ "More" }</button> }
        </>
    }
}

fn spread(hubness: &Hubness, others: &str) -> String {
    format!(
        "Each is the best of {} {others} on average, standard deviation {}, skew {}; {} are nobody’s best.",
        number(hubness.mean),
        number(hubness.sd),
        number(hubness.skew),
        whole(hubness.never as u64)
    )
}

//! The figures about weights alone: a neuron against all tokens, tokens against all neurons, and who belongs together.

mod neuron_page;
mod pair_rows;
mod pairs;
mod table;
mod token_page;

use yew::prelude::*;

use super::maps::scroll_to;
use super::neurons::Neuron;
use crate::app::client::Client;
use crate::app::congruence::answer::use_answer;
use crate::app::congruence::vocabulary::Vocabulary;
use crate::app::state::{Action, Dispatch, Shared, Weights, WeightsChange};
use crate::app::widgets::complete::Suggestion;
use crate::app::widgets::token::{quoted, visible};
use crate::link::View;
use crate::model::Variant;
use crate::protocol::{Answer, Columns, ColumnsOptions, Convention, Lane, ModelInfo, Request, TokenArgument};
use neuron_page::NeuronPage;
use pairs::Pairs;
use token_page::TokenPage;

/// Completions that are offered at once.
const OFFERED: usize = 10;

#[derive(Properties, PartialEq)]
pub struct Props {
    pub client: Client,
    pub model: Option<Shared<ModelInfo>>,
    pub weights: Weights,
    /// Whether the neuron's page, the tokens' and the pairs' are on screen.
    pub sees: [bool; 3],
    /// Whether the figures that follow the prompt are there.
    pub is_at_rest: bool,
    pub reversed: bool,
    pub dispatch: Dispatch,
}

/// What the three figures are given.
#[derive(Clone, PartialEq)]
pub struct Common {
    pub client: Client,
    pub model: Option<Shared<ModelInfo>>,
    pub weights: Weights,
    pub words: Option<Shared<Vocabulary>>,
    pub is_at_rest: bool,
    pub dispatch: Dispatch,
}

#[component]
pub fn Congruence(props: &Props) -> Html {
    let [sees_neuron, sees_tokens, sees_pairs] = props.sees;
    let (client, model, weights) = (&props.client, &props.model, &props.weights);
    let can_ask = |seen: bool| seen && props.is_at_rest;
    let take = |answer| match answer {
        Answer::AllTokens(all) => Some(Vocabulary::new(all)),
        _ => None,
    };
    let wanted = can_ask(sees_neuron || sees_tokens || sees_pairs);
    let words = use_answer(client, None, model, (Some(Request::AllTokens), wanted), take);
    // the neuron's page begins with the first token's best neuron
    let wanted = can_ask(sees_tokens || sees_neuron && weights.neuron.is_none());
    let tokens = weights.tokens.iter().cloned().map(TokenArgument::Text).collect();
    let request = Request::Columns(ColumnsOptions { tokens, convention: weights.convention });
    let take = |answer| match answer {
        Answer::Columns(columns) => Some(columns),
        _ => None,
    };
    let columns = use_answer(client, Some(Lane::Columns), model, (Some(request), wanted), take);
    let d_mlp = model.as_ref().map_or(1, |model| model.config.d_mlp);
    let neuron = weights.neuron.or_else(|| match columns.current() {
        Some(columns) => best(columns, d_mlp),
        None => columns.failure.is_some().then_some((0, 0)),
    });
    let common = Common {
        client: client.clone(),
        model: model.clone(),
        weights: weights.clone(),
        words: words.current().cloned(),
        is_at_rest: props.is_at_rest,
        dispatch: props.dispatch.clone(),
    };
    html! {
        <>
        <NeuronPage common={common.clone()} {neuron} is_seen={sees_neuron} is_chosen={weights.neuron.is_some()} reversed={props.reversed} />
        <TokenPage common={common.clone()} columns={columns.current().cloned()} failure={columns.failure.clone()} is_busy={sees_tokens && columns.is_coming} />
        <Pairs {common} is_seen={sees_pairs} />
        </>
    }
}

/// The first token's best neuron.
fn best(columns: &Columns, d_mlp: usize) -> Option<Neuron> {
    let values = &columns.columns.first()?.values.0;
    let at = (0..values.len()).max_by(|&a, &b| values[a].total_cmp(&values[b]))?;
    Some((at / d_mlp, at % d_mlp))
}

/// Opens a neuron's page.
pub fn to_weights(dispatch: &Dispatch, neuron: Neuron) -> Callback<MouseEvent> {
    let dispatch = dispatch.clone();
    Callback::from(move |_| {
        dispatch.dispatch(Action::Weights(WeightsChange::Neuron(neuron)));
        scroll_to(View::Weights);
    })
}

/// Opens a token's page.
fn to_token(dispatch: &Dispatch, token: String) -> Callback<MouseEvent> {
    let dispatch = dispatch.clone();
    Callback::from(move |_| {
        dispatch.dispatch(Action::Weights(WeightsChange::Show(token.clone())));
        scroll_to(View::Tokens);
    })
}

/// The token as a request names it: its text where that is a token again, its id where it isn't.
fn argument(words: &Vocabulary, id: usize) -> String {
    let text = words.text(id);
    if text.is_empty() || text.contains('\u{fffd}') || text.starts_with('#') {
        format!("#{id}")
    } else {
        text.to_owned()
    }
}

/// Completes tokens.
fn suggest_tokens(words: &Option<Shared<Vocabulary>>) -> Callback<AttrValue, Vec<Suggestion>> {
    let words = words.clone();
    Callback::from(move |typed: AttrValue| {
        let Some(words) = &words else { return Vec::new() };
        let suggestion = |id: usize| Suggestion {
            value: argument(words, id).into(),
            shown: visible(words.text(id)),
            note: format!("#{id}").into(),
        };
        words.complete(&typed, OFFERED).into_iter().map(suggestion).collect()
    })
}

/// The token that is typed, exactly, as a request names it; or why it is none.
fn exact_token(words: &Option<Shared<Vocabulary>>) -> Callback<AttrValue, Result<AttrValue, String>> {
    let words = words.clone();
    Callback::from(move |typed: AttrValue| {
        let Some(words) = &words else { return Err("The model’s tokens are still being read.".to_owned()) };
        let known = words.exact(&typed).map(|id| AttrValue::from(argument(words, id)));
        known.ok_or_else(|| {
            let offer = if words.complete(&typed, 1).is_empty() { "" } else { " Choose one of those offered, or" };
            let offer = if offer.is_empty() { " Write" } else { offer };
            format!("{} is no single token of this model.{offer} a token’s id as #281.", quoted(&typed))
        })
    })
}

/// The convention that all three figures share.
fn conventions(common: &Common, group: &'static str) -> Html {
    let choice = |&convention: &Convention| {
        let text = match convention {
            Convention::Notebook => "notebook",
            Convention::Raw => "raw",
            Convention::Unembed => "unembedding",
            Convention::NotebookUnembedding => "notebook with unembedding",
            Convention::RawUnembedding => "raw with unembedding",
        };
        let dispatch = common.dispatch.clone();
        let onchange =
            Callback::from(move |_: Event| dispatch.dispatch(Action::Weights(WeightsChange::Convention(convention))));
        html! {
            <label>
                <input type="radio" name={group} checked={common.weights.convention == convention} {onchange} />
                <span>{ text }</span>
            </label>
        }
    };
    let variant = common.model.as_ref().map_or_else(Variant::default, |model| model.config.variant);
    html! {
        <fieldset class="choice conventions">
            <legend>{ "Convention" }</legend>
            { for Convention::of_model(&variant).iter().map(choice) }
        </fieldset>
    }
}

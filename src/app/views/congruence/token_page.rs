//! A token's page: all neurons by layer and how well each writes the token; tokens laid over each other.

use yew::prelude::*;

use super::{Common, conventions, exact_token, suggest_tokens, to_weights};
use crate::app::charts::scatter::{Points, Scatter};
use crate::app::congruence::{name, rows, said};
use crate::app::format::{number, signed};
use crate::app::state::{Action, Shared, WeightsChange};
use crate::app::views::maps::scroll_to;
use crate::app::widgets::complete::Complete;
use crate::app::widgets::failure::Notice;
use crate::app::widgets::section::Section;
use crate::app::widgets::shown::Shown;
use crate::app::widgets::token::{inline, quoted, visible};
use crate::link::View;
use crate::protocol::{Column, Columns, Failure};

/// Names in the scatter, and rows of the list for each token.
const NAMED: usize = 6;
const LISTED: usize = 5;

#[derive(Properties, PartialEq)]
pub struct Props {
    pub common: Common,
    pub columns: Option<Shared<Columns>>,
    pub failure: Option<Failure>,
    pub is_busy: bool,
}

#[component]
pub fn TokenPage(props: &Props) -> Html {
    let Common { weights, dispatch, .. } = &props.common;
    let points =
        use_memo(props.columns.clone(), |columns| columns.as_ref().map(|columns| Shared::new(points(columns))));
    let caption = html! {
        { format!("Every MLP neuron by layer, and the product of its output weights with the token’s {}. Several tokens lie over \
            each other. Convention: {}.", rows(weights.convention), said(weights.convention)) }
    };
    let onpick = {
        let dispatch = dispatch.clone();
        Callback::from(move |token: AttrValue| {
            dispatch.dispatch(Action::Weights(WeightsChange::Compare(token.to_string())));
        })
    };
    html! {
        <Section view={View::Tokens} title="A token’s neurons" {caption} is_busy={props.is_busy} dispatch={dispatch.clone()}>
            <div class="weights-controls">
                <Complete id="token-search" label="Add a token" placeholder=" an" suggest={suggest_tokens(&props.common.words)} exact={exact_token(&props.common.words)} {onpick} />
                { conventions(&props.common, "convention-token") }
            </div>
            { compared(props) }
            <Notice id="tokens-failure" failure={props.failure.clone()} />
            <Shown class="neurons-body" is_current={props.columns.is_some()}>
                if let (Some(columns), Some(points)) = (&props.columns, &*points) {
                    <div class="neurons-plot">{ scatter(props, columns, points) }</div>
                    <div class="token-lists">{ for columns.columns.iter().enumerate().map(|(series, column)| list(props, series, column)) }</div>
                }
            </Shown>
        </Section>
    }
}

/// Tokens one after the other, each with all neurons.
fn points(columns: &Columns) -> Points {
    let y: Vec<f32> = columns.columns.iter().flat_map(|column| column.values.0.iter().copied()).collect();
    let x = columns.columns.iter().flat_map(|column| (0..column.values.0.len()).map(|at| at as f32)).collect();
    let exact = vec![true; y.len()];
    Points::new(x, y, exact)
}

/// The tokens that are shown, each with its colour and a button that takes it away.
fn compared(props: &Props) -> Html {
    let tokens = &props.common.weights.tokens;
    let chip = |(at, token): (usize, &String)| {
        let dispatch = props.common.dispatch.clone();
        let onclick =
            Callback::from(move |_: MouseEvent| dispatch.dispatch(Action::Weights(WeightsChange::RemoveToken(at))));
        html! {
            <li key={token.clone()}>
                <i class={format!("series-{at}")} aria-hidden="true" />{ inline(token) }
                if tokens.len() > 1 {
                    <button type="button" class="small remove" aria-label={format!("Take {} away", quoted(token))} {onclick}>{ "×" }</button>
                }
            </li>
        }
    };
    html! { <ul class="compared" aria-label="Tokens shown">{ for tokens.iter().enumerate().map(chip) }</ul> }
}

fn scatter(props: &Props, columns: &Shared<Columns>, points: &Shared<Points>) -> Html {
    let Some(model) = &props.common.model else { return html! {} };
    let (n_layer, d_mlp) = (model.config.n_layer, model.config.d_mlp);
    let n_neurons = n_layer * d_mlp;
    let place = move |at: usize| (at % n_neurons / d_mlp, at % d_mlp);
    let series = columns.columns.len();
    let describe = {
        let columns = columns.clone();
        Callback::from(move |at: usize| {
            let Some(column) = columns.columns.get(at / n_neurons) else { return String::new() };
            let value = column.values.0.get(at % n_neurons).copied().unwrap_or(f32::NAN);
            format!("{} with {}: {}", name(place(at)), quoted(&column.token), number(value))
        })
    };
    let onpick = {
        let dispatch = props.common.dispatch.clone();
        Callback::from(move |at: usize| {
            dispatch.dispatch(Action::Weights(WeightsChange::Neuron(place(at))));
            scroll_to(View::Weights);
        })
    };
    // a neuron that stands out with several tokens is named once
    let mut named: Vec<(usize, String)> = Vec::new();
    for at in points.outliers() {
        if named.len() < NAMED && named.iter().all(|(other, _)| other % n_neurons != at % n_neurons) {
            named.push((at, name(place(at))));
        }
    }
    let every = n_layer.div_ceil(12).max(1);
    let x_marks =
        (0..n_layer).step_by(every).map(|layer| ((layer * d_mlp) as f64, format!("L{layer}"))).collect::<Vec<_>>();
    let x_text = Callback::from(move |value: f64| {
        let is_neuron = value >= 0.0 && value.fract() == 0.0 && value < n_neurons as f64;
        if is_neuron { name(place(value as usize)) } else { String::new() }
    });
    html! {
        <Scatter key={format!("{}-{series}", props.common.weights.convention.name())} {series}
            label="Neurons by congruence with the tokens; left and right go along the axis, up and down to the next larger and smaller, Enter opens the neuron’s page"
            points={points.clone()} {named} selected={None::<usize>}
            titles={[AttrValue::from("layer"), AttrValue::from("congruence of each neuron’s output weights")]}
            {x_marks} {x_text} y_text={Callback::from(|value: f64| number(value as f32))} {describe} {onpick} act="Its weights" />
    }
}

/// A token's best neurons, and how far the first is ahead.
fn list(props: &Props, series: usize, column: &Column) -> Html {
    let d_mlp = props.common.model.as_ref().map_or(1, |model| model.config.d_mlp);
    let best = crate::analysis::congruence::largest(&column.values.0, LISTED);
    let gap = match best[..] {
        [first, second, ..] => column.values.0[first] - column.values.0[second],
        _ => 0.0,
    };
    let row = |&at: &usize| {
        let neuron = (at / d_mlp, at % d_mlp);
        html! {
            <li key={at}><button type="button" onclick={to_weights(&props.common.dispatch, neuron)}>
                <span>{ name(neuron) }</span><span class="figures">{ signed(column.values.0[at]) }</span>
            </button></li>
        }
    };
    html! {
        <div class="value-list" key={column.id}>
            <h3><i class={format!("series-{series}")} aria-hidden="true" />{ visible(&column.token) }<small>{ format!("#{}", column.id) }</small></h3>
            <ol>{ for best.iter().map(row) }</ol>
            <p class="readout">{ "gap to the second: " }<b>{ number(gap) }</b></p>
        </div>
    }
}

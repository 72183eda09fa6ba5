//! A neuron's page: which tokens its output weights point to and its input weights read, and who writes the same.

use yew::prelude::*;

use super::{Common, conventions, exact_token, suggest_tokens, to_token, to_weights};
use crate::app::charts::histogram::Histogram;
use crate::app::charts::scatter::{Points, Scatter};
use crate::app::congruence::answer::use_answer;
use crate::app::congruence::vocabulary::Vocabulary;
use crate::app::congruence::{name, rows, said, typed_neuron};
use crate::app::format::{number, signed};
use crate::app::state::{Action, Shared, WeightsChange};
use crate::app::views::corpus::to_corpus;
use crate::app::views::neuron_card::tries;
use crate::app::views::neurons::Neuron;
use crate::app::widgets::complete::{Complete, Suggestion};
use crate::app::widgets::failure::Notice;
use crate::app::widgets::section::Section;
use crate::app::widgets::shown::Shown as AnswerShown;
use crate::app::widgets::token::{plain, quoted, visible};
use crate::link::View;
use crate::model::Config;
use crate::protocol::{Answer, Convention, Lane, Profile, ProfileOptions, Request};

/// Tokens of a list, and names in a chart.
const LISTED: usize = 8;
const NAMED: usize = 4;

#[derive(Properties, PartialEq)]
pub struct Props {
    pub common: Common,
    pub neuron: Option<Neuron>,
    pub is_seen: bool,
    /// Somebody has asked for this neuron.
    pub is_chosen: bool,
    pub reversed: bool,
}

/// A profile, ready to be drawn.
struct Shown {
    profile: Profile,
    output: Shared<Vec<f32>>,
    points: Shared<Points>,
    /// Ids, the most congruent first, and the least congruent first.
    top: Vec<usize>,
    bottom: Vec<usize>,
}

impl Shown {
    fn of(profile: Profile) -> Self {
        let (output, input) = (profile.output.0.clone(), profile.input.0.clone());
        let mut ids: Vec<usize> = (0..output.len()).collect();
        ids.sort_unstable_by(|&a, &b| output[b].total_cmp(&output[a]));
        let top = ids.iter().take(LISTED).copied().collect();
        let bottom = ids.iter().rev().take(LISTED).copied().collect();
        let exact = vec![true; output.len()];
        Shown {
            profile,
            points: Shared::new(Points::new(input, output.clone(), exact)),
            output: Shared::new(output),
            top,
            bottom,
        }
    }
}

#[component]
pub fn NeuronPage(props: &Props) -> Html {
    let Common { client, model, weights, dispatch, .. } = &props.common;
    let convention = weights.convention;
    let wanted = props.is_seen && props.common.is_at_rest;
    let request = props.neuron.map(|(layer, neuron)| Request::Profile(ProfileOptions { layer, neuron, convention }));
    let take = |answer| match answer {
        Answer::Profile(profile) => Some(Shown::of(profile)),
        _ => None,
    };
    let answered = use_answer(client, Some(Lane::Profile), model, (request, wanted), take);
    let is_busy = props.is_seen && model.is_some() && (answered.is_coming || props.neuron.is_none());
    let shown = answered.current().zip(props.common.words.as_ref());
    let caption = html! {
        { format!("What one MLP neuron writes into the residual stream, multiplied with every token’s {}. Convention: {}.", rows(convention), said(convention)) }
    };
    html! {
        <Section view={View::Weights} title="A neuron’s weights" {caption} {is_busy} dispatch={dispatch.clone()}>
            { controls(props) }
            <Notice id="weights-failure" failure={answered.failure.clone()} />
            <AnswerShown class="weights-body" is_current={shown.is_some()}>
                if let Some((shown, words)) = shown {
                    { heading(props, &shown.profile) }
                    { output(props, shown, words) }
                    { beside(props, shown, words) }
                }
            </AnswerShown>
        </Section>
    }
}

fn controls(props: &Props) -> Html {
    let Some(model) = &props.common.model else { return html! {} };
    let config = model.config.clone();
    let suggest = {
        let config = config.clone();
        Callback::from(move |typed: AttrValue| suggest_neurons(&typed, &config))
    };
    let exact = Callback::from(move |typed: AttrValue| match typed_neuron(&typed) {
        (Some(layer), Some(neuron)) if layer < config.n_layer && neuron < config.d_mlp => {
            Ok(AttrValue::from(format!("{layer}:{neuron}")))
        }
        (Some(_), Some(_)) => Err(format!(
            "This model has layers 0 to {} with neurons 0 to {}; {typed} is none of them.",
            config.n_layer - 1,
            config.d_mlp - 1
        )),
        _ => Err(format!("{typed} is no neuron. Write its layer and its number: 1:20.")),
    });
    let onpick = {
        let dispatch = props.common.dispatch.clone();
        Callback::from(move |value: AttrValue| {
            if let (Some(layer), Some(neuron)) = typed_neuron(&value) {
                dispatch.dispatch(Action::Weights(WeightsChange::Neuron((layer, neuron))));
            }
        })
    };
    html! {
        <div class="weights-controls">
            <Complete id="weights-neuron" label="Neuron" placeholder="layer:neuron" {suggest} {exact} {onpick} />
            { conventions(&props.common, "convention-neuron") }
        </div>
    }
}

/// Neurons whose numbers begin as they were typed.
fn suggest_neurons(typed: &str, config: &Config) -> Vec<Suggestion> {
    let (Some(layer), neuron) = typed_neuron(typed) else { return Vec::new() };
    let mut found = Vec::new();
    let begun = neuron.unwrap_or(0);
    if neuron.is_some() && begun < config.d_mlp {
        found.push(begun);
    }
    let mut span = 1;
    while found.len() < super::OFFERED && span <= config.d_mlp {
        span *= 10;
        let more = (begun * span..(begun + 1).saturating_mul(span)).take(super::OFFERED);
        found.extend(more.filter(|n| *n < config.d_mlp && (neuron.is_none() || *n != begun)));
        found.sort_unstable();
        found.dedup();
    }
    found.truncate(super::OFFERED);
    if layer >= config.n_layer {
        return Vec::new();
    }
    let suggestion = |neuron: usize| Suggestion {
        value: format!("{layer}:{neuron}").into(),
        shown: html! { { name((layer, neuron)) } },
        note: AttrValue::default(),
    };
    found.into_iter().map(suggestion).collect()
}

fn heading(props: &Props, profile: &Profile) -> Html {
    let (layer, neuron) = (profile.layer, profile.neuron);
    let facts = [
        ("length of its output weights", number(profile.norm)),
        ("input bias", signed(profile.bias)),
        ("with LayerNorm 2’s folded in", signed(profile.folded_bias)),
    ];
    html! {
        <div class="weights-head">
            <div class="neuron-head">
                <h3>{ format!("Layer {layer}, neuron {neuron}") }</h3>
                <code>{ format!("blocks.{layer}.mlp.hook_post[{neuron}]") }</code>
                if !props.is_chosen {
                    <span class="why">{ "shown first as the first token’s best, below" }</span>
                }
            </div>
            <dl class="facts">{ for facts.into_iter().map(|(name, value)| html! { <div><dt>{ name }</dt><dd>{ value }</dd></div> }) }</dl>
            <div class="try">
                { tries(&props.common.dispatch, (layer, neuron), props.reversed) }
                <button type="button" class="link" onclick={to_corpus(&props.common.dispatch, (layer, neuron))}>{ "In real text" }</button>
            </div>
        </div>
    }
}

fn output(props: &Props, shown: &Shown, words: &Shared<Vocabulary>) -> Html {
    let value = |id: usize| shown.output.get(id).copied().unwrap_or(f32::NAN);
    let named = |ids: &[usize], most: usize| -> Vec<(f32, AttrValue)> {
        ids.iter().take(most).map(|&id| (value(id), plain(words.text(id)).into())).collect()
    };
    let mut names = named(&shown.top, NAMED);
    names.extend(named(&shown.bottom, NAMED - 1));
    html! {
        <div class="weights-output">
            <Histogram label="All tokens by their congruence with this neuron’s output weights" values={shown.output.clone()} named={names}
                title="congruence (number of tokens: log scale)" />
            <div class="weights-lists">
                { list(props, "Towards", &shown.top, words, &value) }
                { list(props, "Away from", &shown.bottom, words, &value) }
                { set(props, words, shown) }
            </div>
        </div>
    }
}

fn list(props: &Props, title: &str, ids: &[usize], words: &Vocabulary, value: &impl Fn(usize) -> f32) -> Html {
    let row = |&id: &usize| {
        let onclick = to_token(&props.common.dispatch, super::argument(words, id));
        html! {
            <li key={id}><button type="button" {onclick}>
                <span class="name">{ visible(words.text(id)) }<small>{ id }</small></span><span class="figures">{ signed(value(id)) }</span>
            </button></li>
        }
    };
    html! { <div class="value-list"><h3>{ title }</h3><ol>{ for ids.iter().map(row) }</ol></div> }
}

/// The neuron against a set of tokens: their sum and mean.
fn set(props: &Props, words: &Shared<Vocabulary>, shown: &Shown) -> Html {
    let change = |change: WeightsChange| {
        let dispatch = props.common.dispatch.clone();
        Callback::from(move |_: MouseEvent| dispatch.dispatch(Action::Weights(change.clone())))
    };
    let onpick = {
        let dispatch = props.common.dispatch.clone();
        Callback::from(move |value: AttrValue| {
            dispatch.dispatch(Action::Weights(WeightsChange::AddToSet(value.to_string())));
        })
    };
    let value_of = |token: &String| shown.output.get(words.exact(token)?).copied();
    let values: Vec<Option<f32>> = props.common.weights.set.iter().map(value_of).collect();
    let known: Vec<f32> = values.iter().copied().flatten().collect();
    let sum: f32 = known.iter().sum();
    let row = |(at, token): (usize, &String)| {
        html! {
            <li key={token.clone()}>
                <span class="name">{ visible(token) }</span>
                <span class="figures">{ values[at].map_or_else(|| "no token here".to_owned(), signed) }</span>
                <button type="button" class="small remove" aria-label={format!("Take {} out of the set", quoted(token))}
                    onclick={change(WeightsChange::RemoveFromSet(at))}>{ "×" }</button>
            </li>
        }
    };
    html! {
        <div class="value-list token-set">
            <h3 translate="yes">{ "A set of tokens" }</h3>
            <Complete id="weights-set" label="Add a token" placeholder=" an" suggest={suggest_tokens(&props.common.words)} exact={exact_token(&props.common.words)} {onpick} />
            <ol>{ for props.common.weights.set.iter().enumerate().map(row) }</ol>
            if !known.is_empty() {
                <p class="readout">{ "sum " }<b>{ signed(sum) }</b>{ ", mean " }<b>{ signed(sum / known.len() as f32) }</b></p>
            }
        </div>
    }
}

/// What it reads beside what it writes, and its neighbours.
fn beside(props: &Props, shown: &Shown, words: &Shared<Vocabulary>) -> Html {
    let describe = {
        let (words, points) = (words.clone(), shown.points.clone());
        Callback::from(move |id: usize| {
            let at = |values: &[f32]| number(values.get(id).copied().unwrap_or(f32::NAN));
            format!("{}: writes {}, reads {}", quoted(words.text(id)), at(&points.y), at(&points.x))
        })
    };
    let onpick = {
        let (dispatch, words) = (props.common.dispatch.clone(), words.clone());
        Callback::from(move |id: usize| {
            dispatch.dispatch(Action::Weights(WeightsChange::Show(super::argument(&words, id))));
        })
    };
    let named: Vec<(usize, String)> =
        shown.points.outliers().take(NAMED).map(|id| (id, plain(words.text(id)))).collect();
    let text = Callback::from(|value: f64| number(value as f32));
    let neighbour = |n: &crate::protocol::NeuronValue| {
        let neuron = (n.layer, n.neuron);
        html! {
            <li key={name(neuron)}><button type="button" onclick={to_weights(&props.common.dispatch, neuron)}>
                <span>{ name(neuron) }</span><span class="figures">{ number(n.value) }</span>
            </button></li>
        }
    };
    let key = format!("{}-{}-{}", shown.profile.layer, shown.profile.neuron, props.common.weights.convention.name());
    html! {
        <div class="neurons-body">
            <div class="neurons-plot">
                <Scatter {key} label="Tokens by what the neuron writes and reads; left and right go along the axis, up and down to the next larger and smaller, Enter shows the token’s neurons"
                    points={shown.points.clone()} {named} selected={None::<usize>}
                    titles={[AttrValue::from("input weights · embedding: what it reads"), AttrValue::from(format!("output weights · {}: what it writes", rows(props.common.weights.convention)))]}
                    x_marks={Vec::<(f64, String)>::new()} x_text={text.clone()} y_text={text} {describe} {onpick} act="Its neurons" />
                <p class="sweep">{ reading_convention(props) }</p>
            </div>
            <div class="outliers neighbours">
                <div class="columns"><span>{ "neighbours: same output weights" }</span><span class="figures">{ "cosine" }</span></div>
                <ol>{ for shown.profile.neighbours.iter().map(neighbour) }</ol>
            </div>
        </div>
    }
}

fn reading_convention(props: &Props) -> &'static str {
    match props.common.weights.convention {
        Convention::Raw | Convention::RawUnembedding => {
            "Input weights as they are in the file; the LayerNorm before them is left out."
        }
        _ => "Input weights with LayerNorm 2’s scale folded in, less their mean; its division is left out.",
    }
}

//! Neurons and tokens that belong together: each other's best, tokens' best, and hubs.

use yew::prelude::*;

use super::table::{status, use_table};
use super::{Common, conventions};
use crate::app::congruence::answer::use_answer;
use crate::app::congruence::said;
use crate::app::state::{Action, WeightsChange};
use crate::app::views::congruence::pair_rows::{HubRows, PairRows};
use crate::app::widgets::failure::Notice;
use crate::app::widgets::section::Section;
use crate::app::widgets::shown::Shown;
use crate::link::{Find, View};
use crate::protocol::{Answer, Hubs, HubsOptions, Lane, PairColumns, Request, SearchKind, SearchOptions};

/// Hubs that are listed.
const HUBS: usize = 200;

#[derive(Properties, PartialEq)]
pub struct Props {
    pub common: Common,
    pub is_seen: bool,
}

/// What a search came to.
pub enum Found {
    Pairs(PairColumns),
    Hubs(Hubs),
}

#[component]
pub fn Pairs(props: &Props) -> Html {
    let common = &props.common;
    let (find, convention) = (common.weights.find, common.weights.convention);
    let table = use_table(common, props.is_seen);
    let kind = match find {
        Find::Mutual => Some(SearchKind::Mutual),
        Find::Exclusive => Some(SearchKind::Exclusive),
        Find::TokenHubs | Find::NeuronHubs => None,
    };
    let wanted = table.is_ready() && props.is_seen && common.is_at_rest;
    let request = Some(match kind {
        Some(kind) => Request::AllPairs(SearchOptions { kind, convention, top: 0 }),
        None => Request::Hubs(HubsOptions { convention, top: HUBS }),
    });
    let take = |answer| match answer {
        Answer::AllPairs(pairs) => Some(Found::Pairs(pairs)),
        Answer::Hubs(hubs) => Some(Found::Hubs(hubs)),
        _ => None,
    };
    let answered = use_answer(&common.client, Some(Lane::Search), &common.model, (request, wanted), take);
    let is_busy =
        props.is_seen && common.model.is_some() && (table.is_busy() || table.is_ready() && answered.is_coming);
    let caption = html! {
        { format!("{} Convention: {}.", about(find), said(convention)) }
    };
    let is_current = answered.current().is_some() && common.words.is_some();
    html! {
        <Section view={View::Pairs} title="Neurons and tokens that belong together" {caption} {is_busy} dispatch={common.dispatch.clone()}>
            <div class="weights-controls">
                { finds(common) }
                { conventions(common, "convention-pairs") }
            </div>
            { status(common, &table) }
            <Notice id="pairs-failure" failure={answered.failure.clone()} />
            <Shown class="pairs-body" {is_current}>
                if let (Some(found), Some(words), Some(model)) = (answered.current(), &common.words, &common.model) {
                    if kind.is_some() {
                        <PairRows key={find.word()} found={found.clone()} words={words.clone()} d_mlp={model.config.d_mlp}
                            name={format!("{}-{}", find.word(), convention.name())} dispatch={common.dispatch.clone()} />
                    } else {
                        <HubRows found={found.clone()} of_tokens={find == Find::TokenHubs} dispatch={common.dispatch.clone()} />
                    }
                }
            </Shown>
        </Section>
    }
}

fn about(find: Find) -> &'static str {
    match find {
        Find::Mutual => {
            "A neuron’s best token whose best neuron it is, too. The score is the product of both gaps: how far the token is ahead of \
            the neuron’s second best, and the neuron ahead of the token’s."
        }
        Find::Exclusive => "Every token’s best neuron, by how far it is ahead of the second best.",
        Find::TokenHubs => {
            "Tokens that are the best token of many neurons: hubs, among them the tokens that a model hardly ever saw."
        }
        Find::NeuronHubs => "Neurons that are the best neuron of many tokens.",
    }
}

fn finds(common: &Common) -> Html {
    let choice = |(find, text): (Find, &'static str)| {
        let dispatch = common.dispatch.clone();
        let onchange = Callback::from(move |_: Event| dispatch.dispatch(Action::Weights(WeightsChange::Find(find))));
        html! {
            <label>
                <input type="radio" name="find" checked={common.weights.find == find} {onchange} />
                <span>{ text }</span>
            </label>
        }
    };
    let all = [
        (Find::Mutual, "mutual pairs"),
        (Find::Exclusive, "exclusive neurons"),
        (Find::TokenHubs, "hub tokens"),
        (Find::NeuronHubs, "hub neurons"),
    ];
    html! {
        <fieldset class="choice">
            <legend>{ "What is looked for" }</legend>
            { for all.into_iter().map(choice) }
        </fieldset>
    }
}

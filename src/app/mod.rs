//! The page: state in `state`, questions to the worker in `requests`, the address in `history`, and what is seen in
//! `views`.

pub mod api;
mod browser;
mod card;
pub mod charts;
pub mod client;
pub mod congruence;
pub mod corpora;
mod engine;
pub mod format;
pub mod history;
pub mod offline;
pub mod picked;
pub mod presets;
pub mod requests;
pub mod site;
pub mod sources;
pub mod state;
pub mod views;
pub mod widgets;

use std::rc::Rc;

use yew::prelude::*;

use crate::link::View;
use client::Client;
use history::{fragment, use_history};
use state::{State, Typed};
use views::bench::{self, BenchFigure};
use views::congruence::Congruence;
use views::corpus::CorpusFigure;
use views::edits::Edits;
use views::frame::{Foot, Masthead};
use views::generate::Generate;
use views::layers::Layers;
use views::lens::LensFigure;
use views::lens_table::LensTableFigure;
use views::life::LifeNotice;
use views::maps::{Maps, scroll_to};
use views::model::Model;
use views::neurons::NeuronsFigure;
use views::notice::LinkNotice;
use views::predictions::Predictions;
use views::prompt::PromptBox;
use views::prompts::Prompts;
use views::tokens::Tokens;
use widgets::copy_link::Here;
use widgets::shown::{Loaded, use_marked_are_left_alone};

#[derive(Properties, PartialEq)]
pub struct Props {
    pub client: Client,
}

/// Everything on the page.
#[component]
pub fn App(props: &Props) -> Html {
    let state = use_reducer(|| State::from_fragment(&fragment()));
    let client = &props.client;
    requests::use_requests(client, &state);
    use_history(&state);
    use_marked_are_left_alone();
    let is_there = state.table.is_current();
    use_effect_with((state.opened.view, state.opened.count, is_there), |(view, _, is_there)| {
        // the figures above have their height by then
        if let (Some(view), true) = (view, is_there) {
            scroll_to(*view);
        }
    });
    let here = Here(Rc::new(state.link()));

    let dispatch = state.dispatcher();
    let failure = state.prediction.failure();
    html! {
        <ContextProvider<Here> context={here}>
        <ContextProvider<Loaded> context={Loaded(state.model.clone())}>
        <Masthead />
        <main>
            <LifeNotice client={client.clone()} />
            <LinkNotice client={client.clone()} opened={state.opened.clone()} models={state.models.clone()} dispatch={dispatch.clone()} />
            <Model client={client.clone()} model={state.model.clone()} loading={state.loading.clone()} models={state.models.clone()}
                dispatch={dispatch.clone()} />
            if bench::is_wanted() {
                <BenchFigure client={client.clone()} ready={state.model.is_some()} />
            }
            <section class="figure input" aria-label="Prompt and its tokens">
                <PromptBox prompt={state.prompt.clone()} bos={state.bos} model={state.model.clone()}
                    failure={failure.clone()} dispatch={dispatch.clone()} />
                <Tokens prediction={state.prediction.clone()} />
            </section>
            <Predictions prediction={state.prediction.clone()} dispatch={dispatch.clone()} />
            <LensFigure lens={state.lens.clone()} pair={state.pair.clone()} tokens={state.tokens.clone()} shown={state.lens_shown}
                said={failure.clone()} dispatch={dispatch.clone()} />
            <LensTableFigure table={state.table.clone()} final_ln={state.table_final_ln} said={failure.clone()} dispatch={dispatch.clone()} />
            <Prompts prompt={state.prompt.clone()} pair={state.pair.clone()} prediction={state.prediction.clone()} found={state.pair_found()}
                patching={state.patching.clone()} is_busy={state.works_on(View::Prompts)} reads_text={state.reads_text()} said={failure} dispatch={dispatch.clone()} />
            <Maps prediction={state.prediction.clone()} patching={state.patching.clone()} is_busy={state.works_on(View::Maps)}
                dispatch={dispatch.clone()} />
            <Layers patching={state.patching.clone()} is_busy={state.works_on(View::Layers)} dispatch={dispatch.clone()} />
            <NeuronsFigure model={state.model.clone()} patching={state.patching.clone()} is_busy={state.works_on(View::Neurons)}
                dispatch={dispatch.clone()} />
            <Edits model={state.model.clone()} editing={state.editing.clone()} found={state.pair_found()}
                is_busy={state.works_on(View::Edits)} dispatch={dispatch.clone()} />
            <Generate client={client.clone()} from={state.goes_on_from()} ready={state.model.is_some()}
                writing={state.writing.clone()} dispatch={dispatch.clone()} />
            <Congruence client={client.clone()} model={state.model.clone()} weights={state.weights.clone()}
                sees={[View::Weights, View::Tokens, View::Pairs].map(|view| state.sees(view))} is_at_rest={state.is_at_rest()}
                reversed={state.patching.reversed} dispatch={dispatch.clone()} />
            <CorpusFigure client={client.clone()} model={state.model.clone()} corpus={state.corpus.clone()}
                neuron={state.patching.neuron.or(state.weights.neuron)} token={first_token(&state)} {dispatch} />
        </main>
        <Foot is_at_ease={!state.prediction.is_empty()} />
        </ContextProvider<Loaded>>
        </ContextProvider<Here>>
    }
}

/// The first of the pair of tokens, as it is typed.
fn first_token(state: &State) -> AttrValue {
    match &state.pair[0] {
        Typed::Text(text) => text.clone(),
        Typed::Broken => AttrValue::default(),
    }
}

//! Asks the worker whatever the page's figures need, once what they hang on has settled.

mod editing;
mod gather;
pub mod models;
mod patching;

use gloo_timers::callback::Timeout;
use yew::prelude::*;

use super::client::{self, Client};
use super::state::{Action, Figure, State};
use crate::protocol::{Event, Lane, Request};

/// A pause in typing this long is taken for its end.
const SETTLED_MS: u32 = 60;

/// What is asked of the worker now, and the edition that the answer is for.
type Asked = Option<(u32, Request)>;

/// Keeps every figure answered: loads the demo at the start, then asks again whenever a figure's question is another.
///
/// The worker runs one request at a time, so the table, by far the longest, is asked for only when the other figures
/// are there, and is cancelled by the first key typed.
#[hook]
pub fn use_requests(client: &Client, state: &UseReducerHandle<State>) {
    use_first_model(client, state);
    use_figure(client, state, Lane::Predict, &state.prediction, true, Action::Predicted);
    let found = |which: usize| move |edition, event| Action::TokenFound(edition, which, event);
    use_figure(client, state, Lane::FirstToken, &state.tokens[0], true, found(0));
    use_figure(client, state, Lane::SecondToken, &state.tokens[1], true, found(1));
    use_figure(client, state, Lane::Lens, &state.lens, true, Action::Lensed);
    let others_are_there = !state.prediction.is_working() && !state.lens.is_coming();
    use_figure(client, state, Lane::LensTable, &state.table, others_are_there, Action::Tabled);
    editing::use_editing(client, state);
    patching::use_patching(client, state);
}

/// Hears of every model that is loaded, by whomever, and asks for the first.
#[hook]
fn use_first_model(client: &Client, state: &UseReducerHandle<State>) {
    let (client, dispatch) = (client.clone(), state.dispatcher());
    use_effect_with((), move |()| {
        let loaded = dispatch.clone();
        client.on_model(move |model| loaded.dispatch(Action::Model(model.clone())));
        models::load(&client, &dispatch, client::demo());
    });
}

/// The figure's edition, once it has stayed the same for a moment. A figure still empty doesn't wait.
#[hook]
fn use_settled<T: 'static>(figure: &Figure<T>) -> u32 {
    let settled = use_state_eq(|| figure.edition);
    let wait_ms = if figure.is_empty() { 0 } else { SETTLED_MS };
    let setter = settled.setter();
    use_effect_with(figure.edition, move |&edition| {
        let timeout = Timeout::new(wait_ms, move || setter.set(edition));
        move || drop(timeout)
    });
    *settled
}

/// What a figure asks of the worker, once that has settled and is `wanted`. One that is answered stays asked, so that it
/// isn't asked again.
#[hook]
fn use_asked<T: 'static>(figure: &Figure<T>, wanted: bool) -> Asked {
    let edition = use_settled(figure);
    let is_asked = (wanted || figure.is_answered()) && !figure.is_stopped() && !figure.is_recalled();
    let question = figure.question().filter(|_| is_asked && edition == figure.edition);
    question.map(|question| (edition, question.request.clone()))
}

/// Keeps a figure answered.
#[hook]
fn use_figure<T: 'static>(
    client: &Client,
    state: &UseReducerHandle<State>,
    lane: impl Into<Option<Lane>>,
    figure: &Figure<T>,
    wanted: bool,
    action: impl Fn(u32, Event) -> Action + 'static,
) {
    let dispatch = state.dispatcher();
    let asked = use_asked(figure, wanted);
    let edition = figure.edition;
    use_answers(client, lane.into(), asked, move |event| dispatch.dispatch(action(edition, event)));
}

/// Asks when what is asked becomes another, and cancels it when it is no longer asked.
#[hook]
fn use_answers(client: &Client, lane: Option<Lane>, asked: Asked, listener: impl FnMut(Event) + 'static) {
    let client = client.clone();
    use_effect_with(asked, move |asked| {
        let id = asked.as_ref().map(|(_, request)| client.ask(lane, request.clone(), listener));
        move || {
            if let Some(id) = id {
                client.cancel(id);
            }
        }
    });
}

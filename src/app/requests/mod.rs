//! Asks the worker whatever the page's figures need, once what they hang on has settled.

mod editing;
mod gather;
pub mod models;
mod patching;

use gloo_timers::callback::Timeout;
use yew::prelude::*;

use super::client::{self, Client};
use super::state::{Action, Figure, State, Typed};
use crate::error::Error;
use crate::protocol::{
    Event, Failure, Lane, LensOptions, LensTableOptions, PredictOptions, Prompt, Request, TokenArgument,
};

/// A pause in typing this long is taken for its end.
const SETTLED_MS: u32 = 60;

/// What a figure asks: the edition that the answer is for, and the request, or why there can be none.
type Question = Option<(u32, Result<Request, Failure>)>;

/// Keeps every figure answered: loads the demo at the start, then asks again whenever a figure is out of date.
///
/// The worker runs one request at a time, so the table, by far the longest, is asked for only when the other figures
/// are there, and is cancelled by the first key typed.
#[hook]
pub fn use_requests(client: &Client, state: &UseReducerHandle<State>) {
    use_first_model(client, state);
    let prompt = prompt_of(&state.prompt, state.reads_text());

    let edition = use_settled(&state.prediction);
    let question = can_ask(state, edition, &state.prediction).then(|| {
        let options = |prompt| PredictOptions { prompt, top: 10, no_bos: !state.bos };
        (edition, prompt.clone().map(|prompt| Request::Predict(options(prompt))))
    });
    use_question(client, state, Lane::Predict, question, move |event| Action::Predicted(edition, event));

    use_token(client, state, 0, Lane::FirstToken);
    use_token(client, state, 1, Lane::SecondToken);

    let edition = use_settled(&state.lens);
    let pair = state.pair_found().filter(|_| can_ask(state, edition, &state.lens));
    let question = pair.map(|[first, second]| {
        let tokens = (TokenArgument::Id(first.id), TokenArgument::Id(second.id));
        let options = |prompt| LensOptions { prompt, tokens, no_bos: !state.bos };
        (edition, prompt.clone().map(|prompt| Request::Lens(options(prompt))))
    });
    use_question(client, state, Lane::Lens, question, move |event| Action::Lensed(edition, event));

    let edition = use_settled(&state.table);
    let final_ln = state.table_final_ln;
    let lens_is_coming = state.pair_found().is_some() && state.lens.is_working();
    let others_are_there = !state.prediction.is_working() && !lens_is_coming;
    let wanted = others_are_there || !state.table.is_working();
    let question = (wanted && can_ask(state, edition, &state.table)).then(|| {
        let options = |prompt| LensTableOptions { prompt, final_ln, no_bos: !state.bos };
        (edition, prompt.clone().map(|prompt| Request::LensTable(options(prompt))))
    });
    use_question(client, state, Lane::LensTable, question, move |event| Action::Tabled(edition, event));

    editing::use_editing(client, state);
    patching::use_patching(client, state);
}

/// The prompt as the model takes it: text, or the ids written in it.
///
/// # Errors
/// What is no id, where the model came without a tokenizer.
pub fn prompt_of(prompt: &Typed, reads_text: bool) -> Result<Prompt, Failure> {
    let Typed::Text(text) = prompt else { return Err(Failure::from(&Error::BrokenText)) };
    if reads_text {
        return Ok(Prompt::Text(text.to_string()));
    }
    let words = text.split([' ', ',', '\n', '\t']).filter(|word| !word.is_empty());
    let id = |word: &str| {
        let digits = word.strip_prefix('#').unwrap_or(word);
        digits.parse().map_err(|_| Failure::from(&Error::BadTokenId { text: word.to_owned() }))
    };
    words.map(id).collect::<Result<_, _>>().map(Prompt::Ids)
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

/// Finds the token in one of the pair's two boxes.
#[hook]
fn use_token(client: &Client, state: &UseReducerHandle<State>, which: usize, lane: Lane) {
    let figure = &state.tokens[which];
    let edition = use_settled(figure);
    let text = match &state.pair[which] {
        Typed::Text(text) if edition == figure.edition && state.model.is_some() => Some(text.to_string()),
        _ => None,
    };
    let question = text.map(|text| (edition, Ok(Request::Token { text })));
    use_question(client, state, lane, question, move |event| Action::TokenFound(edition, which, event));
}

/// The figure's edition, once it has stayed the same for a moment. A figure still empty doesn't wait.
#[hook]
fn use_settled<T: 'static>(figure: &Figure<T>) -> u32 {
    let settled = use_state_eq(|| figure.edition);
    let wait_ms = if figure.value.is_none() { 0 } else { SETTLED_MS };
    let setter = settled.setter();
    use_effect_with(figure.edition, move |&edition| {
        let timeout = Timeout::new(wait_ms, move || setter.set(edition));
        move || drop(timeout)
    });
    *settled
}

fn can_ask<T>(state: &State, settled: u32, figure: &Figure<T>) -> bool {
    state.model.is_some() && settled == figure.edition && state.prompt != Typed::Broken
}

/// Asks `question` when it becomes another one, and cancels it when it is no longer asked.
#[hook]
fn use_question(
    client: &Client,
    state: &UseReducerHandle<State>,
    lane: impl Into<Option<Lane>>,
    question: Question,
    action: impl Fn(Event) -> Action + 'static,
) {
    let dispatch = state.dispatcher();
    use_asked(client, lane.into(), question, move |event| dispatch.dispatch(action(event)));
}

/// The same, for whoever listens by other means.
#[hook]
fn use_asked(client: &Client, lane: Option<Lane>, question: Question, listener: impl FnMut(Event) + 'static) {
    let client = client.clone();
    use_effect_with(question, move |question| {
        let mut listener = listener;
        let asked = match question {
            None => None,
            Some((_, Err(failure))) => {
                listener(Event::Failed(failure.clone()));
                None
            }
            Some((_, Ok(request))) => Some(client.ask(lane, request.clone(), listener)),
        };
        move || {
            if let Some(id) = asked {
                client.cancel(id);
            }
        }
    });
}

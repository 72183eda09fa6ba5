//! What the edit bar asks: the predictions under its edits, and how the text goes on without and with them.

use yew::prelude::*;

use super::{prompt_of, use_question, use_settled};
use crate::app::client::Client;
use crate::app::state::{Action, Editing, Outcome, State};
use crate::protocol::{EditOptions, GenerateOptions, Lane, Prompt, Request, TokenArgument};

/// Tokens written on to show what the edits do: enough for a sentence's end.
const GOES_ON: usize = 14;

#[hook]
pub fn use_editing(client: &Client, state: &UseReducerHandle<State>) {
    let editing = &state.editing;
    let edition = use_settled(&editing.edited);
    let is_asked = state.awaits_edits() && edition == editing.edited.edition || editing.edited.is_answered();
    let question = state.pair_found().filter(|_| is_asked).map(|[first, second]| {
        let request = edited_prompt(state).map(|prompt| {
            Request::Edit(EditOptions {
                prompt,
                tokens: (TokenArgument::Id(first.id), TokenArgument::Id(second.id)),
                set: editing.set(),
                clean: other_prompt(state),
                corpus: editing.corpus(),
                top: 5,
                no_bos: !state.bos,
            })
        });
        (edition, request)
    });
    use_question(client, state, Lane::Edit, question, move |event| {
        Action::Edited(Outcome::Predictions, edition, event)
    });

    use_goes_on(client, state, 0);
    use_goes_on(client, state, 1);
}

/// How the text goes on without (0) or with (1) the edits.
#[hook]
fn use_goes_on(client: &Client, state: &UseReducerHandle<State>, which: usize) {
    let figure = &state.editing.goes_on[which];
    let edition = use_settled(figure);
    // the predictions first: they follow a slider as it moves
    let is_asked = state.awaits_text(which) && edition == figure.edition || figure.is_answered();
    let question = is_asked.then(|| {
        let request = edited_prompt(state).map(|prompt| {
            let (plain, editing) = (Editing::default(), &state.editing);
            let (edits, clean) = if which == 1 { (editing, other_prompt(state)) } else { (&plain, None) };
            // always the same continuation, so that what differs is the edits' doing
            Request::Generate(GenerateOptions {
                prompt,
                max: GOES_ON,
                temperature: 0.0,
                top_k: None,
                top_p: None,
                seed: 0,
                set: edits.set(),
                clean,
                corpus: edits.corpus(),
                no_bos: !state.bos,
            })
        });
        (edition, request)
    });
    use_question(client, state, None, question, move |event| Action::Edited(Outcome::GoesOn(which), edition, event));
}

fn edited_prompt(state: &State) -> Result<Prompt, crate::protocol::Failure> {
    prompt_of(state.edited_prompt(), state.reads_text())
}

/// The run that patches take their values from, where there is one.
fn other_prompt(state: &State) -> Option<Prompt> {
    let other = if state.editing.corrupted { &state.prompt } else { &state.patching.corrupted };
    state.has_contrast().then(|| prompt_of(other, state.reads_text()).ok())?
}

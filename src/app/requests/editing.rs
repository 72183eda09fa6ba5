//! What the edit bar asks: the predictions under its edits, and how the text goes on without and with them.

use yew::prelude::*;

use super::use_figure;
use crate::app::client::Client;
use crate::app::state::{Action, Outcome, State};
use crate::protocol::Lane;

#[hook]
pub fn use_editing(client: &Client, state: &UseReducerHandle<State>) {
    let editing = &state.editing;
    let edited = |edition, event| Action::Edited(Outcome::Predictions, edition, event);
    use_figure(client, state, Lane::Edit, &editing.edited, state.awaits_edits(), edited);
    // the predictions first: they follow a slider as it moves
    let goes_on = |which: usize| move |edition, event| Action::Edited(Outcome::GoesOn(which), edition, event);
    use_figure(client, state, None, &editing.goes_on[0], state.awaits_text(0), goes_on(0));
    use_figure(client, state, None, &editing.goes_on[1], state.awaits_text(1), goes_on(1));
}

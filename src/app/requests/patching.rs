//! What the figures between the two prompts ask. Each is asked only while it is on screen and everything above it is
//! there; a key typed or an edit changed cancels whatever runs here.

use yew::prelude::*;

use super::gather::gathered;
use super::{use_answers, use_asked};
use crate::app::client::Client;
use crate::app::state::{Action, Figure, Patched, State};
use crate::link::View;

#[hook]
pub fn use_patching(client: &Client, state: &UseReducerHandle<State>) {
    let patching = &state.patching;
    use_patched(client, state, Patched::Contrast, &patching.contrast, state.is_at_rest());

    let is_clear = state.has_contrast() && state.is_at_rest() && !state.awaits_edits();
    // without them the page doesn't know whose neurons to show
    let layers = is_clear && (state.sees(View::Layers) || state.sees(View::Neurons) && patching.layer.is_none());
    let maps = is_clear && state.sees(View::Maps);
    // hooks can't stand in loops
    use_patched(client, state, Patched::Attribution(0), &patching.attributions[0], is_clear);
    use_patched(client, state, Patched::Attribution(1), &patching.attributions[1], is_clear);
    use_patched(client, state, Patched::Layers(0), &patching.layers[0], layers);
    use_patched(client, state, Patched::Layers(1), &patching.layers[1], layers);
    use_patched(client, state, Patched::Map(0), &patching.maps[0], maps);
    use_patched(client, state, Patched::Map(1), &patching.maps[1], maps);
    use_patched(client, state, Patched::Map(2), &patching.maps[2], maps);
    use_patched(client, state, Patched::Map(3), &patching.maps[3], maps);
    // a sweep of every layer goes on while the page shows something else, and isn't begun anew for every change elsewhere
    let neurons = is_clear && state.sees(View::Neurons) || patching.all_asked && state.has_contrast();
    use_patched(client, state, Patched::Neurons, &patching.neurons, neurons);
}

/// Keeps one of the figures between the prompts answered.
#[hook]
fn use_patched<T: 'static>(
    client: &Client,
    state: &UseReducerHandle<State>,
    which: Patched,
    figure: &Figure<T>,
    wanted: bool,
) {
    let dispatch = state.dispatcher();
    let asked = use_asked(figure, wanted);
    let edition = figure.edition;
    use_answers(
        client,
        None,
        asked,
        gathered(move |events| dispatch.dispatch(Action::Patched(which, edition, events))),
    );
}

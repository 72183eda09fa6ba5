//! What the figures between the two prompts ask. Each is asked only while it is on screen and everything above it is
//! there; a key typed or an edit changed cancels whatever runs here.

use yew::prelude::*;

use super::gather::gathered;
use super::{Question, prompt_of, use_asked, use_settled};
use crate::app::client::Client;
use crate::app::state::{Action, Figure, LAYER_SITES, Patched, SITES, State};
use crate::link::{Layer, View};
use crate::protocol::{
    AttributeOptions, Failure, LayerArgument, NeuronsOptions, PatchOptions, PatchSite, PredictOptions, Prompt, Request,
    TokenArgument,
};

#[hook]
pub fn use_patching(client: &Client, state: &UseReducerHandle<State>) {
    let patching = &state.patching;
    let corrupted = prompt_of(&patching.corrupted, state.reads_text());

    let edition = use_settled(&patching.contrast);
    let wanted = state.model.is_some() && state.is_at_rest() && edition == patching.contrast.edition;
    let question = wanted.then(|| {
        let options = |prompt| PredictOptions { prompt, top: 10, no_bos: !state.bos };
        (edition, corrupted.clone().map(|prompt| Request::Predict(options(prompt))))
    });
    use_figure(client, state, Patched::Contrast, edition, question);

    // hooks can't stand in loops
    use_attribution(client, state, 0);
    use_attribution(client, state, 1);
    use_layers(client, state, 0);
    use_layers(client, state, 1);
    use_map(client, state, 0);
    use_map(client, state, 1);
    use_map(client, state, 2);
    use_map(client, state, 3);

    let layer = match patching.shown_layer {
        Some(Layer::One(layer)) => Some(LayerArgument::One(layer)),
        Some(Layer::All) if patching.all_asked => Some(LayerArgument::Word("all".to_owned())),
        Some(Layer::All) | None => None,
    };
    // a sweep of every layer goes on while the page shows something else
    let wanted = (state.sees(View::Neurons) || patching.all_asked) && layer.is_some();
    let request = |asked: Asked| {
        let layer = layer.unwrap_or(LayerArgument::One(0));
        let Asked { clean, corrupted, tokens, no_bos, .. } = asked.turned(patching.reversed);
        Request::Neurons(NeuronsOptions { clean, corrupted, tokens, layer, no_bos })
    };
    use_sweep(client, state, Patched::Neurons, &patching.neurons, wanted, request);
}

#[hook]
fn use_attribution(client: &Client, state: &UseReducerHandle<State>, side: usize) {
    let request = |asked: Asked| {
        let prompt = if side == 0 { asked.clean } else { asked.corrupted };
        Request::Attribute(AttributeOptions { prompt, tokens: asked.tokens, no_bos: asked.no_bos })
    };
    use_sweep(client, state, Patched::Attribution(side), &state.patching.attributions[side], true, request);
}

#[hook]
fn use_layers(client: &Client, state: &UseReducerHandle<State>, which: usize) {
    // without them the page doesn't know whose neurons to show
    let wanted = state.sees(View::Layers) || state.sees(View::Neurons) && state.patching.layer.is_none();
    let request = |asked: Asked| Request::Patch(asked.patch(LAYER_SITES[which], true));
    use_sweep(client, state, Patched::Layers(which), &state.patching.layers[which], wanted, request);
}

#[hook]
fn use_map(client: &Client, state: &UseReducerHandle<State>, which: usize) {
    let request = |asked: Asked| Request::Patch(asked.patch(SITES[which], false));
    use_sweep(client, state, Patched::Map(which), &state.patching.maps[which], state.sees(View::Maps), request);
}

/// What every question between the prompts says.
#[derive(Clone)]
struct Asked {
    clean: Prompt,
    corrupted: Prompt,
    tokens: (TokenArgument, TokenArgument),
    no_bos: bool,
    reversed: bool,
}

impl Asked {
    fn patch(self, site: PatchSite, whole_layer: bool) -> PatchOptions {
        let reversed = self.reversed;
        let Asked { clean, corrupted, tokens, no_bos, .. } = self.turned(reversed);
        PatchOptions { clean, corrupted, tokens, site, whole_layer, no_bos }
    }

    /// Patches from the corrupted run into the clean one are patches between them the other way round.
    fn turned(mut self, reversed: bool) -> Self {
        if reversed {
            std::mem::swap(&mut self.clean, &mut self.corrupted);
        }
        self
    }
}

/// Asks one of the figures between the prompts.
#[hook]
fn use_sweep<T: 'static>(
    client: &Client,
    state: &UseReducerHandle<State>,
    which: Patched,
    figure: &Figure<T>,
    wanted: bool,
    request: impl FnOnce(Asked) -> Request,
) {
    let edition = use_settled(figure);
    // what a person started by hand isn't begun anew for every change elsewhere
    let is_started = which == Patched::Neurons && state.patching.all_asked;
    let is_clear = state.has_contrast() && (is_started || state.is_at_rest() && !state.awaits_edits());
    // one that is there already stays asked, so that it isn't asked again
    let wanted = wanted && is_clear || figure.is_answered();
    let pair = state.pair_found().filter(|_| wanted && edition == figure.edition && !figure.is_stopped());
    let question: Question = pair.map(|[first, second]| {
        let asked = || -> Result<Asked, Failure> {
            Ok(Asked {
                clean: prompt_of(&state.prompt, state.reads_text())?,
                corrupted: prompt_of(&state.patching.corrupted, state.reads_text())?,
                tokens: (TokenArgument::Id(first.id), TokenArgument::Id(second.id)),
                no_bos: !state.bos,
                reversed: state.patching.reversed,
            })
        };
        (edition, asked().map(request))
    });
    use_figure(client, state, which, edition, question);
}

#[hook]
fn use_figure(client: &Client, state: &UseReducerHandle<State>, which: Patched, edition: u32, question: Question) {
    let dispatch = state.dispatcher();
    let hand_on = move |events| dispatch.dispatch(Action::Patched(which, edition, events));
    use_asked(client, None, question, gathered(hand_on));
}

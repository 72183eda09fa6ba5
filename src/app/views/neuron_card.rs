//! One neuron looked at: its figures, and edits of it to try.

use yew::prelude::*;

use super::congruence::to_weights;
use super::corpus::to_corpus;
use super::maps::{scroll_to, taken_from};
use super::neurons::Neuron;
use crate::app::format::{share, signed};
use crate::app::state::{Action, Dispatch, Shared, Sweep};
use crate::engine::edit::{EditText, Part, TextChange, TextPositions};
use crate::engine::site::{BlockSite, Site};
use crate::link::View;
use crate::protocol::Neurons;

#[derive(Properties, PartialEq)]
pub struct Props {
    pub neuron: Neuron,
    pub sweep: Shared<Sweep<Neurons>>,
    pub index: usize,
    pub reversed: bool,
    pub dispatch: Dispatch,
}

#[component]
pub fn NeuronCard(props: &Props) -> Html {
    let (layer, neuron) = props.neuron;
    let at = |values: &[f32]| values.get(props.index).copied().unwrap_or(f32::NAN);
    let answer = &props.sweep.answer;
    let total = if props.sweep.is_exact(props.index) { share(at(props.sweep.values())) } else { "…".to_owned() };
    let direct = at(&answer.direct.values.0);
    let facts = [
        ("total effect", total, "the share brought back when it alone is patched"),
        ("estimate", share(at(&answer.estimate.values.0)), "the same, to first order, from one backward pass"),
        (
            "direct effect",
            share(at(&answer.direct_share.values.0)),
            "the part that reaches the unembedding without another layer's doing",
        ),
        (
            "writes",
            format!("{}\u{202f}logits", signed(direct)),
            "straight into the logit difference, in the run it is taken from",
        ),
    ];
    let onclose = {
        let dispatch = props.dispatch.clone();
        Callback::from(move |_: MouseEvent| dispatch.dispatch(Action::Neuron(None)))
    };
    html! {
        <div class="neuron-card" role="region" aria-label={format!("Neuron {neuron} of layer {layer}")}>
            <div class="neuron-head">
                <h3>{ format!("Layer {layer}, neuron {neuron}") }</h3>
                <code>{ format!("blocks.{layer}.mlp.hook_post[{neuron}]") }</code>
                <button type="button" class="small" onclick={onclose}>{ "Close" }</button>
            </div>
            <dl>
                { for facts.into_iter().map(|(name, value, meaning)| html! {
                    <div><dt>{ name }</dt><dd><b>{ value }</b><span>{ meaning }</span></dd></div>
                }) }
            </dl>
            <div class="try">
                { tries(&props.dispatch, props.neuron, props.reversed) }
                <button type="button" class="link" onclick={to_weights(&props.dispatch, props.neuron)}>{ "Its weights" }</button>
                <button type="button" class="link" onclick={to_corpus(&props.dispatch, props.neuron)}>{ "In real text" }</button>
            </div>
        </div>
    }
}

/// Edits of a neuron to try in the prompts at hand.
pub fn tries(dispatch: &Dispatch, (layer, neuron): Neuron, reversed: bool) -> Html {
    let edit = |change: TextChange, is_patch: bool| {
        let dispatch = dispatch.clone();
        Callback::from(move |_: MouseEvent| {
            if is_patch {
                dispatch.dispatch(Action::EditCorrupted(!reversed));
            }
            let (site, part) = (Site::Block(layer, BlockSite::MlpPost), Part::Neuron(neuron));
            dispatch.dispatch(Action::Edit(EditText { site, part, at: TextPositions::All, change }));
            scroll_to(View::Edits);
        })
    };
    html! {
        <>
        <span>{ "Add to the edits:" }</span>
        <button type="button" onclick={edit(taken_from(reversed), true)}>{ "Patch it" }</button>
        <button type="button" onclick={edit(TextChange::Scale(0.0), false)}>{ "Ablate it" }</button>
        <button type="button" onclick={edit(TextChange::Add(3.0), false)}>{ "Steer it" }</button>
        </>
    }
}

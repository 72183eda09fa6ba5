//! What a figure shows of its answer. Every figure draws its answer inside [`Shown`], which says whether it is the present
//! state's: one that isn't stays as it was drawn when it was, marked, and can't be clicked, focused or saved. So whatever
//! the controls say meanwhile, no figure stands under another state's name.

use gloo_events::{EventListener, EventListenerOptions, EventListenerPhase};
use wasm_bindgen::JsCast;
use web_sys::{Element, HtmlElement, Node};
use yew::prelude::*;

use crate::app::state::Shared;
use crate::protocol::ModelInfo;

/// The loaded model, given to all figures as a context: what another one said is not kept on screen.
#[derive(Clone, PartialEq)]
pub struct Loaded(pub Option<Shared<ModelInfo>>);

#[derive(Properties, PartialEq)]
pub struct Props {
    /// The answer is the present state's.
    pub is_current: bool,
    #[prop_or("div")]
    pub tag: &'static str,
    #[prop_or_default]
    pub class: Classes,
    /// The answer as it is drawn in the present state; not looked at where it is another state's.
    pub children: Html,
}

#[component]
pub fn Shown(props: &Props) -> Html {
    let loaded = use_context::<Loaded>();
    let last = use_mut_ref(|| None::<(Option<Loaded>, Html)>);
    let node = use_node_ref();
    use_focus_kept(&node, props.is_current);
    let mut kept = last.borrow_mut();
    if props.is_current {
        *kept = Some((loaded, props.children.clone()));
    } else {
        kept.take_if(|(of, _)| *of != loaded);
    }
    let drawn = kept.as_ref().map(|(_, drawn)| drawn.clone());
    let is_stale = !props.is_current;
    html! {
        <@{props.tag} ref={node} class={classes!(props.class.clone(), is_stale.then_some("stale"))} inert={is_stale}
            data-answer={if props.is_current { "current" } else { "pending" }}>
            { drawn }
        </@>
    }
}

/// Gives the focus back that a figure loses while it is marked, unless it has gone elsewhere.
#[hook]
fn use_focus_kept(node: &NodeRef, is_current: bool) {
    let had = use_mut_ref(|| None::<HtmlElement>);
    let node = node.clone();
    use_effect_with(is_current, move |is_current| {
        let focused = || web_sys::window()?.document()?.active_element();
        if !is_current {
            let inside = |element: &Element| node.cast::<Node>().is_some_and(|node| node.contains(Some(element)));
            *had.borrow_mut() = focused().filter(inside).and_then(|element| element.dyn_into().ok());
        } else if let Some(element) = had.take().filter(|element| element.is_connected())
            && focused().is_none_or(|element| element.tag_name() == "BODY")
        {
            // an element that can't be focused any more loses nothing
            let _ = element.focus();
        }
    });
}

/// Whatever reaches an element of a marked figure, by a script's hand too, ends there.
#[hook]
pub fn use_marked_are_left_alone() {
    use_effect_with((), |()| {
        let options = EventListenerOptions { phase: EventListenerPhase::Capture, passive: false };
        let listen = |kind: &'static str| {
            let window = web_sys::window()?;
            Some(EventListener::new_with_options(&window, kind, options, |event| {
                let element = event.target().and_then(|target| target.dyn_into::<Element>().ok());
                if element.and_then(|element| element.closest("[inert]").ok()?).is_some() {
                    event.stop_immediate_propagation();
                    event.prevent_default();
                }
            }))
        };
        let listeners = ["click", "pointerdown", "keydown", "input", "change", "submit"].map(listen);
        move || drop(listeners)
    });
}

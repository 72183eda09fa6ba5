//! What frames the page: its name, what it is about, and what it is made from.

use wasm_bindgen::JsCast;
use web_sys::HtmlElement;
use yew::prelude::*;

use super::offline::OfflineControls;
use crate::app::site;

/// The post on which the page is built.
const POST: &str = "https://www.lesswrong.com/posts/cgqh99SHsCv3jJYDS/we-found-an-neuron-in-gpt-2";

#[component]
pub fn Masthead() -> Html {
    // focus only: the address keeps its fragment
    let onskip = Callback::from(|event: MouseEvent| {
        let document = web_sys::window().and_then(|window| window.document());
        let prompt = document.and_then(|document| document.get_element_by_id("prompt"));
        if let Some(prompt) = prompt.and_then(|element| element.dyn_into::<HtmlElement>().ok())
            && prompt.focus().is_ok()
        {
            event.prevent_default();
        }
    });
    html! {
        <header class="masthead">
            <a class="skip" href="#prompt" onclick={onskip}>{ "Skip to the prompt" }</a>
            <h1><img src={site::icon()} alt="" width="34" height="34" />{ "Peartree" }</h1>
            <p class="lede" translate="yes">
                { "GPT-2 runs here, inside this page. See which token it expects next, how that expectation takes shape from \
                   layer to layer, and which neurons carry it. Then change them, and see what it says instead." }
            </p>
            <p class="about">
                { "It follows " }
                <a href={POST} rel="noreferrer">{ "We Found An Neuron in GPT-2" }</a>
                { " by Joseph Miller and Clement Neo, who asked how a model that writes one token at a time knows to say " }
                <q>{ "an" }</q>{ " and not " }<q>{ "a" }</q>
                { ". What you type stays on your device." }
            </p>
        </header>
    }
}

#[derive(Properties, PartialEq)]
pub struct FootProps {
    /// The page has done what it was opened for, and may think of the next time.
    pub is_at_ease: bool,
}

#[component]
pub fn Foot(props: &FootProps) -> Html {
    html! {
        <footer class="foot">
            <p>
                { "Peartree is free software under the MIT or the Apache 2.0 licence, at your choice. \
                   Scripts reach the same model as " }
                <code>{ "window.peartree" }</code>{ "." }
            </p>
            <OfflineControls begins={props.is_at_ease} />
        </footer>
    }
}

//! Models that are here already: files of this device, folders of this site, the demo.

use web_sys::HtmlInputElement;
use yew::prelude::*;

use super::offer::Offer;
use crate::app::client::{Client, demo};
use crate::app::picked::{Picked, listed};
use crate::app::sources::{from_address, from_files};
use crate::app::state::{Dispatch, Models, Shared, Spot};
use crate::error::Error;
use crate::protocol::{ModelInfo, Source};

#[derive(Properties, PartialEq)]
pub struct Props {
    pub model: Option<Shared<ModelInfo>>,
    pub client: Client,
    pub models: Models,
    pub take: Callback<Result<Source, Error>>,
    /// Takes what lies in a folder.
    pub take_folder: Callback<Vec<Picked>>,
    pub dispatch: Dispatch,
}

#[component]
pub fn Here(props: &Props) -> Html {
    let address = use_node_ref();
    let onpick = {
        let take = props.take.clone();
        Callback::from(move |event: Event| {
            let Some(input) = event.target_dyn_into::<HtmlInputElement>() else { return };
            take.emit(from_files(&listed(input.files())));
            // the same files picked again are a change again
            input.set_value("");
        })
    };
    let onfolder = {
        let take = props.take_folder.clone();
        Callback::from(move |event: Event| {
            let Some(input) = event.target_dyn_into::<HtmlInputElement>() else { return };
            take.emit(listed(input.files()));
            input.set_value("");
        })
    };
    let looked_at = props.models.looked_at.as_ref().filter(|looked_at| looked_at.from == Spot::Here);
    let onaddress = {
        let (take, address) = (props.take.clone(), address.clone());
        Callback::from(move |event: SubmitEvent| {
            event.prevent_default();
            if let Some(input) = address.cast::<HtmlInputElement>() {
                take.emit(from_address(&input.value()));
            }
        })
    };
    let ondemo = {
        let take = props.take.clone();
        Callback::from(move |_: MouseEvent| take.emit(Ok(demo())))
    };
    let is_demo = props.model.as_ref().is_some_and(|model| model.name == demo().name);
    html! {
        <section class="menu-part" aria-labelledby="here-title">
            <h3 id="here-title" translate="yes">{ "From your disk, or from this site" }</h3>
            <div class="sources">
                <p>
                    { "Any GPT-2 in the hub’s own format: " }<code>{ "config.json" }</code>{ "; " }
                    <code>{ "model.safetensors" }</code>{ " or " }<code>{ "pytorch_model.bin" }</code>
                    { ", or their parts with the index; the tokenizer’s files. They stay on your device. Without a tokenizer \
                       the model takes token ids." }
                </p>
                <label class="pick">
                    <span>{ "Pick the files together, or drop them anywhere on the page" }</span>
                    <input type="file" multiple=true accept=".json,.safetensors,.bin,.txt" onchange={onpick} />
                </label>
                <label class="pick">
                    <span>{ "Or its folder: what lies in it is said before anything is loaded" }</span>
                    <input id="folder" type="file" webkitdirectory=true onchange={onfolder} />
                </label>
                if let Some(looked_at) = looked_at {
                    <Offer client={props.client.clone()} looked_at={looked_at.clone()} models={props.models.clone()} dispatch={props.dispatch.clone()} />
                }
                <form onsubmit={onaddress}>
                    <label for="address">{ "Or a folder on this site" }</label>
                    <span class="with-button">
                        <input id="address" ref={address} type="text" placeholder="./demo/" spellcheck="false"
                            autocapitalize="off" autocomplete="off" />
                        <button type="submit">{ "Load" }</button>
                    </span>
                </form>
                if !is_demo {
                    <button type="button" onclick={ondemo}>{ if props.model.is_some() { "Back to the demo model" } else { "Load the demo model" } }</button>
                }
            </div>
        </section>
    }
}

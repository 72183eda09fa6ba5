//! Models that are here already: files of this device, folders of this site, the demo.

use web_sys::{File, FileList, HtmlInputElement};
use yew::prelude::*;

use crate::app::client::demo;
use crate::app::sources::{from_address, from_files};
use crate::app::state::Shared;
use crate::error::Error;
use crate::protocol::{ModelInfo, Source};

#[derive(Properties, PartialEq)]
pub struct Props {
    pub model: Option<Shared<ModelInfo>>,
    pub take: Callback<Result<Source, Error>>,
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
            <h3 id="here-title">{ "From your disk, or from this site" }</h3>
            <div class="sources">
                <p>
                    { "Any GPT-2 in the hub’s own format: " }<code>{ "config.json" }</code>{ ", " }
                    <code>{ "tokenizer.json" }</code>{ " and " }<code>{ "model.safetensors" }</code>
                    { ". They stay on your device. Without a tokenizer the model takes token ids." }
                </p>
                <label class="pick">
                    <span>{ "Pick the files together, or drop them anywhere on the page" }</span>
                    <input type="file" multiple=true accept=".json,.safetensors" onchange={onpick} />
                </label>
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

/// The files of a list, as a person picked or dropped them.
pub fn listed(files: Option<FileList>) -> Vec<File> {
    let Some(files) = files else { return Vec::new() };
    (0..files.length()).filter_map(|i| files.item(i)).collect()
}

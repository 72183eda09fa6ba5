//! Which model answers, what is being loaded, and how to load another one.

use gloo_events::{EventListener, EventListenerOptions};
use wasm_bindgen::JsCast;
use web_sys::{DragEvent, File, FileList, HtmlInputElement};
use yew::prelude::*;

use crate::app::api::{from_address, from_files};
use crate::app::client::{Client, demo};
use crate::app::format::{bytes, rough, whole};
use crate::app::requests::load;
use crate::app::state::{Dispatch, Loading, Shared};
use crate::app::widgets::copy_link::CopyLink;
use crate::app::widgets::failure::Notice;
use crate::error::Error;
use crate::protocol::{Failure, ModelInfo, Progress, Source, Unit};

#[derive(Properties, PartialEq)]
pub struct Props {
    pub client: Client,
    pub model: Option<Shared<ModelInfo>>,
    pub loading: Loading,
    pub dispatch: Dispatch,
}

#[component]
pub fn Model(props: &Props) -> Html {
    // what the page refuses by itself, before anything is loaded
    let refused = use_state_eq(|| None::<Failure>);
    let is_open = use_state_eq(|| false);
    let ontoggle = {
        let is_open = is_open.clone();
        Callback::from(move |_: MouseEvent| is_open.set(!*is_open))
    };
    let address = use_node_ref();
    let take = {
        let (client, dispatch, refused) = (props.client.clone(), props.dispatch.clone(), refused.setter());
        Callback::from(move |source: Result<Source, Error>| match source {
            Ok(source) => {
                refused.set(None);
                load(&client, &dispatch, source);
            }
            Err(error) => refused.set(Some(Failure::from(&error))),
        })
    };
    let is_dropping = use_drop(&take);
    let onpick = {
        let take = take.clone();
        Callback::from(move |event: Event| {
            let Some(input) = event.target_dyn_into::<HtmlInputElement>() else { return };
            take.emit(from_files(&listed(input.files())));
            // the same files picked again are a change again
            input.set_value("");
        })
    };
    let onaddress = {
        let (take, address) = (take.clone(), address.clone());
        Callback::from(move |event: SubmitEvent| {
            event.prevent_default();
            if let Some(input) = address.cast::<HtmlInputElement>() {
                take.emit(from_address(&input.value()));
            }
        })
    };
    let ondemo = Callback::from(move |_: MouseEvent| take.emit(Ok(demo())));
    let failure = (*refused).clone().or_else(|| match &props.loading {
        Loading::Failed(failure) => Some(failure.clone()),
        Loading::Idle | Loading::Working(_) => None,
    });
    let progress = match &props.loading {
        Loading::Working(progress) => Some(progress_bar(progress.as_ref())),
        Loading::Idle | Loading::Failed(_) => None,
    };
    // while the first model is on its way, the bar stands where its name will
    let (line, progress) = match (&props.model, progress) {
        (None, Some(progress)) => (progress, None),
        (model, progress) => (line(model.as_deref()), progress),
    };
    let is_demo = props.model.as_ref().is_some_and(|model| model.name == demo().name);
    html! {
        <section class="model" aria-label="Model">
            { line }
            <span class="model-links">
            <CopyLink />
            <button type="button" class="link unfolds" aria-expanded={is_open.to_string()} aria-controls="sources" onclick={ontoggle}>
                { "Use another model" }
            </button>
            </span>
            <div id="sources" hidden={!*is_open}>
                <div class="sources">
                    <p>
                        { "Any GPT-2 in the hub's own format: " }<code>{ "config.json" }</code>{ ", " }
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
            </div>
            { progress }
            <Notice id="model-failure" failure={failure.clone()} />
            if let (Some(_), Some(model)) = (&failure, &props.model) {
                <p class="still">{ format!("The model loaded before ({}) goes on working.", model.name) }</p>
            }
            if is_dropping {
                <div class="drop" aria-hidden="true"><p>{ "Drop config.json, tokenizer.json and model.safetensors" }</p></div>
            }
        </section>
    }
}

fn line(model: Option<&ModelInfo>) -> Html {
    let Some(model) = model else { return html! { <p class="model-line"><b>{ "No model yet" }</b></p> } };
    let config = &model.config;
    let facts = [
        format!("{} layers", config.n_layer),
        format!("width {}", whole(config.d_model as u64)),
        format!("{} heads", config.n_head),
        format!("{} parameters", rough(model.parameters)),
        format!("vocabulary {}", whole(config.vocab_size as u64)),
        format!("context {}", whole(config.n_ctx as u64)),
    ];
    let name = if model.name == demo().name { "Demo model" } else { model.name.as_str() };
    html! { <p class="model-line"><b dir="auto">{ name }</b>{ ": " }{ facts.join(", ") }</p> }
}

fn progress_bar(progress: Option<&Progress>) -> Html {
    let Some(progress) = progress else {
        return html! {
            <div class="loading">
                <label for="load-progress">{ "Starting …" }</label>
                <progress id="load-progress" />
            </div>
        };
    };
    let amount = |value: f64| match progress.unit {
        Unit::Bytes => bytes(value),
        Unit::Tokens => format!("{value:.0} tokens"),
        Unit::Rows => format!("{value:.0} rows"),
        Unit::Runs => format!("{value:.0} runs"),
        Unit::Products => format!("{value:.0} products"),
    };
    let of = progress.total.map(|total| format!(" of {}", amount(total)));
    html! {
        <div class="loading">
            <label for="load-progress">{ "Loading " }{ &progress.what }</label>
            <progress id="load-progress" max={progress.total.map(|total| total.to_string())}
                value={progress.total.map(|_| progress.done.to_string())} />
            <span class="figures">{ amount(progress.done) }{ of }</span>
        </div>
    }
}

fn listed(files: Option<FileList>) -> Vec<File> {
    let Some(files) = files else { return Vec::new() };
    (0..files.length()).filter_map(|i| files.item(i)).collect()
}

/// Takes files dropped anywhere on the page; true while some are held over it.
#[hook]
fn use_drop(take: &Callback<Result<Source, Error>>) -> bool {
    let is_over = use_state_eq(|| false);
    let (setter, take) = (is_over.setter(), take.clone());
    use_effect_with((), move |()| {
        let listen = |kind: &'static str, act: Box<dyn Fn(&DragEvent)>| {
            let window = web_sys::window()?;
            let options = EventListenerOptions::enable_prevent_default();
            Some(EventListener::new_with_options(&window, kind, options, move |event| {
                // text dragged into the prompt is the browser's business
                if let Some(event) = event.dyn_ref::<DragEvent>().filter(|event| has_files(event)) {
                    event.prevent_default();
                    act(event);
                }
            }))
        };
        let (over, leave, drop_) = (setter.clone(), setter.clone(), setter);
        let listeners = [
            listen("dragover", Box::new(move |_| over.set(true))),
            // leaving for nowhere is leaving the window
            listen(
                "dragleave",
                Box::new(move |event| {
                    if event.related_target().is_none() {
                        leave.set(false)
                    }
                }),
            ),
            listen(
                "drop",
                Box::new(move |event| {
                    drop_.set(false);
                    take.emit(from_files(&listed(event.data_transfer().and_then(|data| data.files()))));
                }),
            ),
        ];
        move || drop(listeners)
    });
    *is_over
}

fn has_files(event: &DragEvent) -> bool {
    event.data_transfer().is_some_and(|data| data.types().iter().any(|kind| kind == "Files"))
}

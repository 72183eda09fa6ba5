//! Which model answers, what is being loaded, and how to load another one.

use gloo_events::{EventListener, EventListenerOptions};
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::spawn_local;
use web_sys::DragEvent;
use yew::prelude::*;

use super::engine::EngineLine;
use super::loading::{LoadingBar, retry};
use super::models::Menu;
use crate::app::client::{Client, demo};
use crate::app::format::{commit as short, dtype, rough, whole};
use crate::app::picked::{Picked, folders, inside, listed};
use crate::app::requests::models::{load, look_at};
use crate::app::sources::from_files;
use crate::app::state::{Dispatch, Loading, Models, Shared, Spot};
use crate::app::widgets::copy_link::CopyLink;
use crate::app::widgets::failure::Notice;
use crate::error::Error;
use crate::protocol::{Failure, ModelInfo, Source};

#[derive(Properties, PartialEq)]
pub struct Props {
    pub client: Client,
    pub model: Option<Shared<ModelInfo>>,
    pub loading: Loading,
    pub models: Models,
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
    let take_folder = {
        let (client, dispatch, refused) = (props.client.clone(), props.dispatch.clone(), refused.setter());
        let (models, is_open) = (props.models.clone(), is_open.setter());
        Callback::from(move |files: Vec<Picked>| match from_files(&files) {
            Ok(source) => {
                refused.set(None);
                // what is found in it is said there
                is_open.set(true);
                look_at(&client, &dispatch, &models, source, Spot::Here);
            }
            Err(error) => refused.set(Some(Failure::from(&error))),
        })
    };
    let is_dropping = use_drop(&take, &take_folder);
    let failure = (*refused).clone().or_else(|| match &props.loading {
        Loading::Failed(failure, _) => Some(failure.clone()),
        _ => None,
    });
    let is_loading = matches!(props.loading, Loading::Beginning | Loading::Working(_) | Loading::Paused(_));
    let is_first = props.model.is_none();
    html! {
        <section class="model" aria-labelledby="model-title">
            // the menu's parts are headed too
            <h2 id="model-title" class="unseen">{ "Model" }</h2>
            // while the first model is on its way, the bar stands where its name will
            if !is_first || !is_loading {
                { line(props.model.as_deref(), &props.client) }
            } else {
                <LoadingBar client={props.client.clone()} loading={props.loading.clone()} {is_first} dispatch={props.dispatch.clone()} />
            }
            <span class="model-links">
            <CopyLink />
            <button type="button" class="link unfolds" aria-expanded={is_open.to_string()} aria-controls="sources" onclick={ontoggle}>
                { "Use another model" }
            </button>
            </span>
            if !is_first && is_loading {
                <LoadingBar client={props.client.clone()} loading={props.loading.clone()} {is_first} dispatch={props.dispatch.clone()} />
            }
            <Notice id="model-failure" failure={failure.clone()} />
            if refused.is_none() {
                { retry(&props.client, &props.loading, &props.dispatch) }
            }
            if let (Some(_), Some(model)) = (&failure, &props.model) {
                <p class="still">{ format!("The model loaded before ({}) goes on working.", model.name) }</p>
            }
            <Menu client={props.client.clone()} model={props.model.clone()} models={props.models.clone()} is_open={*is_open}
                {take} {take_folder} dispatch={props.dispatch.clone()} />
            if is_dropping {
                <div class="drop" aria-hidden="true"><p>{ "Drop a model’s files, or its folder" }</p></div>
            }
        </section>
    }
}

fn line(model: Option<&ModelInfo>, client: &Client) -> Html {
    let Some(model) = model else { return html! { <p class="model-line"><b>{ "No model yet" }</b></p> } };
    let config = &model.config;
    let mut facts = vec![
        format!("{} layers", config.n_layer),
        format!("width {}", whole(config.d_model as u64)),
        format!("{} heads", config.n_head),
        format!("{} parameters", rough(model.parameters)),
        format!("vocabulary {}", whole(config.vocab_size as u64)),
        format!("context {}", whole(config.n_ctx as u64)),
        dtype(model.dtype).to_owned(),
    ];
    facts.extend(config.variant.words());
    let commit = model.origin.as_ref().and_then(|origin| origin.commit.as_deref());
    let is_kept = model.origin.is_some();
    let name = if model.name == demo().name { "Demo model" } else { model.name.as_str() };
    html! {
        <p class="model-line">
            <b dir="auto">{ name }</b>
            { for commit.map(|sha| html! { <span class="commit">{ " at commit " }<code title={sha.to_owned()}>{ short(sha) }</code></span> }) }
            { ": " }{ facts.join(", ") }
            if is_kept {
                <span class="is-kept">{ ", kept on this device" }</span>
            }
            <EngineLine client={client.clone()} />
            { for model.notes.iter().map(|note| html! { <span class="model-note">{ format!(" {note}") }</span> }) }
        </p>
    }
}

/// What is done at an event, and whether another part of the page has taken it already.
type OnDrag = Box<dyn Fn(&DragEvent, bool)>;

/// Takes files and folders dropped anywhere on the page; true while some are held over it.
#[hook]
fn use_drop(take: &Callback<Result<Source, Error>>, take_folder: &Callback<Vec<Picked>>) -> bool {
    let is_over = use_state_eq(|| false);
    let (setter, take) = (is_over.setter(), take.clone());
    // what takes a folder knows which models were looked at, so the last one is asked
    let folder = use_mut_ref(|| take_folder.clone());
    folder.replace(take_folder.clone());
    use_effect_with((), move |()| {
        let listen = |kind: &'static str, act: OnDrag| {
            let window = web_sys::window()?;
            let options = EventListenerOptions::enable_prevent_default();
            Some(EventListener::new_with_options(&window, kind, options, move |event| {
                // text dragged into the prompt is the browser's business
                if let Some(event) = event.dyn_ref::<DragEvent>().filter(|event| has_files(event)) {
                    let is_taken = event.default_prevented();
                    event.prevent_default();
                    act(event, is_taken);
                }
            }))
        };
        let (over, leave, drop_) = (setter.clone(), setter.clone(), setter);
        let listeners = [
            listen("dragover", Box::new(move |_, _| over.set(true))),
            // leaving for nowhere is leaving the window
            listen(
                "dragleave",
                Box::new(move |event, _| {
                    if event.related_target().is_none() {
                        leave.set(false)
                    }
                }),
            ),
            listen(
                "drop",
                Box::new(move |event, is_taken| {
                    drop_.set(false);
                    // texts, dropped onto the figure that reads them
                    if is_taken {
                        return;
                    }
                    let Some(data) = event.data_transfer() else { return };
                    let dropped = folders(&data);
                    if dropped.is_empty() {
                        return take.emit(from_files(&listed(data.files())));
                    }
                    let folder = folder.clone();
                    spawn_local(async move {
                        let (files, take) = (inside(dropped).await, folder.borrow().clone());
                        take.emit(files);
                    });
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

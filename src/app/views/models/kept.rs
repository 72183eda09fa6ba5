//! What this device keeps: which models, whole or in part, how large, from when; to be loaded, checked and deleted.

use js_sys::Date;
use wasm_bindgen::JsValue;
use yew::prelude::*;

use super::Hub;
use super::offer::Offer;
use crate::app::client::Client;
use crate::app::format::{bytes, commit};
use crate::app::requests::models::{forget, look_at, verify};
use crate::app::state::{Dispatch, Models, Shared, Spot, Work};
use crate::app::widgets::failure::Notice;
use crate::protocol::{KeptModel, ModelInfo, Place, Room, Source};

#[derive(Properties, PartialEq)]
pub struct Props {
    pub client: Client,
    pub hub: Hub,
    pub model: Option<Shared<ModelInfo>>,
    pub models: Models,
    pub dispatch: Dispatch,
}

#[component]
pub fn KeptModels(props: &Props) -> Html {
    // deleting takes a second press: the key of the model that the first was for
    let doomed = use_state_eq(|| None::<String>);
    let kept = props.models.kept.as_deref();
    let models = kept.map_or(&[][..], |kept| &kept.models);
    html! {
        <section class="menu-part" aria-labelledby="kept-title">
            <h3 id="kept-title" translate="yes">{ "Kept on this device" }</h3>
            { for kept.map(|kept| html! { <p class="caption">{ room(&kept.room, models.is_empty()) }</p> }) }
            <Notice id="kept-failure" failure={props.models.kept_failure.clone()} />
            <ul class="kept">
                { for models.iter().map(|model| row(model, props, &doomed)) }
            </ul>
        </section>
    }
}

fn room(room: &Room, is_empty: bool) -> String {
    if room.transient {
        return "This browser lets the page keep nothing here (a private window, or an address without https): models \
                work, and are downloaded anew each time."
            .to_owned();
    }
    let nothing = if is_empty { "No model yet. " } else { "" };
    let used = match room.quota {
        Some(quota) => format!(
            "This page uses {} of the {} that this browser gives it.",
            bytes(room.used as f64),
            bytes(quota as f64)
        ),
        None => format!("This page uses {} of this browser’s room.", bytes(room.used as f64)),
    };
    let promise = match (is_empty, room.persisted) {
        (true, _) => "",
        (false, true) => " The browser has promised not to clear it by itself.",
        (false, false) => " The browser may clear it when the disk gets full.",
    };
    format!("{nothing}{used}{promise}")
}

fn row(model: &KeptModel, props: &Props, doomed: &UseStateHandle<Option<String>>) -> Html {
    let work = props.models.work_on(&model.key);
    let is_busy = matches!(work, Some(Work::Checking(_) | Work::Deleting));
    let from = Spot::Kept(model.key.clone());
    let looked_at = props.models.looked_at.as_ref().filter(|looked_at| looked_at.from == from);
    let onchoose = {
        let (client, dispatch, models) = (props.client.clone(), props.dispatch.clone(), props.models.clone());
        let source = source(model, &props.hub);
        Callback::from(move |_: MouseEvent| look_at(&client, &dispatch, &models, source.clone(), from.clone()))
    };
    let oncheck = {
        let (client, dispatch, key) = (props.client.clone(), props.dispatch.clone(), model.key.clone());
        Callback::from(move |_: MouseEvent| verify(&client, &dispatch, key.clone()))
    };
    let is_doomed = doomed.as_deref() == Some(model.key.as_str());
    let ondelete = {
        let (client, dispatch, key) = (props.client.clone(), props.dispatch.clone(), model.key.clone());
        let doomed = doomed.clone();
        Callback::from(move |_: MouseEvent| {
            doomed.set((!is_doomed).then(|| key.clone()));
            if is_doomed {
                forget(&client, &dispatch, key.clone());
            }
        })
    };
    let onspare = {
        let doomed = doomed.clone();
        Callback::from(move |_: FocusEvent| doomed.set(None))
    };
    let (name, choose) = (&model.name, if model.whole { "Choose" } else { "Go on with it" });
    html! {
        <li key={model.key.clone()} class="a-model">
            <span class="model-name"><b dir="auto">{ name }</b><small>{ source_line(model) }</small></span>
            <span class="facts">{ size_line(model) }</span>
            <span class="facts">{ date_line(model) }</span>
            <span class="row-buttons">
                <button type="button" class="small" aria-label={format!("{choose}: {name}")} disabled={is_busy} onclick={onchoose}>{ choose }</button>
                if model.whole {
                    <button type="button" class="small" aria-label={format!("Check {name}")} disabled={is_busy} onclick={oncheck}>{ "Check" }</button>
                }
                <button type="button" class={classes!("small", is_doomed.then_some("danger"))} disabled={is_busy} onclick={ondelete} onblur={onspare}
                    aria-label={format!("{} {name}", if is_doomed { "Really delete" } else { "Delete" })}>
                    { if is_doomed { "Really delete" } else { "Delete" } }
                </button>
            </span>
            <div class="work" role="status">{ for work.map(|work| worked(model, work)) }</div>
            if let Some(looked_at) = looked_at {
                <Offer client={props.client.clone()} looked_at={looked_at.clone()} models={props.models.clone()} dispatch={props.dispatch.clone()} />
            }
        </li>
    }
}

/// Where it came from and which of its states it is: `huggingface.co, commit 32b71b12`.
fn source_line(model: &KeptModel) -> Html {
    let host = crate::store::address::host_of(&model.host);
    html! { <>{ host }{ for model.commit.as_deref().map(|sha| html! { <>{ ", commit " }<code>{ commit(sha) }</code></> }) }</> }
}

fn size_line(model: &KeptModel) -> String {
    let here = bytes(model.bytes_here as f64);
    let dtype = model.file_dtype.as_ref().map(|dtype| format!(", in {dtype}")).unwrap_or_default();
    match (model.whole, model.bytes) {
        (true, _) => format!("{here}{dtype}"),
        (false, Some(all)) => format!("{here} of {}{dtype}: not whole yet", bytes(all as f64)),
        (false, None) => format!("{here}: not whole yet"),
    }
}

fn date_line(model: &KeptModel) -> String {
    let Some(date_ms) = model.date_ms else { return String::new() };
    let date = Date::new(&JsValue::from_f64(date_ms as f64));
    let options = js_sys::Object::new();
    // setting plain properties of a plain object can't fail
    for (name, value) in [("dateStyle", "medium"), ("timeStyle", "short")] {
        let _ = js_sys::Reflect::set(&options, &name.into(), &value.into());
    }
    String::from(date.to_locale_string("en-GB", &options))
}

fn worked(model: &KeptModel, work: &Work) -> Html {
    match work {
        Work::Deleting => html! { <p>{ "Deleting …" }</p> },
        Work::Checking(progress) => {
            let (done, total) =
                progress.as_ref().map_or((None, None), |progress| (Some(progress.done), progress.total));
            let said = match (done, total) {
                (Some(done), Some(total)) => format!("{} of {}", bytes(done), bytes(total)),
                _ => String::new(),
            };
            html! {
                <p class="checking">
                    <label>{ "Checking" }<progress max={total.map(|total| total.to_string())} value={total.and(done).map(|done| done.to_string())} /></label>
                    <span class="figures">{ said }</span>
                </p>
            }
        }
        Work::Unchanged => {
            let hash = model.sha256.as_deref().unwrap_or_default();
            let source = if model.attested { "its source says" } else { "when it came" };
            html! { <p>{ format!("Unchanged: the weights’ SHA-256 is what {source}, ") }<code class="hash">{ hash }</code></p> }
        }
        Work::Failed(failure) => html! { <p class="verdict no">{ &failure.message }</p> },
    }
}

/// The same model again, at the commit that is kept.
fn source(model: &KeptModel, hub: &Hub) -> Source {
    match &model.repo {
        Some(repo) => {
            let revision = model.commit.clone().or_else(|| model.revision.clone());
            // a token is for the hub that it was typed in for
            let token = if hub.base() == model.host { hub.token.clone() } else { String::new() };
            Hub { host: model.host.clone(), token }.source(repo, revision)
        }
        None => Source {
            name: model.name.clone(),
            place: Place::Base { url: model.host.clone() },
            threads: None,
            dtype: None,
            engine: None,
        },
    }
}

//! A model before it is loaded: what it needs, what there is, and the button that begins.

use web_sys::HtmlElement;
use yew::prelude::*;

use crate::app::client::Client;
use crate::app::format::{self, bytes, commit, rough, whole};
use crate::app::requests::models::{load, look_at};
use crate::app::state::{Action, Dispatch, Found, LookedAt, Models, ModelsAction};
use crate::app::widgets::device;
use crate::app::widgets::failure::Notice;
use crate::model::WeightDtype;
use crate::protocol::{Beginning, Description, HUB, Place, Source};
use crate::store::address::host_of;
use crate::store::catalog::{Verdict, verdict};

#[derive(Properties, PartialEq)]
pub struct Props {
    pub client: Client,
    pub looked_at: LookedAt,
    pub models: Models,
    pub dispatch: Dispatch,
}

#[component]
pub fn Offer(props: &Props) -> Html {
    let LookedAt { source, found, .. } = &props.looked_at;
    let node = use_node_ref();
    let is_known = matches!(found, Found::Known(_));
    {
        let node = node.clone();
        // the answer may come late: whoever waits for it by ear or keyboard is led to it
        use_effect_with(is_known, move |&is_known| {
            if is_known && let Some(element) = node.cast::<HtmlElement>() {
                // where focus can't go it stays
                let _ = element.focus();
            }
        });
    }
    let onclose = {
        let dispatch = props.dispatch.clone();
        Callback::from(move |_: MouseEvent| dispatch.dispatch(Action::Models(ModelsAction::LookAway)))
    };
    let onretry = {
        let (client, dispatch, models) = (props.client.clone(), props.dispatch.clone(), props.models.clone());
        let (source, from) = (source.clone(), props.looked_at.from.clone());
        Callback::from(move |_: MouseEvent| look_at(&client, &dispatch, &models, source.clone(), from.clone()))
    };
    html! {
        <div class="offer" role="group" aria-label={format!("Load {}", source.name)}>
            { match found {
                Found::Asking => html! {
                    <p class="asking" role="status">{ asking(source) }</p>
                },
                Found::Failed(failure) => html! {
                    <>
                    { names(source) }
                    <Notice id="offer-failure" failure={failure.clone()} />
                    </>
                },
                Found::Known(description) => known(description, props, &node),
            } }
            <div class="offer-buttons">
                if let Found::Known(description) = found {
                    { begin(description, props) }
                }
                if matches!(found, Found::Failed(_)) {
                    <button type="button" onclick={onretry}>{ "Ask again" }</button>
                }
                <button type="button" onclick={onclose}>{ "Close" }</button>
            </div>
        </div>
    }
}

fn known(description: &Description, props: &Props, node: &NodeRef) -> Html {
    let config = &description.config;
    let host = host(&props.looked_at.source);
    let to_come = bytes(description.bytes.saturating_sub(description.bytes_here) as f64);
    let room = &description.room;
    let left = match (room.free(), room.persisted) {
        (None, _) => "This browser does not say how much room there is.".to_owned(),
        (Some(free), true) => format!("There is room for {}.", bytes(free as f64)),
        (Some(free), false) => {
            format!("There is room for {}; the browser may clear it when the disk gets full.", bytes(free as f64))
        }
    };
    let download = match (description.kept, description.bytes_here) {
        (false, here) if here == description.bytes => format!("They are read from {host}, and nothing is kept."),
        (true, _) => "All of it is kept on this device: nothing is downloaded.".to_owned(),
        (false, 0) => format!("{to_come} come from {host} and stay on this device. {left}"),
        (false, here) => format!("{} of it are here; {to_come} more come from {host}. {left}", bytes(here as f64)),
    };
    html! {
        <>
        <p class="described" tabindex="-1" ref={node.clone()}>
            <b dir="auto">{ &description.name }</b>
            { for description.commit.as_deref().map(|sha| html! { <>{ " at commit " }<code>{ commit(sha) }</code></> }) }
            { format!(": {} layers, {} heads, width {}, {} parameters, vocabulary {}{}.", config.n_layer, config.n_head,
                whole(config.d_model as u64), rough(description.parameters), whole(config.vocab_size as u64),
                config.variant.words().iter().map(|word| format!(", {word}")).collect::<String>()) }
            if !description.has_tokenizer {
                { " It comes without a tokenizer and takes token ids." }
            }
        </p>
        { dtypes(description, props) }
        if !props.looked_at.source.place.is_kept() {
            { files(description) }
        }
        { for description.beginning.as_ref().map(begins) }
        <p>{ download }</p>
        { for why_not(judged(description)).map(|why| html! { <p class="verdict">{ why }</p> }) }
        </>
    }
}

/// The files that are read of a folder.
fn files(description: &Description) -> Html {
    let is_weights = |name: &str| name.ends_with(".safetensors") || name.ends_with(".bin");
    let note = |name: &str| match is_weights(name) {
        true => format!(", weights in {}", description.file_dtype),
        false => String::new(),
    };
    html! {
        <ul class="found">
            { for description.files.iter().map(|file| html! {
                <li><code>{ &file.name }</code>{ format!(", {}{}", bytes(file.bytes as f64), note(&file.name)) }</li>
            }) }
        </ul>
    }
}

/// The files that lie where nothing can be loaded from.
fn names(source: &Source) -> Html {
    const MOST: usize = 24;
    let Place::Files { files } = &source.place else { return html! {} };
    let more = files.len().saturating_sub(MOST);
    html! {
        <ul class="found">
            { for files.iter().take(MOST).map(|file| html! { <li><code>{ &file.name }</code></li> }) }
            if more > 0 {
                <li>{ format!("and {more} more") }</li>
            }
        </ul>
    }
}

/// What begins a text, and which file says so.
fn begins(beginning: &Beginning) -> Html {
    let Beginning { id, token, said_by } = beginning;
    html! {
        <p>
            { "A text begins with " }
            { for token.as_ref().map(|token| html! { <><code>{ token }</code>{ " " }</> }) }
            { format!("(#{id})") }
            { for said_by.as_ref().map(|file| html! { <>{ ", as " }<code>{ file }</code>{ " says" }</> }) }
            { "." }
        </p>
    }
}

fn asking(source: &Source) -> String {
    match source.place.is_kept() {
        true => format!("Asking {} what it is …", host(source)),
        false => "Looking into the files …".to_owned(),
    }
}

/// A choice of the type that the weights are held in.
fn dtypes(description: &Description, props: &Props) -> Html {
    let choice = |need: &crate::protocol::Need| {
        let (dtype, dispatch) = (need.dtype, props.dispatch.clone());
        let onchange = Callback::from(move |_: Event| dispatch.dispatch(Action::Models(ModelsAction::Dtype(dtype))));
        let note = match (dtype, need.fits) {
            (_, false) => ": more than a page can hold",
            (WeightDtype::F32, true) => "",
            (WeightDtype::F16, true) => ", the weights rounded",
        };
        html! {
            <label>
                <input type="radio" name="dtype" checked={props.looked_at.dtype == dtype} disabled={!need.fits} {onchange} />
                { format!("{}: {} of memory{note}", format::dtype(dtype), bytes(need.bytes as f64)) }
            </label>
        }
    };
    html! {
        <fieldset class="choice">
            <legend>{ "Weights held in memory as" }</legend>
            { for description.memory.iter().map(choice) }
        </fieldset>
    }
}

fn begin(description: &Description, props: &Props) -> Html {
    let source = Source { dtype: Some(props.looked_at.dtype), ..pinned(&props.looked_at.source, description) };
    let onclick = {
        let (client, dispatch) = (props.client.clone(), props.dispatch.clone());
        Callback::from(move |_: MouseEvent| {
            dispatch.dispatch(Action::Models(ModelsAction::LookAway));
            load(&client, &dispatch, source.clone());
        })
    };
    let to_come = description.bytes.saturating_sub(description.bytes_here);
    let says = match (description.kept, description.bytes_here) {
        (true, _) => "Load it".to_owned(),
        (false, here) if here == description.bytes => "Load it".to_owned(),
        (false, 0) => format!("Download {} and load it", bytes(to_come as f64)),
        (false, _) => format!("Download the other {} and load it", bytes(to_come as f64)),
    };
    let is_refused = matches!(judged(description), Verdict::TooLarge { .. } | Verdict::NoRoom { .. });
    html! { <button type="button" class="primary" disabled={is_refused} {onclick}>{ says }</button> }
}

/// The same source, at the commit that was described: what is loaded is what was agreed to.
fn pinned(source: &Source, description: &Description) -> Source {
    let mut source = source.clone();
    if let Place::Hub(place) = &mut source.place
        && description.commit.is_some()
    {
        place.revision = description.commit.clone();
    }
    source
}

fn judged(description: &Description) -> Verdict {
    let to_download = if description.kept { 0 } else { description.bytes.saturating_sub(description.bytes_here) };
    verdict(&description.memory, to_download, device::memory_bytes(), Some(&description.room))
}

/// Why a device can't run a model, or might not.
pub fn why_not(verdict: Verdict) -> Option<String> {
    let gb = |value: u64| bytes(value as f64);
    match verdict {
        Verdict::Runs => None,
        Verdict::Tight { needed, device } => Some(format!(
            "Its weights take {} of memory and this device has about {}: the browser may give up.",
            gb(needed),
            gb(device)
        )),
        Verdict::TooLarge { needed, most } => Some(format!(
            "Its weights take {} of memory even in f16, and a page has {} for them.",
            gb(needed),
            gb(most)
        )),
        Verdict::NoRoom { needed, free } => Some(format!(
            "It needs {} on this device and this browser has {} left for this page. Delete kept models or free disk space.",
            gb(needed),
            gb(free)
        )),
    }
}

/// The host that a model comes from.
fn host(source: &Source) -> String {
    match &source.place {
        Place::Hub(place) => host_of(place.host.as_deref().unwrap_or(HUB)).to_owned(),
        Place::Base { url } => host_of(url).to_owned(),
        Place::Files { .. } => "this device".to_owned(),
        Place::Folder { .. } => "this site".to_owned(),
    }
}

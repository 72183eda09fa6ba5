//! The known models in a list: what they are, what they take, whether they are kept, whether this device can run them.

use yew::prelude::*;

use super::Hub;
use super::offer::{Offer, why_not};
use crate::app::client::Client;
use crate::app::format::{bytes, dtype, rough, whole};
use crate::app::requests::models::look_at;
use crate::app::state::{Dispatch, Models, Shared, Spot};
use crate::app::widgets::device;
use crate::error::Error;
use crate::model::weights::n_parameters;
use crate::protocol::{KeptModel, ModelInfo, Need, Source};
use crate::store::catalog::{KNOWN, Known, STANFORD, Verdict, verdict};
use crate::store::fit::needs;

#[derive(Properties, PartialEq)]
pub struct Props {
    pub client: Client,
    pub hub: Hub,
    pub model: Option<Shared<ModelInfo>>,
    pub models: Models,
    pub take: Callback<Result<Source, Error>>,
    pub dispatch: Dispatch,
}

#[component]
pub fn KnownModels(props: &Props) -> Html {
    html! {
        <section class="menu-part" aria-labelledby="known-title">
            <h3 id="known-title" translate="yes">{ "GPT-2 in its sizes" }</h3>
            <p class="caption" translate="yes">
                { "They come from a hub, once, and are kept on this device: the next time they load without a network. \
                   Choosing one says what it takes; nothing large is downloaded before you say so." }
            </p>
            <ul class="known">
                { for KNOWN.iter().map(|known| row(known, props)) }
            </ul>
            <details class="stanford">
                <summary translate="yes">{ "Stanford’s ten: small and medium, each from five seeds" }</summary>
                <ul class="known">
                    { for STANFORD.iter().map(|known| row(known, props)) }
                </ul>
            </details>
        </section>
    }
}

fn row(known: &'static Known, props: &Props) -> Html {
    let config = known.config();
    let count = n_parameters(&config);
    let needs = needs(&config);
    let kept =
        kept_of(props.models.kept.as_deref().map_or(&[][..], |kept| &kept.models), &props.hub.base(), known.repo);
    let is_whole = kept.is_some_and(|model| model.whole);
    let here = kept.map_or(0, |model| model.bytes_here);
    let to_download = if is_whole { 0 } else { known.download_bytes.saturating_sub(here) };
    let room = props.models.kept.as_ref().map(|kept| kept.room);
    let judged = verdict(&needs, to_download, device::memory_bytes(), room.as_ref());
    let is_loaded = props.model.as_ref().is_some_and(|model| is_from(model, known.repo));
    let status = match (is_loaded, kept) {
        (true, _) => "answers now".to_owned(),
        (false, Some(_)) if is_whole => "kept on this device".to_owned(),
        (false, Some(_)) if here > 0 => format!("{} of it here", bytes(here as f64)),
        _ => String::new(),
    };
    let looked_at = props.models.looked_at.as_ref().filter(|looked_at| looked_at.from == Spot::Known(known.repo));
    let onclick = {
        let (client, dispatch, models) = (props.client.clone(), props.dispatch.clone(), props.models.clone());
        let source = props.hub.source(known.repo, None);
        Callback::from(move |_: MouseEvent| {
            look_at(&client, &dispatch, &models, source.clone(), Spot::Known(known.repo))
        })
    };
    html! {
        <li key={known.repo} class={classes!("a-model", looked_at.is_some().then_some("open"))}>
            <span class="model-name"><b>{ known.name() }</b><small>{ status }</small></span>
            <span class="facts">
                { format!("{} layers, {} heads, width {}, ", config.n_layer, config.n_head, whole(config.d_model as u64)) }
                <span class="whole">{ format!("{} parameters", rough(count)) }</span>
            </span>
            <span class="facts">
                { if is_whole { "nothing to download".to_owned() } else { format!("{} to download", bytes(to_download as f64)) } }
                { ", " }<span class="whole">{ format!("memory {}", memory(&needs)) }</span>
            </span>
            <button type="button" aria-expanded={looked_at.is_some().to_string()} aria-label={format!("Choose {}", known.name())}
                {onclick}>{ "Choose" }</button>
            { for why_not(judged).map(|why| html! { <p class={classes!("verdict", (!matches!(judged, Verdict::Tight { .. })).then_some("no"))}>{ why }</p> }) }
            if let Some(looked_at) = looked_at {
                <Offer client={props.client.clone()} looked_at={looked_at.clone()} models={props.models.clone()} dispatch={props.dispatch.clone()} />
            }
        </li>
    }
}

/// `498 MB in f32, 249 MB in f16`: each type that fits.
fn memory(needs: &[Need]) -> String {
    let said: Vec<String> =
        needs.iter().map(|need| format!("{} in {}", bytes(need.bytes as f64), dtype(need.dtype))).collect();
    said.join(", ")
}

/// What is kept of a hub's repository: a whole copy, or else the largest part of one.
fn kept_of<'a>(kept: &'a [KeptModel], host: &str, repo: &str) -> Option<&'a KeptModel> {
    let of_it = kept.iter().filter(|model| model.host == host && model.repo.as_deref() == Some(repo));
    of_it.max_by_key(|model| (model.whole, model.bytes_here))
}

fn is_from(model: &ModelInfo, repo: &str) -> bool {
    model.origin.as_ref().is_some_and(|origin| origin.repo.as_deref() == Some(repo))
}

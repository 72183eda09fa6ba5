//! What a link brought that was not used, and the model that it was made with, offered and never loaded by itself.

use yew::prelude::*;

use super::models::offer::Offer;
use crate::app::client::{Client, demo};
use crate::app::requests::models::{load, look_at};
use crate::app::sources::{HubOptions, from_address, from_hub};
use crate::app::state::{Action, Dispatch, Models, Opened, Spot};
use crate::link::Model;
use crate::protocol::{HUB, Place};
use crate::store::address::host_of;

#[derive(Properties, PartialEq)]
pub struct Props {
    pub client: Client,
    pub opened: Opened,
    pub models: Models,
    pub dispatch: Dispatch,
}

#[component]
pub fn LinkNotice(props: &Props) -> Html {
    let opened = &props.opened;
    let offered = opened.offered.as_ref().map(|link| &link.model);
    let is_empty = opened.notices.is_empty() && offered.is_none();
    let ondismiss = {
        let dispatch = props.dispatch.clone();
        Callback::from(move |_: MouseEvent| dispatch.dispatch(Action::Dismiss))
    };
    html! {
        // always there, as screen readers announce changes only in regions they know
        <div class={classes!("link-notice", is_empty.then_some("empty"))} role="status" aria-live="polite">
            if !is_empty {
                <div>
                    { for offered.map(|model| offer(model, props)) }
                    if !opened.notices.is_empty() {
                        <ul>{ for opened.notices.iter().map(|notice| html! { <li dir="auto">{ notice }</li> }) }</ul>
                    }
                </div>
                <button type="button" class="small" onclick={ondismiss}>{ "Dismiss" }</button>
            }
        </div>
    }
}

/// Names the link's model; a button loads it where it can be loaded from here.
fn offer(model: &Model, props: &Props) -> Html {
    let source = match model {
        Model::Demo => Ok(demo()),
        Model::Hub { repo, commit } => {
            Ok(from_hub(repo, HubOptions { revision: commit.clone(), ..HubOptions::default() }))
        }
        Model::Folder(address) => from_address(address),
        Model::Files => {
            return html! {
                <p>{ "This link was made with a model from its maker's own files. Load the same files to see the same figures." }</p>
            };
        }
    };
    let name = match model {
        Model::Hub { repo, commit } => {
            let at = commit.as_ref().map(|commit| format!(", commit {}", &commit[..7]));
            html! { <>{ "the hub's model " }<code dir="auto">{ repo }</code>{ at }</> }
        }
        Model::Folder(address) => html! { <>{ "the model in the folder " }<code dir="auto">{ address }</code></> },
        Model::Demo | Model::Files => html! { "the demo model" },
    };
    match source {
        Ok(source) => {
            let host = match &source.place {
                Place::Hub(hub) => Some(format!(" from {}", host_of(hub.host.as_deref().unwrap_or(HUB)))),
                _ => None,
            };
            let (client, dispatch) = (props.client.clone(), props.dispatch.clone());
            let (models, is_far) = (props.models.clone(), matches!(source.place, Place::Hub(_)));
            let onload = Callback::from(move |_: MouseEvent| match is_far {
                // what it takes is said before anything large is fetched
                true => look_at(&client, &dispatch, &models, source.clone(), Spot::Link),
                false => load(&client, &dispatch, source.clone()),
            });
            let looked_at = props.models.looked_at.as_ref().filter(|looked_at| looked_at.from == Spot::Link);
            html! {
                <>
                <p>{ "This link was made with " }{ name }{ "; what you see is another one. " }
                    <button type="button" class="small" onclick={onload}>{ "Load that model" }{ host }</button></p>
                if let Some(looked_at) = looked_at {
                    <Offer client={props.client.clone()} looked_at={looked_at.clone()} models={props.models.clone()} dispatch={props.dispatch.clone()} />
                }
                </>
            }
        }
        Err(error) => {
            html! { <p>{ "This link was made with " }{ name }{ format!(". It can't be loaded from here: {error}") }</p> }
        }
    }
}

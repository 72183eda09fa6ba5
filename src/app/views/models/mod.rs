//! The menu of models: known ones, any other from a hub or a site, files, and what this device keeps.

pub mod elsewhere;
pub mod here;
pub mod kept;
pub mod known;
pub mod offer;

use yew::prelude::*;

use crate::app::client::Client;
use crate::app::picked::Picked;
use crate::app::requests::models::refresh;
use crate::app::sources::{HubOptions, from_hub, page_hub};
use crate::app::state::{Dispatch, Models, Shared};
use crate::error::Error;
use crate::protocol::{HUB, ModelInfo, Source};
use elsewhere::Elsewhere;
use here::Here;
use kept::KeptModels;
use known::KnownModels;

/// The hub that ids are looked up at, and the token that it is told. Neither is written down anywhere.
#[derive(Clone, PartialEq, Default)]
pub struct Hub {
    /// Empty for the usual one.
    pub host: String,
    pub token: String,
}

impl Hub {
    /// `https://host`: the one typed in, or the page's, or the usual one.
    pub fn base(&self) -> String {
        let typed = Some(self.host.trim().trim_end_matches('/').to_owned()).filter(|host| !host.is_empty());
        typed.or_else(page_hub).unwrap_or_else(|| HUB.to_owned())
    }

    /// A repository of this hub.
    pub fn source(&self, repo: &str, revision: Option<String>) -> Source {
        let said = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        from_hub(repo, HubOptions { host: said(&self.host), revision, token: said(&self.token) })
    }
}

#[derive(Properties, PartialEq)]
pub struct Props {
    pub client: Client,
    pub model: Option<Shared<ModelInfo>>,
    pub models: Models,
    pub is_open: bool,
    /// Takes what can be loaded without asking first.
    pub take: Callback<Result<Source, Error>>,
    /// Takes what lies in a folder, which is looked at first.
    pub take_folder: Callback<Vec<Picked>>,
    pub dispatch: Dispatch,
}

#[component]
pub fn Menu(props: &Props) -> Html {
    let hub = use_state_eq(Hub::default);
    let (client, dispatch) = (props.client.clone(), props.dispatch.clone());
    use_effect_with(props.is_open, move |&is_open| {
        if is_open {
            refresh(&client, &dispatch);
        }
    });
    let onhub = {
        let hub = hub.setter();
        Callback::from(move |changed| hub.set(changed))
    };
    html! {
        <div id="sources" class="menu" hidden={!props.is_open}>
            <KnownModels client={props.client.clone()} hub={(*hub).clone()} model={props.model.clone()} models={props.models.clone()}
                take={props.take.clone()} dispatch={props.dispatch.clone()} />
            <Elsewhere client={props.client.clone()} hub={(*hub).clone()} {onhub} models={props.models.clone()}
                dispatch={props.dispatch.clone()} />
            <Here model={props.model.clone()} client={props.client.clone()} models={props.models.clone()} take={props.take.clone()}
                take_folder={props.take_folder.clone()} dispatch={props.dispatch.clone()} />
            <KeptModels client={props.client.clone()} hub={(*hub).clone()} model={props.model.clone()} models={props.models.clone()}
                dispatch={props.dispatch.clone()} />
        </div>
    }
}

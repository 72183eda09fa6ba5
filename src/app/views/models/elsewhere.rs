//! Any other model: a hub's id with a revision, or the address of a folder on another site; a mirror and a token.

use web_sys::HtmlInputElement;
use yew::prelude::*;

use super::Hub;
use super::offer::Offer;
use crate::app::client::Client;
use crate::app::requests::models::look_at;
use crate::app::state::{Dispatch, Models, Spot};
use crate::protocol::{HUB, Place, Source};

#[derive(Properties, PartialEq)]
pub struct Props {
    pub client: Client,
    pub hub: Hub,
    pub onhub: Callback<Hub>,
    pub models: Models,
    pub dispatch: Dispatch,
}

#[component]
pub fn Elsewhere(props: &Props) -> Html {
    let [repo, revision, base] = [use_node_ref(), use_node_ref(), use_node_ref()];
    let text = |node: &NodeRef| {
        node.cast::<HtmlInputElement>().map(|input| input.value().trim().to_owned()).unwrap_or_default()
    };
    let look = {
        let (client, dispatch, models) = (props.client.clone(), props.dispatch.clone(), props.models.clone());
        Callback::from(move |source: Source| look_at(&client, &dispatch, &models, source, Spot::Elsewhere))
    };
    let onrepo = {
        let (look, hub, repo, revision) = (look.clone(), props.hub.clone(), repo.clone(), revision.clone());
        Callback::from(move |event: SubmitEvent| {
            event.prevent_default();
            look.emit(hub.source(&text(&repo), Some(text(&revision)).filter(|revision| !revision.is_empty())));
        })
    };
    let onbase = {
        let base = base.clone();
        Callback::from(move |event: SubmitEvent| {
            event.prevent_default();
            let url = text(&base);
            look.emit(Source {
                name: url.clone(),
                place: Place::Base { url },
                threads: None,
                dtype: None,
                engine: None,
            });
        })
    };
    let looked_at = props.models.looked_at.as_ref().filter(|looked_at| looked_at.from == Spot::Elsewhere);
    html! {
        <section class="menu-part" aria-labelledby="elsewhere-title">
            <h3 id="elsewhere-title" translate="yes">{ "Any other GPT-2" }</h3>
            <div class="look-ups">
                <form onsubmit={onrepo}>
                    <span class="fields">
                        <span>
                            <label for="hub-repo">{ "A hub’s model id" }</label>
                            <input id="hub-repo" ref={repo} type="text" placeholder="openai-community/gpt2-large" spellcheck="false"
                                autocapitalize="off" autocomplete="off" />
                        </span>
                        <span class="narrow">
                            <label for="hub-revision">{ "Revision, if not main" }</label>
                            <input id="hub-revision" ref={revision} type="text" spellcheck="false" autocapitalize="off" autocomplete="off" />
                        </span>
                    </span>
                    <button type="submit">{ "Look it up" }</button>
                </form>
                <form onsubmit={onbase}>
                    <span class="fields">
                        <span>
                            <label for="base">{ "Or the address of its folder on any site" }</label>
                            <input id="base" ref={base} type="text" inputmode="url" placeholder="https://example.org/my-gpt2/" spellcheck="false"
                                autocapitalize="off" autocomplete="off" />
                        </span>
                    </span>
                    <button type="submit">{ "Look there" }</button>
                </form>
            </div>
            <details class="hub">
                <summary translate="yes">{ "Another hub, or a private model" }</summary>
                // browsers want a password in a form
                <form class="look-ups" onsubmit={Callback::from(|event: SubmitEvent| event.prevent_default())}>
                    { setting("hub-host", "Hub", HUB, false, &props.hub.host, &props.onhub, {
                        let hub = props.hub.clone();
                        move |host| Hub { host, ..hub.clone() }
                    }) }
                    { setting("hub-token", "Access token", "", true, &props.hub.token, &props.onhub, {
                        let hub = props.hub.clone();
                        move |token| Hub { token, ..hub.clone() }
                    }) }
                </form>
                <p class="caption" translate="yes">{ "The token is told to that hub alone. It stays in this page’s memory until the page is closed, and is written down nowhere." }</p>
            </details>
            if let Some(looked_at) = looked_at {
                <Offer client={props.client.clone()} looked_at={looked_at.clone()} models={props.models.clone()} dispatch={props.dispatch.clone()} />
            }
        </section>
    }
}

/// A text box that changes the hub's settings as it is typed in.
fn setting(
    id: &'static str,
    label: &'static str,
    placeholder: &'static str,
    is_secret: bool,
    value: &str,
    onhub: &Callback<Hub>,
    changed: impl Fn(String) -> Hub + 'static,
) -> Html {
    let onhub = onhub.clone();
    let oninput = Callback::from(move |event: InputEvent| {
        if let Some(input) = event.target_dyn_into::<HtmlInputElement>() {
            onhub.emit(changed(input.value()));
        }
    });
    let kind = if is_secret { "password" } else { "text" };
    html! {
        <span>
            <label for={id}>{ label }</label>
            <input {id} type={kind} {placeholder} value={value.to_owned()} spellcheck="false" autocapitalize="off" autocomplete="off" {oninput} />
        </span>
    }
}

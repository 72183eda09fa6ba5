//! Copies a link to the page as it is, or to one of its figures, and says so.

use std::rc::Rc;

use gloo_timers::callback::Timeout;
use wasm_bindgen_futures::{JsFuture, spawn_local};
use yew::prelude::*;

use crate::link::{Link, View};

/// What the page would say of itself, given to all copy buttons as a context.
#[derive(Clone, PartialEq)]
pub struct Here(pub Rc<Link>);

/// So long the button says that it has copied.
const SAID_MS: u32 = 2500;

#[derive(Properties, PartialEq)]
pub struct Props {
    /// The figure that the link leads to, by its name; without one the link leads to the page.
    #[prop_or_default]
    pub to: Option<(View, &'static str)>,
}

#[derive(Clone, PartialEq)]
enum Said {
    Nothing,
    Copied,
    /// The browser gave no access to its clipboard: the link stands there to be copied by hand.
    ByHand(String),
    TooLong,
}

#[component]
pub fn CopyLink(props: &Props) -> Html {
    let said = use_state_eq(|| Said::Nothing);
    let here = use_context::<Here>();
    let setter = said.setter();
    use_effect_with((*said).clone(), move |said| {
        let timeout = (*said == Said::Copied).then(|| Timeout::new(SAID_MS, move || setter.set(Said::Nothing)));
        move || drop(timeout)
    });
    let onclick = {
        let (setter, view) = (said.setter(), props.to.map(|(view, _)| view));
        Callback::from(move |_: MouseEvent| {
            let Some(Here(link)) = &here else { return };
            let Some(address) = address(&Link { view, ..Link::clone(link) }) else {
                setter.set(Said::TooLong);
                return;
            };
            let setter = setter.clone();
            spawn_local(async move {
                let is_copied = copy(&address).await.is_some();
                setter.set(if is_copied { Said::Copied } else { Said::ByHand(address) });
            });
        })
    };
    let label = props.to.map(|(_, name)| format!("Copy a link to this figure: {name}"));
    html! {
        <span class="copy">
            <button type="button" class={classes!("link", props.to.is_some().then_some("quiet"))} {onclick}
                title={props.to.map(|_| "Copy a link to this figure")} aria-label={label}>
                if props.to.is_some() {
                    <svg width="16" height="16" viewBox="0 0 16 16" aria-hidden="true">
                        <path d="M6.5 9.5l3-3M7 4.5l1.6-1.6a2.6 2.6 0 0 1 3.7 0l.8.8a2.6 2.6 0 0 1 0 3.7L11.5 9M9 11.5l-1.6 1.6a2.6 2.6 0 0 1-3.7 0l-.8-.8a2.6 2.6 0 0 1 0-3.7L4.5 7" />
                    </svg>
                } else {
                    { "Copy link" }
                }
            </button>
            <span class="said" role="status">{ match &*said {
                Said::Copied => "Link copied",
                Said::TooLong => "The prompts are too long for a link",
                Said::Nothing | Said::ByHand(_) => "",
            } }</span>
            if let Said::ByHand(address) = &*said {
                <input type="text" readonly=true value={address.clone()} aria-label="The link, to be copied by hand" />
            }
        </span>
    }
}

/// The page's own address with this link's fragment.
fn address(link: &Link) -> Option<String> {
    let here = web_sys::window()?.location().href().ok()?;
    let page = here.split('#').next().unwrap_or(&here);
    Some(format!("{page}#{}", link.write()?))
}

async fn copy(text: &str) -> Option<()> {
    let window = web_sys::window()?;
    // in a page without a secure origin there is no clipboard at all
    if !window.is_secure_context() {
        return None;
    }
    JsFuture::from(window.navigator().clipboard().write_text(text)).await.ok().map(|_| ())
}

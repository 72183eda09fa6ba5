//! The address: written as the page changes, read when a person goes back, forward, or to another link.

use std::cell::RefCell;
use std::rc::Rc;

use gloo_events::EventListener;
use gloo_timers::callback::Timeout;
use wasm_bindgen::JsValue;
use yew::prelude::*;

use super::state::{Action, State};
use crate::link::{Link, Refusal};

/// Typing is written as it begins and once it pauses: browsers allow only so many changes of the address.
const PAUSE_MS: u32 = 400;

/// The fragment in the address, without its `#`.
pub fn fragment() -> String {
    let hash = web_sys::window().and_then(|window| window.location().hash().ok()).unwrap_or_default();
    hash.strip_prefix('#').unwrap_or(&hash).to_owned()
}

/// What the address says of the state.
#[derive(Default)]
struct Written {
    /// The link of the state that the address stands for.
    text: Option<String>,
    steps: u32,
    opened: u32,
    /// A change by typing, about to be written.
    pending: Option<(String, Timeout)>,
    /// When a change by typing was last written.
    typed_at: f64,
}

/// Keeps address and state together. Deliberate changes are steps that Back undoes; typing changes the last step.
#[hook]
pub fn use_history(state: &UseReducerHandle<State>) {
    let written = use_mut_ref(Written::default);
    let dispatch = state.dispatcher();
    use_effect_with((), move |()| {
        let listener = web_sys::window().map(|window| {
            EventListener::new(&window, "popstate", move |_| {
                let (link, refused) = Link::read(&fragment());
                let link = (!refused.iter().any(Refusal::is_whole)).then_some(link);
                dispatch.dispatch(Action::Open(link, refused.iter().map(ToString::to_string).collect()));
            })
        });
        move || drop(listener)
    });
    let text = state.link().write();
    use_effect_with((text, state.steps, state.opened.count), move |(text, steps, opened)| {
        keep(&written, text.as_deref(), *steps, *opened);
    });
}

fn keep(written: &Rc<RefCell<Written>>, text: Option<&str>, steps: u32, opened: u32) {
    let mut now = written.borrow_mut();
    let is_step = now.steps != steps;
    let is_opened = now.opened != opened || now.text.is_none();
    (now.steps, now.opened) = (steps, opened);
    // too long for a link: the address keeps the last one that wasn't
    let Some(text) = text else { return };
    let typed = now.pending.take();
    // a link's own model, loaded, makes the page what the address says already
    if is_opened || fragment() == text {
        now.text = Some(text.to_owned());
    } else if now.text.as_deref() == Some(text) {
        // as it was before
    } else if is_step {
        if let Some((typed, _)) = typed {
            write(&typed, false);
        }
        write(text, true);
        now.text = Some(text.to_owned());
    } else if typed.is_none() && js_sys::Date::now() - now.typed_at > f64::from(PAUSE_MS) {
        write(text, false);
        (now.text, now.typed_at) = (Some(text.to_owned()), js_sys::Date::now());
    } else {
        let (later, text) = (Rc::downgrade(written), text.to_owned());
        let timeout = Timeout::new(PAUSE_MS, move || {
            let Some(later) = later.upgrade() else { return };
            let mut now = later.borrow_mut();
            if let Some((text, _)) = now.pending.take() {
                write(&text, false);
                (now.text, now.typed_at) = (Some(text), js_sys::Date::now());
            }
        });
        now.pending = Some((text, timeout));
    }
}

/// Writes the address. A browser that refuses, as it may after very many changes, leaves it as it was.
fn write(text: &str, is_step: bool) {
    let Some(history) = web_sys::window().and_then(|window| window.history().ok()) else { return };
    let fragment = format!("#{text}");
    let _ = if is_step {
        history.push_state_with_url(&JsValue::NULL, "", Some(&fragment))
    } else {
        history.replace_state_with_url(&JsValue::NULL, "", Some(&fragment))
    };
}

//! Whether an element is on screen, or nearly: what takes long is worked out only then.

use js_sys::Array;
use wasm_bindgen::JsCast;
use wasm_bindgen::closure::Closure;
use web_sys::{Element, IntersectionObserver, IntersectionObserverEntry, IntersectionObserverInit};
use yew::prelude::*;

/// Counted as on screen already, so that a figure is there when it is scrolled to.
const NEARLY: &str = "160px 0px";

/// Tells `on_change` when the element comes near the screen or leaves it. A browser without observers sees everything.
#[hook]
pub fn use_seen(node: &NodeRef, on_change: Callback<bool>) {
    let node = node.clone();
    use_effect_with((), move |()| {
        let last_of = |entries: Array| entries.iter().last().and_then(|entry| entry.dyn_into().ok());
        let tell = on_change.clone();
        let callback = Closure::<dyn Fn(Array)>::new(move |entries: Array| {
            if let Some(entry) = last_of(entries) {
                let entry: IntersectionObserverEntry = entry;
                tell.emit(entry.is_intersecting());
            }
        });
        let options = IntersectionObserverInit::new();
        options.set_root_margin(NEARLY);
        let observer = IntersectionObserver::new_with_options(callback.as_ref().unchecked_ref(), &options).ok();
        match (&observer, node.cast::<Element>()) {
            (Some(observer), Some(element)) => observer.observe(&element),
            _ => on_change.emit(true),
        }
        move || {
            if let Some(observer) = observer {
                observer.disconnect();
            }
            drop(callback);
        }
    });
}

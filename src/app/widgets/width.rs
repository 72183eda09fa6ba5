//! How much room an element has, kept up to date: charts are drawn for their real size, so that type keeps its own.

use wasm_bindgen::JsCast;
use wasm_bindgen::closure::Closure;
use web_sys::{Element, ResizeObserver};
use yew::prelude::*;

/// An element's inner width and height, and the reader's own size of type, all in CSS pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Room {
    pub width: f64,
    pub height: f64,
    pub rem: f64,
}

/// The element's room; none until it is on the page.
#[hook]
pub fn use_room(node: &NodeRef) -> Option<Room> {
    let room = use_state_eq(|| None);
    let (setter, node) = (room.setter(), node.clone());
    use_effect_with((), move |()| {
        let element = node.cast::<Element>();
        let measured = element.clone();
        let measure = move || {
            if let Some(element) = &measured {
                let (width, height) = (f64::from(element.client_width()), f64::from(element.client_height()));
                setter.set(Some(Room { width, height, rem: rem() }));
            }
        };
        measure();
        let callback = Closure::<dyn Fn()>::new(measure);
        let observer = ResizeObserver::new(callback.as_ref().unchecked_ref()).ok();
        if let (Some(observer), Some(element)) = (&observer, &element) {
            observer.observe(element);
        }
        move || {
            if let Some(observer) = observer {
                observer.disconnect();
            }
            drop(callback);
        }
    });
    *room
}

/// What browsers take for a rem unless told otherwise.
pub const USUAL_REM: f64 = 16.0;

fn rem() -> f64 {
    let read = || {
        let window = web_sys::window()?;
        let style = window.get_computed_style(&window.document()?.document_element()?).ok()??;
        style.get_property_value("font-size").ok()?.trim_end_matches("px").parse().ok()
    };
    read().unwrap_or(USUAL_REM)
}

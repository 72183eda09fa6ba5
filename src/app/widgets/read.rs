//! Reads a text box without losing what is no text.

use js_sys::{JsString, Reflect};
use wasm_bindgen::{JsCast, JsValue};
use yew::prelude::*;

use crate::app::state::Typed;

/// What stands in the box that `event` came from. The ordinary way would silently turn half a surrogate pair into
/// U+FFFD, and the prompt into another one.
pub fn typed(event: &InputEvent) -> Typed {
    let value = event.target().and_then(|target| Reflect::get(&target, &JsValue::from_str("value")).ok());
    let text = value.and_then(|value| value.dyn_into::<JsString>().ok());
    match text {
        Some(text) if text.is_valid_utf16() => Typed::Text(String::from(text).into()),
        Some(_) => Typed::Broken,
        None => Typed::Text(AttrValue::default()),
    }
}

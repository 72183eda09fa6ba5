//! Hands a list to the person as a file.

use js_sys::{Array, Object, Reflect};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::HtmlElement;

/// A field of a line of comma-separated values.
pub fn csv_field(text: &str) -> String {
    if text.contains(['"', ',', '\n', '\r']) || text.starts_with(' ') || text.ends_with(' ') {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

/// Saves `content` under `name`, as a browser saves a download. None where it can't.
pub fn save(name: &str, kind: &str, content: &JsValue) -> Option<()> {
    let options = Object::new();
    Reflect::set(&options, &"type".into(), &kind.into()).ok()?;
    let blob = web_sys::Blob::new_with_blob_sequence_and_options(&Array::of1(content), options.unchecked_ref()).ok()?;
    let url = web_sys::Url::create_object_url_with_blob(&blob).ok()?;
    let document = web_sys::window()?.document()?;
    let anchor: HtmlElement = document.create_element("a").ok()?.dyn_into().ok()?;
    anchor.set_attribute("href", &url).ok()?;
    anchor.set_attribute("download", name).ok()?;
    anchor.click();
    // the download has its own hold on the bytes by now
    web_sys::Url::revoke_object_url(&url).ok()
}

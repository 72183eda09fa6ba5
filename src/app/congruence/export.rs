//! Hands a list to the person as a file.

use js_sys::{Array, Object, Reflect};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::HtmlElement;

/// A text as a field of a line of comma-separated values. What a spreadsheet would take for a formula gets an apostrophe
/// before it; numbers don't come this way.
pub fn csv_field(text: &str) -> String {
    let is_formula = text.trim_start_matches(' ').starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = if is_formula { format!("'{text}") } else { text.to_owned() };
    if text.contains(['"', ',', '\n', '\r']) || text.starts_with(' ') || text.ends_with(' ') {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text
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

#[cfg(test)]
mod tests {
    use super::csv_field;
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn no_field_is_a_formula() {
        for (text, field) in [
            ("=1+1", "'=1+1"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@a", "'@a"),
            ("\t=1", "'\t=1"),
            (" =1", "' =1"),
            ("\r", "\"'\r\""),
            ("a,b", "\"a,b\""),
            (" an", "\" an\""),
        ] {
            assert_eq!(csv_field(text), field);
        }
    }
}

//! What the build wrote into the page's head: the version, and names that carry a hash.

use wasm_bindgen::JsCast;
use web_sys::{HtmlMetaElement, Url};

/// The content of the meta element of this name.
pub fn named(meta: &str) -> Option<String> {
    let document = web_sys::window()?.document()?;
    let element = document.query_selector(&format!("meta[name={meta}]")).ok()??;
    Some(element.dyn_into::<HtmlMetaElement>().ok()?.content())
}

/// The icon's address.
pub fn icon() -> Option<String> {
    let document = web_sys::window()?.document()?;
    document.query_selector("link[rel=icon]").ok()??.get_attribute("href")
}

/// The path of the folder that the site is in; it begins and ends with a slash.
pub fn folder() -> Option<String> {
    let page = web_sys::window()?.location().href().ok()?;
    Some(Url::new_with_base("./", &page).ok()?.pathname())
}

/// What the page's address says for `name`: `?name=value`, or `?name`, which is an empty value.
pub fn asked(name: &str) -> Option<String> {
    let search = web_sys::window()?.location().search().ok()?;
    let mut parts = search.trim_start_matches('?').split('&').map(|part| part.split_once('=').unwrap_or((part, "")));
    parts.find(|(key, _)| *key == name).map(|(_, value)| value.to_owned())
}

//! Where the page keeps its tables, and where it finds others'.
//!
//! In the browser's cache: a table is written once and read whole, and one that gets lost is computed again. Whatever goes
//! wrong here costs only that.

use js_sys::{Object, Reflect, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{Cache, Response, Window};

use crate::app::site;

const CACHE: &str = "tables-of-peartree-1";

/// The bytes kept under a name.
pub async fn get(name: &str) -> Option<Vec<u8>> {
    let found = JsFuture::from(cache().await?.match_with_str(&key(name))).await.ok()?;
    body(found.dyn_into().ok()?).await
}

/// Keeps bytes under a name, where there is room.
pub async fn put(name: &str, bytes: &[u8]) -> Option<()> {
    let response = Response::new_with_opt_buffer_source(Some(&Uint8Array::from(bytes))).ok()?;
    JsFuture::from(cache().await?.put_with_str(&key(name), &response)).await.ok().map(drop)
}

pub async fn forget(name: &str) {
    if let Some(cache) = cache().await {
        // what can't be forgotten is checked again when it is used
        let _ = JsFuture::from(cache.delete_with_str(&key(name))).await;
    }
}

/// Where a table may lie ready: beside the site, and at the place that the site names.
pub fn sources(file: &str) -> Vec<String> {
    let place = site::named("table-source").filter(|place| !place.is_empty());
    let named = place.map(|place| format!("{}/{file}", place.trim_end_matches('/')));
    std::iter::once(format!("./tables/{file}")).chain(named).collect()
}

/// The file at an address, if there is one.
pub async fn found_at(address: &str) -> Option<Vec<u8>> {
    let response: Response = JsFuture::from(window()?.fetch_with_str(address)).await.ok()?.dyn_into().ok()?;
    if !response.ok() {
        return None;
    }
    let bytes = body(response).await?;
    // a site may answer with a page where it has no such file
    (bytes.first() != Some(&b'<')).then_some(bytes)
}

async fn body(response: Response) -> Option<Vec<u8>> {
    let buffer = JsFuture::from(response.array_buffer().ok()?).await.ok()?;
    Some(Uint8Array::new(&buffer).to_vec())
}

/// Missing where the page has no secure address.
async fn cache() -> Option<Cache> {
    let window = window()?;
    let caches = Reflect::get(&window, &"caches".into()).ok()?.dyn_into::<Object>().ok()?;
    let caches: web_sys::CacheStorage = caches.unchecked_into();
    JsFuture::from(caches.open(CACHE)).await.ok()?.dyn_into().ok()
}

fn key(name: &str) -> String {
    format!("./kept-tables/{}", JsValue::from(js_sys::encode_uri_component(name)).as_string().unwrap_or_default())
}

fn window() -> Option<Window> {
    web_sys::window()
}

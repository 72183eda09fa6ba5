//! The Cache API as a shelf of entries, for browsers without an origin private file system.

use js_sys::{Array, ArrayBuffer, Promise, Reflect, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{Cache, CacheStorage, Request, Response};

use super::opfs::failed;
use crate::error::Result;
use crate::store::blocks::Entries;

/// The cache's name; the service worker's caches have others.
const NAME: &str = "peartree-models";
/// Entries are named by addresses of the page's own that lead nowhere.
const PREFIX: &str = "/.peartree-models/";

/// Written and deleted at once, to see whether that is possible.
const PROBE: &str = "probe";

pub struct CacheEntries {
    cache: Cache,
}

impl CacheEntries {
    /// None where the browser has no caches, as on a page that isn't secure.
    pub async fn open() -> Option<CacheEntries> {
        CacheEntries::named(NAME).await
    }

    /// The same under another name.
    pub async fn named(name: &str) -> Option<CacheEntries> {
        // missing where the page isn't secure
        let caches = Reflect::get(&js_sys::global(), &"caches".into()).ok().filter(JsValue::is_object)?;
        let opened = caches.unchecked_into::<CacheStorage>().open(name);
        let cache = CacheEntries { cache: JsFuture::from(opened).await.ok()?.unchecked_into() };
        // a private window may open one and let nothing in
        cache.put(PROBE, &[]).await.ok()?;
        cache.delete(PROBE).await.ok()?;
        Some(cache)
    }
}

async fn done(promise: Promise, act: &'static str) -> Result<JsValue> {
    JsFuture::from(promise).await.map_err(failed(act))
}

fn address(path: &str) -> String {
    format!("{PREFIX}{path}")
}

impl Entries for CacheEntries {
    async fn put(&self, path: &str, bytes: &[u8]) -> Result<()> {
        let response = Response::new_with_opt_js_u8_array(Some(&Uint8Array::from(bytes))).map_err(failed("written"))?;
        done(self.cache.put_with_str(&address(path), &response), "written").await.map(|_| ())
    }

    async fn get(&self, path: &str) -> Result<Option<Vec<u8>>> {
        let found = done(self.cache.match_with_str(&address(path)), "read").await?;
        let Some(response) = found.dyn_ref::<Response>() else { return Ok(None) };
        let buffer = done(response.array_buffer().map_err(failed("read"))?, "read").await?;
        Ok(Some(Uint8Array::new(&buffer.unchecked_into::<ArrayBuffer>()).to_vec()))
    }

    async fn delete(&self, path: &str) -> Result<()> {
        done(self.cache.delete_with_str(&address(path)), "deleted").await.map(|_| ())
    }

    async fn paths(&self) -> Result<Vec<String>> {
        let keys: Array = done(self.cache.keys(), "listed").await?.unchecked_into();
        let path = |request: JsValue| {
            let url = request.unchecked_into::<Request>().url();
            url.split_once(PREFIX).map(|(_, path)| path.to_owned())
        };
        Ok(keys.iter().filter_map(path).collect())
    }
}

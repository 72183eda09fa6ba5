//! The Cache API as a shelf of entries, for browsers without an origin private file system; or memory, where there is
//! neither.

use std::cell::RefCell;
use std::collections::BTreeMap;

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

pub enum CacheEntries {
    Cache(Cache),
    /// Where the browser keeps nothing: in its memory outside the program's, until the worker ends.
    Memory(RefCell<BTreeMap<String, Uint8Array>>),
}

impl CacheEntries {
    /// None where the browser has no caches, as on a page that isn't secure, or none that can be written.
    pub async fn open() -> Option<CacheEntries> {
        CacheEntries::named(NAME).await
    }

    /// The same under another name.
    pub async fn named(name: &str) -> Option<CacheEntries> {
        // missing where the page isn't secure
        let caches = Reflect::get(&js_sys::global(), &"caches".into()).ok().filter(JsValue::is_object)?;
        let opened = caches.unchecked_into::<CacheStorage>().open(name);
        let cache = CacheEntries::Cache(JsFuture::from(opened).await.ok()?.unchecked_into());
        // a private window may open one and let nothing in
        cache.put(PROBE, &[]).await.ok()?;
        cache.delete(PROBE).await.ok()?;
        Some(cache)
    }

    pub fn in_memory() -> CacheEntries {
        CacheEntries::Memory(RefCell::default())
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
        let bytes = Uint8Array::from(bytes);
        match self {
            CacheEntries::Memory(entries) => drop(entries.borrow_mut().insert(path.to_owned(), bytes)),
            CacheEntries::Cache(cache) => {
                let response = Response::new_with_opt_js_u8_array(Some(&bytes)).map_err(failed("written"))?;
                done(cache.put_with_str(&address(path), &response), "written").await?;
            }
        }
        Ok(())
    }

    async fn get(&self, path: &str) -> Result<Option<Vec<u8>>> {
        let cache = match self {
            CacheEntries::Memory(entries) => return Ok(entries.borrow().get(path).map(Uint8Array::to_vec)),
            CacheEntries::Cache(cache) => cache,
        };
        let found = done(cache.match_with_str(&address(path)), "read").await?;
        let Some(response) = found.dyn_ref::<Response>() else { return Ok(None) };
        let buffer = done(response.array_buffer().map_err(failed("read"))?, "read").await?;
        Ok(Some(Uint8Array::new(&buffer.unchecked_into::<ArrayBuffer>()).to_vec()))
    }

    async fn delete(&self, path: &str) -> Result<()> {
        match self {
            CacheEntries::Memory(entries) => drop(entries.borrow_mut().remove(path)),
            CacheEntries::Cache(cache) => drop(done(cache.delete_with_str(&address(path)), "deleted").await?),
        }
        Ok(())
    }

    async fn paths(&self) -> Result<Vec<String>> {
        let cache = match self {
            CacheEntries::Memory(entries) => return Ok(entries.borrow().keys().cloned().collect()),
            CacheEntries::Cache(cache) => cache,
        };
        let keys: Array = done(cache.keys(), "listed").await?.unchecked_into();
        let path = |request: JsValue| {
            let url = request.unchecked_into::<Request>().url();
            url.split_once(PREFIX).map(|(_, path)| path.to_owned())
        };
        Ok(keys.iter().filter_map(path).collect())
    }
}

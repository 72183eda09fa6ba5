//! The network as the worker has it: `fetch`, its streams, and what a failure of it means.

use js_sys::{Reflect, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    AbortController, Headers, ReadableStreamDefaultReader, RequestCache, RequestInit, RequestMode, Response, Url,
    WorkerGlobalScope,
};

use super::threads;
use crate::store::wire::{Ask, Body, Head, Trouble, Wire};

/// `fetch`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Fetch;

impl Wire for Fetch {
    type Body = Incoming;

    async fn get(&self, ask: &Ask<'_>) -> Result<(Head, Incoming), Trouble> {
        let abort = Abort::new();
        let init = request(ask, &abort).map_err(|_| Trouble::Unreachable)?;
        let response = match JsFuture::from(scope().fetch_with_str_and_init(ask.url, &init)).await {
            Ok(response) => response.unchecked_into::<Response>(),
            Err(_) => return Err(reason(ask.url).await),
        };
        let headers = response.headers();
        let head = Head::read(response.status(), |name| headers.get(name).ok().flatten());
        let reader = response.body().map(|body| body.get_reader().unchecked_into());
        Ok((head.clone(), Incoming { reader, abort, left: head.length }))
    }
}

fn scope() -> WorkerGlobalScope {
    js_sys::global().unchecked_into()
}

fn request(ask: &Ask<'_>, abort: &Abort) -> Result<RequestInit, JsValue> {
    let headers = Headers::new()?;
    if let Some(range) = &ask.range {
        headers.set("Range", &format!("bytes={}-{}", range.start, range.end - 1))?;
    }
    if let Some(token) = ask.token {
        headers.set("Authorization", &format!("Bearer {token}"))?;
    }
    let init = RequestInit::new();
    init.set_headers_headers(&headers);
    if ask.is_kept {
        // what is kept in our own files need not fill the browser's cache as well
        init.set_cache(RequestCache::NoStore);
    }
    if let Some(controller) = &abort.0 {
        init.set_signal(Some(&controller.signal()));
    }
    Ok(init)
}

/// Why a request failed. `fetch` doesn't say, but a request whose answer nobody may read succeeds wherever there is a
/// server at all.
async fn reason(url: &str) -> Trouble {
    if !is_online() {
        return Trouble::Offline;
    }
    let is_own = Url::new(url).is_ok_and(|url| url.origin() == scope().location().origin());
    if is_own {
        return Trouble::Unreachable;
    }
    if threads::may_share() {
        return Trouble::Silent;
    }
    let init = RequestInit::new();
    init.set_method("HEAD");
    init.set_mode(RequestMode::NoCors);
    init.set_cache(RequestCache::NoStore);
    match JsFuture::from(scope().fetch_with_str_and_init(url, &init)).await {
        Ok(_) => Trouble::CrossOrigin,
        Err(_) => Trouble::Unreachable,
    }
}

fn is_online() -> bool {
    let online = Reflect::get(&scope().navigator(), &"onLine".into()).unwrap_or(JsValue::TRUE);
    online != JsValue::FALSE
}

/// Ends a request when dropped.
struct Abort(Option<AbortController>);

impl Abort {
    fn new() -> Self {
        Abort(AbortController::new().ok())
    }
}

impl Drop for Abort {
    fn drop(&mut self) {
        if let Some(controller) = &self.0 {
            controller.abort();
        }
    }
}

/// An answer's body as a stream.
pub struct Incoming {
    reader: Option<ReadableStreamDefaultReader>,
    abort: Abort,
    /// Bytes still to come, where the server said how many there are.
    left: Option<u64>,
}

impl Body for Incoming {
    async fn next(&mut self) -> Result<Option<Vec<u8>>, Trouble> {
        let Some(reader) = &self.reader else { return Ok(None) };
        let result = match JsFuture::from(reader.read()).await {
            Ok(result) => result,
            Err(_) if is_online() => return Err(Trouble::Broken),
            Err(_) => return Err(Trouble::Offline),
        };
        let get = |name: &str| Reflect::get(&result, &name.into()).unwrap_or(JsValue::UNDEFINED);
        if get("done").is_truthy() {
            self.left = Some(0);
            return Ok(None);
        }
        let chunk: Uint8Array = get("value").dyn_into().map_err(|_| Trouble::Broken)?;
        self.left = self.left.map(|left| left.saturating_sub(u64::from(chunk.byte_length())));
        Ok(Some(chunk.to_vec()))
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if self.left == Some(0) {
            // nothing to stop, and stopping what has just ended would be told as a failure
            self.abort.0 = None;
        }
    }
}

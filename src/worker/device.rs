//! Time, chance, room and locks as the browser gives them.

use std::time::Duration;

use gloo_timers::future::TimeoutFuture;
use js_sys::{Function, Object, Promise, Reflect};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{AbortController, StorageEstimate, WorkerGlobalScope};

use super::files::storage_manager;
use crate::error::{Error, Result, StoreError};
use crate::protocol::Room;
use crate::store::storage::Device;

/// The browser.
#[derive(Debug, Clone, Copy, Default)]
pub struct Browser {
    /// Nothing is kept beyond this visit.
    pub is_transient: bool,
}

// web-sys has these behind a flag of the whole build
#[wasm_bindgen]
extern "C" {
    type LockManager;

    #[wasm_bindgen(method)]
    fn request(this: &LockManager, name: &str, options: &Object, callback: &Function) -> Promise;
}

/// A lock that is held; dropping it lets the next tab in.
pub struct TabLock {
    release: Function,
}

impl Drop for TabLock {
    fn drop(&mut self) {
        // resolving a promise can't fail
        let _ = self.release.call0(&JsValue::UNDEFINED);
    }
}

impl Device for Browser {
    type Lock = TabLock;

    async fn sleep(&self, duration: Duration) {
        TimeoutFuture::new(u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)).await;
    }

    fn now_ms(&self) -> u64 {
        js_sys::Date::now() as u64
    }

    fn chance(&self) -> f64 {
        js_sys::Math::random()
    }

    async fn room(&self) -> Room {
        match self.is_transient {
            true => Room { transient: true, ..Room::default() },
            false => room().await.unwrap_or_default(),
        }
    }

    async fn lock(&self, name: &str, on_wait: impl FnOnce()) -> Result<TabLock> {
        let name = format!("peartree-model-{name}");
        if let Some(lock) = request(&name, true).await? {
            return Ok(lock);
        }
        on_wait();
        let gone = StoreError::Storage { act: "locked", why: "the browser gave no lock".into() };
        request(&name, false).await?.ok_or(gone.into())
    }
}

async fn room() -> Option<Room> {
    let storage = storage_manager()?;
    let estimate: StorageEstimate = JsFuture::from(storage.estimate().ok()?).await.ok()?.unchecked_into();
    let persisted = match storage.persisted() {
        Ok(persisted) => JsFuture::from(persisted).await.is_ok_and(|is| is.is_truthy()),
        Err(_) => false,
    };
    let used = estimate.get_usage().unwrap_or_default() as u64;
    Some(Room { used, quota: estimate.get_quota().map(|quota| quota as u64), persisted, transient: false })
}

/// Stops waiting for a lock when dropped.
struct Waiting(AbortController);

impl Drop for Waiting {
    fn drop(&mut self) {
        // a lock that is held already doesn't hear this
        self.0.abort();
    }
}

/// Asks for a lock; none where it is to be had `at_once` and isn't. Where the browser has no locks, or gives this page
/// none, a model is loaded unshared: then two tabs may download it both, and each checks what it keeps.
pub async fn request(name: &str, at_once: bool) -> Result<Option<TabLock>> {
    let failed = |why: &str| Error::from(StoreError::NoStorage { why: why.into() });
    let (held, release) = promise();
    let lock = TabLock { release };
    let navigator = js_sys::global().unchecked_into::<WorkerGlobalScope>().navigator();
    let locks = Reflect::get(&navigator, &"locks".into()).ok().filter(JsValue::is_object);
    let Some(locks) = locks.map(JsCast::unchecked_into::<LockManager>) else { return Ok(Some(lock)) };
    let (granted, grant) = promise();
    let refuse = grant.clone();
    let callback: Closure<dyn FnMut(JsValue) -> JsValue> = Closure::once(move |lock: JsValue| {
        let is_granted = lock.is_object();
        // resolving a promise can't fail
        let _ = grant.call1(&JsValue::UNDEFINED, &is_granted.into());
        if is_granted { held.into() } else { JsValue::UNDEFINED }
    });
    let waiting = Waiting(AbortController::new().map_err(|_| failed("it can't stop waiting for locks"))?);
    let options = Object::new();
    let option = if at_once { ("ifAvailable", JsValue::TRUE) } else { ("signal", waiting.0.signal().into()) };
    // setting a plain property of a plain object can't fail
    let _ = Reflect::set(&options, &option.0.into(), &option.1);
    let outcome = locks.request(name, &options, callback.as_ref().unchecked_ref());
    spawn_local(async move {
        // a wait that was given up ends as a rejection, which is no news; any other is a browser that gives no locks
        if JsFuture::from(outcome).await.is_err() {
            let _ = refuse.call1(&JsValue::UNDEFINED, &JsValue::TRUE);
        }
    });
    let is_granted = JsFuture::from(granted).await.is_ok_and(|granted| granted.is_truthy());
    Ok(is_granted.then_some(lock))
}

/// A promise and what resolves it.
fn promise() -> (Promise, Function) {
    let mut resolve = None;
    let promise = Promise::new(&mut |resolver, _| resolve = Some(resolver));
    // a promise calls what it is made with before it is there
    (promise, resolve.unwrap_or_else(|| JsValue::UNDEFINED.unchecked_into()))
}

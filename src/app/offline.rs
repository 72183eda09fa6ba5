//! The page's end of `www/service-worker.js`, which keeps the page on the device, to start without a network, and
//! isolates it where several threads are wanted and the host doesn't send the headers for that.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use gloo_events::EventListener;
use js_sys::{Array, Function, Object, Promise, Reflect};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{
    CacheStorage, MessageEvent, ServiceWorker, ServiceWorkerContainer, ServiceWorkerRegistration, ServiceWorkerState,
    Storage, Window,
};
use yew::Callback;

use super::browser::{is_isolated, knows_relaxed_simd, runs_threads_build};
use super::client::asked_threads;
use super::site;

const WORKER: &str = "./service-worker.js";
/// The worker's address says that it isolates the page.
const ISOLATES: &str = "isolate";
/// So often a page that is looked at again asks for a newer version.
const LOOK_EVERY_MS: f64 = 600_000.0;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(catch, js_namespace = ["navigator", "locks"], js_name = request)]
    pub fn request_lock(name: &str, options: &Object, hold: &Function) -> Result<Promise, JsValue>;
}

/// What there is to say of it.
#[derive(Clone, Copy, PartialEq, Default)]
pub struct Offline {
    pub kept: Kept,
    pub threads: Threads,
    /// Another version of the site is kept already, and waits for a person's word.
    pub is_newer_ready: bool,
}

#[derive(Clone, Copy, PartialEq, Default)]
pub enum Kept {
    /// Nothing of this can be had here, or it is not known yet.
    #[default]
    Unknown,
    SwitchedOff,
    /// The address asks for it to be forgotten: that is a person's to say.
    AskedToLeave,
    Coming,
    Ready,
    Failed,
}

/// Whether the page may use several threads.
#[derive(Clone, Copy, PartialEq, Default)]
pub enum Threads {
    /// It may or may not, whatever the service worker does.
    #[default]
    Given,
    /// It could, if the service worker isolated it.
    One,
    /// The service worker isolates it.
    Several,
}

/// Holds a lock of the running version's name for as long as this page lives, so that no worker drops its files.
pub fn hold_version() {
    let Some(name) = cache_prefix().zip(site::named("version")).map(|(prefix, version)| prefix + &version) else {
        return;
    };
    let options = Object::new();
    // setting a plain property of a plain object can't fail
    let _ = Reflect::set(&options, &"mode".into(), &"shared".into());
    let never = Closure::<dyn Fn() -> Promise>::new(|| Promise::new(&mut |_, _| ()));
    // a browser without locks is one without service workers too
    let _ = request_lock(&name, &options, never.into_js_value().unchecked_ref());
}

/// Sees to it that the page is kept, and tells of it.
#[derive(Clone)]
pub struct Keeper(Rc<Inner>);

struct Inner {
    window: Window,
    container: ServiceWorkerContainer,
    tell: Callback<Offline>,
    said: Cell<Offline>,
    /// The registration, and what is called at each step of its workers.
    watched: RefCell<Option<(ServiceWorkerRegistration, Function)>>,
    /// The page is loaded anew once the worker of this address has no other beside it.
    reloads_for: RefCell<Option<String>>,
    looked_at_ms: Cell<f64>,
}

impl Keeper {
    /// None where the page can't or needn't be kept: an old browser, an insecure address, a frame, the benchmark.
    pub fn begin(tell: Callback<Offline>) -> Option<Keeper> {
        let window = web_sys::window()?;
        let is_framed = window.parent().ok().flatten().is_none_or(|parent| parent != window);
        let navigator = window.navigator();
        let is_known = Reflect::get(&navigator, &"serviceWorker".into()).is_ok_and(|worker| worker.is_object());
        if is_framed || site::asked("bench").is_some() || !window.is_secure_context() || !is_known {
            return None;
        }
        let container = navigator.service_worker();
        let inner = Inner {
            window,
            container,
            tell,
            said: Cell::default(),
            watched: RefCell::default(),
            reloads_for: RefCell::default(),
            looked_at_ms: Cell::new(js_sys::Date::now()),
        };
        let keeper = Keeper(Rc::new(inner));
        keeper.listen();
        let starts = keeper.clone();
        spawn_local(async move { starts.start().await });
        Some(keeper)
    }

    async fn start(&self) {
        if self.is_switched_off() {
            return self.leave().await;
        }
        if site::asked("offline").as_deref() == Some("off") {
            return self.say(|said| said.kept = Kept::AskedToLeave);
        }
        let before = self.registered().await.and_then(|registration| registration.active());
        let isolates = before.is_some_and(|worker| isolates(&worker));
        let is_wanted = asked_threads().is_some_and(|threads| threads > 1) && can_isolate() && self.is_first_try();
        self.register(isolates || is_wanted, is_wanted && !isolates).await;
    }

    /// Keeps the page from now on, or forgets it.
    pub fn switch(&self, on: bool) {
        self.remember(on);
        let keeper = self.clone();
        spawn_local(async move { if on { keeper.register(false, false).await } else { keeper.leave().await } });
    }

    /// Isolates the page or no longer; it is loaded anew for that.
    pub fn isolate(&self, on: bool) {
        self.remember(true);
        // a person's word outlasts the address's
        self.is_first_try();
        let keeper = self.clone();
        spawn_local(async move { keeper.register(on, true).await });
    }

    /// Loads the page anew in the version that waits.
    pub fn take_newer(&self) {
        let watched = self.0.watched.borrow().clone();
        match watched.and_then(|(registration, _)| registration.waiting()) {
            Some(waiting) => {
                *self.0.reloads_for.borrow_mut() = Some(waiting.script_url());
                post(&waiting, &["take over"]);
            }
            // another tab has done it
            None => self.reload(),
        }
    }

    fn listen(&self) {
        let keeper = self.clone();
        let hear = Closure::<dyn Fn(MessageEvent)>::new(move |event: MessageEvent| {
            if event.data().as_string().as_deref() == Some("newer") {
                keeper.say(|said| said.is_newer_ready = true);
            }
        });
        self.0.container.set_onmessage(Some(hear.into_js_value().unchecked_ref()));
        // a browser looks for a new version when the page is opened; this one may stay open for days
        let (keeper, document) = (self.clone(), self.0.window.document());
        let Some(document) = document else { return };
        EventListener::new(&document.clone(), "visibilitychange", move |_| {
            if !document.hidden() {
                keeper.look_for_newer();
            }
        })
        .forget();
    }

    fn look_for_newer(&self) {
        let now_ms = js_sys::Date::now();
        let Some((registration, _)) = self.0.watched.borrow().clone() else { return };
        if now_ms - self.0.looked_at_ms.replace(now_ms) > LOOK_EVERY_MS
            && let Ok(found) = registration.update()
        {
            // without a network there is nothing newer
            spawn_local(async move { drop(JsFuture::from(found).await) });
        }
    }

    fn is_switched_off(&self) -> bool {
        self.storage().is_some_and(|(storage, key)| storage.get_item(&key).ok().flatten().is_some())
    }

    /// A browser that remembers nothing keeps nothing either.
    fn remember(&self, on: bool) {
        let Some((storage, key)) = self.storage() else { return };
        let _ = if on { storage.remove_item(&key) } else { storage.set_item(&key, "off") };
    }

    fn storage(&self) -> Option<(Storage, String)> {
        Some((self.0.window.local_storage().ok()??, format!("{}offline", cache_prefix()?)))
    }

    /// Whether this tab has not been loaded anew for an address that asks for threads: once is enough, whatever comes
    /// of it.
    fn is_first_try(&self) -> bool {
        const TRIED: &str = "peartree isolation";
        let Ok(Some(storage)) = self.0.window.session_storage() else { return false };
        let is_first = storage.get_item(TRIED).is_ok_and(|tried| tried.is_none());
        is_first && storage.set_item(TRIED, "tried").is_ok()
    }

    async fn registered(&self) -> Option<ServiceWorkerRegistration> {
        JsFuture::from(self.0.container.get_registration()).await.ok()?.dyn_into().ok()
    }

    async fn register(&self, isolates: bool, reloads: bool) {
        let address = match (isolates, runs_threads_build()) {
            (true, _) => format!("{WORKER}?threads&{ISOLATES}"),
            (false, true) => format!("{WORKER}?threads"),
            (false, false) => WORKER.to_owned(),
        };
        if reloads {
            *self.0.reloads_for.borrow_mut() = Some(address.trim_start_matches("./").to_owned());
        }
        self.say(|said| said.kept = Kept::Coming);
        let registered = JsFuture::from(self.0.container.register(&address)).await;
        match registered.and_then(JsCast::dyn_into::<ServiceWorkerRegistration>) {
            Ok(registration) => self.watch(registration),
            Err(_) => self.say(|said| said.kept = Kept::Failed),
        }
    }

    fn watch(&self, registration: ServiceWorkerRegistration) {
        let keeper = self.clone();
        let look = Closure::<dyn Fn()>::new(move || keeper.look()).into_js_value();
        registration.set_onupdatefound(Some(look.unchecked_ref()));
        *self.0.watched.borrow_mut() = Some((registration, look.unchecked_into()));
        self.look();
    }

    /// Sees what has become of the registration's workers, and says so.
    fn look(&self) {
        let Some((registration, look)) = self.0.watched.borrow().clone() else { return };
        let [coming, waiting, active] = [registration.installing(), registration.waiting(), registration.active()];
        // each step of each is a reason to look again
        for worker in [&coming, &waiting, &active].into_iter().flatten() {
            worker.set_onstatechange(Some(&look));
        }
        if let Some(waiting) = &waiting {
            // of this page's version it takes over at once; another's says that it is newer
            post(waiting, &["running", &site::named("version").unwrap_or_default()]);
        }
        let is_settled = coming.is_none() && waiting.is_none();
        let threads = match &active {
            Some(worker) if isolates(worker) && is_isolated() => Threads::Several,
            _ if can_isolate() => Threads::One,
            _ => Threads::Given,
        };
        let kept = match &active {
            Some(worker) if worker.state() == ServiceWorkerState::Activated => {
                // a worker that is about to be followed is left in peace: the next can't begin before it is idle
                if is_settled {
                    post(worker, &["sweep"]);
                    let is_awaited = |address: &mut String| worker.script_url().ends_with(&**address);
                    if self.0.reloads_for.borrow_mut().take_if(is_awaited).is_some() {
                        self.reload();
                    }
                }
                Kept::Ready
            }
            None if is_settled => Kept::Failed,
            _ => Kept::Coming,
        };
        self.say(|said| (said.kept, said.threads) = (kept, threads));
    }

    fn reload(&self) {
        // the page is about to go; a browser that refuses leaves it as it is
        let _ = self.0.window.location().reload();
    }

    fn say(&self, change: impl FnOnce(&mut Offline)) {
        let mut said = self.0.said.get();
        change(&mut said);
        self.0.said.set(said);
        self.0.tell.emit(said);
    }

    /// Forgets all that is kept of the site; kept models are no business of this.
    async fn leave(&self) {
        *self.0.watched.borrow_mut() = None;
        if let Some(registration) = self.registered().await
            && let Ok(promise) = registration.unregister()
        {
            let _ = JsFuture::from(promise).await;
        }
        // what can't be deleted is never asked again
        let _ = self.drop_caches().await;
        self.say(|said| *said = Offline { kept: Kept::SwitchedOff, ..Offline::default() });
    }

    async fn drop_caches(&self) -> Result<(), JsValue> {
        let caches: CacheStorage = self.0.window.caches()?;
        let Some(prefix) = cache_prefix() else { return Ok(()) };
        let names: Array = JsFuture::from(caches.keys()).await?.dyn_into()?;
        for name in names.iter().filter_map(|name| name.as_string()).filter(|name| name.starts_with(&prefix)) {
            JsFuture::from(caches.delete(&name)).await?;
        }
        Ok(())
    }
}

/// What the names of this site's caches begin with: an origin may hold several sites.
fn cache_prefix() -> Option<String> {
    Some(format!("peartree {} ", site::folder()?))
}

fn isolates(worker: &ServiceWorker) -> bool {
    worker.script_url().ends_with(ISOLATES)
}

fn can_isolate() -> bool {
    let cores = web_sys::window().map_or(1.0, |window| window.navigator().hardware_concurrency());
    !is_isolated() && knows_relaxed_simd() && cores > 1.0
}

fn post(worker: &ServiceWorker, words: &[&str]) {
    let words: Array = words.iter().map(|word| JsValue::from_str(word)).collect();
    // a worker that is gone by now needs no word
    let _ = worker.post_message(&words);
}

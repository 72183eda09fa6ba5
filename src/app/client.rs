//! The page's end of the line to the worker: asks, hears the events of each request, knows the model loaded now.
//!
//! A worker that dies is followed by another, which is given the model there was and asked again whatever is open:
//! nobody who has asked notices more than a delay. What a request's own work broke down with is that request's answer.
//! How a death is noticed is `engine`'s business.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use gloo_timers::callback::Timeout;
use wasm_bindgen_futures::spawn_local;

use super::browser::{ask_to_persist, runs_threads_build};
use super::card::Card;
use super::engine::{Engine, Heard};
use super::site;
use crate::error::Error;
use crate::protocol::{
    Answer, Event, Failure, FromWorker, Info, Lane, ModelInfo, Place, PlacedFile, Request, RequestId, Source, ToWorker,
};

type Listener = Box<dyn FnMut(Event)>;
type Listeners<T> = RefCell<Vec<Rc<dyn Fn(&T)>>>;

/// So many deaths in a row, and no worker is started by itself any more.
const MOST_DEATHS: u32 = 3;
/// A worker that has lived so long has broken the row.
const A_LIFE_MS: f64 = 10_000.0;
/// Before the second worker of a row is started.
const PAUSE_MS: u32 = 300;

/// A handle on the worker; clones share it.
#[derive(Clone)]
pub struct Client(Rc<Desk>);

/// What there is to say of the worker itself.
#[derive(Clone, PartialEq)]
pub enum Life {
    /// It died, and another does its work.
    Again,
    /// Another was started, but the model couldn't be loaded again.
    WithoutModel(Failure),
    /// The graphics card can't be used, or no longer: the processor does its work.
    WithoutCard(Failure),
    /// It died time and again.
    Over(Failure),
}

/// Who waits for what, and from whom.
#[derive(Default)]
pub(super) struct Desk {
    next: Cell<RequestId>,
    /// In the order in which they were asked.
    pub(super) open: RefCell<BTreeMap<RequestId, Open>>,
    pub(super) engine: RefCell<Option<Engine>>,
    /// What the loaded model came from.
    pub(super) loaded: RefCell<Option<Source>>,
    /// The request that loads it again for a new worker.
    restores: Cell<Option<RequestId>>,
    deaths: Cell<u32>,
    began_ms: Cell<f64>,
    is_over: RefCell<Option<Failure>>,
    is_watching: Cell<bool>,
    on_model: Listeners<ModelInfo>,
    on_life: Listeners<Life>,
    pub(super) on_engine: Listeners<Info>,
    /// What was said last of what computes.
    pub(super) computes: RefCell<Option<Info>>,
    pub(super) card: Card,
}

/// A request that has not come to its end.
pub(super) struct Open {
    /// The question as it was posted, or will be.
    pub(super) ask: ToWorker,
    /// None while it runs.
    listener: Option<Listener>,
    is_cancelled: bool,
    /// Workers that died while it was open.
    deaths: u32,
}

impl PartialEq for Client {
    fn eq(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }
}

impl Client {
    /// Starts the worker.
    pub fn spawn() -> Client {
        let desk = Rc::new(Desk::default());
        desk.start();
        Client(desk)
    }

    /// Sends a request; `on_event` sees every event of it, the last being `Done` or `Failed`.
    pub fn ask(&self, lane: Option<Lane>, mut request: Request, on_event: impl FnMut(Event) + 'static) -> RequestId {
        if let Request::Load(source) = &mut request {
            source.threads.get_or_insert_with(threads);
            if source.place.is_kept() {
                ask_to_persist();
            }
        }
        self.0.ask(lane, request, Box::new(on_event))
    }

    /// Stops a request; it ends as `Failed` with the code `cancelled`, or as it would have if it had just ended.
    pub fn cancel(&self, id: RequestId) {
        if let Some(open) = self.0.open.borrow_mut().get_mut(&id) {
            open.is_cancelled = true;
            if let Some(engine) = &*self.0.engine.borrow() {
                engine.post(&ToWorker::Cancel { id });
            }
        }
    }

    /// Tells `f` of every model that is loaded from now on, whoever asked for it.
    pub fn on_model(&self, f: impl Fn(&ModelInfo) + 'static) {
        self.0.on_model.borrow_mut().push(Rc::new(f));
    }

    /// Tells `f` what computes, now and whenever that changes.
    pub fn on_engine(&self, f: impl Fn(&Info) + 'static) {
        if let Some(info) = &*self.0.computes.borrow() {
            f(info);
        }
        self.0.on_engine.borrow_mut().push(Rc::new(f));
    }

    /// Tells `f` when the worker dies.
    pub fn on_life(&self, f: impl Fn(&Life) + 'static) {
        self.0.on_life.borrow_mut().push(Rc::new(f));
    }

    /// Starts the worker once more after too many deaths, at a person's word.
    pub fn revive(&self) {
        self.0.deaths.set(0);
        if self.0.is_over.take().is_some() {
            self.0.start();
        }
    }
}

impl Desk {
    pub(super) fn ask(self: &Rc<Self>, lane: Option<Lane>, request: Request, listener: Listener) -> RequestId {
        let id = self.next.get();
        self.next.set(id.wrapping_add(1));
        let ask = ToWorker::Ask { id, lane, request };
        let was_idle = self.open.borrow().is_empty();
        if let Some(engine) = &*self.engine.borrow() {
            engine.ask(&ask, was_idle);
        }
        let open = Open { ask, listener: Some(listener), is_cancelled: false, deaths: 0 };
        self.open.borrow_mut().insert(id, open);
        if let Some(failure) = self.is_over.borrow().clone() {
            // never before the asker knows its number
            self.later(move |desk| desk.end(id, failure));
        }
        self.watch();
        id
    }

    pub(super) fn later(self: &Rc<Self>, act: impl FnOnce(&Rc<Desk>) + 'static) {
        let desk = self.clone();
        spawn_local(async move { act(&desk) });
    }

    fn start(self: &Rc<Self>) {
        self.began_ms.set(js_sys::Date::now());
        let desk = Rc::downgrade(self);
        let hears = move |heard| {
            if let Some(desk) = desk.upgrade() {
                desk.hear(heard);
            }
        };
        match Engine::start(&loader(), hears) {
            Some(engine) => drop(self.engine.replace(Some(engine))),
            None => self.later(|desk| desk.die(None, "it could not be started")),
        }
        self.watch();
    }

    fn hear(self: &Rc<Self>, heard: Heard) {
        match heard {
            Heard::Ready => {
                self.card.begin_anew();
                self.ask_all();
            }
            Heard::Event(FromWorker { id, event }) => self.pass_on(id, event),
            Heard::Death { of, why } => self.die(of, &why),
        }
    }

    /// Hands a worker that has just begun everything it has to know and to do.
    fn ask_all(self: &Rc<Self>) {
        if let Some(source) = self.loaded.borrow().clone() {
            // of no lane: a model that is asked for comes after it, not in its place
            let desk = Rc::downgrade(self);
            let id = self.ask(
                None,
                Request::Load(source),
                Box::new(move |event| {
                    if let (Event::Failed(failure), Some(desk)) = (event, desk.upgrade()) {
                        desk.loaded.take();
                        desk.tell(&Life::WithoutModel(failure));
                    }
                }),
            );
            self.restores.set(Some(id));
        }
        let restores = self.restores.get();
        let mut dropped = Vec::new();
        if let Some(engine) = &*self.engine.borrow() {
            for (&id, open) in self.open.borrow().iter().filter(|(id, _)| Some(**id) != restores) {
                match open.is_cancelled {
                    true => dropped.push(id),
                    false => engine.post(&open.ask),
                }
            }
        }
        dropped.into_iter().for_each(|id| self.end(id, (&Error::Cancelled).into()));
    }

    fn pass_on(self: &Rc<Self>, id: RequestId, event: Event) {
        if self.leaves_card(id, &event) {
            return;
        }
        let is_restoring = self.restores.get() == Some(id);
        let is_last = matches!(event, Event::Done(_) | Event::Failed(_));
        if is_last {
            self.settle(id, &event);
        }
        if let (Event::Done(Answer::Loaded(model)), false) = (&event, is_restoring) {
            let listeners = self.on_model.borrow().clone();
            listeners.iter().for_each(|f| f(model));
        }
        let is_load = self.is_load(id);
        // taken out while it runs: it may ask something new
        let listener = self.open.borrow_mut().get_mut(&id).and_then(|open| open.listener.take());
        if is_last {
            self.open.borrow_mut().remove(&id);
        }
        if is_last {
            self.look_for_card(is_load, &event);
        }
        let Some(mut listener) = listener else { return };
        listener(event);
        if let Some(open) = self.open.borrow_mut().get_mut(&id) {
            open.listener = Some(listener);
        }
    }

    pub(super) fn end(self: &Rc<Self>, id: RequestId, failure: Failure) {
        self.pass_on(id, Event::Failed(failure));
    }

    /// Remembers what is loaded, and lets go of files that were picked for a model that isn't.
    fn settle(&self, id: RequestId, event: &Event) {
        if self.restores.get() == Some(id) {
            self.restores.set(None);
            return;
        }
        let is_done = matches!(event, Event::Done(_));
        if is_done {
            self.deaths.set(0);
        }
        let source = match self.open.borrow().get(&id).map(|open| &open.ask) {
            Some(ToWorker::Ask { request: Request::Load(source), .. }) => source.clone(),
            _ => return,
        };
        let unused = if is_done { self.loaded.replace(Some(source)) } else { Some(source) };
        let unused = unused.filter(|unused| self.loaded.borrow().as_ref() != Some(unused));
        for url in unused.iter().flat_map(|source| blobs(&source.place)) {
            // an address already gone is no loss
            let _ = web_sys::Url::revoke_object_url(url);
        }
    }

    /// The worker is dead. `of` is the request whose work it died of, where that is known.
    fn die(self: &Rc<Self>, of: Option<RequestId>, why: &str) {
        if let Some(engine) = self.engine.take() {
            engine.stop();
        }
        let is_in_row = js_sys::Date::now() - self.began_ms.get() < A_LIFE_MS;
        self.deaths.set(if is_in_row { self.deaths.get() + 1 } else { 1 });
        let is_over = self.deaths.get() >= MOST_DEATHS;
        if let Some(id) = self.restores.take() {
            self.open.borrow_mut().remove(&id);
            if of == Some(id) {
                // it would die of it again
                self.loaded.take();
                self.tell(&Life::WithoutModel((&Error::WorkerDied { why: why.to_owned() }).into()));
            }
        }
        let error = match is_over {
            true => Error::WorkerGone { why: why.to_owned() },
            false => Error::WorkerDied { why: why.to_owned() },
        };
        let failure = Failure::from(&error);
        let mut lost = Vec::new();
        for (&id, open) in self.open.borrow_mut().iter_mut() {
            open.deaths += 1;
            if let ToWorker::Ask { request: Request::Read(call), .. } = &mut open.ask {
                call.again = true;
            }
            // what was open at two deaths may well have been their cause
            if is_over || of == Some(id) || open.deaths > 1 {
                lost.push(id);
            }
        }
        if is_over {
            *self.is_over.borrow_mut() = Some(failure.clone());
        }
        lost.into_iter().for_each(|id| self.end(id, failure.clone()));
        if is_over {
            return self.tell(&Life::Over(failure));
        }
        self.tell(&Life::Again);
        let pause_ms = if self.deaths.get() > 1 { PAUSE_MS } else { 0 };
        let desk = self.clone();
        Timeout::new(pause_ms, move || desk.start()).forget();
    }

    pub(super) fn tell(&self, life: &Life) {
        let listeners = self.on_life.borrow().clone();
        listeners.iter().for_each(|f| f(life));
    }

    /// Looks after the worker for as long as somebody waits for it, or it is on its way.
    fn watch(self: &Rc<Self>) {
        if !self.is_watching.replace(true) {
            self.look_later();
        }
    }

    fn look_later(self: &Rc<Self>) {
        let desk = self.clone();
        Timeout::new(super::engine::LOOK_MS, move || {
            let verdict = match &*desk.engine.borrow() {
                Some(engine) if !desk.open.borrow().is_empty() || engine.is_starting() => engine.look(),
                _ => return desk.is_watching.set(false),
            };
            if let Err(why) = verdict {
                desk.die(None, why);
            }
            desk.look_later();
        })
        .forget();
    }
}

/// Addresses that were made from files for one load.
fn blobs(place: &Place) -> impl Iterator<Item = &str> {
    let files = match place {
        Place::Files { files } => &files[..],
        _ => &[],
    };
    files.iter().map(|file| file.url.as_str()).filter(|url| url.starts_with("blob:"))
}

/// Most threads by default: beyond, a product's pieces get small and the machine's other work suffers.
const MOST_THREADS: u32 = 8;
/// Most threads that an address may ask for.
const MOST_ASKED: u32 = 32;

/// The loader script of the worker that suits this browser: the one with threads and relaxed simd where it can run. There it
/// is used for a single thread too: its instructions are faster, and the number of threads never changes a bit of a result.
fn loader() -> String {
    let with_threads = if runs_threads_build() { site::named("worker-threads") } else { None };
    with_threads.or_else(|| site::named("worker")).unwrap_or_else(|| "./worker_loader.js".to_owned())
}

/// As many threads as the page's address asks for, or one a core.
fn threads() -> u32 {
    let cores = web_sys::window().map_or(1, |window| window.navigator().hardware_concurrency() as u32);
    asked_threads().unwrap_or(cores.clamp(1, MOST_THREADS))
}

/// How many threads the page's address asks for: `?threads=2`.
pub fn asked_threads() -> Option<u32> {
    Some(site::asked("threads")?.parse::<u32>().ok()?.clamp(1, MOST_ASKED))
}

/// The demo model, which is part of the site.
pub fn demo() -> Source {
    // under its hash, or another version's
    let url = site::named("demo").unwrap_or_else(|| "./demo/".to_owned());
    let file = |name: &str| PlacedFile { name: name.to_owned(), url: format!("{url}{name}") };
    let files = ["config.json", "tokenizer.json", "model.safetensors"].map(file).to_vec();
    Source { name: "demo".to_owned(), place: Place::Files { files }, threads: None, dtype: None, engine: None }
}

//! The page's end of the line to the worker: asks, hears the events of each request, knows the model loaded now.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use gloo_worker::{Spawnable, WorkerBridge};
use js_sys::{Reflect, WebAssembly};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::StorageManager;

use super::site;
use crate::protocol::{Answer, Event, FromWorker, Lane, ModelInfo, Place, Request, RequestId, Source, ToWorker};
use crate::worker::{PeartreeWorker, codec::Transferring};

type Listener = Box<dyn FnMut(Event)>;
type ModelListener = Rc<dyn Fn(&ModelInfo)>;

/// A handle on the worker; clones share it.
#[derive(Clone)]
pub struct Client(Rc<Line>);

struct Line {
    bridge: WorkerBridge<PeartreeWorker>,
    next: Cell<RequestId>,
    desk: Rc<Desk>,
}

/// Who waits for what.
#[derive(Default)]
struct Desk {
    listeners: RefCell<HashMap<RequestId, Listener>>,
    on_model: RefCell<Vec<ModelListener>>,
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
        let hears = desk.clone();
        let bridge = PeartreeWorker::spawner()
            .callback(move |message| hears.hear(message))
            .as_module(false)
            .with_loader(true)
            .encoding::<Transferring>()
            .spawn(&loader());
        Client(Rc::new(Line { bridge, next: Cell::new(0), desk }))
    }

    /// Sends a request; `on_event` sees every event of it, the last being `Done` or `Failed`.
    pub fn ask(&self, lane: Option<Lane>, mut request: Request, on_event: impl FnMut(Event) + 'static) -> RequestId {
        if let Request::Load(source) = &mut request {
            source.threads.get_or_insert_with(threads);
            if !matches!(source.place, Place::Files { .. }) {
                ask_to_persist();
            }
        }
        let id = self.0.next.get();
        self.0.next.set(id.wrapping_add(1));
        self.0.desk.listeners.borrow_mut().insert(id, Box::new(on_event));
        self.0.bridge.send(ToWorker::Ask { id, lane, request });
        id
    }

    /// Stops a request; it ends as `Failed` with the code `cancelled`, or as it would have if it had just ended.
    pub fn cancel(&self, id: RequestId) {
        self.0.bridge.send(ToWorker::Cancel { id });
    }

    /// Tells `f` of every model that is loaded from now on, whoever asked for it.
    pub fn on_model(&self, f: impl Fn(&ModelInfo) + 'static) {
        self.0.desk.on_model.borrow_mut().push(Rc::new(f));
    }
}

impl Desk {
    fn hear(&self, FromWorker { id, event }: FromWorker) {
        if let Event::Done(Answer::Loaded(model)) = &event {
            let listeners = self.on_model.borrow().clone();
            listeners.iter().for_each(|f| f(model));
        }
        let last = matches!(event, Event::Done(_) | Event::Failed(_));
        // taken out while it runs: it may ask something new
        let Some(mut listener) = self.listeners.borrow_mut().remove(&id) else { return };
        listener(event);
        if !last {
            self.listeners.borrow_mut().insert(id, listener);
        }
    }
}

/// Most threads by default: beyond, a product's pieces get small and the machine's other work suffers.
const MOST_THREADS: u32 = 8;
/// Most threads that an address may ask for.
const MOST_ASKED: u32 = 32;

/// A module with one instruction of relaxed simd (a swizzle).
const RELAXED_SIMD: [u8; 36] = [
    0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 15, 1, 13, 0, 65, 1, 253, 15, 65, 2, 253, 15,
    253, 128, 2, 11,
];

/// The loader script of the worker that suits this browser: the one with threads and relaxed simd where the page may
/// share memory and the browser knows the instructions; there it is used for a single thread too, so that the number
/// of threads never changes a bit of a result.
fn loader() -> String {
    let with_threads = if is_isolated() && knows_relaxed_simd() { site::named("worker-threads") } else { None };
    with_threads.or_else(|| site::named("worker")).unwrap_or_else(|| "./worker_loader.js".to_owned())
}

/// Whether the page may share memory.
pub fn is_isolated() -> bool {
    Reflect::get(&js_sys::global(), &"crossOriginIsolated".into()).is_ok_and(|is| is.is_truthy())
}

/// Whether the browser knows the instructions of the worker with threads.
pub fn knows_relaxed_simd() -> bool {
    WebAssembly::validate(&js_sys::Uint8Array::from(&RELAXED_SIMD[..])).unwrap_or(false)
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

/// Asks the browser not to clear what is kept when room gets scarce. Only a page can ask, not its worker; the answer
/// changes nothing here, and the list of kept models says it.
fn ask_to_persist() {
    let Some(window) = web_sys::window() else { return };
    // missing where the page isn't secure
    let storage = Reflect::get(&window.navigator(), &"storage".into()).ok().filter(JsValue::is_object);
    let Some(storage) = storage.map(JsCast::unchecked_into::<StorageManager>) else { return };
    wasm_bindgen_futures::spawn_local(async move {
        if let Ok(promise) = storage.persist() {
            let _ = wasm_bindgen_futures::JsFuture::from(promise).await;
        }
    });
}

/// The demo model, which is part of the site.
pub fn demo() -> Source {
    // under its hash, or another version's
    folder("demo", &site::named("demo").unwrap_or_else(|| "./demo/".to_owned()))
}

/// The model in a folder; `url` ends with a slash.
pub fn folder(name: &str, url: &str) -> Source {
    Source {
        name: name.to_owned(),
        place: Place::Files {
            config: format!("{url}config.json"),
            tokenizer: Some(format!("{url}tokenizer.json")),
            weights: format!("{url}model.safetensors"),
        },
        threads: None,
        dtype: None,
    }
}

//! One worker as the page has it, and the rule by which it is taken for dead.
//!
//! A worker says by itself that it broke down: its program could not be had (`error`), or an exception or a trap that
//! nobody caught, of which its loader tells. Of one that is simply gone (`Worker.terminate()`, a browser short of
//! memory) nobody tells; but it holds a lock for as long as it lives, and whoever waits for that lock hears of its end at
//! once, however busy it was.
//!
//! One that lives and says nothing hangs: while somebody waits for it, it is asked for a sign of life at every look, which
//! its event loop gives between two pieces of work, and after [`PATIENCE`] looks without one it is given up. A look that
//! comes late says nothing, for then the page itself was held up (throttled in the background, asleep, at a
//! breakpoint), and the count begins anew. With `?debug` in the address nobody's patience ends: a worker may stand at a
//! breakpoint. Where there are no locks (a page that isn't secure), a worker that had nothing to do must answer within
//! [`PATIENCE_IDLE`] looks, and any other within [`PATIENCE_UNHELD`].

use std::cell::Cell;
use std::rc::Rc;

use js_sys::{Function, Object};
use wasm_bindgen::prelude::*;
use web_sys::{Event, MessageEvent, Worker, WorkerOptions};

use super::offline::request_lock;
use super::site;
use crate::protocol::{FromWorker, ToWorker};
use crate::worker::codec;

/// Between two looks.
pub const LOOK_MS: u32 = 500;
/// Looks without a sign of life. The longest piece of work without a pause takes a second or two.
const PATIENCE: u32 = 40;
/// The same where there are no locks; and for a worker that was idle there.
const PATIENCE_UNHELD: u32 = 20;
const PATIENCE_IDLE: u32 = 1;
/// A look that comes so much later than it should was held up.
const LATE_MS: f64 = 3.0 * LOOK_MS as f64;

/// What a worker says.
pub enum Heard {
    /// It takes requests now.
    Ready,
    Event(FromWorker),
    Death {
        /// The request that it died of, where that is known.
        of: Option<u32>,
        why: String,
    },
}

/// A worker; only the page's newest is listened to.
pub struct Engine {
    worker: Worker,
    signs: Rc<Signs>,
    /// Handlers live as long as the worker.
    handlers: [Closure<dyn FnMut(JsValue)>; 2],
}

/// What is known of its life.
#[derive(Default)]
struct Signs {
    is_ready: Cell<bool>,
    /// It holds its lock: its end will be heard of.
    is_held: Cell<bool>,
    /// It had nothing to do when it was asked, and has said nothing since.
    is_idle: Cell<bool>,
    /// Looks since its last word.
    silent: Cell<u32>,
    looked_at_ms: Cell<f64>,
    is_stopped: Cell<bool>,
}

impl Engine {
    /// Starts a worker; none where the browser refuses.
    pub fn start(loader: &str, hears: impl Fn(Heard) + 'static) -> Option<Engine> {
        let name = format!("peartree worker {}", js_sys::Math::random());
        let options = WorkerOptions::new();
        options.set_name(&name);
        let worker = Worker::new_with_options(loader, &options).ok()?;
        let (signs, hears) = (Rc::new(Signs::default()), Rc::new(hears));
        let message = {
            let (signs, hears) = (signs.clone(), hears.clone());
            Closure::<dyn FnMut(JsValue)>::new(move |event: JsValue| {
                signs.silent.set(0);
                signs.is_idle.set(false);
                let data = event.unchecked_into::<MessageEvent>().data();
                match data.as_string() {
                    None => codec::decode(data).map(Heard::Event).into_iter().for_each(&*hears),
                    Some(text) => signs.read(&text, &name, &hears),
                }
            })
        };
        let error = Closure::<dyn FnMut(JsValue)>::new({
            let signs = signs.clone();
            move |event: JsValue| {
                // an event without a message: the program's file could not be had
                let message = js_sys::Reflect::get(&event, &"message".into()).ok().and_then(|text| text.as_string());
                let why = message.unwrap_or_else(|| "its program could not be had".into());
                event.unchecked_into::<Event>().prevent_default();
                signs.die(&hears, None, why);
            }
        });
        worker.set_onmessage(Some(message.as_ref().unchecked_ref()));
        worker.set_onerror(Some(error.as_ref().unchecked_ref()));
        Some(Engine { worker, signs, handlers: [message, error] })
    }

    /// Sends what it is to do; before it can hear, nothing: it is told everything at once when it can.
    pub fn post(&self, message: &ToWorker) {
        if self.signs.is_ready.get() {
            // plain data can always be posted
            let _ = self.worker.post_message(&codec::encode(message));
        }
    }

    /// The same for a question, to a worker that has nothing else to do perhaps.
    pub fn ask(&self, message: &ToWorker, was_idle: bool) {
        if was_idle && self.signs.is_ready.get() {
            self.signs.silent.set(0);
            self.signs.looked_at_ms.set(js_sys::Date::now());
            self.signs.is_idle.set(true);
            self.call();
        }
        self.post(message);
    }

    pub fn is_starting(&self) -> bool {
        !self.signs.is_ready.get()
    }

    /// Looks whether it lives; why not, if it seems dead.
    pub fn look(&self) -> Result<(), &'static str> {
        let signs = &self.signs;
        let now_ms = js_sys::Date::now();
        let is_late = now_ms - signs.looked_at_ms.replace(now_ms) > LATE_MS;
        signs.silent.set(if is_late { 0 } else { signs.silent.get() + 1 });
        let patience = match signs.is_idle.get() {
            _ if signs.is_held.get() || self.is_starting() => PATIENCE,
            true => PATIENCE_IDLE,
            false => PATIENCE_UNHELD,
        };
        if signs.silent.get() > patience && site::asked("debug").is_none() {
            return Err("it gave no sign of life");
        }
        self.call();
        Ok(())
    }

    /// Asks for a sign of life; the loader answers.
    fn call(&self) {
        let _ = self.worker.post_message(&"?".into());
    }

    /// Ends it, if it isn't at its end already.
    pub fn stop(self) {
        self.signs.is_stopped.set(true);
        self.worker.set_onmessage(None);
        self.worker.set_onerror(None);
        self.worker.terminate();
        // not dropped here: one of them may be running
        wasm_bindgen_futures::spawn_local(async move { drop(self.handlers) });
    }
}

impl Signs {
    /// What the loader says: `held`, `ready`, `here`, or of what it died: `!REQUEST WHY`.
    fn read(self: &Rc<Self>, text: &str, lock: &str, hears: &Rc<impl Fn(Heard) + 'static>) {
        match text {
            "held" => {
                self.is_held.set(true);
                self.await_end(lock, hears.clone());
            }
            "ready" => {
                self.is_ready.set(true);
                hears(Heard::Ready);
            }
            _ => {
                if let Some((id, why)) = text.strip_prefix('!').and_then(|text| text.split_once(' ')) {
                    self.die(hears, id.parse().ok(), why.to_owned());
                }
            }
        }
    }

    fn die(&self, hears: &Rc<impl Fn(Heard)>, of: Option<u32>, why: String) {
        if !self.is_stopped.replace(true) {
            hears(Heard::Death { of, why });
        }
    }

    /// Waits for the lock that it holds as long as it lives.
    fn await_end(self: &Rc<Self>, lock: &str, hears: Rc<impl Fn(Heard) + 'static>) {
        let signs = self.clone();
        let granted = Closure::once_into_js(move || signs.die(&hears, None, "it was ended from outside".into()));
        // one that refuses is as if there were no locks
        if request_lock(lock, &Object::new(), granted.unchecked_ref::<Function>()).is_err() {
            self.is_held.set(false);
        }
    }
}

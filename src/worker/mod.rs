//! The dedicated worker that owns the model: takes requests off a queue, one at a time, and streams events back.
//!
//! What fetches or keeps models runs beside that queue, so that the model there is goes on answering meanwhile.

pub mod cache;
mod card;
pub mod codec;
mod device;
mod files;
mod library;
pub mod line;
mod opfs;
pub mod pace;
mod reading;
pub mod threads;
mod wire;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;

use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::spawn_local;
use web_sys::MessageEvent;

use crate::error::{Error, Result};
use crate::protocol::{Answer, Event, Failure, FromWorker, Info, Request, RequestId, ToWorker};
use crate::session::queue::{Queue, Ticket};
use crate::session::{AnySession, EngineKind};
use crate::store::fit::weights_bytes;
use library::Library;
use pace::EventLoop;
use reading::Reading;

thread_local! {
    /// Whose work is going on at this moment.
    static AT_WORK: Cell<Option<RequestId>> = const { Cell::new(None) };
}

/// Everything that outlives a single message.
#[derive(Default)]
struct Desk {
    /// Questions to the model.
    questions: Rc<RefCell<Queue>>,
    /// Models to load: a newer one supersedes an older.
    loads: Rc<RefCell<Queue>>,
    /// What is asked about kept models, each at once: a queue of its own, to be cancelled by.
    errands: RefCell<HashMap<RequestId, Rc<RefCell<Queue>>>>,
    library: Library,
    reading: Reading,
    session: RefCell<Option<Rc<AnySession>>>,
}

/// Starts listening to the page. What the page's watch hears of this worker before, and when it breaks, is the loader's
/// to say (`scripts/hash_workers.mjs`).
pub fn start() {
    std::panic::set_hook(Box::new(|panic| {
        console_error_panic_hook::hook(panic);
        let text = panic.payload().downcast_ref::<&str>().copied();
        let text = text.or_else(|| panic.payload().downcast_ref::<String>().map(String::as_str)).unwrap_or("panic");
        let id = AT_WORK.get().map(|id| id.to_string()).unwrap_or_default();
        // a text can always be posted; the trap that follows tells nobody whose work it was
        let _ = codec::scope().post_message(&format!("!{id} {text}").into());
    }));
    let desk = Rc::new(Desk::default());
    let hears = Closure::<dyn FnMut(MessageEvent)>::new(move |event: MessageEvent| {
        if let Some(message) = codec::decode(event.data()) {
            desk.hear(message);
        }
    });
    codec::scope().set_onmessage(Some(hears.as_ref().unchecked_ref()));
    hears.forget();
    let _ = codec::scope().post_message(&"ready".into());
}

impl Desk {
    fn hear(self: &Rc<Self>, message: ToWorker) {
        let dropped = match message {
            ToWorker::Ask { id, lane, request } => {
                self.queue_for(id, &request).borrow_mut().push(Ticket { id, lane, request })
            }
            ToWorker::Cancel { id } => self.cancel(id),
        };
        for id in dropped {
            self.send(id, Event::Failed((&Error::Cancelled).into()));
        }
        self.start();
    }

    fn send(&self, id: RequestId, event: Event) {
        codec::post(&FromWorker { id, event });
    }

    fn queue_for(&self, id: RequestId, request: &Request) -> Rc<RefCell<Queue>> {
        match request {
            Request::Load(_) | Request::UseCard { .. } => self.loads.clone(),
            // a corpus takes long: what is asked meanwhile is answered in between
            Request::Describe(_)
            | Request::Kept
            | Request::Forget { .. }
            | Request::Verify { .. }
            | Request::Read(_) => self.errands.borrow_mut().entry(id).or_default().clone(),
            _ => self.questions.clone(),
        }
    }

    /// Cancels a request wherever it is; gives it back if it was waiting.
    fn cancel(&self, id: RequestId) -> Vec<RequestId> {
        self.reading.cancel(id);
        let errand = self.errands.borrow().get(&id).cloned();
        let queues = [Some(self.questions.clone()), Some(self.loads.clone()), errand];
        let was_waiting = queues.into_iter().flatten().filter(|queue| queue.borrow_mut().cancel(id)).count() > 0;
        was_waiting.then_some(id).into_iter().collect()
    }

    /// Starts whatever can start.
    fn start(self: &Rc<Self>) {
        self.start_next(&self.loads);
        let errands: Vec<_> = self.errands.borrow().values().cloned().collect();
        // before there is a model, what is asked of it waits for the one that is on its way
        let waits = self.session.borrow().is_none() && self.loads.borrow().is_busy();
        let is_of_model = |queue: &Rc<RefCell<Queue>>| matches!(queue.borrow().next(), Some(Request::Read(_)));
        errands.iter().filter(|queue| !(waits && is_of_model(queue))).for_each(|queue| self.start_next(queue));
        if !waits {
            self.start_next(&self.questions);
        }
    }

    /// Starts a queue's next request unless one runs; its end starts what comes after.
    fn start_next(self: &Rc<Self>, queue: &Rc<RefCell<Queue>>) {
        let Some(ticket) = queue.borrow_mut().start() else { return };
        let (desk, queue) = (self.clone(), queue.clone());
        spawn_local(async move {
            let mut work = pin!(desk.handle(&ticket, &queue));
            let answer = poll_fn(|context| {
                AT_WORK.set(Some(ticket.id));
                let step = work.as_mut().poll(context);
                AT_WORK.set(None);
                step
            });
            let event = match answer.await {
                Ok(answer) => Event::Done(answer),
                Err(error) => Event::Failed(Failure::from(&error)),
            };
            queue.borrow_mut().finish();
            desk.errands.borrow_mut().remove(&ticket.id);
            desk.send(ticket.id, event);
            desk.start();
        });
    }

    async fn handle(&self, ticket: &Ticket, queue: &Rc<RefCell<Queue>>) -> Result<Answer> {
        let control = EventLoop::new(queue.clone());
        let on_event = |event| self.send(ticket.id, event);
        match &ticket.request {
            Request::Load(source) => {
                let session = self.library.load(source, &self.session, &control, &on_event).await?;
                threads::set(source.threads.unwrap_or(1));
                let info = session.info();
                self.session.replace(Some(Rc::new(session)));
                Ok(Answer::Loaded(Box::new(info)))
            }
            Request::Describe(_) | Request::Kept | Request::Forget { .. } | Request::Verify { .. } => {
                self.library.answer(&ticket.request, &control, &on_event).await
            }
            Request::Read(call) => {
                let session = self.session.borrow().clone().ok_or(Error::NoModel)?;
                self.reading.ask(ticket.id, call, session, &control, on_event).await
            }
            Request::UseCard { any } => {
                let session = self.session.borrow().clone().ok_or(Error::NoModel)?;
                let moved = self.library.move_to_card(&session, *any, &control).await?;
                if let Some(moved) = moved {
                    // between two answers: what is being answered has the session that it began with
                    self.session.replace(Some(Rc::new(moved)));
                }
                Ok(Answer::Info(Box::new(self.info())))
            }
            Request::Info => Ok(Answer::Info(Box::new(self.info()))),
            request => {
                let session = self.session.borrow().clone().ok_or(Error::NoModel)?;
                session.answer(request, &control, on_event).await
            }
        }
    }
}

impl Desk {
    fn info(&self) -> Info {
        let session = self.session.borrow().clone();
        let kind = session.as_deref().map_or_else(EngineKind::default, AnySession::kind);
        let model = session.map(|session| session.info());
        let on_card = model.as_ref().filter(|_| kind == EngineKind::Gpu);
        Info {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            engine: if kind == EngineKind::Gpu { "webgpu" } else { kind.name() }.to_owned(),
            adapter: on_card.and_then(|_| self.library.card_name()),
            threads: threads::count(),
            simd: cfg!(target_feature = "simd128"),
            gpu_bytes: on_card.map_or(0.0, |model| weights_bytes(&model.config, model.dtype) as f64),
            model,
            heap_bytes: core::arch::wasm32::memory_size(0) as f64 * 65536.0,
        }
    }
}

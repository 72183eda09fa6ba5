//! The dedicated worker that owns the model: takes requests off a queue, one at a time, and streams events back.

mod address;
pub mod codec;
mod fetch;
mod pace;
pub mod threads;

use std::cell::RefCell;
use std::rc::Rc;

use gloo_worker::{HandlerId, Worker, WorkerScope};
use wasm_bindgen_futures::spawn_local;

use crate::documents::Source;
use crate::error::{Error, Result};
use crate::protocol::{Answer, DataFile, Event, Failure, FromWorker, Info, Request, RequestId, ToWorker};
use crate::session::Session;
use crate::session::queue::{Queue, Ticket};
use address::Address;
use pace::EventLoop;

/// The worker's side of the bridge.
pub struct PeartreeWorker {
    desk: Rc<Desk>,
}

/// Everything that outlives a single message.
struct Desk {
    scope: WorkerScope<PeartreeWorker>,
    queue: Rc<RefCell<Queue>>,
    session: RefCell<Option<Rc<Session>>>,
}

impl Worker for PeartreeWorker {
    type Message = ();
    type Input = ToWorker;
    type Output = FromWorker;

    fn create(scope: &WorkerScope<Self>) -> Self {
        let desk = Desk { scope: scope.clone(), queue: Rc::default(), session: RefCell::new(None) };
        PeartreeWorker { desk: Rc::new(desk) }
    }

    fn update(&mut self, _: &WorkerScope<Self>, _: ()) {}

    fn received(&mut self, _: &WorkerScope<Self>, message: ToWorker, page: HandlerId) {
        let desk = &self.desk;
        let dropped = match message {
            ToWorker::Ask { id, lane, request } => desk.queue.borrow_mut().push(Ticket { id, lane, request }),
            ToWorker::Cancel { id } => desk.queue.borrow_mut().cancel(id).then_some(id).into_iter().collect(),
        };
        for id in dropped {
            desk.send(page, id, Event::Failed((&Error::Cancelled).into()));
        }
        desk.clone().start_next(page);
    }
}

impl Desk {
    fn send(&self, page: HandlerId, id: RequestId, event: Event) {
        self.scope.respond(page, FromWorker { id, event });
    }

    /// Starts the next request unless one runs; its end starts the one after.
    fn start_next(self: Rc<Self>, page: HandlerId) {
        let Some(ticket) = self.queue.borrow_mut().start() else { return };
        spawn_local(async move {
            let event = match self.handle(&ticket, page).await {
                Ok(answer) => Event::Done(answer),
                Err(error) => Event::Failed(Failure::from(&error)),
            };
            self.queue.borrow_mut().finish();
            self.send(page, ticket.id, event);
            self.start_next(page);
        });
    }

    async fn handle(&self, ticket: &Ticket, page: HandlerId) -> Result<Answer> {
        let control = EventLoop::new(self.queue.clone());
        let session = self.session.borrow().clone();
        match (&ticket.request, session) {
            (Request::Load(source), _) => {
                threads::set(source.threads.unwrap_or(1));
                let model =
                    fetch::model(source, &control, |progress| self.send(page, ticket.id, Event::Progress(progress)))
                        .await?;
                let session = Session::new(source.name.clone(), model);
                let info = session.info();
                *self.session.borrow_mut() = Some(Rc::new(session));
                Ok(Answer::Loaded(info))
            }
            (Request::Info, session) => Ok(Answer::Info(info(session.as_deref()))),
            (_, None) => Err(Error::NoModel),
            (Request::Corpus(o), Some(session)) => {
                let open = |file: &DataFile| Ok(Rc::new(Address::open(&file.name, &file.url)?) as Rc<dyn Source>);
                let files = o.files.iter().map(open).collect::<Result<_>>()?;
                let mut tell = |event| self.send(page, ticket.id, event);
                session.corpus(files, &o.options, o.resume, &control, &mut tell).await
            }
            (request, Some(session)) => {
                session.answer(request, &control, |event| self.send(page, ticket.id, event)).await
            }
        }
    }
}

fn info(session: Option<&Session>) -> Info {
    Info {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        engine: "cpu".to_owned(),
        adapter: None,
        threads: threads::count(),
        simd: cfg!(target_feature = "simd128"),
        model: session.map(Session::info),
        heap_bytes: core::arch::wasm32::memory_size(0) as f64 * 65536.0,
        gpu_bytes: 0.0,
    }
}

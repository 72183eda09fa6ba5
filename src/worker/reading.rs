//! The worker's end of the line to the reader, which is started when it is first needed: forwards what the page asks
//! of it, and runs the model for it.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::{Rc, Weak};

use futures_channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use futures_util::StreamExt;
use js_sys::{Array, Float32Array, Int32Array, Uint8Array, Uint32Array};
use wasm_bindgen::prelude::*;
use web_sys::{MessageEvent, Worker, WorkerOptions};

use super::device;
use super::line::{Message, from_reader, from_worker};
use crate::analysis::corpus::subject::{Part, Subject, Watch};
use crate::engine::Control;
use crate::error::{Error, Result};
use crate::protocol::{Answer, Event, ReaderCall, RequestId};
use crate::session::AnySession;

/// The reader and those who have asked it something.
#[derive(Default)]
pub struct Reading(Rc<Desk>);

#[derive(Default)]
struct Desk {
    reader: RefCell<Option<Reader>>,
    callers: RefCell<HashMap<RequestId, Caller>>,
    /// The model that the reader was told of last.
    told: RefCell<Weak<AnySession>>,
    /// Counts the readers, so that the end of an earlier one isn't taken for this one's.
    number: Cell<u32>,
}

struct Reader {
    worker: Worker,
    /// What was said before it could hear; none once it can.
    early: Option<Vec<Message>>,
    /// Handlers live as long as the worker.
    _handlers: [Closure<dyn FnMut(JsValue)>; 2],
}

/// A call under way: which model it is about, and where its messages go.
struct Caller {
    session: Rc<AnySession>,
    inbox: UnboundedSender<Message>,
}

impl Reading {
    /// Has the reader answer a call of the page's.
    ///
    /// # Errors
    /// What the reader says, or that there is none.
    pub async fn ask(
        &self,
        id: RequestId,
        call: &ReaderCall,
        session: Rc<AnySession>,
        control: &impl Control,
        on_event: impl Fn(Event),
    ) -> Result<Answer> {
        let desk = &self.0;
        let mut again = call.again;
        loop {
            desk.start(&call.program)?;
            let (inbox, messages) = unbounded();
            desk.callers.borrow_mut().insert(id, Caller { session: session.clone(), inbox });
            desk.tell_model(id, &session);
            let task = [JsValue::from(&call.task), again.into()];
            desk.post(Message::new(from_worker::ASK, id, &task), None);
            let answer = desk.serve(id, messages, &session, control, &on_event).await;
            desk.callers.borrow_mut().remove(&id);
            match answer {
                // the next reader goes on from what this one has kept
                Err(Error::ReaderDied) if !again => again = true,
                answer => return answer.map(Answer::Read),
            }
        }
    }

    /// Tells the reader that a call is no longer wanted.
    pub fn cancel(&self, id: RequestId) {
        if self.0.callers.borrow().contains_key(&id) {
            self.0.post(Message::new(from_worker::CANCEL, id, &[]), None);
        }
    }
}

impl Desk {
    /// Starts the reader unless it runs.
    fn start(self: &Rc<Self>, program: &str) -> Result<()> {
        if self.reader.borrow().is_some() {
            return Ok(());
        }
        let name = format!("peartree reader {}", js_sys::Math::random());
        let options = WorkerOptions::new();
        options.set_name(&name);
        let worker = Worker::new_with_options(program, &options).map_err(|_| no_reader())?;
        let hears = {
            let desk = self.clone();
            Closure::<dyn FnMut(JsValue)>::new(move |event: JsValue| {
                let data = event.unchecked_into::<MessageEvent>().data();
                match data.as_string() {
                    None => data.dyn_into().into_iter().for_each(|message| desk.hear(Message(message))),
                    Some(text) if text == "held" => desk.await_end(name.clone()),
                    Some(text) if text.starts_with('!') => desk.lose(),
                    Some(_) => {}
                }
            })
        };
        let fails = {
            let desk = self.clone();
            Closure::<dyn FnMut(JsValue)>::new(move |_| desk.lose())
        };
        worker.set_onmessage(Some(hears.as_ref().unchecked_ref()));
        worker.set_onerror(Some(fails.as_ref().unchecked_ref()));
        let reader = Reader { worker, early: Some(Vec::new()), _handlers: [hears, fails] };
        self.reader.replace(Some(reader));
        Ok(())
    }

    /// Waits for the lock that a reader holds as long as it lives: of its end nobody else tells.
    fn await_end(self: &Rc<Self>, lock: String) {
        let reader = self.number.get();
        let desk = self.clone();
        wasm_bindgen_futures::spawn_local(async move {
            let is_free = device::request(&lock, false).await;
            if matches!(is_free, Ok(Some(_))) && desk.number.get() == reader {
                desk.lose();
            }
        });
    }

    /// Tells the reader of the model, unless it knows: a vocabulary's texts are tens of thousands.
    fn tell_model(&self, id: RequestId, session: &Rc<AnySession>) {
        let told = self.told.replace(Rc::downgrade(session));
        if told.upgrade().is_some_and(|told| Rc::ptr_eq(&told, session)) {
            return;
        }
        // numbers and words can always be written
        let config = serde_json::to_string(&session.info().config).unwrap_or_default();
        let cut = serde_json::to_string(&session.cut()).unwrap_or_default();
        let texts: Array = session.token_texts().into_iter().map(JsValue::from).collect();
        self.post(Message::new(from_worker::MODEL, id, &[config.into(), texts.into(), cut.into()]), None);
    }

    fn post(&self, message: Message, hand_over: Option<&Array>) {
        let mut reader = self.reader.borrow_mut();
        let Some(reader) = reader.as_mut() else { return };
        match (&mut reader.early, hand_over) {
            (Some(early), _) => early.push(message),
            // plain data can always be posted
            (None, Some(buffers)) => drop(reader.worker.post_message_with_transfer(&message.0, buffers)),
            (None, None) => drop(reader.worker.post_message(&message.0)),
        }
    }

    fn hear(&self, message: Message) {
        let id = message.call();
        match message.kind() {
            from_reader::READY => {
                let early = self.reader.borrow_mut().as_mut().and_then(|reader| reader.early.take());
                early.into_iter().flatten().for_each(|message| self.post(message, None));
            }
            // at once, also between the parts of a batch: the next texts become tokens while the model is busy
            from_reader::IDS => {
                let session = self.callers.borrow().get(&id).map(|caller| caller.session.clone());
                if let Some(session) = session {
                    self.post(value(id, ids(&session, &message)), None);
                }
            }
            _ => {
                if let Some(caller) = self.callers.borrow().get(&id) {
                    // the other end is dropped only after the caller
                    let _ = caller.inbox.unbounded_send(message);
                }
            }
        }
    }

    /// The reader's program could not be had, or broke down: whoever waits is told, and asks another.
    fn lose(&self) {
        self.callers.borrow_mut().clear();
        self.told.take();
        // not dropped here, while its own handler runs
        if let Some(reader) = self.reader.take() {
            self.number.set(self.number.get() + 1);
            reader.worker.terminate();
            wasm_bindgen_futures::spawn_local(async move { drop(reader) });
        }
    }

    /// Does what a call needs of the model, until it has come to its end.
    async fn serve(
        &self,
        id: RequestId,
        mut messages: UnboundedReceiver<Message>,
        session: &Rc<AnySession>,
        control: &impl Control,
        on_event: &impl Fn(Event),
    ) -> Result<String> {
        while let Some(message) = messages.next().await {
            match message.kind() {
                from_reader::HASH => {
                    let hash = session.weights_hash(control).await;
                    self.post(value(id, hash.map(JsValue::from)), None);
                }
                from_reader::TOKEN => {
                    let token = session.subject().token(&message.text(2)).await;
                    self.post(value(id, token.map(JsValue::from)), None);
                }
                from_reader::LOOK => self.look(id, &message, session, control).await,
                from_reader::EVENT => on_event(Event::Read(message.text(2))),
                from_reader::DONE => return Ok(message.text(2)),
                from_reader::FAILED => return Err(message.error()),
                _ => {}
            }
        }
        Err(Error::ReaderDied)
    }

    /// Runs a batch and hands the reader each layer's activations.
    async fn look(&self, id: RequestId, message: &Message, session: &AnySession, control: &impl Control) {
        let (ids, lengths) = (message.numbers(2), message.numbers(3));
        let watch = Watch {
            layers: message.numbers(4).into_iter().map(|layer| layer as usize).collect(),
            tokens: message.numbers(5),
        };
        let mut rest = &ids[..];
        let rows = lengths.iter().map(|&length| {
            let (row, after) = rest.split_at((length as usize).min(rest.len()));
            rest = after;
            row
        });
        let rows: Vec<&[u32]> = rows.collect();
        let on_layer = |layer: usize, activations: &[f32]| {
            // memory that is shared can't be handed over: this is a copy
            let copy = Float32Array::new_with_length(activations.len() as u32);
            copy.copy_from(activations);
            let buffers = Array::of1(&copy.buffer());
            let layer = Message::new(from_worker::LAYER, id, &[JsValue::from(layer as u32), copy.into()]);
            self.post(layer, Some(&buffers));
        };
        let looked = match session.subject().look(&rows, &watch, control, on_layer).await {
            Ok(likeliest) => {
                // a vocabulary has fewer tokens than i32 has numbers
                let likeliest: Vec<i32> = likeliest.iter().map(|id| id.map_or(-1, |id| id as i32)).collect();
                Message::new(from_worker::LOOKED, id, &[Int32Array::from(&likeliest[..]).into()])
            }
            Err(error) => Message::failure(from_worker::NOT_LOOKED, id, &error),
        };
        self.post(looked, None);
    }
}

fn no_reader() -> Error {
    let what = "the part of the page that reads texts".to_owned();
    Error::Read { what, why: "it could not be started. Check the connection, then try again.".into() }
}

fn value(id: RequestId, value: Result<JsValue>) -> Message {
    match value {
        Ok(value) => Message::new(from_worker::VALUE, id, &[value]),
        Err(error) => Message::failure(from_worker::NO_VALUE, id, &error),
    }
}

/// The tokens of each text.
fn ids(session: &AnySession, message: &Message) -> Result<JsValue> {
    let (texts, bos) = (message.list(2), message.0.get(3));
    let bos = bos.dyn_ref().map(Uint8Array::to_vec).unwrap_or_default();
    let ids = texts.iter().zip(bos).map(|(text, bos)| {
        let part = Part { text: text.as_string().unwrap_or_default(), bos: bos != 0, starts: false };
        session.piece_ids(&part).map(|ids| Uint32Array::from(&ids[..]))
    });
    Ok(ids.collect::<Result<Array>>()?.into())
}

//! The model in the worker, as a pass here sees it.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use futures_channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use futures_util::StreamExt;
use futures_util::lock::Mutex;
use js_sys::{Array, Uint8Array, Uint32Array};
use wasm_bindgen::{JsCast, JsValue};

use super::post;
use crate::analysis::corpus::subject::{Part, Subject, Watch};
use crate::engine::Control;
use crate::error::{Error, Result};
use crate::model::Config;
use crate::model::tokenizer::cuts::Cut;
use crate::protocol::RequestId;
use crate::worker::line::{Message, from_reader, from_worker};

/// Batches that the worker has at once: the one it runs, and the next.
const UNDER_WAY: usize = 2;

/// One call's end of the line. What is asked and what is looked at is answered in the order asked, each by itself.
pub struct Call {
    id: RequestId,
    cancelled: Cell<bool>,
    values: Line,
    looks: Line,
}

/// Messages of one kind, until the call is cancelled.
struct Line {
    sender: RefCell<Option<UnboundedSender<Message>>>,
    receiver: Mutex<UnboundedReceiver<Message>>,
}

impl Line {
    fn new() -> Self {
        let (sender, receiver) = unbounded();
        Line { sender: RefCell::new(Some(sender)), receiver: Mutex::new(receiver) }
    }

    fn push(&self, message: Message) {
        if let Some(sender) = &*self.sender.borrow() {
            // the receiver lives as long
            let _ = sender.unbounded_send(message);
        }
    }

    async fn next(&self) -> Result<Message> {
        self.receiver.lock().await.next().await.ok_or(Error::Cancelled)
    }
}

impl Call {
    pub fn new(id: RequestId) -> Self {
        Call { id, cancelled: Cell::new(false), values: Line::new(), looks: Line::new() }
    }

    pub fn hear(&self, message: Message) {
        match message.kind() {
            from_worker::VALUE | from_worker::NO_VALUE => self.values.push(message),
            _ => self.looks.push(message),
        }
    }

    /// Ends the call: who waits for the worker waits no longer.
    pub fn cancel(&self) {
        self.cancelled.set(true);
        self.values.sender.take();
        self.looks.sender.take();
    }

    pub fn is_cancelled(&self) -> bool {
        self.cancelled.get()
    }

    /// Tells the page something on the way.
    pub fn tell(&self, json: String) {
        post(&Message::new(from_reader::EVENT, self.id, &[json.into()]).0);
    }

    /// The hash of the model's weights.
    pub async fn hash(&self) -> Result<String> {
        let hash = self.ask(from_reader::HASH, &[]).await?;
        hash.as_string().ok_or(Error::Cancelled)
    }

    async fn ask(&self, kind: u32, rest: &[JsValue]) -> Result<JsValue> {
        // taken before the question is posted: who asks first is answered first
        let mut answers = self.values.receiver.lock().await;
        post(&Message::new(kind, self.id, rest).0);
        let answer = answers.next().await.ok_or(Error::Cancelled)?;
        if answer.kind() == from_worker::NO_VALUE { Err(answer.error()) } else { Ok(answer.0.get(2)) }
    }
}

/// The model, for one pass.
pub struct Remote<'a> {
    call: Rc<Call>,
    config: &'a Config,
    cut: Cut,
    /// Batches that the worker hasn't got yet.
    foreseen: RefCell<VecDeque<Message>>,
    /// The tokens of those that it has.
    under_way: RefCell<VecDeque<Vec<u32>>>,
    /// One layer's activations.
    activations: RefCell<Vec<f32>>,
}

impl<'a> Remote<'a> {
    pub fn new(call: Rc<Call>, config: &'a Config, cut: Cut) -> Self {
        Remote {
            call,
            config,
            cut,
            foreseen: RefCell::default(),
            under_way: RefCell::default(),
            activations: RefCell::default(),
        }
    }

    fn message(&self, prompts: &[&[u32]], watch: &Watch) -> Message {
        let array = |numbers: Vec<u32>| JsValue::from(Uint32Array::from(&numbers[..]));
        let rest = [
            array(prompts.concat()),
            array(prompts.iter().map(|prompt| prompt.len() as u32).collect()),
            array(watch.layers.iter().map(|&layer| layer as u32).collect()),
            array(watch.tokens.clone()),
        ];
        Message::new(from_reader::LOOK, self.call.id, &rest)
    }

    /// Keeps the worker busy.
    fn send(&self) {
        let mut under_way = self.under_way.borrow_mut();
        while under_way.len() < UNDER_WAY
            && let Some(message) = self.foreseen.borrow_mut().pop_front()
        {
            post(&message.0);
            under_way.push_back(message.numbers(2));
        }
    }
}

impl Subject for Remote<'_> {
    fn config(&self) -> &Config {
        self.config
    }

    fn cut(&self) -> Cut {
        self.cut
    }

    async fn hash(&self) -> Result<String> {
        self.call.hash().await
    }

    async fn token(&self, text: &str) -> Result<u32> {
        let id = self.call.ask(from_reader::TOKEN, &[text.into()]).await?;
        id.as_f64().map(|id| id as u32).ok_or(Error::Cancelled)
    }

    async fn ids(&self, parts: &[Part]) -> Result<Vec<Vec<u32>>> {
        let texts: Array = parts.iter().map(|part| JsValue::from(&part.text)).collect();
        let bos: Vec<u8> = parts.iter().map(|part| part.bos.into()).collect();
        let ids = self.call.ask(from_reader::IDS, &[texts.into(), Uint8Array::from(&bos[..]).into()]).await?;
        let ids: Array = ids.dyn_into().map_err(|_| Error::Cancelled)?;
        Ok(ids.iter().map(|ids| ids.dyn_ref().map(Uint32Array::to_vec).unwrap_or_default()).collect())
    }

    fn foresee(&self, batches: &[Vec<&[u32]>], watch: &Watch) {
        self.foreseen.borrow_mut().extend(batches.iter().map(|prompts| self.message(prompts, watch)));
        self.send();
    }

    async fn look(
        &self,
        prompts: &[&[u32]],
        watch: &Watch,
        control: &impl Control,
        mut on_layer: impl FnMut(usize, &[f32]),
    ) -> Result<Vec<Option<u32>>> {
        control.breathe().await?;
        if self.under_way.borrow().is_empty() {
            self.foreseen.borrow_mut().push_front(self.message(prompts, watch));
            self.send();
        }
        // what comes is this batch's, and no other's
        if self.under_way.borrow().front() != Some(&prompts.concat()) {
            return Err(Error::Unsupported(
                "Batches came in another order than was foreseen: this is a defect.".into(),
            ));
        }
        loop {
            let message = self.call.looks.next().await?;
            match message.kind() {
                from_worker::LAYER => {
                    let mut activations = self.activations.borrow_mut();
                    let floats = message.floats(3);
                    activations.resize(floats.length() as usize, 0.0);
                    floats.copy_to(&mut activations);
                    on_layer(message.number(2) as usize, &activations);
                }
                from_worker::LOOKED => {
                    self.under_way.borrow_mut().pop_front();
                    self.send();
                    return Ok(message.signed(2).iter().map(|&id| u32::try_from(id).ok()).collect());
                }
                _ => return Err(message.error()),
            }
        }
    }
}

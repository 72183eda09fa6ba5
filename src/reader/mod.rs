//! Reads texts beside the worker: opens files wherever they lie, has their tokens run, counts, keeps what it has
//! counted. A program of its own: who asks for no corpus never downloads it, and while the model runs one batch, the one
//! before is counted here and the next one unpacked.

mod address;
mod dataset;
mod keep;
mod pass;
mod published;
mod remote;

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use js_sys::Array;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::spawn_local;
use web_sys::{DedicatedWorkerGlobalScope, MessageEvent};

use crate::analysis::corpus::Findings;
use crate::error::{Error, Result};
use crate::model::Config;
use crate::model::tokenizer::cuts::Cut;
use crate::protocol::{ReaderTask, RequestId};
use crate::worker::line::{Message, from_reader, from_worker};
use pass::PassTask;
use published::Published;
use remote::Call;

/// Everything that outlives a single call.
#[derive(Default)]
struct Desk {
    calls: RefCell<HashMap<RequestId, Rc<Call>>>,
    /// The model of the calls that come.
    model: RefCell<Option<Rc<Model>>>,
    /// What the last pass has found.
    findings: RefCell<Option<Rc<Findings>>>,
    published: Published,
}

/// The model that a call is about, as the worker tells of it.
struct Model {
    config: Config,
    /// Every token's text, by id.
    texts: Vec<String>,
    /// Where its tokenizer's texts may be cut.
    cut: Cut,
}

impl Model {
    /// None if the message doesn't hold one.
    fn read(message: &Message) -> Option<Model> {
        let texts = message.list(3).iter().map(|text| text.as_string().unwrap_or_default()).collect();
        let cut = serde_json::from_str(&message.text(4)).ok()?;
        Some(Model { config: serde_json::from_str(&message.text(2)).ok()?, texts, cut })
    }

    fn text(&self, id: u32) -> String {
        self.texts.get(id as usize).cloned().unwrap_or_default()
    }
}

/// Starts listening to the worker.
pub fn start() {
    let desk = Rc::new(Desk::default());
    let hears = Closure::<dyn FnMut(MessageEvent)>::new(move |event: MessageEvent| {
        if let Ok(message) = event.data().dyn_into().map(Message) {
            desk.hear(message);
        }
    });
    let scope: DedicatedWorkerGlobalScope = js_sys::global().unchecked_into();
    scope.set_onmessage(Some(hears.as_ref().unchecked_ref()));
    hears.forget();
    post(&Array::of1(&from_reader::READY.into()));
}

fn post(message: &Array) {
    let scope: DedicatedWorkerGlobalScope = js_sys::global().unchecked_into();
    // plain data can always be posted
    let _ = scope.post_message(message);
}

impl Desk {
    fn hear(self: &Rc<Self>, message: Message) {
        let id = message.call();
        match message.kind() {
            from_worker::MODEL => drop(self.model.replace(Model::read(&message).map(Rc::new))),
            from_worker::ASK => {
                let call = Rc::new(Call::new(id));
                self.calls.borrow_mut().insert(id, call.clone());
                let desk = self.clone();
                spawn_local(async move {
                    let end = match desk.answer(&call, &message).await {
                        Ok(json) => Message::new(from_reader::DONE, id, &[json.into()]),
                        Err(error) => Message::failure(from_reader::FAILED, id, &error),
                    };
                    desk.calls.borrow_mut().remove(&id);
                    post(&end.0);
                });
            }
            from_worker::CANCEL => {
                if let Some(call) = self.calls.borrow().get(&id) {
                    call.cancel();
                }
            }
            _ => {
                if let Some(call) = self.calls.borrow().get(&id) {
                    call.hear(message);
                }
            }
        }
    }

    /// The answer's JSON.
    async fn answer(&self, call: &Rc<Call>, message: &Message) -> Result<String> {
        let unread = |e: serde_json::Error| Error::BadOption { option: "corpus", problem: format!("can't be: {e}.") };
        let task: ReaderTask = serde_json::from_str(&message.text(2)).map_err(unread)?;
        let model = self.model.borrow().clone().ok_or(Error::NoModel)?;
        let answer = match task {
            ReaderTask::Pass { files, options, resume, keep } => {
                // asked again of a new reader, it goes on
                let resume = resume || message.0.get(3).is_truthy();
                let what = PassTask { files, options, resume, keep };
                serde_json::to_string(&self.pass(call, &model, what).await?)
            }
            ReaderTask::Bins(bins) => serde_json::to_string(&self.again(bins, call, &model).await?),
            ReaderTask::Neuron { options, folder: None } => {
                serde_json::to_string(&self.neuron(&options, call, &model).await?)
            }
            ReaderTask::Neuron { options, folder: Some(folder) } => {
                serde_json::to_string(&self.published.neuron(&folder, &options, call, &model).await?)
            }
            ReaderTask::Folder { folder } => {
                serde_json::to_string(&self.published.summary(&folder, call, &model).await?)
            }
            ReaderTask::Keys { files } => serde_json::to_string(&pass::keys(files).await?),
            ReaderTask::Forget => {
                keep::forget().await;
                Ok("null".to_owned())
            }
        };
        answer.map_err(|e| Error::Unsupported(format!("The answer can't be written down: {e}.")))
    }
}

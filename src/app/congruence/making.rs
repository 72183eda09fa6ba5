//! Makes a table piece by piece, so that whatever else the page asks goes in between; keeps what was made, so that a later
//! visit goes on with it.
//!
//! A table is looked for where it costs least: on this device, beside the site (`tables/`), at the address that the site
//! names in its head (`<meta name="table-source">`); then it is computed.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use gloo_timers::future::TimeoutFuture;
use js_sys::{Function, Promise};
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::JsFuture;
use yew::Callback;

use super::keep::{self, found_at};
use crate::app::client::Client;
use crate::error::Error;
use crate::protocol::{Answer, Bytes, Convention, Event, Failure, Lane, Request, TableState, TableTask};

/// Work between two looks at what else is asked.
const PIECE_MS: u32 = 60;
/// So much work is at most lost by a reload.
const KEEP_MS: f64 = 15_000.0;
/// Between two looks at whether there is something to do.
const IDLE_MS: u32 = 80;
/// A table of so many products takes a moment, and is made without being asked for.
const SMALL: f64 = 4e7;

/// How far a table is.
#[derive(Clone, PartialEq, Debug)]
pub enum Stage {
    /// Nobody has looked yet.
    Unknown,
    Looking,
    /// It isn't there; this much of it is.
    Waiting(f64),
    Working(f64),
    Ready,
    Failed(Failure),
}

#[derive(Clone, PartialEq, Debug)]
pub struct Progress {
    pub stage: Stage,
    /// All products that there are.
    pub products: f64,
    /// Where it came from, or why what was found wasn't used.
    pub said: Option<String>,
}

/// What a person wants of it, and what else the page is at.
#[derive(Default)]
pub struct Orders {
    /// Nothing more urgent is asked.
    pub is_free: Cell<bool>,
    pub runs: Cell<bool>,
    pub drops: Cell<bool>,
    pub quits: Cell<bool>,
}

/// One table being looked after.
pub struct Maker {
    pub client: Client,
    /// What the model is called.
    pub model: String,
    pub convention: Convention,
    pub orders: Rc<Orders>,
    pub tell: Callback<Progress>,
}

impl Maker {
    /// Looks after the table until it is told to quit.
    pub async fn run(self) {
        let mut progress = Progress { stage: Stage::Unknown, products: 0.0, said: None };
        if let Err(failure) = self.make(&mut progress).await
            // of another model's table this one says nothing
            && failure.code != Error::Cancelled.code()
            && !self.orders.quits.get()
        {
            progress.stage = Stage::Failed(failure);
            self.tell.emit(progress);
        }
    }

    async fn make(&self, progress: &mut Progress) -> Result<(), Failure> {
        let mut state = self.task(TableTask::Look(self.convention)).await?;
        progress.products = state.products;
        let is_small = state.products <= SMALL;
        if !state.is_ready && !is_small {
            state = self.kept(state, progress).await?;
        }
        let was_ready = state.is_ready;
        self.orders.runs.set(is_small);
        let mut has_looked = is_small;
        let mut kept_at = js_sys::Date::now();
        while !state.is_ready {
            progress.stage = Stage::Waiting(state.done);
            if self.orders.drops.replace(false) {
                self.orders.runs.set(false);
                keep::forget(&self.name("partial")).await;
                state = self.task(TableTask::Drop(self.convention)).await?;
                continue;
            }
            if !self.orders.runs.get() {
                self.say(progress);
                self.wait(IDLE_MS).await?;
                continue;
            }
            if !has_looked {
                has_looked = true;
                progress.stage = Stage::Looking;
                self.say(progress);
                state = self.found(state, progress).await?;
                continue;
            }
            progress.stage = Stage::Working(state.done);
            self.say(progress);
            let (convention, model) = (self.convention, self.model.clone());
            let work = TableTask::Work { convention, milliseconds: PIECE_MS, model, products: progress.products };
            state = self.task(work).await?;
            if !is_small && !state.is_ready && js_sys::Date::now() - kept_at > KEEP_MS {
                self.keep_part().await?;
                kept_at = js_sys::Date::now();
            }
            if !self.orders.runs.get() && !state.is_ready {
                self.keep_part().await?;
            }
        }
        if !is_small && !was_ready {
            self.keep_whole().await?;
        }
        progress.stage = Stage::Ready;
        self.say(progress);
        Ok(())
    }

    /// What this device has: a whole table, or one to go on with.
    async fn kept(&self, state: TableState, progress: &mut Progress) -> Result<TableState, Failure> {
        if let Some(bytes) = keep::get(&self.name("table")).await {
            match self.task(TableTask::Open(Bytes(bytes))).await {
                Ok(state) => {
                    progress.said = Some("It was kept on this device.".into());
                    return Ok(state);
                }
                // another model of the same name, or damaged: no use to anybody
                Err(_) => keep::forget(&self.name("table")).await,
            }
        }
        if let Some(bytes) = keep::get(&self.name("partial")).await {
            match self.task(TableTask::Resume(Bytes(bytes))).await {
                Ok(state) => return Ok(state),
                Err(_) => keep::forget(&self.name("partial")).await,
            }
        }
        Ok(state)
    }

    /// What the site has, or the place that it names.
    async fn found(&self, state: TableState, progress: &mut Progress) -> Result<TableState, Failure> {
        let file = format!("{}-{}.safetensors", file_name(&self.model), self.convention.name());
        for address in keep::sources(&file) {
            let Some(bytes) = found_at(&address).await else { continue };
            match self.task(TableTask::Open(Bytes(bytes))).await {
                Ok(state) => {
                    progress.said = Some(format!("It came from {address}."));
                    return Ok(state);
                }
                Err(failure) => progress.said = Some(format!("{address}: {}", failure.message)),
            }
        }
        Ok(state)
    }

    async fn keep_part(&self) -> Result<(), Failure> {
        if let Answer::Bytes(bytes) = self.ask(TableTask::Checkpoint(self.convention)).await? {
            keep::put(&self.name("partial"), &bytes.0).await;
        }
        Ok(())
    }

    async fn keep_whole(&self) -> Result<(), Failure> {
        if let Answer::TableFile(file) = self.ask(TableTask::File(self.convention)).await? {
            keep::put(&self.name("table"), &file.bytes.0).await;
            keep::forget(&self.name("partial")).await;
        }
        Ok(())
    }

    fn name(&self, what: &str) -> String {
        format!("{}-{}.{what}", file_name(&self.model), self.convention.name())
    }

    fn say(&self, progress: &Progress) {
        if !self.orders.quits.get() {
            self.tell.emit(progress.clone());
        }
    }

    /// A task's answer about the table, once nothing more urgent is asked.
    async fn task(&self, task: TableTask) -> Result<TableState, Failure> {
        match self.ask(task).await? {
            Answer::TableState(state) => Ok(state),
            _ => Err(Failure::from(&Error::Cancelled)),
        }
    }

    async fn ask(&self, task: TableTask) -> Result<Answer, Failure> {
        self.wait(0).await?;
        while !self.orders.is_free.get() {
            self.wait(IDLE_MS).await?;
        }
        asked(&self.client, Request::Table(task)).await
    }

    async fn wait(&self, milliseconds: u32) -> Result<(), Failure> {
        if milliseconds > 0 {
            TimeoutFuture::new(milliseconds).await;
        }
        if self.orders.quits.get() { Err(Failure::from(&Error::Cancelled)) } else { Ok(()) }
    }
}

/// The answer to a request.
async fn asked(client: &Client, request: Request) -> Result<Answer, Failure> {
    let slot: Rc<RefCell<Option<Result<Answer, Failure>>>> = Rc::default();
    let promise = Promise::new(&mut |resolve: Function, _| {
        let slot = slot.clone();
        client.ask(Some(Lane::Table), request.clone(), move |event| {
            let result = match event {
                Event::Done(answer) => Ok(answer),
                Event::Failed(failure) => Err(failure),
                _ => return,
            };
            *slot.borrow_mut() = Some(result);
            // wakes who waits; its answer lies in the slot
            let _ = resolve.call0(&JsValue::UNDEFINED);
        });
    });
    // this promise is never refused
    let _ = JsFuture::from(promise).await;
    slot.take().unwrap_or_else(|| Err(Failure::from(&Error::Cancelled)))
}

/// A model's name as part of a file's: `models/gpt2-large/` is `gpt2-large`.
pub fn file_name(model: &str) -> String {
    let last = model.trim_end_matches('/').rsplit('/').next().unwrap_or("");
    let plain: String =
        last.chars().map(|c| if c.is_ascii_alphanumeric() || ".-_".contains(c) { c } else { '-' }).collect();
    if plain.trim_matches('.').is_empty() { "model".to_owned() } else { plain }
}

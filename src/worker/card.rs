//! The graphics card as the worker has it: a program of its own (`src/card`), downloaded when a card is to be used.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;

use candle_core::Tensor;
use js_sys::{Promise, Reflect, Uint8Array};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

use crate::engine::any::CardEngine;
use crate::engine::remote::{Line, RemoteEngine};
use crate::error::{Error, Result};
use crate::model::{Config, Sink, WeightDtype, rows};
use crate::protocol::Failure;
use crate::session::CardSink;

#[wasm_bindgen]
extern "C" {
    /// Downloads the program and starts it, where it isn't already (scripts/hash_workers.mjs).
    #[wasm_bindgen(js_name = card, catch)]
    fn start() -> Result<Promise, JsValue>;

    /// What the program exports.
    type Program;
    #[wasm_bindgen(method, catch)]
    fn open(this: &Program, any: bool) -> Result<Promise, JsValue>;
    #[wasm_bindgen(method, catch)]
    fn put(
        this: &Program,
        name: &str,
        rows: usize,
        columns: usize,
        is_f16: bool,
        first_row: usize,
        bytes: &[u8],
    ) -> Result<(), JsValue>;
    #[wasm_bindgen(method, catch)]
    fn abandon(this: &Program) -> Result<(), JsValue>;
    #[wasm_bindgen(method, catch)]
    fn settle(this: &Program, number: u32, config: &str) -> Result<(), JsValue>;
    #[wasm_bindgen(method, catch)]
    fn close(this: &Program, number: u32) -> Result<(), JsValue>;
    #[wasm_bindgen(method, catch)]
    fn step(this: &Program, number: u32, word: &[u8]) -> Result<Promise, JsValue>;
}

/// The card, once it was opened.
#[derive(Clone)]
pub struct OpenCard {
    program: Rc<Program>,
    name: Rc<str>,
    /// The number of the model that is loaded next.
    next: Rc<std::cell::Cell<u32>>,
}

impl OpenCard {
    /// Downloads the program and opens a card; `any` takes one that the processor pretends to be. Nothing is downloaded
    /// where the browser has no card.
    ///
    /// # Errors
    /// [`Error::NoCard`], [`Error::Card`].
    pub async fn open(any: bool) -> Result<Self> {
        let name = look_for_adapter(any).await?.into();
        let no_program = |why: JsValue| Error::Card(format!("Its program could not be started: {}.", words(&why)));
        let program = JsFuture::from(start().map_err(no_program)?).await.map_err(no_program)?;
        let program: Program = program.unchecked_into();
        JsFuture::from(program.open(any).map_err(thrown)?).await.map_err(thrown)?;
        Ok(OpenCard { program: Rc::new(program), name, next: Rc::default() })
    }

    /// As much as the browser says of it: its maker and its family.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where a model's weights go.
    pub fn sink(&self) -> Box<dyn CardSink> {
        Box::new(OnCard { card: self.clone(), dtype: WeightDtype::F32, is_settled: false })
    }
}

/// The name of the card that the browser has: `navigator.gpu`, an adapter, and not only a pretended one.
async fn look_for_adapter(any: bool) -> Result<String> {
    let none = || Error::NoCard("This browser offers none to pages (WebGPU).".into());
    let get = |of: &JsValue, name: &str| Reflect::get(of, &name.into()).unwrap_or(JsValue::UNDEFINED);
    let gpu = get(&get(&js_sys::global(), "navigator"), "gpu");
    let request = get(&gpu, "requestAdapter").dyn_into::<js_sys::Function>().map_err(|_| none())?;
    let adapter = request.call0(&gpu).map_err(|_| none())?;
    let adapter = JsFuture::from(Promise::resolve(&adapter)).await.map_err(|_| none())?;
    if adapter.is_falsy() {
        return Err(none());
    }
    let info = get(&adapter, "info");
    let is_pretended = get(&info, "isFallbackAdapter").is_truthy();
    if is_pretended && !any {
        return Err(Error::NoCard("The only one that this browser offers is the processor itself.".into()));
    }
    let said = ["vendor", "architecture"].map(|what| get(&info, what).as_string().unwrap_or_default());
    // the whole name, which few browsers give
    let description = get(&info, "description").as_string().filter(|text| !text.is_empty());
    Ok(description.unwrap_or_else(|| said.join(" ").trim().to_owned()))
}

/// What the program threw: a failure in JSON, or what a browser says of one that broke down.
fn thrown(why: JsValue) -> Error {
    match why.as_string().and_then(|text| serde_json::from_str::<Failure>(&text).ok()) {
        Some(Failure { code, message }) => Error::Told { code, message },
        None => Error::Card(format!("Its program broke down: {}.", words(&why))),
    }
}

fn words(why: &JsValue) -> String {
    let message = Reflect::get(why, &"message".into()).ok().and_then(|message| message.as_string());
    message.or_else(|| why.as_string()).unwrap_or_else(|| "the browser doesn't say why".to_owned())
}

/// Weights on their way to the card.
struct OnCard {
    card: OpenCard,
    dtype: WeightDtype,
    is_settled: bool,
}

impl Sink for OnCard {
    fn put(&mut self, name: &str, tensor: Tensor) -> Result<()> {
        let ((n, columns), is_f16) = rows::about(&tensor)?;
        if is_f16 {
            self.dtype = WeightDtype::F16;
        }
        rows::each_chunk(&tensor, |first, bytes| {
            self.card.program.put(name, n, columns, is_f16, first, bytes).map_err(thrown)
        })
    }
}

impl CardSink for OnCard {
    fn engine(mut self: Box<Self>, config: Config) -> Result<CardEngine> {
        let number = self.card.next.replace(self.card.next.get().wrapping_add(1));
        let json = serde_json::to_string(&config).map_err(|error| Error::Config(format!("{error}.")))?;
        self.card.program.settle(number, &json).map_err(thrown)?;
        self.is_settled = true;
        let line = OnProgram { program: self.card.program.clone(), number, broken: RefCell::default() };
        Ok(RemoteEngine::new(config, self.dtype, Rc::new(line)))
    }
}

impl Drop for OnCard {
    fn drop(&mut self) {
        if !self.is_settled {
            // where it broke down there is nothing to let go of
            let _ = self.card.program.abandon();
        }
    }
}

/// The way to one model's engine.
struct OnProgram {
    program: Rc<Program>,
    number: u32,
    /// What it broke down of: it answers no more.
    broken: RefCell<Option<String>>,
}

impl OnProgram {
    async fn ask(&self, word: Vec<u8>) -> Result<Vec<u8>> {
        if let Some(why) = &*self.broken.borrow() {
            return Err(Error::Card(why.clone()));
        }
        let answered = match self.program.step(self.number, &word) {
            Ok(promise) => JsFuture::from(promise).await,
            Err(why) => Err(why),
        };
        answered.map(|bytes| Uint8Array::new(&bytes).to_vec()).map_err(|why| {
            let error = thrown(why);
            *self.broken.borrow_mut() = Some(error.to_string());
            error
        })
    }
}

impl Line for OnProgram {
    fn step(&self, word: Vec<u8>) -> Pin<Box<dyn Future<Output = Result<Vec<u8>>> + '_>> {
        Box::pin(self.ask(word))
    }

    fn tell(&self, word: Vec<u8>) {
        if self.broken.borrow().is_none() {
            // what it lets go of is gone too where it breaks down
            if let Ok(promise) = self.program.step(self.number, &word) {
                wasm_bindgen_futures::spawn_local(async move { drop(JsFuture::from(promise).await) });
            }
        }
    }
}

impl Drop for OnProgram {
    fn drop(&mut self) {
        let _ = self.program.close(self.number);
    }
}

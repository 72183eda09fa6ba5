//! The card's program: the engine on the graphics card, for the worker to use (`src/worker/card.rs`). A program of its own,
//! in the worker's thread but with a memory of its own: only a visit with a card downloads it, and only after its first
//! prediction was shown.
//!
//! What fails is thrown as JSON, `{code, message}`.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use wasm_bindgen::prelude::*;

use crate::engine::gpu::device::{Choice, Device, Extent};
use crate::engine::gpu::{Card, GpuEngine, Matrix};
use crate::engine::remote::Host;
use crate::error::{Error, Result};
use crate::model::Config;
use crate::protocol::Failure;

/// What outlives a call.
#[derive(Default)]
struct Desk {
    card: RefCell<Option<Rc<Card>>>,
    /// The parameters of the model that is being loaded, by canonical name.
    loading: RefCell<HashMap<String, Matrix>>,
    /// Models, each by its number.
    hosts: RefCell<HashMap<u32, Rc<Host<GpuEngine>>>>,
}

thread_local! {
    static DESK: Rc<Desk> = Rc::default();
}

/// Before the first call: what breaks down says why.
pub fn start() {
    console_error_panic_hook::set_once();
}

fn thrown(error: &Error) -> JsValue {
    // two texts can always be written
    JsValue::from_str(&serde_json::to_string(&Failure::from(error)).unwrap_or_default())
}

impl Desk {
    fn here() -> Rc<Desk> {
        DESK.with(Rc::clone)
    }

    fn card(&self) -> Result<Rc<Card>> {
        self.card.borrow().clone().ok_or_else(|| Error::Card("It was not opened.".into()))
    }

    fn put(&self, name: &str, shape: (usize, usize), is_f16: bool, first_row: usize, bytes: &[u8]) -> Result<()> {
        let card = self.card()?;
        let mut loading = self.loading.borrow_mut();
        let matrix = match loading.entry(name.to_owned()) {
            std::collections::hash_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::hash_map::Entry::Vacant(place) => place.insert(Matrix::new(&card, shape, is_f16)?),
        };
        matrix.fill(&card, first_row, bytes)
    }

    fn settle(&self, number: u32, config: &str) -> Result<()> {
        let config: Config = serde_json::from_str(config).map_err(|error| Error::Config(format!("{error}.")))?;
        let engine = GpuEngine::of(self.card()?, config, self.loading.take())?;
        self.hosts.borrow_mut().insert(number, Rc::new(Host::new(engine)));
        Ok(())
    }
}

/// Opens the card, anew if there was one. `any` takes one that the processor pretends to be, too.
#[wasm_bindgen]
pub async fn open(any: bool) -> Result<(), JsValue> {
    let choice = if any { Choice::Any } else { Choice::Hardware };
    let device = Device::open(choice, Extent::Own).await.map_err(|error| thrown(&error))?;
    let desk = Desk::here();
    desk.hosts.take();
    desk.loading.take();
    desk.card.replace(Some(Rc::new(Card::new(device))));
    Ok(())
}

/// Rows of a parameter of the model that is being loaded, from row `first_row` on, each filled up to whole fours.
#[wasm_bindgen]
pub fn put(
    name: &str,
    rows: usize,
    columns: usize,
    is_f16: bool,
    first_row: usize,
    bytes: &[u8],
) -> Result<(), JsValue> {
    Desk::here().put(name, (rows, columns), is_f16, first_row, bytes).map_err(|error| thrown(&error))
}

/// Forgets what was put of a model that will not be whole.
#[wasm_bindgen]
pub fn abandon() {
    Desk::here().loading.take();
}

/// Ends the loading: the model answers by this number from now on.
#[wasm_bindgen]
pub fn settle(number: u32, config: &str) -> Result<(), JsValue> {
    Desk::here().settle(number, config).map_err(|error| thrown(&error))
}

/// Lets a model go.
#[wasm_bindgen]
pub fn close(number: u32) {
    Desk::here().hosts.borrow_mut().remove(&number);
}

/// A step of an operation (`engine::remote`).
#[wasm_bindgen]
pub async fn step(number: u32, word: Vec<u8>) -> Vec<u8> {
    let host = Desk::here().hosts.borrow().get(&number).cloned();
    match host {
        Some(host) => host.step(&word).await,
        None => Vec::new(),
    }
}

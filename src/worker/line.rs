//! What worker and reader say to each other: short arrays, `[kind, call, …]`, by hand, for a batch's activations are
//! megabytes and shall be handed over.

use js_sys::{Array, Float32Array, Int32Array, Uint32Array};
use wasm_bindgen::{JsCast, JsValue};

use crate::error::Error;
use crate::protocol::RequestId;

/// From the reader.
pub mod from_reader {
    /// `[kind]`: it hears now.
    pub const READY: u32 = 0;
    /// `[kind, call]`: the model's hash is wanted.
    pub const HASH: u32 = 1;
    /// `[kind, call, text]`: which token is it?
    pub const TOKEN: u32 = 2;
    /// `[kind, call, [text], [whether <|endoftext|> goes before it]]`
    pub const IDS: u32 = 3;
    /// `[kind, call, ids, lengths of the rows, layers, tokens]`: run this batch.
    pub const LOOK: u32 = 4;
    /// `[kind, call, json]`
    pub const EVENT: u32 = 5;
    /// `[kind, call, json]`: the call's end.
    pub const DONE: u32 = 6;
    /// `[kind, call, code, message]`: its other end.
    pub const FAILED: u32 = 7;
}

/// From the worker.
pub mod from_worker {
    /// `[kind, call, task]`
    pub const ASK: u32 = 0;
    /// `[kind, call]`
    pub const CANCEL: u32 = 1;
    /// `[kind, call, value]`: answers `HASH`, `TOKEN` and `IDS`.
    pub const VALUE: u32 = 2;
    /// `[kind, call, code, message]`: it can't answer one of these.
    pub const NO_VALUE: u32 = 3;
    /// `[kind, call, layer, activations]`
    pub const LAYER: u32 = 4;
    /// `[kind, call, likeliest tokens; -1 for any other]`: a batch's end.
    pub const LOOKED: u32 = 5;
    /// `[kind, call, code, message]`: its other end.
    pub const NOT_LOOKED: u32 = 6;
    /// `[kind, call, config, texts of the tokens, where texts may be cut]`: the model of the calls from this one on.
    pub const MODEL: u32 = 7;
}

/// A message, to be read from the front. What is missing or of another type reads as empty: both sides are one
/// program's, built together.
pub struct Message(pub Array);

impl Message {
    pub fn new(kind: u32, call: RequestId, rest: &[JsValue]) -> Message {
        Message([JsValue::from(kind), JsValue::from(call)].iter().chain(rest).collect())
    }

    pub fn failure(kind: u32, call: RequestId, error: &Error) -> Message {
        Message::new(kind, call, &[error.code().into(), error.line().into()])
    }

    pub fn kind(&self) -> u32 {
        self.number(0)
    }

    pub fn call(&self) -> RequestId {
        self.number(1)
    }

    pub fn number(&self, at: u32) -> u32 {
        self.0.get(at).as_f64().map_or(0, |number| number as u32)
    }

    pub fn text(&self, at: u32) -> String {
        self.0.get(at).as_string().unwrap_or_default()
    }

    pub fn list(&self, at: u32) -> Array {
        self.0.get(at).dyn_into().unwrap_or_default()
    }

    pub fn numbers(&self, at: u32) -> Vec<u32> {
        self.0.get(at).dyn_ref().map(Uint32Array::to_vec).unwrap_or_default()
    }

    pub fn floats(&self, at: u32) -> Float32Array {
        self.0.get(at).dyn_into().unwrap_or_else(|_| Float32Array::new_with_length(0))
    }

    pub fn signed(&self, at: u32) -> Vec<i32> {
        self.0.get(at).dyn_ref().map(Int32Array::to_vec).unwrap_or_default()
    }

    /// What went wrong on the other side.
    pub fn error(&self) -> Error {
        match self.text(2).as_str() {
            "cancelled" => Error::Cancelled,
            code => Error::Told { code: code.to_owned(), message: self.text(3) },
        }
    }
}

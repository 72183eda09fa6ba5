//! Messages between page and worker as plain JavaScript values; large arrays are handed over, not copied.

use gloo_worker::Codec;
use js_sys::{Array, Object, Uint8Array};
use serde::{Deserialize, Serialize};
use wasm_bindgen::{JsCast, JsValue, UnwrapThrowExt};
use web_sys::DedicatedWorkerGlobalScope;

/// Arrays from this size on are transferred; for smaller ones a copy is cheaper than a second message.
const TRANSFER_FROM_BYTES: u32 = 16 << 10;

/// gloo's own message that the worker is up. A page that has heard it once ignores it.
#[derive(Serialize)]
enum Greeting {
    WorkerLoaded,
}

/// `serde-wasm-bindgen`, plus the transfer that gloo has no way to ask for (gloo#240).
pub struct Transferring;

impl Codec for Transferring {
    /// gloo posts what this returns, always by copy. So a message with large arrays is posted here, with its transfer
    /// list, and gloo is given a greeting to post, which the other side ignores.
    fn encode<I: Serialize>(input: I) -> JsValue {
        // both fail only for types that can't be serialised at all, and protocol.rs has none
        let message = serde_wasm_bindgen::to_value(&input).expect_throw("a message is plain data");
        let buffers = Array::new();
        collect_buffers(&message, &buffers);
        match js_sys::global().dyn_into::<DedicatedWorkerGlobalScope>() {
            Ok(worker) if buffers.length() > 0 => {
                worker.post_message_with_transfer(&message, &buffers).expect_throw("the buffers are our own");
                serde_wasm_bindgen::to_value(&Greeting::WorkerLoaded).expect_throw("a message is plain data")
            }
            _ => message,
        }
    }

    fn decode<O: for<'de> Deserialize<'de>>(input: JsValue) -> O {
        // page and worker are built together, and their files carry one hash: neither can meet another version's message
        serde_wasm_bindgen::from_value(input).expect_throw("page and worker speak one protocol")
    }
}

/// Adds the buffer of every large byte array inside `value` to `buffers`.
fn collect_buffers(value: &JsValue, buffers: &Array) {
    if let Some(bytes) = value.dyn_ref::<Uint8Array>() {
        if bytes.byte_length() >= TRANSFER_FROM_BYTES {
            buffers.push(&bytes.buffer());
        }
    } else if let Some(object) = value.dyn_ref::<Object>() {
        for inner in Object::values(object) {
            collect_buffers(&inner, buffers);
        }
    }
}

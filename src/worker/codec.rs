//! Messages between page and worker as plain JavaScript values; large arrays are handed over, not copied.

use js_sys::{Array, Object, Uint8Array};
use serde::Serialize;
use serde::de::DeserializeOwned;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::DedicatedWorkerGlobalScope;

use crate::protocol::FromWorker;

/// Arrays from this size on are transferred; for smaller ones a copy is cheaper.
const TRANSFER_FROM_BYTES: u32 = 16 << 10;

/// A message as it is posted.
pub fn encode(message: &impl Serialize) -> JsValue {
    // fails only for types that can't be serialised at all, and protocol.rs has none
    serde_wasm_bindgen::to_value(message).unwrap_or_default()
}

/// A message that was posted; none for what the loader says, which is a text. Page and worker are built together, and
/// their files carry one hash: neither can meet another version's message.
pub fn decode<M: DeserializeOwned>(value: JsValue) -> Option<M> {
    serde_wasm_bindgen::from_value(value).ok()
}

/// Posts an event to the page.
pub fn post(message: &FromWorker) {
    let message = encode(message);
    let buffers = Array::new();
    collect_buffers(&message, &buffers);
    // plain data can always be posted, and the buffers are our own
    let _ = scope().post_message_with_transfer(&message, &buffers);
}

/// The worker's own scope.
pub fn scope() -> DedicatedWorkerGlobalScope {
    js_sys::global().unchecked_into()
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

//! Lets the worker's event loop run during long work, so that cancellations are heard.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use js_sys::{Function, Promise};
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::JsFuture;
use web_sys::MessageChannel;
use web_time::Instant;

use crate::engine::Control;
use crate::error::{Error, Result};
use crate::session::queue::Queue;

/// Work goes on for this long between two looks at the event loop.
const SLICE_MS: u128 = 12;

/// Yields to the event loop every [`SLICE_MS`] and stops when the queue says that the request is no longer wanted.
/// Several parts of one request's work may share it.
pub struct EventLoop {
    queue: Rc<RefCell<Queue>>,
    since: Cell<Instant>,
}

impl EventLoop {
    pub fn new(queue: Rc<RefCell<Queue>>) -> Self {
        EventLoop { queue, since: Cell::new(Instant::now()) }
    }
}

/// Waits for one turn of the event loop. A message to oneself is the shortest way round; a timer waits 4 ms at least.
pub async fn go_round() {
    let Ok(channel) = MessageChannel::new() else { return };
    let mut wait = |resolve: Function, _: Function| {
        channel.port1().set_onmessage(Some(&resolve));
        // an undefined value can always be cloned, so this can't fail
        let _ = channel.port2().post_message(&JsValue::UNDEFINED);
    };
    let _ = JsFuture::from(Promise::new(&mut wait)).await;
    // an open port keeps its handler alive
    channel.port1().close();
}

impl Control for EventLoop {
    async fn breathe(&self) -> Result<()> {
        if self.since.get().elapsed().as_millis() >= SLICE_MS {
            go_round().await;
            self.since.set(Instant::now());
        }
        if self.queue.borrow().is_cancelled() { Err(Error::Cancelled) } else { Ok(()) }
    }
}

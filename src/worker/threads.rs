//! The computing worker's helpers: workers of its own, with the same program and the same memory.
//!
//! They exist in the build with atomics only, and where memory may be shared: where the page is isolated. Anywhere else there
//! are no helpers and one thread.

use js_sys::Reflect;

use crate::engine::threads;

/// The name that tells a helper apart: its program must not answer the page.
#[cfg(target_feature = "atomics")]
const HELPER: &str = "peartree helper";

/// Sees that `threads` threads compute from now on, as far as this build can. Helpers start in their own time; what is
/// computed before they are there is the same, only slower.
#[cfg(target_feature = "atomics")]
pub fn set(threads: u32) {
    use std::cell::RefCell;

    use js_sys::Array;
    use wasm_bindgen::JsCast;
    use web_sys::{DedicatedWorkerGlobalScope, Worker, WorkerOptions};

    thread_local! {
        static HELPERS: RefCell<Vec<Worker>> = const { RefCell::new(Vec::new()) };
    }
    let Ok(scope) = js_sys::global().dyn_into::<DedicatedWorkerGlobalScope>() else { return };
    let wanted = if may_share() { threads.max(1) - 1 } else { 0 };
    threads::TEAM.want(wanted);
    let script = scope.location().href();
    let options = WorkerOptions::new();
    options.set_name(HELPER);
    HELPERS.with_borrow_mut(|helpers| {
        while helpers.len() < wanted as usize {
            // a browser that starts no more leaves us with those there are
            let Ok(helper) = Worker::new_with_options(&script, &options) else { return };
            let program = Array::of2(&wasm_bindgen::module(), &wasm_bindgen::memory());
            if helper.post_message(&program).is_err() {
                return;
            }
            helpers.push(helper);
        }
    });
}

#[cfg(not(target_feature = "atomics"))]
pub fn set(_: u32) {}

/// Whether this worker may share memory: whether the page is isolated.
pub fn may_share() -> bool {
    Reflect::get(&js_sys::global(), &"crossOriginIsolated".into()).is_ok_and(|is| is.is_truthy())
}

/// Threads that compute now.
pub fn count() -> u32 {
    u32::try_from(threads::count()).unwrap_or(u32::MAX)
}

/// Whether this thread is a helper.
#[cfg(target_feature = "atomics")]
pub fn is_helper() -> bool {
    use wasm_bindgen::JsCast;
    js_sys::global().dyn_into::<web_sys::DedicatedWorkerGlobalScope>().is_ok_and(|scope| scope.name() == HELPER)
}

#[cfg(not(target_feature = "atomics"))]
pub fn is_helper() -> bool {
    false
}

/// Called by the loader in a helper, once its program has started: works for the team for ever.
#[cfg(target_feature = "atomics")]
#[wasm_bindgen::prelude::wasm_bindgen]
pub fn help() {
    threads::TEAM.help(|| true);
}

//! What this browser can do, which decides on the worker that is started and on the files that are kept.

use js_sys::{Reflect, WebAssembly};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::StorageManager;

/// Pages of memory that the worker with threads may grow to (scripts/workers).
const MOST_PAGES: u32 = 1 << 16;

/// A module with one instruction of relaxed simd (a swizzle).
const RELAXED_SIMD: [u8; 36] = [
    0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 15, 1, 13, 0, 65, 1, 253, 15, 65, 2, 253, 15,
    253, 128, 2, 11,
];

/// Whether the page may share memory.
pub fn is_isolated() -> bool {
    Reflect::get(&js_sys::global(), &"crossOriginIsolated".into()).is_ok_and(|is| is.is_truthy())
}

/// Whether the browser knows the instructions of the worker with threads.
pub fn knows_relaxed_simd() -> bool {
    WebAssembly::validate(&js_sys::Uint8Array::from(&RELAXED_SIMD[..])).unwrap_or(false)
}

/// Whether the worker with threads can run here: on one, where the page isn't isolated. A program may be given memory that
/// could be shared there too, as long as it isn't; where addresses are scarce there is none.
pub fn runs_threads_build() -> bool {
    let size = js_sys::Object::new();
    let is_set = [("initial", 1.into()), ("maximum", MOST_PAGES.into()), ("shared", JsValue::TRUE)]
        .iter()
        .all(|(name, value)| Reflect::set(&size, &JsValue::from_str(name), value).is_ok());
    is_set && knows_relaxed_simd() && WebAssembly::Memory::new(&size).is_ok()
}

/// Asks the browser not to clear what is kept when room gets scarce. Only a page can ask, not its worker; the answer
/// changes nothing here, and the list of kept models says it.
pub fn ask_to_persist() {
    let Some(window) = web_sys::window() else { return };
    // missing where the page isn't secure
    let storage = Reflect::get(&window.navigator(), &"storage".into()).ok().filter(JsValue::is_object);
    let Some(storage) = storage.map(JsCast::unchecked_into::<StorageManager>) else { return };
    wasm_bindgen_futures::spawn_local(async move {
        if let Ok(promise) = storage.persist() {
            let _ = wasm_bindgen_futures::JsFuture::from(promise).await;
        }
    });
}

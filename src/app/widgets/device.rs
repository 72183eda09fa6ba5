//! What the browser says of the device.

use js_sys::Reflect;

/// Roughly how much memory the device has; some browsers don't say, and none says more than so much.
pub fn memory_bytes() -> Option<u64> {
    let navigator = web_sys::window()?.navigator();
    let gib = Reflect::get(&navigator, &"deviceMemory".into()).ok()?.as_f64()?;
    Some((gib * f64::from(1 << 30)) as u64)
}

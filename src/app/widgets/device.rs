//! What the browser says of the device.

use js_sys::Reflect;

/// Whether it is a finger that points.
pub fn has_coarse_pointer() -> bool {
    let query = || web_sys::window()?.match_media("(pointer: coarse)").ok()?;
    query().is_some_and(|query| query.matches())
}

/// Roughly how much memory the device has; some browsers don't say, and none says more than so much.
pub fn memory_bytes() -> Option<u64> {
    let navigator = web_sys::window()?.navigator();
    let gib = Reflect::get(&navigator, &"deviceMemory".into()).ok()?.as_f64()?;
    Some((gib * f64::from(1 << 30)) as u64)
}

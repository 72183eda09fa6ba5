//! The card's program: waits for the worker to call it.

#[cfg(target_arch = "wasm32")]
fn main() {
    peartree::card::start();
}

#[cfg(not(target_arch = "wasm32"))]
fn main() {
    eprintln!("This program runs in a browser: build the site with scripts/serve.");
}

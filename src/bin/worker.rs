//! The worker's program: starts listening to the page.

#[cfg(target_arch = "wasm32")]
fn main() {
    use peartree::worker::{self, threads};

    if !threads::is_helper() {
        worker::start();
    }
}

#[cfg(not(target_arch = "wasm32"))]
fn main() {
    eprintln!("This program runs in a browser: build the site with scripts/serve.");
}

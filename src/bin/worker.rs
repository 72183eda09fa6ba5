//! The worker's program: registers the worker with the page's bridge.

#[cfg(target_arch = "wasm32")]
fn main() {
    use gloo_worker::Registrable;
    use peartree::worker::{PeartreeWorker, codec::Transferring, threads};

    if threads::is_helper() {
        return;
    }
    console_error_panic_hook::set_once();
    PeartreeWorker::registrar().encoding::<Transferring>().register();
}

#[cfg(not(target_arch = "wasm32"))]
fn main() {
    eprintln!("This program runs in a browser: build the site with scripts/serve.");
}

//! The page's program: starts the worker, puts `window.peartree` on the page, draws the page.

#[cfg(target_arch = "wasm32")]
fn main() {
    use peartree::app::{App, Props, api, client::Client, offline};

    console_error_panic_hook::set_once();
    offline::hold_version();
    let client = Client::spawn();
    api::install(client.clone());
    // drawn in a task of its own, so that neither is long
    gloo_timers::callback::Timeout::new(0, move || {
        let document = web_sys::window().and_then(|window| window.document());
        match document.and_then(|document| document.get_element_by_id("app")) {
            Some(root) => yew::Renderer::<App>::with_root_and_props(root, Props { client }).render(),
            None => yew::Renderer::<App>::with_props(Props { client }).render(),
        };
    })
    .forget();
}

#[cfg(not(target_arch = "wasm32"))]
fn main() {
    eprintln!("This program runs in a browser: build the site with scripts/serve.");
}

//! Which of the two colour schemes the system asks for: what is painted by hand is painted again when it changes.

use gloo_events::EventListener;
use yew::prelude::*;

/// Whether the page is dark, kept up to date.
#[hook]
pub fn use_dark() -> bool {
    let query = || web_sys::window()?.match_media("(prefers-color-scheme: dark)").ok()?;
    let is_dark = use_state_eq(|| query().is_some_and(|query| query.matches()));
    let setter = is_dark.setter();
    use_effect_with((), move |()| {
        let listener = query().map(|query| {
            let asked = query.clone();
            EventListener::new(&query, "change", move |_| setter.set(asked.matches()))
        });
        move || drop(listener)
    });
    *is_dark
}

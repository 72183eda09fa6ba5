//! What went wrong, said where it went wrong.

use yew::prelude::*;

use crate::protocol::Failure;

#[derive(Properties, PartialEq)]
pub struct Props {
    /// So that the control it belongs to can point at it.
    pub id: AttrValue,
    pub failure: Option<Failure>,
}

/// A failure's sentence. The region is always there, as screen readers announce changes only in regions they know.
#[component]
pub fn Notice(props: &Props) -> Html {
    let code = props.failure.as_ref().map(|failure| failure.code.clone());
    html! {
        <div class="notice" id={props.id.clone()} role="status" aria-live="polite" data-code={code}>
            if let Some(failure) = &props.failure {
                <p dir="auto">{ &failure.message }</p>
            }
        </div>
    }
}

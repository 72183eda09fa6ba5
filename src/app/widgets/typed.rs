//! A text box that is its own master while a person types; only a text that comes from elsewhere is written into it.

use js_sys::Reflect;
use wasm_bindgen::JsValue;
use web_sys::Element;
use yew::prelude::*;

use super::read;
use crate::app::state::Typed;

#[derive(Properties, PartialEq)]
pub struct Props {
    pub id: AttrValue,
    pub typed: Typed,
    pub ontyped: Callback<Typed>,
    /// Several lines, as a prompt has.
    #[prop_or_default]
    pub is_tall: bool,
    /// The id of the notice that says what is wrong with the text.
    pub described_by: AttrValue,
    pub is_invalid: bool,
}

#[component]
pub fn TextBox(props: &Props) -> Html {
    let node = use_node_ref();
    use_effect_with((props.typed.clone(), node.clone()), |(typed, node)| {
        if let (Typed::Text(text), Some(element)) = (typed, node.cast::<Element>()) {
            let name = JsValue::from_str("value");
            let shown = Reflect::get(&element, &name).ok().and_then(|value| value.as_string());
            if shown.as_deref() != Some(text.as_str()) {
                // a box's text can always be set
                let _ = Reflect::set(&element, &name, &JsValue::from_str(text));
            }
        }
    });
    let ontyped = props.ontyped.clone();
    let oninput = Callback::from(move |event: InputEvent| ontyped.emit(read::typed(&event)));
    let (id, described_by) = (props.id.clone(), props.described_by.clone());
    let is_invalid = props.is_invalid.to_string();
    if props.is_tall {
        html! {
            <textarea {id} ref={node} rows="2" spellcheck="false" autocomplete="off" autocapitalize="off" dir="auto"
                aria-describedby={described_by} aria-invalid={is_invalid} {oninput} />
        }
    } else {
        html! {
            <input {id} ref={node} type="text" spellcheck="false" autocomplete="off" autocapitalize="off"
                aria-describedby={described_by} aria-invalid={is_invalid} {oninput} />
        }
    }
}

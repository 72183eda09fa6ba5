//! A text box that completes what is typed: arrow keys choose, Enter takes, Escape closes.

use web_sys::HtmlInputElement;
use yew::prelude::*;

/// Something that can be taken.
#[derive(Clone, PartialEq)]
pub struct Suggestion {
    /// What is handed on.
    pub value: AttrValue,
    pub shown: Html,
    /// What tells it from others that look the same.
    pub note: AttrValue,
}

#[derive(Properties, PartialEq)]
pub struct Props {
    pub id: AttrValue,
    pub label: AttrValue,
    #[prop_or_default]
    pub placeholder: AttrValue,
    /// What completes a text.
    pub suggest: Callback<AttrValue, Vec<Suggestion>>,
    pub onpick: Callback<AttrValue>,
}

#[component]
pub fn Complete(props: &Props) -> Html {
    let node = use_node_ref();
    let typed = use_state_eq(AttrValue::default);
    let chosen = use_state_eq(|| 0usize);
    let is_open = use_state_eq(|| false);
    let suggestions =
        use_memo((typed.clone(), props.suggest.clone()), |(typed, suggest)| suggest.emit((**typed).clone()));
    let is_shown = *is_open && !suggestions.is_empty();
    let take = {
        let (typed, is_open, onpick, node) = (typed.setter(), is_open.setter(), props.onpick.clone(), node.clone());
        Callback::from(move |value: AttrValue| {
            onpick.emit(value);
            typed.set(AttrValue::default());
            is_open.set(false);
            if let Some(input) = node.cast::<HtmlInputElement>() {
                input.set_value("");
            }
        })
    };
    let oninput = {
        let (typed, chosen, is_open) = (typed.setter(), chosen.setter(), is_open.setter());
        Callback::from(move |event: InputEvent| {
            if let Some(input) = event.target_dyn_into::<HtmlInputElement>() {
                typed.set(input.value().into());
                chosen.set(0);
                is_open.set(true);
            }
        })
    };
    let onkeydown = {
        let (chosen, is_open, take, suggestions) =
            (chosen.clone(), is_open.setter(), take.clone(), suggestions.clone());
        Callback::from(move |event: KeyboardEvent| {
            let last = suggestions.len().saturating_sub(1);
            match event.key().as_str() {
                "ArrowDown" => chosen.set((*chosen + 1).min(last)),
                "ArrowUp" => chosen.set(chosen.saturating_sub(1)),
                "Enter" => {
                    if let Some(suggestion) = suggestions.get(*chosen) {
                        take.emit(suggestion.value.clone());
                    }
                }
                "Escape" => is_open.set(false),
                _ => return,
            }
            event.prevent_default();
        })
    };
    let onblur = {
        let is_open = is_open.setter();
        Callback::from(move |_: FocusEvent| is_open.set(false))
    };
    let list = format!("{}-list", props.id);
    let option_id = |at: usize| format!("{list}-{at}");
    let option = |(at, suggestion): (usize, &Suggestion)| {
        let (take, value) = (take.clone(), suggestion.value.clone());
        // before the box loses the focus
        let onpointerdown = Callback::from(move |event: PointerEvent| {
            event.prevent_default();
            take.emit(value.clone());
        });
        html! {
            <li key={at} id={option_id(at)} role="option" aria-selected={(*chosen == at).to_string()} {onpointerdown}>
                { suggestion.shown.clone() }<small>{ &suggestion.note }</small>
            </li>
        }
    };
    html! {
        <div class="complete">
            <label for={props.id.clone()}>{ &props.label }</label>
            <input ref={node} id={props.id.clone()} type="text" role="combobox" autocomplete="off" autocapitalize="off" spellcheck="false"
                placeholder={props.placeholder.clone()} aria-expanded={is_shown.to_string()} aria-controls={list.clone()} aria-autocomplete="list"
                aria-activedescendant={is_shown.then(|| option_id(*chosen))} {oninput} {onkeydown} {onblur} />
            <ul id={list.clone()} role="listbox" aria-label={props.label.clone()} hidden={!is_shown}>
                if is_shown { { for suggestions.iter().enumerate().map(option) } }
            </ul>
        </div>
    }
}

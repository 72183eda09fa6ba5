//! A text box that completes what is typed: arrow keys choose, Enter takes what is chosen, or else what is typed, exactly
//! or not at all. Escape closes.

use web_sys::HtmlInputElement;
use yew::prelude::*;

use super::failure::Notice;
use crate::protocol::Failure;

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
    /// What stands for exactly the text that is typed, or why nothing does.
    pub exact: Callback<AttrValue, Result<AttrValue, String>>,
    pub onpick: Callback<AttrValue>,
}

#[component]
pub fn Complete(props: &Props) -> Html {
    let node = use_node_ref();
    let typed = use_state_eq(AttrValue::default);
    let chosen = use_state_eq(|| None::<usize>);
    let refused = use_state_eq(|| None::<Failure>);
    let is_open = use_state_eq(|| false);
    let suggestions =
        use_memo((typed.clone(), props.suggest.clone()), |(typed, suggest)| suggest.emit((**typed).clone()));
    let is_shown = *is_open && !suggestions.is_empty();
    // what is typed in full is chosen as it stands
    let same = suggestions.first().filter(|first| props.exact.emit((*typed).clone()).as_ref() == Ok(&first.value));
    let chosen_now = chosen.or(same.map(|_| 0)).filter(|_| is_shown);
    let take = {
        let (typed, is_open, refused) = (typed.setter(), is_open.setter(), refused.setter());
        let (onpick, node) = (props.onpick.clone(), node.clone());
        Callback::from(move |value: AttrValue| {
            onpick.emit(value);
            refused.set(None);
            typed.set(AttrValue::default());
            is_open.set(false);
            if let Some(input) = node.cast::<HtmlInputElement>() {
                input.set_value("");
            }
        })
    };
    let oninput = {
        let (typed, chosen, is_open, refused) = (typed.setter(), chosen.setter(), is_open.setter(), refused.setter());
        Callback::from(move |event: InputEvent| {
            if let Some(input) = event.target_dyn_into::<HtmlInputElement>() {
                typed.set(input.value().into());
                chosen.set(None);
                refused.set(None);
                is_open.set(true);
            }
        })
    };
    let onkeydown = {
        let (chosen, is_open, take, suggestions) =
            (chosen.setter(), is_open.setter(), take.clone(), suggestions.clone());
        let (typed, exact, refused) = ((*typed).clone(), props.exact.clone(), refused.setter());
        Callback::from(move |event: KeyboardEvent| {
            let last = suggestions.len().saturating_sub(1);
            match event.key().as_str() {
                "ArrowDown" => chosen.set(Some(chosen_now.map_or(0, |at| (at + 1).min(last)))),
                "ArrowUp" => chosen.set(chosen_now.map(|at| at.saturating_sub(1))),
                "Enter" => match chosen_now.and_then(|at| suggestions.get(at)) {
                    Some(suggestion) => take.emit(suggestion.value.clone()),
                    None if typed.is_empty() => {}
                    None => match exact.emit(typed.clone()) {
                        Ok(value) => take.emit(value),
                        Err(message) => refused.set(Some(Failure { code: "bad_option".into(), message })),
                    },
                },
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
    let notice = format!("{}-failure", props.id);
    let option_id = |at: usize| format!("{list}-{at}");
    let option = |(at, suggestion): (usize, &Suggestion)| {
        let (take, value) = (take.clone(), suggestion.value.clone());
        // before the box loses the focus
        let onpointerdown = Callback::from(move |event: PointerEvent| {
            event.prevent_default();
            take.emit(value.clone());
        });
        html! {
            <li key={at} id={option_id(at)} role="option" aria-selected={(chosen_now == Some(at)).to_string()} {onpointerdown}>
                { suggestion.shown.clone() }<small>{ &suggestion.note }</small>
            </li>
        }
    };
    html! {
        <div class="complete">
            <label for={props.id.clone()}>{ &props.label }</label>
            <input ref={node} id={props.id.clone()} type="text" role="combobox" autocomplete="off" autocapitalize="off" spellcheck="false"
                placeholder={props.placeholder.clone()} aria-expanded={is_shown.to_string()} aria-controls={list.clone()} aria-autocomplete="list"
                aria-activedescendant={chosen_now.map(option_id)}
                aria-describedby={notice.clone()} aria-invalid={refused.is_some().to_string()} {oninput} {onkeydown} {onblur} />
            <ul id={list.clone()} role="listbox" aria-label={props.label.clone()} hidden={!is_shown}>
                if is_shown { { for suggestions.iter().enumerate().map(option) } }
            </ul>
            <Notice id={notice} failure={(*refused).clone()} />
        </div>
    }
}

//! The edit bar: what is now changed in the model, and what the model says with it and without.

use web_sys::HtmlInputElement;
use yew::prelude::*;

use super::edit_row::EditRow;
use crate::app::format::{percent, signed};
use crate::app::state::{Action, Dispatch, Editing, Figure, Shared};
use crate::app::widgets::section::Section;
use crate::app::widgets::shown::Shown;
use crate::app::widgets::{failure::Notice, token};
use crate::link::{MAX_EDITS, View, read_edit};
use crate::protocol::{Failure, Generation, ModelInfo, Outcome, Token};

#[derive(Properties, PartialEq)]
pub struct Props {
    pub model: Option<Shared<ModelInfo>>,
    pub editing: Editing,
    /// Both tokens of the pair, once they are known.
    pub found: Option<[Token; 2]>,
    pub is_busy: bool,
    pub dispatch: Dispatch,
}

#[component]
pub fn Edits(props: &Props) -> Html {
    let editing = &props.editing;
    let refused = use_state_eq(|| None::<Failure>);
    let node = use_node_ref();
    let onsubmit = {
        let (refused, node, dispatch) = (refused.setter(), node.clone(), props.dispatch.clone());
        let has_room = editing.has_room();
        Callback::from(move |event: SubmitEvent| {
            event.prevent_default();
            let Some(input) = node.cast::<HtmlInputElement>() else { return };
            match read_edit(input.value().trim()) {
                Err(error) => refused.set(Some(Failure::from(&error))),
                Ok(_) if !has_room => refused.set(Some(full())),
                Ok(edit) => {
                    refused.set(None);
                    input.set_value("");
                    dispatch.dispatch(Action::Edit(edit));
                }
            }
        })
    };
    let run = |corrupted: bool, text: &'static str| {
        let dispatch = props.dispatch.clone();
        let onchange = Callback::from(move |_: Event| dispatch.dispatch(Action::EditCorrupted(corrupted)));
        html! {
            <label>
                <input type="radio" name="edited-run" checked={editing.corrupted == corrupted} {onchange} />
                <span>{ text }</span>
            </label>
        }
    };
    let caption = html! {
        "Changes made inside the model, one after the other, as it runs. Add them from the figures above, or type one; \
         what the model says follows each switch and slider."
    };
    let has_edits = !editing.edits.is_empty();
    html! {
        <Section view={View::Edits} title="Edits" {caption} is_busy={props.is_busy} dispatch={props.dispatch.clone()}>
            <div class="edits-grid">
                <div class="bar-of-edits">
                    <fieldset class="choice"><legend>{ "Edited run" }</legend>
                        { run(false, "in the clean prompt") }{ run(true, "in the corrupted prompt") }
                    </fieldset>
                    if has_edits {
                        <ol class="edit-list">
                            { for editing.edits.iter().enumerate().map(|(index, switched)| html! {
                                <EditRow key={index} {index} switched={switched.clone()} problem={editing.problem(index).cloned()} dispatch={props.dispatch.clone()} />
                            }) }
                        </ol>
                    } else {
                        <p class="empty-list">{ "No edits yet: the model runs as it was trained." }</p>
                    }
                    <form class="add-edit" {onsubmit}>
                        <label for="new-edit">{ "Add an edit" }</label>
                        <span class="with-button">
                            <input id="new-edit" ref={node} type="text" placeholder="2:92=*0@all" spellcheck="false" autocomplete="off"
                                autocapitalize="off" aria-describedby="edit-forms edit-failure" aria-invalid={refused.is_some().to_string()} />
                            <button type="submit">{ "Add" }</button>
                        </span>
                        <p class="forms" id="edit-forms">
                            <code>{ "2:92" }</code>{ " a neuron, " }<code>{ "2.h3" }</code>{ " a head, " }<code>{ "0.attn" }</code>{ ", " }
                            <code>{ "1.mlp" }</code>{ ", " }<code>{ "3.resid_pre" }</code>{ " a whole vector; then " }
                            <code>{ "=0" }</code>{ ", " }<code>{ "=+3" }</code>{ " added, " }<code>{ "=*2" }</code>{ " scaled, " }
                            <code>{ "=clean" }</code>{ " or " }<code>{ "=corrupted" }</code>{ " taken from that prompt; then " }
                            <code>{ "@all" }</code>{ ", " }<code>{ "@last" }</code>{ " or positions." }
                        </p>
                    </form>
                    <Notice id="edit-failure" failure={(*refused).clone().or_else(|| editing.edited.failure().filter(|_| has_edits))} />
                </div>
                <div class="outcomes">{ outcomes(props) }</div>
            </div>
        </Section>
    }
}

fn full() -> Failure {
    Failure { code: "bad_option".into(), message: format!("There are {MAX_EDITS} edits already. Remove one first.") }
}

/// Before and after, side by side.
fn outcomes(props: &Props) -> Html {
    let editing = &props.editing;
    if editing.edited.is_empty() || editing.edits.is_empty() {
        return html! { <p class="empty-list">{ "What the model says before and after will stand here." }</p> };
    }
    let names = |[a, b]: &[Token; 2]| format!("{} − {}", token::plain(&a.token), token::plain(&b.token));
    let names = props.found.as_ref().map_or_else(String::new, names);
    let outcome = |outcome: &Outcome| {
        html! {
            <>
                <p class="total"><span>{ "logit difference " }<span class="tok">{ names.clone() }</span></span><b>{ signed(outcome.diff) }</b></p>
                <ol>{ for outcome.top.iter().map(|candidate| html! {
                    <li>{ token::inline(&candidate.token) }<span class="bar"><i style={format!("--p:{:.4}", candidate.prob)} /></span>
                        <span class="figures">{ percent(candidate.prob) }</span></li>
                }) }</ol>
            </>
        }
    };
    let edited = editing.edited.current();
    let side = |title: &'static str, said: Option<&Outcome>, text: &Figure<Generation>| {
        html! {
            <div class="outcome-side">
                <h3>{ title }</h3>
                <Shown is_current={said.is_some()}>{ for said.map(outcome) }</Shown>
                <Shown tag="p" class="goes-on" is_current={text.is_current()}>
                    <span>{ "goes on" }</span>
                    if let Some(generation) = text.current() { <ins dir="auto">{ &generation.text }</ins> }
                </Shown>
            </div>
        }
    };
    html! {
        <>
        { side("As trained", edited.map(|edited| &edited.before), &editing.goes_on[0]) }
        { side("With the edits", edited.map(|edited| &edited.after), &editing.goes_on[1]) }
        <Notice id="goes-on-failure" failure={editing.goes_on[1].failure().or_else(|| editing.goes_on[0].failure())} />
        </>
    }
}

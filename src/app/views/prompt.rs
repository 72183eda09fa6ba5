//! The prompt box, and whether the prompt begins with the token that GPT-2 puts between documents.

use web_sys::HtmlInputElement;
use yew::prelude::*;

use crate::app::state::{Action, Dispatch, Shared, Typed};
use crate::app::widgets::typed::TextBox;
use crate::app::widgets::{failure::Notice, token};
use crate::protocol::{Failure, ModelInfo};

#[derive(Properties, PartialEq)]
pub struct Props {
    pub prompt: Typed,
    pub bos: bool,
    pub model: Option<Shared<ModelInfo>>,
    pub failure: Option<Failure>,
    pub dispatch: Dispatch,
}

#[component]
pub fn PromptBox(props: &Props) -> Html {
    let ontyped = {
        let dispatch = props.dispatch.clone();
        Callback::from(move |typed: Typed| dispatch.dispatch(Action::Prompt(typed)))
    };
    let onbos = {
        let dispatch = props.dispatch.clone();
        Callback::from(move |event: Event| {
            if let Some(input) = event.target_dyn_into::<HtmlInputElement>() {
                dispatch.dispatch(Action::Bos(input.checked()));
            }
        })
    };
    let reads_text = props.model.as_ref().is_none_or(|model| model.has_tokenizer);
    let bos = props.model.as_ref().map(|model| model.bos.clone());
    let has_bos = reads_text && !matches!(bos, Some(None));
    let bos_text = bos.flatten().map_or_else(|| "<|endoftext|>".to_owned(), |token| token.token);
    html! {
        <div class="prompt">
            <h2><label for="prompt">{ if reads_text { "Prompt" } else { "Prompt, as token ids" } }</label></h2>
            <label class="bos" title="GPT-2 was trained with this token between documents; the post starts every prompt with it.">
                <input type="checkbox" checked={props.bos && has_bos} disabled={!has_bos} onchange={onbos} />
                <span>{ "begins with " }{ token::inline(&bos_text) }</span>
            </label>
            <TextBox id="prompt" typed={props.prompt.clone()} {ontyped} is_tall=true described_by="prompt-failure"
                is_invalid={props.failure.is_some()} />
            <Notice id="prompt-failure" failure={props.failure.clone()} />
        </div>
    }
}

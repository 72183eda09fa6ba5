//! The prompt as the model reads it: one chip a token, shaded by how likely the model found it.

use std::ops::Range;

use gloo_timers::callback::Timeout;
use wasm_bindgen::JsCast;
use web_sys::Element;
use yew::prelude::*;

use crate::app::format::{number, percent, tokens};
use crate::app::state::{Figure, Shared};
use crate::app::widgets::cursor::{step_along, use_cursor};
use crate::app::widgets::shown::Shown;
use crate::app::widgets::token;
use crate::protocol::Prediction;

#[derive(Properties, PartialEq)]
pub struct Props {
    pub prediction: Figure<Prediction>,
}

/// Chips drawn in one go; a longer prompt gets its others in the tasks after, so that none of them is long.
const CHUNK: usize = 96;

#[component]
pub fn Tokens(props: &Props) -> Html {
    let drawn = use_state_eq(|| CHUNK);
    let count = props.prediction.current().map_or(0, |prediction| prediction.ids.len());

    let setter = drawn.setter();
    use_effect_with((*drawn, count), move |&(drawn, count)| {
        let timeout = (drawn < count).then(|| Timeout::new(0, move || setter.set(drawn + CHUNK)));
        move || drop(timeout)
    });

    let last = count.saturating_sub(1);
    let cursor = use_cursor(last, index_under, move |at, event| step_along(at, last, event), scroll_to);

    if props.prediction.is_empty() {
        return html! { <div class="tokens"><div class="chips placeholder" /><p class="readout" /></div> };
    }
    let Some(prediction) = props.prediction.current() else {
        return html! { <Shown class="tokens" is_current={false}>{ Html::default() }</Shown> };
    };
    let active = cursor.active.filter(|&at| at < count);
    let shown = (*drawn).min(count);
    let chunks = (0..shown).step_by(CHUNK).map(|from| {
        let range = from..(from + CHUNK).min(shown);
        let active = active.filter(|at| range.contains(at));
        html! { <Chunk key={from} prediction={prediction.clone()} {range} {active} /> }
    });
    html! {
        <Shown class="tokens" is_current=true>
            <div class="chips" role="listbox" tabindex="0" aria-label={format!("The prompt's {}", tokens(count))}
                aria-orientation="horizontal" aria-activedescendant={active.map(|at| format!("chip-{at}"))}
                onpointermove={cursor.onpointermove} onpointerdown={cursor.onpointerdown} onpointerleave={cursor.onpointerleave}
                onkeydown={cursor.onkeydown} onfocus={cursor.onfocus} onblur={cursor.onblur}>
                { for chunks }
            </div>
            <p class="readout">{ readout(prediction, active) }</p>
        </Shown>
    }
}

fn readout(prediction: &Prediction, active: Option<usize>) -> Html {
    let Some(at) = active else {
        let count = tokens(prediction.ids.len());
        return html! { <>{ count }{ ". The deeper the shade, the likelier the model found the token after those before it." }</> };
    };
    let (text, id) = (prediction.tokens.get(at).map_or("", String::as_str), prediction.ids.get(at).copied());
    let logprob = at.checked_sub(1).and_then(|before| prediction.logprobs.get(before));
    html! {
        <>
        { token::inline(text) }
        { format!(" at position {at}") }
        if let Some(id) = id { { format!(", id {id}: ") } }
        if let Some(&logprob) = logprob {
            { "log-probability " }<b>{ number(logprob) }</b>{ format!(" ({})", percent(logprob.exp())) }
        } else {
            { "nothing stands before it, so it has no probability." }
        }
        </>
    }
}

/// The chip under the pointer.
fn index_under(event: &PointerEvent) -> Option<usize> {
    let element: Element = event.target()?.dyn_into().ok()?;
    let id = element.closest(".chip").ok()??.id();
    id.strip_prefix("chip-")?.parse().ok()
}

fn scroll_to(at: usize) {
    let document = web_sys::window().and_then(|window| window.document());
    let chip = document.and_then(|document| document.get_element_by_id(&format!("chip-{at}")));
    if let Some(chip) = chip {
        let options = web_sys::ScrollIntoViewOptions::new();
        options.set_block(web_sys::ScrollLogicalPosition::Nearest);
        chip.scroll_into_view_with_scroll_into_view_options(&options);
    }
}

#[derive(Properties)]
struct ChunkProps {
    prediction: Shared<Prediction>,
    range: Range<usize>,
    active: Option<usize>,
}

impl PartialEq for ChunkProps {
    /// Equal when the same chips would be drawn: typing at a long prompt's end redraws its last chunk only.
    fn eq(&self, other: &Self) -> bool {
        let (a, b) = (&self.prediction, &other.prediction);
        let logprobs = |p: &Prediction, range: &Range<usize>| {
            p.logprobs.get(range.start.saturating_sub(1)..range.end.saturating_sub(1)).map(<[f32]>::to_vec)
        };
        self.range == other.range
            && self.active == other.active
            && (a == b
                || a.ids.get(self.range.clone()) == b.ids.get(self.range.clone())
                    && a.tokens.get(self.range.clone()) == b.tokens.get(self.range.clone())
                    && logprobs(a, &self.range) == logprobs(b, &self.range))
    }
}

#[component]
fn Chunk(props: &ChunkProps) -> Html {
    let prediction = &props.prediction;
    let chip = |at: usize| {
        let text = prediction.tokens.get(at).map_or("", String::as_str);
        let id = prediction.ids.get(at).copied().unwrap_or_default();
        let logprob = at.checked_sub(1).and_then(|before| prediction.logprobs.get(before));
        let share = logprob.map(|logprob| format!("--p:{:.3}", logprob.exp()));
        let is_active = props.active == Some(at);
        html! {
            <span class={classes!("chip", is_active.then_some("active"))} id={format!("chip-{at}")} role="option"
                aria-selected={is_active.to_string()} style={share} key={at}>
                { token::visible(text) }
                <small>{ id }</small>
            </span>
        }
    };
    html! { <>{ for props.range.clone().map(chip) }</> }
}

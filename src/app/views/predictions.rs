//! The likeliest next tokens; clicking one writes it into the prompt.

use yew::prelude::*;

use crate::app::format::{number, percent};
use crate::app::state::{Action, Dispatch, Figure};
use crate::app::widgets::shown::Shown;
use crate::app::widgets::token;
use crate::protocol::{Candidate, Prediction, Token};

#[derive(Properties, PartialEq)]
pub struct Props {
    pub prediction: Figure<Prediction>,
    pub dispatch: Dispatch,
}

#[component]
pub fn Predictions(props: &Props) -> Html {
    let figure = &props.prediction;
    use_effect_with(!figure.is_empty(), |&is_there| {
        if is_there {
            mark_first_prediction();
        }
    });
    let top = figure.current().map(|prediction| &prediction.top[..]).unwrap_or_default();
    html! {
        <section class="figure predictions" aria-labelledby="predictions-title" aria-busy={figure.is_working().to_string()}>
            <h2 id="predictions-title" translate="yes">{ "Next token" }</h2>
            <p class="caption" translate="yes">
                { "The softmax of the logits at the prompt's last position: the ten likeliest tokens of the whole \
                   vocabulary. Click one to write it into the prompt." }
            </p>
            <Shown class="candidates" is_current={figure.is_current()}>
                <div class="columns" aria-hidden="true">
                    <span>{ "token" }</span><span />
                    <span class="figures">{ "probability" }</span><span class="figures">{ "logit" }</span>
                </div>
                <ol>{ for top.iter().map(|candidate| row(candidate, &props.dispatch)) }</ol>
            </Shown>
        </section>
    }
}

fn row(candidate: &Candidate, dispatch: &Dispatch) -> Html {
    // some tokens are a part of a character's bytes: as text they would be something else
    let is_text = !candidate.token.contains('\u{fffd}');
    let onclick = {
        let (dispatch, token) = (dispatch.clone(), Token { id: candidate.id, token: candidate.token.clone() });
        Callback::from(move |_: MouseEvent| dispatch.dispatch(Action::Append(token.clone())))
    };
    let why_not = (!is_text).then_some("A part of a character's bytes: it can't be written into the prompt as text.");
    html! {
        <li>
            <button type="button" {onclick} disabled={!is_text} title={why_not}>
                // named by what is seen on it, and a few words between for those who listen
                <span class="name">{ token::visible(&candidate.token) }<small>{ candidate.id }</small></span>
                <span class="bar"><i style={format!("--p:{:.4}", candidate.prob)} /><span class="unseen">{ "probability" }</span></span>
                <span class="figures">{ percent(candidate.prob) }</span>
                <span class="figures logit">{ number(candidate.logit) }</span>
                <span class="unseen">{ "logits. Write it into the prompt" }</span>
            </button>
        </li>
    }
}

/// The mark that says when the first prediction was on the screen.
pub const FIRST_PREDICTION: &str = "first-prediction";

/// Leaves a mark once the browser has drawn the first predictions; tests and benchmarks read it.
fn mark_first_prediction() {
    let Some(window) = web_sys::window() else { return };
    let mark = wasm_bindgen::closure::Closure::once_into_js(|| {
        // this runs before the frame is drawn, and a task after it, when it has been
        gloo_timers::callback::Timeout::new(0, || {
            if let Some(performance) = web_sys::window().and_then(|window| window.performance()) {
                let _ = performance.mark(FIRST_PREDICTION);
            }
        })
        .forget();
    });
    let _ = window.request_animation_frame(wasm_bindgen::JsCast::unchecked_ref(&mark));
}

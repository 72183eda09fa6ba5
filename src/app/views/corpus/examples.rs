//! The contexts in which the neuron is highest, each token coloured by the activation.

use std::collections::BTreeMap;
use std::rc::Rc;

use yew::prelude::*;

use crate::app::client::Client;
use crate::app::format::whole;
use crate::app::state::{Action, Dispatch, Shared, Typed};
use crate::app::widgets::token::{quoted, visible};
use crate::protocol::{Answer, Candidate, ContextAnswer, Event, PredictOptions, Prompt, Request};

#[derive(Properties, PartialEq)]
pub struct Props {
    pub client: Client,
    pub contexts: Shared<Vec<ContextAnswer>>,
    /// Whether the pass is at its end: only then is the model asked about each context.
    pub is_whole: bool,
    pub dispatch: Dispatch,
}

/// By place in the list: what the model expects after the peak.
#[derive(Default, PartialEq)]
struct Predicted(BTreeMap<usize, Candidate>);

enum Told {
    New,
    One(usize, Candidate),
}

impl Reducible for Predicted {
    type Action = Told;

    fn reduce(self: Rc<Self>, told: Told) -> Rc<Self> {
        match told {
            Told::New => Rc::default(),
            Told::One(at, candidate) => {
                let mut all = self.0.clone();
                all.insert(at, candidate);
                Rc::new(Predicted(all))
            }
        }
    }
}

#[component]
pub fn Examples(props: &Props) -> Html {
    let predicted = use_reducer(Predicted::default);
    {
        let (client, dispatch) = (props.client.clone(), predicted.dispatcher());
        use_effect_with((props.contexts.clone(), props.is_whole), move |(contexts, is_whole)| {
            dispatch.dispatch(Told::New);
            let contexts = if *is_whole { &contexts[..] } else { &[] };
            for (at, context) in contexts.iter().enumerate() {
                let dispatch = dispatch.clone();
                let request =
                    Request::Predict(PredictOptions { prompt: Prompt::Ids(ids(context)), top: 1, no_bos: true });
                client.ask(None, request, move |event| {
                    if let Event::Done(Answer::Prediction(prediction)) = event
                        && let Some(first) = prediction.top.into_iter().next()
                    {
                        dispatch.dispatch(Told::One(at, first));
                    }
                });
            }
        });
    }
    let most = props.contexts.first().map_or(0.0, |first| first.value).max(f32::MIN_POSITIVE);
    let example = |(at, context): (usize, &ContextAnswer)| example(props, context, most, predicted.0.get(&at));
    html! {
        <>
            <h3 translate="yes">{ "Highest contexts, one a document" }</h3>
            <ol class="corpus-examples">{ for props.contexts.iter().enumerate().map(example) }</ol>
        </>
    }
}

/// Where the peak stands in the excerpt.
fn peak(context: &ContextAnswer) -> usize {
    (context.position.saturating_sub(context.context.from) as usize).min(context.context.ids.len().saturating_sub(1))
}

/// The excerpt up to the peak.
fn ids(context: &ContextAnswer) -> Vec<u32> {
    context.context.ids.iter().take(peak(context) + 1).copied().collect()
}

fn example(props: &Props, context: &ContextAnswer, most: f32, predicted: Option<&Candidate>) -> Html {
    let peak = peak(context);
    let excerpt = &context.context;
    let came = excerpt.tokens.get(peak + 1);
    // the first token of a document is the one that the prompt's box puts there by itself
    let skipped = usize::from(excerpt.from == 0);
    let text: String = excerpt.tokens.iter().take(peak + 1).skip(skipped).map(String::as_str).collect();
    let onclick = {
        let (dispatch, text) = (props.dispatch.clone(), AttrValue::from(text));
        Callback::from(move |_: MouseEvent| dispatch.dispatch(Action::Prompt(Typed::Text(text.clone()))))
    };
    let token = |(at, (token, value)): (usize, (&String, &f32))| {
        let style = format!("--p: {:.3}", value / most);
        let class = classes!("lit", (at == peak).then_some("peak"));
        html! { <span {class} {style} title={format!("{value:.3}")}>{ if at == peak { visible(token) } else { html! { { token } } } }</span> }
    };
    let tokens = excerpt.tokens.iter().zip(&excerpt.values).enumerate().map(token);
    let is_cut = excerpt.from > 0;
    html! {
        <li>
            <button type="button" class="context" {onclick} title="Make it the prompt">
                if is_cut { <span aria-hidden="true">{ "… " }</span> }
                { for tokens }
            </button>
            <p>
                <b>{ format!("{:.3}", context.value) }</b>
                { format!(" document {}, position {}", whole(context.document), context.position) }
                if let Some(predicted) = predicted {
                    { format!(" · the model expects {} ({:.0} %)", quoted(&predicted.token), predicted.prob * 100.0) }
                    if is_cut { { ", from this excerpt" } }
                }
                { came.map_or_else(|| " · the text ends here".to_owned(), |came| format!(" · then came {}", quoted(came))) }
            </p>
        </li>
    }
}

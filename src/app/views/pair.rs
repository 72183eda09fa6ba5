//! Two tokens to compare, and the model's logit difference between them.

use yew::prelude::*;

use crate::app::format::signed;
use crate::app::state::{Action, Dispatch, Figure, Lens, Typed};
use crate::app::widgets::shown::Shown;
use crate::app::widgets::typed::TextBox;
use crate::app::widgets::{failure::Notice, token};
use crate::protocol::Token;

#[derive(Properties, PartialEq)]
pub struct Props {
    pub pair: [Typed; 2],
    pub tokens: [Figure<Token>; 2],
    /// Its last point is the model's own difference.
    pub lens: Figure<Lens>,
    pub dispatch: Dispatch,
}

#[component]
pub fn Pair(props: &Props) -> Html {
    html! {
        <div class="pair">
            <TokenBox which={0} label="logit of" typed={props.pair[0].clone()} figure={props.tokens[0].clone()}
                dispatch={props.dispatch.clone()} />
            <TokenBox which={1} label="minus logit of" typed={props.pair[1].clone()} figure={props.tokens[1].clone()}
                dispatch={props.dispatch.clone()} />
            { difference(&props.lens) }
            <Notice id="pair-0-failure" failure={props.tokens[0].failure()} />
            <Notice id="pair-1-failure" failure={props.tokens[1].failure()} />
        </div>
    }
}

/// The figure, and in words which way it leans.
fn difference(lens: &Figure<Lens>) -> Html {
    let value = lens.current().and_then(|lens| Some((lens, *lens.points.own_ln.last()?)));
    let said = value.map(|(lens, value)| {
        let [first, second] = &lens.pair;
        let lean = match value {
            v if v > 0.0 => html! { <>{ "leans to " }{ token::inline(&first.token) }</> },
            v if v < 0.0 => html! { <>{ "leans to " }{ token::inline(&second.token) }</> },
            _ => html! { "leans to neither" },
        };
        html! {
            <><b>{ "= " }{ signed(value) }</b><span>{ lean }</span></>
        }
    });
    html! { <Shown class="difference" is_current={said.is_some()}>{ for said }</Shown> }
}

#[derive(Properties, PartialEq)]
struct BoxProps {
    which: usize,
    label: AttrValue,
    typed: Typed,
    figure: Figure<Token>,
    dispatch: Dispatch,
}

#[component]
fn TokenBox(props: &BoxProps) -> Html {
    let which = props.which;
    let ontyped = {
        let dispatch = props.dispatch.clone();
        Callback::from(move |typed: Typed| dispatch.dispatch(Action::Pair(which, typed)))
    };
    let id = format!("pair-{which}");
    let failure = props.figure.failure();
    html! {
        <div class="field">
            <label for={id.clone()}>{ &props.label }</label>
            <TextBox {id} typed={props.typed.clone()} {ontyped} described_by={format!("pair-{which}-failure")}
                is_invalid={failure.is_some()} />
            <Shown tag="span" class="found" is_current={props.figure.is_current()}>
                if let Some(found) = props.figure.current() {
                    <span class="chip">{ token::visible(&found.token) }<small>{ found.id }</small></span>
                }
            </Shown>
        </div>
    }
}

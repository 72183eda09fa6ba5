//! The logit lens: the pair's logit difference at every point of the residual stream, in both conventions.

use web_sys::HtmlInputElement;
use yew::prelude::*;

use super::pair::Pair;
use crate::app::charts::line::{Band, LineChart, Point, Series};
use crate::app::format;
use crate::app::state::{Action, Dispatch, Figure, Lens, Typed};
use crate::app::widgets::section::Heading;
use crate::app::widgets::shown::Shown;
use crate::app::widgets::{failure::Notice, token};
use crate::link::{LensShown, View};
use crate::protocol::{Failure, Token};

#[derive(Properties, PartialEq)]
pub struct Props {
    pub lens: Figure<Lens>,
    pub pair: [Typed; 2],
    pub tokens: [Figure<Token>; 2],
    pub shown: LensShown,
    /// What the prompt's own box says already.
    pub said: Option<Failure>,
    pub dispatch: Dispatch,
}

/// A way to turn a residual stream into logits.
pub struct Convention {
    pub name: &'static str,
    pub class: &'static str,
    pub explained: &'static str,
}

pub const FINAL: Convention = Convention {
    name: "final scale",
    class: "final",
    explained: "the post's notebook: every point divided by the last LayerNorm's scale in the real run, so what each \
                component adds shows at its true size",
};

pub const OWN: Convention = Convention {
    name: "own LayerNorm",
    class: "own",
    explained: "the classic lens: the last LayerNorm applied to each point by itself, as if the model ended there",
};

#[component]
pub fn LensFigure(props: &Props) -> Html {
    let show = match props.shown {
        LensShown::Both => [true, true],
        LensShown::Final => [true, false],
        LensShown::Own => [false, true],
        LensShown::Neither => [false, false],
    };
    let failure = props.lens.failure().filter(|failure| props.said.as_ref() != Some(failure));
    // without two tokens there is nothing to work out
    let is_working = props.lens.is_working() && props.tokens.iter().all(|token| token.failure().is_none());
    let toggles = [FINAL, OWN].into_iter().enumerate().map(|(which, convention)| {
        let dispatch = props.dispatch.clone();
        let onchange = Callback::from(move |event: Event| {
            let Some(input) = event.target_dyn_into::<HtmlInputElement>() else { return };
            let mut next = show;
            next[which] = input.checked();
            dispatch.dispatch(Action::LensShown(match next {
                [true, true] => LensShown::Both,
                [true, false] => LensShown::Final,
                [false, true] => LensShown::Own,
                [false, false] => LensShown::Neither,
            }));
        });
        html! {
            <label class={classes!("key", convention.class)}>
                <input type="checkbox" checked={show[which]} {onchange} />
                <svg width="30" height="10" aria-hidden="true"><line x1="0" x2="30" y1="5" y2="5" /><circle cx="15" cy="5" r="3" /></svg>
                <span><b>{ convention.name }</b>{ ": " }{ convention.explained }</span>
            </label>
        }
    });
    html! {
        <section class="figure lens" id={View::Lens.word()} aria-labelledby="lens-title" aria-busy={is_working.to_string()}>
            <Heading view={View::Lens} title="Logit lens" />
            <p class="caption" translate="yes">
                { "The logit difference of two tokens at the last position, read off the residual stream after every \
                   component as if it were the last." }
            </p>
            <Pair pair={props.pair.clone()} tokens={props.tokens.clone()} lens={props.lens.clone()} dispatch={props.dispatch.clone()} />
            <Shown class="plot" is_current={props.lens.is_current()}>
                { for props.lens.current().map(|lens| chart(lens, show)) }
            </Shown>
            <Notice id="lens-failure" {failure} />
            <fieldset class="keys"><legend>{ "Convention" }</legend>{ for toggles }</fieldset>
        </section>
    }
}

fn chart(lens: &Lens, show: [bool; 2]) -> Html {
    let [first, second] = &lens.pair;
    let lines = [(FINAL, &lens.points.final_ln), (OWN, &lens.points.own_ln)];
    let series: Vec<Series> = lines
        .into_iter()
        .zip(show)
        .filter(|(_, shown)| *shown)
        .map(|((convention, values), _)| Series {
            name: convention.name,
            class: convention.class,
            values: values.clone(),
        })
        .collect();
    let point = |(i, site): (usize, &String)| Point {
        name: format::component(i),
        short: if i == 0 {
            "embed"
        } else if i % 2 == 1 {
            "attn"
        } else {
            "mlp"
        },
        site: site.clone(),
    };
    let layers = lens.points.labels.len() / 2;
    let band = |layer: usize| Band { name: format!("L{layer}"), points: 2 * layer + 1..2 * layer + 3 };
    let (first, second) = (token::quoted(&first.token), token::quoted(&second.token));
    html! {
        <LineChart label={format!("Logit difference {first} minus {second}, by component; arrow keys move along it")}
            points={lens.points.labels.iter().enumerate().map(point).collect::<Vec<_>>()}
            bands={(0..layers).map(band).collect::<Vec<_>>()}
            {series} title={format!("logit difference: ↑ towards {first}, ↓ towards {second}")} />
    }
}

//! Two prompts to patch between: the box of the second, examples, and both side by side, their differences marked.

use yew::prelude::*;

use crate::app::format::{number, percent, signed};
use crate::app::presets::{PRESETS, answers_differ};
use crate::app::state::{Action, Dispatch, Figure, Patching, Typed};
use crate::app::widgets::section::Section;
use crate::app::widgets::select::Select;
use crate::app::widgets::shown::Shown;
use crate::app::widgets::typed::TextBox;
use crate::app::widgets::{failure::Notice, token};
use crate::link::View;
use crate::protocol::{Attribution, Failure, Prediction, Token};

#[derive(Properties, PartialEq)]
pub struct Props {
    pub prompt: Typed,
    pub pair: [Typed; 2],
    pub prediction: Figure<Prediction>,
    /// Both tokens of the pair, once they are known.
    pub found: Option<[Token; 2]>,
    pub patching: Patching,
    pub is_busy: bool,
    pub reads_text: bool,
    /// What the prompt's own box says already.
    pub said: Option<Failure>,
    pub dispatch: Dispatch,
}

#[component]
pub fn Prompts(props: &Props) -> Html {
    let patching = &props.patching;
    let failure = patching.contrast.failure().filter(|failure| props.said.as_ref() != Some(failure));
    let ontyped = {
        let dispatch = props.dispatch.clone();
        Callback::from(move |typed: Typed| dispatch.dispatch(Action::Corrupted(typed)))
    };
    let caption = html! {
        "What makes the model say one thing rather than the other? Give it a second prompt that differs in what matters, \
         then put activations of one run into the other: whatever turns the answer carries the difference."
    };
    html! {
        <Section view={View::Prompts} title="Two prompts" {caption} is_busy={props.is_busy} dispatch={props.dispatch.clone()}>
            if props.reads_text { { examples(props) } }
            <div class="corrupted">
                <label for="corrupted">{ "Corrupted prompt" }</label>
                <TextBox id="corrupted" typed={patching.corrupted.clone()} {ontyped} is_tall=true
                    described_by="corrupted-failure" is_invalid={failure.is_some()} />
                <Notice id="corrupted-failure" {failure} />
            </div>
            { contrast(props) }
            { direction(props) }
        </Section>
    }
}

/// The list of prompt pairs, and a note on the one chosen.
fn examples(props: &Props) -> Html {
    let patching = &props.patching;
    let is_here = |preset: &crate::app::presets::Preset| {
        (props.prompt.text(), patching.corrupted.text()) == (preset.clean, preset.corrupted)
            && props.pair[0].text() == preset.pair[0]
            && props.pair[1].text() == preset.pair[1]
    };
    let here = PRESETS.iter().position(is_here);
    let onchoice = {
        let dispatch = props.dispatch.clone();
        Callback::from(move |chosen: String| {
            if let Some(preset) = chosen.parse().ok().and_then(|index: usize| PRESETS.get(index)) {
                let (prompts, pair) = ([preset.clean, preset.corrupted], preset.pair);
                dispatch.dispatch(Action::Example { prompts, pair });
            }
        })
    };
    let option = |(i, preset): (usize, &crate::app::presets::Preset)| {
        html! { <option value={i.to_string()}>{ preset.name }</option> }
    };
    html! {
        <div class="examples">
            <label for="example">{ "Example" }</label>
            <Select id="example" value={here.map_or_else(String::new, |i| i.to_string())} {onchoice}>
                <option value="" disabled={here.is_some()} hidden={here.is_some()}>{ "Your own" }</option>
                { for PRESETS.iter().enumerate().map(option) }
            </Select>
            <p class="note">{ here.map_or("Your own prompts and tokens.", |i| PRESETS[i].note) }</p>
            { for here.and_then(|_| unknown(props)) }
        </div>
    }
}

/// What tells that the loaded model doesn't know an example: the clean prompt's answer should be the first token, and the
/// corrupted one's the second.
fn unknown(props: &Props) -> Option<Html> {
    let [clean, corrupted] = props.patching.attributions.each_ref().map(Figure::current);
    let (clean, corrupted, [first, second]) = (clean?.total, corrupted?.total, props.found.as_ref()?);
    if clean > 0.0 && corrupted < 0.0 {
        return None;
    }
    let what = if answers_differ(clean, corrupted) {
        html! { "it prefers the wrong token after either prompt. What is found below is about this model, not about the example." }
    } else {
        let answer = if clean > 0.0 || corrupted > 0.0 { first } else { second };
        html! { <>{ "it answers " }{ token::inline(&answer.token) }{ " to both prompts, so nothing below tells how it would choose." }</> }
    };
    Some(html! {
        <p class="unknown" role="status"><b>{ "The model loaded doesn’t know this example: " }</b>{ what }
            { format!(" (logit differences {} and {})", signed(clean), signed(corrupted)) }</p>
    })
}

/// Both prompts' tokens, likeliest next tokens and logit differences.
fn contrast(props: &Props) -> Html {
    let (clean, corrupted) = (&props.prediction, &props.patching.contrast);
    let both = clean.current().zip(corrupted.current());
    let differing = both.map_or_else(Default::default, |(clean, corrupted)| differing(&clean.ids, &corrupted.ids));
    let pair = &props.found;
    let title = pair
        .as_ref()
        .map(|[first, second]| format!("{} − {}", token::plain(&first.token), token::plain(&second.token)));
    let side = |which: usize, name: &'static str, figure: &Figure<Prediction>, attribution: &Figure<Attribution>| {
        let total = figure.current().zip(attribution.current()).zip(pair.as_ref());
        let total = total.map(|((prediction, attribution), pair)| {
            html! {
                <>
                <span>{ "logit difference " }<span class="tok">{ title.clone() }</span></span>
                <b>{ signed(attribution.total) }</b>
                <span class="parts">{ logits(pair, prediction, attribution.total) }</span>
                </>
            }
        });
        html! {
            <div class="side">
                <h3>{ name }</h3>
                <Shown class="side-body" is_current={figure.is_current()}>
                    if let Some(prediction) = figure.current() {
                        { tokens(prediction, &differing[which]) }
                        <div class="says">
                            <ol>{ for prediction.top.iter().take(3).map(|candidate| html! {
                                <li>{ token::inline(&candidate.token) }<span class="figures">{ percent(candidate.prob) }</span></li>
                            }) }</ol>
                            <Shown tag="p" class="total" is_current={total.is_some()}>{ for total }</Shown>
                        </div>
                    }
                </Shown>
            </div>
        }
    };
    let attributions = &props.patching.attributions;
    html! {
        <div class="sides">
            { side(0, "Clean: the prompt above", clean, &attributions[0]) }
            { side(1, "Corrupted", corrupted, &attributions[1]) }
            { lengths(clean, corrupted) }
        </div>
    }
}

/// Both tokens' logits, where one of them is among the likeliest: the other's follows from the difference.
fn logits(pair: &[Token; 2], prediction: &Prediction, difference: f32) -> Option<String> {
    let found = |token: &Token| prediction.top.iter().find(|candidate| candidate.id == token.id);
    let first = found(&pair[0]).map(|candidate| candidate.logit);
    let second = found(&pair[1]).map(|candidate| candidate.logit);
    let first = first.or(second.map(|second| second + difference))?;
    Some(format!("{} − {}", number(first), number(first - difference)))
}

/// What can be patched between prompts of different length.
fn lengths(clean: &Figure<Prediction>, corrupted: &Figure<Prediction>) -> Html {
    let (Some(clean), Some(corrupted)) = (clean.current(), corrupted.current()) else { return html! {} };
    let (a, b) = (clean.ids.len(), corrupted.ids.len());
    if a == b {
        return html! {};
    }
    html! {
        <p class="lengths">
            { format!("The prompts have {a} and {b} tokens. Their common beginning and their common end stand for each other; \
                what lies between has no counterpart, so it can't be patched position by position.") }
        </p>
    }
}

/// More letters than these may not all be in sight, on the narrowest of screens.
const MOST_LETTERS: usize = 240;

/// A prompt's tokens in running text, those that differ marked.
fn tokens(prediction: &Prediction, differing: &[bool]) -> Html {
    // a prompt of a thousand tokens would make a wall of text: the ends tell
    const MOST: usize = 160;
    let count = prediction.tokens.len();
    let shown = |i: usize| count <= MOST || i < MOST / 2 || i + MOST / 2 >= count || differing[i];
    let one = |(i, text): (usize, &String)| {
        if !shown(i) {
            return if shown(i - 1) {
                html! { <span class="gap">{ "…" }</span> }
            } else {
                html! {}
            };
        }
        let text = token::visible(text);
        if differing.get(i).copied().unwrap_or(false) {
            html! { <mark>{ text }</mark> }
        } else {
            html! { <span>{ text }</span> }
        }
    };
    // long text scrolls, by the keys too
    let letters: usize = prediction.tokens.iter().map(String::len).sum();
    let scrolls = (letters > MOST_LETTERS).then_some("0");
    html! { <p class="running" tabindex={scrolls}>{ for prediction.tokens.iter().enumerate().map(one) }</p> }
}

/// Which tokens of each prompt have no like in the other: position by position where both are as long, else what lies
/// between the common beginning and the common end.
pub fn differing(clean: &[u32], corrupted: &[u32]) -> [Vec<bool>; 2] {
    if clean.len() == corrupted.len() {
        let differ: Vec<bool> = clean.iter().zip(corrupted).map(|(a, b)| a != b).collect();
        return [differ.clone(), differ];
    }
    let start = clean.iter().zip(corrupted).take_while(|(a, b)| a == b).count();
    let end = clean.iter().rev().zip(corrupted.iter().rev()).take_while(|(a, b)| a == b).count();
    let end = end.min(clean.len().min(corrupted.len()) - start);
    let between = |len: usize| (0..len).map(|i| i >= start && i + end < len).collect();
    [between(clean.len()), between(corrupted.len())]
}

/// Which run is patched with the other's activations.
fn direction(props: &Props) -> Html {
    let choice = |reversed: bool, text: &'static str| {
        let dispatch = props.dispatch.clone();
        let onchange = Callback::from(move |_: Event| dispatch.dispatch(Action::Reversed(reversed)));
        html! {
            <label>
                <input type="radio" name="direction" checked={props.patching.reversed == reversed} {onchange} />
                <span>{ text }</span>
            </label>
        }
    };
    html! {
        <fieldset class="choice directions">
            <legend>{ "Direction" }</legend>
            { choice(false, "clean into corrupted: what brings the clean answer back") }
            { choice(true, "corrupted into clean: what breaks it") }
        </fieldset>
    }
}

//! One edit of the edit bar: its switch, what it changes, how, by how much, and a button that removes it.

use web_sys::HtmlInputElement;
use yew::prelude::*;

use super::congruence::to_weights;
use crate::app::format::number;
use crate::app::state::{Action, Dispatch};
use crate::app::widgets::failure::Notice;
use crate::app::widgets::select::Select;
use crate::engine::edit::{EditText, Part, TextChange, TextPositions};
use crate::engine::site::{BlockSite, Site};
use crate::link::Switched;
use crate::protocol::Failure;

#[derive(Properties, PartialEq)]
pub struct Props {
    pub index: usize,
    pub switched: Switched,
    /// Why it can't be made, if it can't.
    pub problem: Option<Failure>,
    pub dispatch: Dispatch,
}

#[component]
pub fn EditRow(props: &Props) -> Html {
    let Switched { edit, on } = &props.switched;
    let (index, dispatch) = (props.index, props.dispatch.clone());
    let name = place(edit);
    let onswitch = {
        let dispatch = dispatch.clone();
        Callback::from(move |event: Event| {
            if let Some(input) = event.target_dyn_into::<HtmlInputElement>() {
                dispatch.dispatch(Action::SwitchEdit(index, input.checked()));
            }
        })
    };
    let onkind = {
        let dispatch = dispatch.clone();
        Callback::from(move |word: String| {
            if let Some(kind) = KINDS.iter().find(|kind| kind.word == word) {
                dispatch.dispatch(Action::ChangeEdit(index, kind.first));
            }
        })
    };
    let kind = kind_of(edit.change);
    let slide = |to: ToChange| {
        let dispatch = dispatch.clone();
        Callback::from(move |event: InputEvent| {
            let value = event.target_dyn_into::<HtmlInputElement>().map(|input| input.value_as_number() as f32);
            if let Some(value) = value.filter(|value| value.is_finite()) {
                dispatch.dispatch(Action::ChangeEdit(index, to(value)));
            }
        })
    };
    let slider = amount(edit.change).map(|(value, to)| {
        // a value typed beyond the usual ends stretches the slider
        let (low, high) = (kind.range.0.min(value), kind.range.1.max(value));
        html! {
            <>
            <input type="range" min={low.to_string()} max={high.to_string()} step="0.05" value={value.to_string()} oninput={slide(to)}
                aria-label={format!("{name}: {}", kind.text)} aria-valuetext={number(value)} />
            <output>{ kind.sign }{ number(value) }</output>
            </>
        }
    });
    let weights = match (&edit.site, &edit.part) {
        (Site::Block(layer, BlockSite::MlpPost), Part::Neuron(neuron)) => Some(html! {
            <button type="button" class="link" onclick={to_weights(&dispatch, (*layer, *neuron))}>{ "Its weights" }</button>
        }),
        _ => None,
    };
    let onremove = Callback::from(move |_: MouseEvent| dispatch.dispatch(Action::RemoveEdit(index)));
    html! {
        <li class={classes!("edit", (!on).then_some("off"), props.problem.is_some().then_some("unusable"))}>
            <label class="switch">
                <input type="checkbox" role="switch" checked={*on} onchange={onswitch} aria-label={format!("{name} on")} />
                <span><b>{ name.clone() }</b><small>{ at(edit) }</small></span>
            </label>
            <Select label={format!("What is done to {name}")} value={kind.word} onchoice={onkind}>
                { for KINDS.iter().map(|each| html! { <option value={each.word}>{ each.text }</option> }) }
            </Select>
            <span class="slider">
                { slider }
                if edit.change == TextChange::Mean { <small>{ "over the examples’ prompts" }</small> }
            </span>
            <button type="button" class="small remove" aria-label={format!("Remove {name}")} title="Remove" onclick={onremove}>{ "×" }</button>
            <code>{ edit.to_string() }</code>
            { weights }
            <Notice id={format!("edit-{index}-failure")} failure={props.problem.clone()} />
        </li>
    }
}

/// A way to change a value.
struct Kind {
    word: &'static str,
    text: &'static str,
    /// Before the amount.
    sign: &'static str,
    /// What it begins with when it is chosen.
    first: TextChange,
    range: (f32, f32),
}

const KINDS: [Kind; 6] = [
    Kind { word: "clean", text: "from clean", sign: "", first: TextChange::Clean, range: (0.0, 0.0) },
    Kind { word: "corrupted", text: "from corrupted", sign: "", first: TextChange::Corrupted, range: (0.0, 0.0) },
    Kind { word: "scale", text: "scaled", sign: "× ", first: TextChange::Scale(0.0), range: (-2.0, 3.0) },
    Kind { word: "add", text: "added to", sign: "+ ", first: TextChange::Add(3.0), range: (-10.0, 10.0) },
    Kind { word: "mean", text: "at its mean", sign: "", first: TextChange::Mean, range: (0.0, 0.0) },
    Kind { word: "set", text: "set", sign: "= ", first: TextChange::Set(0.0), range: (-5.0, 10.0) },
];

fn kind_of(change: TextChange) -> &'static Kind {
    match change {
        TextChange::Clean => &KINDS[0],
        TextChange::Corrupted => &KINDS[1],
        TextChange::Scale(_) => &KINDS[2],
        TextChange::Add(_) => &KINDS[3],
        TextChange::Mean => &KINDS[4],
        TextChange::Set(_) => &KINDS[5],
    }
}

/// A change by an amount.
type ToChange = fn(f32) -> TextChange;

/// What the slider moves, and how to put it back.
fn amount(change: TextChange) -> Option<(f32, ToChange)> {
    match change {
        TextChange::Clean | TextChange::Corrupted | TextChange::Mean => None,
        TextChange::Scale(value) => Some((value, TextChange::Scale)),
        TextChange::Add(value) => Some((value, TextChange::Add)),
        TextChange::Set(value) => Some((value, TextChange::Set)),
    }
}

/// The edited place in words.
fn place(edit: &EditText) -> String {
    match (edit.site, edit.part) {
        (Site::Block(layer, BlockSite::MlpPost), Part::Neuron(neuron)) => format!("L{layer} N{neuron}"),
        (Site::Block(layer, BlockSite::Z), Part::Head(head)) => format!("L{layer} head {head}"),
        (Site::Block(layer, BlockSite::AttnOut), Part::Whole) => format!("L{layer} attention"),
        (Site::Block(layer, BlockSite::MlpOut), Part::Whole) => format!("L{layer} MLP"),
        (Site::Block(layer, BlockSite::ResidPre), Part::Whole) => format!("stream before L{layer}"),
        (Site::Block(layer, BlockSite::ResidPost), Part::Whole) => format!("stream after L{layer}"),
        (site, Part::Whole) => site.to_string(),
        (site, Part::Head(index) | Part::Neuron(index)) => format!("{site}[{index}]"),
    }
}

fn at(edit: &EditText) -> String {
    match &edit.at {
        TextPositions::All => "all positions".to_owned(),
        TextPositions::Last => "last position".to_owned(),
        TextPositions::These(these) => {
            let these: Vec<String> = these.iter().map(usize::to_string).collect();
            format!("position{} {}", if these.len() == 1 { "" } else { "s" }, these.join(", "))
        }
    }
}

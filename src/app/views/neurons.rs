//! Every neuron of a layer, or of all layers, patched one by one: a scatter, the list of what stands out, one looked at.

use yew::prelude::*;

use super::maps::runs;
use super::neuron_card::NeuronCard;
use crate::app::charts::scatter::{Points, Scatter};
use crate::app::format::{share, signed, whole};
use crate::app::presets::answers_differ;
use crate::app::state::{Action, Dispatch, Patched, Patching, Shared, Sweep};
use crate::app::widgets::section::Section;
use crate::app::widgets::select::Select;
use crate::app::widgets::shown::Shown as Answer;
use crate::app::widgets::{failure::Notice, sweep};
use crate::link::{Layer, Order, View};
use crate::protocol::{ModelInfo, Neurons};

#[derive(Properties, PartialEq)]
pub struct Props {
    pub model: Option<Shared<ModelInfo>>,
    pub patching: Patching,
    pub is_busy: bool,
    pub dispatch: Dispatch,
}

/// Names written into the scatter, and rows of the list beside it.
const NAMED: usize = 5;
const LISTED: usize = 8;

/// A layer and a number in it.
pub type Neuron = (usize, usize);

/// The sweep and the neurons that its figures belong to.
#[derive(Clone, PartialEq)]
struct Shown {
    sweep: Shared<Sweep<Neurons>>,
    first_layer: usize,
    d_mlp: usize,
}

impl Shown {
    fn of(patching: &Patching) -> Option<Self> {
        let sweep = patching.neurons.current()?.clone();
        let d_mlp = sweep.columns();
        let first_layer = match patching.shown_layer {
            Some(Layer::One(layer)) => layer,
            // all layers begin with the first
            Some(Layer::All) | None => 0,
        };
        Some(Shown { sweep, first_layer, d_mlp })
    }

    fn neuron(&self, index: usize) -> Neuron {
        (self.first_layer + index / self.d_mlp, index % self.d_mlp)
    }

    fn index(&self, (layer, neuron): Neuron) -> Option<usize> {
        let row = layer.checked_sub(self.first_layer)?;
        let index = row * self.d_mlp + neuron;
        (neuron < self.d_mlp && index < self.sweep.values().len()).then_some(index)
    }

    fn name(&self, index: usize) -> String {
        let (layer, neuron) = self.neuron(index);
        format!("L{layer} N{neuron}")
    }

    /// Whether the two runs answer differently: a neuron that stands out between runs that don't has carried no answer.
    fn is_finding(&self) -> bool {
        answers_differ(self.sweep.answer.clean, self.sweep.answer.corrupted)
    }

    fn is_all(&self) -> bool {
        self.sweep.values().len() > self.d_mlp
    }

    fn points(&self, order: Order) -> Points {
        let y = self.sweep.values().to_vec();
        let exact = (0..y.len()).map(|i| self.sweep.is_exact(i)).collect();
        let x = match order {
            Order::Index => (0..y.len()).map(|i| i as f32).collect(),
            Order::Direct => self.sweep.answer.direct_share.values.0.clone(),
            Order::Value => {
                let mut ranked: Vec<usize> = (0..y.len()).collect();
                ranked.sort_by(|&a, &b| y[b].total_cmp(&y[a]));
                let mut ranks = vec![0.0; y.len()];
                ranked.into_iter().enumerate().for_each(|(rank, i)| ranks[i] = rank as f32 + 1.0);
                ranks
            }
        };
        Points::new(x, y, exact)
    }
}

#[component]
pub fn NeuronsFigure(props: &Props) -> Html {
    let patching = &props.patching;
    let (from, into) = runs(patching);
    let shown = Shown::of(patching);
    let points = use_memo((shown.clone(), patching.order), |(shown, order)| {
        shown.as_ref().map(|shown| Shared::new(shown.points(*order)))
    });
    let caption = html! {
        { format!("Each point is one MLP neuron: the {into} run with this neuron's activations, at all positions, taken from the {from} \
            run. Faint points are first-order estimates; each becomes solid when its exact figure has come.") }
    };
    let is_current = shown.is_some();
    let card = shown.as_ref().and_then(|shown| Some((shown, shown.index(patching.neuron?)?)));
    let failure = patching.neurons.failure();
    html! {
        <Section view={View::Neurons} title="Neurons" {caption} is_busy={props.is_busy} dispatch={props.dispatch.clone()}>
            { controls(props) }
            <Notice id="neurons-failure" {failure} />
            { start(props) }
            <Answer class="neurons-body" {is_current}>
                if let (Some(shown), Some(points)) = (&shown, &*points) {
                    <div class="neurons-plot">
                        { scatter(props, shown, points) }
                        { sweep::status(&patching.neurons, Patched::Neurons, &props.dispatch) }
                    </div>
                    { outliers(props, shown, points) }
                }
            </Answer>
            <Answer {is_current}>
                if let Some((shown, index)) = card {
                    <NeuronCard neuron={shown.neuron(index)} sweep={shown.sweep.clone()} {index} reversed={patching.reversed}
                        dispatch={props.dispatch.clone()} />
                }
            </Answer>
        </Section>
    }
}

/// Which layer, and in which order.
fn controls(props: &Props) -> Html {
    let patching = &props.patching;
    let n_layer = props.model.as_ref().map_or(0, |model| model.config.n_layer);
    let onlayer = {
        let dispatch = props.dispatch.clone();
        Callback::from(move |chosen: String| dispatch.dispatch(Action::Layer(chosen.parse().ok())))
    };
    let order = |order: Order, text: &'static str| {
        let dispatch = props.dispatch.clone();
        let onchange = Callback::from(move |_: Event| dispatch.dispatch(Action::Order(order)));
        html! {
            <label>
                <input type="radio" name="neuron-order" checked={patching.order == order} {onchange} />
                <span>{ text }</span>
            </label>
        }
    };
    let shown = match patching.shown_layer {
        None => String::new(),
        Some(Layer::One(layer)) => layer.to_string(),
        Some(Layer::All) => "all".to_owned(),
    };
    html! {
        <div class="neuron-controls">
            <label for="neuron-layer">{ "Layer" }</label>
            <Select id="neuron-layer" value={shown} onchoice={onlayer}>
                if patching.shown_layer.is_none() { <option value="">{ "…" }</option> }
                { for (0..n_layer).map(|layer| html! { <option value={layer.to_string()}>{ layer }</option> }) }
                <option value="all">{ "all layers" }</option>
            </Select>
            <fieldset class="choice">
                <legend>{ "Order" }</legend>
                { order(Order::Index, "by number") }
                { order(Order::Value, "by effect") }
                { order(Order::Direct, "total against direct effect") }
            </fieldset>
        </div>
    }
}

/// The sweep of every layer waits for its button.
fn start(props: &Props) -> Html {
    let patching = &props.patching;
    if patching.shown_layer != Some(Layer::All) || patching.all_asked || patching.neurons.is_current() {
        return html! {};
    }
    let Some(model) = &props.model else { return html! {} };
    let runs = (model.config.n_layer * model.config.d_mlp) as u64;
    let dispatch = props.dispatch.clone();
    let onclick = Callback::from(move |_: MouseEvent| dispatch.dispatch(Action::AllLayers));
    html! {
        <p class="start">
            <button type="button" class="primary" {onclick}>{ format!("Patch all {} neurons", whole(runs)) }</button>
            <span>{ "Estimates come at once. The exact figures of a large model take minutes; you can stop them at any time." }</span>
        </p>
    }
}

fn scatter(props: &Props, shown: &Shown, points: &Shared<Points>) -> Html {
    let patching = &props.patching;
    let describe = {
        let shown = shown.clone();
        Callback::from(move |i: usize| {
            let value = shown.sweep.values().get(i).copied().unwrap_or(f32::NAN);
            let direct = shown.sweep.answer.direct_share.values.0.get(i).copied().unwrap_or(f32::NAN);
            let kind = if shown.sweep.is_exact(i) { "brings back" } else { "brings back about" };
            format!("{}: {kind} {}, directly {}", shown.name(i), share(value), share(direct))
        })
    };
    let onpick = {
        let (dispatch, shown) = (props.dispatch.clone(), shown.clone());
        Callback::from(move |i: usize| dispatch.dispatch(Action::Neuron(Some(shown.neuron(i)))))
    };
    let most = if shown.is_finding() { NAMED } else { 0 };
    let named: Vec<(usize, String)> = points.outliers().take(most).map(|i| (i, shown.name(i))).collect();
    let x_title = match patching.order {
        Order::Index if shown.is_all() => "layer",
        Order::Index => "neuron",
        Order::Value => "rank by effect",
        Order::Direct => "direct effect, through the unembedding alone",
    };
    let d_mlp = shown.d_mlp;
    let layers = shown.sweep.values().len() / d_mlp;
    let every = layers.div_ceil(12).max(1);
    let x_marks: Vec<(f64, String)> = if patching.order == Order::Index && shown.is_all() {
        (0..layers).step_by(every).map(|layer| (((layer * d_mlp) as f64), format!("L{layer}"))).collect()
    } else {
        Vec::new()
    };
    let x_text = {
        let (order, shown) = (patching.order, shown.clone());
        Callback::from(move |value: f64| match order {
            Order::Direct if value.abs() < 1e-12 => "0".to_owned(),
            Order::Direct => share(value as f32),
            _ if value < 0.0 || value.fract() != 0.0 || value >= shown.sweep.values().len() as f64 + 1.0 => {
                String::new()
            }
            Order::Index if shown.is_all() => shown.name(value as usize),
            _ => whole(value as u64),
        })
    };
    let key = format!("{}-{}-{}", patching.order.word(), shown.first_layer, layers);
    html! {
        <Scatter {key} label="Neurons by share brought back; left and right go along the axis, up and down to the next larger and smaller, Enter looks at one"
            points={points.clone()} {named} selected={patching.neuron.and_then(|neuron| shown.index(neuron))}
            titles={[AttrValue::from(x_title), AttrValue::from("share of the logit difference brought back by one neuron")]}
            {x_marks} {x_text} {describe} {onpick} act="Look at it" />
    }
}

/// Why no neuron is named.
fn same_answer(answer: &Neurons) -> String {
    let which = if answer.clean > 0.0 { "first" } else { "second" };
    format!(
        "Both prompts have the same answer, the {which} of the two tokens (logit differences {} and {}): no neuron turns it, so none is \
         named here as the strongest.",
        signed(answer.clean),
        signed(answer.corrupted)
    )
}

/// The neurons that do most, in a list.
fn outliers(props: &Props, shown: &Shown, points: &Points) -> Html {
    let row = |i: usize| {
        let onclick = {
            let (dispatch, neuron) = (props.dispatch.clone(), shown.neuron(i));
            Callback::from(move |_: MouseEvent| dispatch.dispatch(Action::Neuron(Some(neuron))))
        };
        let is_selected = props.patching.neuron == Some(shown.neuron(i));
        let (value, direct) =
            (shown.sweep.values()[i], shown.sweep.answer.direct_share.values.0.get(i).copied().unwrap_or(f32::NAN));
        html! {
            <li key={i}>
                <button type="button" {onclick} aria-pressed={is_selected.to_string()}>
                    <span>{ shown.name(i) }</span>
                    <span class={classes!("figures", (!shown.sweep.is_exact(i)).then_some("estimate"))}>{ share(value) }</span>
                    <span class="figures direct">{ share(direct) }</span>
                </button>
            </li>
        }
    };
    if !shown.is_finding() {
        return html! { <div class="outliers"><p class="no-finding">{ same_answer(&shown.sweep.answer) }</p></div> };
    }
    html! {
        <div class="outliers">
            <div class="columns" aria-hidden="true">
                <span>{ "strongest" }</span><span class="figures">{ "total" }</span><span class="figures">{ "direct" }</span>
            </div>
            <ol>{ for points.outliers().take(LISTED).map(row) }</ol>
        </div>
    }
}

//! The neuron on real text: where it is highest, whether the token follows its activation, and whether congruence says
//! so beforehand.

mod agreement;
mod curve;
mod examples;
mod pass;

use web_sys::{Event as DomEvent, FileList, HtmlInputElement, HtmlSelectElement};
use yew::prelude::*;

use crate::app::client::Client;
use crate::app::congruence::typed_neuron;
use crate::app::corpora::{data_file, dropped_file};
use crate::app::format::{duration, share_short, whole};
use crate::app::state::{Dispatch, Shared};
use crate::app::widgets::failure::Notice;
use crate::protocol::{CorpusOptions, CorpusProgress, DataFile, LayersArgument, ModelInfo};
use agreement::Agreement;
use curve::{Curve, Histogram, Line};
use examples::Examples;
use pass::{Stage, use_pass};

#[derive(Properties, PartialEq)]
pub struct Props {
    pub client: Client,
    pub model: Option<Shared<ModelInfo>>,
    /// The neuron looked at elsewhere on the page, if any.
    pub neuron: Option<(usize, usize)>,
    /// The first of the pair of tokens.
    pub token: AttrValue,
    pub dispatch: Dispatch,
}

/// Which documents are read, and how.
#[derive(Clone, PartialEq)]
pub struct Reading {
    /// A corpus of the site's, unless there are files.
    built_in: &'static str,
    files: Vec<DataFile>,
    pack: bool,
    share: f64,
    seed: u64,
}

impl Reading {
    pub fn files(&self) -> Vec<DataFile> {
        let built_in = || data_file(&self.built_in.into()).into_iter().collect();
        if self.files.is_empty() { built_in() } else { self.files.clone() }
    }

    pub fn options(&self, neurons: Vec<String>, layers: Option<LayersArgument>) -> CorpusOptions {
        let Reading { pack, share, seed, .. } = *self;
        CorpusOptions { neurons, layers, pack, share, seed, ..CorpusOptions::default() }
    }
}

#[component]
pub fn CorpusFigure(props: &Props) -> Html {
    let reading = use_state(|| Reading { built_in: "demo", files: Vec::new(), pack: false, share: 1.0, seed: 0 });
    let neuron = use_state(|| None::<AttrValue>);
    let token = use_state(|| None::<AttrValue>);
    let pass = use_pass(&props.client);

    let is_demo = props.model.as_ref().is_some_and(|model| model.name == "demo");
    // where none has been chosen: the demo's neuron for " a"
    let chosen = props.neuron.or(is_demo.then_some((1, 220)));
    let suggested = chosen.map_or_else(|| "0:0".into(), |(layer, neuron)| AttrValue::from(format!("{layer}:{neuron}")));
    let neuron_text = (*neuron).clone().unwrap_or(suggested);
    let is_suggested = props.neuron.is_none() && is_demo && neuron.is_none();
    let its_token = if is_suggested { AttrValue::from(" a") } else { props.token.clone() };
    let token_text = (*token).clone().unwrap_or(its_token);
    let run = {
        let (pass, reading) = (pass.clone(), reading.clone());
        let (neuron, token) = (neuron_text.clone(), token_text.clone());
        move |resume: bool| {
            let pair = match typed_neuron(&neuron) {
                (Some(layer), Some(neuron)) => format!("{layer}:{neuron}:{token}"),
                // the worker says what is wrong with it
                _ => format!("{neuron}:{token}"),
            };
            let layer = typed_neuron(&neuron).0.map(LayersArgument::One);
            pass.start(reading.files(), reading.options(vec![pair], layer), resume, true);
        }
    };
    let study = pass.answer.as_ref().and_then(|answer| answer.studies.first().cloned());
    html! {
        <section class="figure corpus" id="corpus" aria-labelledby="corpus-title">
            <div class="heading"><h2 id="corpus-title">{ "On real text" }</h2></div>
            <p class="caption">
                { "One neuron over many documents: the contexts in which it is highest, and, by its activation, how often the token is \
                   the model's likeliest next one. Each document begins with <|endoftext|>." }
            </p>
            <form class="corpus-controls" onsubmit={let run = run.clone(); Callback::from(move |event: SubmitEvent| { event.prevent_default(); run(false); })}>
                { text_box("Neuron", "corpus-neuron", &neuron_text, { let neuron = neuron.clone(); move |text| neuron.set(Some(text)) }) }
                { text_box("Token", "corpus-token", &token_text, { let token = token.clone(); move |text| token.set(Some(text)) }) }
                { source(&reading) }
                { sampling(&reading) }
                <button class="primary" disabled={props.model.is_none() || pass.stage == Stage::Working}>{ "Read" }</button>
            </form>
            <Notice id="corpus-failure" failure={pass.failure.clone()} />
            { progress(&pass, move |_| run(true)) }
            if let (Some(study), Some(answer)) = (&study, &pass.answer) {
                <p class="corpus-summary" role="status">
                    { format!("{} documents, {} tokens. ", whole(answer.documents), whole(answer.positions)) }
                    { format!("{} occurrences, {} top predictions. ", whole(study.occurrences), whole(study.top_predictions)) }
                    { format!("Mean {:.3}, maximum {:.3}", study.mean, study.max.unwrap_or(0.0)) }
                    if let Some(auc) = study.auc { { format!(", area under the ROC curve {auc:.4}") } }
                    { "." }
                </p>
                <div class="corpus-charts">
                    <Curve label={format!("Share of positions at which {:?} is the likeliest next token, by activation", study.token)}
                        lines={vec![Line { name: format!("L{} N{} and {:?}", study.layer, study.neuron, study.token), bins: study.bins.clone() }]} has_counts={true} />
                    <Histogram bins={study.bins.clone()} />
                </div>
                <Examples client={props.client.clone()} study={Shared::new(study.clone())} is_whole={pass.stage == Stage::Done}
                    dispatch={props.dispatch.clone()} />
            }
            <Agreement client={props.client.clone()} reading={(*reading).clone()} ready={props.model.is_some()} />
        </section>
    }
}

fn text_box(name: &'static str, id: &'static str, text: &AttrValue, on_text: impl Fn(AttrValue) + 'static) -> Html {
    let oninput = Callback::from(move |event: InputEvent| {
        if let Some(input) = event.target_dyn_into::<HtmlInputElement>() {
            on_text(input.value().into());
        }
    });
    html! {
        <label class="field" for={id}>{ name }<input {id} type="text" value={text.clone()} {oninput} autocomplete="off" spellcheck="false" /></label>
    }
}

/// The site's corpora, or files from the person's disk.
fn source(reading: &UseStateHandle<Reading>) -> Html {
    let onchange = {
        let reading = reading.clone();
        Callback::from(move |event: DomEvent| {
            let Some(select) = event.target_dyn_into::<HtmlSelectElement>() else { return };
            let built_in = if select.value() == "english" { "english" } else { "demo" };
            reading.set(Reading { built_in, files: Vec::new(), ..(*reading).clone() });
        })
    };
    let onfiles = {
        let reading = reading.clone();
        Callback::from(move |event: DomEvent| {
            let Some(input) = event.target_dyn_into::<HtmlInputElement>() else { return };
            let list = input.files();
            let each = |list: FileList| (0..list.length()).filter_map(move |at| list.get(at)).collect::<Vec<_>>();
            let files = list.map(each).unwrap_or_default().iter().filter_map(|file| dropped_file(file).ok()).collect();
            reading.set(Reading { files, ..(*reading).clone() });
        })
    };
    let own = match reading.files.len() {
        0 => None,
        1 => Some(reading.files[0].name.clone()),
        n => Some(format!("{n} files")),
    };
    html! {
        <>
            <label class="field" for="corpus-source">
                { "Text" }
                <select id="corpus-source" {onchange}>
                    <option value="demo" selected={reading.built_in == "demo"}>{ "the demo's grammar, held out" }</option>
                    <option value="english" selected={reading.built_in == "english"}>{ "English: US Declaration, Constitution" }</option>
                </select>
            </label>
            <label class="field file" for="corpus-files">
                { own.map_or_else(|| "or files: .txt .jsonl .json .parquet, also .gz .zst".to_owned(), |own| format!("reading {own}")) }
                <input id="corpus-files" type="file" multiple={true} accept=".txt,.jsonl,.json,.parquet,.gz,.zst" onchange={onfiles} />
            </label>
        </>
    }
}

/// Cut or packed, how much of it, and which.
fn sampling(reading: &UseStateHandle<Reading>) -> Html {
    let number = |change: fn(&mut Reading, f64)| {
        let reading = reading.clone();
        Callback::from(move |event: DomEvent| {
            let Some(value) = event.target_dyn_into::<HtmlInputElement>().map(|input| input.value_as_number()) else {
                return;
            };
            let mut changed = (*reading).clone();
            change(&mut changed, value);
            reading.set(changed);
        })
    };
    let onpack = {
        let reading = reading.clone();
        Callback::from(move |_: DomEvent| reading.set(Reading { pack: !reading.pack, ..(*reading).clone() }))
    };
    html! {
        <>
            <label class="field short" for="corpus-share">{ "Per cent of it" }
                <input id="corpus-share" type="number" min="0.01" max="100" step="any" value={(reading.share * 100.0).to_string()}
                    onchange={number(|reading, value| reading.share = value / 100.0)} />
            </label>
            <label class="field short" for="corpus-seed">{ "Seed" }
                <input id="corpus-seed" type="number" min="0" step="1" value={reading.seed.to_string()}
                    onchange={number(|reading, value| reading.seed = value.max(0.0) as u64)} />
            </label>
            <label class="pack"><input type="checkbox" checked={reading.pack} onchange={onpack} />{ " pack documents, don't cut" }</label>
        </>
    }
}

/// How far the pass is, and what can be done with it.
fn progress(pass: &pass::Pass, on_resume: impl Fn(MouseEvent) + 'static) -> Html {
    let stop = {
        let pass = pass.clone();
        Callback::from(move |_: MouseEvent| pass.pause())
    };
    let said = |progress: &CorpusProgress| {
        let left = progress.seconds_left.map_or(String::new(), |left| format!(", {} left", duration(left)));
        let speed = whole(progress.tokens_per_second as u64);
        format!("{}: {} tokens, {speed} tokens/s{left}", share_short(progress.share as f32), whole(progress.positions))
    };
    let line = pass.progress.as_ref().map(said);
    match pass.stage {
        Stage::Working => html! {
            <p class="corpus-progress">
                <progress max="1" value={pass.progress.as_ref().map_or(0.0, |progress| progress.share).to_string()} aria-label="Read so far" />
                <span>{ line.unwrap_or_else(|| "beginning …".into()) }</span>
                <button type="button" class="small" onclick={stop}>{ "Pause" }</button>
            </p>
        },
        Stage::Paused => html! {
            <p class="corpus-progress">
                <span>{ "Paused; the figures are of what was read. " }{ line.unwrap_or_default() }</span>
                <button type="button" class="small" onclick={Callback::from(on_resume)}>{ "Go on" }</button>
            </p>
        },
        Stage::Idle | Stage::Done => html! {},
    }
}

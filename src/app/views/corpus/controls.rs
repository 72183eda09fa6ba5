//! The figure's boxes: which neuron and token, which texts, how they are read.

use web_sys::{DragEvent, Event as DomEvent, FileList, HtmlInputElement};
use yew::prelude::*;

use super::source::Source;
use crate::app::congruence::typed_neuron;
use crate::app::corpora::{CORPORA, dropped_file};
use crate::app::state::{Action, Corpus, Dispatch, Shared};
use crate::app::widgets::select::Select;
use crate::protocol::{Bins, DataFile, ModelInfo};

#[derive(Properties, PartialEq)]
pub struct Props {
    pub corpus: Corpus,
    pub model: Option<Shared<ModelInfo>>,
    /// What is used where nothing is said: the neuron and the token.
    pub neuron: (usize, usize),
    pub token: AttrValue,
    pub source: Source,
    /// Under which keys, or in which columns, the files have texts.
    pub keys: Vec<String>,
    /// The person's files.
    pub own: Vec<DataFile>,
    pub on_own: Callback<Vec<DataFile>>,
    /// Layers as they are typed; empty for the neuron's own.
    pub layers: AttrValue,
    pub on_layers: Callback<AttrValue>,
    /// An address that a person has typed in.
    pub on_place: Callback<String>,
    /// The hub that is asked, if any.
    pub hub: Option<AttrValue>,
    pub is_working: bool,
    pub on_read: Callback<()>,
    pub dispatch: Dispatch,
}

#[component]
pub fn Controls(props: &Props) -> Html {
    // what stands in the neuron's box while it is none yet
    let typed = use_state(|| None::<AttrValue>);
    let change = |change: fn(&mut Corpus, String)| {
        let (corpus, dispatch) = (props.corpus.clone(), props.dispatch.clone());
        move |text: String| {
            let mut corpus = corpus.clone();
            change(&mut corpus, text);
            dispatch.dispatch(Action::Corpus(corpus));
        }
    };
    // a number that is none is left in its box, and the box says so
    let change_if = |change: fn(&mut Corpus, String) -> bool| {
        let (corpus, dispatch) = (props.corpus.clone(), props.dispatch.clone());
        move |text: String| {
            let mut corpus = corpus.clone();
            let is_taken = change(&mut corpus, text);
            if is_taken {
                dispatch.dispatch(Action::Corpus(corpus));
            }
            is_taken
        }
    };
    let on_neuron = {
        let (typed, change) = (
            typed.clone(),
            change(|corpus, text| {
                if let (Some(layer), Some(neuron)) = typed_neuron(&text) {
                    corpus.neuron = Some((layer, neuron));
                }
            }),
        );
        move |text: String| {
            typed.set(Some(text.clone().into()));
            change(text);
        }
    };
    let written = (*typed).clone().filter(|text| typed_neuron(text) == (Some(props.neuron.0), Some(props.neuron.1)));
    let is_typing = (*typed).clone().filter(|text| typed_neuron(text).1.is_none());
    let neuron = written.or(is_typing).unwrap_or_else(|| format!("{}:{}", props.neuron.0, props.neuron.1).into());
    let onsubmit = {
        let on_read = props.on_read.clone();
        Callback::from(move |event: SubmitEvent| {
            event.prevent_default();
            on_read.emit(());
        })
    };
    let is_folder = matches!(props.source, Source::Folder(_));
    let nothing = props.source == Source::Files && props.own.is_empty();
    html! {
        <form class="corpus-controls" {onsubmit}>
            { text_box("Neuron", "corpus-neuron", "name", neuron, "", on_neuron) }
            if !is_folder {
                { text_box("Token", "corpus-token", "name", props.token.clone(), "", change(|corpus, text| corpus.token = Some(text))) }
            }
            { kinds(props) }
            { place(props, change(|corpus, text| corpus.data = Some(text))) }
            if !is_folder {
                { key(props, change(|corpus, text| corpus.key = Some(text).filter(|key| key != "text"))) }
            }
            if !is_folder {
                <details class="corpus-how">
                    <summary>{ "How it is read" }</summary>
                    <div>
                        { text_box("Layers", "corpus-layers", "short", props.layers.clone(), "its own", { let on = props.on_layers.clone(); move |text| on.emit(text.into()) }) }
                        { number("Per cent of the documents", "corpus-percent", props.corpus.percent.to_string(), "Write a number above 0, up to 100.", change_if(|corpus, text| {
                            match text.parse() {
                                Ok(percent) if percent > 0.0 && percent <= 100.0 => corpus.percent = percent,
                                _ => return false,
                            }
                            true
                        })) }
                        { number("Seed of the draw", "corpus-seed", props.corpus.seed.to_string(), "Write a whole number from 0 on.", change_if(|corpus, text| {
                            text.parse().map(|seed| corpus.seed = seed).is_ok()
                        })) }
                        { choice("Long documents", "corpus-pack", [("", "are cut to the context"), ("1", "and short ones fill it")], props.corpus.pack, change(|corpus, text| corpus.pack = !text.is_empty())) }
                        { choice("Bins", "corpus-bins", [("", "floor(a / 0.2)"), ("1", "the notebook's: rounded, cut")], props.corpus.bins == Bins::Notebook, change(|corpus, text| {
                            corpus.bins = if text.is_empty() { Bins::Floor } else { Bins::Notebook };
                        })) }
                    </div>
                </details>
                <button class="primary" disabled={props.model.is_none() || props.is_working || nothing}>{ "Read" }{ for props.hub.iter().map(|hub| format!(" from {hub}")) }</button>
            }
        </form>
    }
}

fn text_box(
    name: &'static str,
    id: &'static str,
    class: &'static str,
    text: AttrValue,
    placeholder: &'static str,
    on_text: impl Fn(String) + 'static,
) -> Html {
    let oninput = Callback::from(move |event: InputEvent| {
        if let Some(input) = event.target_dyn_into::<HtmlInputElement>() {
            on_text(input.value());
        }
    });
    html! {
        <label class={classes!("field", class)} for={id}>{ name }<input {id} type="text" value={text} {placeholder} {oninput} autocomplete="off" spellcheck="false" /></label>
    }
}

/// A text that is taken once it is whole: each of them is asked for on a network.
fn place_box(
    name: &'static str,
    id: &'static str,
    text: &str,
    placeholder: &'static str,
    on_text: impl Fn(String) + 'static,
) -> Html {
    let onchange = Callback::from(move |event: DomEvent| {
        if let Some(input) = event.target_dyn_into::<HtmlInputElement>() {
            on_text(input.value().trim().to_owned());
        }
    });
    html! {
        <label class="field long" for={id}>{ name }<input {id} type="text" value={text.to_owned()} {placeholder} {onchange} autocomplete="off" spellcheck="false" /></label>
    }
}

/// A box for a number; `on_text` says whether it can be used, and if it can't, `why_not` is said at the box.
fn number(
    name: &'static str,
    id: &'static str,
    value: String,
    why_not: &'static str,
    on_text: impl Fn(String) -> bool + 'static,
) -> Html {
    let onchange = Callback::from(move |event: DomEvent| {
        if let Some(input) = event.target_dyn_into::<HtmlInputElement>() {
            input.set_custom_validity(if on_text(input.value()) { "" } else { why_not });
            input.report_validity();
        }
    });
    html! {
        <label class="field short" for={id}>{ name }<input {id} type="number" min="0" step="any" {value} {onchange} /></label>
    }
}

/// A list, whose choice is told.
fn list(
    name: &'static str,
    id: &'static str,
    value: impl Into<AttrValue>,
    options: Html,
    on_choice: impl Fn(String) + 'static,
) -> Html {
    let (value, onchoice) = (value.into(), Callback::from(on_choice));
    html! {
        <div class="field">
            <label for={id}>{ name }</label><Select {id} {value} {onchoice}>{ options }</Select>
        </div>
    }
}

fn choice(
    name: &'static str,
    id: &'static str,
    words: [(&'static str, &'static str); 2],
    second: bool,
    on_choice: impl Fn(String) + 'static,
) -> Html {
    let options = words.map(|(value, shown)| html! { <option {value}>{ shown }</option> });
    list(name, id, words[usize::from(second)].0, html! { { for options } }, on_choice)
}

fn kinds(props: &Props) -> Html {
    const OTHERS: [(&str, &str); 3] =
        [("files", "your files …"), ("hub", "a data set on the hub …"), ("folder", "a published folder …")];
    let chosen = props.source.kind().to_owned();
    let option = |(value, shown): (&'static str, &'static str)| html! { <option {value}>{ shown }</option> };
    let (corpus, model, dispatch) = (props.corpus.clone(), props.model.clone(), props.dispatch.clone());
    list(
        "Text",
        "corpus-source",
        chosen,
        html! { { for CORPORA.into_iter().chain(OTHERS).map(option) } },
        move |kind| {
            let source = Source::first(&kind, model.as_deref());
            dispatch.dispatch(Action::Corpus(Corpus { data: Some(source.write()), key: None, ..corpus.clone() }));
        },
    )
}

/// Under which key the texts are, where there is a choice.
fn key(props: &Props, set: impl Fn(String) + 'static) -> Html {
    let chosen = props.corpus.key.as_deref().unwrap_or("text");
    let mut keys = vec!["text"];
    for key in props.keys.iter().map(|key| &key[..]).chain([chosen]) {
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    if keys.len() == 1 {
        return html! {};
    }
    let option = |key: &str| html! { <option value={key.to_owned()}>{ key }</option> };
    list("Texts are under", "corpus-key", chosen.to_owned(), html! { { for keys.into_iter().map(option) } }, set)
}

/// Which files, data set or folder it is.
fn place(props: &Props, set: impl Fn(String) + 'static) -> Html {
    match &props.source {
        Source::BuiltIn(_) => html! {},
        Source::Dataset(id) => {
            place_box("Its name", "corpus-dataset", id, "owner/name", move |text| set(Source::Dataset(text).write()))
        }
        Source::Folder(address) => {
            let on_place = props.on_place.clone();
            place_box("Its address", "corpus-folder", address, "https://…", move |text| {
                on_place.emit(text.clone());
                set(Source::Folder(text).write());
            })
        }
        Source::Files => {
            let on_own = props.on_own.clone();
            let onchange = Callback::from(move |event: DomEvent| {
                if let Some(list) = event.target_dyn_into::<HtmlInputElement>().and_then(|input| input.files()) {
                    on_own.emit(listed(&list));
                }
            });
            let said = match &props.own[..] {
                [] => "Choose, or drop here: .txt .jsonl .json .parquet, also .gz .zst".to_owned(),
                [one] => one.name.clone(),
                many => format!("{} files", many.len()),
            };
            html! {
                <label class="field file" for="corpus-files">{ said }
                    <input id="corpus-files" type="file" multiple={true} accept=".txt,.jsonl,.ndjson,.json,.parquet,.gz,.zst" {onchange} />
                </label>
            }
        }
    }
}

fn listed(list: &FileList) -> Vec<DataFile> {
    (0..list.length()).filter_map(|at| dropped_file(&list.get(at)?).ok()).collect()
}

/// The files of a drop onto the figure; the page's own drop, of models, leaves alone what has been taken.
pub fn dropped(event: &DragEvent) -> Vec<DataFile> {
    let files = event.data_transfer().and_then(|data| data.files()).map(|list| listed(&list)).unwrap_or_default();
    if !files.is_empty() {
        event.prevent_default();
    }
    files
}

//! The neuron on real text: where it is highest, whether the token follows its activation, and whether congruence says
//! so beforehand.

mod agreement;
mod controls;
mod curve;
mod examples;
mod found;
mod histogram;
mod kept;
mod pass;
mod source;

use yew::prelude::*;

use super::maps::scroll_to;
use super::neurons::Neuron;
use crate::app::client::Client;
use crate::app::corpora::{hub_of, other_host};
use crate::app::format::{duration, share_short, whole};
use crate::app::state::{Action, Corpus, Dispatch, Shared};
use crate::app::widgets::failure::Notice;
use crate::app::widgets::section::Section;
use crate::link::View;
use crate::protocol::{CorpusOptions, CorpusProgress, DataFile, LayersArgument, ModelInfo};
use agreement::Agreement;
use controls::{Controls, dropped};
use found::Found;
use kept::KeptPass;
use pass::{Pass, Stage, use_keys, use_pass};
use source::{Source, published};

#[derive(Properties, PartialEq)]
pub struct Props {
    pub client: Client,
    pub model: Option<Shared<ModelInfo>>,
    pub corpus: Corpus,
    /// The neuron looked at elsewhere on the page, if any.
    pub neuron: Option<Neuron>,
    /// The first of the pair of tokens.
    pub token: AttrValue,
    pub dispatch: Dispatch,
}

/// Where none has been chosen, of the demo: the neuron that was taught to tell " an" from " a".
const DEMO: (Neuron, &str) = ((2, 92), " an");

/// Which documents are read, and how.
#[derive(Clone, PartialEq)]
pub struct Reading {
    pub files: Vec<DataFile>,
    options: CorpusOptions,
}

impl Reading {
    fn new(corpus: &Corpus, source: &Source, own: &[DataFile]) -> Self {
        let Corpus { bins, pack, percent, seed, .. } = *corpus;
        let options = CorpusOptions {
            bins,
            pack,
            share: percent / 100.0,
            seed,
            text_key: corpus.key.clone(),
            ..CorpusOptions::default()
        };
        Reading { files: source.files(own), options }
    }

    /// Whether the pass has read so.
    pub fn is_of(&self, pass: &Pass) -> bool {
        pass.is_of(&self.files, &self.options)
    }

    pub fn options(&self, neurons: Vec<String>, layers: Option<String>) -> CorpusOptions {
        CorpusOptions { neurons, layers: layers.map(LayersArgument::Words), ..self.options.clone() }
    }
}

#[component]
pub fn CorpusFigure(props: &Props) -> Html {
    let own = use_state(Vec::<DataFile>::new);
    let layers = use_state(AttrValue::default);
    let kept = use_state(kept::get);
    let pass = use_pass(&props.client);
    // hosts that a person has named or clicked
    let asked = use_state_eq(Vec::<String>::new);
    let (corpus, model) = (&props.corpus, props.model.as_deref());
    let name = model.map(|model| model.name.clone());
    // another model's pass is none of this one's
    {
        let pass = pass.clone();
        use_effect_with(name.clone(), move |_| pass.discard());
    }
    let is_demo = name.as_deref() == Some("demo");
    let is_own_choice = corpus.neuron.or(props.neuron).is_some();
    let neuron = corpus.neuron.or(props.neuron).unwrap_or(if is_demo { DEMO.0 } else { (0, 0) });
    let its_token = if is_demo && !is_own_choice { DEMO.1.into() } else { props.token.clone() };
    let token = corpus.token.clone().map_or(its_token, AttrValue::from);
    let source = Source::of(corpus, model);
    let reading = Reading::new(corpus, &source, &own);
    // of files that lie here, or of those that have been read in vain: nothing is asked of a hub for this
    let is_asked = source == Source::Files || pass.failure.is_some();
    let keys = use_keys(&props.client, if is_asked { reading.files.clone() } else { Vec::new() });
    let folder = folder(&source);
    // an address out of a link: nothing is asked of a stranger before a click that names it
    let is_the_sites =
        folder.as_deref().is_some_and(|folder| name.as_deref().and_then(published).as_deref() == Some(folder));
    let stranger = folder.as_deref().and_then(other_host).filter(|host| !is_the_sites && !asked.contains(host));
    let on_place = {
        let asked = asked.clone();
        Callback::from(move |address: String| asked.set(asked.iter().cloned().chain(other_host(&address)).collect()))
    };

    let is_current = folder.is_some() || reading.is_of(&pass);
    let token_read = token.clone();

    let on_read = {
        let (pass, reading, layers, kept) = (pass.clone(), reading.clone(), layers.clone(), kept.clone());
        let (name, token, data) = (name.clone(), token.clone(), source.write());
        Callback::from(move |()| {
            let wanted = if layers.trim().is_empty() { neuron.0.to_string() } else { layers.to_string() };
            let pair = format!("{}:{}:{token}", neuron.0, neuron.1);
            let options = reading.options(vec![pair], Some(wanted));
            kept::put(&KeptPass {
                model: name.clone().unwrap_or_default(),
                files: reading.files.clone(),
                options: options.clone(),
                data: data.clone(),
                neuron,
                token: token.to_string(),
                share: 0.0,
            });
            kept.set(None);
            pass.start(reading.files.clone(), options, false, true);
        })
    };
    let share = pass.progress.as_ref().map_or(0.0, |progress| progress.share);
    use_effect_with((pass.stage, share), |(stage, share)| remember(*stage, *share));
    let own_set = {
        let (own, dispatch, corpus) = (own.clone(), props.dispatch.clone(), corpus.clone());
        Callback::from(move |files: Vec<DataFile>| {
            own.set(files);
            dispatch.dispatch(Action::Corpus(Corpus {
                data: Some(Source::Files.write()),
                key: None,
                ..corpus.clone()
            }));
        })
    };
    let ondrop = {
        let own_set = own_set.clone();
        Callback::from(move |event: DragEvent| {
            let files = dropped(&event);
            if !files.is_empty() {
                own_set.emit(files);
            }
        })
    };
    let waiting = (*kept).clone().filter(|kept| Some(&kept.model) == name.as_ref() && pass.stage == Stage::Idle);
    let caption = html! {
        { "One neuron over many documents: the contexts in which it is highest, and, by its activation, how often the token is the model's \
           likeliest next one. Each document begins with <|endoftext|>." }
    };
    html! {
        <Section view={View::Corpus} title="On real text" {caption} is_busy={pass.stage == Stage::Working} dispatch={props.dispatch.clone()}>
            <div {ondrop}>
                <Controls corpus={corpus.clone()} model={props.model.clone()} {neuron} {token} source={source.clone()} {keys} own={(*own).clone()} on_own={own_set}
                    layers={(*layers).clone()} on_layers={let layers = layers.clone(); Callback::from(move |text| layers.set(text))}
                    is_working={pass.stage == Stage::Working} hub={hub_of(&reading.files).map(|hub| AttrValue::from(hub.to_owned()))}
                    on_place={on_place.clone()} {on_read} dispatch={props.dispatch.clone()} />
                <Notice id="corpus-failure" failure={pass.failure.clone()} />
                if let Some(waiting) = waiting {
                    { interrupted(&waiting, &own, &kept, &pass, &props.dispatch) }
                }
                if let (Some(host), Some(address)) = (&stranger, folder.clone()) {
                    <p class="corpus-progress corpus-stranger">
                        <span>{ format!("The findings that this link names lie at {host}. Nothing has been asked of it.") }</span>
                        <button type="button" class="small" onclick={move |_: MouseEvent| on_place.emit(address.to_string())}>{ format!("Ask {host}") }</button>
                    </p>
                }
                { progress(&pass, &kept) }
                <Found client={props.client.clone()} model={props.model.clone()} {neuron} bins={corpus.bins} folder={if stranger.is_some() { Some(AttrValue::default()) } else { folder }} {is_current} token={token_read} pass={pass.clone()} dispatch={props.dispatch.clone()} />
                if !matches!(source, Source::Folder(_)) {
                    <Agreement client={props.client.clone()} {reading} model={name} dispatch={props.dispatch.clone()} />
                }
            </div>
        </Section>
    }
}

fn folder(source: &Source) -> Option<AttrValue> {
    match source {
        Source::Folder(address) => Some(address.clone().into()),
        _ => None,
    }
}

/// Opens a neuron in real text.
pub fn to_corpus(dispatch: &Dispatch, neuron: Neuron) -> Callback<MouseEvent> {
    let dispatch = dispatch.clone();
    Callback::from(move |_| {
        dispatch.dispatch(Action::ReadNeuron(neuron));
        scroll_to(View::Corpus);
    })
}

/// Keeps what the page remembers of the pass as the pass is.
fn remember(stage: Stage, share: f64) {
    match stage {
        Stage::Done => kept::forget(),
        Stage::Working | Stage::Paused if share > 0.0 => {
            if let Some(before) = kept::get() {
                kept::put(&KeptPass { share, ..before });
            }
        }
        _ => {}
    }
}

/// A pass that an earlier visit left unfinished.
fn interrupted(
    waiting: &KeptPass,
    own: &[DataFile],
    kept: &UseStateHandle<Option<KeptPass>>,
    pass: &Pass,
    dispatch: &Dispatch,
) -> Html {
    let files = waiting.files(own);
    let names = waiting.files.iter().map(|file| &file.name[..]).collect::<Vec<_>>().join(", ");
    let go_on = {
        let (files, waiting, kept, pass, dispatch) =
            (files.clone(), waiting.clone(), kept.clone(), pass.clone(), dispatch.clone());
        Callback::from(move |_: MouseEvent| {
            if let Some(files) = files.clone() {
                dispatch.dispatch(Action::Corpus(waiting.corpus()));
                kept.set(None);
                pass.start(files, waiting.options.clone(), true, true);
            }
        })
    };
    let discard = {
        let (kept, pass) = (kept.clone(), pass.clone());
        Callback::from(move |_: MouseEvent| {
            kept.set(None);
            kept::forget();
            pass.forget();
        })
    };
    html! {
        <p class="corpus-progress corpus-kept">
            <span>
                { format!("A reading of {names} was broken off at {}.", share_short(waiting.share as f32)) }
                if files.is_none() { { " Choose or drop the same file again to go on." } }
            </span>
            <button type="button" class="small" onclick={go_on} disabled={files.is_none()}>{ "Go on" }{ for hub_of(&waiting.files).map(|hub| format!(" from {hub}")) }</button>
            <button type="button" class="small" onclick={discard}>{ "Discard" }</button>
        </p>
    }
}

/// How far the pass is, and what can be done with it.
fn progress(pass: &Pass, kept: &UseStateHandle<Option<KeptPass>>) -> Html {
    let button = |name: &'static str, act: fn(&Pass)| {
        let pass = pass.clone();
        let onclick = Callback::from(move |_: MouseEvent| act(&pass));
        html! { <button type="button" class="small" {onclick}>{ name }</button> }
    };
    let discard = {
        let (kept, pass) = (kept.clone(), pass.clone());
        let onclick = Callback::from(move |_: MouseEvent| {
            kept::forget();
            kept.set(None);
            pass.discard();
            pass.forget();
        });
        html! { <button type="button" class="small" {onclick}>{ "Discard" }</button> }
    };
    let said = |progress: &CorpusProgress| {
        let left = progress.seconds_left.map_or(String::new(), |left| format!(", {} left", duration(left)));
        let speed = whole(progress.tokens_per_second as u64);
        let (share, read) = (share_short(progress.share as f32), whole(progress.positions));
        match pass.stage {
            Stage::Working => format!("{share}: {read} tokens, {speed} tokens/s{left}"),
            _ => format!("Paused at {share}, {read} tokens: the figures are of these. It is kept on this device."),
        }
    };
    let line = pass.progress.as_ref().map(said);
    let state = match pass.stage {
        Stage::Working => html! {
            <p class="corpus-progress">
                <progress max="1" value={pass.progress.as_ref().map_or(0.0, |progress| progress.share).to_string()} aria-label="Read so far" />
                <span>{ line.unwrap_or_else(|| "beginning …".into()) }</span>
                { button("Pause", Pass::pause) }
                { discard }
            </p>
        },
        Stage::Paused => html! {
            <p class="corpus-progress">
                <span>{ line.unwrap_or_else(|| "Paused.".into()) }</span>
                { button("Go on", Pass::go_on) }
                { discard }
            </p>
        },
        Stage::Idle | Stage::Done => html! {},
    };
    html! {
        <>
        { for pass.lost.as_ref().map(|lost| html! { <p class="corpus-lost" role="status">{ lost }</p> }) }
        { state }
        </>
    }
}

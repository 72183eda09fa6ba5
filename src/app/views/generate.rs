//! Writes on from the prompt, a token at a time, and stops when told to.

use yew::prelude::*;

use crate::app::client::Client;
use crate::app::format::tokens;
use crate::app::state::{Action, Dispatch, GoesOnFrom, Writing, WritingStage};
use crate::app::widgets::failure::Notice;
use crate::app::widgets::section::Section;
use crate::app::widgets::shown::Shown;
use crate::error::Error;
use crate::link::View;
use crate::protocol::{Event as Told, Failure, GenerateOptions, Lane, Request};

#[derive(Properties, PartialEq)]
pub struct Props {
    pub client: Client,
    /// What a text written now would go on from.
    pub from: GoesOnFrom,
    /// A model is there to write.
    pub ready: bool,
    pub writing: Option<Writing>,
    pub dispatch: Dispatch,
}

/// The boxes as they are typed; read when the button is pressed.
#[derive(Clone, PartialEq)]
struct Settings {
    max: String,
    temperature: String,
    top_k: String,
    top_p: String,
    seed: String,
}

/// More letters than these may not all be in sight, on the narrowest of screens.
const MOST_LETTERS: usize = 360;

#[component]
pub fn Generate(props: &Props) -> Html {
    let settings = use_state(|| Settings {
        max: "20".into(),
        temperature: "0.8".into(),
        top_k: String::new(),
        top_p: String::new(),
        seed: "1".into(),
    });
    let refused = use_state_eq(|| None::<Failure>);
    let running = use_mut_ref(|| None);
    let editions = use_mut_ref(|| 0);
    let is_working = props.writing.as_ref().is_some_and(|writing| writing.stage == WritingStage::Working);

    // Another prompt or edit makes the text now being written pointless, and it would keep the other figures waiting.
    use_effect_with(props.from.clone(), {
        let (client, running) = (props.client.clone(), running.clone());
        move |_| {
            if let Some(id) = running.borrow_mut().take() {
                client.cancel(id);
            }
        }
    });
    let onsubmit = {
        let (settings, refused, running) = (settings.clone(), refused.setter(), running.clone());
        let (client, dispatch, from) = (props.client.clone(), props.dispatch.clone(), props.from.clone());
        Callback::from(move |event: SubmitEvent| {
            event.prevent_default();
            if is_working {
                return;
            }
            match options(&settings, &from) {
                Err(failure) => refused.set(Some(failure)),
                Ok(options) => {
                    refused.set(None);
                    *editions.borrow_mut() += 1;
                    let edition = *editions.borrow();
                    let chosen = chosen(&options).into();
                    dispatch.dispatch(Action::WritingStarted { edition, from: from.clone(), chosen });
                    let dispatch = dispatch.clone();
                    let hear = move |event: Told| dispatch.dispatch(Action::Wrote(edition, event));
                    *running.borrow_mut() = Some(client.ask(Some(Lane::Generate), Request::Generate(options), hear));
                }
            }
        })
    };
    let onstop = {
        let (client, running) = (props.client.clone(), running);
        Callback::from(move |_: MouseEvent| {
            if let Some(id) = running.borrow_mut().take() {
                client.cancel(id);
            }
        })
    };
    let onkeep = {
        let dispatch = props.dispatch.clone();
        Callback::from(move |_: MouseEvent| dispatch.dispatch(Action::KeepWriting))
    };
    let set = |write: fn(&mut Settings, String)| {
        let settings = settings.clone();
        Callback::from(move |value: String| {
            let mut next = (*settings).clone();
            write(&mut next, value);
            settings.set(next);
        })
    };
    let failed = props.writing.as_ref().and_then(|writing| match &writing.stage {
        WritingStage::Failed(failure) => Some(failure.clone()),
        _ => None,
    });
    let has_text = props.writing.as_ref().is_some_and(|writing| !writing.generation.ids.is_empty());
    html! {
        <Section view={View::Generation} title="Generation" caption={caption(&props.from)} is_busy={false} dispatch={props.dispatch.clone()}>
            <form class="settings" {onsubmit}>
                <Setting id="max" label="Max tokens" value={settings.max.clone()} onset={set(|s, v| s.max = v)} />
                <Setting id="temperature" label="Temperature" value={settings.temperature.clone()} onset={set(|s, v| s.temperature = v)} />
                <Setting id="top-k" label="Top-k" placeholder="all" value={settings.top_k.clone()} onset={set(|s, v| s.top_k = v)} />
                <Setting id="top-p" label="Top-p" placeholder="1" value={settings.top_p.clone()} onset={set(|s, v| s.top_p = v)} />
                <Setting id="seed" label="Seed" value={settings.seed.clone()} onset={set(|s, v| s.seed = v)} />
                <div class="buttons">
                    <button type="submit" class="primary" aria-disabled={(is_working || !props.ready).to_string()}>{ "Generate" }</button>
                    <button type="button" disabled={!is_working} onclick={onstop}>{ "Stop" }</button>
                </div>
            </form>
            <Notice id="generate-failure" failure={(*refused).clone().or(failed)} />
            if let Some(writing) = &props.writing {
                <Shown is_current={writing.from == props.from}>
                    // long text scrolls, by the keys too
                    <p class="written" dir="auto" tabindex={(writing.from.after.len() + writing.generation.text.len() > MOST_LETTERS).then_some("0")}><span class="after">{ &writing.from.after }</span><ins>{ &writing.generation.text }</ins></p>
                    <div class="outcome">
                        <p class="readout" role="status">
                            { outcome(writing) }
                            if has_text { { " " }{ &writing.chosen } }
                        </p>
                        if has_text && !is_working && !writing.from.is_corrupted {
                            <button type="button" onclick={onkeep}>{ "Append to prompt" }</button>
                        }
                    </div>
                </Shown>
            }
        </Section>
    }
}

fn caption(from: &GoesOnFrom) -> Html {
    let edits = match from.options.as_ref().map_or(0, |options| options.set.len()) {
        0 => String::new(),
        1 => ", under the edit above".to_owned(),
        count => format!(", under the {count} edits above"),
    };
    let prompt = if from.is_corrupted { "corrupted prompt" } else { "prompt" };
    html! {
        <>
        { format!("Writes on from the {prompt}{edits}. ") }
        { "Temperature divides the logits before the softmax (0 always takes the likeliest token); top-k and top-p keep \
           only the likeliest tokens; the same seed draws the same text." }
        </>
    }
}

fn outcome(writing: &Writing) -> String {
    let count = writing.generation.ids.len();
    let tokens = tokens(count);
    match writing.stage {
        WritingStage::Working => "Writing …".to_owned(),
        WritingStage::Done => format!("{tokens} written."),
        WritingStage::Stopped => format!("Stopped after {tokens}."),
        WritingStage::Failed(_) if count > 0 => format!("Ended after {tokens}."),
        WritingStage::Failed(_) => String::new(),
    }
}

/// How a text's tokens are chosen.
fn chosen(options: &GenerateOptions) -> String {
    if options.temperature == 0.0 {
        return "The likeliest token each time.".to_owned();
    }
    let top_k = options.top_k.map_or(String::new(), |k| format!(", top-k {k}"));
    let top_p = options.top_p.map_or(String::new(), |p| format!(", top-p {p}"));
    format!("Drawn at temperature {}{top_k}{top_p}, seed {}.", options.temperature, options.seed)
}

/// What the boxes ask for.
///
/// # Errors
/// The first box that holds no number; whether a number is in range is the worker's to say.
fn options(settings: &Settings, from: &GoesOnFrom) -> Result<GenerateOptions, Failure> {
    fn read<T: std::str::FromStr>(option: &'static str, text: &str, what: &str) -> Result<T, Failure> {
        let problem = || format!("must be {what}; {:?} is none.", text.trim());
        text.trim().parse().map_err(|_| Failure::from(&Error::BadOption { option, problem: problem() }))
    }
    fn unless_empty<T: std::str::FromStr>(option: &'static str, text: &str, what: &str) -> Result<Option<T>, Failure> {
        if text.trim().is_empty() { Ok(None) } else { read(option, text, what).map(Some) }
    }
    Ok(GenerateOptions {
        max: read("max tokens", &settings.max, "a whole number")?,
        temperature: read("temperature", &settings.temperature, "a number")?,
        top_k: unless_empty("top-k", &settings.top_k, "a whole number, or empty for all")?,
        top_p: unless_empty("top-p", &settings.top_p, "a number, or empty for 1")?,
        seed: read("seed", &settings.seed, "a whole number")?,
        ..from.options.clone()?
    })
}

#[derive(Properties, PartialEq)]
struct SettingProps {
    id: &'static str,
    label: &'static str,
    #[prop_or_default]
    placeholder: &'static str,
    value: String,
    onset: Callback<String>,
}

#[component]
fn Setting(props: &SettingProps) -> Html {
    let oninput = {
        let onset = props.onset.clone();
        Callback::from(move |event: InputEvent| {
            if let Some(input) = event.target_dyn_into::<web_sys::HtmlInputElement>() {
                onset.emit(input.value());
            }
        })
    };
    html! {
        <div class="setting">
            <label for={props.id}>{ props.label }</label>
            <input id={props.id} type="text" inputmode="decimal" autocomplete="off" spellcheck="false"
                placeholder={props.placeholder} value={props.value.clone()} {oninput} />
        </div>
    }
}

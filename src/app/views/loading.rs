//! A model on its way: how much of it is here, how fast it comes, how long it will take; pause, go on, cancel.

use yew::prelude::*;

use crate::app::client::Client;
use crate::app::format::{bytes, duration};
use crate::app::requests::models::{cancel, load, pause};
use crate::app::state::{Action, Dispatch, Load, Loading};
use crate::protocol::{Progress, Stage, Unit};

#[derive(Properties, PartialEq)]
pub struct Props {
    pub client: Client,
    pub loading: Loading,
    /// Nothing is loaded yet: there is nothing to go back to.
    pub is_first: bool,
    pub dispatch: Dispatch,
}

#[component]
pub fn LoadingBar(props: &Props) -> Html {
    let (load_, is_paused) = match &props.loading {
        Loading::Working(load) => (load, false),
        Loading::Paused(load) => (load, true),
        Loading::Beginning => {
            return html! { <div class="loading"><label for="load-progress">{ "Starting …" }</label><progress id="load-progress" /></div> };
        }
        Loading::Idle | Loading::Failed(..) => return Html::default(),
    };
    html! {
        <div class="loading">
            <label for="load-progress">{ says(load_, is_paused) }</label>
            { bar(load_.progress.as_ref()) }
            { for load_.progress.as_ref().map(|progress| html! { <span class="figures">{ amounts(progress) }</span> }) }
            if !props.is_first {
                <span class="pace">
                    { for load_.progress.as_ref().map(|progress| pace(load_, progress)) }
                    { buttons(load_, is_paused, props) }
                </span>
            }
        </div>
    }
}

fn says(load: &Load, is_paused: bool) -> String {
    let Some(progress) = &load.progress else { return "Starting …".to_owned() };
    let (name, what) = (&load.source.name, &progress.what);
    match (is_paused, progress.stage) {
        (true, _) => format!("Paused: {name}"),
        (false, Stage::Waiting) => format!("Another tab is getting {name}; waiting for it"),
        (false, Stage::Checking) => format!("Checking {what}"),
        (false, Stage::Downloading) if load.is_kept() => format!("Downloading {name}"),
        (false, _) => format!("Loading {what}"),
    }
}

fn bar(progress: Option<&Progress>) -> Html {
    let Some(progress) = progress else { return html! { <progress id="load-progress" /> } };
    html! {
        <progress id="load-progress" max={progress.total.map(|total| total.to_string())}
            value={progress.total.map(|_| progress.done.to_string())} />
    }
}

fn amounts(progress: &Progress) -> String {
    let amount = |value: f64| match progress.unit {
        Unit::Bytes => bytes(value),
        Unit::Tokens => format!("{value:.0} tokens"),
        Unit::Rows => format!("{value:.0} rows"),
        Unit::Runs => format!("{value:.0} runs"),
        Unit::Products => format!("{value:.0} products"),
    };
    let of = progress.total.map(|total| format!(" of {}", amount(total))).unwrap_or_default();
    format!("{}{of}", amount(progress.done))
}

/// `12.3 MB/s, 2 min 40 s left`; empty until it is known.
fn pace(load: &Load, progress: &Progress) -> Html {
    let rate = load.pace.bytes_per_second.map(|rate| format!("{}/s", bytes(rate)));
    let left = load.pace.seconds_left(progress).map(|seconds| format!("{} left", duration(seconds)));
    let said: Vec<String> = rate.into_iter().chain(left).collect();
    html! { <span class="figures">{ said.join(", ") }</span> }
}

fn buttons(load_: &Load, is_paused: bool, props: &Props) -> Html {
    let on = |act: fn(&Client, &Dispatch, &Load)| {
        let (client, dispatch, load) = (props.client.clone(), props.dispatch.clone(), load_.clone());
        Callback::from(move |_: MouseEvent| act(&client, &dispatch, &load))
    };
    html! {
        <>
        if is_paused {
            <button type="button" class="small" onclick={on(|client, dispatch, paused| load(client, dispatch, paused.source.clone()))}>{ "Resume" }</button>
        } else if load_.is_kept() {
            <button type="button" class="small" onclick={on(pause)}>{ "Pause" }</button>
        }
        <button type="button" class="small" onclick={on(cancel)}>{ "Cancel" }</button>
        </>
    }
}

/// Goes on with a load that failed, from where it was.
pub fn retry(client: &Client, loading: &Loading, dispatch: &Dispatch) -> Html {
    let Loading::Failed(_, Some(source)) = loading else { return Html::default() };
    let again = {
        let (client, dispatch, source) = (client.clone(), dispatch.clone(), source.clone());
        Callback::from(move |_: MouseEvent| load(&client, &dispatch, (*source).clone()))
    };
    let dismiss = {
        let dispatch = dispatch.clone();
        Callback::from(move |_: MouseEvent| dispatch.dispatch(Action::LoadStopped))
    };
    html! {
        <p class="retry">
            <button type="button" class="small" onclick={again}>{ "Try again" }</button>
            <button type="button" class="small" onclick={dismiss}>{ "Dismiss" }</button>
        </p>
    }
}

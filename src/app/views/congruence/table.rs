//! How far the table behind the searches is, and the buttons that make it, stop it, drop it or save it.

use std::rc::Rc;

use js_sys::Uint8Array;
use wasm_bindgen_futures::spawn_local;
use yew::prelude::*;

use super::Common;
use crate::app::congruence::export::save;
use crate::app::congruence::making::{Maker, Orders, Progress, Stage, file_name};
use crate::app::format::{share, whole};
use crate::app::widgets::failure::Notice;
use crate::protocol::{Answer, Event, Request, TableTask};

/// The table at hand.
#[derive(Clone)]
pub struct TableAtHand {
    pub progress: Progress,
    orders: Rc<Orders>,
}

impl TableAtHand {
    pub fn is_ready(&self) -> bool {
        self.progress.stage == Stage::Ready
    }

    /// Whether an answer comes without anybody doing anything.
    pub fn is_busy(&self) -> bool {
        matches!(self.progress.stage, Stage::Unknown | Stage::Looking | Stage::Working(_))
    }
}

/// Looks after the table of the model and convention at hand, from when its figure is first seen.
#[hook]
pub fn use_table(common: &Common, is_seen: bool) -> TableAtHand {
    let nothing = || Progress { stage: Stage::Unknown, products: 0.0, said: None };
    let progress = use_state_eq(nothing);
    let was_seen = use_state_eq(|| false);
    if is_seen && !*was_seen {
        was_seen.set(true);
    }
    // a new worker has no table
    let lives = use_state_eq(|| 0);
    {
        let (client, lives) = (common.client.clone(), lives.setter());
        use_effect_with((), move |()| client.on_life(move |_| lives.set(js_sys::Date::now() as u64)));
    }
    let about = common.model.clone().filter(|_| *was_seen).map(|model| (model, common.weights.convention, *lives));
    let orders = use_memo(about.clone(), |_| Rc::new(Orders::default()));
    orders.is_free.set(common.is_at_rest);
    let (client, setter, of_this) = (common.client.clone(), progress.setter(), (*orders).clone());
    use_effect_with(about, move |about| {
        setter.set(nothing());
        if let Some((model, convention, _)) = about.clone() {
            let tell = Callback::from(move |progress| setter.set(progress));
            let maker = Maker { client, model: model.name.clone(), convention, orders: of_this.clone(), tell };
            spawn_local(maker.run());
        }
        move || of_this.quits.set(true)
    });
    TableAtHand { progress: (*progress).clone(), orders: (*orders).clone() }
}

/// One line under the searches' heading.
pub fn status(common: &Common, table: &TableAtHand) -> Html {
    let order = |what: fn(&Orders)| {
        let orders = table.orders.clone();
        Callback::from(move |_: MouseEvent| what(&orders))
    };
    let run = order(|orders| orders.runs.set(true));
    let pause = order(|orders| orders.runs.set(false));
    let drop_it = order(|orders| orders.drops.set(true));
    let progress = &table.progress;
    let products = whole(progress.products as u64);
    let bar = |done: f64| html! { <progress max="1" value={done.to_string()} aria-label="Products so far" /> };
    let line = match &progress.stage {
        Stage::Unknown => html! { <span>{ "…" }</span> },
        Stage::Looking => html! { <span>{ "Looking for a table that is ready …" }</span> },
        Stage::Waiting(done) if *done == 0.0 => html! {
            <>
            <button type="button" class="primary" onclick={run}>{ "Compute and keep the table" }</button>
            <span>{ format!("{products} products of a neuron with a token. A table that lies ready is used if there is one; a large \
                model’s takes minutes, and you can pause it at any time.") }</span>
            </>
        },
        Stage::Waiting(done) => html! {
            <>
            { bar(*done) }<span>{ format!("Paused at {} of {products} products.", percent(*done)) }</span>
            <button type="button" class="small" onclick={run}>{ "Go on" }</button>
            <button type="button" class="small" onclick={drop_it}>{ "Drop it" }</button>
            </>
        },
        Stage::Working(done) => html! {
            <>
            { bar(*done) }<span>{ format!("{} of {products} products", percent(*done)) }</span>
            <button type="button" class="small" onclick={pause}>{ "Pause" }</button>
            <button type="button" class="small" onclick={drop_it}>{ "Drop it" }</button>
            </>
        },
        Stage::Ready => html! {
            <>
            <span>{ format!("From all {products} products. {}", progress.said.clone().unwrap_or_default()) }</span>
            <button type="button" class="small" onclick={save_table(common)}>{ "Save the table" }</button>
            </>
        },
        Stage::Failed(_) => html! {},
    };
    let failure = match &progress.stage {
        Stage::Failed(failure) => Some(failure.clone()),
        _ => None,
    };
    html! {
        <>
        <p class="sweep table-line" data-stage={word(&progress.stage)}>{ line }</p>
        <Notice id="pairs-table-failure" {failure} />
        </>
    }
}

fn percent(done: f64) -> String {
    share(done as f32).trim_start_matches('+').to_owned()
}

fn word(stage: &Stage) -> &'static str {
    match stage {
        Stage::Unknown => "unknown",
        Stage::Looking => "looking",
        Stage::Waiting(_) => "waiting",
        Stage::Working(_) => "working",
        Stage::Ready => "ready",
        Stage::Failed(_) => "failed",
    }
}

/// Hands the finished table to the person: for others' sites, or the command line.
fn save_table(common: &Common) -> Callback<MouseEvent> {
    let (client, convention) = (common.client.clone(), common.weights.convention);
    let model = common.model.as_ref().map_or_else(String::new, |model| model.name.clone());
    Callback::from(move |_| {
        let name = format!("{}-{}.safetensors", file_name(&model), convention.name());
        client.ask(None, Request::Table(TableTask::File(convention)), move |event| {
            if let Event::Done(Answer::TableFile(file)) = event {
                // a browser that saves nothing has said so itself
                let _ = save(&name, "application/octet-stream", &Uint8Array::from(&file.bytes.0[..]).into());
            }
        });
    })
}

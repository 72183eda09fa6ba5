//! Asks the worker to load models, to describe them first, and to look after those that are kept.

use std::cell::Cell;
use std::rc::Rc;

use web_time::Instant;

use crate::app::client::Client;
use crate::app::state::{Action, Dispatch, Load, Models, ModelsAction, Spot, Work};
use crate::protocol::{Event, Lane, Progress, Request, Source};

/// Progress is shown this often; the worker may report each piece.
const REPORTS_EVERY_MS: u128 = 100;

/// Starts loading `source`; the model loaded before answers until the new one is there.
pub fn load(client: &Client, dispatch: &Dispatch, source: Source) {
    let (heard, asks) = (dispatch.clone(), client.clone());
    let (start, mut reported) = (Instant::now(), None::<(u128, Progress)>);
    let id = Rc::new(Cell::new(0));
    let own = id.clone();
    let asked = client.ask(Some(Lane::Load), Request::Load(source.clone()), move |event| {
        let now_ms = start.elapsed().as_millis();
        let is_last = matches!(event, Event::Done(_) | Event::Failed(_));
        if let Event::Progress(progress) = &event {
            let is_new = |(at, last): &(u128, Progress)| now_ms - at >= REPORTS_EVERY_MS || last.what != progress.what;
            if !reported.as_ref().is_none_or(is_new) {
                return;
            }
            reported = Some((now_ms, progress.clone()));
        }
        heard.dispatch(Action::Load(own.get(), event, now_ms as f64));
        if is_last {
            refresh(&asks, &heard);
        }
    });
    id.set(asked);
    dispatch.dispatch(Action::LoadStarted(Box::new(Load::new(source, asked))));
}

/// Stops a load that can be gone on with: what has come of it is kept.
pub fn pause(client: &Client, dispatch: &Dispatch, load: &Load) {
    dispatch.dispatch(Action::LoadPaused);
    client.cancel(load.id);
}

/// Gives a load up.
pub fn cancel(client: &Client, dispatch: &Dispatch, load: &Load) {
    dispatch.dispatch(Action::LoadStopped);
    client.cancel(load.id);
}

/// Asks what a model is, so that a person can decide.
pub fn look_at(client: &Client, dispatch: &Dispatch, models: &Models, source: Source, from: Spot) {
    let edition = models.edition + 1;
    dispatch.dispatch(Action::Models(ModelsAction::LookAt(source.clone(), from)));
    let dispatch = dispatch.clone();
    client.ask(Some(Lane::Describe), Request::Describe(source), move |event| {
        dispatch.dispatch(Action::Models(ModelsAction::Described(edition, event)));
    });
}

/// Asks what this device keeps.
pub fn refresh(client: &Client, dispatch: &Dispatch) {
    let dispatch = dispatch.clone();
    client.ask(Some(Lane::Kept), Request::Kept, move |event| {
        dispatch.dispatch(Action::Models(ModelsAction::Kept(event)));
    });
}

/// Hashes a kept model again.
pub fn verify(client: &Client, dispatch: &Dispatch, key: String) {
    work(dispatch, &key, Work::Checking(None));
    let (asks, heard, of) = (client.clone(), dispatch.clone(), key.clone());
    client.ask(None, Request::Verify { key }, move |event| {
        let is_last = matches!(event, Event::Done(_) | Event::Failed(_));
        heard.dispatch(Action::Models(ModelsAction::Verified(of.clone(), event)));
        if is_last {
            refresh(&asks, &heard);
        }
    });
}

/// Deletes a kept model.
pub fn forget(client: &Client, dispatch: &Dispatch, key: String) {
    work(dispatch, &key, Work::Deleting);
    let (heard, of) = (dispatch.clone(), key.clone());
    client.ask(None, Request::Forget { key }, move |event| {
        heard.dispatch(Action::Models(ModelsAction::Forgotten(of.clone(), event)));
    });
}

fn work(dispatch: &Dispatch, key: &str, work: Work) {
    dispatch.dispatch(Action::Models(ModelsAction::Work(key.to_owned(), Some(work))));
}

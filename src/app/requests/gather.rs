//! Takes a sweep's figures as they come, and hands them on some at a time: each time the page draws them anew.

use std::cell::RefCell;
use std::rc::Rc;

use gloo_timers::callback::Timeout;

use crate::protocol::{Event, Partial};

/// Figures wait for others at least so long, and a little longer the more there are to draw.
const PAUSE_MS: u32 = 60;
const FIGURES_A_MS: usize = 1_000;

#[derive(Default)]
struct Waiting {
    events: Vec<Event>,
    /// Figures of the whole sweep.
    size: usize,
    timeout: Option<Timeout>,
}

/// A listener that calls `hand_on` with events in their order: figures together after a pause, all others at once.
pub fn gathered(hand_on: impl Fn(Vec<Event>) + 'static) -> impl FnMut(Event) {
    let (waiting, hand_on) = (Rc::<RefCell<Waiting>>::default(), Rc::new(hand_on));
    move |event| {
        let mut now = waiting.borrow_mut();
        match &event {
            Event::Partial(Partial::PatchEstimate(patch)) => now.size = patch.estimate.values.0.len(),
            Event::Partial(Partial::NeuronsEstimate(neurons)) => now.size = neurons.estimate.values.0.len(),
            _ => {}
        }
        let can_wait = matches!(event, Event::Partial(Partial::Exact { .. }) | Event::Progress(_));
        // what has come is counted by its figures
        if !matches!(event, Event::Progress(_)) {
            now.events.push(event);
        }
        if !can_wait {
            now.timeout = None;
            let events = std::mem::take(&mut now.events);
            drop(now);
            hand_on(events);
        } else if now.timeout.is_none() && !now.events.is_empty() {
            let (later, hand_on) = (Rc::downgrade(&waiting), hand_on.clone());
            let pause = PAUSE_MS + u32::try_from(now.size / FIGURES_A_MS).unwrap_or(PAUSE_MS);
            now.timeout = Some(Timeout::new(pause, move || {
                let Some(later) = later.upgrade() else { return };
                let mut now = later.borrow_mut();
                let events = std::mem::take(&mut now.events);
                let timeout = now.timeout.take();
                drop(now);
                hand_on(events);
                drop(timeout);
            }));
        }
    }
}

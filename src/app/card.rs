//! When the graphics card is used, and what is done when it fails: the page's side of `worker::card`.
//!
//! The card's program is downloaded only where the browser has a card, and only after the first prediction was shown. The
//! model then moves to it between two answers. A card that fails is left: the model is loaded onto the processor again, and
//! asked again what the card had no answer to.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use gloo_timers::callback::Timeout;
use js_sys::Reflect;
use wasm_bindgen::JsValue;

use super::client::{Desk, Life};
use super::site;
use super::views::predictions::FIRST_PREDICTION;
use crate::protocol::{Answer, EngineWish, Event, Failure, Info, Lane, Request, RequestId, Source, ToWorker};

/// Between two looks whether the first prediction is shown.
const LOOK_MS: u32 = 100;

/// How the page stands with the card.
#[derive(Default)]
pub struct Card {
    /// This worker was asked to use it.
    is_asked: Cell<bool>,
    /// It failed: it is not used again.
    is_left: Cell<bool>,
    /// Questions that it failed at, until a model is loaded that can answer.
    waiting: RefCell<Vec<RequestId>>,
    /// The model is being loaded onto the processor for them.
    falls_back: Cell<bool>,
}

impl Card {
    /// A worker that has just begun knows no card.
    pub fn begin_anew(&self) {
        self.is_asked.set(false);
        self.waiting.take();
        self.falls_back.set(false);
    }
}

/// What the page's address asks for: `?engine=cpu`, `?engine=webgpu`.
fn wish() -> Option<EngineWish> {
    match site::asked("engine")?.as_str() {
        "cpu" => Some(EngineWish::Cpu),
        "webgpu" => Some(EngineWish::WebGpu),
        _ => None,
    }
}

/// Whether the first prediction is on the screen.
fn is_shown() -> bool {
    let performance = web_sys::window().and_then(|window| window.performance());
    performance.is_some_and(|performance| performance.get_entries_by_name(FIRST_PREDICTION).length() > 0)
}

fn is_load(ask: &ToWorker) -> bool {
    matches!(ask, ToWorker::Ask { request: Request::Load(_), .. })
}

/// Whether the browser offers cards to pages at all.
fn is_offered() -> bool {
    let navigator = Reflect::get(&js_sys::global(), &"navigator".into()).unwrap_or(JsValue::UNDEFINED);
    Reflect::get(&navigator, &"gpu".into()).is_ok_and(|gpu| gpu.is_object())
}

impl Desk {
    /// After an answer: what computes is told where a model was loaded, and the card is asked for once a prediction was shown.
    pub(super) fn look_for_card(self: &Rc<Self>, is_load: bool, event: &Event) {
        if is_load {
            self.after_load(event);
        }
        match event {
            Event::Done(Answer::Loaded(_)) => self.ask_what_computes(),
            Event::Done(Answer::Prediction(_)) if !self.card.is_asked.get() && !self.card.is_left.get() => {
                let is_wanted = wish() != Some(EngineWish::Cpu) && (is_offered() || wish().is_some());
                if is_wanted {
                    self.card.is_asked.set(true);
                    self.ask_for_card_when_shown();
                }
            }
            _ => {}
        }
    }

    fn ask_what_computes(self: &Rc<Self>) {
        let desk = Rc::downgrade(self);
        self.later(move |asking| {
            let hears = move |event| {
                if let (Event::Done(Answer::Info(info)), Some(desk)) = (event, desk.upgrade()) {
                    desk.say_what_computes(&info);
                }
            };
            asking.ask(None, Request::Info, Box::new(hears));
        });
    }

    /// Nothing of the card is downloaded while the first prediction is still being drawn.
    fn ask_for_card_when_shown(self: &Rc<Self>) {
        let desk = self.clone();
        Timeout::new(LOOK_MS, move || match is_shown() {
            true => desk.ask_for_card(),
            false => desk.ask_for_card_when_shown(),
        })
        .forget();
    }

    fn ask_for_card(self: &Rc<Self>) {
        let any = wish() == Some(EngineWish::WebGpu);
        let desk = Rc::downgrade(self);
        let hears = move |event| {
            let Some(desk) = desk.upgrade() else { return };
            match event {
                Event::Done(Answer::Info(info)) => desk.say_what_computes(&info),
                // that there is none is said to who asked for it
                Event::Failed(failure) if any || failure.code == "card_failed" => {
                    desk.card.is_left.set(true);
                    desk.tell(&Life::WithoutCard(failure));
                }
                _ => {}
            }
        };
        self.ask(None, Request::UseCard { any }, Box::new(hears));
    }

    fn say_what_computes(&self, info: &Info) {
        *self.computes.borrow_mut() = Some(info.clone());
        let listeners = self.on_engine.borrow().clone();
        listeners.iter().for_each(|f| f(info));
    }

    /// Whether a question came back because the card failed: then the processor will answer it.
    pub(super) fn leaves_card(self: &Rc<Self>, id: RequestId, event: &Event) -> bool {
        let Event::Failed(failure) = event else { return false };
        let is_question = match self.open.borrow().get(&id).map(|open| &open.ask) {
            Some(ToWorker::Ask { request: Request::UseCard { .. } | Request::Load(_), .. }) | None => false,
            Some(_) => true,
        };
        let has_model = self.loaded.borrow().is_some();
        if !(is_question && has_model && failure.code == "card_failed") {
            return false;
        }
        self.card.waiting.borrow_mut().push(id);
        if !self.card.is_left.replace(true) {
            self.tell(&Life::WithoutCard(failure.clone()));
        }
        if !self.is_loading() {
            self.fall_back();
        }
        true
    }

    pub(super) fn is_load(&self, id: RequestId) -> bool {
        self.open.borrow().get(&id).is_some_and(|open| is_load(&open.ask))
    }

    fn is_loading(&self) -> bool {
        self.open.borrow().values().any(|open| is_load(&open.ask))
    }

    /// Loads the model onto the processor.
    fn fall_back(self: &Rc<Self>) {
        let Some(source) = self.loaded.borrow().clone() else { return };
        self.card.falls_back.set(true);
        let source = Source { engine: Some(EngineWish::Cpu), ..source };
        self.ask(Some(Lane::Load), Request::Load(source), Box::new(|_| ()));
    }

    /// A model was loaded, or not; which one is all the same to what waits for an answer, for who asks no longer cares has
    /// taken it back.
    fn after_load(self: &Rc<Self>, event: &Event) {
        let fell_back = self.card.falls_back.replace(false);
        match event {
            Event::Done(_) => self.ask_again(),
            // another is on its way
            Event::Failed(_) if self.is_loading() || self.card.waiting.borrow().is_empty() => {}
            Event::Failed(failure) if fell_back => self.give_up(failure),
            _ => self.fall_back(),
        }
    }

    /// Asks again what the card had no answer to.
    fn ask_again(self: &Rc<Self>) {
        let waiting = self.card.waiting.take();
        let open = self.open.borrow();
        if let Some(engine) = &*self.engine.borrow() {
            waiting.iter().filter_map(|id| open.get(id)).for_each(|open| engine.post(&open.ask));
        }
    }

    fn give_up(self: &Rc<Self>, failure: &Failure) {
        let waiting = self.card.waiting.take();
        waiting.into_iter().for_each(|id| self.end(id, failure.clone()));
    }
}

//! One figure of the page: what it asks, and the last answer with the question that it answers. Only where the two
//! questions are one is the answer the present state's; there is no other way for it to become so.

use std::ops::Deref;
use std::rc::Rc;

use yew::prelude::*;

use crate::error::Error;
use crate::protocol::{Answer, Bulk, Event, Failure, Grid, ModelInfo, Neurons, Partial, Patch, Request};

/// An answer that several views look at; equal only to itself, so that comparing it costs nothing.
pub struct Shared<T>(Rc<T>);

impl<T> Shared<T> {
    pub fn new(value: T) -> Self {
        Shared(Rc::new(value))
    }
}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Shared(self.0.clone())
    }
}

impl<T> PartialEq for Shared<T> {
    fn eq(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// What stands in a text box: text, or what a browser lets in there that is no text.
#[derive(Clone, PartialEq)]
pub enum Typed {
    Text(AttrValue),
    /// Half a surrogate pair; the box keeps showing it, nothing is computed from it.
    Broken,
}

impl From<&str> for Typed {
    fn from(text: &str) -> Self {
        Typed::Text(text.to_owned().into())
    }
}

impl Typed {
    /// The text; nothing where there is none.
    pub fn text(&self) -> &str {
        match self {
            Typed::Text(text) => text,
            Typed::Broken => "",
        }
    }
}

/// A request to the model that is loaded.
#[derive(Clone, PartialEq)]
pub struct Question {
    pub model: Shared<ModelInfo>,
    pub request: Request,
}

/// What a figure asks in some state: nothing while what it hangs on isn't known, or why it can't be asked.
pub type Asks = Option<Result<Question, Failure>>;

/// One figure of the page.
pub struct Figure<T> {
    value: Option<Shared<T>>,
    pub stage: Stage,
    /// Counts what was asked of this figure; an answer to an older question is dropped.
    pub edition: u32,
    asks: Rc<Asks>,
    /// What `value` answers, and whether in full.
    answers: Rc<Asks>,
    is_whole: bool,
    /// The answer was there already when it was asked for.
    is_recalled: bool,
}

#[derive(Clone, PartialEq)]
pub enum Stage {
    Working,
    Ready,
    /// A person has stopped it; what had come stays.
    Stopped,
    Failed(Failure),
}

impl<T> Figure<T> {
    pub fn waiting() -> Self {
        let nothing = Rc::new(None);
        Figure {
            value: None,
            stage: Stage::Working,
            edition: 0,
            asks: nothing.clone(),
            answers: nothing,
            is_whole: false,
            is_recalled: false,
        }
    }

    /// Tells the figure what the present state asks of it; true where that is another question than before.
    pub fn ask(&mut self, asks: Asks) -> bool {
        if *self.asks == asks {
            return false;
        }
        self.asks = Rc::new(asks);
        self.edition += 1;
        self.stage = match &*self.asks {
            Some(Err(failure)) => Stage::Failed(failure.clone()),
            // asked, answered, left, and come back to
            Some(Ok(_)) if self.is_whole && self.is_current() => Stage::Ready,
            _ => Stage::Working,
        };
        self.is_recalled = self.stage == Stage::Ready;
        true
    }

    /// Goes on with what was stopped.
    pub fn go_on(&mut self) {
        self.stage = Stage::Working;
        self.edition += 1;
    }

    /// Ends the work on it by a person's wish.
    pub fn stop(&mut self) {
        if self.is_working() {
            self.stage = Stage::Stopped;
        }
    }

    fn show(&mut self, value: T, is_whole: bool) {
        self.value = Some(Shared::new(value));
        self.answers = self.asks.clone();
        self.is_whole = is_whole;
    }

    /// Whether it has never been answered.
    pub fn is_empty(&self) -> bool {
        self.value.is_none()
    }

    /// Whether nothing need be asked, as the answer was there already.
    pub fn is_recalled(&self) -> bool {
        self.is_recalled
    }

    /// What is asked now, if anything can be.
    pub fn question(&self) -> Option<&Question> {
        self.asks.as_ref().as_ref().and_then(|asks| asks.as_ref().ok())
    }

    /// Whether what is shown answers this in full, asked now or not.
    pub fn has_answered(&self, question: &Question) -> bool {
        self.is_whole && matches!(&*self.answers, Some(Ok(answered)) if answered == question)
    }

    /// Takes an event of the request that was asked for `edition`; `pick` takes the answer that belongs here.
    pub fn hear(&mut self, edition: u32, event: Event, pick: impl FnOnce(Answer) -> Option<T>) {
        match event {
            _ if edition != self.edition => {}
            Event::Done(answer) => {
                if let Some(value) = pick(answer) {
                    self.show(value, true);
                    self.stage = Stage::Ready;
                }
            }
            Event::Failed(failure) if is_cancelled(&failure) => {}
            Event::Failed(failure) => self.stage = Stage::Failed(failure),
            Event::Progress(_) | Event::Generated(_) | Event::Partial(_) | Event::Read(_) => {}
        }
    }

    pub fn failure(&self) -> Option<Failure> {
        match &self.stage {
            Stage::Failed(failure) => Some(failure.clone()),
            Stage::Working | Stage::Ready | Stage::Stopped => None,
        }
    }

    /// Whether there is no answer yet.
    pub fn is_working(&self) -> bool {
        self.stage == Stage::Working
    }

    /// Whether an answer is on its way.
    pub fn is_coming(&self) -> bool {
        self.is_working() && self.question().is_some()
    }

    /// Whether there is nothing more to ask: the answer is there, or there is none.
    pub fn is_answered(&self) -> bool {
        matches!(self.stage, Stage::Ready | Stage::Failed(_))
    }

    pub fn is_stopped(&self) -> bool {
        self.stage == Stage::Stopped
    }

    /// Whether `value` answers what is asked now, in part at least.
    pub fn is_current(&self) -> bool {
        self.value.is_some() && self.question().is_some() && self.answers == self.asks
    }

    /// The value, where it answers what is asked now.
    pub fn current(&self) -> Option<&Shared<T>> {
        self.value.as_ref().filter(|_| self.is_current())
    }
}

impl<T> Clone for Figure<T> {
    fn clone(&self) -> Self {
        Figure {
            value: self.value.clone(),
            stage: self.stage.clone(),
            edition: self.edition,
            asks: self.asks.clone(),
            answers: self.answers.clone(),
            is_whole: self.is_whole,
            is_recalled: self.is_recalled,
        }
    }
}

impl<T> PartialEq for Figure<T> {
    fn eq(&self, other: &Self) -> bool {
        let same = |a: &Rc<Asks>, b: &Rc<Asks>| Rc::ptr_eq(a, b);
        self.edition == other.edition
            && self.value == other.value
            && self.stage == other.stage
            && same(&self.asks, &other.asks)
            && same(&self.answers, &other.answers)
    }
}

/// Whether a request ended only because a newer one took its place or a person stopped it.
pub fn is_cancelled(failure: &Failure) -> bool {
    failure.code == Error::Cancelled.code()
}

/// A sweep's answer, which comes as estimates first and then figure by figure.
pub trait Swept: Clone {
    fn values(&self) -> &Grid;
    fn values_mut(&mut self) -> &mut Grid;
    fn estimate(&self) -> &Grid;
    fn from_partial(partial: Partial) -> Option<Self>;
    fn from_answer(answer: Answer) -> Option<Self>;
}

impl Swept for Patch {
    fn values(&self) -> &Grid {
        &self.values
    }

    fn values_mut(&mut self) -> &mut Grid {
        &mut self.values
    }

    fn estimate(&self) -> &Grid {
        &self.estimate
    }

    fn from_partial(partial: Partial) -> Option<Self> {
        if let Partial::PatchEstimate(patch) = partial { Some(patch) } else { None }
    }

    fn from_answer(answer: Answer) -> Option<Self> {
        if let Answer::Patch(patch) = answer { Some(patch) } else { None }
    }
}

impl Swept for Neurons {
    fn values(&self) -> &Grid {
        &self.values
    }

    fn values_mut(&mut self) -> &mut Grid {
        &mut self.values
    }

    fn estimate(&self) -> &Grid {
        &self.estimate
    }

    fn from_partial(partial: Partial) -> Option<Self> {
        if let Partial::NeuronsEstimate(neurons) = partial { Some(neurons) } else { None }
    }

    fn from_answer(answer: Answer) -> Option<Self> {
        if let Answer::Neurons(neurons) = answer { Some(neurons) } else { None }
    }
}

/// What a sweep has found so far. Where a figure is not exact yet, its estimate stands in its place.
#[derive(Clone)]
pub struct Sweep<A> {
    pub answer: A,
    exact: Vec<bool>,
    n_exact: usize,
}

impl<A: Swept> Sweep<A> {
    fn estimated(mut answer: A) -> Self {
        let estimates = answer.estimate().values.clone();
        answer.values_mut().values = estimates;
        let exact = vec![false; answer.values().values.0.len()];
        Sweep { answer, exact, n_exact: 0 }
    }

    fn complete(answer: A) -> Self {
        let n_exact = answer.values().values.0.len();
        Sweep { answer, exact: vec![true; n_exact], n_exact }
    }

    fn take(&mut self, first: usize, figures: &[f32]) {
        let values = self.answer.values_mut().values.0.iter_mut().zip(&mut self.exact).skip(first);
        for ((value, exact), figure) in values.zip(figures) {
            *value = *figure;
            self.n_exact += usize::from(!*exact);
            *exact = true;
        }
    }

    pub fn is_exact(&self, index: usize) -> bool {
        self.exact.get(index).copied().unwrap_or(false)
    }

    pub fn is_complete(&self) -> bool {
        self.n_exact == self.exact.len()
    }

    /// How many figures are exact, and of how many.
    pub fn counts(&self) -> (usize, usize) {
        (self.n_exact, self.exact.len())
    }

    pub fn values(&self) -> &[f32] {
        &self.answer.values().values.0
    }

    pub fn columns(&self) -> usize {
        self.answer.values().columns.max(1)
    }
}

impl<A: Swept> Figure<Sweep<A>> {
    /// Takes events of the sweep that was asked for `edition`, in the order in which they came.
    pub fn hear_sweep(&mut self, edition: u32, events: Vec<Event>) {
        if edition != self.edition {
            return;
        }
        // many figures come at a time: they are put in their places in one copy
        let mut growing: Option<Sweep<A>> = None;
        for event in events {
            match event {
                Event::Partial(Partial::Exact { first, figures: Bulk(figures) }) => {
                    growing = growing.or_else(|| self.current().map(|shown| Sweep::clone(shown)));
                    if let Some(growing) = &mut growing {
                        growing.take(first, &figures);
                    }
                }
                Event::Partial(estimate) => {
                    if let Some(answer) = A::from_partial(estimate) {
                        growing = Some(Sweep::estimated(answer));
                    }
                }
                event => {
                    growing.take().into_iter().for_each(|grown| self.show(grown, false));
                    self.hear(edition, event, |answer| A::from_answer(answer).map(Sweep::complete));
                }
            }
        }
        growing.into_iter().for_each(|grown| self.show(grown, false));
    }
}

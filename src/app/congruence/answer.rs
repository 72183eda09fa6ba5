//! An answer that one figure alone needs, asked for when its question changes.

use yew::prelude::*;

use crate::app::client::Client;
use crate::app::state::{Question, Shared, is_cancelled};
use crate::protocol::{Answer, Event, Failure, Lane, ModelInfo, Request};

/// What has come of a question.
pub struct Answered<T> {
    value: Option<Shared<T>>,
    pub failure: Option<Failure>,
    /// The question that value or failure answers, and the one that is asked now.
    answers: Option<Question>,
    asks: Option<Question>,
    /// The answer is still to come.
    pub is_coming: bool,
}

impl<T> Answered<T> {
    /// The answer to what is asked now.
    pub fn current(&self) -> Option<&Shared<T>> {
        let is_current = self.failure.is_none() && self.asks.is_some() && self.answers == self.asks;
        self.value.as_ref().filter(|_| is_current)
    }
}

impl<T> Clone for Answered<T> {
    fn clone(&self) -> Self {
        Answered {
            value: self.value.clone(),
            failure: self.failure.clone(),
            answers: self.answers.clone(),
            asks: self.asks.clone(),
            is_coming: self.is_coming,
        }
    }
}

impl<T> Default for Answered<T> {
    fn default() -> Self {
        Answered { value: None, failure: None, answers: None, asks: None, is_coming: false }
    }
}

/// Asks a request of the loaded model while that is wanted, and again when either becomes another.
#[hook]
pub fn use_answer<T: 'static>(
    client: &Client,
    lane: Option<Lane>,
    model: &Option<Shared<ModelInfo>>,
    asked: (Option<Request>, bool),
    take: fn(Answer) -> Option<T>,
) -> Answered<T> {
    let (request, wanted) = asked;
    let answered = use_state(Answered::<T>::default);
    let question = model.clone().zip(request).map(|(model, request)| Question { model, request });
    let is_open = wanted && question.is_some() && answered.answers != question;
    let (client, setter) = (client.clone(), answered.setter());
    use_effect_with(question.clone().filter(|_| is_open), move |asks| {
        let id = asks.clone().map(|question| {
            client.ask(lane, question.request.clone(), move |event| {
                let (value, failure) = match event {
                    Event::Done(answer) => (take(answer).map(Shared::new), None),
                    // asked no more, or asked again
                    Event::Failed(failure) if is_cancelled(&failure) => return,
                    Event::Failed(failure) => (None, Some(failure)),
                    _ => return,
                };
                setter.set(Answered { value, failure, answers: Some(question.clone()), ..Answered::default() });
            })
        });
        let client = client;
        move || {
            if let Some(id) = id {
                client.cancel(id);
            }
        }
    });
    let failure = answered.failure.clone().filter(|_| answered.answers == question);
    Answered { failure, asks: question, is_coming: is_open, ..(*answered).clone() }
}

//! An answer that one figure alone needs, asked for when its question changes.

use yew::prelude::*;

use crate::app::client::Client;
use crate::app::state::{Shared, is_cancelled};
use crate::protocol::{Answer, Event, Failure, Lane, ModelInfo, Request};

/// What has come of a question.
pub struct Answered<T> {
    /// The last answer; to an earlier question perhaps.
    pub value: Option<Shared<T>>,
    pub failure: Option<Failure>,
    /// The question that value or failure answers.
    answers: Option<Question>,
}

/// A request to the model that is loaded.
type Question = (Shared<ModelInfo>, Request);

impl<T> Clone for Answered<T> {
    fn clone(&self) -> Self {
        Answered { value: self.value.clone(), failure: self.failure.clone(), answers: self.answers.clone() }
    }
}

impl<T> Default for Answered<T> {
    fn default() -> Self {
        Answered { value: None, failure: None, answers: None }
    }
}

/// Asks `request` of the loaded model while there is one to ask, and again when either becomes another. The second is
/// whether the answer to it is still to come.
#[hook]
pub fn use_answer<T: 'static>(
    client: &Client,
    lane: Option<Lane>,
    model: &Option<Shared<ModelInfo>>,
    request: Option<Request>,
    take: fn(Answer) -> Option<T>,
) -> (Answered<T>, bool) {
    let answered = use_state(Answered::<T>::default);
    let question: Option<Question> = model.clone().zip(request);
    let is_open = question.is_some() && answered.answers != question;
    let asks = is_open.then(|| question.clone()).flatten();
    let (client, setter, last) = (client.clone(), answered.setter(), answered.value.clone());
    use_effect_with(asks, move |asks| {
        let id = asks.clone().map(|question| {
            client.ask(lane, question.1.clone(), move |event| {
                let answers = Some(question.clone());
                match event {
                    Event::Done(answer) => {
                        let value = take(answer).map(Shared::new);
                        setter.set(Answered { value, failure: None, answers });
                    }
                    // asked no more, or asked again
                    Event::Failed(failure) if is_cancelled(&failure) => {}
                    Event::Failed(failure) => {
                        setter.set(Answered { value: last.clone(), failure: Some(failure), answers });
                    }
                    _ => {}
                }
            })
        });
        let client = client;
        move || {
            if let Some(id) = id {
                client.cancel(id);
            }
        }
    });
    ((*answered).clone(), is_open)
}

//! A pass over a corpus as the page follows it.

use std::rc::Rc;

use yew::prelude::*;

use crate::app::client::Client;
use crate::app::state::is_cancelled;
use crate::protocol::{
    Answer, CorpusAnswer, CorpusOptions, CorpusProgress, CorpusRequest, DataFile, Event, Failure, Request, RequestId,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Stage {
    #[default]
    Idle,
    Working,
    Paused,
    Done,
}

#[derive(Default, Clone, PartialEq)]
pub struct Heard {
    id: Option<RequestId>,
    pub stage: Stage,
    pub progress: Option<CorpusProgress>,
    pub answer: Option<Rc<CorpusAnswer>>,
    pub failure: Option<Failure>,
}

/// What happened to a pass.
pub enum Told {
    Started(RequestId, bool),
    Event(RequestId, Event),
}

impl Reducible for Heard {
    type Action = Told;

    fn reduce(self: Rc<Self>, told: Told) -> Rc<Self> {
        let mut next = (*self).clone();
        match told {
            Told::Started(id, resume) => {
                let before = if resume { next.answer } else { None };
                next = Heard { id: Some(id), stage: Stage::Working, answer: before, ..Heard::default() };
            }
            // a pass that another has replaced
            Told::Event(id, _) if Some(id) != self.id => return self,
            Told::Event(_, Event::Corpus(mut progress)) => {
                if let Some(answer) = progress.answer.take() {
                    next.answer = Some(Rc::new(answer));
                }
                next.progress = Some(progress);
            }
            Told::Event(_, Event::Done(Answer::Corpus(answer))) => {
                (next.stage, next.answer) = (Stage::Done, Some(Rc::new(answer)));
            }
            Told::Event(_, Event::Failed(failure)) if is_cancelled(&failure) => next.stage = Stage::Paused,
            Told::Event(_, Event::Failed(failure)) => (next.stage, next.failure) = (Stage::Idle, Some(failure)),
            Told::Event(..) => return self,
        }
        Rc::new(next)
    }
}

/// What has been heard of the pass, and a way to start and stop it.
#[derive(Clone)]
pub struct Pass {
    client: Client,
    heard: UseReducerHandle<Heard>,
}

impl std::ops::Deref for Pass {
    type Target = Heard;

    fn deref(&self) -> &Heard {
        &self.heard
    }
}

#[hook]
pub fn use_pass(client: &Client) -> Pass {
    Pass { client: client.clone(), heard: use_reducer(Heard::default) }
}

impl Pass {
    pub fn start(&self, files: Vec<DataFile>, options: CorpusOptions, resume: bool) {
        self.pause();
        let dispatch = self.heard.dispatcher();
        let number = Rc::new(std::cell::Cell::new(0));
        let heard = {
            let (dispatch, number) = (dispatch.clone(), number.clone());
            move |event| dispatch.dispatch(Told::Event(number.get(), event))
        };
        let id = self.client.ask(None, Request::Corpus(CorpusRequest { files, options, resume }), heard);
        number.set(id);
        dispatch.dispatch(Told::Started(id, resume));
    }

    /// Stops it; the worker keeps what it has found, to go on from.
    pub fn pause(&self) {
        if let (Some(id), Stage::Working) = (self.heard.id, self.heard.stage) {
            self.client.cancel(id);
        }
    }
}

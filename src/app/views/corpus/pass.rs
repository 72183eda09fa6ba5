//! A pass over a corpus as the page follows it.

use std::rc::Rc;

use yew::prelude::*;

use crate::app::client::Client;
use crate::app::corpora::{self, Told};
use crate::app::state::is_cancelled;
use crate::protocol::{CorpusAnswer, CorpusOptions, CorpusProgress, DataFile, Failure, ReaderTask, RequestId};

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
pub enum Happened {
    Started(RequestId, bool),
    Told(RequestId, Told<CorpusAnswer>),
    Dropped,
}

impl Reducible for Heard {
    type Action = Happened;

    fn reduce(self: Rc<Self>, happened: Happened) -> Rc<Self> {
        let mut next = (*self).clone();
        match happened {
            Happened::Started(id, resume) => {
                let before = if resume { next.answer } else { None };
                next = Heard { id: Some(id), stage: Stage::Working, answer: before, ..Heard::default() };
            }
            Happened::Dropped => next = Heard::default(),
            // a pass that another has replaced
            Happened::Told(id, _) if Some(id) != self.id => return self,
            Happened::Told(_, Told::Progress(mut progress)) => {
                if let Some(answer) = progress.answer.take() {
                    next.answer = Some(Rc::new(answer));
                }
                next.progress = Some(*progress);
            }
            Happened::Told(_, Told::Done(answer)) => (next.stage, next.answer) = (Stage::Done, Some(Rc::new(answer))),
            Happened::Told(_, Told::Failed(failure)) if is_cancelled(&failure) => next.stage = Stage::Paused,
            Happened::Told(_, Told::Failed(failure)) => (next.stage, next.failure) = (Stage::Idle, Some(failure)),
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
    /// Begins a pass; one that runs is stopped.
    pub fn start(&self, files: Vec<DataFile>, options: CorpusOptions, resume: bool, keep: bool) {
        self.pause();
        let dispatch = self.heard.dispatcher();
        let number = Rc::new(std::cell::Cell::new(0));
        let tell = {
            let (dispatch, number) = (dispatch.clone(), number.clone());
            move |told| dispatch.dispatch(Happened::Told(number.get(), told))
        };
        let id = corpora::ask(&self.client, &ReaderTask::Pass { files, options, resume, keep }, tell);
        number.set(id);
        dispatch.dispatch(Happened::Started(id, resume));
    }

    /// Stops it; the reader keeps what it has found, to go on from.
    pub fn pause(&self) {
        if let (Some(id), Stage::Working) = (self.heard.id, self.heard.stage) {
            self.client.cancel(id);
        }
    }

    /// Stops it and shows nothing of it any more.
    pub fn discard(&self) {
        self.pause();
        self.heard.dispatch(Happened::Dropped);
    }
}

//! A pass over a corpus as the page follows it.

use std::rc::Rc;

use yew::prelude::*;

use crate::app::client::Client;
use crate::app::corpora::{self, Told};
use crate::app::state::is_cancelled;
use crate::protocol::{Bins, CorpusAnswer, CorpusOptions, CorpusProgress, DataFile, Failure, ReaderTask, RequestId};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Stage {
    #[default]
    Idle,
    Working,
    Paused,
    Done,
}

/// What was asked of a pass.
#[derive(Clone, PartialEq)]
pub struct Asked {
    files: Vec<DataFile>,
    options: CorpusOptions,
    keep: bool,
}

#[derive(Default, Clone, PartialEq)]
pub struct Heard {
    id: Option<RequestId>,
    asked: Option<Rc<Asked>>,
    pub stage: Stage,
    pub progress: Option<CorpusProgress>,
    /// Why it began anew.
    pub lost: Option<String>,
    pub answer: Option<Rc<CorpusAnswer>>,
    /// What the answer's bins are.
    pub bins: Bins,
    pub failure: Option<Failure>,
}

/// What happened to a pass.
pub enum Happened {
    Started(RequestId, Rc<Asked>, bool),
    /// The same answer in other bins.
    Binned(Bins, CorpusAnswer),
    Told(RequestId, Told<CorpusAnswer>),
    Dropped,
}

impl Reducible for Heard {
    type Action = Happened;

    fn reduce(self: Rc<Self>, happened: Happened) -> Rc<Self> {
        let mut next = (*self).clone();
        match happened {
            Happened::Started(id, asked, resume) => {
                let before = if resume { next.answer } else { None };
                let bins = asked.options.bins;
                let (id, asked, stage) = (Some(id), Some(asked), Stage::Working);
                next = Heard { id, asked, stage, bins, answer: before, ..Heard::default() };
            }
            Happened::Binned(bins, answer) => (next.bins, next.answer) = (bins, Some(Rc::new(answer))),
            Happened::Dropped => next = Heard::default(),
            // a pass that another has replaced
            Happened::Told(id, _) if Some(id) != self.id => return self,
            Happened::Told(_, Told::Progress(mut progress)) => {
                if let Some(answer) = progress.answer.take() {
                    next.answer = Some(Rc::new(answer));
                }
                next.lost = progress.lost.take().or(next.lost);
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
#[derive(Clone, PartialEq)]
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

/// Under which keys the first of these files has texts, once the reader has said it.
#[hook]
pub fn use_keys(client: &Client, files: Vec<DataFile>) -> Vec<String> {
    let said = use_state(|| (Vec::<DataFile>::new(), Vec::<String>::new()));
    {
        let (client, said) = (client.clone(), said.clone());
        use_effect_with(files.clone(), move |files| {
            if !files.is_empty() {
                let files = files.clone();
                corpora::ask(&client, &ReaderTask::Keys { files: files.clone() }, move |told| {
                    // where none can be told, the pass tells why
                    if let Told::Done(keys) = told {
                        said.set((files.clone(), keys));
                    }
                });
            }
        });
    }
    if said.0 == files { said.1.clone() } else { Vec::new() }
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
        let asked = Rc::new(Asked { files: files.clone(), options: options.clone(), keep });
        let id = corpora::ask(&self.client, &ReaderTask::Pass { files, options, resume, keep }, tell);
        number.set(id);
        dispatch.dispatch(Happened::Started(id, asked, resume));
    }

    /// Whether what was found is of these files, read so.
    pub fn is_of(&self, files: &[DataFile], options: &CorpusOptions) -> bool {
        self.heard.asked.as_ref().is_some_and(|asked| {
            // which neurons were watched is said by the answer; bins are counted in both ways
            let CorpusOptions { neurons, layers, .. } = asked.options.clone();
            let same = CorpusOptions { neurons, layers, bins: asked.options.bins, ..options.clone() };
            asked.files == files && asked.options == same && self.heard.bins == options.bins
        })
    }

    /// Goes on with one that was paused.
    pub fn go_on(&self) {
        if let Some(asked) = &self.heard.asked {
            self.start(asked.files.clone(), asked.options.clone(), true, asked.keep);
        }
    }

    /// Shows the pairs in other bins; the reader has counted both.
    pub fn bin(&self, bins: Bins) {
        let dispatch = self.heard.dispatcher();
        corpora::ask(&self.client, &ReaderTask::Bins(bins), move |told| {
            if let Told::Done(answer) = told {
                dispatch.dispatch(Happened::Binned(bins, answer));
            }
        });
    }

    /// Has the reader forget what it keeps of a pass.
    pub fn forget(&self) {
        corpora::ask::<()>(&self.client, &ReaderTask::Forget, |_| ());
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
        if self.heard.stage != Stage::Idle || self.heard.failure.is_some() {
            self.heard.dispatch(Happened::Dropped);
        }
    }
}

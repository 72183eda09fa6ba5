//! Models that could be loaded: the one looked at, and those that this device keeps.

use super::{Shared, is_cancelled};
use crate::model::WeightDtype;
use crate::protocol::{Answer, Description, Event, Failure, Kept, Progress, Source};
use crate::store::catalog::usual_dtype;

#[derive(Clone, PartialEq, Default)]
pub struct Models {
    pub looked_at: Option<LookedAt>,
    /// Counts the models looked at, so that an answer finds the one it is for.
    pub edition: u32,
    /// None before the worker has said.
    pub kept: Option<Shared<Kept>>,
    /// Why it can't be said.
    pub kept_failure: Option<Failure>,
    /// What is done to kept models, by their keys.
    pub work: Vec<(String, Work)>,
}

/// A model that a person thinks of loading.
#[derive(Clone, PartialEq)]
pub struct LookedAt {
    pub source: Source,
    /// Where in the menu it was chosen.
    pub from: Spot,
    pub found: Found,
    pub dtype: WeightDtype,
}

/// Where in the menu a model was chosen: that is where it is described.
#[derive(Clone, PartialEq, Eq)]
pub enum Spot {
    /// A row of the known models, by its repository.
    Known(&'static str),
    Elsewhere,
    /// A folder of this device.
    Here,
    /// A row of the kept models, by its key.
    Kept(String),
    Link,
}

#[derive(Clone, PartialEq)]
pub enum Found {
    Asking,
    Known(Shared<Description>),
    Failed(Failure),
}

/// What is done to a kept model.
#[derive(Clone, PartialEq)]
pub enum Work {
    Checking(Option<Progress>),
    Unchanged,
    Deleting,
    Failed(Failure),
}

pub enum ModelsAction {
    LookAt(Source, Spot),
    Described(u32, Event),
    Dtype(WeightDtype),
    LookAway,
    Kept(Event),
    Work(String, Option<Work>),
    Verified(String, Event),
    Forgotten(String, Event),
}

impl Models {
    pub fn act(&mut self, action: ModelsAction) {
        match action {
            ModelsAction::LookAt(source, from) => {
                self.edition += 1;
                let dtype = WeightDtype::default();
                self.looked_at = Some(LookedAt { source, from, found: Found::Asking, dtype });
            }
            ModelsAction::Described(edition, event) if edition == self.edition => self.described(event),
            ModelsAction::Described(..) => {}
            ModelsAction::Dtype(dtype) => {
                if let Some(looked_at) = &mut self.looked_at {
                    looked_at.dtype = dtype;
                }
            }
            ModelsAction::LookAway => {
                self.edition += 1;
                self.looked_at = None;
            }
            ModelsAction::Kept(event) => self.hear_kept(event),
            ModelsAction::Work(key, work) => self.set_work(key, work),
            ModelsAction::Verified(key, event) => match event {
                Event::Progress(progress) => self.set_work(key, Some(Work::Checking(Some(progress)))),
                Event::Done(_) => self.set_work(key, Some(Work::Unchanged)),
                Event::Failed(failure) => self.set_work(key, Some(Work::Failed(failure))),
                Event::Generated(_) | Event::Partial(_) | Event::Read(_) => {}
            },
            ModelsAction::Forgotten(key, event) => match event {
                Event::Failed(failure) => self.set_work(key, Some(Work::Failed(failure))),
                event => {
                    self.set_work(key, None);
                    self.hear_kept(event);
                }
            },
        }
    }

    pub fn work_on(&self, key: &str) -> Option<&Work> {
        self.work.iter().find(|(of, _)| of == key).map(|(_, work)| work)
    }

    fn described(&mut self, event: Event) {
        let Some(looked_at) = &mut self.looked_at else { return };
        match event {
            Event::Done(Answer::Described(description)) => {
                looked_at.dtype = usual_dtype(&description.memory, description.parameters);
                looked_at.found = Found::Known(Shared::new(description));
            }
            Event::Failed(failure) => looked_at.found = Found::Failed(failure),
            _ => {}
        }
    }

    fn hear_kept(&mut self, event: Event) {
        match event {
            Event::Done(Answer::Kept(kept) | Answer::Forgotten(kept)) => {
                self.work.retain(|(key, _)| kept.models.iter().any(|model| model.key == *key));
                self.kept = Some(Shared::new(kept));
                self.kept_failure = None;
            }
            // asked anew
            Event::Failed(failure) if is_cancelled(&failure) => {}
            Event::Failed(failure) => self.kept_failure = Some(failure),
            _ => {}
        }
    }

    fn set_work(&mut self, key: String, work: Option<Work>) {
        self.work.retain(|(of, _)| *of != key);
        self.work.extend(work.map(|work| (key, work)));
    }
}

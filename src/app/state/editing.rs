//! The edits that stand in the edit bar, and what the model says under them.

use super::figure::Figure;
use crate::engine::edit::{EditText, TextChange};
use crate::link::{MAX_EDITS, Switched};
use crate::protocol::{Answer, Edited, Event, Failure, Generation};

/// Which figure of this part an answer belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Predictions before and after.
    Predictions,
    /// How the text goes on without (0) and with (1) the edits.
    GoesOn(usize),
}

#[derive(Clone, PartialEq)]
pub struct Editing {
    pub edits: Vec<Switched>,
    /// Why each of them can't be made in this run, if it can't: the others are made without it. Empty before that is known.
    pub problems: Vec<Option<Failure>>,
    /// They change the corrupted run instead of the clean one.
    pub corrupted: bool,
    pub edited: Figure<Edited>,
    pub goes_on: [Figure<Generation>; 2],
}

impl Default for Editing {
    fn default() -> Self {
        Editing {
            edits: Vec::new(),
            problems: Vec::new(),
            corrupted: false,
            edited: Figure::waiting(),
            goes_on: [Figure::waiting(), Figure::waiting()],
        }
    }
}

impl Editing {
    /// The edits that are made: those switched on that can be.
    pub fn made(&self) -> impl Iterator<Item = &EditText> {
        let can_be = |at: usize| self.problem(at).is_none();
        let on = self.edits.iter().enumerate().filter(move |(at, switched)| switched.on && can_be(*at));
        on.map(|(_, switched)| &switched.edit)
    }

    /// Why an edit can't be made.
    pub fn problem(&self, index: usize) -> Option<&Failure> {
        self.problems.get(index).and_then(Option::as_ref)
    }

    /// Whether there is room for one more.
    pub fn has_room(&self) -> bool {
        self.edits.len() < MAX_EDITS
    }

    /// Adds an edit, switched on; the same place's edit of the same kind gives way to it.
    pub fn add(&mut self, edit: EditText) {
        let same = |other: &Switched| {
            let kind = |edit: &EditText| std::mem::discriminant(&edit.change);
            (other.edit.site, other.edit.part, &other.edit.at) == (edit.site, edit.part, &edit.at)
                && kind(&other.edit) == kind(&edit)
        };
        let there = self.edits.iter().position(same);
        match there {
            Some(at) => self.edits[at] = Switched { edit, on: true },
            None if self.has_room() => self.edits.push(Switched { edit, on: true }),
            None => {}
        }
    }

    /// Changes what an edit does; true where it is another kind of change, and not only another amount.
    pub fn change(&mut self, index: usize, change: TextChange) -> bool {
        let kind = std::mem::discriminant(&change);
        self.edits.get_mut(index).is_some_and(|switched| {
            let before = std::mem::replace(&mut switched.edit.change, change);
            std::mem::discriminant(&before) != kind
        })
    }

    pub fn switch(&mut self, index: usize, on: bool) {
        if let Some(switched) = self.edits.get_mut(index) {
            switched.on = on;
        }
    }

    pub fn remove(&mut self, index: usize) {
        if index < self.edits.len() {
            self.edits.remove(index);
        }
    }

    pub fn hear(&mut self, which: Outcome, edition: u32, event: Event) {
        match which {
            Outcome::Predictions => self.edited.hear(edition, event, |answer| match answer {
                Answer::Edited(edited) => Some(edited),
                _ => None,
            }),
            Outcome::GoesOn(which) => self.goes_on[which].hear(edition, event, |answer| match answer {
                Answer::Generation(generation) => Some(generation),
                _ => None,
            }),
        }
    }
}

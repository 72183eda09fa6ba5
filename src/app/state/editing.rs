//! The edits that stand in the edit bar, and what the model says under them.

use super::figure::Figure;
use crate::app::presets::PRESETS;
use crate::engine::edit::{EditText, TextChange};
use crate::link::{MAX_EDITS, Switched};
use crate::protocol::{Answer, Edited, Event, Generation};

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
    /// They change the corrupted run instead of the clean one.
    pub corrupted: bool,
    pub edited: Figure<Edited>,
    pub goes_on: [Figure<Generation>; 2],
}

impl Default for Editing {
    fn default() -> Self {
        Editing {
            edits: Vec::new(),
            corrupted: false,
            edited: Figure::waiting(),
            goes_on: [Figure::waiting(), Figure::waiting()],
        }
    }
}

impl Editing {
    /// The edits switched on, as the engine reads them.
    pub fn set(&self) -> Vec<String> {
        self.edits.iter().filter(|switched| switched.on).map(|switched| switched.edit.to_string()).collect()
    }

    /// The texts over which means are taken, where an edit needs one: the prompts of all examples.
    pub fn corpus(&self) -> Vec<String> {
        let is_needed = self.edits.iter().any(|switched| switched.on && switched.edit.change == TextChange::Mean);
        let prompts = PRESETS.iter().filter(|_| is_needed).flat_map(|preset| [preset.clean, preset.corrupted]);
        prompts.map(str::to_owned).collect()
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
            None => return,
        }
        self.changed();
    }

    pub fn change(&mut self, index: usize, change: TextChange) {
        if let Some(switched) = self.edits.get_mut(index) {
            switched.edit.change = change;
            self.changed();
        }
    }

    pub fn switch(&mut self, index: usize, on: bool) {
        if let Some(switched) = self.edits.get_mut(index) {
            switched.on = on;
            self.changed();
        }
    }

    pub fn remove(&mut self, index: usize) {
        if index < self.edits.len() {
            self.edits.remove(index);
            self.changed();
        }
    }

    /// The edits are others; the text without them stays.
    pub fn changed(&mut self) {
        self.edited.outdate();
        self.goes_on[1].outdate();
    }

    /// The prompt or the model is another one.
    pub fn prompt_changed(&mut self) {
        self.changed();
        self.goes_on[0].outdate();
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

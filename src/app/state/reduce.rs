//! How the state changes: what a person does, and what the worker answers.

use std::rc::Rc;

use yew::prelude::*;

use super::figure::is_cancelled;
use super::{Action, Lens, Loading, State, Table, Typed, Writing, WritingStage};
use crate::protocol::{Answer, Event, Generation};

impl State {
    fn append(&mut self, text: &str, ids: &[u32]) {
        let Typed::Text(prompt) = &self.prompt else { return };
        let longer = if self.reads_text() {
            format!("{prompt}{text}")
        } else {
            ids.iter().fold(prompt.to_string(), |prompt, id| format!("{prompt} #{id}"))
        };
        self.prompt = Typed::Text(longer.into());
    }

    fn wrote(&mut self, edition: u32, event: Event) {
        let Some(writing) = self.writing.as_mut().filter(|writing| writing.edition == edition) else { return };
        match event {
            Event::Generated(generation) => writing.generation = generation,
            Event::Done(Answer::Generation(generation)) => {
                writing.generation = generation;
                writing.stage = WritingStage::Done;
            }
            Event::Failed(failure) if is_cancelled(&failure) => writing.stage = WritingStage::Stopped,
            Event::Failed(failure) => writing.stage = WritingStage::Failed(failure),
            Event::Done(_) | Event::Progress(_) | Event::Partial(_) | Event::Read(_) => {}
        }
    }

    /// Takes an answer from the worker; gives back what is a person's doing.
    fn hear(&mut self, action: Action) -> Option<Action> {
        match action {
            Action::Load(id, event, now_ms) => self.loading.hear(id, event, now_ms),
            Action::Models(action) => self.models.act(action),
            Action::Predicted(edition, event) => self.prediction.hear(edition, event, |answer| match answer {
                Answer::Prediction(prediction) => Some(prediction),
                _ => None,
            }),
            Action::TokenFound(edition, which, event) => {
                self.tokens[which].hear(edition, event, |answer| match answer {
                    Answer::Token(token) => Some(token),
                    _ => None,
                })
            }
            // the pair and the convention are those asked for, or the edition would be another
            Action::Lensed(edition, event) => {
                let pair = self.pair_found();
                self.lens.hear(edition, event, |answer| match answer {
                    Answer::Lens(points) => Some(Lens { pair: pair?, points }),
                    _ => None,
                })
            }
            Action::Tabled(edition, event) => {
                let final_ln = self.table_final_ln;
                self.table.hear(edition, event, |answer| match answer {
                    Answer::LensTable(cells) => Some(Table { final_ln, cells }),
                    _ => None,
                })
            }
            Action::Patched(which, edition, events) => self.patching.hear(which, edition, events),
            Action::Edited(which, edition, event) => self.editing.hear(which, edition, event),
            Action::Wrote(edition, event) => self.wrote(edition, event),
            other => return Some(other),
        }
        None
    }

    /// Does what a person asked for; true where Back should undo it as one step.
    fn act(&mut self, action: Action) -> bool {
        match action {
            Action::Prompt(typed) => {
                self.prompt = typed;
                return false;
            }
            Action::Append(token) => self.append(&token.token, &[token.id]),
            Action::Bos(bos) => {
                self.bos = bos;
            }
            Action::Pair(which, typed) => {
                self.pair[which] = typed;
                return false;
            }
            Action::LensShown(shown) => self.lens_shown = shown,
            Action::TableFinalLn(final_ln) => {
                self.table_final_ln = final_ln;
            }
            Action::Corrupted(typed) => {
                self.patching.corrupted = typed;
                return false;
            }
            Action::Example { prompts: [clean, corrupted], pair } => {
                (self.prompt, self.patching.corrupted) = (clean.into(), corrupted.into());
                self.pair = pair.map(Typed::from);
            }
            Action::Reversed(reversed) => {
                self.patching.reversed = reversed;
            }
            Action::Layer(layer) => self.patching.layer = layer,
            Action::AllLayers => self.patching.all_asked = true,
            Action::Neuron(neuron) => self.patching.neuron = neuron,
            Action::Order(order) => self.patching.order = order,
            Action::Stop(which, stop) => self.patching.stop(which, stop),
            Action::Edit(edit) => self.editing.add(edit),
            Action::ChangeEdit(index, change) => return self.editing.change(index, change),
            Action::SwitchEdit(index, on) => self.editing.switch(index, on),
            Action::RemoveEdit(index) => self.editing.remove(index),
            Action::EditCorrupted(corrupted) if corrupted == self.editing.corrupted => return false,
            Action::EditCorrupted(corrupted) => {
                self.editing.corrupted = corrupted;
            }
            Action::Weights(change) => {
                let before = self.weights.clone();
                self.weights.change(change);
                return before != self.weights;
            }
            Action::Corpus(corpus) => {
                self.corpus = corpus;
                return false;
            }
            Action::ReadNeuron(neuron) => self.corpus.neuron = Some(neuron),
            Action::Seen(view, seen) => {
                self.seen.retain(|other| *other != view);
                self.seen.extend(seen.then_some(view));
                return false;
            }
            Action::Open(link, notices) => {
                match link {
                    Some(link) => self.open(link, notices),
                    None => self.opened.notices = notices,
                }
                return false;
            }
            Action::Dismiss => {
                self.opened.dismiss();
                return false;
            }
            Action::Model(model) => return self.take_model(model),
            Action::LoadStarted(load) => {
                self.loading = Loading::Working(load);
                return false;
            }
            Action::LoadPaused => {
                self.loading.pause();
                return false;
            }
            Action::LoadStopped => {
                self.loading = Loading::Idle;
                return false;
            }
            Action::WritingStarted { edition, from, chosen } => {
                let generation = Generation { ids: Vec::new(), text: String::new() };
                self.writing = Some(Writing { edition, from, chosen, generation, stage: WritingStage::Working });
                return false;
            }
            Action::KeepWriting => {
                let from = self.goes_on_from();
                if let Some(writing) = self.writing.take_if(|writing| writing.from == from && !from.is_corrupted) {
                    self.append(&writing.generation.text, &writing.generation.ids);
                }
            }
            // answers have been taken by `hear`
            _ => return false,
        }
        true
    }
}

impl Reducible for State {
    type Action = Action;

    fn reduce(self: Rc<Self>, action: Action) -> Rc<Self> {
        let mut next = (*self).clone();
        if let Some(action) = next.hear(action)
            && next.act(action)
        {
            next.steps += 1;
        }
        next.ask();
        Rc::new(next)
    }
}

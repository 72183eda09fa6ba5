//! Which neuron's and which tokens' weights are shown. What they come to is the figures' own to ask for.

use crate::link::Find;
use crate::link::congruence::MOST_TOKENS;
pub use crate::link::congruence::Part as Weights;
use crate::protocol::Convention;

/// What a person changes about it.
#[derive(Clone, PartialEq)]
pub enum WeightsChange {
    Convention(Convention),
    Neuron((usize, usize)),
    /// A token is compared with the others.
    Compare(String),
    /// Only this token is shown.
    Show(String),
    RemoveToken(usize),
    AddToSet(String),
    RemoveFromSet(usize),
    Find(Find),
}

impl Weights {
    pub fn change(&mut self, change: WeightsChange) {
        match change {
            WeightsChange::Convention(convention) => self.convention = convention,
            WeightsChange::Neuron(neuron) => self.neuron = Some(neuron),
            WeightsChange::Show(token) => self.tokens = vec![token],
            WeightsChange::Compare(token) => add(&mut self.tokens, token),
            // something is always shown
            WeightsChange::RemoveToken(_) if self.tokens.len() < 2 => {}
            WeightsChange::RemoveToken(at) => drop(self.tokens.remove(at)),
            WeightsChange::AddToSet(token) => add(&mut self.set, token),
            WeightsChange::RemoveFromSet(at) => drop(self.set.remove(at)),
            WeightsChange::Find(find) => self.find = find,
        }
    }
}

/// The oldest makes room for the newest.
fn add(tokens: &mut Vec<String>, token: String) {
    if tokens.contains(&token) {
        return;
    }
    if tokens.len() >= MOST_TOKENS {
        tokens.remove(0);
    }
    tokens.push(token);
}

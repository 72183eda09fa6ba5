//! The contexts in which a neuron is highest.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

/// Tokens kept around a peak: so many before it, and in all.
pub const BEFORE: usize = 24;
pub const EXCERPT: usize = 32;

/// One of a neuron's highest activations, with the text around it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Example {
    pub value: f32,
    /// Counted through all files.
    pub document: u64,
    /// Counted within the document, from 0, which is `<|endoftext|>`.
    pub position: u32,
    /// Position of the excerpt's first token.
    pub from: u32,
    pub tokens: Vec<u32>,
    /// Each token's activation as a share of the peak's, in 255ths.
    pub levels: Vec<u8>,
}

impl Example {
    /// Higher first; of equals the earlier document, then the earlier position.
    pub fn rank(&self, other: &Example) -> Ordering {
        other.value.total_cmp(&self.value).then(self.place().cmp(&other.place()))
    }

    fn place(&self) -> (u64, u32) {
        (self.document, self.position)
    }
}

/// The best so many examples that were offered, in whatever order that was.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Best {
    /// In no order.
    examples: Vec<Example>,
    /// Where the worst is, once there is no more room. Not written down, but found again by [`Best::settle`].
    #[serde(skip)]
    worst: Option<usize>,
}

impl Best {
    /// Whether an example from a later document or position than all so far would be kept.
    #[inline]
    pub fn takes(&self, value: f32, most: usize) -> bool {
        match self.worst {
            Some(worst) => value > self.examples[worst].value,
            None => most > 0 && !value.is_nan(),
        }
    }

    /// Keeps the example if it is among the best; with `one_a_document`, if it is also its document's best.
    pub fn offer(&mut self, example: Example, most: usize, one_a_document: bool) {
        let same = |kept: &Example| one_a_document && kept.document == example.document;
        if let Some(at) = self.examples.iter().position(same) {
            if example.rank(&self.examples[at]).is_lt() {
                self.examples[at] = example;
                self.find_worst(most);
            }
        } else if self.examples.len() < most {
            self.examples.push(example);
            self.find_worst(most);
        } else if let Some(worst) = self.worst
            && example.rank(&self.examples[worst]).is_lt()
        {
            self.examples[worst] = example;
            self.find_worst(most);
        }
    }

    fn find_worst(&mut self, most: usize) {
        if self.examples.len() >= most {
            let all = self.examples.iter().enumerate();
            self.worst = all.max_by(|(_, a), (_, b)| a.rank(b)).map(|(at, _)| at);
        }
    }

    /// Takes in what another has kept.
    pub fn merge(&mut self, other: Best, most: usize, one_a_document: bool) {
        other.examples.into_iter().for_each(|example| self.offer(example, most, one_a_document));
    }

    /// Whether these can be as many, each no longer than an excerpt.
    pub fn fits(&self, most: usize) -> bool {
        let is_excerpt =
            |example: &Example| example.tokens.len() <= EXCERPT && example.levels.len() == example.tokens.len();
        self.examples.len() <= most && self.examples.iter().all(is_excerpt)
    }

    /// Best first.
    pub fn sorted(&self) -> Vec<&Example> {
        let mut sorted: Vec<&Example> = self.examples.iter().collect();
        sorted.sort_by(|a, b| a.rank(b));
        sorted
    }

    /// Puts them in order, so that equal ones are the same bytes.
    pub fn settle(&mut self, most: usize) {
        self.examples.sort_by(Example::rank);
        self.find_worst(most);
    }

    pub fn from_sorted(examples: Vec<Example>, most: usize) -> Self {
        let mut best = Best { examples, worst: None };
        best.find_worst(most);
        best
    }
}

/// One document's tokens in a row of a batch, and where they stand.
#[derive(Debug, Clone, Copy)]
pub struct Passage<'a> {
    pub document: u64,
    /// Position, within the document, of the first token.
    pub first: u32,
    pub tokens: &'a [u32],
    /// Its first row in the batch.
    pub row: usize,
}

impl Passage<'_> {
    /// The example whose peak is token `at`, given one neuron's activation at each token.
    pub fn example(&self, at: usize, activation: impl Fn(usize) -> f32) -> Example {
        let start = at.saturating_sub(BEFORE);
        let end = self.tokens.len().min(start + EXCERPT);
        // without the sign of a zero, so that the order of values is that of their bits
        let value = activation(at) + 0.0;
        let level = |at: usize| {
            let share = if value > 0.0 { activation(at) / value } else { 0.0 };
            (share.clamp(0.0, 1.0) * 255.0).round() as u8
        };
        Example {
            value,
            document: self.document,
            position: self.first + at as u32,
            from: self.first + start as u32,
            tokens: self.tokens[start..end].to_vec(),
            levels: (start..end).map(level).collect(),
        }
    }
}

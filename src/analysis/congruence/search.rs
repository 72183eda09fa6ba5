//! Neurons and tokens that belong together: SPEC rows 10 and 11.

use crate::analysis::tables::Table;
use crate::engine::Extremes;
use crate::protocol::SearchKind;

/// A token and a neuron, counted through all layers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pair {
    pub token: usize,
    pub neuron: usize,
    pub token_gap: f32,
    pub neuron_gap: f32,
    pub score: f32,
}

/// All pairs of a kind, best first; equal ones in order of token (exclusive) or neuron (mutual).
pub fn search(table: &Table, kind: SearchKind) -> Vec<Pair> {
    let mut found = match kind {
        SearchKind::Exclusive => exclusive(table),
        SearchKind::Mutual => mutual(table),
    };
    found.sort_by(|a, b| b.score.total_cmp(&a.score));
    found
}

/// For every token its best neuron, scored by the gap to the second best.
fn exclusive(table: &Table) -> Vec<Pair> {
    let best = |token: usize| {
        let neuron = table.tokens.largest(token)[0].id as usize;
        let token_gap = gap(&table.tokens, token);
        Pair { token, neuron, token_gap, neuron_gap: gap(&table.neurons, neuron), score: token_gap }
    };
    (0..table.about.vocab).map(best).collect()
}

/// Neurons whose best token's best neuron they are, scored by the product of both gaps.
fn mutual(table: &Table) -> Vec<Pair> {
    let pair = |neuron: usize| {
        let token = table.neurons.largest(neuron)[0].id as usize;
        if table.tokens.largest(token)[0].id as usize != neuron {
            return None;
        }
        let (token_gap, neuron_gap) = (gap(&table.tokens, token), gap(&table.neurons, neuron));
        Some(Pair { token, neuron, token_gap, neuron_gap, score: token_gap * neuron_gap })
    };
    (0..table.about.n_neurons()).filter_map(pair).collect()
}

/// By how much a row's largest is above the second.
fn gap(rows: &Extremes, row: usize) -> f32 {
    let largest = rows.largest(row);
    largest[0].value - largest[1].value
}

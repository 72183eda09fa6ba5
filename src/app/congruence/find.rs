//! Sorts and filters the pairs of a search on the page.

use super::matcher::Matched;
use super::vocabulary::Vocabulary;
use crate::protocol::PairColumns;

/// The columns that can be sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    Token,
    Neuron,
    TokenGap,
    NeuronGap,
    Score,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Wanted {
    pub by: Column,
    pub is_rising: bool,
    /// Layers, as `3`, `2-5` or `1,4`; all where empty.
    pub layers: String,
    /// A text that the token holds, or a regular expression between slashes.
    pub token: String,
    /// Scores from here on.
    pub least: String,
}

impl Default for Wanted {
    fn default() -> Self {
        Wanted {
            by: Column::Score,
            is_rising: false,
            layers: String::new(),
            token: String::new(),
            least: String::new(),
        }
    }
}

/// Places of the pairs that are wanted, in order; or what is wrong with a filter.
pub fn find(
    pairs: &PairColumns,
    words: &Vocabulary,
    d_mlp: usize,
    wanted: &Wanted,
    matched: &Matched,
) -> Result<Vec<usize>, String> {
    let layers = layers(&wanted.layers)?;
    let least = match wanted.least.trim() {
        "" => f32::NEG_INFINITY,
        text => text.replace(',', ".").parse().map_err(|_| format!("{text:?} is no number."))?,
    };
    let plain = wanted.token.to_lowercase();
    let fits: Box<dyn Fn(usize) -> bool> = match matched {
        Matched::Plain if plain.is_empty() => Box::new(|_| true),
        Matched::Plain => Box::new(|token| words.text(token).to_lowercase().contains(&plain)),
        Matched::Tokens(fits) => Box::new(|token| fits.get(token).is_some_and(|&fits| fits != 0)),
        Matched::Waiting => return Err("Looking …".into()),
        Matched::Failed(problem) => return Err(problem.clone()),
    };
    let layer = |at: usize| pairs.neurons.0[at] as usize / d_mlp;
    let mut found: Vec<usize> = (0..pairs.scores.0.len())
        .filter(|&at| pairs.scores.0[at] >= least)
        .filter(|&at| layers.is_empty() || layers.iter().any(|(from, to)| (*from..=*to).contains(&layer(at))))
        .filter(|&at| fits(pairs.tokens.0[at] as usize))
        .collect();
    let by_value = |values: &[f32], found: &mut Vec<usize>| found.sort_by(|&a, &b| values[b].total_cmp(&values[a]));
    match wanted.by {
        Column::Token => {
            let text = |at: usize| words.text(pairs.tokens.0[at] as usize);
            found.sort_by(|&a, &b| text(b).cmp(text(a)));
        }
        Column::Neuron => found.sort_by_key(|&at| std::cmp::Reverse(pairs.neurons.0[at])),
        Column::TokenGap => by_value(&pairs.token_gaps.0, &mut found),
        Column::NeuronGap => by_value(&pairs.neuron_gaps.0, &mut found),
        Column::Score => by_value(&pairs.scores.0, &mut found),
    }
    if wanted.is_rising {
        found.reverse();
    }
    Ok(found)
}

/// Stretches of layers.
fn layers(text: &str) -> Result<Vec<(usize, usize)>, String> {
    let bad = |part: &str| format!("{part:?} is no layer. Write 3, 2-5 or 1,4.");
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    let number = |part: &str, text: &str| text.trim().trim_start_matches(['L', 'l']).parse().map_err(|_| bad(part));
    parts
        .map(|part| match part.split_once(['-', '–']) {
            Some((from, to)) => Ok((number(part, from)?, number(part, to)?)),
            None => number(part, part).map(|layer| (layer, layer)),
        })
        .collect()
}

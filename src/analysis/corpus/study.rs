//! One neuron against one token: where the neuron is high, is the token what the model predicts?

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::examples::{Best, Passage};
use super::findings::are_counts;
use super::sum::Sum;
use crate::protocol::{BinAnswer, Bins};

/// A neuron and a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Pair {
    pub layer: usize,
    pub neuron: usize,
    pub token: u32,
}

/// Positions where the token is not the likeliest next one, and those where it is.
type Counts = [u64; 2];

/// Adds some counts to those of a bin.
fn count(all: &mut BTreeMap<i32, Counts>, bin: i32, [not, is]: Counts) {
    let counts = all.entry(bin).or_default();
    *counts = [counts[0] + not, counts[1] + is];
}

/// Binary places of an activation that the ROC curve leaves out from the beginning.
const DROPPED: u32 = 8;
/// Steps of the ROC curve, some megabytes: beyond, the activations are told apart less finely.
const MOST_RANKS: usize = 1 << 16;
/// Standard deviations on either side that hold 95 % of a normal distribution.
const Z: f64 = 1.959_963_984_540_054;

/// What was counted of one pair.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Study {
    pub pair: Pair,
    floor: BTreeMap<i32, Counts>,
    notebook: BTreeMap<i32, Counts>,
    /// By the activation's first bits.
    ranks: Ranks,
    pub occurrences: u64,
    pub sum: Sum,
    group: f64,
    pub best: Best,
    /// At most one a document.
    pub best_documents: Best,
}

impl Study {
    pub fn new(pair: Pair) -> Self {
        Study {
            pair,
            floor: BTreeMap::new(),
            notebook: BTreeMap::new(),
            ranks: Ranks::default(),
            occurrences: 0,
            sum: Sum::default(),
            group: 0.0,
            best: Best::default(),
            best_documents: Best::default(),
        }
    }

    /// Takes in a batch: the neuron's activation and the likeliest next token, if it is one that is asked about, at
    /// each row.
    pub fn observe(&mut self, activations: &[f32], likeliest: &[Option<u32>], passages: &[Passage<'_>], top: usize) {
        for passage in passages {
            let rows = passage.row..passage.row + passage.tokens.len();
            let activations = &activations[rows.clone()];
            self.occurrences += passage.tokens.iter().filter(|&&id| id == self.pair.token).count() as u64;
            for (at, (&activation, likeliest)) in activations.iter().zip(&likeliest[rows]).enumerate() {
                let is_top = usize::from(*likeliest == Some(self.pair.token));
                self.floor.entry(floor_bin(activation)).or_default()[is_top] += 1;
                self.notebook.entry(notebook_bin(activation)).or_default()[is_top] += 1;
                self.ranks.add(rank(activation), is_top);
                self.group += f64::from(activation);
                if self.best.takes(activation, top) {
                    self.best.offer(passage.example(at, |at| activations[at]), top, false);
                }
                if self.best_documents.takes(activation, top) {
                    self.best_documents.offer(passage.example(at, |at| activations[at]), top, true);
                }
            }
        }
    }

    pub fn end_group(&mut self) {
        self.sum.add(std::mem::take(&mut self.group));
    }

    pub fn merge(&mut self, other: Study, top: usize) {
        self.ranks.merge(other.ranks);
        for (all, new) in [(&mut self.floor, other.floor), (&mut self.notebook, other.notebook)] {
            new.into_iter().for_each(|(bin, counts)| count(all, bin, counts));
        }
        self.occurrences += other.occurrences;
        self.sum += other.sum;
        self.best.merge(other.best, top, false);
        self.best_documents.merge(other.best_documents, top, true);
    }

    /// Whether all that is counted can be, and there are no more contexts than `top`.
    pub fn fits(&self, top: usize) -> bool {
        let can_be = |counts: &BTreeMap<i32, Counts>| are_counts(counts.values().flatten().copied());
        [&self.floor, &self.notebook, &self.ranks.counts].into_iter().all(can_be)
            && self.ranks.coarse < i32::BITS
            && are_counts([self.occurrences])
            && [&self.best, &self.best_documents].into_iter().all(|best| best.fits(top))
    }

    pub fn settle(&mut self, top: usize) {
        self.best.settle(top);
        self.best_documents.settle(top);
    }

    pub fn top_predictions(&self) -> u64 {
        self.floor.values().map(|[_, is]| is).sum()
    }

    /// The curve, with its confidence band.
    pub fn bins(&self, bins: Bins) -> Vec<BinAnswer> {
        let counts = match bins {
            Bins::Floor => &self.floor,
            Bins::Notebook => &self.notebook,
        };
        let answer = |(&bin, &[not, top]): (&i32, &Counts)| {
            let count = not + top;
            let (low, high) = wilson(top, count);
            BinAnswer { bin, from: f64::from(bin) / 5.0, count, top, low, high }
        };
        counts.iter().map(answer).collect()
    }

    /// Area under the ROC curve of the activation for "the token is on top".
    pub fn auc(&self) -> Option<f64> {
        self.ranks.auc()
    }
}

/// Positions by activation, as finely as a bounded number of steps allows. How coarse the steps have become depends on
/// what was added, not on the order: any division of it, merged, is the same to the bit.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Ranks {
    /// Binary places of a rank that are left out.
    coarse: u32,
    counts: BTreeMap<i32, Counts>,
}

impl Ranks {
    fn add(&mut self, rank: i32, is_top: usize) {
        self.counts.entry(rank >> self.coarse).or_default()[is_top] += 1;
        self.bound();
    }

    /// Halves the number of steps for as long as there are too many.
    fn bound(&mut self) {
        while self.counts.len() > MOST_RANKS {
            self.coarsen(self.coarse + 1);
        }
    }

    fn coarsen(&mut self, coarse: u32) {
        let more = coarse.saturating_sub(self.coarse);
        if more == 0 {
            return;
        }
        let mut counts = BTreeMap::<i32, Counts>::new();
        self.counts.iter().for_each(|(&rank, &new)| count(&mut counts, rank >> more, new));
        (self.coarse, self.counts) = (coarse, counts);
    }

    fn merge(&mut self, mut other: Ranks) {
        let coarse = self.coarse.max(other.coarse);
        self.coarsen(coarse);
        other.coarsen(coarse);
        other.counts.into_iter().for_each(|(rank, new)| count(&mut self.counts, rank, new));
        self.bound();
    }

    /// Mann and Whitney's statistic: the share of pairs of a position where the token is on top and one where it isn't
    /// in which the first has the higher activation, equal ones counting half.
    fn auc(&self) -> Option<f64> {
        // twice the pairs won: whole numbers, so that the order of adding makes no difference
        let (mut below, mut won, mut tops) = (0u128, 0u128, 0u128);
        for &[not, is] in self.counts.values() {
            let (not, is) = (u128::from(not), u128::from(is));
            won += is * (2 * below + not);
            below += not;
            tops += is;
        }
        (below > 0 && tops > 0).then(|| won as f64 / (2 * below * tops) as f64)
    }
}

/// `floor(a / 0.2)`.
fn floor_bin(activation: f32) -> i32 {
    (f64::from(activation) / 0.2).floor() as i32
}

/// Rounded to one decimal as f32 does it, times 5, truncated: the post's notebook.
fn notebook_bin(activation: f32) -> i32 {
    let rounded = (activation * 10.0).round_ties_even() / 10.0;
    (f64::from(rounded) * 5.0) as i32
}

/// A whole number that grows with the activation.
fn rank(activation: f32) -> i32 {
    let bits = (activation + 0.0).to_bits() as i32;
    // negative numbers' bits grow the other way
    (if bits < 0 { bits ^ i32::MAX } else { bits }) >> DROPPED
}

/// Wilson's score interval of a share, 95 %.
pub fn wilson(successes: u64, n: u64) -> (f64, f64) {
    if n == 0 {
        return (0.0, 1.0);
    }
    let (n, share) = (n as f64, successes as f64 / n as f64);
    let centre = share + Z * Z / (2.0 * n);
    let spread = Z * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
    let whole = 1.0 + Z * Z / n;
    (((centre - spread) / whole).clamp(0.0, share), ((centre + spread) / whole).clamp(share, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_are_as_the_oracle_defines_them() {
        for (activation, floor, notebook) in [
            (0.0f32, 0, 0),
            (-0.05, -1, 0),
            (-0.17, -1, -1),
            (0.05, 0, 0),
            (0.15, 0, 1),
            (0.25, 1, 1),
            (0.39, 1, 2),
            // one decimal in f32 is 1.39999998, and five times that is just under 7
            (1.4, 6, 6),
            (2.0, 10, 10),
        ] {
            assert_eq!((floor_bin(activation), notebook_bin(activation)), (floor, notebook), "{activation}");
        }
    }

    #[test]
    fn ranks_are_in_order() {
        let values = [-3.0f32, -0.17, -1e-3, -1e-20, 0.0, 1e-20, 1e-3, 0.5, 0.501, 7.0];
        assert!(values.is_sorted_by(|&a, &b| rank(a) < rank(b)));
        assert_eq!(rank(-0.0), rank(0.0));
    }

    #[test]
    fn ranks_are_bounded_whatever_the_order() {
        let mut seed = 1u32;
        let values: Vec<(f32, usize)> = (0..300_000)
            .map(|_| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let x = f64::from(seed) / f64::from(u32::MAX);
                ((x * x * 9.0 - 0.17) as f32, usize::from(seed.is_multiple_of(7)))
            })
            .collect();
        let of = |values: &[(f32, usize)]| {
            let mut ranks = Ranks::default();
            values.iter().for_each(|&(value, is_top)| ranks.add(rank(value), is_top));
            ranks
        };
        let whole = of(&values);
        assert!(whole.coarse > 0 && whole.counts.len() <= MOST_RANKS, "{}", whole.counts.len());
        let mut parts: Vec<Ranks> = values.chunks(70_001).map(of).collect();
        for _ in 0..parts.len() {
            parts.rotate_left(1);
            let mut merged = Ranks::default();
            parts.iter().for_each(|part| merged.merge(part.clone()));
            assert!(merged == whole);
        }
    }

    #[test]
    fn wilsons_interval_is_the_textbooks() {
        let (low, high) = wilson(5, 10);
        assert!((low - 0.2366).abs() < 1e-4 && (high - 0.7634).abs() < 1e-4, "{low} to {high}");
        assert_eq!(wilson(0, 10).0, 0.0);
        assert_eq!(wilson(10, 10).1, 1.0);
    }

    #[test]
    fn the_area_counts_equal_activations_half() {
        let mut study = Study::new(Pair { layer: 0, neuron: 0, token: 1 });
        assert_eq!(study.auc(), None);
        let tokens = [7; 4];
        let passages = [Passage { document: 0, first: 0, tokens: &tokens, row: 0 }];
        study.observe(&[1.0, 2.0, 2.0, 3.0], &[None, None, Some(1), Some(1)], &passages, 3);
        // of four pairs three are won and one is a draw
        assert_eq!(study.auc(), Some(3.5 / 4.0));
        assert_eq!(study.best.sorted().iter().map(|e| e.position).collect::<Vec<_>>(), [3, 1, 2]);
        assert_eq!(study.best_documents.sorted().iter().map(|e| e.position).collect::<Vec<_>>(), [3]);
    }
}

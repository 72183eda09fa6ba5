//! Every neuron of one layer: sum, firing, histogram, highest contexts. This is where a pass spends what it spends
//! beside the model's own work, so it goes over the activations once, sixteen neurons at a time.

use serde::{Deserialize, Serialize};

use super::examples::{Best, Example, Passage};
use super::findings::are_counts;
use super::sum::Sum;
use crate::protocol::HistogramBin;

/// Neurons that are counted together: one cache line of activations.
const TOGETHER: usize = 16;
/// Activations added up in f32 before f64 takes over.
const SHORT: usize = 16;

/// Bins of a histogram: below -1/16, up to 0, up to 1/16; then four to each doubling, as far as 64; the last has the rest.
pub const BINS: usize = 3 + 40 + 1;
/// The bits of 1/16, as far as they make a difference to the bin: exponent and two binary places.
const FIRST: u32 = (1.0f32 / 16.0).to_bits() >> PLACES;
const PLACES: u32 = 21;

/// One layer's tallies, each by neuron.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LayerTally {
    pub sums: Vec<Sum>,
    /// Positions with an activation above zero.
    pub fired: Vec<u64>,
    /// `[neuron, BINS]`
    pub histogram: Vec<u64>,
    /// At most one a document.
    pub best: Vec<Best>,
    /// The group's sums so far.
    group: Vec<f64>,
}

impl LayerTally {
    pub fn new(d_mlp: usize) -> Self {
        LayerTally {
            sums: vec![Sum::default(); d_mlp],
            fired: vec![0; d_mlp],
            histogram: vec![0; d_mlp * BINS],
            best: vec![Best::default(); d_mlp],
            group: vec![0.0; d_mlp],
        }
    }

    fn d_mlp(&self) -> usize {
        self.sums.len()
    }

    /// What a batch's activations, `[rows, d_mlp]`, would add.
    #[inline(never)]
    pub fn look(&self, activations: &[f32], passages: &[Passage<'_>], top: usize) -> LayerCounts {
        let d_mlp = self.d_mlp();
        let mut all = LayerCounts::default();
        for first in (0..d_mlp).step_by(TOGETHER) {
            let width = TOGETHER.min(d_mlp - first);
            let mut counts = Counts::new();
            for passage in passages {
                counts.look(activations, d_mlp, first, width, passage);
                for lane in 0..width {
                    let neuron = first + lane;
                    if self.best[neuron].takes(counts.most[lane], top) {
                        let column = &activations[passage.row * d_mlp + neuron..];
                        let example = passage.example(counts.at[lane] as usize, |at| column[at * d_mlp]);
                        all.examples.push((neuron, example));
                    }
                }
            }
            all.sums.extend(&counts.sum[..width]);
            all.fired.extend(&counts.fired[..width]);
            all.bins.extend(&counts.bins[..width]);
        }
        all
    }

    /// Adds them.
    pub fn add(&mut self, counts: LayerCounts, top: usize) {
        self.group.iter_mut().zip(counts.sums).for_each(|(group, sum)| *group += sum);
        self.fired.iter_mut().zip(counts.fired).for_each(|(all, fired)| *all += u64::from(fired));
        let bins = self.histogram.iter_mut().zip(counts.bins.as_flattened());
        bins.for_each(|(all, new)| *all += u64::from(*new));
        for (neuron, example) in counts.examples {
            self.best[neuron].offer(example, top, true);
        }
    }

    /// A group of documents has ended.
    pub fn end_group(&mut self) {
        self.sums.iter_mut().zip(&mut self.group).for_each(|(sum, group)| sum.add(std::mem::take(group)));
    }

    pub fn bins(&self, neuron: usize) -> &[u64] {
        &self.histogram[neuron * BINS..(neuron + 1) * BINS]
    }

    /// Whether there is a tally of each of so many neurons, with counts that can be, and no more contexts than `top`.
    pub fn fits(&self, d_mlp: usize, top: usize) -> bool {
        let lens = [self.sums.len(), self.fired.len(), self.best.len(), self.group.len(), self.histogram.len() / BINS];
        lens.iter().all(|&len| len == d_mlp)
            && self.histogram.len().is_multiple_of(BINS)
            && self.fired.iter().all(|&fired| are_counts([fired]))
            && self.histogram.chunks(BINS).all(|counts| are_counts(counts.iter().copied()))
            && self.best.iter().all(|best| best.fits(top))
    }

    pub fn merge(&mut self, other: LayerTally, top: usize) {
        self.sums.iter_mut().zip(other.sums).for_each(|(sum, other)| *sum += other);
        self.fired.iter_mut().zip(other.fired).for_each(|(fired, other)| *fired += other);
        self.histogram.iter_mut().zip(other.histogram).for_each(|(count, other)| *count += other);
        self.best.iter_mut().zip(other.best).for_each(|(best, other)| best.merge(other, top, true));
    }

    pub fn from_parts(sums: Vec<Sum>, fired: Vec<u64>, histogram: Vec<u64>, best: Vec<Best>) -> Self {
        let group = vec![0.0; sums.len()];
        LayerTally { sums, fired, histogram, best, group }
    }
}

/// One batch's counts, by neuron. They are added when the batch has come to its end, so that a pass can be stopped at
/// any moment and has counted whole batches only.
#[derive(Debug, Default)]
pub struct LayerCounts {
    sums: Vec<f64>,
    fired: Vec<u32>,
    bins: Vec<[u32; BINS]>,
    /// Contexts that may be among the highest.
    examples: Vec<(usize, Example)>,
}

/// Counts of a few neurons over a batch.
struct Counts {
    sum: [f64; TOGETHER],
    fired: [u32; TOGETHER],
    bins: [[u32; BINS]; TOGETHER],
    /// The highest of the passage looked at last, and the token it was at.
    most: [f32; TOGETHER],
    at: [u32; TOGETHER],
}

impl Counts {
    fn new() -> Self {
        Counts {
            sum: [0.0; TOGETHER],
            fired: [0; TOGETHER],
            bins: [[0; BINS]; TOGETHER],
            most: [0.0; TOGETHER],
            at: [0; TOGETHER],
        }
    }

    /// Goes over one passage's rows.
    fn look(&mut self, activations: &[f32], d_mlp: usize, first: usize, width: usize, passage: &Passage<'_>) {
        (self.most, self.at) = ([f32::NEG_INFINITY; TOGETHER], [0; TOGETHER]);
        let n = passage.tokens.len();
        for start in (0..n).step_by(SHORT) {
            let mut sum = [0.0f32; TOGETHER];
            for at in start..n.min(start + SHORT) {
                let row = &activations[(passage.row + at) * d_mlp + first..][..width];
                match row.first_chunk::<TOGETHER>() {
                    Some(row) => self.count(row, at as u32, &mut sum),
                    None => {
                        // the last few neurons; what stands in for the missing ones is never read
                        let mut whole = [0.0; TOGETHER];
                        whole[..width].copy_from_slice(row);
                        self.count(&whole, at as u32, &mut sum);
                    }
                }
            }
            self.sum.iter_mut().zip(sum).for_each(|(all, short)| *all += f64::from(short));
        }
    }

    #[inline(always)]
    fn count(&mut self, row: &[f32; TOGETHER], at: u32, sum: &mut [f32; TOGETHER]) {
        let mut bins = [0u32; TOGETHER];
        for lane in 0..TOGETHER {
            let x = row[lane];
            sum[lane] += x;
            self.fired[lane] += u32::from(x > 0.0);
            let higher = x > self.most[lane];
            self.most[lane] = if higher { x } else { self.most[lane] };
            self.at[lane] = if higher { at } else { self.at[lane] };
            bins[lane] = bin(x);
        }
        for (counts, bin) in self.bins.iter_mut().zip(bins) {
            // `bin` is below BINS by its own last step
            counts[bin as usize % BINS] += 1;
        }
    }
}

/// The histogram's bin of an activation.
#[inline(always)]
fn bin(x: f32) -> u32 {
    // + 0 takes the sign off a zero
    let above = (((x + 0.0).to_bits() >> PLACES) as i32 - FIRST as i32 + 3).clamp(2, BINS as i32 - 1) as u32;
    let below = u32::from(x >= -1.0 / 16.0);
    if x >= 0.0 { above } else { below }
}

/// A histogram's bins with their bounds; those after the last that holds anything are left out.
pub fn histogram(counts: &[u64]) -> Vec<HistogramBin> {
    let used = counts.iter().rposition(|&count| count > 0).map_or(0, |last| last + 1);
    let edge = |bin: usize| match bin {
        0 => None,
        1 => Some(-1.0 / 16.0),
        2 => Some(0.0),
        BINS => None,
        bin => Some(f32::from_bits((FIRST + bin as u32 - 3) << PLACES)),
    };
    let bin = |(bin, &count): (usize, &u64)| HistogramBin { from: edge(bin), to: edge(bin + 1), count };
    counts[..used].iter().enumerate().map(bin).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_activation_lies_within_its_bins_bounds() {
        let mut counts = vec![0; BINS];
        counts[BINS - 1] = 1;
        let bins = histogram(&counts);
        assert_eq!(bins.len(), BINS);
        for x in
            [-9.0, -0.17, -0.0625, -0.06, -1e-9, -0.0, 0.0, 1e-9, 0.06, 0.0625, 0.07, 1.0, 1.24, 63.9, 64.0, 1e9f32]
        {
            let HistogramBin { from, to, .. } = bins[bin(x) as usize];
            assert!(from.is_none_or(|from| from <= x) && to.is_none_or(|to| x < to), "{x} is in {from:?} to {to:?}");
        }
    }
}

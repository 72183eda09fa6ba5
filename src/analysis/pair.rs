//! Two prompts to patch between: which positions stand for each other, and how far apart the runs end.

use crate::engine::{BaseRun, Control, Direction, Ends, Engine, common_start};
use crate::error::{Error, Result};

/// A clean and a corrupted run and the two tokens whose logit difference is looked at.
pub struct Pair<'a, E: Engine> {
    pub engine: &'a E,
    pub clean: &'a E::Base,
    pub corrupted: &'a E::Base,
    pub tokens: (u32, u32),
    pub direction: Direction,
    /// Logit differences of the two runs.
    pub clean_diff: f32,
    pub corrupted_diff: f32,
    /// Their final LayerNorms' scales at the last position.
    pub clean_scale: f32,
    pub corrupted_scale: f32,
    /// Positions that stand for each other, (corrupted, clean), from the first that can differ on.
    pub aligned: Vec<(usize, usize)>,
    /// Before this position both runs are one.
    pub differs_from: usize,
    /// Positions of the corrupted prompt.
    pub n_pos: usize,
    /// Of the clean one.
    pub clean_n_pos: usize,
}

impl<'a, E: Engine> Pair<'a, E> {
    /// # Errors
    /// [`Error::SamePrompts`]; [`Error::SameDifference`] where shares of the difference would be shares of nothing.
    pub async fn new(
        engine: &'a E,
        clean: &'a E::Base,
        corrupted: &'a E::Base,
        tokens: (u32, u32),
        control: &impl Control,
    ) -> Result<Self> {
        let (clean_ids, corrupted_ids) = (clean.ids(), corrupted.ids());
        if clean_ids == corrupted_ids {
            return Err(Error::SamePrompts);
        }
        let direction = engine.direction(tokens).await?;
        let (clean_end, corrupted_end) = (engine.end(clean, control).await?, engine.end(corrupted, control).await?);
        let difference = |end: &Ends| direction.difference(&end.resid.data, end.scales[0]);
        let (clean_diff, corrupted_diff) = (difference(&clean_end), difference(&corrupted_end));
        if clean_diff == corrupted_diff {
            return Err(Error::SameDifference { diff: clean_diff });
        }
        let aligned = align(clean_ids, corrupted_ids);
        let differs_from = common_start(clean_ids, corrupted_ids);
        let (n_pos, clean_n_pos) = (corrupted_ids.len(), clean_ids.len());
        Ok(Pair {
            engine,
            clean,
            corrupted,
            tokens,
            direction,
            clean_diff,
            corrupted_diff,
            clean_scale: clean_end.scales[0],
            corrupted_scale: corrupted_end.scales[0],
            aligned,
            differs_from,
            n_pos,
            clean_n_pos,
        })
    }

    /// `(diff - corrupted) / (clean - corrupted)`
    pub fn recovered(&self, diff: f32) -> f32 {
        (diff - self.corrupted_diff) / (self.clean_diff - self.corrupted_diff)
    }

    /// A change of the difference as a share of that between the runs.
    pub fn share(&self, change: f32) -> f32 {
        change / (self.clean_diff - self.corrupted_diff)
    }

    /// The first position of the corrupted run that a patch can change.
    pub fn first(&self) -> usize {
        self.aligned.first().map_or(self.n_pos - 1, |(here, _)| *here)
    }

    /// Derivatives of the corrupted run's difference, from `layer` on.
    ///
    /// # Errors
    /// What the engine fails with.
    pub async fn gradients(&self, layer: usize, control: &impl Control) -> Result<crate::engine::Gradients> {
        self.engine.gradients(self.corrupted, self.tokens, (layer, self.first()), control).await
    }
}

/// Positions of `ids` that stand for positions of `clean`, as (here, clean): the common beginning, and what follows it
/// as [`align`] has it.
pub fn counterparts(clean: &[u32], ids: &[u32]) -> Vec<(usize, usize)> {
    let start = common_start(clean, ids);
    (0..start).map(|pos| (pos, pos)).chain(align(clean, ids)).collect()
}

/// Positions that stand for each other, (corrupted, clean), from the first on where the prompts differ: before that
/// both runs are one. Prompts of one length are aligned position by position; of others the common beginning and the
/// common end, and what lies between has no counterpart.
fn align(clean: &[u32], corrupted: &[u32]) -> Vec<(usize, usize)> {
    let start = common_start(clean, corrupted);
    if clean.len() == corrupted.len() {
        return (start..clean.len()).map(|pos| (pos, pos)).collect();
    }
    let end = clean.iter().rev().zip(corrupted.iter().rev()).take_while(|(a, b)| a == b).count();
    let end = end.min(clean.len().min(corrupted.len()) - start);
    (1..=end).rev().map(|back| (corrupted.len() - back, clean.len() - back)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aligns_from_the_first_difference_on() {
        assert_eq!(align(&[9, 1, 2, 3], &[9, 1, 5, 3]), [(2, 2), (3, 3)]);
        assert_eq!(align(&[9, 1, 2, 3], &[9, 1, 5, 6, 3]), [(4, 3)]);
        assert_eq!(align(&[9, 1, 2], &[9, 1]), []);
        // a repeated token can't be counted on both sides
        assert_eq!(align(&[9, 1, 1], &[9, 1, 1, 1]), [(3, 2)][..0]);
    }
}

//! Congruence: the product of a neuron's output weights with a token's embedding or unembedding. SPEC rows 8 to 11 and 13.
//!
//! With `w` a neuron's row of `W_out`, `e` a token's row of `wte`, `u` its row of the unembedding (often the same), `c(x)`
//! a vector less its mean over `d_model`, `g` the final LayerNorm's weight and `ū` the mean of all `u`, the conventions are
//!
//! | | | computed as |
//! |---|---|---|
//! | notebook | `c(w) · c(e)` | `c(w) · e` |
//! | raw | `w · e` | `w · e` |
//! | unembed | `c(w) · c(g (u - ū))` | `g c(w) · u - g c(w) · ū` |
//! | notebook-unembedding | `c(w) · c(u)` | `c(w) · u` |
//! | raw-unembedding | `w · u` | `w · u` |
//!
//! since what is centred on one side needs no centring on the other. The last two are for models with an unembedding of
//! their own. So each is the product of one row of weights a token with a vector for each neuron, plus a number for each
//! neuron, and the rows stay as they lie.

pub mod column;
pub mod hubs;
pub mod row;
pub mod search;
pub mod table;

use std::ops::Range;

use crate::engine::{Products, TokenRows};
use crate::error::Result;
use crate::protocol::Convention;

/// A convention, with what it needs of the model.
pub struct Weighing {
    pub convention: Convention,
    /// For [`Convention::Unembed`] only.
    unembed: Option<Unembed>,
}

/// `ū` and `g`.
struct Unembed {
    mean_row: Vec<f64>,
    final_weight: Vec<f32>,
}

/// Neurons as what tokens' rows are multiplied with.
pub struct Vectors {
    /// `[neurons, d_model]`
    pub vectors: Vec<f32>,
    /// `[neurons]`
    pub offsets: Vec<f32>,
}

impl Weighing {
    /// # Errors
    /// [`crate::error::Error::BadOption`] for a convention that isn't the model's; what the engine fails with.
    pub async fn new<E: Products>(engine: &E, convention: Convention) -> Result<Self> {
        convention.check(&engine.config().variant)?;
        let unembed = match convention {
            Convention::Unembed => Some(Unembed {
                mean_row: engine.mean_row(rows_of(convention)).await?,
                final_weight: engine.final_weight().await?,
            }),
            _ => None,
        };
        Ok(Weighing { convention, unembed })
    }

    /// Neurons counted through all layers: `layer * d_mlp + neuron`.
    ///
    /// # Errors
    /// What the engine fails with.
    pub async fn vectors<E: Products>(&self, engine: &E, neurons: Range<usize>) -> Result<Vectors> {
        let (d_model, d_mlp) = (engine.config().d_model, engine.config().d_mlp);
        let mut vectors = Vec::with_capacity(neurons.len() * d_model);
        let mut start = neurons.start;
        while start < neurons.end {
            let layer = start / d_mlp;
            let end = neurons.end.min((layer + 1) * d_mlp);
            vectors.extend(engine.output_weights(layer, start - layer * d_mlp..end - layer * d_mlp).await?);
            start = end;
        }
        let offsets = vectors.chunks_exact_mut(d_model).map(|vector| self.weigh(vector)).collect();
        Ok(Vectors { vectors, offsets })
    }

    /// Turns `w` into what tokens' rows are multiplied with; returns what is added.
    fn weigh(&self, vector: &mut [f32]) -> f32 {
        if !self.convention.is_raw() {
            centre(vector);
        }
        let Some(Unembed { mean_row, final_weight }) = &self.unembed else { return 0.0 };
        vector.iter_mut().zip(final_weight).for_each(|(value, weight)| *value *= weight);
        -dot(vector, mean_row) as f32
    }

    /// Which rows of tokens are multiplied with.
    pub fn rows(&self) -> TokenRows {
        rows_of(self.convention)
    }

    /// Turns a token's row into the direction whose product with `w` is the congruence.
    pub fn direction(&self, row: &mut [f32]) {
        if let Some(Unembed { mean_row, final_weight }) = &self.unembed {
            for ((value, mean), weight) in row.iter_mut().zip(mean_row).zip(final_weight) {
                *value = ((f64::from(*value) - mean) as f32) * weight;
            }
        }
        if !self.convention.is_raw() {
            centre(row);
        }
    }
}

fn rows_of(convention: Convention) -> TokenRows {
    if convention.takes_unembedding() { TokenRows::Unembedding } else { TokenRows::Embedding }
}

/// Takes the mean out of a vector.
fn centre(vector: &mut [f32]) {
    let mean = vector.iter().map(|&value| f64::from(value)).sum::<f64>() / vector.len().max(1) as f64;
    vector.iter_mut().for_each(|value| *value = (f64::from(*value) - mean) as f32);
}

fn dot(a: &[f32], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(&a, b)| f64::from(a) * b).sum()
}

/// The places of the `k` largest values, largest first; equal ones in order of place.
pub fn largest(values: &[f32], k: usize) -> Vec<usize> {
    let mut places: Vec<usize> = (0..values.len()).collect();
    let before = |&a: &usize, &b: &usize| values[b].total_cmp(&values[a]).then(a.cmp(&b));
    let k = k.min(places.len());
    if 0 < k && k < places.len() {
        places.select_nth_unstable_by(k - 1, before);
    }
    places.truncate(k);
    places.sort_unstable_by(before);
    places
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn the_largest_come_in_order_and_equals_by_place() {
        let values = [1.0, 3.0, -2.0, 3.0, 0.5];
        assert_eq!(largest(&values, 3), [1, 3, 0]);
        assert_eq!(largest(&values, 99), [1, 3, 0, 4, 2]);
        assert!(largest(&values, 0).is_empty());
        assert!(largest(&[], 4).is_empty());
    }
}

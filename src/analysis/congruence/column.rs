//! One token, or a set of tokens, against all neurons.

use super::Weighing;
use crate::engine::{Control, Products};
use crate::error::Result;
use crate::protocol::Convention;

/// The congruence of every neuron with the sum of some tokens, `[n_layer * d_mlp]`.
///
/// # Errors
/// What the engine fails with.
pub async fn column<E: Products>(
    engine: &E,
    convention: Convention,
    tokens: &[u32],
    control: &impl Control,
) -> Result<Vec<f32>> {
    let config = engine.config();
    let weighing = Weighing::new(engine, convention).await?;
    let mut sum = vec![0.0; config.d_model];
    for row in engine.token_rows(weighing.rows(), tokens).await?.chunks_exact_mut(config.d_model) {
        weighing.direction(row);
        sum.iter_mut().zip(row).for_each(|(sum, value)| *sum += *value);
    }
    let mut column = Vec::with_capacity(config.n_layer * config.d_mlp);
    for layer in 0..config.n_layer {
        column.extend(engine.neuron_writes(layer, &sum).await?);
        control.breathe().await?;
    }
    Ok(column)
}

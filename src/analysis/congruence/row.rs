//! One neuron against all tokens: what it writes, what it reads, and which neurons write the same.

use super::{Weighing, centre, largest};
use crate::engine::vector::dot;
use crate::engine::{Control, Products, TokenRows};
use crate::error::Result;
use crate::protocol::{Convention, NeuronValue};

/// Rows of output weights that are looked at together.
const ROWS: usize = 1024;

/// The congruence of a neuron with every token, `[vocab]`.
///
/// # Errors
/// What the engine fails with.
pub async fn output_row<E: Products>(
    engine: &E,
    convention: Convention,
    layer: usize,
    neuron: usize,
) -> Result<Vec<f32>> {
    // before anything else: a neuron that isn't there
    engine.output_weights(layer, neuron..neuron + 1).await?;
    let weighing = Weighing::new(engine, convention).await?;
    let place = layer * engine.config().d_mlp + neuron;
    let found = weighing.vectors(engine, place..place + 1).await?;
    let mut row = engine.token_products(weighing.rows(), &found.vectors).await?;
    row.iter_mut().for_each(|value| *value += found.offsets[0]);
    Ok(row)
}

/// What a neuron reads of every token's embedding, `[vocab]`: its column of `W_in` as it is (in the raw conventions), else
/// with LayerNorm 2's weight folded in and centred. The LayerNorm's division, which depends on the prompt, is left out.
///
/// # Errors
/// What the engine fails with.
pub async fn input_row<E: Products>(
    engine: &E,
    convention: Convention,
    layer: usize,
    neuron: usize,
) -> Result<Vec<f32>> {
    let weights = engine.input_weights(layer, neuron).await?;
    let column = if convention.is_raw() { &weights.raw } else { &weights.folded };
    // whatever a neuron writes to, it reads embeddings
    engine.token_products(TokenRows::Embedding, column).await
}

/// The neurons whose output weights, centred, lie closest to those of one, by the cosine of the angle; and the length of
/// its own.
///
/// # Errors
/// What the engine fails with.
pub async fn neighbours<E: Products>(
    engine: &E,
    (layer, neuron): (usize, usize),
    k: usize,
    control: &impl Control,
) -> Result<(Vec<NeuronValue>, f32)> {
    let (n_layer, d_mlp, d_model) = (engine.config().n_layer, engine.config().d_mlp, engine.config().d_model);
    let mut own = engine.output_weights(layer, neuron..neuron + 1).await?;
    centre(&mut own);
    let own_norm = dot(&own, &own).sqrt();
    let mut cosines = Vec::with_capacity(n_layer * d_mlp);
    for layer in 0..n_layer {
        for start in (0..d_mlp).step_by(ROWS) {
            let rows = engine.output_weights(layer, start..d_mlp.min(start + ROWS)).await?;
            cosines.extend(rows.chunks_exact(d_model).map(|row| {
                let mean = row.iter().sum::<f32>() / d_model as f32;
                let norm = (dot(row, row) - d_model as f32 * mean * mean).max(0.0).sqrt();
                let both = own_norm * norm;
                // a neuron that writes nothing points nowhere
                if both > 0.0 { dot(row, &own) / both } else { 0.0 }
            }));
            control.breathe().await?;
        }
    }
    cosines[layer * d_mlp + neuron] = f32::NEG_INFINITY;
    let k = k.min(cosines.len() - 1);
    let found = largest(&cosines, k).into_iter();
    let found = found.map(|at| NeuronValue { layer: at / d_mlp, neuron: at % d_mlp, value: cosines[at] });
    Ok((found.collect(), own_norm))
}

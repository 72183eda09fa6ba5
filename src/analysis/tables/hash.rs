//! Which model a table was made of.

use sha2::{Digest, Sha256};

use crate::engine::{Control, Products, TokenRows};
use crate::error::Result;

/// Rows that are read at once.
const ROWS: usize = 1024;

/// SHA-256, in hexadecimal, of what congruence depends on: the numbers of layers, neurons a layer, dimensions and tokens as
/// u32, then `W_out` layer by layer, `wte`, `ln_f.weight` and an unembedding of the model's own, if it has one, as f32, all little-endian, row-major and as the engine holds
/// them. So it doesn't matter how the file spells its names or in what pieces it came; weights rounded to f16 are others.
///
/// # Errors
/// What the engine fails with.
pub async fn model_hash<E: Products>(engine: &E, control: &impl Control) -> Result<String> {
    let config = engine.config();
    let mut hasher = Sha256::new();
    for size in [config.n_layer, config.d_mlp, config.d_model, config.vocab_size] {
        hasher.update((size as u32).to_le_bytes());
    }
    for layer in 0..config.n_layer {
        for start in (0..config.d_mlp).step_by(ROWS) {
            let rows = start..config.d_mlp.min(start + ROWS);
            update(&mut hasher, &engine.output_weights(layer, rows).await?);
            control.breathe().await?;
        }
    }
    token_rows(engine, TokenRows::Embedding, &mut hasher, control).await?;
    update(&mut hasher, &engine.final_weight().await?);
    if !config.variant.tie_word_embeddings {
        token_rows(engine, TokenRows::Unembedding, &mut hasher, control).await?;
    }
    Ok(hexadecimal(&hasher.finalize()))
}

async fn token_rows<E: Products>(engine: &E, of: TokenRows, hasher: &mut Sha256, control: &impl Control) -> Result<()> {
    let vocab = engine.config().vocab_size;
    for start in (0..vocab).step_by(ROWS) {
        let rows = start..vocab.min(start + ROWS);
        update(hasher, &engine.parameter(of.name(engine.config()), rows).await?);
        control.breathe().await?;
    }
    Ok(())
}

fn update(hasher: &mut Sha256, values: &[f32]) {
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    hasher.update(bytes);
}

/// SHA-256 of bytes, in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes))
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

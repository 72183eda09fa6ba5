//! A model's parameters on the card, under the names of [`crate::model::weights`].

use std::collections::HashMap;

use super::buffers::Buffer;
use super::matrix::Matrix;
use crate::error::{Error, Result};
use crate::model::weights::{EMBEDDING, HEAD};
use crate::model::{Config, WeightDtype};

/// All parameters, and the blocks' by their places in them.
pub struct CardWeights {
    by_name: HashMap<String, Matrix>,
    pub blocks: Vec<Block>,
    pub ln_f: Norm,
}

/// One transformer block.
pub struct Block {
    pub ln_1: Norm,
    pub c_attn: Linear,
    pub attn_c_proj: Linear,
    pub ln_2: Norm,
    pub c_fc: Linear,
    pub mlp_c_proj: Linear,
}

/// LayerNorm's scale and shift.
pub struct Norm {
    pub weight: Buffer,
    pub bias: Buffer,
}

/// `y = x W + b`, `weight` being `[in, out]`.
pub struct Linear {
    pub weight: Matrix,
    pub bias: Buffer,
}

impl CardWeights {
    /// Of the parameters by name.
    ///
    /// # Errors
    /// [`Error::Weights`] naming what is missing.
    pub fn new(config: &Config, by_name: HashMap<String, Matrix>) -> Result<Self> {
        let matrix = |name: String| {
            let missing = || Error::Weights(format!("lacks the tensor {name}. Is it this model's file? Get it again."));
            by_name.get(&name).cloned().ok_or_else(missing)
        };
        let vector = |name: String| Ok::<_, Error>(matrix(name)?.whole()?.clone());
        let norm = |name: &str| {
            Ok::<_, Error>(Norm { weight: vector(format!("{name}.weight"))?, bias: vector(format!("{name}.bias"))? })
        };
        let linear = |name: &str| {
            Ok::<_, Error>(Linear { weight: matrix(format!("{name}.weight"))?, bias: vector(format!("{name}.bias"))? })
        };
        let mut blocks = Vec::new();
        for l in 0..config.n_layer {
            blocks.push(Block {
                ln_1: norm(&format!("h.{l}.ln_1"))?,
                c_attn: linear(&format!("h.{l}.attn.c_attn"))?,
                attn_c_proj: linear(&format!("h.{l}.attn.c_proj"))?,
                ln_2: norm(&format!("h.{l}.ln_2"))?,
                c_fc: linear(&format!("h.{l}.mlp.c_fc"))?,
                mlp_c_proj: linear(&format!("h.{l}.mlp.c_proj"))?,
            });
        }
        let ln_f = norm("ln_f")?;
        Ok(CardWeights { by_name, blocks, ln_f })
    }

    /// # Errors
    /// [`Error::Unsupported`] for a parameter that the model doesn't have.
    pub fn matrix(&self, name: &str) -> Result<&Matrix> {
        let missing = || Error::Unsupported(format!("This model has no parameter {name}."));
        self.by_name.get(name).ok_or_else(missing)
    }

    /// What residual vectors become logits by, `[vocab, d_model]`.
    ///
    /// # Errors
    /// As [`Self::matrix`].
    pub fn unembedding(&self) -> Result<&Matrix> {
        self.by_name.get(HEAD).map_or_else(|| self.matrix(EMBEDDING), Ok)
    }

    /// How the matrices are held.
    pub fn dtype(&self) -> WeightDtype {
        // one whose numbers are too large for it is in f32 all the same
        if self.by_name.values().any(|matrix| matrix.is_f16) { WeightDtype::F16 } else { WeightDtype::F32 }
    }
}

//! What only all of a model's files together decide: whether the unembedding is one of its own, and which biases are zeros.

use std::collections::HashMap;

use candle_core::{DType, Device, Tensor};

use super::Config;
use super::weights::{EMBEDDING, HEAD, N_BIASES, is_of, lacking_biases, parameters};
use crate::error::{Error, Result};

/// Brings the config and the tensors, by canonical name, into line. What a person would otherwise not know comes back as
/// sentences. `says_tied` is what `config.json` says.
///
/// # Errors
/// [`Error::Weights`] naming the first parameter that no file has.
pub fn settle(
    config: &mut Config,
    says_tied: Option<bool>,
    tensors: &mut HashMap<String, Tensor>,
) -> Result<Vec<String>> {
    let head = settle_head(config, says_tied, tensors);
    let mut notes: Vec<String> = head.into_iter().map(str::to_owned).collect();
    let lacking = lacking_biases(config, |name| tensors.contains_key(name)).map_err(Error::Weights)?;
    let is_lacking = |name: &str| lacking.iter().any(|kind| is_of(name, kind));
    if !lacking.is_empty() {
        for (name, shape) in parameters(config).filter(|(name, _)| is_lacking(name)) {
            tensors.insert(name, Tensor::zeros(shape, DType::F32, &Device::Cpu)?);
        }
    }
    notes.extend(said_of(&lacking));
    Ok(notes)
}

/// What is said of biases that are not there.
pub fn said_of(lacking: &[&str]) -> Option<String> {
    let what = match lacking.len() {
        0 => return None,
        N_BIASES => "biases".to_owned(),
        _ => lacking.join(", "),
    };
    Some(format!("The weights come without {what}: zeros stand in their place."))
}

/// Tied where the head is the embedding again, whatever was said; else as was said, and as the file has it where nothing was.
pub fn settle_head(
    config: &mut Config,
    says_tied: Option<bool>,
    tensors: &mut HashMap<String, Tensor>,
) -> Option<&'static str> {
    let head = tensors.get(HEAD)?;
    // the loader holds equal numbers once, and then it is the same tensor under two names
    let is_embedding = tensors.get(EMBEDDING).is_some_and(|embedding| embedding.id() == head.id());
    let is_tied = is_embedding || says_tied == Some(true);
    config.variant.tie_word_embeddings = is_tied;
    if is_tied {
        tensors.remove(HEAD);
    }
    match says_tied {
        _ if is_embedding => None,
        None => Some(
            "config.json does not say whether the unembedding is the embedding (tie_word_embeddings). The weights have \
             an lm_head.weight that isn't, and it is used.",
        ),
        Some(true) => Some(
            "The weights have an lm_head.weight that isn't the embedding. It is not used: config.json says \
             tie_word_embeddings.",
        ),
        Some(false) => None,
    }
}

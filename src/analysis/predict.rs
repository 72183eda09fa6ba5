//! What comes next: the likeliest tokens after a prompt, and how well the prompt itself was predicted.

use crate::engine::site::{BlockSite, Site};
use crate::engine::{Activation, BaseRun, Control, Engine, FinalNorm, TopToken};
use crate::error::{Error, Result};
use crate::model::Vocabulary;
use crate::protocol::{Candidate, Prediction};

/// The `top` likeliest next tokens after a prompt, and the log-probability of each real next token.
///
/// # Errors
/// [`Error::BadOption`] when `top` is 0; otherwise what the engine fails with.
pub async fn predict<E: Engine>(
    engine: &E,
    vocabulary: &Vocabulary,
    base: &E::Base,
    top: usize,
    control: &impl Control,
) -> Result<Prediction> {
    if top == 0 {
        return Err(Error::BadOption { option: "top", problem: "must be at least 1.".into() });
    }
    let ids = base.ids();
    let site = Site::Block(engine.config().n_layer - 1, BlockSite::ResidPost);
    let read = engine.read(base, &[site].into_iter().collect(), 0, control).await?;
    let resid = read.at(site)?;
    let last = Activation::rows(resid.last_row().to_vec(), engine.config().d_model);
    let likeliest = engine.unembed_topk(&last, FinalNorm::Own, top, control).await?;
    Ok(Prediction {
        ids: ids.to_vec(),
        tokens: ids.iter().map(|&id| vocabulary.text(id)).collect(),
        top: candidates(likeliest, vocabulary)?,
        logprobs: engine.logprobs(resid, &ids[1..], control).await?,
    })
}

/// The likeliest tokens of one position, with their texts.
///
/// # Errors
/// [`Error::NoNumbers`] where edits or weights have driven the logits out of f32's range.
pub fn candidates(likeliest: Vec<Vec<TopToken>>, vocabulary: &Vocabulary) -> Result<Vec<Candidate>> {
    let candidate = |top: TopToken| match top.logit.is_finite() && top.logprob.is_finite() {
        true => Ok(Candidate::new(top, vocabulary.text(top.id))),
        false => Err(Error::NoNumbers),
    };
    likeliest.into_iter().flatten().map(candidate).collect()
}

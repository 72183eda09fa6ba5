//! What comes next: the likeliest tokens after a prompt, and how well the prompt itself was predicted.

use crate::engine::{Activation, BaseRun, Control, Engine, FinalNorm, TopToken};
use crate::error::{Error, Result};
use crate::model::Vocabulary;
use crate::protocol::{Candidate, Prediction};

/// The `top` likeliest next tokens after `ids`, and the log-probability of each real next token.
///
/// # Errors
/// [`Error::BadOption`] when `top` is 0; otherwise what the engine fails with.
pub async fn predict<E: Engine>(
    engine: &E,
    vocabulary: &Vocabulary,
    ids: &[u32],
    run: &BaseRun,
    top: usize,
    control: &impl Control,
) -> Result<Prediction> {
    if top == 0 {
        return Err(Error::BadOption { option: "top", problem: "must be at least 1.".into() });
    }
    let last = last_position(run);
    let likeliest = engine.unembed_topk(&last, FinalNorm::Own, top, control).await?;
    Ok(Prediction {
        ids: ids.to_vec(),
        tokens: ids.iter().map(|&id| vocabulary.text(id)).collect(),
        top: candidates(likeliest, vocabulary)?,
        logprobs: engine.logprobs(&run.resid_final, &ids[1..], control).await?,
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

/// The end of the residual stream at the last position of the run's first row, `[1, d_model]`.
pub fn last_position(run: &BaseRun) -> Activation {
    let row = run.resid_final.row(run.n_pos - 1);
    Activation { shape: vec![1, row.len()], data: row.to_vec() }
}

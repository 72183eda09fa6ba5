//! What a prompt's prediction becomes when the model is edited.

use super::predict::candidates;
use crate::engine::edit::Edit;
use crate::engine::{Control, Direction, Ends, Engine};
use crate::error::{Error, Result};
use crate::model::Vocabulary;
use crate::protocol::{Edited, Outcome};

/// The logit difference and the `top` likeliest tokens, without the edits and with all of them.
///
/// # Errors
/// [`Error::BadOption`] for an edit that names what isn't there, or a `top` of 0.
pub async fn intervene<E: Engine>(
    engine: &E,
    vocabulary: &Vocabulary,
    base: &E::Base,
    tokens: (u32, u32),
    edits: &[Edit],
    top: usize,
    control: &impl Control,
) -> Result<Edited> {
    if top == 0 {
        return Err(Error::BadOption { option: "top", problem: "must be at least 1.".into() });
    }
    let direction = engine.direction(tokens).await?;
    let after = engine.ends(base, &[edits.to_vec()], control).await?;
    Ok(Edited {
        before: outcome(engine, vocabulary, &direction, &engine.end(base, control).await?, top, control).await?,
        after: outcome(engine, vocabulary, &direction, &after, top, control).await?,
    })
}

async fn outcome<E: Engine>(
    engine: &E,
    vocabulary: &Vocabulary,
    direction: &Direction,
    end: &Ends,
    top: usize,
    control: &impl Control,
) -> Result<Outcome> {
    let likeliest = engine.unembed_topk(&end.resid, end.norm(), top, control).await?;
    Ok(Outcome { diff: direction.difference(&end.resid.data, end.scales[0]), top: candidates(likeliest, vocabulary)? })
}

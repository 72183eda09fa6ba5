//! Writing on from a prompt, a token at a time, with a key-value cache.

use super::sample::{Sampler, Sampling};
use crate::engine::edit::Edit;
use crate::engine::{Control, Engine};
use crate::error::{Error, Result};
use crate::protocol::GenerateOptions;

/// Up to `options.max` new ids after `ids`, `edits` being made in the model; `on_token` is called with each as it is drawn.
///
/// # Errors
/// [`Error::BadOption`] for options out of range or more tokens than the context has room for.
pub async fn generate<E: Engine>(
    engine: &E,
    ids: &[u32],
    edits: &[Edit],
    options: &GenerateOptions,
    control: &impl Control,
    mut on_token: impl FnMut(u32),
) -> Result<()> {
    check(options, ids.len(), engine.config().n_ctx)?;
    let sampling = Sampling { temperature: options.temperature, top_k: options.top_k, top_p: options.top_p };
    let mut sampler = Sampler::new(options.seed, sampling);
    let mut cache = engine.cache();
    let mut unread = ids.to_vec();
    for _ in 0..options.max {
        let end = engine.extend(&mut cache, &unread, edits, control).await?;
        let logits = engine.unembed(&end.resid, end.norm(), control).await?;
        let id = sampler.sample(&logits.data)?;
        on_token(id);
        unread = vec![id];
        control.breathe().await?;
    }
    Ok(())
}

fn check(options: &GenerateOptions, n_prompt: usize, n_ctx: usize) -> Result<()> {
    let bad = |option, problem: String| Err(Error::BadOption { option, problem });
    let room = n_ctx.saturating_sub(n_prompt);
    if options.max == 0 {
        return bad("max", "must be at least 1.".into());
    }
    if options.max > room {
        return bad(
            "max",
            format!(
                "asks for {} tokens after a prompt of {n_prompt}, and the context of {n_ctx} has room for {room}. Ask for fewer or shorten the prompt.",
                options.max
            ),
        );
    }
    if !(0.0..=100.0).contains(&options.temperature) {
        return bad("temperature", "must be a number from 0 (always the likeliest) to 100.".into());
    }
    if options.top_k == Some(0) {
        return bad("top-k", "must be at least 1.".into());
    }
    match options.top_p {
        Some(p) if !(p > 0.0 && p <= 1.0) => bad("top-p", "must be above 0 and at most 1.".into()),
        _ => Ok(()),
    }
}

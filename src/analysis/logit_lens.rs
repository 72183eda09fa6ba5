//! The logit lens: every point of the residual stream read as if it were the last.
//!
//! Two conventions, both from SPEC row 3. (a) The notebook's divides each centred residual by the scale of the *final*
//! LayerNorm in the real run; (b) the classic one applies `ln_f` to each residual itself. TransformerLens moved from
//! (a) to (b), so every figure says which made it. `ln_f`'s bias is included in both: both end at the model's own logits.

use std::collections::BTreeMap;

use crate::engine::{Activation, BaseRun, Control, Engine, FinalNorm, Readings, Site, SiteSet};
use crate::error::Result;
use crate::model::Vocabulary;
use crate::protocol::{Bulk, LensTable, LogitLens, Token};

/// What is read of a base run for the lens.
fn sites(n_layer: usize) -> SiteSet {
    SiteSet::residual_stream(n_layer).iter().chain([Site::FinalScale]).collect()
}

/// `logit(tokens.0) - logit(tokens.1)` at the last position, at `2 * n_layer + 1` points, in both conventions.
///
/// # Errors
/// What the engine fails with.
pub async fn logit_lens<E: Engine>(
    engine: &E,
    base: &E::Base,
    tokens: (u32, u32),
    control: &impl Control,
) -> Result<LogitLens> {
    let n_layer = engine.config().n_layer;
    let read = engine.read(base, &sites(n_layer), base.ids().len() - 1, control).await?;
    let points = Points::of(&read, n_layer)?;
    let last = points.together();
    let scales = vec![points.scale.data[0]; points.labels.len()];
    let pair = [tokens.0, tokens.1];
    let difference = |logits: Activation| logits.data.chunks_exact(2).map(|pair| pair[0] - pair[1]).collect();
    Ok(LogitLens {
        final_ln: difference(engine.unembed_tokens(&last, FinalNorm::Frozen(&scales), &pair).await?),
        own_ln: difference(engine.unembed_tokens(&last, FinalNorm::Own, &pair).await?),
        labels: points.labels,
    })
}

/// The token that each point would predict at each position, with its probability.
///
/// # Errors
/// As [`logit_lens`].
pub async fn lens_table<E: Engine>(
    engine: &E,
    vocabulary: &Vocabulary,
    base: &E::Base,
    final_ln: bool,
    control: &impl Control,
) -> Result<LensTable> {
    let n_layer = engine.config().n_layer;
    let read = engine.read(base, &sites(n_layer), 0, control).await?;
    let points = Points::of(&read, n_layer)?;
    let norm = if final_ln { FinalNorm::Frozen(&points.scale.data) } else { FinalNorm::Own };
    let (mut top_ids, mut probs, mut texts) = (Vec::new(), Vec::new(), BTreeMap::new());
    for resid in &points.resid {
        for top in engine.unembed_topk(resid, norm, 1, control).await?.into_iter().flatten() {
            texts.entry(top.id).or_insert_with(|| vocabulary.text(top.id));
            top_ids.push(top.id);
            probs.push(top.logprob.exp());
        }
    }
    Ok(LensTable {
        labels: points.labels,
        tokens: base.ids().iter().map(|&id| vocabulary.text(id)).collect(),
        ids: Bulk(top_ids),
        probs: Bulk(probs),
        texts: texts.into_iter().map(|(id, token)| Token { id, token }).collect(),
    })
}

/// The residual stream's points.
struct Points<'a> {
    labels: Vec<String>,
    /// Each `[pos, d_model]`.
    resid: Vec<&'a Activation>,
    /// The final LayerNorm's scale, `[pos, 1]`.
    scale: &'a Activation,
}

impl<'a> Points<'a> {
    fn of(read: &'a Readings, n_layer: usize) -> Result<Self> {
        let stream = SiteSet::residual_stream(n_layer);
        let mut labels: Vec<String> = stream.iter().map(|site| site.to_string()).collect();
        if let Some(last) = labels.last_mut() {
            *last = "final".into();
        }
        let resid = stream.iter().map(|site| read.at(site)).collect::<Result<_>>()?;
        Ok(Points { labels, resid, scale: read.at(Site::FinalScale)? })
    }

    /// Every point's vector at the last position, `[points, d_model]`.
    fn together(&self) -> Activation {
        let data: Vec<f32> = self.resid.iter().flat_map(|resid| resid.last_row()).copied().collect();
        let width = data.len() / self.resid.len();
        Activation::rows(data, width)
    }
}

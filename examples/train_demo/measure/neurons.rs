//! Which neuron carries the choice of article: activation patching of every neuron of every layer.

use std::error::Error;

use candle_core::Tensor;
use peartree::analysis::neurons::neurons;
use peartree::analysis::pair::Pair;
use peartree::engine::{CpuEngine, Engine, Unhurried, complete};
use peartree::model::Model;
use peartree::model::tokenizer::Prompt;

/// One neuron and the share of the logit difference that its clean activation, put into the corrupted run at all
/// positions, brings back.
pub struct Patched {
    pub layer: usize,
    pub index: usize,
    pub recovers: f32,
}

pub struct Ranking {
    /// logit(token) - logit(other) at the last position.
    pub clean: f32,
    pub corrupted: f32,
    /// Best first.
    pub neurons: Vec<Patched>,
}

/// Patches every neuron, clean into corrupted, as `peartree neurons --layer all` does.
pub fn ranking(
    model: &Model,
    clean: &str,
    corrupted: &str,
    token: &str,
    other: &str,
) -> Result<Ranking, Box<dyn Error>> {
    let ids = |prompt: &str| model.vocabulary.prompt_ids(&Prompt::Text(prompt.to_owned()), true);
    let engine = CpuEngine::new(model.config.clone(), model.weights.clone());
    let base = |ids: &[u32]| complete(engine.base(ids, &Unhurried));
    let (clean_ids, corrupted_ids) = (ids(clean)?, ids(corrupted)?);
    let (clean, corrupted) = (base(&clean_ids)?, base(&corrupted_ids)?);
    let tokens = (model.vocabulary.token(token)?, model.vocabulary.token(other)?);
    let pair = complete(Pair::new(&engine, (&clean, &clean_ids), (&corrupted, &corrupted_ids), tokens))?;
    let layers = 0..model.config.n_layer;
    let found = complete(neurons(&pair, layers, false, &Unhurried, &mut |_| ()))?;
    let d_mlp = model.config.d_mlp;
    let patched = |(at, &recovers): (usize, &f32)| Patched { layer: at / d_mlp, index: at % d_mlp, recovers };
    let mut neurons: Vec<Patched> = found.values.values.0.iter().enumerate().map(patched).collect();
    neurons.sort_by(|a, b| b.recovers.total_cmp(&a.recovers));
    Ok(Ranking { clean: found.clean, corrupted: found.corrupted, neurons })
}

/// A neuron's three most congruent tokens: its centred row of W_out times the centred rows of wte, as in the post.
pub fn congruent(model: &Model, layer: usize, index: usize) -> Result<Vec<(String, f32)>, Box<dyn Error>> {
    let centred = |x: &Tensor| x.broadcast_sub(&x.mean_keepdim(candle_core::D::Minus1)?);
    let out = centred(&model.weights.blocks[layer].mlp_c_proj.weight.get(index)?.unsqueeze(1)?.t()?.contiguous()?)?;
    let scores: Vec<f32> = centred(&model.weights.wte)?.matmul(&out.t()?)?.flatten_all()?.to_vec1()?;
    let mut ids: Vec<usize> = (0..scores.len()).collect();
    ids.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
    Ok(ids.into_iter().take(3).map(|id| (model.vocabulary.text(id as u32), scores[id])).collect())
}

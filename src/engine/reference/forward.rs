//! GPT-2's forward pass in candle tensors, top to bottom.
//!
//! Every function states its shapes, every operation has a gradient (so the demo model is trained through it), and every
//! named site passes through [`Hooks`], which may replace its value. Weights in f16 are widened whole wherever they are
//! used.

use candle_core::{D, DType, Result, Tensor};
use candle_nn::ops;

use crate::engine::site::{BlockSite, Site};
use crate::model::weights::{Block, Conv1d, LayerNorm, in_f32};
use crate::model::{Activation, Config, Weights};

/// Sees the value at every site as the run meets it, and gives back the value with which the run goes on.
pub trait Hooks {
    fn at(&mut self, site: Site, value: Tensor) -> Result<Tensor>;
}

/// Token plus position embedding: `ids [batch, pos] (u32) -> [batch, pos, d_model]`.
pub fn embed(weights: &Weights, ids: &Tensor, hooks: &mut impl Hooks) -> Result<Tensor> {
    let (batch, n_pos) = ids.dims2()?;
    let d_model = weights.wte.dim(1)?;
    let tokens = in_f32(&weights.wte.index_select(&ids.flatten_all()?, 0)?)?.reshape((batch, n_pos, d_model))?;
    let tokens = hooks.at(Site::Embed, tokens)?;
    let positions = in_f32(&weights.wpe.narrow(0, 0, n_pos)?)?;
    let positions = positions.unsqueeze(0)?.broadcast_as((batch, n_pos, d_model))?;
    tokens + hooks.at(Site::PosEmbed, positions)?
}

/// One block: `x [batch, pos, d_model] -> [batch, pos, d_model]`.
pub fn block(config: &Config, weights: &Block, layer: usize, x: Tensor, hooks: &mut impl Hooks) -> Result<Tensor> {
    let mut at = |site, value| hooks.at(Site::Block(layer, site), value);
    let pre = at(BlockSite::ResidPre, x)?;
    let attn_out = attention(config, weights, layer, &pre, &mut at)?;
    let attn_out = at(BlockSite::AttnOut, attn_out)?;
    let mid = at(BlockSite::ResidMid, (pre + attn_out)?)?;
    let (centred, scale) = centre_and_scale(&mid, config.ln_eps)?;
    let normed = scale_and_shift(&weights.ln_2, &centred.broadcast_div(&at(BlockSite::Ln2Scale, scale)?)?)?;
    let pre = at(BlockSite::MlpPre, linear(&weights.c_fc, &normed)?)?;
    let post = at(BlockSite::MlpPost, activate(config.variant.activation_function, &pre)?)?;
    let mlp_out = at(BlockSite::MlpOut, linear(&weights.mlp_c_proj, &post)?)?;
    at(BlockSite::ResidPost, (mid + mlp_out)?)
}

/// Causal self-attention over the residual stream `x [batch, pos, d_model]`, LayerNorm and output projection included.
fn attention(
    config: &Config,
    weights: &Block,
    layer: usize,
    x: &Tensor,
    at: &mut impl FnMut(BlockSite, Tensor) -> Result<Tensor>,
) -> Result<Tensor> {
    let (batch, n_pos, d_model) = x.dims3()?;
    let d_head = config.d_head();
    let (centred, scale) = centre_and_scale(x, config.ln_eps)?;
    let normed = scale_and_shift(&weights.ln_1, &centred.broadcast_div(&at(BlockSite::Ln1Scale, scale)?)?)?;
    let qkv = linear(&weights.c_attn, &normed)?;
    let mut part = |index: usize, site| {
        let part = qkv.narrow(D::Minus1, index * d_model, d_model)?;
        let part = at(site, part.reshape((batch, n_pos, config.n_head, d_head))?)?;
        part.transpose(1, 2)?.contiguous() // [batch, head, pos, d_head]
    };
    let (q, k, v) = (part(0, BlockSite::Q)?, part(1, BlockSite::K)?, part(2, BlockSite::V)?);
    // [batch, head, query, key]
    let scores = (q.matmul(&k.transpose(2, 3)?.contiguous()?)? * f64::from(config.attention_scale(layer)))?;
    let scores = scores.broadcast_add(&causal_mask(n_pos, x)?)?;
    let pattern = at(BlockSite::Pattern, ops::softmax(&scores, D::Minus1)?)?;
    let z = at(BlockSite::Z, pattern.matmul(&v)?.transpose(1, 2)?.contiguous()?)?;
    linear(&weights.attn_c_proj, &z.reshape((batch, n_pos, d_model))?)
}

/// The neurons' function, value by value.
fn activate(activation: Activation, x: &Tensor) -> Result<Tensor> {
    match activation {
        // candle's `gelu` is the tanh form
        Activation::GeluNew => x.gelu(),
        Activation::Gelu => x.gelu_erf(),
        Activation::Gelu10 => x.gelu_erf()?.clamp(-10f32, 10f32),
        Activation::QuickGelu => x * ops::sigmoid(&(x * 1.702)?)?,
        Activation::Relu => x.relu(),
        Activation::Silu => x.silu(),
        Activation::Tanh => x.tanh(),
    }
}

/// `[query, key]`: 0 where a query may look, minus infinity where the key lies after it.
fn causal_mask(n_pos: usize, like: &Tensor) -> Result<Tensor> {
    let may_look = |query: usize, key: usize| if key > query { f32::NEG_INFINITY } else { 0.0 };
    let mask: Vec<f32> = (0..n_pos).flat_map(|query| (0..n_pos).map(move |key| may_look(query, key))).collect();
    Tensor::from_vec(mask, (n_pos, n_pos), like.device())?.to_dtype(like.dtype())
}

/// `x W + b` over the last axis: `[.., in] -> [.., out]`.
pub fn linear(layer: &Conv1d, x: &Tensor) -> Result<Tensor> {
    let (n_in, n_out) = layer.weight.dims2()?;
    let mut shape = x.dims().to_vec();
    let rows = x.elem_count() / n_in;
    if let Some(last) = shape.last_mut() {
        *last = n_out;
    }
    x.reshape((rows, n_in))?
        .matmul(&in_f32(&layer.weight)?.to_dtype(x.dtype())?)?
        .broadcast_add(&layer.bias)?
        .reshape(shape)
}

/// `x - mean(x)` and `sqrt(var(x) + eps)`: `[.., d] -> ([.., d], [.., 1])`.
pub fn centre_and_scale(x: &Tensor, eps: f64) -> Result<(Tensor, Tensor)> {
    let centred = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
    let scale = (centred.sqr()?.mean_keepdim(D::Minus1)? + eps)?.sqrt()?;
    Ok((centred, scale))
}

/// LayerNorm's second half: `x * weight + bias`.
pub fn scale_and_shift(ln: &LayerNorm, x: &Tensor) -> Result<Tensor> {
    x.broadcast_mul(&ln.weight)?.broadcast_add(&ln.bias)
}

/// Logits over the vocabulary: normalised `[rows, d_model] -> [rows, vocab]`.
pub fn unembed(weights: &Weights, x: &Tensor) -> Result<Tensor> {
    x.matmul(&in_f32(weights.unembedding())?.to_dtype(x.dtype())?.t()?)
}

/// All blocks: `ids [batch, pos] ->` the residual stream after the last, `[batch, pos, d_model]`.
pub fn resid_final(config: &Config, weights: &Weights, ids: &Tensor, hooks: &mut impl Hooks) -> Result<Tensor> {
    let mut x = embed(weights, ids, hooks)?;
    for (layer, weights) in weights.blocks.iter().enumerate() {
        x = block(config, weights, layer, x, hooks)?;
    }
    Ok(x)
}

/// The whole pass, as training needs it: `ids [batch, pos] -> logits [batch * pos, vocab]`.
pub fn logits(config: &Config, weights: &Weights, ids: &Tensor, hooks: &mut impl Hooks) -> Result<Tensor> {
    let x = resid_final(config, weights, ids, hooks)?;
    let (centred, scale) = centre_and_scale(&x, config.ln_eps)?;
    let scale = hooks.at(Site::FinalScale, scale)?;
    let normed = scale_and_shift(&weights.ln_f, &centred.broadcast_div(&scale)?)?;
    unembed(weights, &normed.flatten_to(1)?.to_dtype(DType::F32)?)
}

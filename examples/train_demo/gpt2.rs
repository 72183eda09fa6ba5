//! The engine's forward pass again, made of fused operations. It computes what `peartree::engine::reference::forward` does
//! (the tests below hold it to that, gradients included), only faster to train through.

use candle_core::{D, Result, Tensor};
use peartree::engine::reference::forward::linear;
use peartree::model::weights::{Block, LayerNorm};
use peartree::model::{Config, Weights};

use crate::fused::{causal_softmax, gelu, layer_norm};

/// What a run leaves for the loss.
pub struct Pass {
    /// `[batch * pos, vocab]`.
    pub logits: Tensor,
    /// The neurons of each layer, before and after the activation: `[batch, pos, d_mlp]`.
    pub pre: Vec<Tensor>,
    pub post: Vec<Tensor>,
    /// The attention patterns of each layer, `[batch, head, query, key]`.
    pub patterns: Vec<Tensor>,
    /// `[batch, pos, d_model]`.
    pub resid_final: Tensor,
}

impl Pass {
    /// The mean absolute activation of the neurons, summed over layers.
    pub fn activity(&self) -> Result<Tensor> {
        let means = self.post.iter().map(|post| post.abs()?.mean_all()).collect::<Result<Vec<_>>>()?;
        Tensor::stack(&means, 0)?.sum_all()
    }
}

/// Runs `ids [batch, pos]`.
pub fn run(config: &Config, weights: &Weights, ids: &Tensor) -> Result<Pass> {
    let (batch, n_pos) = ids.dims2()?;
    let shape = (batch, n_pos, config.d_model);
    let positions = weights.wpe.narrow(0, 0, n_pos)?.unsqueeze(0)?;
    let tokens = weights.wte.index_select(&ids.flatten_all()?, 0)?.reshape(shape)?;
    let mut x = tokens.broadcast_add(&positions)?;
    let (mut patterns, mut pres, mut posts) = (Vec::new(), Vec::new(), Vec::new());
    for block in &weights.blocks {
        let (attn_out, pattern) = attention(config, block, &norm(config, &block.ln_1, &x)?)?;
        x = (&x + attn_out)?;
        patterns.push(pattern);
        let pre = linear(&block.c_fc, &norm(config, &block.ln_2, &x)?)?;
        let post = gelu(&pre)?;
        x = (&x + linear(&block.mlp_c_proj, &post)?)?;
        pres.push(pre);
        posts.push(post);
    }
    let normed = norm(config, &weights.ln_f, &x)?.flatten_to(1)?;
    Ok(Pass { logits: normed.matmul(&weights.wte.t()?)?, pre: pres, post: posts, patterns, resid_final: x })
}

fn norm(config: &Config, ln: &LayerNorm, x: &Tensor) -> Result<Tensor> {
    layer_norm(x, &ln.weight, &ln.bias, config.ln_eps as f32)
}

/// What attention writes, and its pattern.
fn attention(config: &Config, block: &Block, x: &Tensor) -> Result<(Tensor, Tensor)> {
    let (batch, n_pos, d_model) = x.dims3()?;
    let (heads, d_head) = (config.n_head, config.d_head());
    // [part, batch, head, pos, d_head]
    let qkv = linear(&block.c_attn, x)?.reshape((batch, n_pos, 3, heads, d_head))?.permute((2, 0, 3, 1, 4))?;
    let qkv = qkv.contiguous()?;
    let (q, k, v) = (qkv.get(0)?, qkv.get(1)?, qkv.get(2)?);
    let scores = q.matmul(&k.transpose(D::Minus2, D::Minus1)?)?;
    let pattern = causal_softmax(&scores, 1.0 / (d_head as f32).sqrt())?;
    let z = pattern.matmul(&v)?.transpose(1, 2)?.reshape((batch, n_pos, d_model))?;
    Ok((linear(&block.attn_c_proj, &z)?, pattern))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use candle_core::Device;
    use peartree::engine::reference::forward::{self, Hooks};
    use peartree::engine::site::{BlockSite, Site};

    use super::*;
    use crate::fused::cross_entropy;
    use crate::train::init;

    #[derive(Default)]
    struct Activity(Vec<Tensor>);

    impl Hooks for Activity {
        fn at(&mut self, site: Site, value: Tensor) -> Result<Tensor> {
            if let Site::Block(_, BlockSite::MlpPost) = site {
                self.0.push(value.abs()?.mean_all()?);
            }
            Ok(value)
        }
    }

    #[test]
    fn agrees_with_the_engine_down_to_the_gradients() {
        let config = Config {
            n_layer: 2,
            n_head: 2,
            d_model: 16,
            d_mlp: 64,
            n_ctx: 12,
            vocab_size: 30,
            ln_eps: 1e-5,
            bos_token_id: Some(29),
            variant: Default::default(),
        };
        let vars = init(&config, 3).unwrap();
        for (_, var) in &vars {
            var.set(&(var.as_tensor() * 8.0).unwrap()).unwrap(); // far from the linear regime
        }
        let mut tensors: HashMap<_, _> = vars.iter().map(|(name, v)| (name.clone(), v.as_tensor().clone())).collect();
        let weights = Weights::from_tensors(&config, &mut tensors).unwrap();
        let ids: Vec<u32> = (0..24).map(|i| i * 7 % 30).collect();
        let targets: Vec<u32> = (0..24).map(|i| i * 11 % 30).collect();
        let input = Tensor::from_slice(&ids, (2, 12), &Device::Cpu).unwrap();

        let pass = run(&config, &weights, &input).unwrap();
        let fused = &pass.logits;
        let loss = (cross_entropy(fused, targets.clone()).unwrap() + pass.activity().unwrap() * 0.3).unwrap();
        let grads = loss.backward().unwrap();

        let mut hooks = Activity::default();
        let slow = forward::logits(&config, &weights, &input, &mut hooks).unwrap();
        let targets = Tensor::from_vec(targets, 24, &Device::Cpu).unwrap();
        let activity = (&hooks.0[0] + &hooks.0[1]).unwrap();
        let slow_loss = (candle_nn::loss::cross_entropy(&slow, &targets).unwrap() + activity * 0.3).unwrap();
        let slow_grads = slow_loss.backward().unwrap();

        let distance = |a: &Tensor, b: &Tensor| -> f32 {
            let scale = b.abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap().max(1e-3);
            (a - b).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap() / scale
        };
        assert!(distance(fused, &slow) < 1e-4);
        for (name, var) in &vars {
            let (fast, slow) = (grads.get(var).unwrap(), slow_grads.get(var).unwrap());
            assert!(distance(fast, slow) < 1e-3, "{name}: {}", distance(fast, slow));
        }
    }
}

//! The forward pass backwards, by hand: how the logit difference of two tokens changes with every activation.
//!
//! One backward pass estimates every patch to first order (attribution patching). Only positions from the first
//! patched one on are followed: attention reads from them, never the other way round.

use super::CpuEngine;
use super::base::CpuBase;
use super::kernels::activation::slope;
use super::kernels::attention::{Past, Run};
use super::kernels::matmul::add_scaled;
use super::kernels::norm;
use super::matrix::matrix;
use super::values::values;
use crate::engine::vector::dot;
use crate::engine::{BaseRun, Control, Engine, Gradients};
use crate::error::Result;
use crate::model::weights::{Block, Conv1d, LayerNorm};

impl CpuEngine {
    pub(super) async fn backward(
        &self,
        base: &CpuBase,
        tokens: (u32, u32),
        (lowest, first): (usize, usize),
        control: &impl Control,
    ) -> Result<Gradients> {
        let (d_model, n_layer) = (self.config.d_model, self.config.n_layer);
        let mut found = Gradients {
            first,
            layer: lowest,
            resid_pre: Vec::new(),
            resid_mid: Vec::new(),
            resid_post: Vec::new(),
            mlp_post: Vec::new(),
            z: Vec::new(),
        };
        let mut g = vec![0.0; (base.ids().len() - first) * d_model];
        let last = base.resid_final.len() - d_model;
        let at_last = g.len() - d_model;
        let ones = vec![1.0; d_model];
        let along = self.direction(tokens).await?.along;
        add_norm_backwards(&base.resid_final[last..], &ones, self.config.ln_eps, &along, &mut g[at_last..]);
        for layer in (lowest..n_layer).rev() {
            let block = &self.weights.blocks[layer];
            found.resid_post.push(g.clone());
            let post = backwards(&block.mlp_c_proj, &g)?;
            self.mlp_backwards(block, &base.resid_mid[layer][first * d_model..], &post, &mut g)?;
            found.mlp_post.push(post);
            control.breathe().await?;
            found.resid_mid.push(g.clone());
            let z = backwards(&block.attn_c_proj, &g)?;
            self.attention_backwards(block, base, layer, first, &z, &mut g)?;
            found.z.push(z);
            found.resid_pre.push(g.clone());
            control.breathe().await?;
        }
        for by_layer in
            [&mut found.resid_pre, &mut found.resid_mid, &mut found.resid_post, &mut found.mlp_post, &mut found.z]
        {
            by_layer.reverse();
        }
        Ok(found)
    }

    /// From the derivative at `mlp.hook_post` to what the MLP adds to that at `resid_mid`.
    fn mlp_backwards(&self, block: &Block, resid_mid: &[f32], post: &[f32], g: &mut [f32]) -> Result<()> {
        let normed = self.normed(&block.ln_2, resid_mid)?;
        let mut slopes = product(&block.c_fc, &normed)?;
        slope(self.config.variant.activation_function, &mut slopes);
        slopes.iter_mut().zip(post).for_each(|(slope, post)| *slope *= post);
        let normed = backwards(&block.c_fc, &slopes)?;
        add_norm_backwards(resid_mid, &values(&block.ln_2.weight)?, self.config.ln_eps, &normed, g);
        Ok(())
    }

    /// From the derivative at `attn.hook_z` to what attention adds to that at `resid_pre`.
    fn attention_backwards(
        &self,
        block: &Block,
        base: &CpuBase,
        layer: usize,
        first: usize,
        z: &[f32],
        g: &mut [f32],
    ) -> Result<()> {
        let d_model = self.config.d_model;
        let resid_pre = &base.resid_pre[layer][first * d_model..];
        let qkv = product(&block.c_attn, &self.normed(&block.ln_1, resid_pre)?)?;
        let past = &base.past[layer];
        let past = Past { keys: &past.keys[..first * d_model], values: &past.values[..first * d_model] };
        let n_rows = base.ids().len() - first;
        let scale = self.config.attention_scale(layer);
        let run = Run { qkv: &qkv, past, queries: 0..n_rows, n_head: self.config.n_head, d_model, scale };
        let g_qkv = qkv_backwards(&run, z);
        let normed = backwards(&block.c_attn, &g_qkv)?;
        add_norm_backwards(resid_pre, &values(&block.ln_1.weight)?, self.config.ln_eps, &normed, g);
        Ok(())
    }

    fn normed(&self, ln: &LayerNorm, x: &[f32]) -> Result<Vec<f32>> {
        let d_model = self.config.d_model;
        let mut scales = vec![0.0; x.len() / d_model];
        norm::scales(x, d_model, self.config.ln_eps as f32, &mut scales);
        let mut normed = vec![0.0; x.len()];
        norm::normalise(x, &scales, &values(&ln.weight)?, &values(&ln.bias)?, &mut normed);
        Ok(normed)
    }
}

/// `x W + b`.
fn product(layer: &Conv1d, x: &[f32]) -> Result<Vec<f32>> {
    let (n_in, n_out) = layer.weight.dims2()?;
    let mut out = vec![0.0; x.len() / n_in * n_out];
    matrix(&layer.weight)?.linear(x, Some(&values(&layer.bias)?), false, &mut out);
    Ok(out)
}

/// The derivative by the input of `x W + b`, from that by its output: `g Wᵀ`.
fn backwards(layer: &Conv1d, g: &[f32]) -> Result<Vec<f32>> {
    let (n_in, n_out) = layer.weight.dims2()?;
    let mut out = vec![0.0; g.len() / n_out * n_in];
    matrix(&layer.weight)?.linear_transposed(g, &mut out);
    Ok(out)
}

/// Adds to `g` the derivative by the input of LayerNorm, from that by its output, row by row.
///
/// With `n = (x - mean) / scale` and `u = g_out * weight`: `(u - mean(u) - n mean(u n)) / scale`.
fn add_norm_backwards(x: &[f32], weight: &[f32], eps: f64, g_out: &[f32], g: &mut [f32]) {
    let width = weight.len();
    let rows = x.chunks_exact(width).zip(g_out.chunks_exact(width)).zip(g.chunks_exact_mut(width));
    for ((x, g_out), g) in rows {
        let mut scale = [0.0];
        norm::scales(x, width, eps as f32, &mut scale);
        let mean = norm::mean(x);
        let n: Vec<f32> = x.iter().map(|x| (x - mean) / scale[0]).collect();
        let u: Vec<f32> = g_out.iter().zip(weight).map(|(g, weight)| g * weight).collect();
        let (mean_u, mean_un) = (norm::mean(&u), dot(&u, &n) / width as f32);
        for ((g, u), n) in g.iter_mut().zip(&u).zip(&n) {
            *g += (u - mean_u - n * mean_un) / scale[0];
        }
    }
}

/// Derivatives by the rows' queries, keys and values, `[rows, 3 * d_model]`, from those by `z [rows, d_model]`.
fn qkv_backwards(run: &Run<'_>, g_z: &[f32]) -> Vec<f32> {
    let (d_model, n_key) = (run.d_model, run.n_key());
    let d_head = d_model / run.n_head;
    let n_rows = run.queries.len();
    let n_past = n_key - n_rows;
    let mut pattern = vec![0.0; run.n_head * n_rows * n_key];
    run.pattern(&mut pattern);
    let mut g = vec![0.0; n_rows * 3 * d_model];
    let at = |row: usize, part: usize, head: usize| (3 * row + part) * d_model + head * d_head;
    for head in 0..run.n_head {
        for query in 0..n_rows {
            let weights = &pattern[(head * n_rows + query) * n_key..][..n_past + query + 1];
            let g_z = &g_z[query * d_model + head * d_head..][..d_head];
            let by_weight: Vec<f32> = (0..weights.len()).map(|key| dot(g_z, run.seen(key, 2, head))).collect();
            let mean = dot(&by_weight, weights);
            for (key, (weight, by_weight)) in weights.iter().zip(&by_weight).enumerate() {
                let g_score = run.scale * weight * (by_weight - mean);
                let from = at(query, 0, head);
                add_scaled(run.seen(key, 1, head), g_score, &mut g[from..from + d_head]);
                if let Some(row) = key.checked_sub(n_past) {
                    let from = at(row, 1, head);
                    add_scaled(run.part(query, 0, head), g_score, &mut g[from..from + d_head]);
                    let from = at(row, 2, head);
                    add_scaled(g_z, *weight, &mut g[from..from + d_head]);
                }
            }
        }
    }
    g
}

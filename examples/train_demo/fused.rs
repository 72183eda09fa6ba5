//! The operations that training spends its time in, each as one pass with a gradient written by hand.
//!
//! Composed from single operations, as the engine has them, one training step takes about four times as long.

use std::sync::OnceLock;

use candle_core::{CpuStorage, CustomOp1, CustomOp3, Error, Layout, Result, Shape, Tensor};

/// The values behind a contiguous f32 tensor.
fn values<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    let (from, to) = layout.contiguous_offsets().ok_or_else(|| Error::Msg("the tensor must be contiguous".into()))?;
    Ok(&storage.as_slice::<f32>()?[from..to])
}

fn to_vec(x: &Tensor) -> Result<Vec<f32>> {
    x.flatten_all()?.to_vec1()
}

fn like(values: Vec<f32>, x: &Tensor) -> Result<Option<Tensor>> {
    Tensor::from_vec(values, x.shape(), x.device()).map(Some)
}

struct CrossEntropy {
    targets: Vec<u32>,
    /// Each row's log of the sum of exponentials, kept for the gradient.
    log_sums: OnceLock<Vec<f32>>,
}

/// The mean cross-entropy of `logits [tokens, vocab]` against `targets`, in nats.
pub fn cross_entropy(logits: &Tensor, targets: Vec<u32>) -> Result<Tensor> {
    logits.apply_op1(CrossEntropy { targets, log_sums: OnceLock::new() })
}

impl CustomOp1 for CrossEntropy {
    fn name(&self) -> &'static str {
        "cross_entropy"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (_, vocab) = layout.shape().dims2()?;
        let rows = values(storage, layout)?.chunks_exact(vocab);
        let log_sum = |row: &[f32]| {
            let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            most + row.iter().map(|x| (x - most).exp()).sum::<f32>().ln()
        };
        let log_sums = self.log_sums.get_or_init(|| rows.clone().map(log_sum).collect());
        let losses = rows.zip(log_sums).zip(&self.targets).map(|((row, sum), &id)| f64::from(sum - row[id as usize]));
        Ok((CpuStorage::F32(vec![(losses.sum::<f64>() / self.targets.len() as f64) as f32]), Shape::from(())))
    }

    /// (softmax - one-hot) / tokens.
    fn bwd(&self, logits: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let (tokens, vocab) = logits.dims2()?;
        let scale = grad.to_scalar::<f32>()? / tokens as f32;
        let log_sums = self.log_sums.get().ok_or_else(|| Error::Msg("backward before forward".into()))?;
        let mut out = to_vec(logits)?;
        for ((row, log_sum), &id) in out.chunks_exact_mut(vocab).zip(log_sums).zip(&self.targets) {
            row.iter_mut().for_each(|x| *x = (*x - log_sum).exp() * scale);
            row[id as usize] -= scale;
        }
        like(out, logits)
    }
}

struct Gelu;

/// GPT-2's gelu_new.
pub fn gelu(x: &Tensor) -> Result<Tensor> {
    x.apply_op1(Gelu)
}

const ROOT: f32 = 0.797_884_6; // sqrt(2 / pi)
const CUBIC: f32 = 0.044_715;

fn tanh(x: f32) -> f32 {
    1.0 - 2.0 / ((2.0 * x).exp() + 1.0)
}

impl CustomOp1 for Gelu {
    fn name(&self) -> &'static str {
        "gelu_new"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let gelu = |&x: &f32| 0.5 * x * (1.0 + tanh(ROOT * (x + CUBIC * x * x * x)));
        Ok((CpuStorage::F32(values(storage, layout)?.iter().map(gelu).collect()), layout.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let mut out = to_vec(grad)?;
        for (out, x) in out.iter_mut().zip(to_vec(x)?) {
            let t = tanh(ROOT * (x + CUBIC * x * x * x));
            *out *= 0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * ROOT * (1.0 + 3.0 * CUBIC * x * x);
        }
        like(out, x)
    }
}

struct CausalSoftmax {
    scale: f32,
}

/// Softmax over each query's keys up to itself: `scores [.., pos, pos]`, multiplied by `scale`.
pub fn causal_softmax(scores: &Tensor, scale: f32) -> Result<Tensor> {
    scores.apply_op1(CausalSoftmax { scale })
}

impl CustomOp1 for CausalSoftmax {
    fn name(&self) -> &'static str {
        "causal_softmax"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let n = layout.dims().last().copied().unwrap_or(1);
        let scores = values(storage, layout)?;
        let mut out = vec![0.0; scores.len()];
        for (row, (scores, out)) in scores.chunks_exact(n).zip(out.chunks_exact_mut(n)).enumerate() {
            let seen = row % n + 1;
            let most = scores[..seen].iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let mut sum = 0.0;
            for (out, score) in out[..seen].iter_mut().zip(scores) {
                *out = ((score - most) * self.scale).exp();
                sum += *out;
            }
            out[..seen].iter_mut().for_each(|out| *out /= sum);
        }
        Ok((CpuStorage::F32(out), layout.shape().clone()))
    }

    fn bwd(&self, scores: &Tensor, pattern: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let n = scores.dims().last().copied().unwrap_or(1);
        let (pattern, mut out) = (to_vec(pattern)?, to_vec(grad)?);
        for (row, (pattern, out)) in pattern.chunks_exact(n).zip(out.chunks_exact_mut(n)).enumerate() {
            let seen = row % n + 1;
            let mean: f32 = pattern[..seen].iter().zip(&*out).map(|(p, g)| p * g).sum();
            for (out, p) in out.iter_mut().zip(pattern) {
                *out = p * (*out - mean) * self.scale;
            }
        }
        like(out, scores)
    }
}

struct LayerNorm {
    eps: f32,
}

/// LayerNorm over the last axis: `x`, weight and bias.
pub fn layer_norm(x: &Tensor, weight: &Tensor, bias: &Tensor, eps: f32) -> Result<Tensor> {
    x.apply_op3(weight, bias, LayerNorm { eps })
}

/// A row's mean and the reciprocal of its deviation.
fn moments(row: &[f32], eps: f32) -> (f32, f32) {
    let n = row.len() as f32;
    let mean = row.iter().sum::<f32>() / n;
    let variance = row.iter().map(|x| (x - mean) * (x - mean)).sum::<f32>() / n;
    (mean, 1.0 / (variance + eps).sqrt())
}

impl CustomOp3 for LayerNorm {
    fn name(&self) -> &'static str {
        "layer_norm"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (weight, bias) = (values(weight, weight_layout)?, values(bias, bias_layout)?);
        let mut out = values(x, x_layout)?.to_vec();
        for row in out.chunks_exact_mut(weight.len()) {
            let (mean, scale) = moments(row, self.eps);
            row.iter_mut().zip(weight).zip(bias).for_each(|((x, w), b)| *x = (*x - mean) * scale * w + b);
        }
        Ok((CpuStorage::F32(out), x_layout.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (xs, w, mut out) = (to_vec(x)?, to_vec(weight)?, to_vec(grad)?);
        let d = w.len();
        let (mut to_weight, mut to_bias) = (vec![0.0; d], vec![0.0; d]);
        for (x, out) in xs.chunks_exact(d).zip(out.chunks_exact_mut(d)) {
            let (mean, scale) = moments(x, self.eps);
            let (mut sum, mut sum_x) = (0.0, 0.0);
            for i in 0..d {
                let normed = (x[i] - mean) * scale;
                to_weight[i] += out[i] * normed;
                to_bias[i] += out[i];
                out[i] *= w[i];
                sum += out[i];
                sum_x += out[i] * normed;
            }
            let (sum, sum_x) = (sum / d as f32, sum_x / d as f32);
            out.iter_mut().zip(x).for_each(|(out, x)| *out = scale * (*out - sum - (x - mean) * scale * sum_x));
        }
        Ok((like(out, x)?, like(to_weight, weight)?, like(to_bias, bias)?))
    }
}

//! Products of our kernels against candle's, natively: GFLOP/s of both and their ratio; and what f16 weights cost beside
//! f32 ones, in time. `cargo bench`.
//!
//! What a browser gets from them is another matter: see the page's `?bench`.

use std::time::Instant;

use candle_core::{Device, Result, Tensor};
use half::f16;
use peartree::engine::cpu::kernels::{matmul, panel, stream, transposed};

/// Rows, n_in, n_out of GPT-2 small's products.
const SHAPES: [(usize, usize, usize); 8] = [
    (1, 768, 2304),
    (1, 768, 3072),
    (1, 3072, 768),
    (20, 768, 2304),
    (20, 768, 3072),
    (20, 3072, 768),
    (512, 768, 3072),
    (640, 3072, 768),
];
/// Rows, n_in, n_out of products with a transpose: the unembedding.
const TRANSPOSED: [(usize, usize, usize); 3] = [(1, 768, 50257), (20, 768, 50257), (32, 768, 50257)];
/// Each figure is the best of as many runs as fit into this.
const SECONDS: f64 = 0.3;
/// Weights that are gone through in turn, as a model's are: more than the caches hold.
const WEIGHTS: usize = 48 << 20;

fn main() -> Result<()> {
    println!("{} threads; GFLOP/s", rayon::current_num_threads());
    heading(["product", "ours", "candle", "ratio", "in f16", "f16 : f32", "stream", "panel"]);
    for (rows, n_in, n_out) in SHAPES {
        let Case { x, weights, halves, mut out } = Case::new(rows, n_in, n_out);
        let one = n_in * n_out;
        let ours = best_of(&weights, one, |weight| matmul::linear(&x, weight, None, n_out, false, &mut out));
        let half = best_of(&halves, one, |weight| matmul::linear(&x, weight, None, n_out, false, &mut out));
        let streamed = best_of(&weights, one, |weight| stream::few_rows(&x, weight, None, n_out, true, &mut out));
        let packed = best_of(&weights, one, |weight| panel::many_rows(&x, weight, None, n_out, true, &mut out));
        let left = Tensor::from_slice(&x, (rows, n_in), &Device::Cpu)?;
        let tensor = |weight: &[f32]| Tensor::from_slice(weight, (n_in, n_out), &Device::Cpu);
        let rights = weights.chunks_exact(one).map(tensor).collect::<Result<Vec<_>>>()?;
        let theirs = best_of(&rights, 1, |right| drop(left.matmul(&right[0])));
        line((rows, n_in, n_out), [ours, theirs, half], &[streamed, packed]);
    }
    heading(["transposed", "ours", "candle", "ratio", "in f16", "f16 : f32", "plain", ""]);
    for (rows, n_in, n_out) in TRANSPOSED {
        let Case { x, weights, halves, mut out } = Case::new(rows, n_in, n_out);
        let one = n_in * n_out;
        let ours = best_of(&weights, one, |weight| matmul::linear_transposed(&x, weight, n_in, &mut out));
        let half = best_of(&halves, one, |weight| matmul::linear_transposed(&x, weight, n_in, &mut out));
        let plain = best_of(&weights, one, |weight| transposed::product(&x, weight, n_in, &mut out));
        let left = Tensor::from_slice(&x, (rows, n_in), &Device::Cpu)?;
        let right = Tensor::from_slice(&weights[..one], (n_out, n_in), &Device::Cpu)?.t()?;
        let theirs = best_of(&[right], 1, |right| drop(left.matmul(&right[0])));
        line((rows, n_in, n_out), [ours, theirs, half], &[plain]);
    }
    Ok(())
}

fn heading(names: [&str; 8]) {
    println!("{:>18}{}", names[0], names[1..].iter().map(|name| format!("{name:>11}")).collect::<String>());
}

/// The rates of a product that took so many seconds: with our kernels, candle's, and ours in f16; and of other kernels.
fn line((rows, n_in, n_out): (usize, usize, usize), [ours, theirs, half]: [f64; 3], others: &[f64]) {
    let rate = |seconds: f64| format!("{:11.1}", 2.0 * (rows * n_in * n_out) as f64 / seconds / 1e9);
    let others: String = others.iter().map(|&seconds| rate(seconds)).collect();
    println!(
        "{:>18}{}{}{:11.2}{}{:11.2}{others}",
        format!("{rows} x {n_in} x {n_out}"),
        rate(ours),
        rate(theirs),
        theirs / ours,
        rate(half),
        half / ours
    );
}

/// One product, its weights several times over.
struct Case {
    x: Vec<f32>,
    weights: Vec<f32>,
    halves: Vec<f16>,
    out: Vec<f32>,
}

impl Case {
    fn new(rows: usize, n_in: usize, n_out: usize) -> Self {
        let copies = (WEIGHTS / (n_in * n_out)).max(1);
        let weights: Vec<f32> = numbers(n_in * n_out * copies).iter().map(|x| x * 0.05).collect();
        Case {
            x: numbers(rows * n_in),
            halves: weights.iter().map(|&x| f16::from_f32(x)).collect(),
            weights,
            out: vec![0.0; rows * n_out],
        }
    }
}

fn numbers(len: usize) -> Vec<f32> {
    (0..len).map(|i| (i % 251) as f32 * 0.008 - 1.0).collect()
}

/// The least time, in seconds, of `run` on one of the pieces of `all`, which it gets one after the other.
fn best_of<T>(all: &[T], piece: usize, mut run: impl FnMut(&[T])) -> f64 {
    let begin = Instant::now();
    let mut best = f64::INFINITY;
    for piece in all.chunks_exact(piece).cycle() {
        let start = Instant::now();
        run(piece);
        best = best.min(start.elapsed().as_secs_f64());
        if begin.elapsed().as_secs_f64() > SECONDS {
            break;
        }
    }
    best
}

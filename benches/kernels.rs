//! Products of our kernels against candle's, natively: GFLOP/s of both and their ratio. `cargo bench`.
//!
//! What a browser gets from them is another matter: see the page's `?bench`.

use std::time::Instant;

use candle_core::{Device, Result, Tensor};
use peartree::engine::cpu::kernels::{matmul, panel, stream, transposed};

/// Rows, n_in, n_out of GPT-2 small's products.
const SHAPES: [(usize, usize, usize); 7] = [
    (1, 768, 3072),
    (1, 3072, 768),
    (20, 768, 2304),
    (20, 768, 3072),
    (20, 3072, 768),
    (512, 768, 3072),
    (640, 3072, 768),
];
/// Each figure is the best of as many runs as fit into this.
const SECONDS: f64 = 0.3;

fn main() -> Result<()> {
    println!("{} threads; GFLOP/s", rayon::current_num_threads());
    println!("{:>18} {:>9} {:>9} {:>7}   {:>9} {:>9}", "product", "ours", "candle", "ratio", "stream", "panel");
    for (rows, n_in, n_out) in SHAPES {
        let (x, weight) = (numbers(rows * n_in), numbers(n_in * n_out));
        let mut out = vec![0.0; rows * n_out];
        let flops = 2.0 * (rows * n_in * n_out) as f64;
        let ours = gflops(flops, || matmul::linear(&x, &weight, None, n_out, false, &mut out));
        let streamed = gflops(flops, || stream::few_rows(&x, &weight, n_out, &mut out));
        let packed = gflops(flops, || panel::many_rows(&x, &weight, n_out, &mut out));
        let left = Tensor::from_slice(&x, (rows, n_in), &Device::Cpu)?;
        let right = Tensor::from_slice(&weight, (n_in, n_out), &Device::Cpu)?;
        let theirs = gflops(flops, || drop(left.matmul(&right)));
        let name = format!("{rows} x {n_in} x {n_out}");
        println!("{name:>18} {ours:9.1} {theirs:9.1} {:7.2}   {streamed:9.1} {packed:9.1}", ours / theirs);
    }
    let (rows, n_in, n_out) = (32, 768, 50257);
    let (x, weight) = (numbers(rows * n_in), numbers(n_in * n_out));
    let mut out = vec![0.0; rows * n_out];
    let flops = 2.0 * (rows * n_in * n_out) as f64;
    let ours = gflops(flops, || matmul::linear_transposed(&x, &weight, n_in, &mut out));
    let plain = gflops(flops, || transposed::product(&x, &weight, n_in, &mut out));
    let left = Tensor::from_slice(&x, (rows, n_in), &Device::Cpu)?;
    let right = Tensor::from_slice(&weight, (n_out, n_in), &Device::Cpu)?.t()?;
    let theirs = gflops(flops, || drop(left.matmul(&right)));
    println!("{:>18} {ours:9.1} {theirs:9.1} {:7.2}   {plain:9.1}", "unembedding", ours / theirs);
    Ok(())
}

fn numbers(len: usize) -> Vec<f32> {
    (0..len).map(|i| (i % 251) as f32 * 0.008 - 1.0).collect()
}

/// The best rate of several runs.
fn gflops(flops: f64, mut run: impl FnMut()) -> f64 {
    let begin = Instant::now();
    let mut best = f64::INFINITY;
    while begin.elapsed().as_secs_f64() < SECONDS {
        let start = Instant::now();
        run();
        best = best.min(start.elapsed().as_secs_f64());
    }
    flops / best / 1e9
}

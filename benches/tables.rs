//! All neurons against all tokens: our table's time beside that of the bare product, natively. `cargo bench --bench tables`.
//!
//! The shape is GPT-2 small's (36,864 x 50,257 x 768), some blocks of it; `-- --whole` multiplies it all. The peer is the
//! `gemm` crate, tile by tile and nothing kept; `benches/congruence_torch.py` does what torch needs for two of each side.
//! The weights are noise: what is compared with running thresholds is rarely above them, as in a model.

use std::time::Instant;

use peartree::engine::cpu::kernels::{matmul, scan};
use peartree::engine::extremes::{Extremes, Spread};
use peartree::engine::products::Block;

const D_MODEL: usize = 768;
const VOCAB: usize = 50257;
const BLOCKS: usize = 72;
const BLOCK: usize = 512;
const TILE: usize = 512;
const K: usize = 16;

fn main() {
    let blocks = if std::env::args().any(|argument| argument == "--whole") { BLOCKS } else { 8 };
    println!(
        "{} threads, {} neurons x {VOCAB} tokens x {D_MODEL}, top {K}",
        rayon::current_num_threads(),
        blocks * BLOCK
    );
    let mut noise = Noise(1);
    let embeddings = noise.values(VOCAB * D_MODEL);
    let spread = || Spread::new(0.0, 0.5 * (D_MODEL as f32).sqrt() / 3.0);
    let mut by_token = Extremes::new(K, vec![spread(); VOCAB]);
    let (mut product, mut scanned) = (0.0, 0.0);
    let mut tile = vec![0.0; TILE * BLOCK];
    for index in 0..blocks {
        let block = Block::new(index * BLOCK, &noise.values(BLOCK * D_MODEL), &[0.0; BLOCK], D_MODEL);
        let mut by_neuron = Extremes::new(K, vec![spread(); BLOCK]);
        for start in (0..VOCAB).step_by(TILE) {
            let tokens = start..VOCAB.min(start + TILE);
            let tile = &mut tile[..tokens.len() * BLOCK];
            let begin = Instant::now();
            let rows = &embeddings[tokens.start * D_MODEL..tokens.end * D_MODEL];
            matmul::linear(rows, &block.by_column, None, BLOCK, false, tile);
            let multiplied = Instant::now();
            scan::tile(tile, BLOCK, tokens, block.first, &mut by_token, &mut by_neuron);
            product += (multiplied - begin).as_secs_f64();
            scanned += multiplied.elapsed().as_secs_f64();
        }
        std::hint::black_box(&by_neuron);
    }
    let flops = 2.0 * (blocks * BLOCK * VOCAB * D_MODEL) as f64;
    println!("bare product  {product:8.2} s  {:6.1} GFLOP/s", flops / product / 1e9);
    println!("with scan     {:8.2} s  {:6.1} GFLOP/s", product + scanned, flops / (product + scanned) / 1e9);
    println!("ratio         {:8.3}", (product + scanned) / product);
}

/// Sums of four even numbers each: close to a normal distribution, deviation 0.58.
struct Noise(u64);

impl Noise {
    fn values(&mut self, len: usize) -> Vec<f32> {
        let mut even = || {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 40) as f32 / 16_777_216.0 - 0.5
        };
        (0..len).map(|_| even() + even() + even() + even()).collect()
    }
}

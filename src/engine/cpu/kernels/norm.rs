//! LayerNorm in two halves, so that its scale can be looked at and replaced between them.

use super::lanes::F32x4;
use crate::engine::threads;

/// Values of one piece of work, in whole rows.
const PIECE: usize = 1 << 13;

/// `sqrt(var(row) + eps)` of every row of `x [rows, width]`, into `scales [rows]`.
#[inline(never)]
pub fn scales(x: &[f32], width: usize, eps: f32, scales: &mut [f32]) {
    let rows = rows_of_piece(width);
    threads::for_each_chunk(scales, rows, |piece, scales| {
        for (row, scale) in x[piece * rows * width..].chunks_exact(width).zip(scales) {
            let mean = F32x4::splat(mean(row));
            let squares = fold(row, |x| (x - mean) * (x - mean), |x| (x - mean.to_array()[0]).powi(2));
            *scale = (squares / width as f32 + eps).sqrt();
        }
    });
}

/// `out = (x - mean(x)) / scale * weight + bias`, row by row.
#[inline(never)]
pub fn normalise(x: &[f32], scales: &[f32], weight: &[f32], bias: &[f32], out: &mut [f32]) {
    let width = weight.len();
    let rows = rows_of_piece(width);
    threads::for_each_chunk(out, rows * width, |piece, out| {
        let x = &x[piece * rows * width..];
        let scales = &scales[piece * rows..];
        for ((row, out), scale) in x.chunks_exact(width).zip(out.chunks_exact_mut(width)).zip(scales) {
            let (mean, scale) = (mean(row), 1.0 / scale);
            for (((out, x), weight), bias) in out.iter_mut().zip(row).zip(weight).zip(bias) {
                *out = (x - mean) * scale * weight + bias;
            }
        }
    });
}

pub fn mean(row: &[f32]) -> f32 {
    fold(row, |x| x, |x| x) / row.len() as f32
}

fn rows_of_piece(width: usize) -> usize {
    (PIECE / width.max(1)).max(1)
}

/// Sums what `four` makes of the values: faster in eight lanes than one after the other, and more exact.
#[inline(always)]
fn fold(values: &[f32], four: impl Fn(F32x4) -> F32x4, one: impl Fn(f32) -> f32) -> f32 {
    let (eights, rest) = values.as_chunks::<8>();
    let mut sums = [F32x4::splat(0.0); 2];
    for eight in eights {
        let (fours, _) = eight.as_chunks::<4>();
        for (sum, x) in sums.iter_mut().zip(fours) {
            *sum = *sum + four(F32x4::from_array(x));
        }
    }
    (sums[0] + sums[1]).sum() + rest.iter().map(|&x| one(x)).sum::<f32>()
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn matches_the_formula() {
        for (rows, width) in [(1, 1), (3, 7), (20, 64), (33, 770)] {
            let x: Vec<f32> = (0..rows * width).map(|i| ((i * 7919) % 1000) as f32 * 0.003 - 1.0).collect();
            let weight: Vec<f32> = (0..width).map(|i| 1.0 + i as f32 * 0.01).collect();
            let bias: Vec<f32> = (0..width).map(|i| i as f32 * -0.02).collect();
            let (mut found, mut out) = (vec![0.0; rows], vec![0.0; rows * width]);
            scales(&x, width, 1e-5, &mut found);
            normalise(&x, &found, &weight, &bias, &mut out);
            for (row, x) in x.chunks_exact(width).enumerate() {
                let n = width as f64;
                let mean = x.iter().map(|&x| f64::from(x)).sum::<f64>() / n;
                let variance = x.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / n;
                let scale = (variance + 1e-5).sqrt();
                assert!((f64::from(found[row]) / scale - 1.0).abs() < 1e-5);
                for (i, &x) in x.iter().enumerate() {
                    let right = (f64::from(x) - mean) / scale * f64::from(weight[i]) + f64::from(bias[i]);
                    assert!((f64::from(out[row * width + i]) - right).abs() < 1e-4, "{rows} x {width}");
                }
            }
        }
    }
}

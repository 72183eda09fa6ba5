//! Products of activations with weights, by the kernel that suits the shape.

#[cfg(target_arch = "wasm32")]
use super::panel;
use super::weight::{Weight, can_scale};
use super::{stream, transposed};

/// From so many rows on, a packed block of weights is used often enough.
#[cfg(target_arch = "wasm32")]
const MANY: usize = 64;

/// `out [rows, n_out] = x [rows, n_in] · weight [n_in, n_out] + bias [n_out]`; added to `out` if `add`.
#[inline(never)]
pub fn linear<W: Weight>(x: &[f32], weight: &[W], bias: Option<&[f32]>, n_out: usize, add: bool, out: &mut [f32]) {
    let rows = out.len() / n_out;
    if rows == 0 {
        return;
    }
    if rows == 1 && can_scale::<W>(x) {
        stream::begin(bias, add, out);
        return stream::one_row(&x[..weight.len() / n_out], weight, out);
    }
    #[cfg(not(target_arch = "wasm32"))]
    {
        out.chunks_exact_mut(n_out).for_each(|out| stream::begin(bias, add, out));
        super::native::linear(x, weight, n_out, out);
    }
    #[cfg(target_arch = "wasm32")]
    if rows < MANY && can_scale::<W>(x) {
        stream::few_rows(x, weight, bias, n_out, add, out);
    } else {
        panel::many_rows(x, weight, bias, n_out, add, out);
    }
}

/// `out [rows, n_out] = x [rows, n_in] · weight [n_out, n_in]ᵀ`: the unembedding, and every product backwards.
#[inline(never)]
pub fn linear_transposed<W: Weight>(x: &[f32], weight: &[W], n_in: usize, out: &mut [f32]) {
    #[cfg(not(target_arch = "wasm32"))]
    if x.len() >= 2 * n_in || !can_scale::<W>(x) {
        return super::native::linear_transposed(x, weight, n_in, out);
    }
    transposed::product(x, weight, n_in, out);
}

/// `out += scale * x`.
pub fn add_scaled<W: Weight>(x: &[W], scale: f32, out: &mut [f32]) {
    out.iter_mut().zip(x).for_each(|(out, x)| *out += scale * x.widen());
}

#[cfg(test)]
mod tests {
    use super::super::panel;
    use super::*;
    use crate::model::f16_bits::lift;
    use half::f16;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    /// Rows, n_in, n_out: around every kernel's edges.
    const SHAPES: [(usize, usize, usize); 12] = [
        (1, 1, 1),
        (1, 770, 1030),
        (1, 1027, 64),
        (2, 3, 5),
        (2, 64, 192),
        (3, 130, 77),
        (5, 768, 24),
        (20, 65, 1031),
        (20, 512, 96),
        (33, 259, 300),
        (61, 515, 129),
        (330, 70, 43),
    ];

    /// The same numbers each time, between -1 and 1.
    fn numbers(len: usize, seed: u32) -> Vec<f32> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / 8_388_608.0 - 1.0
        };
        (0..len).map(|_| next()).collect()
    }

    fn check(found: &[f32], right: impl Fn(usize, usize) -> f64, n_in: usize, n_out: usize, what: &str) {
        for (at, &found) in found.iter().enumerate() {
            let right = right(at / n_out, at % n_out);
            // a sum of n products below 1, each rounded
            let tolerance = 1e-6 * (n_in as f64).sqrt() + 1e-6 * right.abs();
            assert!((f64::from(found) - right).abs() < tolerance, "{what} at {at}: {right}, not {found}");
        }
    }

    /// Weights as f16 holds them, and what they are then.
    fn held(weights: &[f32]) -> (Vec<f16>, Vec<f32>) {
        let halves = weights.iter().map(|&weight| f16::from_f32(weight));
        (halves.clone().map(lift).collect(), halves.map(|half| half.to_f32()).collect())
    }

    /// Weights in both types, and what they are exactly.
    fn in_both_types(len: usize, seed: u32, check: impl Fn(&dyn Kernels, &[f32])) {
        let mut weights = numbers(len, seed);
        // f16 has fewer digits below 2^-14, and its own way of writing them
        weights.iter_mut().step_by(7).for_each(|weight| *weight *= 1e-5);
        check(&weights, &weights);
        let (halves, exact) = held(&weights);
        check(&halves, &exact);
    }

    /// Every kernel, on weights of some type.
    trait Kernels {
        fn linear(&self, x: &[f32], bias: Option<&[f32]>, n_out: usize, add: bool, out: &mut [f32]);
        /// wasm's kernels, which natively nobody calls.
        fn added(&self, x: &[f32], n_out: usize, out: &[f32]) -> [Vec<f32>; 2];
        fn transposed(&self, x: &[f32], n_in: usize, len: usize) -> [Vec<f32>; 2];
    }

    impl<W: Weight> Kernels for Vec<W> {
        fn linear(&self, x: &[f32], bias: Option<&[f32]>, n_out: usize, add: bool, out: &mut [f32]) {
            linear(x, self, bias, n_out, add, out);
        }

        fn added(&self, x: &[f32], n_out: usize, out: &[f32]) -> [Vec<f32>; 2] {
            let (mut few, mut many) = (out.to_vec(), out.to_vec());
            stream::few_rows(x, self, None, n_out, true, &mut few);
            panel::many_rows(x, self, None, n_out, true, &mut many);
            [few, many]
        }

        fn transposed(&self, x: &[f32], n_in: usize, len: usize) -> [Vec<f32>; 2] {
            [linear_transposed, transposed::product].map(|kernel| {
                let mut out = vec![f32::NAN; len];
                kernel(x, self, n_in, &mut out);
                out
            })
        }
    }

    #[test]
    fn linear_matches_a_plain_loop() {
        for (rows, n_in, n_out) in SHAPES {
            in_both_types(n_in * n_out, 2, |kernels, weight| {
                let (x, bias, before) = (numbers(rows * n_in, 1), numbers(n_out, 3), numbers(rows * n_out, 4));
                let product = |row: usize, column: usize| -> f64 {
                    (0..n_in).map(|k| f64::from(x[row * n_in + k]) * f64::from(weight[k * n_out + column])).sum()
                };
                let shape = format!("{rows} x {n_in} x {n_out}");
                let mut out = before.clone();
                kernels.linear(&x, Some(&bias), n_out, false, &mut out);
                check(&out, |row, column| product(row, column) + f64::from(bias[column]), n_in, n_out, &shape);
                let mut out = before.clone();
                kernels.linear(&x, None, n_out, true, &mut out);
                let sum = |row, column| product(row, column) + f64::from(before[row * n_out + column]);
                check(&out, sum, n_in, n_out, &shape);
                for out in kernels.added(&x, n_out, &before) {
                    check(&out, sum, n_in, n_out, &shape);
                }
            });
        }
    }

    #[test]
    fn linear_transposed_matches_a_plain_loop() {
        for (rows, n_in, n_out) in SHAPES {
            in_both_types(n_in * n_out, 6, |kernels, weight| {
                let x = numbers(rows * n_in, 5);
                let product = |row: usize, column: usize| -> f64 {
                    (0..n_in).map(|k| f64::from(x[row * n_in + k]) * f64::from(weight[column * n_in + k])).sum()
                };
                for out in kernels.transposed(&x, n_in, rows * n_out) {
                    check(&out, product, n_in, n_out, &format!("{rows} x {n_in} x {n_out}"));
                }
            });
        }
    }

    #[test]
    fn a_row_is_the_same_in_any_batch() {
        let (n_in, n_out) = (300, 90);
        let x = numbers(100 * n_in, 7);
        in_both_types(n_in * n_out, 8, |kernels, _| {
            let product = |rows: usize| kernels.added(&x[..rows * n_in], n_out, &vec![0.0; rows * n_out]);
            let all = product(100);
            for rows in [1, 2, 7] {
                for (few, all) in product(rows).iter().zip(&all) {
                    assert_eq!(*few, all[..rows * n_out]);
                }
            }
        });
    }

    #[test]
    fn activations_may_be_too_large_to_be_scaled() {
        let (n_in, n_out) = (130, 70);
        for rows in [1, 3] {
            let mut x = numbers(rows * n_in, 12);
            x[7] = 3e7;
            in_both_types(n_in * n_out, 13, |kernels, weight| {
                let right = |at: usize, place: fn(usize, usize) -> usize| -> f64 {
                    let (row, column) = (at / n_out, at % n_out);
                    (0..n_in).map(|k| f64::from(x[row * n_in + k]) * f64::from(weight[place(k, column)])).sum()
                };
                let check = |found: &[f32], place: fn(usize, usize) -> usize| {
                    for (at, &found) in found.iter().enumerate() {
                        let right = right(at, place);
                        assert!(
                            (f64::from(found) - right).abs() < 1e-5 + 1e-6 * right.abs().max(1e6),
                            "{right}, {found}"
                        );
                    }
                };
                let mut out = vec![0.0; rows * n_out];
                kernels.linear(&x, None, n_out, false, &mut out);
                check(&out, |k, column| k * 70 + column);
                kernels
                    .transposed(&x, n_in, rows * n_out)
                    .iter()
                    .for_each(|out| check(out, |k, column| column * 130 + k));
            });
        }
    }

    #[test]
    fn f16_gives_the_bits_that_its_numbers_give_in_f32() {
        for (rows, n_in, n_out) in SHAPES {
            let x = numbers(rows * n_in, 9);
            let (halves, exact) = held(&numbers(n_in * n_out, 10));
            let before = numbers(rows * n_out, 11);
            let (mut ours, mut right) = (before.clone(), before.clone());
            linear(&x, &halves, None, n_out, true, &mut ours);
            linear(&x, &exact, None, n_out, true, &mut right);
            assert_eq!(ours, right, "{rows} x {n_in} x {n_out}");
            assert_eq!(halves.added(&x, n_out, &before), exact.added(&x, n_out, &before));
            assert_eq!(halves.transposed(&x, n_in, rows * n_out), exact.transposed(&x, n_in, rows * n_out));
        }
    }
}

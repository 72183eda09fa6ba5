//! What neurons do with what they read: GPT-2's `gelu_new`, and the functions that others have trained with.

use super::lanes::F32x4;
use crate::engine::threads;
use crate::model::Activation;

/// sqrt(2 / pi)
const ROOT: f32 = 0.797_884_6;
const CUBIC: f32 = 0.044_715;
/// What `quick_gelu` takes the logistic function of, for each x.
const QUICK: f32 = 1.702;
/// 1 / sqrt(2), and 1 / sqrt(2 pi).
const HALF_ROOT: f32 = std::f32::consts::FRAC_1_SQRT_2;
const DENSITY: f32 = 0.398_942_3;
/// Where `gelu_10` stops.
const MOST: f32 = 10.0;
/// Values of one piece of work.
const PIECE: usize = 1 << 13;

/// The function of every value, in place.
pub fn activate(activation: Activation, values: &mut [f32]) {
    threads::for_each_chunk(values, PIECE, |_, values| activate_piece(activation, values));
}

/// Its derivative at every value, in place; where it has none, that from below.
pub fn slope(activation: Activation, values: &mut [f32]) {
    threads::for_each_chunk(values, PIECE, |_, values| slope_of_piece(activation, values));
}

#[inline(never)]
fn activate_piece(activation: Activation, values: &mut [f32]) {
    match activation {
        // 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x³)))
        Activation::GeluNew => each(values, |x| x * gate(x)),
        Activation::Gelu => each(values, gelu),
        Activation::Gelu10 => each(values, |x| gelu(x).least(splat(MOST))),
        Activation::QuickGelu => each(values, |x| x * logistic(x * splat(QUICK))),
        Activation::Relu => each(values, relu),
        Activation::Silu => each(values, |x| x * logistic(x)),
        Activation::Tanh => each(values, tanh),
    }
}

#[inline(never)]
fn slope_of_piece(activation: Activation, values: &mut [f32]) {
    let one = splat(1.0);
    match activation {
        Activation::GeluNew => each(values, |x| {
            let gate = gate(x);
            let inner = (x * x).mul_add(splat(3.0 * CUBIC), one) * splat(2.0 * ROOT);
            (x * gate * (one - gate)).mul_add(inner, gate)
        }),
        Activation::Gelu => each(values, gelu_slope),
        Activation::Gelu10 => each(values, |x| gelu_slope(x) * (splat(MOST) - gelu(x)).is_above_0()),
        Activation::QuickGelu => each(values, |x| {
            let gate = logistic(x * splat(QUICK));
            (x * splat(QUICK) * gate).mul_add(one - gate, gate)
        }),
        Activation::Relu => each(values, F32x4::is_above_0),
        Activation::Silu => each(values, |x| {
            let gate = logistic(x);
            (x * gate).mul_add(one - gate, gate)
        }),
        Activation::Tanh => each(values, |x| {
            let tanh = tanh(x);
            one - tanh * tanh
        }),
    }
}

/// The last few values stand in lanes of their own.
#[inline(always)]
fn each(values: &mut [f32], f: impl Fn(F32x4) -> F32x4) {
    let (fours, rest) = values.as_chunks_mut::<4>();
    each_four(fours, &f);
    if !rest.is_empty() {
        let mut four = [0.0; 4];
        four[..rest.len()].copy_from_slice(rest);
        each_four(std::slice::from_mut(&mut four), &f);
        rest.copy_from_slice(&four[..rest.len()]);
    }
}

/// Each function's loop exists once: a visit downloads it.
#[inline(never)]
fn each_four(fours: &mut [[f32; 4]], f: &impl Fn(F32x4) -> F32x4) {
    for four in fours {
        f(F32x4::from_array(four)).write(four);
    }
}

#[inline(always)]
fn splat(value: f32) -> F32x4 {
    F32x4::splat(value)
}

/// `0.5 (1 + tanh(u))`, which is `1 / (1 + e^(-2u))`; written so, nothing cancels where it is small.
#[inline(always)]
fn gate(x: F32x4) -> F32x4 {
    let u = (x * x * x).mul_add(splat(CUBIC), x);
    let one = splat(1.0);
    one / (one + (u * splat(-2.0 * ROOT)).exp())
}

/// `1 / (1 + e^(-x))`.
#[inline(always)]
fn logistic(x: F32x4) -> F32x4 {
    let one = splat(1.0);
    one / (one + (splat(0.0) - x).exp())
}

#[inline(always)]
fn tanh(x: F32x4) -> F32x4 {
    let two = splat(2.0);
    logistic(x * two).mul_add(two, splat(-1.0))
}

#[inline(always)]
fn relu(x: F32x4) -> F32x4 {
    x.most(splat(0.0))
}

#[inline(always)]
fn magnitude(x: F32x4) -> F32x4 {
    x.most(splat(0.0) - x)
}

/// `0.5 erfc(|x| / sqrt 2)`: the share of the normal distribution beyond |x|, to a millionth of it. Chebyshev's series of
/// Numerical Recipes' `erfcc`.
#[inline(always)]
fn tail(x: F32x4) -> F32x4 {
    let z = magnitude(x) * splat(HALF_ROOT);
    let t = splat(1.0) / z.mul_add(splat(0.5), splat(1.0));
    let terms = [
        0.170_872_77,
        -0.822_152_2,
        1.488_515_9,
        -1.135_204,
        0.278_868_1,
        -0.186_288_06,
        0.096_784_18,
        0.374_091_96,
        1.000_023_7,
        -1.265_512_2,
    ];
    let sum = terms[1..].iter().fold(splat(terms[0]), |sum, &term| sum.mul_add(t, splat(term)));
    splat(0.5) * t * (sum - z * z).exp()
}

/// `x` times the share of the normal distribution below it. On either side nothing cancels.
#[inline(always)]
fn gelu(x: F32x4) -> F32x4 {
    relu(x) - magnitude(x) * tail(x)
}

/// That share, and `x` times the density at x.
#[inline(always)]
fn gelu_slope(x: F32x4) -> F32x4 {
    let tail = tail(x);
    let share = tail + x.is_above_0() * (splat(1.0) - tail - tail);
    (x * splat(DENSITY)).mul_add((x * x * splat(-0.5)).exp(), share)
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    /// The error function's complement, by its series or by its continued fraction.
    fn erfc(z: f64) -> f64 {
        if z < 0.0 {
            return 2.0 - erfc(-z);
        }
        if z > 2.5 {
            let fraction = (1..=60).rev().fold(0.0, |below, k| f64::from(k) / 2.0 / (z + below));
            return (-z * z).exp() / std::f64::consts::PI.sqrt() / (z + fraction);
        }
        let (mut term, mut sum) = (z, z);
        for n in 1..=80 {
            term *= -z * z / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        1.0 - 2.0 / std::f64::consts::PI.sqrt() * sum
    }

    fn right(activation: Activation, x: f64) -> f64 {
        let root = (2.0 / std::f64::consts::PI).sqrt();
        let logistic = |x: f64| 1.0 / (1.0 + (-x).exp());
        let gelu = |x: f64| x * 0.5 * erfc(-x / 2f64.sqrt());
        match activation {
            Activation::GeluNew => x / (1.0 + (-2.0 * root * (x + 0.044_715 * x * x * x)).exp()),
            Activation::Gelu => gelu(x),
            Activation::Gelu10 => gelu(x).clamp(-10.0, 10.0),
            Activation::QuickGelu => x * logistic(1.702 * x),
            Activation::Relu => x.max(0.0),
            Activation::Silu => x * logistic(x),
            Activation::Tanh => x.tanh(),
        }
    }

    #[test]
    fn every_function_and_its_slope_match_the_formula() {
        // never at a corner
        let xs: Vec<f32> = (-1201..=1201).map(|i| i as f32 * 0.01 + 0.003).collect();
        for activation in Activation::ALL {
            let (mut values, mut slopes) = (xs.clone(), xs.clone());
            activate(activation, &mut values);
            slope(activation, &mut slopes);
            for ((&x, value), found) in xs.iter().zip(values).zip(slopes) {
                let at = |x: f64| right(activation, x);
                let (x, step) = (f64::from(x), 1e-5);
                let (exact, derivative) = (at(x), (at(x + step) - at(x - step)) / (2.0 * step));
                // tanh is made from what cancels at 0
                let tolerance = 1e-6 * exact.abs() + if activation == Activation::Tanh { 3e-7 } else { 1e-9 };
                let name = activation.name();
                assert!((f64::from(value) - exact).abs() <= tolerance, "{name}({x}) = {exact}, not {value}");
                assert!((f64::from(found) - derivative).abs() < 2e-6, "{name}'({x}) = {derivative}, not {found}");
            }
        }
    }

    #[test]
    fn the_two_gelus_are_told_apart_and_large_values_stay_numbers() {
        let at = |activation, x: f32| {
            let mut values = [x];
            activate(activation, &mut values);
            values[0]
        };
        assert!((at(Activation::Gelu, -2.3) - at(Activation::GeluNew, -2.3)).abs() > 1e-4);
        for activation in Activation::ALL {
            assert!([-1e30, -300.0, 300.0, 1e30].iter().all(|&x| at(activation, x).is_finite()), "{activation:?}");
        }
    }
}

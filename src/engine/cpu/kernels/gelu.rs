//! GPT-2's activation function, `gelu_new`: the tanh form.

use super::lanes::{self, F32x4};
use super::pool;

/// sqrt(2 / pi)
const ROOT: f32 = 0.797_884_6;
const CUBIC: f32 = 0.044_715;
/// Values of one piece of work.
const PIECE: usize = 1 << 13;

/// `0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x³)))` of every value, in place.
#[inline(never)]
pub fn gelu(values: &mut [f32]) {
    pool::for_each_chunk(values, PIECE, |_, values| lanes::map(values, |x| x * gate(x)));
}

/// Its derivative at every value.
#[inline(never)]
pub fn slope(values: &mut [f32]) {
    let one = F32x4::splat(1.0);
    pool::for_each_chunk(values, PIECE, |_, values| {
        lanes::map(values, |x| {
            let gate = gate(x);
            let inner = (x * x).mul_add(F32x4::splat(3.0 * CUBIC), one) * F32x4::splat(2.0 * ROOT);
            (x * gate * (one - gate)).mul_add(inner, gate)
        });
    });
}

/// `0.5 (1 + tanh(u))`, which is `1 / (1 + e^(-2u))`; written so, nothing cancels where it is small.
#[inline(always)]
fn gate(x: F32x4) -> F32x4 {
    let u = (x * x * x).mul_add(F32x4::splat(CUBIC), x);
    let one = F32x4::splat(1.0);
    one / (one + (u * F32x4::splat(-2.0 * ROOT)).exp())
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn right(x: f64) -> (f64, f64) {
        let root = (2.0 / std::f64::consts::PI).sqrt();
        let gelu = |x: f64| x / (1.0 + (-2.0 * root * (x + 0.044_715 * x * x * x)).exp());
        let step = 1e-5;
        (gelu(x), (gelu(x + step) - gelu(x - step)) / (2.0 * step))
    }

    #[test]
    fn matches_the_formula() {
        let xs: Vec<f32> = (-901..=901).map(|i| i as f32 * 0.01).collect();
        let (mut values, mut slopes) = (xs.clone(), xs.clone());
        gelu(&mut values);
        slope(&mut slopes);
        for ((&x, value), found) in xs.iter().zip(values).zip(slopes) {
            let (gelu, slope) = right(f64::from(x));
            let tolerance = 1e-6 * gelu.abs() + 1e-9;
            assert!((f64::from(value) - gelu).abs() <= tolerance, "gelu({x}) = {gelu}, not {value}");
            assert!((f64::from(found) - slope).abs() < 2e-6, "gelu'({x}) = {slope}, not {found}");
        }
    }
}

//! f16 to f32 and back without a branch, so that loops over them become vector instructions; and the form in which f16
//! weights are held, without subnormal numbers.
//!
//! About one in 400 weights of GPT-2's scale (σ = 0.02) is a subnormal f16. Moved to where f32 has its bits, it is a
//! subnormal f32, and each product with one costs the processor some hundred cycles: sweeps took 2.4 times f32's time.
//! 1024 times an f16 is normal or zero, and exact, as long as it stays below 65536. So that is what is held ([`lift`]).
//!
//! The `half` crate looks up the processor's abilities at every number, and in wasm, which knows no f16, it branches.

use half::f16;

/// 2^112: what [`scaled`] leaves out.
pub const SCALE: f32 = f32::from_bits((127 + 112) << 23);
/// The least magnitude that rounds to infinity: half-way between 65504, the largest f16, and 65536.
pub const TOO_LARGE: f32 = 65520.0;

/// What held weights are multiplied by.
pub const LIFT: f32 = 1024.0;
/// The least magnitude that, rounded to f16, can't be lifted: half-way between 63.96875, the f16 below 64, and 64.
pub const NOT_LIFTED: f32 = 63.984375;

/// [`LIFT`] times the number, exactly. Below 64 only.
#[inline(always)]
pub fn lift(half: f16) -> f16 {
    narrow(widen(half) * LIFT)
}

/// The number that was lifted, exactly.
#[inline(always)]
pub fn lower(lifted: f16) -> f32 {
    widen(lifted) * (1.0 / LIFT)
}

/// The number divided by [`SCALE`], exactly. Finite ones only: infinities and NaN become some finite number.
#[inline(always)]
pub fn scaled(half: f16) -> f32 {
    // each field moves to where f32 has it, the sign by being shifted in; the exponents' biases differ by 112, that is all.
    // Subnormal numbers become subnormal ones.
    let bits = (u32::from(half.to_bits()) << 16).cast_signed() >> 3;
    f32::from_bits(bits.cast_unsigned() & 0x8fff_e000)
}

/// The same number, exactly. Finite ones only.
#[inline(always)]
pub fn widen(half: f16) -> f32 {
    scaled(half) * SCALE
}

/// The nearest f16, of two equally near the even one. Below [`TOO_LARGE`] only.
#[inline(always)]
pub fn narrow(value: f32) -> f16 {
    /// The least normal f16, 2^-14, as an f32.
    const LEAST_NORMAL: u32 = (127 - 14) << 23;
    let bits = value.to_bits();
    let magnitude = bits & 0x7fff_ffff;
    // half a unit of the last place that stays, a bit less where that place is even already
    let rounded = magnitude.wrapping_sub(112 << 23).wrapping_add(0xfff + (magnitude >> 13 & 1)) >> 13;
    // below, the last place is worth what it is worth next to 0.5: the addition rounds
    let subnormal = (f32::from_bits(magnitude) + 0.5).to_bits().wrapping_sub(0.5f32.to_bits());
    let half = if magnitude < LEAST_NORMAL { subnormal } else { rounded };
    f16::from_bits((half | bits >> 16 & 0x8000) as u16)
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn finite() -> impl Iterator<Item = f16> {
        (0..=u16::MAX).map(f16::from_bits).filter(|half| half.is_finite())
    }

    #[test]
    fn every_finite_f16_is_widened_exactly() {
        for half in finite() {
            assert_eq!(widen(half).to_bits(), half.to_f32().to_bits(), "{half}");
        }
    }

    #[test]
    fn every_f16_below_64_is_lifted_exactly_and_none_is_subnormal_then() {
        for half in finite().filter(|half| half.to_f32().abs() < NOT_LIFTED) {
            let lifted = lift(half);
            assert!(lifted.is_normal() || lifted == f16::ZERO, "{half} becomes {lifted}");
            assert_eq!(lower(lifted).to_bits(), half.to_f32().to_bits(), "{half}");
        }
        assert_eq!(f16::from_f32(NOT_LIFTED).to_f32(), 64.0);
        assert!(f16::from_f32(NOT_LIFTED.next_down()).to_f32() < 64.0);
    }

    #[test]
    fn every_f32_beside_an_f16_or_between_two_rounds_as_it_should() {
        for half in finite() {
            // the number itself, the point half-way to the next one away from zero, and what lies beside both
            let exact = half.to_f32();
            let next = f16::from_bits(half.to_bits() + 1).to_f32();
            let between = if next.is_finite() { exact / 2.0 + next / 2.0 } else { exact.signum() * TOO_LARGE };
            for near in [exact, between] {
                for bits in near.to_bits().saturating_sub(1)..=near.to_bits() + 1 {
                    let value = f32::from_bits(bits);
                    if value.abs() < TOO_LARGE {
                        assert_eq!(narrow(value).to_bits(), f16::from_f32(value).to_bits(), "{value}");
                    }
                }
            }
        }
        assert!(f16::from_f32(TOO_LARGE).is_infinite());
    }
}

//! Four `f32` at once: a `v128` in wasm; elsewhere an array, which compilers turn into the same instructions.
//!
//! [`F32x4::mul_add`] is one rounding or two: where the build has relaxed simd it becomes the machine's fused instruction.

use std::ops::{Add, Div, Mul, Sub};

use half::f16;

#[cfg(target_arch = "wasm32")]
use std::arch::wasm32 as simd;

#[cfg(target_arch = "wasm32")]
type Vector = simd::v128;
#[cfg(not(target_arch = "wasm32"))]
type Vector = [f32; 4];

/// Four lanes.
#[derive(Debug, Clone, Copy)]
pub struct F32x4(Vector);

/// The bits of f16 that are kept when they are widened: made once before a loop, since compilers and browsers would make them
/// anew for every eight values.
#[derive(Debug, Clone, Copy)]
pub struct F16Bits(#[cfg(target_arch = "wasm32")] simd::v128);

impl Default for F16Bits {
    #[inline(always)]
    fn default() -> Self {
        F16Bits(
            #[cfg(target_arch = "wasm32")]
            std::hint::black_box(simd::u16x8_splat(0x8fff)),
        )
    }
}

/// Defines what works lane by lane on two values: wasm's instruction, or the plain operation on arrays.
macro_rules! lanewise {
    ($name:ident, $instruction:ident, $a:ident, $b:ident, $plain:expr) => {
        #[inline(always)]
        pub fn $name(self, other: Self) -> Self {
            #[cfg(target_arch = "wasm32")]
            return F32x4(simd::$instruction(self.0, other.0));
            #[cfg(not(target_arch = "wasm32"))]
            return F32x4(std::array::from_fn(|lane| {
                let ($a, $b) = (self.0[lane], other.0[lane]);
                $plain
            }));
        }
    };
}

impl F32x4 {
    lanewise!(plus, f32x4_add, a, b, a + b);
    lanewise!(minus, f32x4_sub, a, b, a - b);
    lanewise!(times, f32x4_mul, a, b, a * b);
    lanewise!(over, f32x4_div, a, b, a / b);
    lanewise!(most, f32x4_pmax, a, b, if a < b { b } else { a });
    lanewise!(least, f32x4_pmin, a, b, if b < a { b } else { a });

    #[inline(always)]
    pub fn splat(value: f32) -> Self {
        #[cfg(target_arch = "wasm32")]
        return F32x4(simd::f32x4_splat(value));
        #[cfg(not(target_arch = "wasm32"))]
        return F32x4([value; 4]);
    }

    /// # Safety
    /// Four values must be readable at `from`, which needs no alignment.
    #[inline(always)]
    pub unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller's; both reads are unaligned ones
        #[cfg(target_arch = "wasm32")]
        return F32x4(unsafe { simd::v128_load(from.cast()) });
        #[cfg(not(target_arch = "wasm32"))]
        return F32x4(unsafe { from.cast::<[f32; 4]>().read_unaligned() });
    }

    /// Eight f16, each as [`scaled`](crate::model::f16_bits::scaled) has it.
    ///
    /// # Safety
    /// Eight values must be readable at `from`, which needs no alignment.
    #[inline(always)]
    #[cfg_attr(not(target_arch = "wasm32"), expect(unused_variables))]
    pub unsafe fn load_f16_scaled(from: *const f16, kept: F16Bits) -> [Self; 2] {
        // SAFETY: the caller's; both reads are unaligned ones
        #[cfg(target_arch = "wasm32")]
        {
            // both halves of each f32 while eight still fit into one vector: the upper has the sign, the exponent and
            // seven bits of the mantissa, the lower has three
            let halves = unsafe { simd::v128_load(from.cast()) };
            let upper = simd::v128_and(simd::i16x8_shr(halves, 3), kept.0);
            let lower = simd::i16x8_shl(halves, 13);
            [
                F32x4(simd::i16x8_shuffle::<0, 8, 1, 9, 2, 10, 3, 11>(lower, upper)),
                F32x4(simd::i16x8_shuffle::<4, 12, 5, 13, 6, 14, 7, 15>(lower, upper)),
            ]
        }
        // left to themselves, compilers make scalars of this
        #[cfg(target_arch = "x86_64")]
        unsafe {
            use std::arch::x86_64 as simd;
            let halves = simd::_mm_loadu_si128(from.cast());
            let (zero, kept) = (simd::_mm_setzero_si128(), simd::_mm_set1_epi32(0x8fff_e000_u32.cast_signed()));
            [simd::_mm_unpacklo_epi16(zero, halves), simd::_mm_unpackhi_epi16(zero, halves)].map(|four| {
                let bits = simd::_mm_and_si128(simd::_mm_srai_epi32(four, 3), kept);
                F32x4(std::mem::transmute::<simd::__m128i, [f32; 4]>(bits))
            })
        }
        #[cfg(not(any(target_arch = "wasm32", target_arch = "x86_64")))]
        {
            let halves = unsafe { from.cast::<[f16; 8]>().read_unaligned() };
            let [a, b, c, d, e, f, g, h] = halves.map(crate::model::f16_bits::scaled);
            [F32x4([a, b, c, d]), F32x4([e, f, g, h])]
        }
    }

    /// One value in all lanes.
    ///
    /// # Safety
    /// A value must be readable at `from`.
    #[inline(always)]
    pub unsafe fn load_splat(from: *const f32) -> Self {
        // SAFETY: the caller's
        #[cfg(target_arch = "wasm32")]
        return F32x4(unsafe { simd::v128_load32_splat(from.cast()) });
        #[cfg(not(target_arch = "wasm32"))]
        return F32x4([unsafe { *from }; 4]);
    }

    /// # Safety
    /// Four values must be writable at `to`, which needs no alignment.
    #[inline(always)]
    pub unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller's; both writes are unaligned ones
        #[cfg(target_arch = "wasm32")]
        unsafe {
            simd::v128_store(to.cast(), self.0);
        }
        #[cfg(not(target_arch = "wasm32"))]
        unsafe {
            to.cast::<[f32; 4]>().write_unaligned(self.0);
        }
    }

    #[inline(always)]
    pub fn from_array(values: &[f32; 4]) -> Self {
        // SAFETY: four values are there
        unsafe { F32x4::load(values.as_ptr()) }
    }

    #[inline(always)]
    pub fn write(self, values: &mut [f32; 4]) {
        // SAFETY: room for four values is there
        unsafe { self.store(values.as_mut_ptr()) }
    }

    #[inline(always)]
    pub fn to_array(self) -> [f32; 4] {
        let mut values = [0.0; 4];
        self.write(&mut values);
        values
    }

    /// `self * factor + term`.
    #[inline(always)]
    pub fn mul_add(self, factor: Self, term: Self) -> Self {
        #[cfg(all(target_arch = "wasm32", target_feature = "relaxed-simd"))]
        return F32x4(simd::f32x4_relaxed_madd(self.0, factor.0, term.0));
        #[cfg(not(all(target_arch = "wasm32", target_feature = "relaxed-simd")))]
        return term + self * factor;
    }

    /// 1 where a lane is above 0, else 0.
    #[inline(always)]
    pub fn is_above_0(self) -> Self {
        #[cfg(target_arch = "wasm32")]
        return F32x4(simd::v128_and(simd::f32x4_gt(self.0, simd::f32x4_splat(0.0)), simd::f32x4_splat(1.0)));
        #[cfg(not(target_arch = "wasm32"))]
        return F32x4(self.0.map(|value| if value > 0.0 { 1.0 } else { 0.0 }));
    }

    /// `2 ^ n`, where a lane holds `1.5 * 2^23 + n` and `n` is within -126 to 127.
    #[inline(always)]
    fn two_to(self) -> Self {
        #[cfg(target_arch = "wasm32")]
        return F32x4(simd::i32x4_add(simd::i32x4_shl(self.0, 23), simd::i32x4_splat(127 << 23)));
        #[cfg(not(target_arch = "wasm32"))]
        return F32x4(self.0.map(|value| f32::from_bits((value.to_bits() << 23).wrapping_add(127 << 23))));
    }

    /// `e ^ x`, to 2e-7 of it; held between e^-87 and e^88.
    #[inline(always)]
    pub fn exp(self) -> Self {
        // adding this rounds to a whole number, which then stands in the lowest bits
        let shift = F32x4::splat(12_582_912.0);
        let x = self.most(F32x4::splat(-87.0)).least(F32x4::splat(88.0));
        let shifted = x.mul_add(F32x4::splat(std::f32::consts::LOG2_E), shift);
        let n = shifted - shift;
        // ln 2 in two parts, the first with few bits, so that the remainder is exact
        let rest = n.mul_add(F32x4::splat(-0.693_359_4), x);
        let rest = n.mul_add(F32x4::splat(2.121_944_4e-4), rest);
        // Cephes' polynomial for e^r - 1 - r over |r| <= ln 2 / 2
        let terms = [1.987_569_1e-4, 1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5];
        let sum = terms[1..].iter().fold(F32x4::splat(terms[0]), |sum, &term| sum.mul_add(rest, F32x4::splat(term)));
        (sum.mul_add(rest * rest, rest) + F32x4::splat(1.0)) * shifted.two_to()
    }

    /// The lanes' sum.
    #[inline(always)]
    pub fn sum(self) -> f32 {
        let [a, b, c, d] = self.to_array();
        (a + b) + (c + d)
    }

    /// The largest lane.
    #[inline(always)]
    pub fn max(self) -> f32 {
        let [a, b, c, d] = self.to_array();
        a.max(b).max(c.max(d))
    }
}

impl Add for F32x4 {
    type Output = Self;
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.plus(other)
    }
}

impl Sub for F32x4 {
    type Output = Self;
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        self.minus(other)
    }
}

impl Mul for F32x4 {
    type Output = Self;
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        self.times(other)
    }
}

impl Div for F32x4 {
    type Output = Self;
    #[inline(always)]
    fn div(self, other: Self) -> Self {
        self.over(other)
    }
}

/// Applies `f` to every value in place, four at a time; the last few stand in lanes of their own.
#[inline(always)]
pub fn map(values: &mut [f32], f: impl Fn(F32x4) -> F32x4) {
    let (fours, rest) = values.as_chunks_mut::<4>();
    for four in fours {
        f(F32x4::from_array(four)).write(four);
    }
    if !rest.is_empty() {
        let mut four = [0.0; 4];
        four[..rest.len()].copy_from_slice(rest);
        rest.copy_from_slice(&f(F32x4::from_array(&four)).to_array()[..rest.len()]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn exp_is_exact_to_its_last_bits() {
        for step in -8700..=8800 {
            let x = step as f32 * 0.01;
            let (found, right) = (F32x4::splat(x).exp().to_array()[2], f64::from(x).exp());
            assert!((f64::from(found) / right - 1.0).abs() < 2.5e-7, "e^{x} = {right}, not {found}");
        }
        assert!(F32x4::splat(1000.0).exp().max().is_finite());
        assert!(F32x4::splat(-1000.0).exp().sum() < 1e-36);
    }

    #[test]
    fn map_reaches_every_value() {
        for len in 0..11 {
            let mut values: Vec<f32> = (0..len).map(|i| i as f32).collect();
            map(&mut values, |x| x + F32x4::splat(1.0));
            assert!(values.iter().enumerate().all(|(i, &x)| x == i as f32 + 1.0), "{values:?}");
        }
    }
}

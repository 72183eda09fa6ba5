//! What weights may be stored as: f32, or f16 that is widened in registers or while it is packed, and then is f32 too.

use std::cell::RefCell;
use std::ops::Range;

use half::f16;

use super::lanes::{F16Bits, F32x4};
use crate::model::f16_bits;

thread_local! {
    /// Where [`Weight::block`] widens weights to.
    static WIDENED: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// An element of a weight matrix: f32 or f16.
///
/// To widen f16, which is held [lifted](f16_bits), takes some bit operations and a multiplication. Where a weight is used once or a
/// few times, the activations are multiplied instead: a power of two changes no bit of the products.
pub trait Weight: Copy + Send + Sync + sealed::Sealed + 'static {
    /// The weight is this times what [`Self::scaled`] gives.
    const SCALE: f32;
    /// What eight elements are loaded by, which is made before a loop.
    type By: Copy;

    fn by() -> Self::By;

    fn scaled(self) -> f32;

    /// # Safety
    /// Eight elements must be readable at `from`, which needs no alignment.
    unsafe fn load8_scaled(from: *const Self, by: Self::By) -> [F32x4; 2];

    #[inline(always)]
    fn widen(self) -> f32 {
        self.scaled() * Self::SCALE
    }

    /// # Safety
    /// As [`Self::load8_scaled`].
    #[inline(always)]
    unsafe fn load8(from: *const Self, by: Self::By) -> [F32x4; 2] {
        // SAFETY: the caller's
        unsafe { Self::load8_scaled(from, by) }.map(|four| four * F32x4::splat(Self::SCALE))
    }

    /// Shows `with` a part of `matrix`, whose rows lie `stride` elements apart, as f32: the matrix itself if that is
    /// what it holds, or else a copy.
    fn block<R>(matrix: &[Self], stride: usize, part: Part, with: impl FnOnce(Block<'_>) -> R) -> R;
}

/// Whether all activations stay finite when they are multiplied by the weights' scale.
pub fn can_scale<W: Weight>(x: &[f32]) -> bool {
    let most = f32::MAX / W::SCALE;
    x.iter().fold(true, |all, x| all & (x.abs() <= most))
}

/// Which rows and columns of a matrix; some of each.
#[derive(Debug, Clone)]
pub struct Part {
    pub rows: Range<usize>,
    pub columns: Range<usize>,
}

/// A part of a matrix in f32: from `values[0]` on, rows lying `stride` apart.
#[derive(Debug, Clone, Copy)]
pub struct Block<'a> {
    pub values: &'a [f32],
    pub stride: usize,
}

impl Weight for f32 {
    const SCALE: f32 = 1.0;
    type By = ();

    #[inline(always)]
    fn by() {}

    #[inline(always)]
    fn scaled(self) -> f32 {
        self
    }

    #[inline(always)]
    unsafe fn load8_scaled(from: *const Self, (): ()) -> [F32x4; 2] {
        // SAFETY: the caller's
        unsafe { [F32x4::load(from), F32x4::load(from.add(4))] }
    }

    fn block<R>(matrix: &[Self], stride: usize, part: Part, with: impl FnOnce(Block<'_>) -> R) -> R {
        let from = part.rows.start * stride + part.columns.start;
        let len = (part.rows.len() - 1) * stride + part.columns.len();
        with(Block { values: &matrix[from..from + len], stride })
    }
}

impl Weight for f16 {
    // they are held lifted
    const SCALE: f32 = f16_bits::SCALE / f16_bits::LIFT;
    type By = F16Bits;

    #[inline(always)]
    fn by() -> F16Bits {
        F16Bits::default()
    }

    #[inline(always)]
    fn scaled(self) -> f32 {
        f16_bits::scaled(self)
    }

    #[inline(always)]
    unsafe fn load8_scaled(from: *const Self, by: F16Bits) -> [F32x4; 2] {
        // SAFETY: the caller's
        unsafe { F32x4::load_f16_scaled(from, by) }
    }

    fn block<R>(matrix: &[Self], stride: usize, part: Part, with: impl FnOnce(Block<'_>) -> R) -> R {
        WIDENED.with_borrow_mut(|widened| {
            let width = part.columns.len();
            let len = part.rows.len() * width;
            // it stays as large as it ever was, so that nothing is filled with zeros twice
            if widened.len() < len {
                widened.resize(len, 0.0);
            }
            let widened = &mut widened[..len];
            for (row, widened) in part.rows.zip(widened.chunks_exact_mut(width)) {
                widen_all(&matrix[row * stride + part.columns.start..][..width], widened);
            }
            with(Block { values: widened, stride: width })
        })
    }
}

/// Many at once.
#[inline(never)]
fn widen_all(from: &[f16], out: &mut [f32]) {
    let by = f16::by();
    let ((eights, ends), (out_eights, out_ends)) = (from.as_chunks::<8>(), out.as_chunks_mut::<8>());
    for (eight, out) in eights.iter().zip(out_eights) {
        // SAFETY: eight are there
        let widened = unsafe { f16::load8(eight.as_ptr(), by) };
        out.as_chunks_mut::<4>().0.iter_mut().zip(widened).for_each(|(out, four)| four.write(out));
    }
    ends.iter().zip(out_ends).for_each(|(half, out)| *out = half.widen());
}

mod sealed {
    /// The engine holds no other types.
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for half::f16 {}
}

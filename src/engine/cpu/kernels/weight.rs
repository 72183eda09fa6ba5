//! What weights may be stored as: f32, or f16 that is widened in registers or while it is packed, and then is f32 too.

use std::cell::RefCell;
use std::ops::Range;

use half::f16;

use super::lanes::F32x4;
use crate::model::f16_bits;

thread_local! {
    /// Where [`Weight::block`] widens weights to.
    static WIDENED: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// An element of a weight matrix: f32 or f16.
pub trait Weight: Copy + Send + Sync + sealed::Sealed + 'static {
    /// # Safety
    /// Four elements must be readable at `from`, which needs no alignment.
    unsafe fn load4(from: *const Self) -> F32x4;

    fn widen(self) -> f32;

    /// Shows `with` a part of `matrix`, whose rows lie `stride` elements apart, as f32: the matrix itself if that is
    /// what it holds, or else a copy.
    fn block<R>(matrix: &[Self], stride: usize, part: Part, with: impl FnOnce(Block<'_>) -> R) -> R;
}

/// Which rows and columns of a matrix.
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
    #[inline(always)]
    unsafe fn load4(from: *const Self) -> F32x4 {
        // SAFETY: the caller's
        unsafe { F32x4::load(from) }
    }

    #[inline(always)]
    fn widen(self) -> f32 {
        self
    }

    fn block<R>(matrix: &[Self], stride: usize, part: Part, with: impl FnOnce(Block<'_>) -> R) -> R {
        let from = part.rows.start * stride + part.columns.start;
        let len = (part.rows.len() - 1) * stride + part.columns.len();
        with(Block { values: &matrix[from..from + len], stride })
    }
}

impl Weight for f16 {
    #[inline(always)]
    unsafe fn load4(from: *const Self) -> F32x4 {
        // SAFETY: the caller's
        unsafe { F32x4::load_f16(from) }
    }

    #[inline(always)]
    fn widen(self) -> f32 {
        f16_bits::widen(self)
    }

    fn block<R>(matrix: &[Self], stride: usize, part: Part, with: impl FnOnce(Block<'_>) -> R) -> R {
        WIDENED.with_borrow_mut(|widened| {
            let width = part.columns.len();
            let len = part.rows.len() * width;
            // stays at its largest: nothing is filled twice
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

/// Many at once, by the processor's own instruction where it has one.
#[inline(never)]
fn widen_all(from: &[f16], out: &mut [f32]) {
    #[cfg(not(target_arch = "wasm32"))]
    half::slice::HalfFloatSliceExt::convert_to_f32_slice(from, out);
    #[cfg(target_arch = "wasm32")]
    {
        let ((fours, ends), (out_fours, out_ends)) = (from.as_chunks::<4>(), out.as_chunks_mut::<4>());
        for (four, out) in fours.iter().zip(out_fours) {
            // SAFETY: four are there
            unsafe { F32x4::load_f16(four.as_ptr()) }.write(out);
        }
        ends.iter().zip(out_ends).for_each(|(half, out)| *out = half.widen());
    }
}

mod sealed {
    /// The engine holds no other types.
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for half::f16 {}
}

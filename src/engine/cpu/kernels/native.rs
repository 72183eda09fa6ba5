//! Natively the `gemm` crate, which candle uses too, multiplies: it knows the machine's widest registers.
//!
//! Each piece is one call after the other on one thread, so that the threads there are make no difference to the
//! result. f16 weights are widened before each call, a block that the second-level cache holds.

use std::ops::Range;

use gemm::Parallelism;

use super::weight::{Block, Part, Weight};
use crate::engine::threads::{self, Parts};

/// Columns and most rows of a piece.
const COLUMNS: usize = 256;
const ROWS: usize = 256;
/// Depth of one call.
const DEPTH: usize = 768;

/// `out [rows, n_out] += x [rows, n_in] · weight [n_in, n_out]`.
pub fn linear<W: Weight>(x: &[f32], weight: &[W], n_out: usize, out: &mut [f32]) {
    let n_in = weight.len() / n_out;
    in_pieces(x, n_in, n_out, out, |product| {
        let part = Part { rows: product.depth.clone(), columns: product.columns.clone() };
        // SAFETY: the block has the product's depth and columns
        W::block(weight, n_out, part, |block| unsafe { product.multiply(block, 1, block.stride, true) });
    });
}

/// `out [rows, n_out] = x [rows, n_in] · weight [n_out, n_in]ᵀ`.
pub fn linear_transposed<W: Weight>(x: &[f32], weight: &[W], n_in: usize, out: &mut [f32]) {
    let n_out = weight.len() / n_in;
    in_pieces(x, n_in, n_out, out, |product| {
        let part = Part { rows: product.columns.clone(), columns: product.depth.clone() };
        let add = product.depth.start > 0;
        // SAFETY: the block has the product's columns and depth
        W::block(weight, n_in, part, |block| unsafe { product.multiply(block, block.stride, 1, add) });
    });
}

/// Some rows of `x` times some columns of weights, over some of the depth.
struct Product<'a> {
    x: &'a [f32],
    n_in: usize,
    n_out: usize,
    out: Parts<'a>,
    rows: Range<usize>,
    columns: Range<usize>,
    depth: Range<usize>,
}

/// Calls `each` for all products that make up `[rows, n_in] · [n_in, n_out]`.
fn in_pieces(x: &[f32], n_in: usize, n_out: usize, out: &mut [f32], each: impl Fn(Product<'_>) + Sync + Send) {
    let rows = out.len() / n_out;
    assert!(x.len() >= rows * n_in, "the shapes must agree");
    let blocks = rows.div_ceil(ROWS);
    let rows_each = rows.div_ceil(blocks);
    let out = Parts::of(out);
    threads::for_each(blocks * n_out.div_ceil(COLUMNS), |piece| {
        let (row, column) = (piece % blocks * rows_each, piece / blocks * COLUMNS);
        let (rows, columns) = (row..rows.min(row + rows_each), column..n_out.min(column + COLUMNS));
        for start in (0..n_in).step_by(DEPTH) {
            let depth = start..n_in.min(start + DEPTH);
            each(Product { x, n_in, n_out, out, rows: rows.clone(), columns: columns.clone(), depth });
        }
    });
}

impl Product<'_> {
    /// Into `out`, or added to it; `weights` lie so far apart from a column, and from a row, to the next.
    ///
    /// # Safety
    /// `weights` must hold all columns over all of the depth, and no other product of the same places be under way.
    unsafe fn multiply(&self, weights: Block<'_>, column_stride: usize, row_stride: usize, add: bool) {
        let (m, n) = (self.rows.len(), self.columns.len());
        let out = self.out.pointer(self.rows.start * self.n_out + self.columns.start, (m - 1) * self.n_out + n);
        let x = self.x[self.rows.start * self.n_in + self.depth.start..].as_ptr();
        // SAFETY: `x` and `out` have these rows, as `in_pieces` checks; the rest is the caller's
        unsafe {
            gemm::gemm(
                m,
                n,
                self.depth.len(),
                out,
                1,
                self.n_out as isize,
                add,
                x,
                1,
                self.n_in as isize,
                weights.values.as_ptr(),
                column_stride as isize,
                row_stride as isize,
                1.0,
                1.0,
                false,
                false,
                false,
                Parallelism::None,
            );
        }
    }
}

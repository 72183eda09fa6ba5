//! Natively the `gemm` crate, which candle uses too, multiplies: it knows the machine's widest registers.
//!
//! Each piece is one call on one thread, so that the threads there are make no difference to the result.

use gemm::Parallelism;

use super::pool::{self, Parts};

/// Columns and most rows of a piece.
const COLUMNS: usize = 256;
const ROWS: usize = 256;

/// How a matrix lies in memory: from a column, and from a row, to the next.
#[derive(Debug, Clone, Copy)]
struct Strides {
    column: isize,
    row: isize,
}

/// `out [rows, n_out] += x [rows, n_in] · weight [n_in, n_out]`.
pub fn linear(x: &[f32], weight: &[f32], n_out: usize, out: &mut [f32]) {
    let n_in = weight.len() / n_out;
    product(x, weight, n_in, n_out, Strides { column: 1, row: n_out as isize }, true, out);
}

/// `out [rows, n_out] = x [rows, n_in] · weight [n_out, n_in]ᵀ`.
pub fn linear_transposed(x: &[f32], weight: &[f32], n_in: usize, out: &mut [f32]) {
    product(x, weight, n_in, weight.len() / n_in, Strides { column: n_in as isize, row: 1 }, false, out);
}

fn product(x: &[f32], weight: &[f32], n_in: usize, n_out: usize, strides: Strides, add: bool, out: &mut [f32]) {
    let rows = out.len() / n_out;
    assert!(x.len() >= rows * n_in && weight.len() >= n_in * n_out, "the shapes must agree");
    let blocks = rows.div_ceil(ROWS);
    let rows_each = rows.div_ceil(blocks);
    let out = Parts::of(out);
    pool::for_each(blocks * n_out.div_ceil(COLUMNS), |piece| {
        let (row, column) = (piece % blocks * rows_each, piece / blocks * COLUMNS);
        let (m, n) = (rows_each.min(rows - row), COLUMNS.min(n_out - column));
        // SAFETY: rows and columns of the piece lie within the matrices, as checked above; pieces don't overlap
        unsafe {
            let out = out.pointer(row * n_out + column, (m - 1) * n_out + n);
            let x = x.as_ptr().add(row * n_in);
            let weight = weight.as_ptr().offset(column as isize * strides.column);
            let (n_in_stride, n_out_stride) = (n_in as isize, n_out as isize);
            gemm::gemm(
                m,
                n,
                n_in,
                out,
                1,
                n_out_stride,
                add,
                x,
                1,
                n_in_stride,
                weight,
                strides.column,
                strides.row,
                1.0,
                1.0,
                false,
                false,
                false,
                Parallelism::None,
            );
        }
    });
}

//! Products with the transpose of a matrix, row by row against row: the unembedding, and every product backwards.
//!
//! Both sides lie along the depth, so nothing needs packing. As in [`super::stream`], four places are read at once.

use std::ops::Range;

use super::micro::{self, BANDS};
use super::weight::{Part, Weight, can_scale};
use crate::engine::threads::{self, Parts};

/// Weights of one piece, in whole rows: some hundred kilobytes, that the second-level cache holds for all rows.
const PIECE: usize = 3 << 16;
/// Rows of activations that go over a piece together.
const ROWS: usize = 64;

/// `out [rows, n_out] = x [rows, n_in] · weight [n_out, n_in]ᵀ`.
#[inline(never)]
pub fn product<W: Weight>(x: &[f32], weight: &[W], n_in: usize, out: &mut [f32]) {
    let n_out = weight.len() / n_in;
    let rows = x.len() / n_in;
    assert!(out.len() == rows * n_out && weight.len() == n_out * n_in, "the shapes must agree");
    if rows == 1 && can_scale::<W>(x) {
        return one_row(x, weight, out);
    }
    let out = Parts::of(out);
    for_each_piece(n_in, n_out, |columns| {
        let part = Part { rows: columns.clone(), columns: 0..n_in };
        W::block(weight, n_in, part, |block| of_piece(x, block.values, n_in, Target { out, n_out, columns }));
    });
}

fn for_each_piece(n_in: usize, n_out: usize, piece: impl Fn(Range<usize>) + Sync + Send) {
    let columns = (PIECE / n_in).max(1).next_multiple_of(BANDS);
    threads::for_each(n_out.div_ceil(columns), |at| piece(at * columns..n_out.min((at + 1) * columns)));
}

/// `out [n_out] = x [n_in] · weight [n_out, n_in]ᵀ`.
fn one_row<W: Weight>(x: &[f32], weight: &[W], out: &mut [f32]) {
    let (n_in, n_out) = (x.len(), out.len());
    let x: Vec<f32> = x.iter().map(|x| x * W::SCALE).collect();
    let out = Parts::of(out);
    for_each_piece(n_in, n_out, |columns| {
        let band = columns.len() / BANDS;
        // SAFETY: a piece's columns are its own
        let out = unsafe { out.slice(columns.start, columns.len()) };
        let row = |column: usize| weight[(columns.start + column) * n_in..][..n_in].as_ptr();
        for at in 0..band {
            let names: [usize; BANDS] = std::array::from_fn(|index| index * band + at);
            // SAFETY: all these rows are `n_in` long
            let products = unsafe { micro::inner_of_row(x.as_ptr(), names.map(row), n_in) };
            names.into_iter().zip(products).for_each(|(name, product)| out[name] = product);
        }
        for (column, out) in out.iter_mut().enumerate().skip(BANDS * band) {
            // SAFETY: as above
            [*out, ..] = unsafe { micro::inner_of_row(x.as_ptr(), [row(column); BANDS], n_in) };
        }
    });
}

/// Where the products of a piece go: to these columns.
struct Target<'a> {
    out: Parts<'a>,
    n_out: usize,
    columns: Range<usize>,
}

/// The products of all rows of `x` with those of `weight [columns of the piece, n_in]`.
#[inline(never)]
fn of_piece(x: &[f32], weight: &[f32], n_in: usize, target: Target<'_>) {
    let (rows, columns) = (x.len() / n_in, weight.len() / n_in);
    let band = columns / BANDS;
    for block in (0..rows).step_by(ROWS) {
        let end = rows.min(block + ROWS);
        for at in 0..band {
            let names: [usize; BANDS] = std::array::from_fn(|index| index * band + at);
            let pairs = end - (end - block) % 2;
            for row in (block..pairs).step_by(2) {
                tile(x, weight, n_in, [row, row + 1], names, &target);
            }
            if pairs < end {
                tile(x, weight, n_in, [pairs], names, &target);
            }
        }
        for column in BANDS * band..columns {
            (block..end).for_each(|row| tile(x, weight, n_in, [row], [column], &target));
        }
    }
}

/// The products of some rows with some of the piece's columns.
#[inline(always)]
fn tile<const R: usize, const C: usize>(
    x: &[f32],
    weight: &[f32],
    n_in: usize,
    rows: [usize; R],
    columns: [usize; C],
    target: &Target<'_>,
) {
    let x = rows.map(|row| x[row * n_in..(row + 1) * n_in].as_ptr());
    let weights = columns.map(|column| weight[column * n_in..(column + 1) * n_in].as_ptr());
    // SAFETY: all these rows are `n_in` long
    let products = unsafe { micro::inner(x, weights, n_in) };
    for (row, products) in rows.into_iter().zip(products) {
        for (column, product) in columns.into_iter().zip(products) {
            // SAFETY: a piece's columns are its own
            unsafe { *target.out.pointer(row * target.n_out + target.columns.start + column, 1) = product };
        }
    }
}

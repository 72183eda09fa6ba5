//! `out = x · Wᵀ`: what unembeds, what goes backwards, what weights are to each other.

use super::super::buffers::Buffer;
use super::super::matrix::{Matrix, padded};
use super::super::tape::{Call, Card};
use super::{Kernel, Part, grid};

pub const TRANSPOSED: Kernel =
    Kernel { name: "transposed", needs: &[Part::Weights], text: include_str!("transposed.wgsl"), access: "rrw" };

pub const FEW_TRANSPOSED: Kernel = Kernel {
    name: "few_transposed",
    needs: &[Part::Weights],
    text: include_str!("few_transposed.wgsl"),
    access: "rrw",
};

/// Most rows that are multiplied without tiles.
const FEW: usize = 8;

impl Card {
    /// `x [rows, columns]` times rows `of` the matrix, into `out [rows, padded(of)]`. What fills a row of `out` up is 0.
    pub fn transposed(&self, x: &Buffer, rows: usize, matrix: &Matrix, of: std::ops::Range<usize>, out: &Buffer) {
        let stride = padded(of.len());
        for piece in &matrix.pieces {
            let (start, end) = (of.start.max(piece.rows.start), of.end.min(piece.rows.end));
            if start >= end {
                continue;
            }
            let n = end - start;
            let n_out = if end == of.end { stride - (start - of.start) } else { n };
            let (out_column, first_row) = (start - of.start, start - piece.rows.start);
            let params = [rows, padded(matrix.columns) / 4, n, stride, out_column, first_row, n_out];
            let buffers = [x, &piece.buffer, out];
            let is_f16 = ("F16", u32::from(matrix.is_f16));
            let work = (rows * n * matrix.columns) as u64;
            let few = [is_f16, ("ROWS", rows as u32)];
            let (kernel, consts, groups) = if rows <= FEW {
                (&FEW_TRANSPOSED, &few[..], grid(n_out.div_ceil(16)))
            } else {
                (&TRANSPOSED, &few[..1], (n_out.div_ceil(64) as u32, rows.div_ceil(64) as u32))
            };
            self.run(&Call {
                kernel,
                consts,
                buffers: &buffers,
                params: &params.map(|number| number as u32),
                groups,
                work,
            });
        }
    }
}

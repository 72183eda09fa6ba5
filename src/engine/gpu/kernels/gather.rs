//! Rows of a matrix by their numbers: embeddings, and the last rows of runs.

use super::super::buffers::Buffer;
use super::super::matrix::{Matrix, padded};
use super::super::tape::{Call, Card};
use super::{Kernel, Part};

pub const GATHER: Kernel =
    Kernel { name: "gather", needs: &[Part::Weights], text: include_str!("gather.wgsl"), access: "rrw" };

impl Card {
    /// The matrix's rows of these numbers into `out`, or added to what is there.
    pub fn gather(&self, matrix: &Matrix, numbers: &[u32], adds: bool, out: &Buffer) {
        let table = self.upload(numbers);
        for piece in &matrix.pieces {
            let (first, len) = (piece.rows.start as u32, piece.rows.len() as u32);
            let params = [first, len, matrix.fours(), u32::from(adds)];
            self.gather_from(&piece.buffer, matrix.is_f16, (&table, numbers.len()), params, out);
        }
    }

    /// Rows of an activation `[.., d]` by their numbers.
    pub fn pick(&self, x: &Buffer, d: usize, numbers: &[u32], out: &Buffer) {
        let params = [0, u32::MAX, (padded(d) / 4) as u32, 0];
        self.gather_from(x, false, (&self.upload(numbers), numbers.len()), params, out);
    }

    fn gather_from(
        &self,
        rows: &Buffer,
        is_f16: bool,
        (numbers, len): (&Buffer, usize),
        params: [u32; 4],
        out: &Buffer,
    ) {
        self.run(&Call {
            kernel: &GATHER,
            consts: &[("F16", u32::from(is_f16))],
            buffers: &[numbers, rows, out],
            params: &params,
            groups: (len as u32, 1),
            work: (4 * len) as u64 * u64::from(params[2]),
        });
    }
}

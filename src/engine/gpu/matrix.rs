//! A parameter on the card: rows of floats or of packed f16, each row filled up with zeros to whole fours.

use std::ops::Range;

use candle_core::{DType, Tensor};
use half::f16;

use super::buffers::Buffer;
use super::tape::Card;
use crate::error::{Error, Result};
use crate::model::f16_bits;

/// Bytes that go over to the card at once.
const CHUNK: usize = 4 << 20;

/// `[rows, columns]`; a vector is one row, and always f32.
#[derive(Clone)]
pub struct Matrix {
    /// One, but where the matrix is larger than what a kernel can see at once.
    pub pieces: Vec<Piece>,
    pub rows: usize,
    pub columns: usize,
    pub is_f16: bool,
}

/// Some rows of a matrix.
#[derive(Clone)]
pub struct Piece {
    pub buffer: Buffer,
    pub rows: Range<usize>,
}

/// `columns` in whole fours.
pub fn padded(columns: usize) -> usize {
    columns.next_multiple_of(4)
}

impl Matrix {
    /// Takes a parameter over to the card.
    ///
    /// # Errors
    /// [`Error::Card`] where the card has no room for it, or it isn't a tensor that models have.
    pub fn upload(card: &Card, tensor: &Tensor) -> Result<Self> {
        let (rows, columns) = if tensor.rank() == 1 { (1, tensor.dim(0)?) } else { tensor.dims2()? };
        let is_f16 = tensor.dtype() == DType::F16;
        let row_bytes = padded(columns) * if is_f16 { 2 } else { 4 };
        let at_once = (card.device.largest_binding() / row_bytes as u64) as usize;
        if at_once == 0 {
            return Err(Error::Card("A row of the model's weights is larger than what it can bind.".into()));
        }
        let tensor = tensor.reshape((rows, columns))?;
        let mut pieces = Vec::new();
        for first in (0..rows).step_by(at_once) {
            let range = first..rows.min(first + at_once);
            let buffer = card.keep((range.len() * row_bytes) as u64);
            let chunk = (CHUNK / row_bytes).max(1);
            for from in range.clone().step_by(chunk) {
                let part = tensor.narrow(0, from, chunk.min(range.end - from))?;
                card.fill(&buffer, ((from - first) * row_bytes) as u64, &bytes_of(&part, columns)?);
            }
            pieces.push(Piece { buffer, rows: range });
        }
        // running out of memory is told by the device's error handler
        card.device.check()?;
        Ok(Matrix { pieces, rows, columns, is_f16 })
    }

    /// Fours in a row.
    pub fn fours(&self) -> u32 {
        (padded(self.columns) / 4) as u32
    }

    /// The whole of a matrix that lies in one piece, as all do but the tokens' rows.
    ///
    /// # Errors
    /// [`Error::Card`] where it doesn't.
    pub fn whole(&self) -> Result<&Buffer> {
        match &self.pieces[..] {
            [piece] => Ok(&piece.buffer),
            _ => Err(Error::Card("A matrix of the model is larger than what it can bind.".into())),
        }
    }

    /// Some rows, back in f32.
    ///
    /// # Errors
    /// [`Error::Card`]; [`Error::Unsupported`] for rows that aren't there.
    pub async fn read(&self, card: &Card, rows: Range<usize>) -> Result<Vec<f32>> {
        if rows.end > self.rows || rows.is_empty() {
            return Err(Error::Unsupported(format!("This parameter has no rows {rows:?}.")));
        }
        let words = if self.is_f16 { padded(self.columns) / 2 } else { padded(self.columns) };
        let parts: Vec<(&Buffer, usize, usize)> = self
            .pieces
            .iter()
            .filter_map(|piece| {
                let (start, end) = (rows.start.max(piece.rows.start), rows.end.min(piece.rows.end));
                (start < end).then(|| (&piece.buffer, (start - piece.rows.start) * words, (end - start) * words))
            })
            .collect();
        let read = card.read(&parts).await?.concat();
        let row = |row: &[f32]| -> Vec<f32> {
            match self.is_f16 {
                false => row[..self.columns].to_vec(),
                true => row.iter().flat_map(|&two| lowered(two)).take(self.columns).collect(),
            }
        };
        Ok(read.chunks_exact(words).flat_map(row).collect())
    }
}

/// The two numbers in a word.
fn lowered(word: f32) -> [f32; 2] {
    let bits = word.to_bits();
    [bits as u16, (bits >> 16) as u16].map(|bits| f16_bits::lower(f16::from_bits(bits)))
}

/// A tensor's rows as they lie on the card.
fn bytes_of(tensor: &Tensor, columns: usize) -> Result<Vec<u8>> {
    let flat = tensor.flatten_all()?;
    let fill = padded(columns) - columns;
    Ok(match tensor.dtype() {
        DType::F16 => {
            let bytes =
                |row: &[f16]| row.iter().flat_map(|x| x.to_le_bytes()).chain(vec![0; 2 * fill]).collect::<Vec<_>>();
            flat.to_vec1::<f16>()?.chunks_exact(columns).flat_map(bytes).collect()
        }
        _ => {
            let bytes =
                |row: &[f32]| row.iter().flat_map(|x| x.to_le_bytes()).chain(vec![0; 4 * fill]).collect::<Vec<_>>();
            flat.to_vec1::<f32>()?.chunks_exact(columns).flat_map(bytes).collect()
        }
    })
}

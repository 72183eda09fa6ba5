//! A parameter on the card: rows of floats or of packed f16, each row filled up with zeros to whole fours.

use std::ops::Range;

use candle_core::Tensor;
use half::f16;

use super::buffers::Buffer;
use super::tape::Card;
use crate::error::{Error, Result};
use crate::model::f16_bits;
use crate::model::rows;

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
    columns.next_multiple_of(rows::FOUR)
}

/// Rows of `columns` numbers, without what fills them up to whole fours.
pub fn unpadded(rows: &[f32], columns: usize) -> Vec<f32> {
    rows.chunks_exact(padded(columns)).flat_map(|row| &row[..columns]).copied().collect()
}

/// Bytes of a row on the card.
fn row_bytes(columns: usize, is_f16: bool) -> usize {
    padded(columns) * if is_f16 { 2 } else { 4 }
}

impl Matrix {
    /// Room on the card for a parameter, to be filled by [`Matrix::fill`].
    ///
    /// # Errors
    /// [`Error::Card`] where a row is more than a kernel can see.
    pub fn new(card: &Card, (rows, columns): (usize, usize), is_f16: bool) -> Result<Self> {
        let row_bytes = row_bytes(columns, is_f16);
        let at_once = (card.device.largest_binding() / row_bytes as u64) as usize;
        if at_once == 0 {
            return Err(Error::Card("A row of the model's weights is larger than what it can bind.".into()));
        }
        let piece = |first: usize| {
            let range = first..rows.min(first + at_once);
            Piece { buffer: card.keep((range.len() * row_bytes) as u64), rows: range }
        };
        let pieces = (0..rows).step_by(at_once).map(piece).collect();
        // running out of memory is told by the device's error handler
        card.device.check()?;
        Ok(Matrix { pieces, rows, columns, is_f16 })
    }

    /// Takes rows over to the card, from row `first` on, each filled up to whole fours.
    ///
    /// # Errors
    /// [`Error::Card`] for more rows than there are, or from the card.
    pub fn fill(&self, card: &Card, first: usize, mut bytes: &[u8]) -> Result<()> {
        let row_bytes = row_bytes(self.columns, self.is_f16);
        let mut row = first;
        while !bytes.is_empty() {
            let beyond = || Error::Card("More rows of a parameter came than it has.".into());
            let piece = self.pieces.iter().find(|piece| piece.rows.contains(&row)).ok_or_else(beyond)?;
            let (now, rest) = bytes.split_at(bytes.len().min((piece.rows.end - row) * row_bytes));
            card.fill(&piece.buffer, ((row - piece.rows.start) * row_bytes) as u64, now);
            (row, bytes) = (row + now.len() / row_bytes, rest);
        }
        card.device.check()
    }

    /// Takes a parameter over to the card.
    ///
    /// # Errors
    /// [`Error::Card`] where the card has no room for it, or it isn't a tensor that models have.
    pub fn upload(card: &Card, tensor: &Tensor) -> Result<Self> {
        let (shape, is_f16) = rows::about(tensor)?;
        let matrix = Matrix::new(card, shape, is_f16)?;
        rows::each_chunk(tensor, |first, bytes| matrix.fill(card, first, bytes))?;
        Ok(matrix)
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

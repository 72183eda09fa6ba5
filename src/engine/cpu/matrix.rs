//! A weight matrix where it lies, in f32 or f16, and what is computed with it: the one place that tells the two apart.

use std::ops::{Deref, Range};

use candle_core::{CpuStorage, Storage, Tensor};
use half::f16;

use super::kernels::matmul;
use super::kernels::weight::Weight;
use crate::error::{Error, Result};

/// `[rows, columns]`; keeps the tensor readable for as long as it lives.
pub struct Matrix<G> {
    storage: G,
    range: Range<usize>,
    columns: usize,
}

enum Elements<'a> {
    F32(&'a [f32]),
    F16(&'a [f16]),
}

/// The same expression for either type of elements.
macro_rules! with_elements {
    ($matrix:expr, $elements:ident => $what:expr) => {
        match $matrix.elements() {
            Elements::F32($elements) => $what,
            Elements::F16($elements) => $what,
        }
    };
}

/// The tensor's elements.
///
/// # Errors
/// [`Error::Unsupported`] for anything but a matrix of f32 or f16 on the CPU that lies in one piece.
pub fn matrix(tensor: &Tensor) -> Result<Matrix<impl Deref<Target = Storage> + '_>> {
    let (_, columns) = tensor.dims2()?;
    let (storage, layout) = tensor.storage_and_layout();
    let len = elements(&storage).map(|elements| match elements {
        Elements::F32(elements) => elements.len(),
        Elements::F16(elements) => elements.len(),
    });
    let range = layout.contiguous_offsets().map(|(start, end)| start..end);
    match (len, range) {
        (Some(len), Some(range)) if range.end <= len => Ok(Matrix { storage, range, columns }),
        _ => Err(Error::Unsupported("The CPU engine computes with f32 or f16 weights only.".into())),
    }
}

fn elements(storage: &Storage) -> Option<Elements<'_>> {
    match storage {
        Storage::Cpu(CpuStorage::F32(elements)) => Some(Elements::F32(elements)),
        Storage::Cpu(CpuStorage::F16(elements)) => Some(Elements::F16(elements)),
        _ => None,
    }
}

impl<G: Deref<Target = Storage>> Matrix<G> {
    /// `out [n, columns] = x [n, rows] · self + bias [columns]`; added to `out` if `add`.
    pub fn linear(&self, x: &[f32], bias: Option<&[f32]>, add: bool, out: &mut [f32]) {
        with_elements!(self, weight => matmul::linear(x, weight, bias, self.columns, add, out));
    }

    /// `out [n, rows] = x [n, columns] · selfᵀ`.
    pub fn linear_transposed(&self, x: &[f32], out: &mut [f32]) {
        with_elements!(self, weight => matmul::linear_transposed(x, weight, self.columns, out));
    }

    /// Row `index`, in f32.
    pub fn row(&self, index: usize) -> Vec<f32> {
        let row = self.places(index, 0..self.columns);
        with_elements!(self, weight => weight[row].iter().map(|&weight| weight.widen()).collect())
    }

    /// `out += scale * ` those columns of row `index`.
    pub fn add_row(&self, index: usize, columns: Range<usize>, scale: f32, out: &mut [f32]) {
        let row = self.places(index, columns);
        with_elements!(self, weight => matmul::add_scaled(&weight[row], scale, out));
    }

    pub fn columns(&self) -> usize {
        self.columns
    }

    fn places(&self, index: usize, columns: Range<usize>) -> Range<usize> {
        let start = index * self.columns;
        start + columns.start..start + columns.end
    }

    fn elements(&self) -> Elements<'_> {
        // `matrix` made sure of the type, and the lock has kept it so
        match elements(&self.storage) {
            Some(Elements::F32(elements)) => Elements::F32(&elements[self.range.clone()]),
            Some(Elements::F16(elements)) => Elements::F16(&elements[self.range.clone()]),
            None => Elements::F32(&[]),
        }
    }
}

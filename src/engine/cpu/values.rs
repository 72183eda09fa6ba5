//! A tensor's numbers where they lie, without a copy.

use std::ops::{Deref, Range};

use candle_core::{CpuStorage, Storage, Tensor};

use crate::error::{Error, Result};

/// Keeps the tensor readable for as long as it lives.
pub struct Values<G> {
    storage: G,
    range: Range<usize>,
}

/// A vector's values, or an activation's, row-major.
///
/// # Errors
/// [`Error::Unsupported`] for anything but an f32 tensor on the CPU that lies in one piece.
pub fn values(tensor: &Tensor) -> Result<Values<impl Deref<Target = Storage> + '_>> {
    let (storage, layout) = tensor.storage_and_layout();
    let len = f32s(&storage).map(<[f32]>::len);
    let range = layout.contiguous_offsets().map(|(start, end)| start..end);
    match (len, range) {
        (Some(len), Some(range)) if range.end <= len => Ok(Values { storage, range }),
        _ => Err(Error::Unsupported("The CPU engine computes with f32 vectors only.".into())),
    }
}

fn f32s(storage: &Storage) -> Option<&[f32]> {
    match storage {
        Storage::Cpu(CpuStorage::F32(values)) => Some(values),
        _ => None,
    }
}

impl<G: Deref<Target = Storage>> Deref for Values<G> {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        // `values` made sure of the type, and the lock has kept it so
        f32s(&self.storage).map_or(&[], |values| &values[self.range.clone()])
    }
}

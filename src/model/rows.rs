//! A parameter's rows as a graphics card takes them: little-endian, each filled up with zeros to whole fours.

use candle_core::{DType, Tensor};
use half::f16;

use crate::error::Result;

/// Numbers that a card reads at once.
pub const FOUR: usize = 4;
/// Bytes that are made at once.
const CHUNK: usize = 4 << 20;

/// A parameter's rows and columns, a vector being one row, and whether it is held in f16.
///
/// # Errors
/// From candle, for what is neither vector nor matrix.
pub fn about(tensor: &Tensor) -> Result<((usize, usize), bool)> {
    let shape = if tensor.rank() == 1 { (1, tensor.dim(0)?) } else { tensor.dims2()? };
    Ok((shape, tensor.dtype() == DType::F16))
}

/// Calls `put(first row, bytes)` for all rows, some megabytes at a time.
///
/// # Errors
/// What `put` fails with.
pub fn each_chunk(tensor: &Tensor, mut put: impl FnMut(usize, &[u8]) -> Result<()>) -> Result<()> {
    let ((rows, columns), is_f16) = about(tensor)?;
    let tensor = tensor.reshape((rows, columns))?;
    let row_bytes = columns.next_multiple_of(FOUR) * if is_f16 { 2 } else { 4 };
    let at_once = (CHUNK / row_bytes).max(1);
    for first in (0..rows).step_by(at_once) {
        let part = tensor.narrow(0, first, at_once.min(rows - first))?.flatten_all()?;
        let bytes = match is_f16 {
            true => filled_up(&part.to_vec1::<f16>()?, columns, |number| number.to_le_bytes()),
            false => filled_up(&part.to_vec1::<f32>()?, columns, |number| number.to_le_bytes()),
        };
        put(first, &bytes)?;
    }
    Ok(())
}

/// Rows of numbers as bytes, each with zeros up to whole fours.
fn filled_up<T: Copy, const N: usize>(numbers: &[T], columns: usize, bytes: impl Fn(T) -> [u8; N]) -> Vec<u8> {
    let zeros = N * (columns.next_multiple_of(FOUR) - columns);
    let mut all = Vec::with_capacity(numbers.len() / columns * (N * columns + zeros));
    for row in numbers.chunks_exact(columns) {
        all.extend(row.iter().flat_map(|&number| bytes(number)));
        all.resize(all.len() + zeros, 0);
    }
    all
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn rows_are_filled_up_to_fours() {
        let tensor = Tensor::from_vec(vec![1f32, 2.0, 3.0, 4.0, 5.0, 6.0], (2, 3), &Device::Cpu).unwrap();
        let mut all = Vec::new();
        each_chunk(&tensor, |first, bytes| {
            assert_eq!(first, 0);
            all.extend(bytes.as_chunks::<4>().0.iter().map(|&bytes| f32::from_le_bytes(bytes)));
            Ok(())
        })
        .unwrap();
        assert_eq!(all, [1.0, 2.0, 3.0, 0.0, 4.0, 5.0, 6.0, 0.0]);
    }
}

//! A tensor's little-endian bytes, cut anywhere, into the numbers that are computed with.
//!
//! The numbers go straight to where they stay: memory is asked for once a tensor, and nothing else is as large as it.

use candle_core::{Device, Tensor};
use half::f16;

use super::f16_bits::{NOT_LIFTED, TOO_LARGE, lift, lower, narrow, widen};
use super::safetensors::{Dtype, TensorInfo};
use super::weights::WeightDtype;
use crate::error::{Error, Result};

/// Numbers that are looked through and converted at once, while they are in the first-level cache.
const BLOCK: usize = 2048;

/// Takes one tensor.
pub struct Converter {
    info: TensorInfo,
    /// The bytes of a number that was cut in two.
    rest: Vec<u8>,
    values: Values,
}

enum Values {
    F32(Vec<f32>),
    /// Lifted: see [`super::f16_bits`].
    F16(Vec<f16>),
    /// Rounded to f16, and held in f32: what holds a number of 64 or above can't be lifted. No GPT-2 is known to.
    Rounded(Vec<f32>),
}

impl Converter {
    /// # Errors
    /// [`Error::Weights`] when there isn't enough memory for the tensor.
    pub fn new(info: TensorInfo, dtype: WeightDtype) -> Result<Self> {
        let too_large = || too_large(&info, dtype);
        let count = info.shape.iter().try_fold(1, |count: usize, &side| count.checked_mul(side));
        let count = count.ok_or_else(too_large)?;
        let values = match dtype {
            WeightDtype::F32 => Values::F32(room(count).ok_or_else(too_large)?),
            WeightDtype::F16 => Values::F16(room(count).ok_or_else(too_large)?),
        };
        Ok(Converter { info, rest: Vec::new(), values })
    }

    /// Takes the tensor's next bytes.
    ///
    /// # Errors
    /// [`Error::Weights`] for numbers that aren't finite, [`Error::BeyondF16`] for those too large for f16.
    pub fn push(&mut self, mut bytes: &[u8]) -> Result<()> {
        let size = self.info.dtype.size();
        if !self.rest.is_empty() {
            let (missing, after) = bytes.split_at((size - self.rest.len()).min(bytes.len()));
            self.rest.extend_from_slice(missing);
            bytes = after;
            if self.rest.len() == size {
                let whole = std::mem::take(&mut self.rest);
                self.convert(&whole)?;
            }
        }
        let (whole, cut) = bytes.split_at(bytes.len() / size * size);
        self.rest.extend_from_slice(cut);
        self.convert(whole)
    }

    /// The tensor, once all of its bytes were pushed.
    ///
    /// # Errors
    /// From candle, for a tensor that isn't whole.
    pub fn finish(self) -> Result<Tensor> {
        let shape = self.info.shape;
        Ok(match self.values {
            Values::F32(values) | Values::Rounded(values) => Tensor::from_vec(values, shape, &Device::Cpu)?,
            Values::F16(values) => Tensor::from_vec(values, shape, &Device::Cpu)?,
        })
    }

    fn convert(&mut self, bytes: &[u8]) -> Result<()> {
        let before = self.len();
        match self.extend(bytes) {
            Err((_, value)) if matches!(self.values, Values::F16(_)) && value.abs() < TOO_LARGE => {
                let taken = (self.len() - before) * self.info.dtype.size();
                self.hold_in_f32()?;
                self.convert(&bytes[taken..])
            }
            Err((at, value)) => Err(self.refusal(at, value)),
            Ok(()) => Ok(()),
        }
    }

    /// How many numbers there are.
    fn len(&self) -> usize {
        match &self.values {
            Values::F32(values) | Values::Rounded(values) => values.len(),
            Values::F16(values) => values.len(),
        }
    }

    fn hold_in_f32(&mut self) -> Result<()> {
        if let Values::F16(lifted) = &self.values {
            let mut values = room(lifted.capacity()).ok_or_else(|| too_large(&self.info, WeightDtype::F16))?;
            values.extend(lifted.iter().map(|&lifted| lower(lifted)));
            self.values = Values::Rounded(values);
        }
        Ok(())
    }

    /// Appends all, or up to a block with a number that can't be held: its place and value.
    fn extend(&mut self, bytes: &[u8]) -> std::result::Result<(), (usize, f32)> {
        let infinite = f32::INFINITY.to_bits();
        let bits = |value: f32| value.to_bits() & 0x7fff_ffff;
        let half_bits = |half: f16| u32::from(half.to_bits() & 0x7fff);
        let from_bf16 = |bytes| f32::from_bits(u32::from(u16::from_le_bytes(bytes)) << 16);
        let from_f64 = |bytes| f64::from_le_bytes(bytes) as f32;
        let (not_lifted, not_f16) = (NOT_LIFTED.to_bits(), TOO_LARGE.to_bits());
        let sixty_four = 0x5400; // as f16's bits
        let lifted = |value| lift(narrow(value));
        let rounded = |value| widen(narrow(value));
        match (self.info.dtype, &mut self.values) {
            (Dtype::F32, Values::F32(to)) => extend(to, bytes, f32::from_le_bytes, bits, infinite, |x| x),
            (Dtype::F32, Values::F16(to)) => extend(to, bytes, f32::from_le_bytes, bits, not_lifted, lifted),
            (Dtype::F32, Values::Rounded(to)) => extend(to, bytes, f32::from_le_bytes, bits, not_f16, rounded),
            (Dtype::F16, Values::F32(to) | Values::Rounded(to)) => {
                extend(to, bytes, f16::from_le_bytes, half_bits, 0x7c00, widen)
            }
            (Dtype::F16, Values::F16(to)) => extend(to, bytes, f16::from_le_bytes, half_bits, sixty_four, lift),
            (Dtype::Bf16, Values::F32(to)) => extend(to, bytes, from_bf16, bits, infinite, |x| x),
            (Dtype::Bf16, Values::F16(to)) => extend(to, bytes, from_bf16, bits, not_lifted, lifted),
            (Dtype::Bf16, Values::Rounded(to)) => extend(to, bytes, from_bf16, bits, not_f16, rounded),
            // to the nearest f32; those beyond it are infinite there
            (Dtype::F64, Values::F32(to)) => extend(to, bytes, from_f64, bits, infinite, |x| x),
            (Dtype::F64, Values::F16(to)) => extend(to, bytes, from_f64, bits, not_lifted, lifted),
            (Dtype::F64, Values::Rounded(to)) => extend(to, bytes, from_f64, bits, not_f16, rounded),
            (Dtype::Other, _) => Ok(()), // never a parameter: the header's check refuses it
        }
    }

    fn refusal(&self, at: usize, value: f32) -> Error {
        let name = self.info.name.clone();
        if value.is_finite() {
            return Error::BeyondF16 { value, at, name };
        }
        Error::Weights(format!(
            "holds {value} at element {at} of {name}; a model with such weights computes nothing. Get the file again."
        ))
    }
}

fn too_large(info: &TensorInfo, dtype: WeightDtype) -> Error {
    let advice = match dtype {
        WeightDtype::F32 => "Load the model in f16, which takes half, or a smaller one.",
        WeightDtype::F16 => "Load a smaller model.",
    };
    Error::Weights(format!("needs more memory for {} than there is here. {advice}", info.name))
}

/// A vector that holds `count` values without growing.
fn room<T>(count: usize) -> Option<Vec<T>> {
    let mut values = Vec::new();
    values.try_reserve_exact(count).ok()?;
    Some(values)
}

/// Appends the numbers in `bytes`; stops at one whose `magnitude` is `limit` or above, and gives its place and value.
#[inline(always)] // one loop for each pair of types, each of vector instructions
fn extend<const N: usize, S: Copy + Into<f32>, T>(
    to: &mut Vec<T>,
    bytes: &[u8],
    read: impl Fn([u8; N]) -> S,
    magnitude: impl Fn(S) -> u32,
    limit: u32,
    convert: impl Fn(S) -> T,
) -> std::result::Result<(), (usize, f32)> {
    for block in bytes.as_chunks::<N>().0.chunks(BLOCK) {
        let largest = block.iter().fold(0, |largest: u32, &bytes| largest.max(magnitude(read(bytes))));
        if largest >= limit {
            let at = block.iter().position(|&bytes| magnitude(read(bytes)) >= limit).unwrap_or(0);
            return Err((to.len() + at, read(block[at]).into()));
        }
        to.extend(block.iter().map(|&bytes| convert(read(bytes))));
    }
    Ok(())
}

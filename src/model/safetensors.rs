//! Reads a `.safetensors` file as a stream: the header first, then each tensor as its bytes arrive.
//!
//! Our own reader rather than the crate's, whose offsets are `usize`: wasm's 32 bits can't describe GPT-2 XL's 6.43 GB.
//! Nothing here holds more of the file than the tensor being filled.

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};

use super::pytorch::Bytes;
use crate::error::{Error, Result};

/// No tensor has more sides.
const MOST_SIDES: usize = 64;
/// Far above XL's 60 kB; a wrong length is refused before memory is asked for.
const MOST_HEADER_BYTES: u64 = 16 << 20;
/// A thousand terabytes; sums of such lengths stay in range.
const MOST_DATA_BYTES: u64 = 1 << 50;
const AGAIN: &str = "Get the file again.";

/// Element types that parameters come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dtype {
    F32,
    F16,
    Bf16,
    F64,
    /// Any other; tensors that nobody needs (mask buffers) have it, and are skipped.
    Other,
}

impl Dtype {
    /// The type, and how many bytes an element takes: unknown for types that came after this was written, or whose
    /// elements share a byte.
    fn parse(name: &str) -> (Self, Option<u64>) {
        match name {
            "F32" => (Dtype::F32, Some(4)),
            "F16" => (Dtype::F16, Some(2)),
            "BF16" => (Dtype::Bf16, Some(2)),
            "F64" => (Dtype::F64, Some(8)),
            "BOOL" | "U8" | "I8" => (Dtype::Other, Some(1)),
            "U16" | "I16" => (Dtype::Other, Some(2)),
            "U32" | "I32" => (Dtype::Other, Some(4)),
            "U64" | "I64" => (Dtype::Other, Some(8)),
            _ => (Dtype::Other, None),
        }
    }

    /// Bytes an element takes; 1 where nobody asks.
    pub fn size(self) -> usize {
        match self {
            Dtype::F64 => 8,
            Dtype::F32 => 4,
            Dtype::F16 | Dtype::Bf16 => 2,
            Dtype::Other => 1,
        }
    }

    /// As people write it.
    pub fn name(self) -> &'static str {
        match self {
            Dtype::F32 => "f32",
            Dtype::F16 => "f16",
            Dtype::Bf16 => "bf16",
            Dtype::F64 => "f64",
            Dtype::Other => "another type",
        }
    }
}

/// One tensor's place in the file.
#[derive(Debug, Clone, PartialEq)]
pub struct TensorInfo {
    pub name: String,
    pub dtype: Dtype,
    /// The type as the file calls it.
    pub kind: String,
    pub shape: Vec<usize>,
    /// First byte, counted from the end of the header; in a file of PyTorch's, from its beginning.
    pub start: u64,
    pub end: u64,
    /// Of all its bytes, where the file has one.
    pub crc: Option<u32>,
}

/// The file's table of contents, tensors in the order of their bytes.
#[derive(Debug, Clone, PartialEq)]
pub struct Header {
    pub tensors: Vec<TensorInfo>,
    /// Bytes of tensor data after the header.
    pub data_bytes: u64,
}

/// The length of the JSON header, from the file's first 8 bytes.
///
/// # Errors
/// [`Error::Weights`] when no header can be that long.
pub fn header_bytes(first: [u8; 8]) -> Result<usize> {
    let bytes = u64::from_le_bytes(first);
    if bytes == 0 || bytes > MOST_HEADER_BYTES {
        return Err(Error::Weights(format!(
            "is not a safetensors file or is damaged: its header claims {bytes} bytes. {AGAIN}"
        )));
    }
    Ok(bytes as usize)
}

/// The file's table of contents.
///
/// # Errors
/// As [`Header::parse`]; what reading fails with.
pub async fn contents(file: &impl Bytes) -> Result<Header> {
    let mut first = [0; 8];
    file.read_at(0, &mut first).await?;
    let mut json = vec![0; header_bytes(first)?];
    file.read_at(8, &mut json).await?;
    Header::parse(&json)
}

impl Header {
    /// Reads the JSON header and checks that the tensors cover the data without holes or overlaps.
    ///
    /// # Errors
    /// [`Error::Weights`] naming the first thing that is wrong.
    pub fn parse(json: &[u8]) -> Result<Self> {
        let entries: Entries = serde_json::from_slice(json)
            .map_err(|e| Error::Weights(format!("has a header that can't be read ({e}). {AGAIN}")))?;
        let mut tensors = Vec::new();
        for (name, entry) in entries.0 {
            tensors.push(entry.check(name)?);
        }
        tensors.sort_by_key(|t| (t.start, t.end));
        let mut data_bytes = 0;
        for tensor in &tensors {
            if tensor.start != data_bytes {
                return Err(damaged(&tensor.name, "does not start where the one before it ends"));
            }
            data_bytes = tensor.end;
        }
        if data_bytes > MOST_DATA_BYTES {
            return Err(Error::Weights(format!("is damaged: its header describes {data_bytes} bytes. {AGAIN}")));
        }
        Ok(Header { tensors, data_bytes })
    }
}

fn damaged(name: &str, what: &str) -> Error {
    Error::Weights(format!("is damaged: tensor {name} {what}. {AGAIN}"))
}

#[derive(Deserialize)]
struct Entry {
    dtype: String,
    #[serde(deserialize_with = "sides")]
    shape: Vec<u64>,
    data_offsets: (u64, u64),
}

impl Entry {
    fn check(self, name: String) -> Result<TensorInfo> {
        let (dtype, size) = Dtype::parse(&self.dtype);
        let (start, end) = self.data_offsets;
        let bytes = match size {
            Some(size) => self.shape.iter().try_fold(size, |bytes, &side| bytes.checked_mul(side)),
            None => end.checked_sub(start),
        };
        if bytes.is_none() || end.checked_sub(start) != bytes {
            return Err(damaged(&name, &format!("claims bytes {start} to {end}, which its shape does not fill")));
        }
        let shape: Option<Vec<usize>> = self.shape.iter().map(|&side| usize::try_from(side).ok()).collect();
        let shape = shape.ok_or_else(|| damaged(&name, "is too large for this machine"))?;
        Ok(TensorInfo { name, dtype, kind: self.dtype, shape, start, end, crc: None })
    }
}

/// A shape of not too many sides: a list of a million would be read before anybody could say that it is none.
fn sides<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Vec<u64>, D::Error> {
    struct Walk;
    impl<'de> Visitor<'de> for Walk {
        type Value = Vec<u64>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a shape")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> std::result::Result<Vec<u64>, A::Error> {
            let mut shape = Vec::new();
            while let Some(side) = list.next_element()? {
                if shape.len() == MOST_SIDES {
                    return Err(serde::de::Error::custom(format!("a shape has more than {MOST_SIDES} sides")));
                }
                shape.push(side);
            }
            Ok(shape)
        }
    }
    deserializer.deserialize_seq(Walk)
}

/// The header's entries in order; a plain map would let a duplicate win in silence.
struct Entries(Vec<(String, Entry)>);

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Walk;
        impl<'de> Visitor<'de> for Walk {
            type Value = Entries;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a map of tensors")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Entries, A::Error> {
                let mut entries = Vec::new();
                let mut seen = std::collections::HashSet::new();
                while let Some(name) = map.next_key::<String>()? {
                    if !seen.insert(name.clone()) {
                        return Err(serde::de::Error::custom(format!("{name} stands in it twice")));
                    }
                    if name == "__metadata__" {
                        map.next_value::<serde::de::IgnoredAny>()?;
                    } else {
                        entries.push((name, map.next_value()?));
                    }
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(Walk)
    }
}

//! Numbers as a file's bytes and back.

use std::collections::HashMap;

use safetensors::SafeTensorError;
use safetensors::tensor::{Dtype, SafeTensors};
use serde_json::{Map, Value, json};

use super::hash::sha256;
use crate::error::{Error, Result};

/// A tensor on its way into a file.
pub struct Part {
    pub name: String,
    pub dtype: Dtype,
    pub shape: Vec<usize>,
    pub bytes: Vec<u8>,
}

impl Part {
    pub fn new(name: &str, dtype: Dtype, shape: &[usize], bytes: impl Iterator<Item = u8>) -> Self {
        Part { name: name.to_owned(), dtype, shape: shape.to_vec(), bytes: bytes.collect() }
    }

    pub fn f32(name: &str, shape: &[usize], values: impl Iterator<Item = f32>) -> Self {
        Self::new(name, Dtype::F32, shape, values.flat_map(f32::to_le_bytes))
    }

    pub fn u32(name: &str, shape: &[usize], values: impl Iterator<Item = u32>) -> Self {
        Self::new(name, Dtype::U32, shape, values.flat_map(u32::to_le_bytes))
    }

    /// As u16 where that is enough for everything below `end`.
    pub fn ids(name: &str, shape: &[usize], end: usize, values: impl Iterator<Item = u32>) -> Self {
        match id_type(end) {
            Dtype::U16 => Self::new(name, Dtype::U16, shape, values.flat_map(|id| (id as u16).to_le_bytes())),
            _ => Self::u32(name, shape, values),
        }
    }
}

/// The type of ids below `end`.
pub fn id_type(end: usize) -> Dtype {
    if end <= 1 << 16 { Dtype::U16 } else { Dtype::U32 }
}

/// The parts as a file, with what it says of itself: for the same parts always the same bytes (the crate's own writer
/// shuffles the metadata).
pub fn file(parts: &[Part], metadata: impl IntoIterator<Item = (&'static str, String)>) -> Vec<u8> {
    let mut metadata: Map<String, Value> =
        metadata.into_iter().map(|(key, value)| (key.to_owned(), value.into())).collect();
    metadata.extend(parts.iter().map(|part| (hash_key(&part.name), sha256(&part.bytes).into())));
    let mut header = Map::from_iter([("__metadata__".to_owned(), Value::Object(metadata))]);
    let mut end = 0;
    for part in parts {
        let start = end;
        end += part.bytes.len();
        let entry = json!({"dtype": format!("{:?}", part.dtype), "shape": part.shape, "data_offsets": [start, end]});
        header.insert(part.name.clone(), entry);
    }
    let mut header = Value::Object(header).to_string().into_bytes();
    // as the format asks for, so that data begins at a multiple of eight
    header.resize(header.len().next_multiple_of(8), b' ');
    let mut file = Vec::with_capacity(8 + header.len() + end);
    file.extend((header.len() as u64).to_le_bytes());
    file.extend(header);
    parts.iter().for_each(|part| file.extend(&part.bytes));
    file
}

/// Where the metadata holds a tensor's hash.
fn hash_key(name: &str) -> String {
    format!("sha256.{name}")
}

/// A file to be read, nothing of it trusted.
pub struct Source<'a> {
    tensors: SafeTensors<'a>,
    metadata: HashMap<String, String>,
}

impl<'a> Source<'a> {
    /// # Errors
    /// [`Error::Table`] for what is no such file.
    pub fn open(file: &'a [u8]) -> Result<Self> {
        let no_table = |e: SafeTensorError| damaged(&format!("it is no table, or cut short ({e})"));
        let (_, header) = SafeTensors::read_metadata(file).map_err(no_table)?;
        let tensors = SafeTensors::deserialize(file).map_err(no_table)?;
        Ok(Source { tensors, metadata: header.metadata().clone().unwrap_or_default() })
    }

    fn bytes(&self, name: &str, dtype: Dtype, shape: &[usize]) -> Result<&'a [u8]> {
        let view = self.tensors.tensor(name).map_err(|_| damaged(&format!("it lacks {name}")))?;
        if view.dtype() != dtype || view.shape() != shape {
            return Err(damaged(&format!(
                "its {name} is {:?} {:?} where {dtype:?} {shape:?} belongs",
                view.dtype(),
                view.shape()
            )));
        }
        if self.metadata.get(&hash_key(name)) != Some(&sha256(view.data())) {
            return Err(damaged(&format!("its {name} is damaged (its hash is another than the file says)")));
        }
        Ok(view.data())
    }

    pub fn u8(&self, name: &str, shape: &[usize]) -> Result<Vec<u8>> {
        Ok(self.bytes(name, Dtype::U8, shape)?.to_vec())
    }

    pub fn f32(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let bytes = self.bytes(name, Dtype::F32, shape)?;
        let values: Vec<f32> = bytes.as_chunks::<4>().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
        match values.iter().all(|value| value.is_finite()) {
            true => Ok(values),
            false => Err(damaged(&format!("its {name} holds what is no number"))),
        }
    }

    pub fn f64(&self, name: &str, shape: &[usize]) -> Result<Vec<f64>> {
        let bytes = self.bytes(name, Dtype::F64, shape)?;
        Ok(bytes.as_chunks::<8>().0.iter().map(|&bytes| f64::from_le_bytes(bytes)).collect())
    }

    /// Numbers below `end`, in the type that suits them.
    pub fn ids(&self, name: &str, shape: &[usize], end: usize) -> Result<Vec<u32>> {
        let dtype = id_type(end);
        let bytes = self.bytes(name, dtype, shape)?;
        let ids: Vec<u32> = match dtype {
            Dtype::U16 => bytes.as_chunks::<2>().0.iter().map(|&bytes| u32::from(u16::from_le_bytes(bytes))).collect(),
            _ => bytes.as_chunks::<4>().0.iter().map(|&bytes| u32::from_le_bytes(bytes)).collect(),
        };
        match ids.iter().all(|&id| (id as usize) < end) {
            true => Ok(ids),
            false => Err(damaged(&format!("its {name} goes beyond {end}"))),
        }
    }

    pub fn u32(&self, name: &str, shape: &[usize]) -> Result<Vec<u32>> {
        let bytes = self.bytes(name, Dtype::U32, shape)?;
        Ok(bytes.as_chunks::<4>().0.iter().map(|&bytes| u32::from_le_bytes(bytes)).collect())
    }

    /// The length of a list.
    pub fn len(&self, name: &str) -> Result<usize> {
        let view = self.tensors.tensor(name).map_err(|_| damaged(&format!("it lacks {name}")))?;
        view.shape().first().copied().ok_or_else(|| damaged(&format!("its {name} is no list")))
    }
}

pub fn damaged(what: &str) -> Error {
    Error::Table(format!("can't be used: {what}. Get it again, or compute it here."))
}

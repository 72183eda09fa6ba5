//! `pytorch_model.bin`: where in the file each tensor lies, so that it can be read as a stream like any other.
//!
//! A zip whose members are stored as they are, or the form before that, pickles with the numbers behind them. Only the
//! table of contents is read here; the pickle is read for its tensors alone.

mod pickle;
mod zip;

use std::collections::HashMap;

use super::safetensors::{Dtype, Header, TensorInfo};
use crate::error::{Error, Result};
use pickle::{Pickle, Storage, Tensor};

/// Far above XL's 200 kB.
const MOST_PICKLE_BYTES: u64 = 16 << 20;
/// The old form says nowhere how long its pickles are.
const FIRST_LOOK_BYTES: u64 = 256 << 10;

/// A file that can be read from anywhere.
#[allow(async_fn_in_trait)] // futures stay on the thread that made them
pub trait Bytes {
    /// Fills `into` with the bytes from `at` on.
    ///
    /// # Errors
    /// Also where the file ends before.
    async fn read_at(&self, at: u64, into: &mut [u8]) -> Result<()>;
}

/// Where a storage's numbers are in the file.
struct Place {
    start: u64,
    end: u64,
    /// Of the whole storage, where the file says one.
    crc: Option<u32>,
}

/// The file's table of contents, its tensors' places counted from the file's beginning.
///
/// # Errors
/// [`Error::Weights`] saying what is wrong; what reading fails with.
pub async fn contents(file: &impl Bytes, len: u64) -> Result<Header> {
    look(file, len, true).await
}

/// The same before the file is here: names, types, shapes and lengths, but the places may be off by some bytes, since
/// only each member's own header says exactly where its numbers begin.
///
/// # Errors
/// As [`contents`].
pub async fn rough_contents(file: &impl Bytes, len: u64) -> Result<Header> {
    look(file, len, false).await
}

async fn look(file: &impl Bytes, len: u64, is_exact: bool) -> Result<Header> {
    let mut first = [0; 4];
    if len >= 4 {
        file.read_at(0, &mut first).await?;
    }
    let (pickle, places) = match first {
        [b'P', b'K', 3, 4] => zipped(file, len, is_exact).await?,
        [0x80, 2..=5, 0x8a, 0x0a] => plain(file, len).await?,
        _ => return Err(bad("is no file of PyTorch's, or is damaged.")),
    };
    let tensors = pickle.tensors().into_iter().map(|(name, tensor)| place(name, tensor, &places));
    let mut tensors: Vec<TensorInfo> = tensors.collect::<Result<_>>()?;
    if tensors.is_empty() {
        return Err(bad("holds no tensors under names of their own. A file of weights alone is needed, as \
                        torch.save(model.state_dict(), …) writes it."));
    }
    tensors.sort_by_key(|tensor| (tensor.start, tensor.end));
    Ok(Header { tensors, data_bytes: len })
}

/// A zip's member `…/data.pkl`, and its `…/data/KEY`.
async fn zipped(file: &impl Bytes, len: u64, is_exact: bool) -> Result<(Pickle, HashMap<String, Place>)> {
    let members = zip::members(file, len).await?;
    let is_pickle = |name: &&String| name.as_str() == "data.pkl" || name.ends_with("/data.pkl");
    let name = members.keys().filter(is_pickle).min().ok_or_else(|| bad("holds no data.pkl."))?;
    let folder = &name[..name.len() - "data.pkl".len()];
    let bytes = zip::read(file, &members[name], MOST_PICKLE_BYTES).await?;
    if let Some(order) = members.get(&format!("{folder}byteorder"))
        && zip::read(file, order, 16).await? != b"little"
    {
        return Err(bad("has its numbers in another order of bytes than any machine of today."));
    }
    let pickle = Pickle::read(&bytes).map_err(|why| bad(&why))?;
    let mut places = HashMap::new();
    for storage in pickle.storages() {
        if let Some(member) = members.get(&format!("{folder}data/{}", storage.key))
            && !places.contains_key(&storage.key)
        {
            let start = if is_exact { zip::start(file, member).await? } else { member.header };
            let place = Place { start, end: start + member.bytes, crc: Some(member.crc) };
            places.insert(storage.key.clone(), place);
        }
    }
    Ok((pickle, places))
}

/// The form before the zip: a magic number, a version, the machine's sizes, the tensors, the storages' keys, each as a
/// pickle; then each storage, its length before it.
async fn plain(file: &impl Bytes, len: u64) -> Result<(Pickle, HashMap<String, Place>)> {
    let mut look = FIRST_LOOK_BYTES;
    let (pickle, keys, end) = loop {
        let mut bytes = vec![0; usize::try_from(look.min(len)).unwrap_or(usize::MAX)];
        file.read_at(0, &mut bytes).await?;
        match pickles(&bytes) {
            Ok(found) => break found,
            Err(why) if look >= len || look >= MOST_PICKLE_BYTES => return Err(bad(&why)),
            Err(_) => look *= 4,
        }
    };
    let storages: HashMap<&str, &Storage> = pickle.storages().map(|storage| (storage.key.as_str(), storage)).collect();
    let mut places = HashMap::new();
    let mut at = end;
    for key in keys {
        let storage = storages.get(key.as_str()).ok_or_else(|| bad("names numbers that belong to no tensor."))?;
        let bytes = storage.numbers.checked_mul(storage.dtype().1).filter(|_| storage.dtype().1 > 0);
        let start = at + 8;
        let end = bytes.and_then(|bytes| start.checked_add(bytes)).filter(|&end| end <= len);
        let end = end.ok_or_else(|| bad("is cut short, or has numbers of a type that isn't known."))?;
        places.insert(key, Place { start, end, crc: None });
        at = end;
    }
    Ok((pickle, places))
}

fn pickles(bytes: &[u8]) -> std::result::Result<(Pickle, Vec<String>, u64), String> {
    let mut at = 0;
    let mut next = || {
        let pickle = Pickle::read(&bytes[at..])?;
        at += pickle.bytes;
        Ok::<_, String>(pickle)
    };
    let (_, version, _) = (next()?, next()?, next()?);
    if version.number() != Some(1001) {
        return Err("is of a version of PyTorch's form that isn't known.".into());
    }
    let (pickle, keys) = (next()?, next()?);
    let keys = keys.texts().into_iter().map(str::to_owned).collect();
    Ok((pickle, keys, at as u64))
}

fn place(name: &str, tensor: &Tensor, places: &HashMap<String, Place>) -> Result<TensorInfo> {
    let (dtype, size) = tensor.storage.dtype();
    let damaged = |what: &str| bad(&format!("is damaged: tensor {name} {what}."));
    let place = places.get(&tensor.storage.key).ok_or_else(|| damaged("has its numbers nowhere in the file"))?;
    let count = tensor.shape.iter().try_fold(1, |count: u64, &side| count.checked_mul(side));
    let range = count.and_then(|count| {
        let start = place.start.checked_add(tensor.offset.checked_mul(size)?)?;
        Some(start..start.checked_add(count.checked_mul(size)?)?)
    });
    let range = range.filter(|range| range.end <= place.end).ok_or_else(|| damaged("goes on past its numbers' end"))?;
    let shape: Option<Vec<usize>> = tensor.shape.iter().map(|&side| usize::try_from(side).ok()).collect();
    let shape = shape.ok_or_else(|| damaged("is too large for this machine"))?;
    // other orders are a tensor's that was turned about, and no saver of models leaves one so
    let dtype = if is_in_order(tensor) { dtype } else { Dtype::Other };
    let kind = if is_in_order(tensor) { tensor.storage.kind.clone() } else { "numbers in another order".to_owned() };
    let is_whole = (range.start, range.end) == (place.start, place.end);
    Ok(TensorInfo {
        name: name.to_owned(),
        dtype,
        kind,
        shape,
        start: range.start,
        end: range.end,
        crc: place.crc.filter(|_| is_whole),
    })
}

/// Whether its numbers lie row after row.
fn is_in_order(tensor: &Tensor) -> bool {
    let mut step = 1u64;
    tensor.shape.iter().zip(&tensor.strides).rev().all(|(&side, &stride)| {
        let is_next = side <= 1 || stride == step;
        step = step.saturating_mul(side.max(1));
        is_next
    })
}

fn bad(what: &str) -> Error {
    let what = what.strip_prefix("its ").map_or(what.to_owned(), |what| format!("is damaged: its {what}"));
    Error::Weights(format!("{what} Get the file again, or convert it to model.safetensors."))
}

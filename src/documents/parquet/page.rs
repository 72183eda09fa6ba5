//! One page of a column of texts: unpacked, and its values taken out.

use std::io::Read;

use super::levels::{deltas, hybrid};
use super::thrift::{Struct, take};

/// Most bytes of a page, packed or not: writers make them of about a megabyte.
pub const LONGEST_PAGE_BYTES: usize = 256 << 20;

/// What the column is like.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    pub codec: i64,
    /// Whether rows may lack a value.
    pub is_optional: bool,
}

type Outcome<T> = Result<T, String>;

fn damaged() -> String {
    "one of its pages is damaged. Get the file again.".into()
}

/// The entries of a dictionary page.
pub fn dictionary(header: &Struct, bytes: &[u8], column: Column) -> Outcome<Vec<String>> {
    let head = header.structure(7).ok_or_else(damaged)?;
    let bytes = unpack(bytes, column.codec, header.size(2).ok_or_else(damaged)?)?;
    plain(&bytes, head.size(1).ok_or_else(damaged)?)
}

/// The texts of a data page; rows without one are left out.
pub fn texts(header: &Struct, bytes: &[u8], column: Column, dictionary: &[String]) -> Outcome<Vec<String>> {
    let unpacked_bytes = header.size(2).ok_or_else(damaged)?;
    let unpacked;
    let (values, present, encoding) = match header.number(1) {
        Some(0) => {
            let head = header.structure(5).ok_or_else(damaged)?;
            unpacked = unpack(bytes, column.codec, unpacked_bytes)?;
            let (mut values, n) = (&unpacked[..], head.size(1).ok_or_else(damaged)?);
            let present = if column.is_optional {
                let len = take(&mut values, 4).and_then(|len| len.try_into().ok()).map(u32::from_le_bytes);
                let levels = len.and_then(|len| take(&mut values, len as usize)).ok_or_else(damaged)?;
                n_present(levels, n)?
            } else {
                n
            };
            (values, present, head.number(2))
        }
        Some(3) => {
            let head = header.structure(8).ok_or_else(damaged)?;
            let (mut rest, n) = (bytes, head.size(1).ok_or_else(damaged)?);
            let lens = head.size(6).zip(head.size(5)).ok_or_else(damaged)?;
            take(&mut rest, lens.0).ok_or_else(damaged)?;
            let levels = take(&mut rest, lens.1).ok_or_else(damaged)?;
            let present = if column.is_optional { n_present(levels, n)? } else { n };
            let left = unpacked_bytes.checked_sub(lens.0 + lens.1).ok_or_else(damaged)?;
            let codec = if head.bool(7).unwrap_or(true) { column.codec } else { 0 };
            unpacked = unpack(rest, codec, left)?;
            (&unpacked[..], present, head.number(4))
        }
        _ => return Ok(Vec::new()),
    };
    match encoding {
        Some(0) => plain(values, present),
        Some(2 | 8) => from_dictionary(values, present, dictionary),
        Some(6) => delta_lengths(values, present),
        other => Err(format!(
            "its texts are stored as encoding {}, which isn't read here. Write them plain or with a dictionary.",
            other.unwrap_or(-1)
        )),
    }
}

/// How many of `n` rows have a value.
fn n_present(levels: &[u8], n: usize) -> Outcome<usize> {
    if n > LONGEST_PAGE_BYTES {
        return Err(damaged());
    }
    let levels = hybrid(levels, 1, n).ok_or_else(damaged)?;
    Ok(levels.iter().filter(|&&level| level == 1).count())
}

fn text(bytes: &[u8]) -> Outcome<String> {
    String::from_utf8(bytes.to_vec()).map_err(|_| "one of its texts is not UTF-8.".into())
}

/// Each value after its length.
fn plain(mut bytes: &[u8], n: usize) -> Outcome<Vec<String>> {
    let mut texts = Vec::new();
    for _ in 0..n {
        let len = take(&mut bytes, 4).and_then(|len| len.try_into().ok()).map(u32::from_le_bytes);
        texts.push(text(len.and_then(|len| take(&mut bytes, len as usize)).ok_or_else(damaged)?)?);
    }
    Ok(texts)
}

fn from_dictionary(bytes: &[u8], n: usize, dictionary: &[String]) -> Outcome<Vec<String>> {
    if n == 0 {
        return Ok(Vec::new());
    }
    let (width, bytes) = bytes.split_first().ok_or_else(damaged)?;
    if n > LONGEST_PAGE_BYTES {
        return Err(damaged());
    }
    let entries = hybrid(bytes, usize::from(*width), n).ok_or_else(damaged)?;
    entries.into_iter().map(|at| dictionary.get(at as usize).cloned().ok_or_else(damaged)).collect()
}

/// All lengths, then all values.
fn delta_lengths(mut bytes: &[u8], n: usize) -> Outcome<Vec<String>> {
    let most = bytes.len().saturating_mul(8 * 128);
    let lens = deltas(&mut bytes, most).filter(|lens| lens.len() == n).ok_or_else(damaged)?;
    lens.into_iter()
        .map(|len| text(usize::try_from(len).ok().and_then(|len| take(&mut bytes, len)).ok_or_else(damaged)?))
        .collect()
}

/// Undoes a page's compression.
fn unpack(bytes: &[u8], codec: i64, unpacked_bytes: usize) -> Outcome<Vec<u8>> {
    if unpacked_bytes > LONGEST_PAGE_BYTES {
        return Err(damaged());
    }
    let unpacked = match codec {
        0 => bytes.to_vec(),
        1 => {
            let len = snap::raw::decompress_len(bytes).map_err(|_| damaged())?;
            if len != unpacked_bytes {
                return Err(damaged());
            }
            snap::raw::Decoder::new().decompress_vec(bytes).map_err(|_| damaged())?
        }
        2 => read(flate2::read::MultiGzDecoder::new(bytes), unpacked_bytes)?,
        6 => read(crate::documents::unpack::Zstd::new(bytes, bytes.len() as u64), unpacked_bytes)?,
        other => {
            let name = ["", "", "", "LZO", "Brotli", "LZ4", "", "LZ4"].get(other as usize).unwrap_or(&"something");
            return Err(format!("it is packed with {name}. Write it with Snappy, gzip or Zstandard."));
        }
    };
    if unpacked.len() == unpacked_bytes { Ok(unpacked) } else { Err(damaged()) }
}

fn read(packed: impl Read, bytes: usize) -> Outcome<Vec<u8>> {
    let mut unpacked = Vec::new();
    packed.take(bytes as u64 + 1).read_to_end(&mut unpacked).map_err(|_| damaged())?;
    Ok(unpacked)
}

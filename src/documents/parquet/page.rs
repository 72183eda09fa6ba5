//! One page of a column of texts: unpacked, and its values taken out.

use std::io::Read;
use std::rc::Rc;

use super::levels::{deltas, hybrid};
use super::thrift::{Struct, take};

/// Most rows of a page, and most texts that a page holds itself: writers end them at a megabyte.
const MOST_ROWS: usize = 1 << 20;
const MOST_TEXTS: usize = 1 << 18;

/// What the column is like.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    pub codec: i64,
    /// Whether rows may lack a value.
    pub is_optional: bool,
    /// Most bytes of an unpacked page.
    pub most_bytes: usize,
}

type Outcome<T> = Result<T, String>;

fn damaged() -> String {
    "one of its pages is damaged. Get the file again.".into()
}

/// The entries of a dictionary page.
pub fn dictionary(header: &Struct, bytes: &[u8], column: Column) -> Outcome<Vec<Rc<str>>> {
    let head = header.structure(7).ok_or_else(damaged)?;
    let bytes = unpack(bytes, column, header.size(2).ok_or_else(damaged)?)?;
    plain(&bytes, head.size(1).ok_or_else(damaged)?)
}

/// The rows of a data page, those without a text too; none of other pages.
///
/// # Errors
/// More than a page may have.
pub fn rows(header: &Struct) -> Outcome<usize> {
    let head = match header.number(1) {
        Some(0) => header.structure(5),
        Some(3) => header.structure(8),
        _ => return Ok(0),
    };
    let rows = head.and_then(|head| head.size(1)).ok_or_else(damaged)?;
    within(rows, MOST_ROWS).map(|()| rows)
}

/// The texts of a data page; rows without one are left out.
pub fn texts(header: &Struct, bytes: &[u8], column: Column, dictionary: &[Rc<str>]) -> Outcome<Vec<Rc<str>>> {
    let unpacked_bytes = header.size(2).ok_or_else(damaged)?;
    let unpacked;
    let (values, present, encoding) = match header.number(1) {
        Some(0) => {
            let head = header.structure(5).ok_or_else(damaged)?;
            unpacked = unpack(bytes, column, unpacked_bytes)?;
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
            // a page of nothing but nulls has nothing to unpack
            let is_packed = left > 0 && head.bool(7).unwrap_or(true);
            let codec = if is_packed { column.codec } else { 0 };
            unpacked = unpack(rest, Column { codec, ..column }, left)?;
            (&unpacked[..], present, head.number(4))
        }
        _ => return Ok(Vec::new()),
    };
    match encoding {
        Some(0) => plain(values, present),
        Some(2 | 8) => from_dictionary(values, present, dictionary),
        Some(6) => delta_lengths(values, present),
        Some(7) => delta_texts(values, present, column.most_bytes),
        other => Err(format!(
            "its texts are stored as encoding {}, which isn't read here. Write them plain or with a dictionary.",
            other.unwrap_or(-1)
        )),
    }
}

/// How many of `n` rows have a value.
fn n_present(levels: &[u8], n: usize) -> Outcome<usize> {
    let levels = hybrid(levels, 1, n).ok_or_else(damaged)?;
    Ok(levels.iter().filter(|&&level| level == 1).count())
}

fn within(n: usize, most: usize) -> Outcome<()> {
    if n <= most {
        Ok(())
    } else {
        Err(format!("one of its pages says that it has {n} rows, and {most} are the most."))
    }
}

fn text(bytes: &[u8]) -> Outcome<Rc<str>> {
    std::str::from_utf8(bytes).map(Rc::from).map_err(|_| "one of its texts is not UTF-8.".into())
}

/// Each value after its length.
fn plain(mut bytes: &[u8], n: usize) -> Outcome<Vec<Rc<str>>> {
    within(n, MOST_TEXTS)?;
    let mut texts = Vec::new();
    for _ in 0..n {
        let len = take(&mut bytes, 4).and_then(|len| len.try_into().ok()).map(u32::from_le_bytes);
        texts.push(text(len.and_then(|len| take(&mut bytes, len as usize)).ok_or_else(damaged)?)?);
    }
    Ok(texts)
}

fn from_dictionary(bytes: &[u8], n: usize, dictionary: &[Rc<str>]) -> Outcome<Vec<Rc<str>>> {
    if n == 0 {
        return Ok(Vec::new());
    }
    let (width, bytes) = bytes.split_first().ok_or_else(damaged)?;
    let entries = hybrid(bytes, usize::from(*width), n).ok_or_else(damaged)?;
    entries.into_iter().map(|at| dictionary.get(at as usize).cloned().ok_or_else(damaged)).collect()
}

/// All lengths, then all values.
fn delta_lengths(mut bytes: &[u8], n: usize) -> Outcome<Vec<Rc<str>>> {
    within(n, MOST_TEXTS)?;
    let lens = deltas(&mut bytes, n).filter(|lens| lens.len() == n).ok_or_else(damaged)?;
    lens.into_iter()
        .map(|len| text(usize::try_from(len).ok().and_then(|len| take(&mut bytes, len)).ok_or_else(damaged)?))
        .collect()
}

/// How much each has of the one before, then the rest of each as [`delta_lengths`] has it.
fn delta_texts(mut bytes: &[u8], n: usize, most_bytes: usize) -> Outcome<Vec<Rc<str>>> {
    within(n, MOST_TEXTS)?;
    let shared = deltas(&mut bytes, n).filter(|shared| shared.len() == n).ok_or_else(damaged)?;
    let lens = deltas(&mut bytes, n).filter(|lens| lens.len() == n).ok_or_else(damaged)?;
    let (mut texts, mut last, mut all) = (Vec::new(), Vec::new(), 0usize);
    for (shared, len) in shared.into_iter().zip(lens) {
        let shared = usize::try_from(shared).ok().filter(|&shared| shared <= last.len()).ok_or_else(damaged)?;
        let rest = usize::try_from(len).ok().and_then(|len| take(&mut bytes, len)).ok_or_else(damaged)?;
        last.truncate(shared);
        last.extend_from_slice(rest);
        all = all.saturating_add(last.len());
        if all > most_bytes {
            return Err("the texts of one of its pages are too long for a file of this size.".into());
        }
        texts.push(text(&last)?);
    }
    Ok(texts)
}

/// Undoes a page's compression.
fn unpack(bytes: &[u8], column: Column, unpacked_bytes: usize) -> Outcome<Vec<u8>> {
    if unpacked_bytes > column.most_bytes {
        let mib = column.most_bytes >> 20;
        return Err(format!("one of its pages is too long: unpacked, {mib} MiB are the most of a file of this size."));
    }
    let unpacked = match column.codec {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::documents::parquet::thrift;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    const COLUMN: Column = Column { codec: 0, is_optional: false, most_bytes: 1 << 20 };

    fn number(n: u64) -> Vec<u8> {
        let mut n = n << 1;
        let mut bytes = vec![0x15];
        while n > 127 {
            bytes.push(n as u8 | 128);
            n >>= 7;
        }
        bytes.push(n as u8);
        bytes
    }

    /// The header of a data page: bytes unpacked, rows, encoding.
    fn header(unpacked: u64, rows: u64, encoding: u64) -> Struct {
        let sizes = [number(0), number(unpacked), number(0)].concat();
        let data = [number(rows), number(encoding)].concat();
        thrift::read(&mut &[&sizes[..], &[0x2c], &data, &[0, 0]].concat()[..], 0).unwrap()
    }

    #[test]
    fn what_a_page_claims_is_bounded() {
        assert_eq!(rows(&header(9, 300, 0)), Ok(300));
        assert!(rows(&header(9, 1 << 31, 8)).is_err());
        assert!(texts(&header(2 << 20, 1, 0), b"", COLUMN, &[]).unwrap_err().contains("too long"));
        let empty = vec![0; 4 * (MOST_TEXTS + 1)];
        let many = header(empty.len() as u64, MOST_TEXTS as u64 + 1, 0);
        assert!(texts(&many, &empty, Column { most_bytes: 8 << 20, ..COLUMN }, &[]).is_err());
    }

    #[test]
    fn rows_share_their_dictionarys_entry() {
        let dictionary: [Rc<str>; 1] = ["pear ".repeat(1 << 16).into()];
        // width 0 and one run of a million
        let page = [0, 0x80, 0x80, 0x80, 1];
        let rows = texts(&header(5, 1 << 20, 8), &page, COLUMN, &dictionary).unwrap();
        assert_eq!(rows.len(), 1 << 20);
        assert!(rows.iter().all(|row| Rc::ptr_eq(row, &dictionary[0])));
    }

    #[test]
    fn a_footer_of_many_small_values_is_refused() {
        // a list of a million structs without a field
        let list = [&[0x19, 0xfc, 0xc0, 0x84, 0x3d][..], &vec![0; 1_000_001]].concat();
        assert!(thrift::read(&mut &list[..], list.len() as u64).is_none());
        assert!(thrift::read(&mut &list[..], 1 << 30).is_some());
    }
}

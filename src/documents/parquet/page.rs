//! One page of a column of texts: unpacked whole, and its values taken out one by one.

use super::levels::{Deltas, Hybrid, n_highest};
use super::room::Room;
use super::thrift::{Struct, take};
use super::unpack::unpack;

/// What the column is like.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    pub codec: i64,
    /// How many of what encloses a value, itself included, may be missing: a value is there at this level.
    pub highest: u32,
}

type Outcome<T> = Result<T, String>;

pub fn damaged() -> String {
    "one of its pages is damaged. Get the file again.".into()
}

/// The entries of a dictionary page.
#[derive(Debug, Default)]
pub struct Dictionary {
    bytes: Vec<u8>,
    /// Where each entry's length is.
    starts: Vec<u32>,
}

impl Dictionary {
    pub fn read(header: &Struct, bytes: &[u8], column: Column, room: &Room) -> Outcome<Self> {
        let n = header.structure(7).and_then(|head| head.size(1)).ok_or_else(damaged)?;
        let bytes = unpack(bytes, column.codec, header.size(2).ok_or_else(damaged)?, room)?;
        // each entry has its length in four bytes
        let mut starts = Vec::with_capacity(n.min(bytes.len() / 4));
        let mut at = 0;
        for _ in 0..n {
            starts.push(u32::try_from(at).map_err(|_| damaged())?);
            plain(&bytes, &mut at).ok_or_else(damaged)?;
        }
        Ok(Dictionary { bytes, starts })
    }

    fn get(&self, entry: u32) -> Option<&[u8]> {
        plain(&self.bytes, &mut (*self.starts.get(entry as usize)? as usize))
    }

    pub fn memory_bytes(&self) -> usize {
        self.bytes.len() + 4 * self.starts.len()
    }
}

/// The rows of a data page, those without a text too; none of other pages.
pub fn rows(header: &Struct) -> Outcome<usize> {
    let head = match header.number(1) {
        Some(0) => header.structure(5),
        Some(3) => header.structure(8),
        _ => return Ok(0),
    };
    head.and_then(|head| head.size(1)).ok_or_else(damaged)
}

/// A data page's texts; rows without one are left out.
#[derive(Debug)]
pub struct Page {
    bytes: Vec<u8>,
    /// Texts still to come.
    left: usize,
    values: Values,
}

/// How the texts lie in the page's bytes.
#[derive(Debug)]
enum Values {
    /// Each after its length.
    Plain { at: usize },
    /// Entries of the dictionary.
    Entries(Hybrid),
    /// All lengths, then all texts.
    Lengths { lens: Deltas, at: usize },
    /// How much each has of the one before, then the rest of each as lengths and texts.
    Prefixes { shared: Deltas, lens: Deltas, at: usize, last: Vec<u8> },
}

impl Default for Page {
    fn default() -> Self {
        Page { bytes: Vec::new(), left: 0, values: Values::Plain { at: 0 } }
    }
}

impl Page {
    /// A data page, or an empty one of other kinds.
    pub fn read(header: &Struct, bytes: &[u8], column: Column, room: &Room) -> Outcome<Self> {
        let unpacked_bytes = header.size(2).ok_or_else(damaged)?;
        match header.number(1) {
            Some(0) => {
                let head = header.structure(5).ok_or_else(damaged)?;
                let unpacked = unpack(bytes, column.codec, unpacked_bytes, room)?;
                let n = head.size(1).ok_or_else(damaged)?;
                let (mut at, mut left) = (0, n);
                if column.highest > 0 {
                    let levels = plain(&unpacked, &mut at).ok_or_else(damaged)?;
                    left = n_highest(levels, n, column.highest).ok_or_else(damaged)?;
                }
                Page::of(unpacked, at, left, head.number(2))
            }
            Some(3) => {
                let head = header.structure(8).ok_or_else(damaged)?;
                let (mut rest, n) = (bytes, head.size(1).ok_or_else(damaged)?);
                let (repeats, levels) = head.size(6).zip(head.size(5)).ok_or_else(damaged)?;
                take(&mut rest, repeats).ok_or_else(damaged)?;
                let levels = take(&mut rest, levels).ok_or_else(damaged)?;
                let mut left = n;
                if column.highest > 0 {
                    left = n_highest(levels, n, column.highest).ok_or_else(damaged)?;
                }
                let n_bytes = unpacked_bytes.checked_sub(repeats + levels.len()).ok_or_else(damaged)?;
                // a page of nothing but nulls has nothing to unpack
                let is_packed = n_bytes > 0 && head.bool(7).unwrap_or(true);
                let unpacked = unpack(rest, if is_packed { column.codec } else { 0 }, n_bytes, room)?;
                Page::of(unpacked, 0, left, head.number(4))
            }
            _ => Ok(Page::default()),
        }
    }

    /// `left` texts from `bytes[at]` on.
    fn of(bytes: Vec<u8>, at: usize, left: usize, encoding: Option<i64>) -> Outcome<Self> {
        if left == 0 {
            return Ok(Page::default());
        }
        let values = match encoding {
            Some(0) => Some(Values::Plain { at }),
            Some(2 | 8) => bytes
                .get(at)
                .and_then(|&width| Hybrid::new(&bytes, at + 1, bytes.len(), usize::from(width)).map(Values::Entries)),
            Some(6) => {
                Deltas::new(&bytes, at, left).and_then(|lens| Some(Values::Lengths { at: lens.end(&bytes)?, lens }))
            }
            Some(7) => Deltas::new(&bytes, at, left).and_then(|shared| {
                let lens = Deltas::new(&bytes, shared.end(&bytes)?, left)?;
                Some(Values::Prefixes { at: lens.end(&bytes)?, shared, lens, last: Vec::new() })
            }),
            other => {
                return Err(format!(
                    "its texts are stored as encoding {}, which isn't read here. Write them plain or with a dictionary.",
                    other.unwrap_or(-1)
                ));
            }
        };
        Ok(Page { left, values: values.ok_or_else(damaged)?, bytes })
    }

    pub fn memory_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The next text's bytes.
    pub fn next<'a>(&'a mut self, dictionary: &'a Dictionary) -> Outcome<Option<&'a [u8]>> {
        if self.left == 0 {
            // what is all taken out needn't be held
            self.bytes = Vec::new();
            return Ok(None);
        }
        self.left -= 1;
        let bytes = &self.bytes[..];
        let text = match &mut self.values {
            Values::Plain { at } => plain(bytes, at),
            Values::Entries(entries) => entries.next(bytes, 1).and_then(|(entry, _)| dictionary.get(entry)),
            Values::Lengths { lens, at } => lens.next(bytes).and_then(|len| piece(bytes, at, len)),
            Values::Prefixes { shared, lens, at, last } => {
                let (shared, len) = shared.next(bytes).zip(lens.next(bytes)).ok_or_else(damaged)?;
                let shared = usize::try_from(shared).ok().filter(|&n| n <= last.len()).ok_or_else(damaged)?;
                let rest = piece(bytes, at, len).ok_or_else(damaged)?;
                last.truncate(shared);
                last.reserve_exact(rest.len());
                last.extend_from_slice(rest);
                Some(&last[..])
            }
        };
        text.map(Some).ok_or_else(damaged)
    }
}

/// What lies at `at` after its length in four bytes.
fn plain<'a>(bytes: &'a [u8], at: &mut usize) -> Option<&'a [u8]> {
    let len = bytes.get(*at..)?.first_chunk::<4>()?;
    *at += len.len();
    piece(bytes, at, i64::from(u32::from_le_bytes(*len)))
}

/// The next `len` bytes.
fn piece<'a>(bytes: &'a [u8], at: &mut usize, len: i64) -> Option<&'a [u8]> {
    let end = at.checked_add(usize::try_from(len).ok()?)?;
    let piece = bytes.get(*at..end)?;
    *at = end;
    Some(piece)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::documents::parquet::thrift;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    const COLUMN: Column = Column { codec: 0, highest: 0 };

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
        let room = Room::of(1000);
        assert_eq!(rows(&header(9, 300, 0)), Ok(300));
        for codec in [0, 1, 2, 4, 6, 7] {
            let why = Page::read(&header(1 << 30, 1, 0), b"", Column { codec, ..COLUMN }, &room).unwrap_err();
            assert!(why.contains("MB of memory, and 54 are the most"), "{why}");
        }
    }

    #[test]
    fn rows_of_one_entry_take_no_memory_each() {
        let entry = "pear ".repeat(1 << 16);
        let bytes = [&(entry.len() as u32).to_le_bytes()[..], entry.as_bytes()].concat();
        let dictionary = Dictionary { bytes, starts: vec![0] };
        // width 0 and one run of a million
        let page = [0, 0x80, 0x80, 0x80, 1];
        let mut rows = Page::read(&header(5, 1 << 20, 8), &page, COLUMN, &Room::of(5)).unwrap();
        let mut n = 0;
        while let Some(row) = rows.next(&dictionary).unwrap() {
            assert_eq!(row.len(), entry.len());
            n += 1;
        }
        assert_eq!(n, 1 << 20);
    }

    #[test]
    fn a_footer_of_many_small_values_is_refused() {
        // a list of a million structs without a field
        let list = [&[0x19, 0xfc, 0xc0, 0x84, 0x3d][..], &vec![0; 1_000_001]].concat();
        assert!(thrift::read(&mut &list[..], list.len() as u64).is_none());
        assert!(thrift::read(&mut &list[..], 1 << 30).is_some());
    }
}

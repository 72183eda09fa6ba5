//! The texts of a parquet file, page by page.
//!
//! The well-kept crate weighs half a megabyte in the worker, gzipped, and reads no Zstandard in wasm; what a column of
//! texts needs of the format fits into a few hundred lines. Nested columns and encrypted files are refused.

mod levels;
mod page;
mod thrift;

use std::cell::Cell;
use std::collections::VecDeque;
use std::rc::Rc;

use super::broken;
use super::source::Source;
use page::Column;
use thrift::Struct;

/// Longest footer: those of a thousand row groups have some megabytes.
const LONGEST_FOOTER_BYTES: u64 = 64 << 20;
/// A page's header is far shorter than this, unless it holds the longest texts as statistics.
const HEADER_BYTES: usize = 1 << 14;
const LONGEST_HEADER_BYTES: usize = 16 << 20;

/// Most bytes of an unpacked page beyond the file's own, and of any.
const PAGE_ROOM_BYTES: u64 = 12 << 20;
const LONGEST_PAGE_BYTES: u64 = 256 << 20;
/// Most rows of a file: so many, and so many for each of its bytes. More are a damaged file's, or a malicious one's.
const ROWS: u64 = 10_000;
const ROWS_A_BYTE: u64 = 1000;

/// Columns that a message lists, and characters of each.
const LISTED: usize = 20;
const LISTED_CHARS: usize = 60;

type Outcome<T> = Result<T, String>;

/// One column chunk's place in the file.
#[derive(Debug, Clone, Copy)]
struct Chunk {
    start: u64,
    end: u64,
    rows: u64,
    column: Column,
}

/// The column `text` of a file.
pub struct Texts {
    file: Rc<dyn Source>,
    read_bytes: Rc<Cell<u64>>,
    chunks: VecDeque<Chunk>,
    /// Where the next page of the first chunk begins.
    at: u64,
    /// Rows of that chunk which are still to come.
    rows: u64,
    dictionary: Vec<Rc<str>>,
    page: VecDeque<Rc<str>>,
}

impl Texts {
    pub fn open(file: Rc<dyn Source>, read_bytes: Rc<Cell<u64>>) -> Outcome<Self> {
        let len = file.len_bytes();
        let no_parquet = || "it is no parquet file, or cut short. Get it again.".to_owned();
        let tail = read(&*file, len.checked_sub(8).ok_or_else(no_parquet)?, 8)?;
        let footer_bytes = match tail.split_first_chunk::<4>() {
            Some((bytes, b"PAR1")) => u64::from(u32::from_le_bytes(*bytes)),
            _ => return Err(no_parquet()),
        };
        if footer_bytes > LONGEST_FOOTER_BYTES || footer_bytes + 12 > len {
            return Err(no_parquet());
        }
        let footer = read(&*file, len - 8 - footer_bytes, footer_bytes as usize)?;
        let footer = thrift::read(&mut &footer[..], len).ok_or_else(no_parquet)?;
        let (path, is_optional) = text_column(&footer)?;
        // what is unpacked is held twice for a moment
        let most_bytes = LONGEST_PAGE_BYTES.min(len.saturating_add(PAGE_ROOM_BYTES)) as usize;
        let column = Column { codec: 0, is_optional, most_bytes };
        let chunk = |group: &Struct| chunk(group, &path, column).filter(|chunk| chunk.end <= len);
        let groups = footer.structs(4).filter(|group| group.number(3) != Some(0));
        let chunks: VecDeque<Chunk> =
            groups.map(|group| chunk(group).ok_or_else(no_parquet)).collect::<Outcome<_>>()?;
        let rows = chunks.iter().fold(0u64, |rows, chunk| rows.saturating_add(chunk.rows));
        if rows > len.saturating_mul(ROWS_A_BYTE).saturating_add(ROWS) {
            return Err(format!("it says that it has {rows} rows, in {len} bytes. It is damaged: get it again."));
        }
        let (dictionary, page) = (Vec::new(), VecDeque::new());
        let mut texts = Texts { file, read_bytes, chunks, at: 0, rows: 0, dictionary, page };
        texts.begin_chunk();
        Ok(texts)
    }

    fn begin_chunk(&mut self) {
        (self.at, self.rows) = self.chunks.front().map_or((0, 0), |chunk| (chunk.start, chunk.rows));
        self.dictionary.clear();
    }

    pub fn next_text(&mut self) -> Outcome<Option<String>> {
        loop {
            if let Some(text) = self.page.pop_front() {
                return Ok(Some(text.to_string()));
            }
            let Some(&chunk) = self.chunks.front() else {
                // other columns count as read with this one
                return Ok(None);
            };
            if self.at >= chunk.end {
                if self.rows > 0 {
                    return Err(format!("it lacks {} rows that it says it has. Get it again.", self.rows));
                }
                self.chunks.pop_front();
                self.begin_chunk();
                continue;
            }
            self.next_page(chunk)?;
        }
    }

    fn next_page(&mut self, chunk: Chunk) -> Outcome<()> {
        let (header, header_bytes) = self.header(chunk)?;
        let rows = page::rows(&header)? as u64;
        self.rows = self.rows.checked_sub(rows).ok_or("it has more rows than it says. Get it again.")?;
        let bytes = header.size(3).ok_or("one of its pages is damaged. Get the file again.")?;
        let page = read(&*self.file, self.at + header_bytes as u64, bytes)?;
        if header.number(1) == Some(2) {
            self.dictionary = page::dictionary(&header, &page, chunk.column)?;
        } else {
            self.page = page::texts(&header, &page, chunk.column, &self.dictionary)?.into();
        }
        let all = (header_bytes + bytes) as u64;
        self.at += all;
        self.read_bytes.set(self.read_bytes.get() + all);
        Ok(())
    }

    /// The page's header at `at`, and its length.
    fn header(&self, chunk: Chunk) -> Outcome<(Struct, usize)> {
        let mut room = HEADER_BYTES;
        loop {
            let room_now = room.min(usize::try_from(chunk.end - self.at).unwrap_or(room));
            let bytes = read(&*self.file, self.at, room_now)?;
            let mut rest = &bytes[..];
            if let Some(header) = thrift::read(&mut rest, 0) {
                return Ok((header, bytes.len() - rest.len()));
            }
            if room_now < room || room >= LONGEST_HEADER_BYTES {
                return Err("one of its pages is damaged. Get the file again.".into());
            }
            room *= 16;
        }
    }
}

/// The name of the column with the texts, and whether rows may lack one. A column of another name is never taken for it.
fn text_column(footer: &Struct) -> Outcome<(String, bool)> {
    let schema: Vec<&Struct> = footer.structs(2).collect();
    let mut names = Vec::new();
    let mut at = 1;
    while let Some(element) = schema.get(at) {
        let name = element.text(4).unwrap_or_default();
        // a column at the top is a leaf of strings that doesn't repeat
        let is_leaf = element.number(5).unwrap_or(0) == 0;
        if name == "text" && is_leaf && element.number(1) == Some(6) && element.number(3) != Some(2) {
            return Ok((name.to_owned(), element.number(3) == Some(1)));
        }
        if names.len() < LISTED {
            names.push(format!("{:?}", name.chars().take(LISTED_CHARS).collect::<String>()));
        }
        at = past(&schema, at);
    }
    Err(format!("it has no column \"text\" of texts. Its columns: {}. Rename the one that is meant.", names.join(", ")))
}

/// Where the next element begins after `at` and all that is inside it.
fn past(schema: &[&Struct], at: usize) -> usize {
    let (mut next, mut left) = (at, 1u64);
    while left > 0 && next < schema.len() {
        left = left - 1 + schema[next].number(5).and_then(|n| u64::try_from(n).ok()).unwrap_or(0);
        next += 1;
    }
    next
}

/// The column's part of one row group.
fn chunk(group: &Struct, path: &str, column: Column) -> Option<Chunk> {
    let is_it = |data: &&Struct| matches!(data.list(3), [thrift::Value::Bytes(name)] if name == path.as_bytes());
    let data = group.structs(1).filter_map(|column| column.structure(3)).find(is_it)?;
    let pages = u64::try_from(data.number(9)?).ok()?;
    let dictionary = data.number(11).and_then(|at| u64::try_from(at).ok()).filter(|&at| at > 0);
    let start = dictionary.map_or(pages, |at| at.min(pages));
    let end = start.checked_add(u64::try_from(data.number(7)?).ok()?)?;
    let rows = u64::try_from(group.number(3)?).ok()?;
    // a column at the top has a value, or none, in each row
    if data.number(5)? != group.number(3)? {
        return None;
    }
    Some(Chunk { start, end, rows, column: Column { codec: data.number(4)?, ..column } })
}

fn read(file: &dyn Source, start: u64, len: usize) -> Outcome<Vec<u8>> {
    // the length is the file's word: nothing is set aside for more than there is
    if start.checked_add(len as u64).is_none_or(|end| end > file.len_bytes()) {
        return Err("it is cut short. Get it again.".into());
    }
    let (mut bytes, mut done) = (vec![0; len], 0);
    while done < len {
        match file.read_at(start + done as u64, &mut bytes[done..]).map_err(|e| broken(&e))? {
            0 => return Err("it is cut short. Get it again.".into()),
            n => done += n,
        }
    }
    Ok(bytes)
}

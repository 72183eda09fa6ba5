//! The texts of a parquet file, page by page.
//!
//! The well-kept crate `parquet` (56, without Zstandard, before wasm-opt) is a wasm program of 694,551 bytes, gzipped, beside a
//! whole reader's 328,581; what a column of texts needs of the format fits into some hundred lines, whose memory is bounded
//! before anything is unpacked. Columns that repeat and encrypted files are refused.

mod levels;
mod page;
mod room;
mod schema;
mod thrift;
mod unpack;

use std::cell::Cell;
use std::collections::VecDeque;
use std::rc::Rc;

use super::json::Key;
use super::source::Source;
use super::text::utf8;
use super::{Next, broken};
use page::{Column, Dictionary, Page};
use room::Room;
use schema::TextColumn;
use thrift::Struct;

/// Longest footer: those of a thousand row groups have some megabytes.
const LONGEST_FOOTER_BYTES: u64 = 64 << 20;
/// A page's header is far shorter than this, unless it holds the longest texts as statistics.
const HEADER_BYTES: usize = 1 << 14;
const LONGEST_HEADER_BYTES: usize = 16 << 20;
/// Most rows of a file: so many, and so many for each of its bytes. More are a damaged file's, or a malicious one's.
const ROWS: u64 = 10_000;
const ROWS_A_BYTE: u64 = 1000;

type Outcome<T> = Result<T, String>;

/// One column chunk's place in the file.
#[derive(Debug, Clone, Copy)]
struct Chunk {
    start: u64,
    end: u64,
    rows: u64,
    column: Column,
}

/// The column of texts of a file.
pub struct Texts {
    file: Rc<dyn Source>,
    counts: Counts,
    chunks: VecDeque<Chunk>,
    /// Where the next page of the first chunk begins.
    at: u64,
    /// Rows of that chunk which are still to come.
    rows: u64,
    room: Room,
    dictionary: Dictionary,
    page: Page,
}

/// What is counted over all files.
#[derive(Debug, Clone, Default)]
pub struct Counts {
    /// Bytes read.
    pub read: Rc<Cell<u64>>,
    /// Bytes that were no UTF-8, and were replaced.
    pub replaced: Rc<Cell<u64>>,
}

/// Under which names a file has columns of texts.
///
/// # Errors
/// A file that isn't parquet.
pub fn keys(file: &dyn Source) -> Outcome<Vec<String>> {
    Ok(schema::columns(&footer(file)?).0.iter().map(TextColumn::name).collect())
}

fn no_parquet() -> String {
    "it is no parquet file, or cut short. Get it again.".to_owned()
}

fn footer(file: &dyn Source) -> Outcome<Struct> {
    let len = file.len_bytes();
    let tail = read(file, len.checked_sub(8).ok_or_else(no_parquet)?, 8)?;
    let footer_bytes = match tail.split_first_chunk::<4>() {
        Some((bytes, b"PAR1")) => u64::from(u32::from_le_bytes(*bytes)),
        _ => return Err(no_parquet()),
    };
    if footer_bytes > LONGEST_FOOTER_BYTES || footer_bytes + 12 > len {
        return Err(no_parquet());
    }
    let footer = read(file, len - 8 - footer_bytes, footer_bytes as usize)?;
    thrift::read(&mut &footer[..], len).ok_or_else(no_parquet)
}

impl Texts {
    pub fn open(file: Rc<dyn Source>, key: &Key, counts: Counts) -> Outcome<Self> {
        let len = file.len_bytes();
        let footer = footer(&*file)?;
        let text = schema::text_column(&footer, key)?;
        let chunk = |group: &Struct| chunk(group, &text).filter(|chunk| chunk.end <= len);
        let groups = footer.structs(4).filter(|group| group.number(3) != Some(0));
        let chunks: VecDeque<Chunk> =
            groups.map(|group| chunk(group).ok_or_else(no_parquet)).collect::<Outcome<_>>()?;
        let rows = chunks.iter().fold(0u64, |rows, chunk| rows.saturating_add(chunk.rows));
        if rows > len.saturating_mul(ROWS_A_BYTE).saturating_add(ROWS) {
            return Err(format!("it says that it has {rows} rows, in {len} bytes. It is damaged: get it again."));
        }
        let (dictionary, page) = (Dictionary::default(), Page::default());
        let mut texts = Texts { file, counts, chunks, at: 0, rows: 0, room: Room::of(len), dictionary, page };
        texts.begin_chunk();
        Ok(texts)
    }

    fn begin_chunk(&mut self) {
        (self.at, self.rows) = self.chunks.front().map_or((0, 0), |chunk| (chunk.start, chunk.rows));
        self.dictionary = Dictionary::default();
    }

    pub fn next_text(&mut self) -> Outcome<Next> {
        let held = self.dictionary.memory_bytes() + self.page.memory_bytes();
        if let Some(bytes) = self.page.next(&self.dictionary)? {
            // bytes that are no UTF-8 become three each
            let is_utf8 = std::str::from_utf8(bytes).is_ok();
            let bytes_needed = if is_utf8 { bytes.len() } else { bytes.len().saturating_mul(9) };
            self.room.besides(held).fits(bytes_needed as u64)?;
            return Ok(Next::Text(utf8(bytes, &self.counts.replaced)));
        }
        let Some(&chunk) = self.chunks.front() else {
            // other columns count as read with this one
            return Ok(Next::End);
        };
        if self.at >= chunk.end {
            if self.rows > 0 {
                return Err(format!("it lacks {} rows that it says it has. Get it again.", self.rows));
            }
            self.chunks.pop_front();
            self.begin_chunk();
        } else {
            self.next_page(chunk)?;
        }
        Ok(Next::Nothing)
    }

    fn next_page(&mut self, chunk: Chunk) -> Outcome<()> {
        let (header, header_bytes) = self.header(chunk)?;
        let rows = page::rows(&header)? as u64;
        self.rows = self.rows.checked_sub(rows).ok_or("it has more rows than it says. Get it again.")?;
        let bytes = header.size(3).ok_or_else(page::damaged)?;
        let is_dictionary = header.number(1) == Some(2);
        if is_dictionary {
            // the one before is no longer needed
            self.dictionary = Dictionary::default();
        }
        let room = self.room.besides(self.dictionary.memory_bytes());
        room.fits(bytes as u64)?;
        let packed = read(&*self.file, self.at + header_bytes as u64, bytes)?;
        let room = room.besides(packed.len());
        if is_dictionary {
            self.dictionary = Dictionary::read(&header, &packed, chunk.column, &room)?;
        } else {
            self.page = Page::read(&header, &packed, chunk.column, &room)?;
        }
        let all = (header_bytes + bytes) as u64;
        self.at += all;
        self.counts.read.set(self.counts.read.get() + all);
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

/// The column's part of one row group.
fn chunk(group: &Struct, text: &TextColumn) -> Option<Chunk> {
    let is_it = |data: &&Struct| {
        let names = data.list(3).iter().map(|name| match name {
            thrift::Value::Bytes(name) => &name[..],
            _ => &[],
        });
        names.eq(text.path.iter().map(String::as_bytes))
    };
    let data = group.structs(1).filter_map(|column| column.structure(3)).find(is_it)?;
    let pages = u64::try_from(data.number(9)?).ok()?;
    let dictionary = data.number(11).and_then(|at| u64::try_from(at).ok()).filter(|&at| at > 0);
    let start = dictionary.map_or(pages, |at| at.min(pages));
    let end = start.checked_add(u64::try_from(data.number(7)?).ok()?)?;
    let rows = u64::try_from(group.number(3)?).ok()?;
    // a column that doesn't repeat has a value, or none, in each row
    if data.number(5)? != group.number(3)? {
        return None;
    }
    Some(Chunk { start, end, rows, column: Column { codec: data.number(4)?, highest: text.highest } })
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

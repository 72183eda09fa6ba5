//! Texts out of files, one after the other: never a whole file in memory.
//!
//! `.txt` is one document; `.jsonl` has one in each line, `.json` too, or a list of texts or of objects; `.parquet` has a
//! column of them; `.gz` and `.zst` of the first three are unpacked on the way. Objects and columns are asked for `text`,
//! or for another key that was chosen.

mod json;
mod parquet;
mod pieces;
mod source;
mod text;
mod unpack;

use std::cell::Cell;
use std::collections::VecDeque;
use std::io::BufRead;
use std::rc::Rc;

use crate::error::{Error, Result};
use crate::model::tokenizer::cuts::Cut;
use json::Key;
use parquet::Counts;
pub use pieces::Piece;
use pieces::Pieces;
use source::SourceReader;
pub use source::{Memory, Source};
use text::Utf8;
use unpack::Packing;

/// Most bytes of one line or one value of JSON: more is some other kind of file.
const LONGEST_BYTES: u64 = 64 << 20;
/// What such a value may take of memory for any file, and for each of the file's bytes.
const ROOM_BYTES: u64 = 56 << 20;
const ROOM_SHARE: u64 = 3;

/// The documents of several files, in order.
pub struct Documents {
    files: VecDeque<Rc<dyn Source>>,
    open: Option<(String, Texts)>,
    /// What is left of the document that was read last.
    rest: Option<Pieces>,
    key: Key,
    cut: Cut,
    counts: Counts,
}

/// The texts of one file.
enum Texts {
    /// A whole file of plain text, already in pieces.
    Plain(pieces::TextFile),
    Json(json::Texts),
    Parquet(Box<parquet::Texts>),
}

/// What a reader has come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next<T = String> {
    Text(T),
    /// Nothing so far, but perhaps there is more: ask again.
    Nothing,
    End,
}

impl Documents {
    pub fn new(files: impl IntoIterator<Item = Rc<dyn Source>>) -> Self {
        let (files, cut) = (files.into_iter().collect(), Cut::Anywhere);
        Documents { files, open: None, rest: None, key: Key::default(), cut, counts: Counts::default() }
    }

    /// Looks for texts under another key than `text`.
    pub fn under(self, key: Option<String>) -> Self {
        Documents { key: Key(key), ..self }
    }

    /// Cuts long documents there only.
    pub fn cut_at(self, cut: Cut) -> Self {
        Documents { cut, ..self }
    }

    /// Where long documents are cut.
    pub fn cut(&self) -> Cut {
        self.cut
    }

    /// Counts the bytes read so far, of all files.
    pub fn read_bytes(&self) -> Rc<Cell<u64>> {
        self.counts.read.clone()
    }

    /// Bytes so far that were no UTF-8 and were replaced, of all files.
    pub fn replaced_bytes(&self) -> u64 {
        self.counts.replaced.get()
    }

    /// All texts that are left, whole, for who has room for them.
    ///
    /// # Errors
    /// As [`Self::next_piece`].
    pub fn whole_texts(&mut self) -> Result<Vec<String>> {
        let mut texts: Vec<String> = Vec::new();
        loop {
            match self.next_piece()? {
                Next::Text(piece) => match texts.last_mut() {
                    Some(text) if !piece.starts => text.push_str(&piece.text),
                    _ => texts.push(piece.text),
                },
                Next::Nothing => {}
                Next::End => return Ok(texts),
            }
        }
    }

    /// The next piece of text. Now and then there is none although there may be more, so that whoever reads can do
    /// something else.
    ///
    /// # Errors
    /// [`Error::Read`] naming the file and what is wrong with it.
    pub fn next_piece(&mut self) -> Result<Next<Piece>> {
        loop {
            let Some((name, texts)) = &mut self.open else {
                let Some(file) = self.files.pop_front() else { return Ok(Next::End) };
                let texts = self.texts(file.clone()).map_err(|why| unreadable(file.name(), why))?;
                self.open = Some((file.name().to_owned(), texts));
                continue;
            };
            if let Some(rest) = &mut self.rest {
                if let Some(piece) = rest.next(self.cut).map_err(|why| unreadable(name, why))? {
                    return Ok(Next::Text(piece));
                }
                self.rest = None;
            }
            let next = match texts {
                Texts::Plain(file) => match file.next_piece(self.cut) {
                    Ok(Next::Text(piece)) => return Ok(Next::Text(piece)),
                    Ok(Next::Nothing) => Ok(Next::Nothing),
                    Ok(Next::End) => Ok(Next::End),
                    Err(why) => Err(why),
                },
                Texts::Json(values) => values.next_text(),
                Texts::Parquet(column) => column.next_text(),
            };
            match next.map_err(|why| unreadable(name, why))? {
                Next::Text(text) => self.rest = Some(Pieces::new(text)),
                Next::Nothing => return Ok(Next::Nothing),
                Next::End => self.open = None,
            }
        }
    }

    fn texts(&self, file: Rc<dyn Source>) -> std::result::Result<Texts, String> {
        let reader = |packing: Option<Packing>| -> std::result::Result<Box<dyn BufRead>, String> {
            let bytes = SourceReader::new(file.clone(), self.counts.read.clone());
            let bytes: Box<dyn std::io::Read> = match packing {
                Some(packing) => packing.unpack(bytes, file.len_bytes())?,
                None => Box::new(bytes),
            };
            Ok(Box::new(Utf8::new(bytes, self.counts.replaced.clone())))
        };
        let name = file.name().to_lowercase();
        let (inner, packing) = Packing::of(&name);
        let json = |is_lines: bool| {
            let most = longest_value(file.len_bytes(), packing);
            Ok(Texts::Json(json::Texts::new(reader(packing)?, self.key.clone(), is_lines, most)))
        };
        match inner.rsplit_once('.').map_or("", |(_, extension)| extension) {
            "txt" => Ok(Texts::Plain(pieces::TextFile::new(reader(packing)?))),
            "jsonl" | "ndjson" => json(true),
            "json" => json(false),
            "parquet" if packing.is_none() => {
                Ok(Texts::Parquet(Box::new(parquet::Texts::open(file.clone(), &self.key, self.counts.clone())?)))
            }
            "parquet" => Err("a parquet file is packed inside already. Unpack it, then give it as .parquet.".into()),
            _ => Err("its name ends in none of .txt, .jsonl, .json and .parquet (or .gz or .zst after them).".into()),
        }
    }
}

/// Under which keys, or in which columns, a file has texts; none where it is text itself.
///
/// # Errors
/// [`Error::Read`] naming the file and what is wrong with it.
pub fn keys(file: Rc<dyn Source>) -> Result<Vec<String>> {
    if file.name().to_lowercase().ends_with(".parquet") {
        return parquet::keys(&*file).map_err(|why| unreadable(file.name(), why));
    }
    let keys = match Documents::new([]).texts(file.clone()) {
        Ok(Texts::Json(mut values)) => values.keys(),
        Ok(_) => Ok(Vec::new()),
        Err(why) => Err(why),
    };
    keys.map_err(|why| unreadable(file.name(), why))
}

/// Most bytes of one value of JSON, in a file that is so long: what reads it takes four times as much and some more.
fn longest_value(file_bytes: u64, packing: Option<Packing>) -> usize {
    let (room, share) = match packing {
        // its window takes the rest
        Some(Packing::Zstandard) => (ROOM_BYTES - unpack::WINDOW_BYTES, ROOM_SHARE - unpack::WINDOW_SHARE),
        _ => (ROOM_BYTES, ROOM_SHARE),
    };
    let room = file_bytes.saturating_mul(share).saturating_add(room);
    (room.saturating_mul(4) / 17).min(LONGEST_BYTES) as usize
}

fn unreadable(name: &str, why: String) -> Error {
    Error::Read { what: name.to_owned(), why }
}

/// What a failed read means for a person.
fn broken(error: &std::io::Error) -> String {
    if error.get_ref().is_some_and(|error| error.is::<text::Utf16>()) {
        return error.to_string();
    }
    format!("{error}. Is the file whole?")
}

#[cfg(test)]
mod tests;

//! Long texts in pieces that a tokenizer reads as it would the whole.
//!
//! A piece ends where white space follows something else: no token of GPT-2's reaches across such a place, for its
//! words take in the space before them, never the one after.

use std::io::BufRead;

use super::broken;

/// A piece is cut at the first good place from here on …
const PIECE_BYTES: usize = 1 << 14;
/// … and here at the latest.
const LONGEST_PIECE_BYTES: usize = 1 << 16;

/// A document, or the next part of a long one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    pub text: String,
    /// Whether a document begins here.
    pub starts: bool,
}

/// The pieces of one text.
pub struct Pieces {
    text: String,
    at: usize,
    is_done: bool,
}

impl Pieces {
    pub fn new(text: String) -> Self {
        Pieces { text, at: 0, is_done: false }
    }

    pub fn next(&mut self) -> Option<Piece> {
        if self.is_done {
            return None;
        }
        let (start, rest) = (self.at, &self.text[self.at..]);
        let cut = if rest.len() > LONGEST_PIECE_BYTES { piece_end(rest) } else { None };
        self.at += cut.unwrap_or(rest.len());
        self.is_done = cut.is_none();
        Some(Piece { text: self.text[start..self.at].to_owned(), starts: start == 0 })
    }
}

/// Where the first piece of a text ends that is longer than the longest piece.
fn piece_end(text: &str) -> Option<usize> {
    let any = |&at: &usize| text.is_char_boundary(at);
    cut(&text[..floor(text, LONGEST_PIECE_BYTES)], PIECE_BYTES)
        .or_else(|| (PIECE_BYTES..=LONGEST_PIECE_BYTES).rev().find(any))
}

/// The last bound of a character that is not after `at`.
fn floor(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0)
}

/// The first place from `from` bytes on where a text can be cut; none if it has no such place.
pub fn cut(text: &str, from: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let good = |&at: &usize| bytes[at].is_ascii_whitespace() && bytes[at - 1].is_ascii_graphic();
    (from.max(1)..bytes.len()).find(good)
}

/// A file of plain text: one document.
pub struct TextFile {
    reader: Box<dyn BufRead>,
    buffer: Vec<u8>,
    is_at_end: bool,
    n_pieces: usize,
}

impl TextFile {
    pub fn new(reader: Box<dyn BufRead>) -> Self {
        TextFile { reader, buffer: Vec::new(), is_at_end: false, n_pieces: 0 }
    }

    pub fn next_piece(&mut self) -> Result<Option<Piece>, String> {
        while !self.is_at_end && self.buffer.len() <= 2 * LONGEST_PIECE_BYTES {
            let bytes = self.reader.fill_buf().map_err(|e| broken(&e))?;
            let n = bytes.len();
            self.buffer.extend_from_slice(bytes);
            self.reader.consume(n);
            self.is_at_end = n == 0;
        }
        if self.buffer.is_empty() && self.n_pieces > 0 {
            return Ok(None);
        }
        let text = match std::str::from_utf8(&self.buffer) {
            Ok(text) => text,
            // a character that the buffer holds only half of
            Err(e) if e.error_len().is_none() && !self.is_at_end => {
                std::str::from_utf8(&self.buffer[..e.valid_up_to()]).unwrap_or_default()
            }
            Err(_) => return Err("it is not UTF-8 text.".into()),
        };
        let end = if text.len() > LONGEST_PIECE_BYTES { piece_end(text).unwrap_or(text.len()) } else { text.len() };
        let piece = Piece { text: text[..end].to_owned(), starts: self.n_pieces == 0 };
        self.buffer.drain(..end);
        self.n_pieces += 1;
        Ok(Some(piece))
    }
}

//! Long texts in pieces that a tokenizer reads as it would the whole.

use std::io::BufRead;

use super::Next;
use super::text::filled;
use crate::model::tokenizer::cuts::Cut;

/// Longer documents are cut …
const LONGEST_PIECE_BYTES: usize = 1 << 16;
/// … at the first good place from here on.
const PIECE_BYTES: usize = 1 << 14;
/// A tokenizer takes some sixty times as much memory: longer stretches without a good place are refused.
const LONGEST_STRETCH_BYTES: usize = 1 << 20;

/// A document, or the next part of a long one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    pub text: String,
    /// Whether a document begins here.
    pub starts: bool,
}

/// Where the first piece of a text ends; none if all of the text is one.
fn piece_end(text: &str, cut: Cut) -> Result<Option<usize>, String> {
    if text.len() <= LONGEST_PIECE_BYTES {
        return Ok(None);
    }
    let end = cut.find(text, PIECE_BYTES);
    if end.unwrap_or(text.len()) > LONGEST_STRETCH_BYTES {
        let why = match cut {
            Cut::Nowhere => "this model's tokenizer takes texts whole only",
            _ => "this model's tokenizer takes it as one word",
        };
        return Err(format!(
            "one of its documents has more than {} MiB in one stretch, and {why}. Split that document.",
            LONGEST_STRETCH_BYTES >> 20
        ));
    }
    Ok(end)
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

    pub fn next(&mut self, cut: Cut) -> Result<Option<Piece>, String> {
        if self.is_done {
            return Ok(None);
        }
        let (start, rest) = (self.at, &self.text[self.at..]);
        let end = piece_end(rest, cut)?;
        self.at += end.unwrap_or(rest.len());
        self.is_done = end.is_none();
        let text = match (start, end) {
            (0, None) => std::mem::take(&mut self.text),
            _ => self.text[start..self.at].to_owned(),
        };
        Ok(Some(Piece { text, starts: start == 0 }))
    }
}

/// A file of plain text: one document.
pub struct TextFile {
    reader: Box<dyn BufRead>,
    buffer: String,
    is_at_end: bool,
    n_pieces: usize,
}

impl TextFile {
    /// `reader` gives whole characters at each time.
    pub fn new(reader: Box<dyn BufRead>) -> Self {
        TextFile { reader, buffer: String::new(), is_at_end: false, n_pieces: 0 }
    }

    pub fn next_piece(&mut self, cut: Cut) -> Result<Next<Piece>, String> {
        let end = loop {
            // a place that the end of what is read hides shows when there is more
            if self.buffer.len() > 2 * LONGEST_PIECE_BYTES
                && let Some(end) = piece_end(&self.buffer, cut)?
            {
                break Some(end);
            }
            if self.is_at_end {
                break piece_end(&self.buffer, cut)?;
            }
            let Some(bytes) = filled(&mut *self.reader)? else { return Ok(Next::Nothing) };
            self.is_at_end = bytes.is_empty();
            let text = std::str::from_utf8(bytes).map_err(|_| "it is not UTF-8 text.")?;
            self.buffer.push_str(text);
            let n = text.len();
            self.reader.consume(n);
        };
        if self.buffer.is_empty() && self.n_pieces > 0 {
            return Ok(Next::End);
        }
        let rest = end.map_or_else(String::new, |end| self.buffer.split_off(end));
        let text = std::mem::replace(&mut self.buffer, rest);
        self.n_pieces += 1;
        Ok(Next::Text(Piece { text, starts: self.n_pieces == 1 }))
    }
}

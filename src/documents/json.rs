//! Texts in JSON, in the habits of those who write it: lines of objects, a list of strings or of objects, objects one
//! after the other. What comes here is UTF-8 already; halves of surrogate pairs become U+FFFD.

mod row;
mod scan;

use std::io::BufRead;

use super::Next;
pub use row::Key;
use scan::{Mark, Scan};

type Outcome<T> = Result<T, String>;

/// The texts of one file.
pub struct Texts {
    scan: Scan,
    key: Key,
    form: Option<Form>,
    /// Whether each line is an object by itself, as the file's name says.
    is_lines: bool,
}

/// How the values follow each other; the file's first sign tells.
#[derive(Clone, Copy, PartialEq)]
enum Form {
    /// One in each line.
    Lines,
    /// One after the other, wherever lines end.
    Stream,
    /// In one list; whether a value came already.
    List { has_begun: bool },
    /// Behind the list.
    Ended,
}

impl Texts {
    /// Values longer than `most` bytes are refused.
    pub fn new(bytes: Box<dyn BufRead>, key: Key, is_lines: bool, most: usize) -> Self {
        Texts { scan: Scan::new(bytes, most), key, form: None, is_lines }
    }

    /// The next text; null is passed over.
    ///
    /// # Errors
    /// What is wrong, and in which line.
    pub fn next_text(&mut self) -> Outcome<Next> {
        Ok(match self.next_value()? {
            Next::Text(()) => {
                let text = row::text(self.scan.take_value(), &self.key);
                text.map_err(|why| self.scan.in_line(&why))?.map_or(Next::Nothing, Next::Text)
            }
            Next::Nothing => Next::Nothing,
            Next::End => Next::End,
        })
    }

    /// Under which keys there are texts, in the first object.
    ///
    /// # Errors
    /// As [`Self::next_text`].
    pub fn keys(&mut self) -> Outcome<Vec<String>> {
        loop {
            match self.next_value()? {
                Next::Text(()) => return Ok(row::keys(&self.scan.take_value())),
                Next::Nothing => {}
                Next::End => return Ok(Vec::new()),
            }
        }
    }

    /// Reads the next value whole.
    fn next_value(&mut self) -> Outcome<Next<()>> {
        let mark = match self.scan.mark()? {
            Mark::Blank => return Ok(Next::Nothing),
            Mark::Byte(byte) => Some(byte),
            Mark::End => None,
        };
        let form = *self.form.get_or_insert(match mark {
            Some(b'[') => Form::List { has_begun: false },
            _ if self.is_lines => Form::Lines,
            _ => Form::Stream,
        });
        match (form, mark) {
            (Form::Lines | Form::Stream | Form::Ended, None) => return Ok(Next::End),
            (Form::Lines, _) => self.scan.rest_of_line()?,
            (Form::Stream, _) => self.scan.value()?,
            (Form::List { has_begun: false }, Some(b'[')) => {
                self.scan.skip();
                self.form = Some(Form::List { has_begun: true });
                // the next sign is a value's first, or the end
                return Ok(Next::Nothing);
            }
            (Form::List { .. }, Some(b']')) => {
                self.scan.skip();
                self.form = Some(Form::Ended);
                return Ok(Next::Nothing);
            }
            (Form::List { .. }, Some(_)) => {
                self.scan.value()?;
                self.scan.comma()?;
            }
            (Form::List { .. }, None) => return Err(self.scan.in_line("it ends inside the list. Is the file whole?")),
            (Form::Ended, Some(_)) => return Err(self.scan.in_line("something follows its list. Is it one list?")),
        }
        Ok(Next::Text(()))
    }
}

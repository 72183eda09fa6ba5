//! Texts in JSON, in the habits of those who write it: lines of objects, a list of strings or of objects, objects one
//! after the other. What comes here is UTF-8 already; halves of surrogate pairs become U+FFFD.

mod row;
mod scan;

use std::io::BufRead;

use super::Next;
pub use row::Key;
use scan::{Mark, Scan};

/// Stretches without a value at a file's start, beyond which its keys aren't looked for: nobody can stop that.
const LONGEST_START: usize = 64;

type Outcome<T> = Result<T, String>;

/// The texts of one file.
pub struct Texts {
    scan: Scan,
    key: Key,
    form: Option<Form>,
    /// Whether a value has begun whose end wasn't there yet.
    is_inside: bool,
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
    /// In one list: what comes next, but for its end.
    List(Place),
    /// Behind the list.
    Ended,
}

#[derive(Clone, Copy, PartialEq)]
enum Place {
    Bracket,
    Value,
    Comma,
}

impl Texts {
    /// Values longer than `most` bytes are refused.
    pub fn new(bytes: Box<dyn BufRead>, key: Key, is_lines: bool, most: usize) -> Self {
        Texts { scan: Scan::new(bytes, most), key, form: None, is_inside: false, is_lines }
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
        for _ in 0..LONGEST_START {
            match self.next_value()? {
                Next::Text(()) => return Ok(row::keys(&self.scan.take_value())),
                Next::Nothing => {}
                Next::End => break,
            }
        }
        Ok(Vec::new())
    }

    /// Reads the next value whole.
    fn next_value(&mut self) -> Outcome<Next<()>> {
        while !self.is_inside {
            let mark = match self.scan.mark()? {
                Mark::Blank => return Ok(Next::Nothing),
                Mark::Byte(byte) => Some(byte),
                Mark::End => None,
            };
            let form = *self.form.get_or_insert(match mark {
                Some(b'[') => Form::List(Place::Bracket),
                _ if self.is_lines => Form::Lines,
                _ => Form::Stream,
            });
            match (form, mark) {
                (Form::Lines | Form::Stream | Form::Ended, None) => return Ok(Next::End),
                (Form::List(_), None) => {
                    return Err(self.scan.in_line("it ends inside the list. Is the file whole?"));
                }
                (Form::List(Place::Bracket), _) => self.pass(Form::List(Place::Value)),
                (Form::List(_), Some(b']')) => self.pass(Form::Ended),
                (Form::List(Place::Comma), Some(b',')) => self.pass(Form::List(Place::Value)),
                (Form::List(Place::Comma), _) => {
                    return Err(self.scan.in_line("a comma is missing between two values of its list."));
                }
                (Form::Ended, Some(_)) => {
                    return Err(self.scan.in_line("something follows its list. Is it one list?"));
                }
                (Form::Lines | Form::Stream | Form::List(Place::Value), Some(_)) => self.is_inside = true,
            }
        }
        let is_whole = if self.form == Some(Form::Lines) { self.scan.rest_of_line()? } else { self.scan.value()? };
        if !is_whole {
            return Ok(Next::Nothing);
        }
        self.is_inside = false;
        if let Some(Form::List(place)) = &mut self.form {
            *place = Place::Comma;
        }
        Ok(Next::Text(()))
    }

    /// Passes over a list's sign.
    fn pass(&mut self, form: Form) {
        self.scan.skip();
        self.form = Some(form);
    }
}

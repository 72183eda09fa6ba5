//! Lists of strings in JSON, and lines of JSON with a `text`.

use std::io::{BufRead, Read};

use serde::Deserialize;

use super::{LONGEST_BYTES, broken};

type Outcome<T> = Result<T, String>;

/// One line of a `.jsonl` file; what else it holds is left alone.
#[derive(Deserialize)]
struct Line {
    /// A row without a text is null; that it isn't there at all is a mistake.
    #[serde(deserialize_with = "Option::deserialize")]
    text: Option<String>,
}

/// The text of the next line that has one: empty lines and nulls are passed over.
pub fn next_line(lines: &mut impl BufRead) -> Outcome<Option<String>> {
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = lines.take(LONGEST_BYTES as u64).read_until(b'\n', &mut line).map_err(|e| broken(&e))?;
        if read == LONGEST_BYTES {
            return Err(too_long("line"));
        }
        if read == 0 {
            return Ok(None);
        }
        if !line.trim_ascii().is_empty() {
            let line: Line = serde_json::from_slice(&line)
                .map_err(|e| format!("{e}. A .jsonl file has an object with a \"text\" in each line."))?;
            if line.text.is_some() {
                return Ok(line.text);
            }
        }
    }
}

/// A `.json` file: one list of strings, read string by string.
pub struct List {
    bytes: Box<dyn BufRead>,
    has_begun: bool,
}

impl List {
    pub fn new(bytes: Box<dyn BufRead>) -> Self {
        List { bytes, has_begun: false }
    }

    pub fn next_string(&mut self) -> Outcome<Option<String>> {
        let is_first = !self.has_begun;
        if is_first {
            self.has_begun = true;
            if self.next_mark()? != Some(b'[') {
                return Err(no_list());
            }
        }
        match (self.next_mark()?, is_first) {
            (Some(b']'), _) => Ok(None),
            (Some(b'"'), true) => self.string().map(Some),
            (Some(b','), false) if self.next_mark()? == Some(b'"') => self.string().map(Some),
            (None, _) => Err("it ends inside the list. Is the file whole?".into()),
            _ => Err(no_list()),
        }
    }

    /// The next byte that is no white space.
    fn next_mark(&mut self) -> Outcome<Option<u8>> {
        let mut byte = [0];
        while self.bytes.read(&mut byte).map_err(|e| broken(&e))? == 1 {
            if !byte[0].is_ascii_whitespace() {
                return Ok(Some(byte[0]));
            }
        }
        Ok(None)
    }

    /// The rest of a string whose opening quote is read.
    fn string(&mut self) -> Outcome<String> {
        let mut raw = vec![b'"'];
        loop {
            let room = LONGEST_BYTES.saturating_sub(raw.len()) as u64;
            (&mut self.bytes).take(room).read_until(b'"', &mut raw).map_err(|e| broken(&e))?;
            if raw.len() >= LONGEST_BYTES {
                return Err(too_long("string"));
            }
            if raw.len() < 2 || raw.last() != Some(&b'"') {
                return Err("it ends inside a string. Is the file whole?".into());
            }
            // a quote after an odd number of backslashes belongs to the string
            let backslashes = raw[..raw.len() - 1].iter().rev().take_while(|&&byte| byte == b'\\').count();
            if backslashes.is_multiple_of(2) {
                return serde_json::from_slice(&raw).map_err(|e| format!("one of its strings is none: {e}."));
            }
        }
    }
}

fn no_list() -> String {
    "it is not a list of strings, [\"…\", \"…\"]. Objects with a \"text\" go into a .jsonl file, one a line.".into()
}

fn too_long(what: &str) -> String {
    format!("one {what} of it is longer than {} MiB. Is it a file of documents?", LONGEST_BYTES >> 20)
}

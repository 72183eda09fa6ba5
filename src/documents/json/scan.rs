//! Finds where values of JSON begin and end, without a whole file in memory.

use std::io::BufRead;

use crate::documents::text::{MARK, filled};

type Outcome<T> = Result<T, String>;

/// White space passed over before whoever asks may do something else.
const STRETCH_BYTES: usize = 1 << 20;

/// What comes next.
pub enum Mark {
    /// A sign, still to be read.
    Byte(u8),
    /// A long stretch of white space was passed over, and there may be more.
    Blank,
    End,
}

/// How far a value was read.
#[derive(Clone, Copy, PartialEq)]
enum Read {
    Whole,
    /// Nothing came for a long stretch: ask again.
    Part,
    ToTheEnd,
}

pub struct Scan {
    bytes: Box<dyn BufRead>,
    /// The line being read, from 1 on, and the one in which the value began.
    line: u64,
    begun: u64,
    value: Vec<u8>,
    /// How far into it one is.
    balance: Balance,
    most: usize,
}

impl Scan {
    pub fn new(bytes: Box<dyn BufRead>, most: usize) -> Self {
        Scan { bytes, line: 1, begun: 1, value: Vec::new(), balance: Balance::default(), most }
    }

    /// Says where something is wrong.
    pub fn in_line(&self, why: &str) -> String {
        format!("in line {}, {why}", self.begun)
    }

    /// The value read last. Its memory goes with it.
    pub fn take_value(&mut self) -> Vec<u8> {
        self.balance = Balance::default();
        std::mem::take(&mut self.value)
    }

    /// The next sign that is no white space.
    pub fn mark(&mut self) -> Outcome<Mark> {
        let mut passed = 0;
        loop {
            let Some(bytes) = filled(&mut *self.bytes)? else { return Ok(Mark::Blank) };
            let blank = bytes.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
            self.line += count_lines(&bytes[..blank]);
            // files that were put one behind the other have their marks in the middle
            let has_mark = bytes[blank..].starts_with(MARK);
            let mark = bytes.get(blank).copied().filter(|_| !has_mark);
            let is_end = bytes.is_empty();
            let blank = if has_mark { blank + MARK.len() } else { blank };
            self.bytes.consume(blank);
            passed += blank;
            self.begun = self.line;
            match mark {
                Some(mark) => return Ok(Mark::Byte(mark)),
                None if is_end => return Ok(Mark::End),
                None if passed >= STRETCH_BYTES => return Ok(Mark::Blank),
                None => {}
            }
        }
    }

    /// Passes over the sign that [`Self::mark`] has found.
    pub fn skip(&mut self) {
        self.bytes.consume(1);
    }

    /// Reads to the line's end, which may be a lone CR: within a value JSON writes one as an escape. False where it isn't
    /// there yet.
    pub fn rest_of_line(&mut self) -> Outcome<bool> {
        let end = |_: &mut Balance, bytes: &[u8]| {
            bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r')).map(|at| at + 1)
        };
        Ok(self.read("line", end)? != Read::Part)
    }

    /// Reads one value: a string, or what brackets enclose, or a word; false where its end isn't there yet.
    pub fn value(&mut self) -> Outcome<bool> {
        let end = |balance: &mut Balance, bytes: &[u8]| bytes.iter().position(|&byte| balance.ends_before(byte));
        match self.read("value", end)? {
            Read::Whole => Ok(true),
            Read::Part => Ok(false),
            // a word may end with the file
            Read::ToTheEnd if self.balance.is_word() => Ok(true),
            Read::ToTheEnd => Err(self.in_line("it ends inside a value. Is the file whole?")),
        }
    }

    /// Reads on until `end` tells how many of the bytes belong to it.
    fn read(&mut self, what: &str, end: fn(&mut Balance, &[u8]) -> Option<usize>) -> Outcome<Read> {
        loop {
            let Some(bytes) = filled(&mut *self.bytes)? else { return Ok(Read::Part) };
            if bytes.is_empty() {
                return Ok(Read::ToTheEnd);
            }
            let found = end(&mut self.balance, bytes);
            let n = found.unwrap_or(bytes.len());
            let too_long = self.value.len() + n > self.most;
            // a vector's own growth would hold three times as much for a moment
            let more = n.max(self.value.len() / 4);
            let has_room = self.value.capacity() >= self.value.len() + n;
            if too_long || !has_room && self.value.try_reserve_exact(more).is_err() {
                let mib = self.most >> 20;
                return Err(self.in_line(&format!(
                    "a {what} is longer than {mib} MiB, which is the most for a file of this size. Is it a file of documents?"
                )));
            }
            self.value.extend_from_slice(&bytes[..n]);
            self.line += count_lines(&bytes[..n]);
            self.bytes.consume(n);
            if found.is_some() {
                return Ok(Read::Whole);
            }
        }
    }
}

fn count_lines(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|&&byte| byte == b'\n').count() as u64
}

/// How far into a value one is.
#[derive(Default)]
struct Balance {
    /// Brackets that are open.
    depth: u64,
    is_string: bool,
    is_escaped: bool,
    /// The value has its last sign.
    is_done: bool,
    has_begun: bool,
}

impl Balance {
    /// Takes in the value's next sign; true if that one isn't the value's any more.
    fn ends_before(&mut self, byte: u8) -> bool {
        if self.is_done {
            return true;
        }
        if self.is_string {
            match byte {
                _ if self.is_escaped => self.is_escaped = false,
                b'\\' => self.is_escaped = true,
                b'"' => (self.is_string, self.is_done) = (false, self.depth == 0),
                _ => {}
            }
            return false;
        }
        let is_word = self.has_begun && self.depth == 0;
        self.has_begun = true;
        match byte {
            b',' | b']' | b'}' if is_word => return true,
            _ if is_word && byte.is_ascii_whitespace() => return true,
            b'"' => self.is_string = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                self.is_done = self.depth == 0;
            }
            _ => {}
        }
        false
    }

    /// Whether the file's end may be the value's.
    fn is_word(&self) -> bool {
        self.depth == 0 && !self.is_string
    }
}

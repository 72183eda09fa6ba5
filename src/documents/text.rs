//! What a file's first bytes say of it, and its bytes as text: what is no UTF-8 becomes U+FFFD, and is counted.

use std::cell::Cell;
use std::fmt;
use std::io::{self, BufRead, Read};
use std::rc::Rc;

/// What a file in UTF-8 may begin with.
pub const MARK: &[u8] = b"\xef\xbb\xbf";
/// A file's first bytes, by which its encoding is told.
const HEAD_BYTES: usize = 512;
/// Bytes read at once.
const CHUNK_BYTES: usize = 1 << 17;

/// Whether a file's first bytes are text, so that a file which should be packed isn't.
pub fn is_text(head: &[u8]) -> bool {
    let controls = head.iter().any(|&byte| byte < b' ' && !byte.is_ascii_whitespace() || byte == 0x7f);
    let is_utf8 = match std::str::from_utf8(head) {
        Ok(_) => true,
        // the last character may be cut
        Err(error) => error.error_len().is_none(),
    };
    !controls && is_utf8
}

/// Whether a file begins as UTF-16 does: with its mark, or with ASCII signs of which every other byte is zero.
fn is_utf16(head: &[u8]) -> bool {
    let zeros = |from: usize| head.iter().skip(from).step_by(2).filter(|&&byte| byte == 0).count();
    let (even, odd) = (zeros(0), zeros(1));
    let half = head.len() / 2;
    let alternates = half > 0 && even.min(odd) == 0 && even.max(odd) * 2 > half;
    head.starts_with(b"\xff\xfe") || head.starts_with(b"\xfe\xff") || alternates
}

/// Why a file isn't read.
#[derive(Debug)]
pub struct Utf16;

impl std::error::Error for Utf16 {}

impl fmt::Display for Utf16 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it is in UTF-16, and UTF-8 is read here. Save it as UTF-8.")
    }
}

/// What there is to read; nothing yet where it may be asked again, and no bytes at the end.
///
/// # Errors
/// A failed read, said for a person.
pub fn filled(bytes: &mut dyn BufRead) -> Result<Option<&[u8]>, String> {
    match bytes.fill_buf() {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(super::broken(&error)),
    }
}

/// Reads bytes as UTF-8, without the mark it may begin with: what comes out is whole characters at each time.
pub struct Utf8<R> {
    bytes: R,
    /// The beginning of a character whose end isn't read yet, and then what is read.
    raw: Vec<u8>,
    text: Vec<u8>,
    /// How much of the text is taken.
    at: usize,
    /// Whether the first bytes have been looked at.
    has_begun: bool,
    is_at_end: bool,
    replaced: Rc<Cell<u64>>,
}

impl<R: Read> Utf8<R> {
    /// `replaced` counts the bytes that were no UTF-8.
    pub fn new(bytes: R, replaced: Rc<Cell<u64>>) -> Self {
        let (raw, text) = (Vec::new(), Vec::new());
        Utf8 { bytes, raw, text, at: 0, has_begun: false, is_at_end: false, replaced }
    }

    /// Looks at the first bytes.
    fn begin(&mut self) -> io::Result<()> {
        while self.raw.len() < HEAD_BYTES && !self.is_at_end {
            self.read_more(HEAD_BYTES)?;
        }
        if is_utf16(&self.raw) {
            return Err(io::Error::other(Utf16));
        }
        if self.raw.starts_with(MARK) {
            self.raw.drain(..MARK.len());
        }
        self.has_begun = true;
        self.take_text();
        Ok(())
    }

    fn refill(&mut self) -> io::Result<()> {
        if !self.has_begun {
            self.begin()?;
        }
        while self.at >= self.text.len() && !self.is_at_end {
            self.read_more(CHUNK_BYTES)?;
            self.take_text();
        }
        Ok(())
    }

    /// Reads once, up to so many bytes with those that wait.
    fn read_more(&mut self, most: usize) -> io::Result<()> {
        let carried = self.raw.len();
        self.raw.resize(most, 0);
        let read = self.bytes.read(&mut self.raw[carried..]);
        self.raw.truncate(carried + read.as_ref().map_or(0, |&n| n));
        match read {
            Ok(n) => self.is_at_end = n == 0,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Makes text of what is read, but for a character that isn't whole yet.
    fn take_text(&mut self) {
        (self.at, self.text) = (0, std::mem::take(&mut self.text));
        self.text.clear();
        let mut left = 0;
        for chunk in self.raw.utf8_chunks() {
            self.text.extend_from_slice(chunk.valid().as_bytes());
            left += chunk.valid().len();
            let bad = chunk.invalid();
            let is_cut = std::str::from_utf8(bad).is_err_and(|error| error.error_len().is_none());
            let is_last = left + bad.len() == self.raw.len();
            if bad.is_empty() || is_cut && is_last && !self.is_at_end {
                break;
            }
            self.text.extend_from_slice("\u{fffd}".as_bytes());
            self.replaced.set(self.replaced.get() + bad.len() as u64);
            left += bad.len();
        }
        self.raw.drain(..left);
    }
}

impl<R: Read> Read for Utf8<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let n = self.fill_buf()?.read(into)?;
        self.consume(n);
        Ok(n)
    }
}

impl<R: Read> BufRead for Utf8<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.refill()?;
        Ok(&self.text[self.at..])
    }

    fn consume(&mut self, n: usize) {
        self.at += n;
    }
}

/// Bytes of a text as UTF-8, counted like a file's.
pub fn utf8(bytes: &[u8], replaced: &Cell<u64>) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        if !chunk.invalid().is_empty() {
            text.push('\u{fffd}');
            replaced.set(replaced.get() + chunk.invalid().len() as u64);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn a_packed_head_is_no_text() {
        assert!(is_text(b"{\"text\": \"caf\xc3\xa9\"}\r\n") && is_text(b"caf\xc3") && is_text(b""));
        for bit in 0..8 {
            assert!(!is_text(&[0x1f ^ 1 << bit, 0x8b, 8, 0, 0, 0]), "bit {bit}");
            assert!(!is_text(&[0x28 ^ 1 << bit, 0xb5, 0x2f, 0xfd]), "bit {bit}");
        }
    }

    #[test]
    fn utf16_is_told_with_and_without_its_mark() {
        let wide = |text: &str, big: bool| -> Vec<u8> {
            text.encode_utf16().flat_map(|unit| if big { unit.to_be_bytes() } else { unit.to_le_bytes() }).collect()
        };
        for big in [false, true] {
            assert!(is_utf16(&wide("\u{feff}пар", big)) && is_utf16(&wide("A pear é.", big)));
        }
        assert!(!is_utf16(b"") && !is_utf16(b"a") && !is_utf16("\u{feff}a pear é".as_bytes()) && !is_utf16(&[0; 8]));
    }

    /// Gives a byte at a time.
    struct Drops<'a>(&'a [u8]);

    impl Read for Drops<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let n = self.0.len().min(into.len()).min(1);
            self.0.read(&mut into[..n])
        }
    }

    proptest! {
        #[test]
        fn whatever_is_no_utf8_becomes_what_the_standard_says(bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(b'a'), Just(0xe2), Just(0x82)], 0..1500)) {
            prop_assume!(!is_utf16(&bytes[..bytes.len().min(HEAD_BYTES)]));
            let right = String::from_utf8_lossy(bytes.strip_prefix(MARK).unwrap_or(&bytes)).into_owned();
            let replaced = Rc::new(Cell::new(0));
            let mut text = String::new();
            Utf8::new(Drops(&bytes), replaced.clone()).read_to_string(&mut text).unwrap();
            prop_assert_eq!(&text, &right);
            let again = Cell::new(0);
            prop_assert_eq!(utf8(bytes.strip_prefix(MARK).unwrap_or(&bytes), &again), right);
            prop_assert_eq!(again.get(), replaced.get());
        }
    }
}

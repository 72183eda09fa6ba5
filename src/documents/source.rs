//! Where a file's bytes lie: on a disk, in memory, in a file that was dropped onto the page.

use std::cell::Cell;
use std::io::{self, Read};
use std::rc::Rc;

/// A file that can be read at any place.
pub trait Source {
    /// Its name, whose ending tells the format.
    fn name(&self) -> &str;

    fn len_bytes(&self) -> u64;

    /// Fills the front of `into` with what lies at `offset`; how much that was, 0 at the end.
    ///
    /// # Errors
    /// What the system says.
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize>;
}

/// A file in memory.
pub struct Memory {
    name: String,
    bytes: Vec<u8>,
}

impl Memory {
    pub fn new(name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Memory { name: name.into(), bytes: bytes.into() }
    }
}

impl Source for Memory {
    fn name(&self) -> &str {
        &self.name
    }

    fn len_bytes(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let rest = usize::try_from(offset).ok().and_then(|offset| self.bytes.get(offset..)).unwrap_or(&[]);
        let n = rest.len().min(into.len());
        into[..n].copy_from_slice(&rest[..n]);
        Ok(n)
    }
}

/// Reads a source from its start to its end.
pub struct SourceReader {
    source: Rc<dyn Source>,
    at: u64,
    /// Bytes read of all files.
    total: Rc<Cell<u64>>,
}

impl SourceReader {
    pub fn new(source: Rc<dyn Source>, total: Rc<Cell<u64>>) -> Self {
        SourceReader { source, at: 0, total }
    }
}

impl Read for SourceReader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let n = self.source.read_at(self.at, into)?;
        self.at += n as u64;
        self.total.set(self.total.get() + n as u64);
        Ok(n)
    }
}

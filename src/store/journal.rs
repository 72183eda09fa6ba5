//! The record of a download under way: which bytes of the weights are on this device, so that a break costs no more
//! than what was on its way.
//!
//! Lines of text, only ever added to: first what is downloaded, then `start-end` for bytes that have been written. A
//! line that a crash cut short has no line's end and counts for nothing.

use std::cell::Cell;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::address::WEIGHTS;
use super::manifest::Provenance;
use super::spans::Spans;
use super::storage::StoredFile;
use crate::error::Result;

/// The file's name.
pub const JOURNAL: &str = "download.log";

/// What is known of what is downloaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    pub provenance: Provenance,
    /// The weights' file, or the index of several.
    #[serde(default = "usual")]
    pub weights: String,
    /// Bytes of the whole weights: all files of them, one after the other.
    pub bytes: u64,
    pub etag: Option<String>,
    /// SHA-256 as the source says it, in hex.
    pub sha256: Option<String>,
    /// Element type of the weights in the file.
    pub file_dtype: String,
    /// The files that an index names; what is said above of one file, each of these says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Part>,
}

/// A file of weights.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    pub name: String,
    pub bytes: u64,
    pub etag: Option<String>,
    pub sha256: Option<String>,
}

impl Target {
    /// Of one file called `weights`, or of all that an index of that name names.
    pub fn new(provenance: Provenance, weights: &str, file_dtype: &str, parts: Vec<Part>) -> Target {
        let bytes = parts.iter().fold(0u64, |sum, part| sum.saturating_add(part.bytes));
        let (weights, file_dtype) = (weights.to_owned(), file_dtype.to_owned());
        let alone = parts.first().filter(|part| part.name == weights).cloned();
        let (etag, sha256) = alone.clone().map_or((None, None), |part| (part.etag, part.sha256));
        let parts = if alone.is_some() { Vec::new() } else { parts };
        Target { provenance, weights, bytes, etag, sha256, file_dtype, parts }
    }

    /// The files of weights, in their order.
    pub fn files(&self) -> Vec<Part> {
        if !self.parts.is_empty() {
            return self.parts.clone();
        }
        let Target { weights, bytes, etag, sha256, .. } = self;
        vec![Part { name: weights.clone(), bytes: *bytes, etag: etag.clone(), sha256: sha256.clone() }]
    }
}

/// What was downloaded before there was another file.
fn usual() -> String {
    WEIGHTS.to_owned()
}

/// A journal that is being written.
pub struct Journal<F> {
    file: F,
    end: Cell<u64>,
}

impl<F: StoredFile> Journal<F> {
    /// Begins a journal anew.
    ///
    /// # Errors
    /// What writing fails with.
    pub async fn begin(file: F, target: &Target) -> Result<Self> {
        let journal = Self::go_on(file, 0).await?;
        // structs of texts and numbers always have a JSON form
        journal.add(&serde_json::to_string(target).unwrap_or_default()).await?;
        Ok(journal)
    }

    /// Goes on after the first `len` bytes, which are all that counts of it.
    ///
    /// # Errors
    /// What writing fails with.
    pub async fn go_on(file: F, len: u64) -> Result<Self> {
        file.truncate(len).await?;
        Ok(Journal { file, end: Cell::new(len) })
    }

    /// Notes bytes that have been written.
    ///
    /// # Errors
    /// What writing fails with.
    pub async fn note(&self, span: &Range<u64>) -> Result<()> {
        self.add(&format!("{}-{}", span.start, span.end)).await
    }

    /// Sees that the notes outlive a crash.
    ///
    /// # Errors
    /// What writing fails with.
    pub async fn flush(&self) -> Result<()> {
        self.file.flush().await
    }

    async fn add(&self, line: &str) -> Result<()> {
        let line = format!("{line}\n");
        let at = self.end.get();
        // before the write: another note may come while this one waits
        self.end.set(at + line.len() as u64);
        self.file.write_at(at, line.as_bytes()).await
    }
}

/// What a journal said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Noted {
    pub target: Target,
    pub spans: Spans,
    /// Bytes of the journal that count.
    pub len: u64,
}

/// Reads a journal as far as it was written; none where it doesn't even say of what.
pub fn read(text: &[u8]) -> Option<Noted> {
    let mut lines = text.split_inclusive(|&byte| byte == b'\n').map_while(|line| line.strip_suffix(b"\n"));
    let head = lines.next()?;
    let target: Target = serde_json::from_slice(head).ok()?;
    let mut spans = Spans::default();
    let mut len = head.len() as u64 + 1;
    for line in lines {
        let range = std::str::from_utf8(line).ok().and_then(|line| {
            let (start, end) = line.split_once('-')?;
            Some(start.parse().ok()?..end.parse().ok()?)
        });
        match range {
            Some(range) if range.start < range.end && range.end <= target.bytes => {
                spans.add(range);
                len += line.len() as u64 + 1;
            }
            // from here on it isn't what was written
            _ => break,
        }
    }
    Some(Noted { target, spans, len })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::complete;
    use crate::store::memory::Memory;
    use crate::store::storage::Storage;

    fn target() -> Target {
        let provenance =
            Provenance { name: "a".into(), base: "https://b".into(), repo: None, revision: None, commit: None };
        Target {
            provenance,
            weights: usual(),
            bytes: 1000,
            etag: Some("\"x\"".into()),
            sha256: None,
            file_dtype: "f32".into(),
            parts: Vec::new(),
        }
    }

    fn written(spans: &[Range<u64>]) -> Vec<u8> {
        let memory = Memory::default();
        complete(async {
            let journal = Journal::begin(memory.open("a", JOURNAL).await?, &target()).await?;
            for span in spans {
                journal.note(span).await?;
            }
            Ok(memory.read("a", JOURNAL).await?.unwrap())
        })
        .unwrap()
    }

    #[test]
    fn a_journal_cut_anywhere_claims_nothing_that_was_not_written() {
        let notes = [0..10, 500..600, 10..20];
        let whole = written(&notes);
        let head = whole.iter().position(|&byte| byte == b'\n').unwrap();
        for cut in 0..=whole.len() {
            let lines = whole[..cut].iter().filter(|&&byte| byte == b'\n').count();
            let Some(noted) = read(&whole[..cut]) else {
                assert!(cut <= head, "cut at {cut}");
                continue;
            };
            let mut expected = Spans::default();
            notes[..lines - 1].iter().for_each(|span| expected.add(span.clone()));
            assert_eq!((noted.target, noted.spans), (target(), expected), "cut at {cut}");
            assert!(noted.len <= cut as u64 && whole[..noted.len as usize].ends_with(b"\n"));
        }
    }

    #[test]
    fn nothing_after_a_wild_line_counts() {
        for wild in ["990-1001\n", "5-5\n", "9-3\n", "x\n", "\0\0\0\n", "-\n", "1-2-3\n"] {
            let text = [written(&[0..4, 4..10]).as_slice(), wild.as_bytes(), b"20-30\n"].concat();
            let noted = read(&text).unwrap();
            assert_eq!(noted.spans.total(), 10, "{wild:?}");
        }
        assert_eq!(read(b"{}\n0-10\n"), None);
        assert_eq!(read(b""), None);
    }
}

//! Packed files as they are unpacked: gzip in any number of members, Zstandard in any number of frames, or neither, where
//! a download has unpacked them already. What a checksum says is compared. Where much comes to nothing, a read says
//! [`io::ErrorKind::WouldBlock`] now and then: ask again.

mod gzip;
mod zstd;

use std::io::{self, BufReader, Read};

use super::text::{MARK, is_text};
pub use crate::model::tokenizer::shield::caught as guarded;
pub use gzip::Gzip;
pub use zstd::{ROOM_BYTES as WINDOW_BYTES, ROOM_SHARE as WINDOW_SHARE, Zstd};

/// A file's first bytes, by which it is told what it is.
const HEAD_BYTES: usize = 512;

/// How a file's name says that it is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    Gzip,
    Zstandard,
}

impl Packing {
    /// Takes the packing's ending off a name in lower case.
    pub fn of(name: &str) -> (&str, Option<Packing>) {
        match (name.strip_suffix(".gz"), name.strip_suffix(".zst")) {
            (Some(name), _) => (name, Some(Packing::Gzip)),
            (_, Some(name)) => (name, Some(Packing::Zstandard)),
            _ => (name, None),
        }
    }

    /// The unpacked bytes of a file that is so long.
    ///
    /// # Errors
    /// Bytes that are neither packed nor text.
    pub fn unpack(self, packed: impl Read + 'static, file_bytes: u64) -> Result<Box<dyn Read>, String> {
        let mut packed = packed;
        let mut head = Vec::new();
        (&mut packed).take(HEAD_BYTES as u64).read_to_end(&mut head).map_err(|e| super::broken(&e))?;
        let is_packed = match self {
            Packing::Gzip => head.starts_with(&[0x1f, 0x8b]),
            Packing::Zstandard => zstd::is_start(&head),
        };
        let is_plain = head.is_empty() || is_json(&head) || is_text(&head);
        let packed = BufReader::new(io::Cursor::new(head).chain(packed));
        match self {
            _ if !is_packed && is_plain => Ok(Box::new(packed)),
            Packing::Gzip if is_packed => Ok(Box::new(Gzip::new(packed))),
            Packing::Zstandard if is_packed => Ok(Box::new(Zstd::new(packed, file_bytes))),
            Packing::Gzip => Err("it isn't packed with gzip, nor is it text. Get it again.".into()),
            Packing::Zstandard => Err("it isn't packed with Zstandard, nor is it text. Get it again.".into()),
        }
    }
}

/// Whether a file begins as JSON does: then its reader says what else may be wrong with it.
fn is_json(head: &[u8]) -> bool {
    head.strip_prefix(MARK).unwrap_or(head).trim_ascii_start().starts_with(b"{")
}

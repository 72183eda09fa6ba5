//! Undoes a page's compression: into exactly as much as its header says, and never into more.

use std::io::Read;

use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};

use super::page::damaged;
use super::room::Room;
use crate::documents::unpack::{Gzip, Zstd, guarded};

type Outcome<T> = Result<T, String>;

/// Brotli's longest window, and its tables.
const BROTLI_BYTES: u64 = 18 << 20;
/// Tables of the others.
const TABLE_BYTES: u64 = 1 << 20;

/// The `n` bytes of a page that is packed by `codec`.
///
/// # Errors
/// A codec that isn't read here, too little room, damage.
pub fn unpack(packed: &[u8], codec: i64, n: usize, room: &Room) -> Outcome<Vec<u8>> {
    let tables = if codec == 4 { BROTLI_BYTES } else { TABLE_BYTES };
    room.fits((n as u64).saturating_add(tables))?;
    let left = room.besides(n).left();
    let mut unpacked = vec![0; n];
    let into = &mut unpacked[..];
    let is_whole = match codec {
        0 => {
            packed.len() == n && {
                into.copy_from_slice(packed);
                true
            }
        }
        1 => guarded(|| snap::raw::Decoder::new().decompress(packed, into)) == Some(Ok(n)),
        2 => fills(Gzip::new(packed), into),
        4 => guarded(|| brotli(packed, into)) == Some(true),
        6 => fills(Zstd::within(packed, left), into),
        7 => guarded(|| lz4_flex::block::decompress_into(packed, into).ok()) == Some(Some(n)),
        other => {
            let name = match other {
                3 => "LZO",
                5 => "the old LZ4",
                _ => "something",
            };
            return Err(format!(
                "it is packed with {name}. Write it with Snappy, gzip, Zstandard, Brotli, LZ4_RAW or none."
            ));
        }
    };
    if is_whole { Ok(unpacked) } else { Err(damaged()) }
}

/// Whether what is read is as long as the room for it. (A page that unpacks to nothing for a long stretch is damaged.)
fn fills(mut packed: impl Read, into: &mut [u8]) -> bool {
    packed.read_exact(into).is_ok() && packed.read(&mut [0]).is_ok_and(|n| n == 0)
}

fn brotli(packed: &[u8], into: &mut [u8]) -> bool {
    let alloc = StandardAlloc::default;
    // not of the kind whose window may be a gigabyte
    let mut state = BrotliState::new_strict(alloc(), alloc(), alloc());
    let (mut left, mut at, mut room, mut done, mut all) = (packed.len(), 0, into.len(), 0, 0);
    let result = BrotliDecompressStream(&mut left, &mut at, packed, &mut room, &mut done, into, &mut all, &mut state);
    matches!(result, BrotliResult::ResultSuccess) && room == 0 && left == 0
}

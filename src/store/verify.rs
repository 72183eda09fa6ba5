//! The SHA-256 of a file on this device, read in its order.

use std::time::Duration;

use sha2::{Digest, Sha256};

use super::address::hex;
use super::line::Line;
use super::storage::{Device, StoredFile};
use super::wire::Wire;
use crate::engine::Control;
use crate::error::Result;

/// One read.
pub const BLOCK_BYTES: usize = 1 << 20;
/// Between two looks at how far a download is.
const LOOK: Duration = Duration::from_millis(50);
/// Between two blocks, so that what comes is not kept waiting.
const STEP_ASIDE: Duration = Duration::from_millis(6);

/// Hashes the first `bytes` of `file` while they are still coming: `front` says how many are here. `on_bytes` hears
/// how many are hashed.
///
/// # Errors
/// What reading fails with, [`crate::error::Error::Cancelled`].
pub async fn hash<W: Wire, D: Device, C: Control>(
    line: &Line<'_, W, D, C>,
    file: &impl StoredFile,
    bytes: u64,
    front: impl Fn() -> u64,
    on_bytes: impl Fn(u64),
) -> Result<String> {
    let mut hasher = Sha256::new();
    let mut block = vec![0; BLOCK_BYTES];
    let mut at = 0;
    while at < bytes {
        let here = front().min(bytes) - at;
        // short blocks only at the end: most of the time the download is ahead
        if here < (BLOCK_BYTES as u64).min(bytes - at) {
            line.watchful(line.device.sleep(LOOK)).await?;
            continue;
        }
        let block = &mut block[..here.min(BLOCK_BYTES as u64) as usize];
        file.read_at(at, block).await?;
        hasher.update(&*block);
        at += block.len() as u64;
        on_bytes(at);
        if front() < bytes {
            line.device.sleep(STEP_ASIDE).await;
        }
        line.control.breathe().await?;
    }
    Ok(hex(&hasher.finalize()))
}

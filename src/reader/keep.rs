//! Where a pass's findings are kept from one visit to the next: in the browser's cache, whose writes are whole or not at
//! all. Whatever goes wrong here costs only the way back to where a pass was, and that is said.

use crate::analysis::corpus::Findings;
use crate::error::{Error, Result};
use crate::store::blocks::Entries;
use crate::worker::cache::CacheEntries;

/// One pass is kept, the last.
const CACHE: &str = "peartree-corpus";
const NAME: &str = "findings";

/// Keeps them; whether that was possible.
pub async fn put(findings: &Findings) -> bool {
    let (Some(cache), Ok(bytes)) = (CacheEntries::named(CACHE).await, findings.to_bytes()) else { return false };
    cache.put(NAME, &bytes).await.is_ok()
}

/// What is kept, if anything is.
///
/// # Errors
/// Saying what of it is damaged; it is deleted.
pub async fn get() -> Result<Option<Findings>> {
    let Some(cache) = CacheEntries::named(CACHE).await else { return Ok(None) };
    let Ok(Some(bytes)) = cache.get(NAME).await else { return Ok(None) };
    match Findings::from_bytes(&bytes) {
        Ok(findings) => Ok(Some(findings)),
        Err(error) => {
            forget().await;
            let what = match error {
                Error::DamagedCheckpoint { part } => part,
                _ => "its beginning".to_owned(),
            };
            let what = format!("What was kept of the last reading ({what})");
            Err(Error::Read { what, why: "it is damaged, so it was deleted. The texts must be read anew.".into() })
        }
    }
}

pub async fn forget() {
    if let Some(cache) = CacheEntries::named(CACHE).await {
        // what is left there is compared with the plan before anybody goes on from it
        let _ = cache.delete(NAME).await;
    }
}

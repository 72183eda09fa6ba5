//! Where a pass's findings are kept from one visit to the next: in the browser's cache, whose writes are whole or not at
//! all. Whatever goes wrong here costs only the way back to where a pass was.

use crate::analysis::corpus::Findings;
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

/// What is kept, if it can be read.
pub async fn get() -> Option<Findings> {
    let bytes = CacheEntries::named(CACHE).await?.get(NAME).await.ok()??;
    Findings::from_bytes(&bytes).ok()
}

pub async fn forget() {
    if let Some(cache) = CacheEntries::named(CACHE).await {
        // what is left there is compared with the plan before anybody goes on from it
        let _ = cache.delete(NAME).await;
    }
}

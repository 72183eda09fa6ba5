//! What can go wrong between a hub and this device.

use thiserror::Error;

/// A failure to get a model, to keep it, or to find it as it was kept.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StoreError {
    #[error("{text:?} is no model's id. Ids look like openai-community/gpt2-large.")]
    BadRepo { text: String },
    #[error("{text:?} is no revision. Give a branch, a tag or a commit.")]
    BadRevision { text: String },
    #[error("{text:?} is no address that models can come from: {why}")]
    BadAddress { text: String, why: &'static str },
    #[error("A token must not be sent to {host}, which is not reached by https.")]
    TokenInTheClear { host: String },
    #[error(
        "{host} does not give {what} to anyone: it is private or gated, or there is no such model. If you have access, give your token for that hub."
    )]
    NeedsToken { what: String, host: String },
    #[error(
        "{host} does not give {what} to this token. Check that the token can read this model, and that its terms are accepted on the model's page."
    )]
    TokenRefused { what: String, host: String },
    #[error("{host} has no {what}. Check the model's id and the revision.")]
    NotThere { what: String, host: String },
    #[error("There is no network, and {what} is not kept on this device. Connect, then load it again.")]
    Offline { what: String },
    #[error("{host} does not let this page read {what} (CORS). Download the files and drop them onto the page.")]
    CrossOrigin { what: String, host: String },
    #[error("{host} can't be reached. Check the connection and the address, then load {what} again.")]
    Unreachable { what: String, host: String },
    #[error(
        "{host} did not answer. Either it can't be reached, or it does not let this page read {what} (CORS). Check the connection and the address; if both are right, download the files and drop them onto the page."
    )]
    Silent { what: String, host: String },
    #[error(
        "A web page came in the place of {what}. Perhaps a proxy or a log-in page stands between you and {host}: open {host} in another tab, then load again."
    )]
    PageInstead { what: String, host: String },
    #[error("{host} answered {status} when asked for {what}. Try again later, or check the address.")]
    BadAnswer { what: String, host: String, status: u16 },
    #[error(
        "{what} could not be had from {host}: {why}. What has come so far is kept; load again to go on from there."
    )]
    GaveUp { what: String, host: String, why: String },
    #[error(
        "{what} should be {expected} bytes long and is {found}. Load it again; if that changes nothing, its source is damaged."
    )]
    WrongLength { what: String, expected: u64, found: u64 },
    #[error("{what} is larger than any such file is: more than {most} bytes. It was not read.")]
    TooLong { what: String, most: u64 },
    #[error("{what} is being changed at {host} while it is downloaded. Load it again later.")]
    Changing { what: String, host: String },
    #[error(
        "{what} is not what its source says: its SHA-256 is {found} and should be {expected}. The file was deleted; load it again."
    )]
    WrongHash { what: String, expected: String, found: String },
    #[error("{what} needs {} on this device and this browser has {} left. Delete kept models or free disk space; nothing was downloaded.", size(*needed), size(*free))]
    NoRoom { what: String, needed: u64, free: u64 },
    #[error(
        "The room for {what} ran out. It is not whole, and is not used. Delete kept models or free disk space, then load it again: it goes on from there."
    )]
    RoomRanOut { what: String },
    #[error(
        "This browser lets this page keep no files: {why}. Open the page over https and outside a private window, or pick the model's files from your disk."
    )]
    NoStorage { why: String },
    #[error(
        "What this browser keeps could not be {act}: {why}. Reload the page; if that changes nothing, delete the model and load it again."
    )]
    Storage { act: &'static str, why: String },
    /// Of the command line's, whose files have paths.
    #[error(
        "{path} could not be {act}: {why}. Check that the folder is yours to write to, or name another one in PEARTREE_CACHE."
    )]
    Folder { path: String, act: &'static str, why: String },
    #[error("{what} takes {} of memory in {dtype}, and this page has {} at most. {instead}", size(*needed), size(*most))]
    TooLarge { what: String, dtype: &'static str, needed: u64, most: u64, instead: String },
    #[error("{what} is not kept on this device. Load it first.")]
    NotKept { what: String },
    #[error("What was kept of {what} is damaged, so it was deleted. Load it again.")]
    Damaged { what: String },
}

impl StoreError {
    /// A stable, lower-case name of the kind of failure.
    pub fn code(&self) -> &'static str {
        match self {
            StoreError::BadRepo { .. } => "bad_repo",
            StoreError::BadRevision { .. } => "bad_revision",
            StoreError::BadAddress { .. } => "bad_address",
            StoreError::TokenInTheClear { .. } => "token_in_the_clear",
            StoreError::NeedsToken { .. } => "needs_token",
            StoreError::TokenRefused { .. } => "token_refused",
            StoreError::NotThere { .. } => "not_there",
            StoreError::Offline { .. } => "offline",
            StoreError::CrossOrigin { .. } => "cross_origin",
            StoreError::Unreachable { .. } => "unreachable",
            StoreError::Silent { .. } => "silent",
            StoreError::PageInstead { .. } => "page_instead",
            StoreError::BadAnswer { .. } => "bad_answer",
            StoreError::GaveUp { .. } => "gave_up",
            StoreError::WrongLength { .. } => "wrong_length",
            StoreError::TooLong { .. } => "too_long",
            StoreError::Changing { .. } => "changing",
            StoreError::WrongHash { .. } => "wrong_hash",
            StoreError::NoRoom { .. } => "no_room",
            StoreError::RoomRanOut { .. } => "room_ran_out",
            StoreError::NoStorage { .. } => "no_storage",
            StoreError::Storage { .. } | StoreError::Folder { .. } => "storage_failed",
            StoreError::TooLarge { .. } => "too_large",
            StoreError::NotKept { .. } => "not_kept",
            StoreError::Damaged { .. } => "damaged",
        }
    }
}

/// Bytes as a person reads them, in powers of ten as shops and disks count.
fn size(bytes: u64) -> String {
    let value = bytes as f64;
    match bytes {
        1_000_000_000.. => format!("{:.2} GB", value / 1e9),
        1_000_000.. => format!("{:.0} MB", value / 1e6),
        1_000.. => format!("{:.0} kB", value / 1e3),
        _ => format!("{bytes} bytes"),
    }
}

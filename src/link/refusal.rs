//! Why a link, or a piece of it, is not used: said for a person.

use thiserror::Error;

use super::MAX_EDITS;

/// Why a piece of a link is not used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    #[error("The address's fragment is not one of this page's links, so it was not used.")]
    NoLink,
    #[error(
        "The link is of the kind {0:?}, which this page doesn't know; perhaps a newer Peartree made it. It was not used."
    )]
    Version(String),
    #[error("The link is {0} characters long. Such long links are not read.")]
    TooLong(usize),
    #[error("The link says {0:?}, which means nothing here. That part was left out.")]
    UnknownKey(String),
    #[error("The link says {0:?} twice. The first was used.")]
    Twice(&'static str),
    #[error("The link's {what} can't be read. That part was left out.")]
    Unreadable { what: &'static str },
    #[error("The link's {what} is longer than {most} characters. That part was left out.")]
    TooMuch { what: &'static str, most: usize },
    #[error("The link's {what} is {value:?}, which is not a possible one. That part was left out.")]
    Wild { what: &'static str, value: String },
    #[error("The link has more than {MAX_EDITS} edits. The others were left out.")]
    TooManyEdits,
    #[error("The link looks at {what}, which this model doesn't have.")]
    NotInModel { what: String },
}

impl Refusal {
    /// Whether nothing at all of the link is used.
    pub fn is_whole(&self) -> bool {
        matches!(self, Refusal::NoLink | Refusal::Version(_) | Refusal::TooLong(_))
    }
}

//! An engine in another program: operations go over to it as bytes, one step at a time, and come back as bytes.
//!
//! In a browser the graphics card's engine is a program of its own, which only who has a card downloads. What asks is
//! [`RemoteEngine`], what answers is a [`Host`] around any engine; between them there is nothing but a [`Line`]. A step of an
//! operation ends where the operation looks at its control, where it has something to show, and where it ends: so it is
//! watched and stopped from where it was asked.

mod engine;
mod host;
mod operation;

pub use engine::{RemoteBase, RemoteCache, RemoteEngine};
pub use host::Host;
pub use operation::{Operation, Reply, Shown, Step, Word};

use std::pin::Pin;

use crate::error::Result;

/// The way to a [`Host`].
pub trait Line {
    /// Sends a [`Word`] and waits for the [`Step`] that it leads to.
    ///
    /// # Errors
    /// Where the other program is no more.
    fn step(&self, word: Vec<u8>) -> Pin<Box<dyn Future<Output = Result<Vec<u8>>> + '_>>;

    /// Sends a [`Word`] that nothing is answered to.
    fn tell(&self, word: Vec<u8>);
}

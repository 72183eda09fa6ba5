//! How a long computation is watched and stopped from outside.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use crate::error::{Error, Result};

/// Given to everything that takes long: reports how far it is and learns whether it should stop.
#[allow(async_fn_in_trait)] // futures stay on the thread that made them
pub trait Control {
    /// Lets the surroundings run (in a worker: the event loop) when enough time has passed.
    ///
    /// # Errors
    /// [`crate::error::Error::Cancelled`] once the work is no longer wanted.
    async fn breathe(&self) -> Result<()>;
}

/// For tests and the command line: never stops, never waits.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unhurried;

impl Control for Unhurried {
    async fn breathe(&self) -> Result<()> {
        Ok(())
    }
}

/// Runs what an [`Unhurried`] control accompanies: it never waits for the outside, so its first poll is its last.
///
/// # Errors
/// What the future fails with.
pub fn complete<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => Err(Error::Unsupported("The engine waits for something that never comes.".into())),
    }
}

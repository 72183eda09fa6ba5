//! How a long computation is watched and stopped from outside.

use crate::error::Result;

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

/// Runs a future to its end, asleep while it waits for a device.
///
/// # Errors
/// What the future fails with.
#[cfg(not(target_arch = "wasm32"))]
pub fn complete<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    pollster::block_on(future)
}

/// Runs what never waits for the outside (tests, under an [`Unhurried`] control): a browser's thread can't sleep, so its
/// first poll is its last.
///
/// # Errors
/// What the future fails with.
#[cfg(target_arch = "wasm32")]
pub fn complete<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => {
            Err(crate::error::Error::Unsupported("The engine waits for something that never comes.".into()))
        }
    }
}

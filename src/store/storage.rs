//! Where bytes live: folders of files, and what else a device must give. The browser's are in `worker`.

use std::time::Duration;

use crate::error::Result;
use crate::protocol::Room;

/// Folders, each of a few files.
#[allow(async_fn_in_trait)] // futures stay on the thread that made them
pub trait Storage {
    type File: StoredFile;

    /// Opens a file for reading and writing, made where it isn't there. One opener at a time.
    ///
    /// # Errors
    /// [`crate::error::StoreError::Storage`], [`crate::error::StoreError::RoomRanOut`]; so for all of these.
    async fn open(&self, folder: &str, name: &str) -> Result<Self::File>;

    /// A small file's content, though others may write to it; none where there is no such file.
    async fn read(&self, folder: &str, name: &str) -> Result<Option<Vec<u8>>>;

    /// Puts a small file in the place of what was there. Not atomic: readers check what they read.
    async fn write(&self, folder: &str, name: &str, bytes: &[u8]) -> Result<()> {
        let file = self.open(folder, name).await?;
        file.truncate(0).await?;
        file.write_at(0, bytes).await?;
        file.flush().await
    }

    async fn remove(&self, folder: &str, name: &str) -> Result<()>;

    async fn folders(&self) -> Result<Vec<String>>;

    /// Deletes a folder with all that is in it; one that isn't there is deleted already.
    async fn delete(&self, folder: &str) -> Result<()>;
}

/// An open file; dropping it closes it.
#[allow(async_fn_in_trait)]
pub trait StoredFile {
    async fn len(&self) -> Result<u64>;

    /// Fills `into` with the bytes from `at` on.
    ///
    /// # Errors
    /// Also where the file ends before.
    async fn read_at(&self, at: u64, into: &mut [u8]) -> Result<()>;

    /// Writes at any place; a hole before it reads as zeros.
    async fn write_at(&self, at: u64, bytes: &[u8]) -> Result<()>;

    /// Sees that what was written outlives a crash.
    async fn flush(&self) -> Result<()>;

    async fn truncate(&self, len: u64) -> Result<()>;
}

/// Time, chance, room and locks.
#[allow(async_fn_in_trait)]
pub trait Device {
    /// Held by one tab at a time; dropping it lets the next one in.
    type Lock;

    async fn sleep(&self, duration: Duration);

    /// Milliseconds since 1970.
    fn now_ms(&self) -> u64;

    /// Evenly from 0 to 1.
    fn chance(&self) -> f64;

    async fn room(&self) -> Room;

    /// Takes the lock `name`, and says so by `on_wait` where another tab has it first.
    async fn lock(&self, name: &str, on_wait: impl FnOnce()) -> Result<Self::Lock>;
}

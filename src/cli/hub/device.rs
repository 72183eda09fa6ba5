//! Time, chance, room and locks as the machine gives them.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::hash::{BuildHasher, RandomState};
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::storage::failed;
use crate::error::Result;
use crate::protocol::Room;
use crate::store::storage::Device;

/// This machine.
pub struct Machine {
    /// Beside the models, not in them: a model may be deleted while its lock is held.
    locks: PathBuf,
}

impl Machine {
    pub fn new(locks: PathBuf) -> Machine {
        Machine { locks }
    }
}

impl Device for Machine {
    /// Closing it, as the end of the process does too, lets the next one in.
    type Lock = File;

    async fn sleep(&self, duration: Duration) {
        std::thread::sleep(duration);
    }

    fn now_ms(&self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }

    /// Each of these hashers has keys of its own by chance, which is enough to keep a class from asking all at once.
    fn chance(&self) -> f64 {
        let bits = RandomState::new().hash_one(self.now_ms());
        (bits >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Unknown: the standard library can't ask a disk. One that is full is told when it is.
    async fn room(&self) -> Room {
        Room::default()
    }

    async fn lock(&self, name: &str, on_wait: impl FnOnce()) -> Result<File> {
        let path = self.locks.join(format!("{name}.lock"));
        let open = || {
            fs::create_dir_all(&self.locks)?;
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path)
        };
        let file = open().map_err(|error| failed(&path, "opened", &error))?;
        let locked = match file.try_lock() {
            Err(TryLockError::WouldBlock) => {
                on_wait();
                file.lock()
            }
            Err(TryLockError::Error(error)) => Err(error),
            Ok(()) => Ok(()),
        };
        locked.map_err(|error| failed(&path, "locked", &error))?;
        Ok(file)
    }
}

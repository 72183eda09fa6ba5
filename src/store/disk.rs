//! Files in a folder of the disk: the same store without a browser.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;

use super::storage::{Storage, StoredFile};
use crate::error::{Result, StoreError};

/// Storage in a folder.
#[derive(Debug, Clone)]
pub struct Disk {
    root: PathBuf,
}

pub struct DiskFile(File);

impl Disk {
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Disk { root: root.into() }
    }
}

fn failed(act: &'static str) -> impl Fn(std::io::Error) -> StoreError {
    move |error| match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => StoreError::RoomRanOut { what: "the model".into() },
        _ => StoreError::Storage { act, why: error.to_string() },
    }
}

/// None where there was nothing.
fn if_there<T>(result: std::io::Result<T>, act: &'static str) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(act)(error).into()),
    }
}

impl Storage for Disk {
    type File = DiskFile;

    async fn open(&self, folder: &str, name: &str) -> Result<DiskFile> {
        let folder = self.root.join(folder);
        fs::create_dir_all(&folder).map_err(failed("made"))?;
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(folder.join(name));
        Ok(DiskFile(file.map_err(failed("opened"))?))
    }

    async fn read(&self, folder: &str, name: &str) -> Result<Option<Vec<u8>>> {
        if_there(fs::read(self.root.join(folder).join(name)), "read")
    }

    async fn remove(&self, folder: &str, name: &str) -> Result<()> {
        if_there(fs::remove_file(self.root.join(folder).join(name)), "deleted").map(|_| ())
    }

    async fn folders(&self) -> Result<Vec<String>> {
        let Some(entries) = if_there(fs::read_dir(&self.root), "listed")? else { return Ok(Vec::new()) };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut names: Vec<String> = names.collect();
        names.sort();
        Ok(names)
    }

    async fn delete(&self, folder: &str) -> Result<()> {
        if_there(fs::remove_dir_all(self.root.join(folder)), "deleted").map(|_| ())
    }
}

impl DiskFile {
    fn at(&self, at: u64) -> std::io::Result<&File> {
        (&self.0).seek(SeekFrom::Start(at))?;
        Ok(&self.0)
    }
}

impl StoredFile for DiskFile {
    async fn len(&self) -> Result<u64> {
        Ok(self.0.metadata().map_err(failed("read"))?.len())
    }

    async fn read_at(&self, at: u64, into: &mut [u8]) -> Result<()> {
        Ok(self.at(at).and_then(|mut file| file.read_exact(into)).map_err(failed("read"))?)
    }

    async fn write_at(&self, at: u64, bytes: &[u8]) -> Result<()> {
        Ok(self.at(at).and_then(|mut file| file.write_all(bytes)).map_err(failed("written"))?)
    }

    async fn flush(&self) -> Result<()> {
        Ok(self.0.sync_data().map_err(failed("written"))?)
    }

    async fn truncate(&self, len: u64) -> Result<()> {
        Ok(self.0.set_len(len).map_err(failed("written"))?)
    }
}

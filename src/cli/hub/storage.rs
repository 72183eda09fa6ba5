//! Kept models as plain files: one folder each, which anyone can look into or delete.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Result as IoResult, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result, StoreError};
use crate::store::storage::{Storage, StoredFile};

/// Folders in one folder, which is made when it is first written to.
pub struct Folders(PathBuf);

impl Folders {
    pub fn at(root: PathBuf) -> Folders {
        Folders(root)
    }

    /// A folder's place.
    fn folder(&self, folder: &str) -> Result<PathBuf> {
        Ok(self.0.join(plain(folder)?))
    }

    fn file(&self, folder: &str, name: &str) -> Result<PathBuf> {
        Ok(self.folder(folder)?.join(plain(name)?))
    }

    fn make(&self, folder: &str) -> Result<()> {
        let path = self.folder(folder)?;
        fs::create_dir_all(&path).map_err(|error| failed(&path, "made", &error))
    }
}

/// A name that leads nowhere else. Names are hashes and constants of ours; this holds even if that changes.
fn plain(name: &str) -> Result<&str> {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if !name.is_empty() && !name.starts_with('.') && name.bytes().all(is_letter) {
        return Ok(name);
    }
    Err(StoreError::Folder { path: name.into(), act: "used", why: "it is no plain name".into() }.into())
}

/// What a failure of the file system means for a person.
pub fn failed(path: &Path, act: &'static str, error: &std::io::Error) -> Error {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
            StoreError::RoomRanOut { what: "the model".into() }.into()
        }
        _ => StoreError::Folder { path: path.display().to_string(), act, why: error.to_string() }.into(),
    }
}

/// None where there is nothing.
fn present<T>(result: IoResult<T>) -> IoResult<Option<T>> {
    match result {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        result => result.map(Some),
    }
}

impl Storage for Folders {
    type File = OpenFile;

    async fn open(&self, folder: &str, name: &str) -> Result<OpenFile> {
        self.make(folder)?;
        let path = self.file(folder, name)?;
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let file = file.map_err(|error| failed(&path, "opened", &error))?;
        Ok(OpenFile { file, path })
    }

    async fn read(&self, folder: &str, name: &str) -> Result<Option<Vec<u8>>> {
        let path = self.file(folder, name)?;
        present(fs::read(&path)).map_err(|error| failed(&path, "read", &error))
    }

    /// Beside its place first: whoever reads meanwhile, or after a crash, finds the old file or the new one.
    async fn write(&self, folder: &str, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.file(folder, name)?;
        let beside_name = format!("{name}.partial");
        let beside = self.open(folder, &beside_name).await?;
        beside.truncate(0).await?;
        beside.write_at(0, bytes).await?;
        beside.flush().await?;
        fs::rename(&beside.path, &path).map_err(|error| failed(&path, "written", &error))
    }

    async fn remove(&self, folder: &str, name: &str) -> Result<()> {
        let path = self.file(folder, name)?;
        present(fs::remove_file(&path)).map_err(|error| failed(&path, "deleted", &error))?;
        Ok(())
    }

    async fn folders(&self) -> Result<Vec<String>> {
        let unread = |error: std::io::Error| failed(&self.0, "read", &error);
        let Some(entries) = present(fs::read_dir(&self.0)).map_err(unread)? else { return Ok(Vec::new()) };
        let mut folders = Vec::new();
        for entry in entries {
            let entry = entry.map_err(unread)?;
            // what others put here is none of ours
            let name = entry.file_name().into_string().ok().filter(|name| plain(name).is_ok() && entry.path().is_dir());
            folders.extend(name);
        }
        folders.sort();
        Ok(folders)
    }

    async fn delete(&self, folder: &str) -> Result<()> {
        let path = self.folder(folder)?;
        present(fs::remove_dir_all(&path)).map_err(|error| failed(&path, "deleted", &error))?;
        Ok(())
    }
}

/// A file that is open.
pub struct OpenFile {
    file: File,
    path: PathBuf,
}

impl OpenFile {
    fn tell<T>(&self, act: &'static str, result: IoResult<T>) -> Result<T> {
        result.map_err(|error| failed(&self.path, act, &error))
    }
}

impl StoredFile for OpenFile {
    async fn size(&self) -> Result<u64> {
        self.tell("read", self.file.metadata().map(|metadata| metadata.len()))
    }

    async fn read_at(&self, at: u64, into: &mut [u8]) -> Result<()> {
        let mut file = &self.file;
        self.tell("read", file.seek(SeekFrom::Start(at)).and_then(|_| file.read_exact(into)))
    }

    async fn write_at(&self, at: u64, bytes: &[u8]) -> Result<()> {
        let mut file = &self.file;
        self.tell("written", file.seek(SeekFrom::Start(at)).and_then(|_| file.write_all(bytes)))
    }

    async fn flush(&self) -> Result<()> {
        self.tell("written", self.file.sync_data())
    }

    async fn truncate(&self, len: u64) -> Result<()> {
        self.tell("written", self.file.set_len(len))
    }
}

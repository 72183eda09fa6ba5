//! Files in memory: for looking at a model without keeping it, and for tests.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use super::storage::{Storage, StoredFile};
use crate::error::{Result, StoreError};

/// Storage that ends with the program; clones share it.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    files: Rc<RefCell<BTreeMap<(String, String), MemoryFile>>>,
    limit: Rc<Cell<Option<u64>>>,
}

/// A file in memory; clones share it.
#[derive(Debug, Clone, Default)]
pub struct MemoryFile {
    bytes: Rc<RefCell<Vec<u8>>>,
    limit: Rc<Cell<Option<u64>>>,
}

impl Memory {
    /// No file grows past `bytes` from now on.
    pub fn limit(&self, bytes: Option<u64>) {
        self.limit.set(bytes);
    }

    /// A copy that goes its own way: what a crash at this moment leaves behind.
    pub fn snapshot(&self) -> Memory {
        let copy = |file: &MemoryFile| MemoryFile {
            bytes: Rc::new(RefCell::new(file.bytes.borrow().clone())),
            limit: Rc::default(),
        };
        let files = self.files.borrow().iter().map(|(path, file)| (path.clone(), copy(file))).collect();
        Memory { files: Rc::new(RefCell::new(files)), limit: Rc::default() }
    }
}

fn path(folder: &str, name: &str) -> (String, String) {
    (folder.to_owned(), name.to_owned())
}

impl Storage for Memory {
    type File = MemoryFile;

    async fn open(&self, folder: &str, name: &str) -> Result<MemoryFile> {
        let mut files = self.files.borrow_mut();
        let new = || MemoryFile { bytes: Rc::default(), limit: self.limit.clone() };
        Ok(files.entry(path(folder, name)).or_insert_with(new).clone())
    }

    async fn read(&self, folder: &str, name: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.files.borrow().get(&path(folder, name)).map(|file| file.bytes.borrow().clone()))
    }

    async fn remove(&self, folder: &str, name: &str) -> Result<()> {
        self.files.borrow_mut().remove(&path(folder, name));
        Ok(())
    }

    async fn folders(&self) -> Result<Vec<String>> {
        let mut folders: Vec<String> = self.files.borrow().keys().map(|(folder, _)| folder.clone()).collect();
        folders.dedup();
        Ok(folders)
    }

    async fn delete(&self, folder: &str) -> Result<()> {
        self.files.borrow_mut().retain(|(of, _), _| of != folder);
        Ok(())
    }
}

impl StoredFile for MemoryFile {
    async fn len(&self) -> Result<u64> {
        Ok(self.bytes.borrow().len() as u64)
    }

    async fn read_at(&self, at: u64, into: &mut [u8]) -> Result<()> {
        let bytes = self.bytes.borrow();
        let from = usize::try_from(at).ok().and_then(|at| bytes.get(at..)?.get(..into.len()));
        let from = from.ok_or(StoreError::Storage { act: "read", why: "it ends too early".into() })?;
        into.copy_from_slice(from);
        Ok(())
    }

    async fn write_at(&self, at: u64, new: &[u8]) -> Result<()> {
        let end = usize::try_from(at).ok().and_then(|at| at.checked_add(new.len()));
        let end = end.filter(|&end| self.limit.get().is_none_or(|limit| end as u64 <= limit));
        let end = end.ok_or_else(|| StoreError::RoomRanOut { what: "the model".into() })?;
        let mut bytes = self.bytes.borrow_mut();
        if bytes.len() < end {
            bytes.resize(end, 0);
        }
        bytes[end - new.len()..end].copy_from_slice(new);
        Ok(())
    }

    async fn flush(&self) -> Result<()> {
        Ok(())
    }

    async fn truncate(&self, len: u64) -> Result<()> {
        self.bytes.borrow_mut().truncate(usize::try_from(len).unwrap_or(usize::MAX));
        Ok(())
    }
}

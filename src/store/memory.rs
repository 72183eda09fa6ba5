//! Files in memory: for looking at a model without keeping it, and for tests.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use super::storage::{Storage, StoredFile};
use crate::error::{Result, StoreError};

/// Storage that ends with the program; clones share it. As in a browser, an open file can't be opened again or deleted.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    files: Rc<RefCell<BTreeMap<(String, String), Rc<Content>>>>,
    limit: Rc<Cell<Option<u64>>>,
}

#[derive(Debug, Default)]
struct Content {
    bytes: RefCell<Vec<u8>>,
    is_open: Cell<bool>,
}

/// An open file in memory.
#[derive(Debug, Default)]
pub struct MemoryFile {
    content: Rc<Content>,
    limit: Rc<Cell<Option<u64>>>,
}

impl Drop for MemoryFile {
    fn drop(&mut self) {
        self.content.is_open.set(false);
    }
}

impl Memory {
    /// No file grows past `bytes` from now on.
    pub fn limit(&self, bytes: Option<u64>) {
        self.limit.set(bytes);
    }

    /// A copy that goes its own way: what a crash at this moment leaves behind.
    pub fn snapshot(&self) -> Memory {
        let copy = |content: &Rc<Content>| {
            Rc::new(Content { bytes: RefCell::new(content.bytes.borrow().clone()), is_open: Cell::new(false) })
        };
        let files = self.files.borrow().iter().map(|(path, content)| (path.clone(), copy(content))).collect();
        Memory { files: Rc::new(RefCell::new(files)), limit: Rc::default() }
    }

    fn delete_where(&self, which: impl Fn(&(String, String)) -> bool) -> Result<()> {
        let mut files = self.files.borrow_mut();
        if files.iter().any(|(path, content)| which(path) && content.is_open.get()) {
            return Err(StoreError::Storage { act: "deleted", why: "it is in use".into() }.into());
        }
        files.retain(|path, _| !which(path));
        Ok(())
    }
}

fn path(folder: &str, name: &str) -> (String, String) {
    (folder.to_owned(), name.to_owned())
}

impl Storage for Memory {
    type File = MemoryFile;

    async fn open(&self, folder: &str, name: &str) -> Result<MemoryFile> {
        let content = self.files.borrow_mut().entry(path(folder, name)).or_default().clone();
        if content.is_open.replace(true) {
            return Err(StoreError::Storage { act: "opened", why: "it is in use".into() }.into());
        }
        Ok(MemoryFile { content, limit: self.limit.clone() })
    }

    async fn read(&self, folder: &str, name: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.files.borrow().get(&path(folder, name)).map(|content| content.bytes.borrow().clone()))
    }

    async fn remove(&self, folder: &str, name: &str) -> Result<()> {
        self.delete_where(|path| path.0 == folder && path.1 == name)
    }

    async fn folders(&self) -> Result<Vec<String>> {
        let mut folders: Vec<String> = self.files.borrow().keys().map(|(folder, _)| folder.clone()).collect();
        folders.dedup();
        Ok(folders)
    }

    async fn delete(&self, folder: &str) -> Result<()> {
        self.delete_where(|path| path.0 == folder)
    }
}

impl StoredFile for MemoryFile {
    async fn len(&self) -> Result<u64> {
        Ok(self.content.bytes.borrow().len() as u64)
    }

    async fn read_at(&self, at: u64, into: &mut [u8]) -> Result<()> {
        let bytes = self.content.bytes.borrow();
        let from = usize::try_from(at).ok().and_then(|at| bytes.get(at..)?.get(..into.len()));
        let from = from.ok_or_else(|| StoreError::Storage { act: "read", why: "it ends too early".into() })?;
        into.copy_from_slice(from);
        Ok(())
    }

    async fn write_at(&self, at: u64, new: &[u8]) -> Result<()> {
        let end = usize::try_from(at).ok().and_then(|at| at.checked_add(new.len()));
        let end = end.filter(|&end| self.limit.get().is_none_or(|limit| end as u64 <= limit));
        let end = end.ok_or_else(|| StoreError::RoomRanOut { what: "the model".into() })?;
        let mut bytes = self.content.bytes.borrow_mut();
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
        self.content.bytes.borrow_mut().truncate(usize::try_from(len).unwrap_or(usize::MAX));
        Ok(())
    }
}

//! Where this browser keeps models: in its file system for this site, or else in a cache.

use js_sys::Reflect;
use wasm_bindgen::JsCast;
use web_sys::{StorageManager, WorkerGlobalScope};

use super::cache::CacheEntries;
use super::opfs::{Opfs, OpfsFile};
use crate::error::{Result, StoreError};
use crate::store::blocks::{Blocks, BlocksFile};
use crate::store::storage::{Storage, StoredFile};

pub enum Files {
    Opfs(Opfs),
    Cache(Blocks<CacheEntries>),
}

pub enum File {
    Opfs(OpfsFile),
    Cache(BlocksFile<CacheEntries>),
}

/// None on a page that isn't secure.
pub fn storage_manager() -> Option<StorageManager> {
    let navigator = js_sys::global().unchecked_into::<WorkerGlobalScope>().navigator();
    let storage = Reflect::get(&navigator, &"storage".into()).ok()?;
    storage.is_object().then(|| storage.unchecked_into())
}

impl Files {
    /// Opens the best there is.
    ///
    /// # Errors
    /// [`StoreError::NoStorage`] where the browser keeps nothing for this page.
    pub async fn open() -> Result<Files> {
        if let Some(storage) = storage_manager()
            && let Some(files) = Opfs::open(&storage).await
        {
            return Ok(Files::Opfs(files));
        }
        let entries = CacheEntries::open().await;
        let why = "it has neither private files nor caches here".to_owned();
        Ok(Files::Cache(Blocks::new(entries.ok_or(StoreError::NoStorage { why })?)))
    }
}

impl Storage for Files {
    type File = File;

    async fn open(&self, folder: &str, name: &str) -> Result<File> {
        Ok(match self {
            Files::Opfs(files) => File::Opfs(files.open(folder, name).await?),
            Files::Cache(files) => File::Cache(files.open(folder, name).await?),
        })
    }

    async fn read(&self, folder: &str, name: &str) -> Result<Option<Vec<u8>>> {
        match self {
            Files::Opfs(files) => files.read(folder, name).await,
            Files::Cache(files) => files.read(folder, name).await,
        }
    }

    async fn remove(&self, folder: &str, name: &str) -> Result<()> {
        match self {
            Files::Opfs(files) => files.remove(folder, name).await,
            Files::Cache(files) => files.remove(folder, name).await,
        }
    }

    async fn folders(&self) -> Result<Vec<String>> {
        match self {
            Files::Opfs(files) => files.folders().await,
            Files::Cache(files) => files.folders().await,
        }
    }

    async fn delete(&self, folder: &str) -> Result<()> {
        match self {
            Files::Opfs(files) => files.delete(folder).await,
            Files::Cache(files) => files.delete(folder).await,
        }
    }
}

impl StoredFile for File {
    async fn len(&self) -> Result<u64> {
        match self {
            File::Opfs(file) => file.len().await,
            File::Cache(file) => file.len().await,
        }
    }

    async fn read_at(&self, at: u64, into: &mut [u8]) -> Result<()> {
        match self {
            File::Opfs(file) => file.read_at(at, into).await,
            File::Cache(file) => file.read_at(at, into).await,
        }
    }

    async fn write_at(&self, at: u64, bytes: &[u8]) -> Result<()> {
        match self {
            File::Opfs(file) => file.write_at(at, bytes).await,
            File::Cache(file) => file.write_at(at, bytes).await,
        }
    }

    async fn flush(&self) -> Result<()> {
        match self {
            File::Opfs(file) => file.flush().await,
            File::Cache(file) => file.flush().await,
        }
    }

    async fn truncate(&self, len: u64) -> Result<()> {
        match self {
            File::Opfs(file) => file.truncate(len).await,
            File::Cache(file) => file.truncate(len).await,
        }
    }
}

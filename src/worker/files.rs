//! Where this browser keeps models: in its file system for this site, or else in a cache; where it keeps nothing (a
//! page that isn't secure, a private window), in memory outside the program's, until they are loaded.

use js_sys::Reflect;
use wasm_bindgen::JsCast;
use web_sys::{StorageManager, WorkerGlobalScope};

use super::cache::CacheEntries;
use super::opfs::{Opfs, OpfsFile};
use crate::error::Result;
use crate::store::blocks::{Blocks, BlocksFile};
use crate::store::storage::{Storage, StoredFile};

pub enum Files {
    Opfs(Opfs),
    /// With whether they are in memory only.
    Cache(Blocks<CacheEntries>, bool),
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
    pub async fn open() -> Files {
        if let Some(storage) = storage_manager()
            && let Some(files) = Opfs::open(&storage).await
        {
            return Files::Opfs(files);
        }
        match CacheEntries::open().await {
            Some(entries) => Files::Cache(Blocks::new(entries), false),
            None => Files::Cache(Blocks::new(CacheEntries::in_memory()), true),
        }
    }

    /// Whether all of it is gone with this worker.
    pub fn is_transient(&self) -> bool {
        matches!(self, Files::Cache(_, true))
    }
}

impl Storage for Files {
    type File = File;

    async fn open(&self, folder: &str, name: &str) -> Result<File> {
        Ok(match self {
            Files::Opfs(files) => File::Opfs(files.open(folder, name).await?),
            Files::Cache(files, _) => File::Cache(files.open(folder, name).await?),
        })
    }

    async fn read(&self, folder: &str, name: &str) -> Result<Option<Vec<u8>>> {
        match self {
            Files::Opfs(files) => files.read(folder, name).await,
            Files::Cache(files, _) => files.read(folder, name).await,
        }
    }

    async fn remove(&self, folder: &str, name: &str) -> Result<()> {
        match self {
            Files::Opfs(files) => files.remove(folder, name).await,
            Files::Cache(files, _) => files.remove(folder, name).await,
        }
    }

    async fn folders(&self) -> Result<Vec<String>> {
        match self {
            Files::Opfs(files) => files.folders().await,
            Files::Cache(files, _) => files.folders().await,
        }
    }

    async fn delete(&self, folder: &str) -> Result<()> {
        match self {
            Files::Opfs(files) => files.delete(folder).await,
            Files::Cache(files, _) => files.delete(folder).await,
        }
    }
}

impl StoredFile for File {
    async fn size(&self) -> Result<u64> {
        match self {
            File::Opfs(file) => file.size().await,
            File::Cache(file) => file.size().await,
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

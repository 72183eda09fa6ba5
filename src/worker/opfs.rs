//! The origin private file system: real files, written in place, by a worker's synchronous handles.

use js_sys::{ArrayBuffer, AsyncIterator, Reflect, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    Blob, DomException, FileSystemDirectoryHandle, FileSystemFileHandle, FileSystemGetDirectoryOptions,
    FileSystemGetFileOptions, FileSystemReadWriteOptions, FileSystemRemoveOptions, FileSystemSyncAccessHandle,
    StorageManager,
};

use crate::error::{Error, Result, StoreError};
use crate::store::storage::{Storage, StoredFile};

/// The folder that holds the models' folders.
const ROOT: &str = "models";
/// Bytes of one read or write; they pass through memory of the browser's, as its calls don't take shared memory
/// everywhere.
const SCRATCH_BYTES: u32 = 1 << 20;
/// A tab that was closed a moment ago may still hold a file.
const OPEN_TRIES: u32 = 20;
const OPEN_PAUSE_MS: u32 = 100;

pub struct Opfs {
    root: FileSystemDirectoryHandle,
}

pub struct OpfsFile {
    handle: FileSystemSyncAccessHandle,
    scratch: Uint8Array,
}

/// What an operation failed with, by its name.
fn name_of(error: &JsValue) -> String {
    error.dyn_ref::<DomException>().map(DomException::name).unwrap_or_default()
}

pub fn failed(act: &'static str) -> impl Fn(JsValue) -> Error {
    move |error| {
        let error = match name_of(&error).as_str() {
            "QuotaExceededError" => StoreError::RoomRanOut { what: "the model".into() },
            _ => {
                let why = error.dyn_ref::<DomException>().map(DomException::message);
                StoreError::Storage { act, why: why.unwrap_or_else(|| "the browser doesn't say why".into()) }
            }
        };
        error.into()
    }
}

/// None where there is no such file or folder.
async fn if_there(promise: js_sys::Promise, act: &'static str) -> Result<Option<JsValue>> {
    match JsFuture::from(promise).await {
        Ok(value) => Ok(Some(value)),
        Err(error) if name_of(&error) == "NotFoundError" => Ok(None),
        Err(error) => Err(failed(act)(error)),
    }
}

impl Opfs {
    /// None where the browser has no such files, or none that can be written in place.
    pub async fn open(storage: &StorageManager) -> Option<Opfs> {
        let has = |object: &JsValue, name: &str| Reflect::has(object, &name.into()).unwrap_or(false);
        let file_handle = Reflect::get(&js_sys::global(), &"FileSystemFileHandle".into()).ok()?;
        let prototype = Reflect::get(&file_handle, &"prototype".into()).ok()?;
        if !has(storage, "getDirectory") || !prototype.is_object() || !has(&prototype, "createSyncAccessHandle") {
            return None;
        }
        let top: FileSystemDirectoryHandle = JsFuture::from(storage.get_directory()).await.ok()?.unchecked_into();
        let options = FileSystemGetDirectoryOptions::new();
        options.set_create(true);
        let root = JsFuture::from(top.get_directory_handle_with_options(ROOT, &options)).await.ok()?;
        Some(Opfs { root: root.unchecked_into() })
    }

    async fn folder(&self, name: &str, create: bool) -> Result<Option<FileSystemDirectoryHandle>> {
        let options = FileSystemGetDirectoryOptions::new();
        options.set_create(create);
        let folder = if_there(self.root.get_directory_handle_with_options(name, &options), "opened").await?;
        Ok(folder.map(JsCast::unchecked_into))
    }

    async fn handle(&self, folder: &str, name: &str, create: bool) -> Result<Option<FileSystemFileHandle>> {
        let Some(folder) = self.folder(folder, create).await? else { return Ok(None) };
        let options = FileSystemGetFileOptions::new();
        options.set_create(create);
        let handle = if_there(folder.get_file_handle_with_options(name, &options), "opened").await?;
        Ok(handle.map(JsCast::unchecked_into))
    }
}

impl Storage for Opfs {
    type File = OpfsFile;

    async fn open(&self, folder: &str, name: &str) -> Result<OpfsFile> {
        let gone = || StoreError::Storage { act: "opened", why: "it was deleted meanwhile".into() };
        let handle = self.handle(folder, name, true).await?.ok_or_else(gone)?;
        let mut tries = 0;
        loop {
            tries += 1;
            match JsFuture::from(handle.create_sync_access_handle()).await {
                Ok(handle) => {
                    let scratch = Uint8Array::new_with_length(SCRATCH_BYTES);
                    return Ok(OpfsFile { handle: handle.unchecked_into(), scratch });
                }
                Err(error) if tries < OPEN_TRIES && name_of(&error) == "NoModificationAllowedError" => {
                    gloo_timers::future::TimeoutFuture::new(OPEN_PAUSE_MS).await;
                }
                Err(error) => return Err(failed("opened")(error)),
            }
        }
    }

    async fn read(&self, folder: &str, name: &str) -> Result<Option<Vec<u8>>> {
        let Some(handle) = self.handle(folder, name, false).await? else { return Ok(None) };
        let Some(file) = if_there(handle.get_file(), "read").await? else { return Ok(None) };
        let Some(buffer) = if_there(file.unchecked_into::<Blob>().array_buffer(), "read").await? else {
            return Ok(None);
        };
        Ok(Some(Uint8Array::new(&buffer.unchecked_into::<ArrayBuffer>()).to_vec()))
    }

    async fn remove(&self, folder: &str, name: &str) -> Result<()> {
        let Some(folder) = self.folder(folder, false).await? else { return Ok(()) };
        if_there(folder.remove_entry(name), "deleted").await.map(|_| ())
    }

    async fn folders(&self) -> Result<Vec<String>> {
        let keys: AsyncIterator = self.root.keys();
        let mut names = Vec::new();
        loop {
            let next = keys.next().map_err(failed("listed"))?;
            let next = JsFuture::from(next).await.map_err(failed("listed"))?;
            let get = |name: &str| Reflect::get(&next, &name.into()).unwrap_or(JsValue::UNDEFINED);
            if get("done").is_truthy() {
                names.sort();
                return Ok(names);
            }
            names.extend(get("value").as_string());
        }
    }

    async fn delete(&self, folder: &str) -> Result<()> {
        let options = FileSystemRemoveOptions::new();
        options.set_recursive(true);
        if_there(self.root.remove_entry_with_options(folder, &options), "deleted").await.map(|_| ())
    }
}

impl OpfsFile {
    fn at(at: u64) -> FileSystemReadWriteOptions {
        let options = FileSystemReadWriteOptions::new();
        options.set_at(at as f64);
        options
    }
}

impl StoredFile for OpfsFile {
    async fn len(&self) -> Result<u64> {
        Ok(self.handle.get_size().map_err(failed("read"))? as u64)
    }

    async fn read_at(&self, at: u64, into: &mut [u8]) -> Result<()> {
        let mut at = at;
        for part in into.chunks_mut(SCRATCH_BYTES as usize) {
            let scratch = self.scratch.subarray(0, part.len() as u32);
            let read =
                self.handle.read_with_js_u8_array_and_options(&scratch, &Self::at(at)).map_err(failed("read"))?;
            if read < part.len() as f64 {
                return Err(StoreError::Storage { act: "read", why: "it ends too early".into() }.into());
            }
            scratch.copy_to(part);
            at += part.len() as u64;
        }
        Ok(())
    }

    async fn write_at(&self, at: u64, bytes: &[u8]) -> Result<()> {
        let mut at = at;
        for part in bytes.chunks(SCRATCH_BYTES as usize) {
            let scratch = self.scratch.subarray(0, part.len() as u32);
            scratch.copy_from(part);
            let written = self.handle.write_with_js_u8_array_and_options(&scratch, &Self::at(at));
            let written = written.map_err(failed("written"))?;
            at += part.len() as u64;
            // Chromium's private windows say that they wrote what they had no room for
            let size = self.handle.get_size().map_err(failed("written"))?;
            if written < part.len() as f64 || size < at as f64 {
                return Err(StoreError::RoomRanOut { what: "the model".into() }.into());
            }
        }
        Ok(())
    }

    async fn flush(&self) -> Result<()> {
        self.handle.flush().map_err(failed("written"))
    }

    async fn truncate(&self, len: u64) -> Result<()> {
        self.handle.truncate_with_f64(len as f64).map_err(failed("written"))
    }
}

impl Drop for OpfsFile {
    fn drop(&mut self) {
        self.handle.close();
    }
}

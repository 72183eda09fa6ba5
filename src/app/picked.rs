//! Files that a person picks or drops, and what lies in folders that are: a browser hands those out one by one.

use js_sys::{Array, Promise, Reflect};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{DataTransfer, File, FileList, FileSystemDirectoryEntry, FileSystemEntry, FileSystemFileEntry};

/// Of a folder that is no model's, no more files than this are looked at, and no deeper.
const MOST_FILES: usize = 2000;
const MOST_DEPTH: usize = 4;

/// A file, and where in the folder that was given it lies: `mine/config.json`, or its name alone.
#[derive(Clone, PartialEq)]
pub struct Picked {
    pub path: String,
    pub file: File,
}

impl Picked {
    pub fn of(file: File) -> Picked {
        let path = Reflect::get(&file, &"webkitRelativePath".into()).ok().and_then(|path| path.as_string());
        Picked { path: path.filter(|path| !path.is_empty()).unwrap_or_else(|| file.name()), file }
    }
}

/// The files of a list, of which those of a folder know where in it they lie.
pub fn listed(files: Option<FileList>) -> Vec<Picked> {
    let Some(files) = files else { return Vec::new() };
    (0..files.length()).filter_map(|i| files.item(i)).take(MOST_FILES).map(Picked::of).collect()
}

/// The folders among what was dropped; they can be asked for only while the drop is heard.
pub fn folders(data: &DataTransfer) -> Vec<FileSystemEntry> {
    let items = data.items();
    let entries = (0..items.length()).filter_map(|i| items.get(i)?.webkit_get_as_entry().ok()?);
    entries.filter(FileSystemEntry::is_directory).collect()
}

/// The files in folders, as far as the browser lets them be read.
pub async fn inside(folders: Vec<FileSystemEntry>) -> Vec<Picked> {
    let (mut open, mut found) = (folders.into_iter().map(|folder| (folder, 0)).collect::<Vec<_>>(), Vec::new());
    while let Some((entry, depth)) = open.pop().filter(|_| found.len() < MOST_FILES) {
        let path = entry.full_path().trim_start_matches('/').to_owned();
        // by what it says of itself: Chromium has the classes under other names
        if entry.is_directory() {
            if depth < MOST_DEPTH {
                let inner = entries(entry.unchecked_ref()).await;
                open.extend(inner.into_iter().map(|entry| (entry, depth + 1)));
            }
            continue;
        }
        let entry = entry.unchecked_into::<FileSystemFileEntry>();
        let file = called(|resolve, reject| {
            entry.file_with_callback_and_callback(resolve.unchecked_ref(), reject.unchecked_ref());
        });
        let file = file.await.ok().and_then(|file| file.dyn_into().ok());
        found.extend(file.map(|file| Picked { path, file }));
    }
    found
}

/// A folder's entries, which come in portions, the last of them empty.
async fn entries(folder: &FileSystemDirectoryEntry) -> Vec<FileSystemEntry> {
    let (reader, mut all) = (folder.create_reader(), Vec::new());
    while all.len() < MOST_FILES {
        let portion = called(|resolve, reject| {
            // a reader that can't be asked has nothing to give
            let _ = reader.read_entries_with_callback_and_callback(resolve.unchecked_ref(), reject.unchecked_ref());
        });
        let portion = portion.await.ok().and_then(|portion| portion.dyn_into::<Array>().ok()).unwrap_or_default();
        if portion.length() == 0 {
            break;
        }
        all.extend(portion.iter().map(JsCast::unchecked_into::<FileSystemEntry>));
    }
    all
}

/// What a function gives to the first of two callbacks.
async fn called(mut ask: impl FnMut(&JsValue, &JsValue)) -> Result<JsValue, JsValue> {
    JsFuture::from(Promise::new(&mut |resolve, reject| ask(&resolve, &reject))).await
}

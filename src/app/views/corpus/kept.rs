//! What the page remembers of a pass that was not finished, so that it can go on after a reload. What was counted is the
//! reader's to keep.

use serde::{Deserialize, Serialize};
use web_sys::Storage;

use crate::app::state::Corpus;
use crate::protocol::{CorpusOptions, DataFile};

const KEY: &str = "peartree-corpus";

/// A pass under way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KeptPass {
    pub model: String,
    pub files: Vec<DataFile>,
    pub options: CorpusOptions,
    /// What the boxes said, as far as the options don't.
    pub data: String,
    pub neuron: (usize, usize),
    pub token: String,
    /// How much was read.
    pub share: f64,
}

impl KeptPass {
    /// The boxes as they were.
    pub fn corpus(&self) -> Corpus {
        let CorpusOptions { pack, share, seed, bins, ref text_key, .. } = self.options;
        Corpus {
            neuron: Some(self.neuron),
            token: Some(self.token.clone()),
            data: Some(self.data.clone()),
            bins,
            pack,
            percent: share * 100.0,
            seed,
            key: text_key.clone(),
        }
    }

    /// Its files; those that were a person's only if the same are chosen again.
    pub fn files(&self, own: &[DataFile]) -> Option<Vec<DataFile>> {
        let again = |file: &DataFile| match file.bytes {
            None => Some(file.clone()),
            Some(_) => own.iter().find(|own| own.name == file.name && own.bytes == file.bytes).cloned(),
        };
        self.files.iter().map(again).collect()
    }
}

/// None where the browser keeps nothing for the page.
fn storage() -> Option<Storage> {
    web_sys::window()?.local_storage().ok()?
}

pub fn get() -> Option<KeptPass> {
    serde_json::from_str(&storage()?.get_item(KEY).ok()??).ok()
}

pub fn put(pass: &KeptPass) {
    if let (Some(storage), Ok(text)) = (storage(), serde_json::to_string(pass)) {
        // without room for it a reload starts from the beginning
        let _ = storage.set_item(KEY, &text);
    }
}

pub fn forget() {
    if let Some(storage) = storage() {
        let _ = storage.remove_item(KEY);
    }
}

//! Where texts come from, as the figure's boxes, the link and the reader call it.

use crate::app::corpora::{CORPORA, built_in, dataset};
use crate::app::site;
use crate::app::state::Corpus;
use crate::protocol::{DataFile, ModelInfo};

#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    /// A corpus of the site's, by name.
    BuiltIn(String),
    /// Files of the person's.
    Files,
    /// A data set's id on the hub.
    Dataset(String),
    /// The address of a folder in which somebody has published what a pass has found.
    Folder(String),
}

/// What the boxes offer first.
const FIRST_DATASET: &str = "NeelNanda/pile-10k";

impl Source {
    /// The source in use: the one chosen, or else what the site has published of this model, or the site's text for it.
    pub fn of(corpus: &Corpus, model: Option<&ModelInfo>) -> Source {
        let name = model.map_or("demo", |model| &model.name);
        let default = || match published(name) {
            Some(folder) => Source::Folder(folder),
            None => Source::BuiltIn(if name == "demo" { "demo" } else { "english" }.into()),
        };
        corpus.data.as_deref().and_then(Source::read).unwrap_or_else(default)
    }

    /// A source as a link says it.
    fn read(text: &str) -> Option<Source> {
        match text.split_once(':') {
            Some(("hub", id)) => Some(Source::Dataset(id.into())),
            Some(("folder", address)) => Some(Source::Folder(address.into())),
            _ if text == "files" => Some(Source::Files),
            _ => CORPORA.iter().find(|(name, _)| *name == text).map(|(name, _)| Source::BuiltIn((*name).into())),
        }
    }

    pub fn write(&self) -> String {
        match self {
            Source::BuiltIn(name) => name.clone(),
            Source::Files => "files".into(),
            Source::Dataset(id) => format!("hub:{id}"),
            Source::Folder(address) => format!("folder:{address}"),
        }
    }

    /// The word of its kind, as in the list of kinds.
    pub fn kind(&self) -> &str {
        match self {
            Source::BuiltIn(name) => name,
            Source::Files => "files",
            Source::Dataset(_) => "hub",
            Source::Folder(_) => "folder",
        }
    }

    /// A kind's first source.
    pub fn first(kind: &str, model: Option<&ModelInfo>) -> Source {
        let folder = || model.and_then(|model| published(&model.name)).unwrap_or_default();
        match kind {
            "files" => Source::Files,
            "hub" => Source::Dataset(FIRST_DATASET.into()),
            "folder" => Source::Folder(folder()),
            name => Source::BuiltIn(name.into()),
        }
    }

    /// What the reader opens; `own` are the person's files.
    pub fn files(&self, own: &[DataFile]) -> Vec<DataFile> {
        match self {
            Source::BuiltIn(name) => built_in(name).into_iter().collect(),
            Source::Files => own.to_vec(),
            Source::Dataset(id) => vec![dataset(id.trim())],
            Source::Folder(_) => Vec::new(),
        }
    }
}

/// The folder that the site's maker names for a model in the page's head: `<meta name="corpus-source"
/// content="MODEL=FOLDER MODEL=FOLDER">`.
pub fn published(model: &str) -> Option<String> {
    let named = site::named("corpus-source")?;
    named.split_whitespace().find_map(|entry| Some(entry.strip_prefix(model)?.strip_prefix('=')?.to_owned()))
}

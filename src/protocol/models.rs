//! Where models come from, what they are before they are loaded, and which of them this device keeps.

use serde::{Deserialize, Serialize};

use crate::model::{Config, Expected, SmallFiles, WeightDtype};

/// The hub that ids are looked up at where nobody names another.
pub const HUB: &str = "https://huggingface.co";

/// Whether a text can be a hub's id: `org/name`, or `name` alone. Folders are told apart by a dot before the first slash
/// or a slash at the end.
pub fn is_repo_id(text: &str) -> bool {
    const MOST: usize = 96;
    let is_part = |part: &str| {
        let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        !part.is_empty() && part.bytes().all(is_letter) && !part.starts_with(['.', '-']) && !part.contains("..")
    };
    text.len() <= MOST && text.split('/').count() <= 2 && text.split('/').all(is_part)
}

/// Whether a text can be a commit's name.
pub fn is_commit(text: &str) -> bool {
    (7..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// A model to load, or to be told of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// What the person calls it: `demo`, a hub's id, an address, files.
    pub name: String,
    pub place: Place,
    /// To compute with; as many as the page's address says, or suit the machine, if not said here.
    pub threads: Option<u32>,
    /// How the matrices are held in memory; f32 if not said.
    pub dtype: Option<WeightDtype>,
    /// What computes; the graphics card if it is in use already, the processor otherwise, if not said.
    pub engine: Option<EngineWish>,
}

/// Which engine a person asks for in a browser.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EngineWish {
    Cpu,
    /// The graphics card, also one that the processor pretends to be.
    WebGpu,
}

/// Where a model's files are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Place {
    /// These files on the page's own origin, or blobs made by it, and no others. What lies there is as near as a kept
    /// copy, so nothing of it is kept.
    Files { files: Vec<PlacedFile> },
    /// A folder on the page's own origin, its address with a slash at its end: whichever files of a model lie there.
    Folder { url: String },
    /// A hub's repository; kept on this device.
    Hub(HubPlace),
    /// Another site's folder that holds a model's files; kept on this device. A script or a person gives it, never a
    /// link.
    Base { url: String },
}

impl Place {
    /// Whether what is loaded from there is kept on this device.
    pub fn is_kept(&self) -> bool {
        matches!(self, Place::Hub(_) | Place::Base { .. })
    }
}

/// A file of a model, and where it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlacedFile {
    pub name: String,
    pub url: String,
}

/// A repository of a hub, which serves its files from `<host>/<repo>/resolve/<revision>/<file>`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HubPlace {
    /// `https://host`; [`HUB`] if not said.
    pub host: Option<String>,
    /// `org/name`, or `name` alone.
    pub repo: String,
    /// A branch, a tag or a commit; what is kept of the repository, or else `main`, if not said.
    pub revision: Option<String>,
    /// For a private or gated repository. It is told to the hub alone and written down nowhere.
    pub token: Option<String>,
}

impl std::fmt::Debug for HubPlace {
    /// All but the token: nothing that prints a request may tell it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let token = self.token.as_ref().map(|_| "(not told)");
        let mut place = f.debug_struct("HubPlace");
        place.field("host", &self.host).field("repo", &self.repo).field("revision", &self.revision);
        place.field("token", &token).finish()
    }
}

/// Where a model came from, exactly enough to get the same one again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The hub, as `https://host`, or the address of the folder.
    pub host: String,
    /// `org/name`; none for a folder.
    pub repo: Option<String>,
    /// The branch, tag or commit that was asked for.
    pub revision: Option<String>,
    /// The commit that the hub answered with.
    pub commit: Option<String>,
    /// SHA-256 of the file of weights, in hex; of several, that of their hashes, one a line.
    pub sha256: String,
    /// Whether that is also what the source says it should be; a folder without metadata says nothing.
    pub attested: bool,
}

/// A model before it is loaded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Description {
    pub name: String,
    pub config: Config,
    pub parameters: u64,
    pub has_tokenizer: bool,
    /// Element type of the weights in the file: `f32`, `f16`, `bf16` or `f64`.
    pub file_dtype: String,
    pub repo: Option<String>,
    pub commit: Option<String>,
    /// Bytes of all its files.
    pub bytes: u64,
    /// How many of them are on this device already.
    pub bytes_here: u64,
    /// Whether all of it is here, checked.
    pub kept: bool,
    /// One a type that the weights can be loaded in.
    pub memory: Vec<Need>,
    pub room: Room,
    /// The files that are read.
    pub files: Vec<FileOfModel>,
    /// What begins a text; none where nothing does, or that was not looked at.
    pub beginning: Option<Beginning>,
}

/// A file that is read of a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileOfModel {
    pub name: String,
    pub bytes: u64,
}

/// The token that begins a text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beginning {
    pub id: u32,
    /// Its text, where there is a tokenizer.
    pub token: Option<String>,
    /// The file that says so; none where it is GPT-2's own.
    pub said_by: Option<String>,
}

impl Beginning {
    /// What the small files say, whose tokenizer `expected` has read.
    pub fn of(expected: &Expected, small: &SmallFiles) -> Option<Beginning> {
        let tokenizer = expected.vocabulary().tokenizer();
        let (id, said_by) = small.beginning(tokenizer, expected.config())?;
        let token = tokenizer.map(|_| expected.vocabulary().text(id));
        Some(Beginning { id, token, said_by: said_by.map(str::to_owned) })
    }
}

/// What a model's weights take in one type.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Need {
    pub dtype: WeightDtype,
    pub bytes: u64,
    /// Whether the engine's memory can hold that.
    pub fits: bool,
}

/// The room that the browser gives this site, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Room {
    pub used: u64,
    /// Unknown where the browser doesn't say.
    pub quota: Option<u64>,
    /// Whether the browser has promised not to clear it when room gets scarce.
    pub persisted: bool,
    /// The browser gives this page no room at all: what is downloaded is held in memory, until it is loaded.
    pub transient: bool,
}

impl Room {
    /// Bytes that can still be written, as far as one knows.
    pub fn free(&self) -> Option<u64> {
        self.quota.map(|quota| quota.saturating_sub(self.used))
    }
}

/// What this device keeps.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    /// By name, then commit.
    pub models: Vec<KeptModel>,
    pub room: Room,
}

/// A model on this device, whole or in part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KeptModel {
    /// Names it in [`super::Request::Forget`] and [`super::Request::Verify`], as its name does.
    pub key: String,
    /// What the person called it.
    pub name: String,
    pub host: String,
    pub repo: Option<String>,
    pub revision: Option<String>,
    pub commit: Option<String>,
    /// Element type of the weights in the file.
    pub file_dtype: Option<String>,
    /// Bytes of all its files; unknown before the first answer of the source is written down.
    pub bytes: Option<u64>,
    pub bytes_here: u64,
    /// False while it is being downloaded, or where that was broken off: it can be gone on with.
    pub whole: bool,
    pub sha256: Option<String>,
    /// Whether the source said the same hash.
    pub attested: bool,
    /// When the last byte came, in milliseconds since 1970.
    pub date_ms: Option<u64>,
}

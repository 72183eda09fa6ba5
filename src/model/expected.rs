//! What a model's small files let its weights be held against, before a number of them is read.

use std::collections::{HashMap, HashSet};

use super::safetensors::{Dtype, Header, TensorInfo};
use super::settle::said_of;
use super::small::SmallFiles;
use super::weights::{HEAD, canonical, lacking_biases, shape};
use super::{Config, Vocabulary};
use crate::error::{Error, Result};

/// What is expected of a model's files of weights: of the one that there is, or of one after the other.
pub struct Expected {
    pub(super) config: Config,
    /// What config.json says of the unembedding.
    pub(super) says_tied: Option<bool>,
    pub(super) vocabulary: Vocabulary,
    file: File,
}

/// The file that is looked at.
#[derive(Default)]
struct File {
    /// What it is called, where it isn't `model.safetensors`.
    name: Option<String>,
    /// Its whole length, if the source told.
    bytes: Option<u64>,
    /// Whether other files hold the parameters that this one doesn't.
    is_part: bool,
}

impl Expected {
    /// From all small files that there are.
    ///
    /// # Errors
    /// [`Error::Config`], [`Error::Tokenizer`].
    pub fn from_files(small: &SmallFiles) -> Result<Self> {
        let config = Config::from_json(&small.config)?;
        let vocabulary = small.vocabulary(&config)?;
        Ok(Expected { config, says_tied: Config::says_tied(&small.config), vocabulary, file: File::default() })
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    pub fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    /// Says what [`ModelLoader::begin`](super::ModelLoader::begin) and [`push`](super::ModelLoader::push) would of a file,
    /// by its table of contents alone.
    ///
    /// # Errors
    /// [`Error::Weights`].
    pub fn check(&mut self, name: &str, bytes: u64, contents: &Header, whole_bytes: u64, is_part: bool) -> Result<()> {
        self.begin(Some(name), Some(bytes), is_part);
        self.check_header(contents, whole_bytes, &HashSet::new()).map_err(|error| self.named(error))
    }

    /// Says whether files that hold tensors of these canonical names are the whole model, and what of it will be zeros.
    ///
    /// # Errors
    /// [`Error::Weights`] naming the first parameter that is in none of them.
    pub fn check_names(&self, names: &HashSet<String>) -> Result<Option<String>> {
        let lacking = lacking_biases(&self.config, |name| names.contains(name)).map_err(Error::Weights)?;
        Ok(said_of(&lacking))
    }

    /// Goes on to a file.
    pub(super) fn begin(&mut self, name: Option<&str>, bytes: Option<u64>, is_part: bool) {
        self.file = File { name: name.map(str::to_owned), bytes, is_part };
    }

    /// Whether the file has a name.
    pub(super) fn is_named(&self) -> bool {
        self.file.name.is_some()
    }

    /// Whether other files hold the parameters that this one doesn't.
    pub(super) fn is_part(&self) -> bool {
        self.file.is_part
    }

    /// An error of the file's, by its own name.
    pub(super) fn named(&self, error: Error) -> Error {
        match &self.file.name {
            Some(name) => error.in_file(name),
            None => error,
        }
    }

    /// The shape that a tensor must have to be read; none for one that is passed over. A head is read whatever is said of
    /// it, so that it can be said whether it is the embedding.
    pub(super) fn shape(&self, name: &str) -> Option<Vec<usize>> {
        match name {
            HEAD => Some(vec![self.config.vocab_size, self.config.d_model]),
            _ => shape(&self.config, name),
        }
    }

    /// Refuses another model's file, or a file of the wrong length, before its data is read. Other files have brought the
    /// parameters that have `come`.
    pub(super) fn check_header(&self, header: &Header, whole_bytes: u64, come: &HashSet<String>) -> Result<()> {
        self.check_tensors(header, come)?;
        match self.file.bytes {
            Some(bytes) if bytes < whole_bytes => Err(Error::Weights(format!(
                "is cut short: it has {bytes} of the {whole_bytes} bytes that its header describes. Get the file again."
            ))),
            Some(bytes) if bytes > whole_bytes => Err(Error::Weights(format!(
                "has {bytes} bytes where its header describes {whole_bytes}. Get the file again."
            ))),
            _ => Ok(()),
        }
    }

    fn check_tensors(&self, header: &Header, come: &HashSet<String>) -> Result<()> {
        let mut found: HashMap<&str, &TensorInfo> = HashMap::new();
        for info in &header.tensors {
            let name = canonical(&info.name);
            if found.insert(name, info).is_some() || come.contains(name) {
                return Err(Error::Weights(format!(
                    "holds {name} twice, with and without \"transformer.\" or the like in front. Get the file again."
                )));
            }
        }
        if !self.file.is_part {
            lacking_biases(&self.config, |name| found.contains_key(name)).map_err(Error::Weights)?;
        }
        header.tensors.iter().try_for_each(|info| self.check_tensor(info))
    }

    fn check_tensor(&self, info: &TensorInfo) -> Result<()> {
        let name = canonical(&info.name);
        // a head that isn't used may be whatever it is
        let Some(shape) = self.shape(name).filter(|_| name != HEAD || self.says_tied != Some(true)) else {
            return Ok(());
        };
        if info.shape != shape {
            return Err(Error::Weights(format!(
                "has {name} in the shape {:?} where config.json asks for {shape:?}. Is it this model's file?",
                info.shape
            )));
        }
        if info.dtype == Dtype::Other {
            return Err(Error::Weights(format!(
                "stores {name} as {}; parameters are read in f32, f16, bf16 and f64. Convert it to one of them.",
                info.kind
            )));
        }
        Ok(())
    }
}

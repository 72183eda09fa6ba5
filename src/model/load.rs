//! Builds a model from its files as their bytes arrive, wherever they come from.
//!
//! The loader is pushed chunks and does no reading itself, so one loader serves a disk, a network stream and a file
//! dropped onto the page. It keeps no weights either: each goes to the sink of the engine that will run them.

use super::expected::Expected;
use super::reading::{Reading, take_header, twin};
use super::safetensors::{Dtype, Header, TensorInfo};
use super::settle::Settling;
use super::sink::{Sink, Tensors};
use super::small::SmallFiles;
use super::weights::{HEAD, WeightDtype, canonical};
use super::{Config, Vocabulary, Weights};
use crate::error::{Error, Result};

/// A model ready to run; its weights where they were put while it was loaded.
pub struct Model<W = Weights> {
    pub config: Config,
    pub vocabulary: Vocabulary,
    pub weights: W,
    /// What a person should know of how the weights were read, in sentences.
    pub notes: Vec<String>,
}

impl Model {
    /// From whole files in memory.
    ///
    /// # Errors
    /// What [`ModelLoader`] finds wrong with them.
    pub fn from_bytes(
        config_json: &[u8],
        tokenizer_json: Option<&[u8]>,
        safetensors: &[u8],
        dtype: WeightDtype,
    ) -> Result<Self> {
        Model::read(config_json, tokenizer_json, safetensors, dtype, Tensors::new())?.in_order()
    }
}

impl<S: Sink> Model<S> {
    /// As [`Model::from_bytes`], the weights into `sink`.
    ///
    /// # Errors
    /// As there; the sink's.
    pub fn read(
        config_json: &[u8],
        tokenizer_json: Option<&[u8]>,
        safetensors: &[u8],
        dtype: WeightDtype,
        sink: S,
    ) -> Result<Self> {
        let small = pair(config_json, tokenizer_json);
        let mut loader = ModelLoader::from_files(&small, dtype, sink)?;
        loader.expected.begin(None, Some(safetensors.len() as u64), false);
        loader.push(safetensors)?;
        loader.finish()
    }
}

impl Model<Tensors> {
    /// With its weights where they are looked for.
    ///
    /// # Errors
    /// [`Error::Weights`] naming the first tensor that is missing.
    pub fn in_order(mut self) -> Result<Model> {
        let weights = Weights::from_tensors(&self.config, &mut self.weights)?;
        Ok(Model { config: self.config, vocabulary: self.vocabulary, weights, notes: self.notes })
    }
}

/// Takes a model's weights in pieces of any size: one file of them, or one after the other.
pub struct ModelLoader<S = Tensors> {
    expected: Expected,
    stage: Stage,
    settling: Settling<S>,
    /// Whether of all parameters only embedding and unembedding are read.
    is_for_heads: bool,
    dtype: WeightDtype,
}

enum Stage {
    /// Collecting the 8 bytes of length and the JSON after them.
    Head(Vec<u8>),
    Tensors(Reading),
}

impl ModelLoader {
    /// From the two small files that most models have; `tokenizer_json` may be missing, then the model reads ids only.
    /// The weights' file may hold any type that the hub's do; in memory they have type `dtype`.
    ///
    /// # Errors
    /// [`Error::Config`], [`Error::Tokenizer`].
    pub fn new(
        config_json: &[u8],
        tokenizer_json: Option<&[u8]>,
        file_bytes: Option<u64>,
        dtype: WeightDtype,
    ) -> Result<Self> {
        let mut loader = Self::from_files(&pair(config_json, tokenizer_json), dtype, Tensors::new())?;
        loader.expected.begin(None, file_bytes, false);
        Ok(loader)
    }
}

impl ModelLoader<()> {
    /// Reads no more of a model's files than [`ModelLoader::finish_heads`] needs.
    ///
    /// # Errors
    /// As [`ModelLoader::from_files`].
    pub fn for_heads(small: &SmallFiles) -> Result<Self> {
        Ok(ModelLoader { is_for_heads: true, ..Self::from_files(small, WeightDtype::F32, ())? })
    }

    /// Whether the unembedding is one of its own, in the config; and what a person should know of it.
    ///
    /// # Errors
    /// [`Error::Weights`] when a file ended early.
    pub fn finish_heads(mut self) -> Result<(Config, Option<&'static str>)> {
        self.end()?;
        let mut config = self.expected.config;
        let note = self.settling.settle_head(&mut config)?;
        Ok((config, note))
    }
}

impl<S: Sink> ModelLoader<S> {
    /// From all small files that there are; the weights go into `sink`.
    ///
    /// # Errors
    /// [`Error::Config`], [`Error::Tokenizer`].
    pub fn from_files(small: &SmallFiles, dtype: WeightDtype, sink: S) -> Result<Self> {
        let expected = Expected::from_files(small)?;
        let settling = Settling::new(expected.says_tied, sink);
        Ok(ModelLoader { expected, stage: Stage::Head(Vec::new()), settling, is_for_heads: false, dtype })
    }

    /// What the files are held against.
    pub fn expected(&self) -> &Expected {
        &self.expected
    }

    /// Says whether any of several files has a head (as [`has_head`] finds it): where none has, the embedding needn't wait
    /// for one till the last of them.
    pub fn foresee(&mut self, head: bool) {
        self.settling.foresee(head);
    }

    /// Begins a file of so many `bytes`, if that is known: of safetensors, or, given its `contents`, of PyTorch's. Where
    /// it `is_part`, other files hold what it lacks.
    ///
    /// # Errors
    /// [`Error::Weights`] where the file before isn't whole, or this one is another model's.
    pub fn begin(
        &mut self,
        name: &str,
        bytes: impl Into<Option<u64>>,
        contents: Option<Header>,
        is_part: bool,
    ) -> Result<()> {
        if self.expected.is_named() {
            self.end()?;
        }
        self.expected.begin(Some(name), bytes.into(), is_part);
        self.stage = Stage::Head(Vec::new());
        match contents {
            None => Ok(()),
            Some(header) => {
                let whole_bytes = header.data_bytes;
                self.begin_tensors(header, whole_bytes).map_err(|error| self.expected.named(error))
            }
        }
    }

    /// Takes the file's next bytes.
    ///
    /// # Errors
    /// [`Error::Weights`] as soon as the file is seen to be damaged or another model's, [`Error::BeyondF16`] where f16
    /// can't hold it; the sink's.
    pub fn push(&mut self, bytes: &[u8]) -> Result<()> {
        self.take(bytes).map_err(|error| self.expected.named(error))
    }

    fn take(&mut self, mut bytes: &[u8]) -> Result<()> {
        if let Stage::Head(head) = &mut self.stage {
            let Some(header) = take_header(head, &mut bytes)? else { return Ok(()) };
            let whole_bytes = head.len() as u64 + header.data_bytes;
            self.begin_tensors(header, whole_bytes)?;
        }
        if let Stage::Tensors(reading) = &mut self.stage {
            reading.read(&mut bytes, &mut self.settling)?;
            if !bytes.is_empty() {
                return Err(Error::Weights(format!("goes on {} bytes past its end. Get the file again.", bytes.len())));
            }
        }
        Ok(())
    }

    /// Goes on to the file's tensors, if its table of contents is the model's.
    fn begin_tensors(&mut self, header: Header, whole_bytes: u64) -> Result<()> {
        self.expected.check_header(&header, whole_bytes, self.settling.come())?;
        let held = |info: &TensorInfo| {
            let name = canonical(&info.name);
            if self.is_for_heads && twin(name).is_empty() {
                return None;
            }
            let is_read = |shape: &Vec<usize>| *shape == info.shape && info.dtype != Dtype::Other;
            let shape = self.expected.shape(name).filter(is_read)?;
            Some((name.to_owned(), self.dtype.of_parameter(&shape)))
        };
        let reading = Reading::new(header, held);
        if reading.holds(HEAD) || !self.expected.is_part() {
            self.settling.foresee(reading.holds(HEAD));
        }
        self.stage = Stage::Tensors(reading);
        Ok(())
    }

    /// The model, once its files were pushed whole.
    ///
    /// # Errors
    /// [`Error::Weights`] when a file ended early, or no file holds some parameter; the sink's.
    pub fn finish(mut self) -> Result<Model<S>> {
        self.end()?;
        let Expected { mut config, vocabulary, .. } = self.expected;
        let (weights, notes) = self.settling.finish(&mut config)?;
        Ok(Model { config, vocabulary, weights, notes })
    }

    /// Ends a file.
    fn end(&mut self) -> Result<()> {
        let ended = match &mut self.stage {
            Stage::Head(head) => Err(format!("it ends after {} bytes, inside its header", head.len())),
            // tensors of no bytes are read when something is asked of the file's end
            Stage::Tensors(reading) => reading.read(&mut &[][..], &mut self.settling).map(|()| reading.missing())?,
        };
        let cut = |what| Error::Weights(format!("is cut short: {what}. Get the file again."));
        ended.map_err(|what| self.expected.named(cut(what)))
    }
}

/// The two small files that most models have.
fn pair(config_json: &[u8], tokenizer_json: Option<&[u8]>) -> SmallFiles {
    let tokenizer = tokenizer_json.map(<[u8]>::to_vec);
    SmallFiles { config: config_json.to_vec(), tokenizer, ..SmallFiles::default() }
}

/// Whether a file with this table of contents has an unembedding.
pub fn has_head(contents: &Header) -> bool {
    contents.tensors.iter().any(|info| canonical(&info.name) == HEAD)
}

#[cfg(test)]
mod tests;

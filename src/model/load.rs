//! Builds a model from its files as their bytes arrive, wherever they come from.
//!
//! The loader is pushed chunks and does no reading itself, so one loader serves a disk, a network stream and a file
//! dropped onto the page.

use std::collections::{HashMap, HashSet};

use candle_core::Tensor;

use super::convert::Converter;
use super::crc::Crc;
use super::safetensors::{Dtype, Header, TensorInfo, header_bytes};
use super::settle::{said_of, settle, settle_head};
use super::small::SmallFiles;
use super::weights::{EMBEDDING, HEAD, WeightDtype, canonical, lacking_biases, shape};
use super::{Config, Vocabulary, Weights};
use crate::error::{Error, Result};

/// A model ready to run.
pub struct Model {
    pub config: Config,
    pub vocabulary: Vocabulary,
    pub weights: Weights,
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
        let mut loader = ModelLoader::new(config_json, tokenizer_json, Some(safetensors.len() as u64), dtype)?;
        loader.push(safetensors)?;
        loader.finish()
    }
}

/// Takes a model's weights in pieces of any size: one file of them, or one after the other.
pub struct ModelLoader {
    config: Config,
    /// What config.json says of the unembedding.
    says_tied: Option<bool>,
    vocabulary: Vocabulary,
    stage: Stage,
    tensors: HashMap<String, Tensor>,
    /// Length of the whole file, if the source told.
    file_bytes: Option<u64>,
    /// What the file is called, where it isn't `model.safetensors`.
    name: Option<String>,
    /// Whether other files hold the parameters that this one doesn't.
    is_part: bool,
    /// Whether of all parameters only embedding and unembedding are read.
    is_for_heads: bool,
    dtype: WeightDtype,
}

enum Stage {
    /// Collecting the 8 bytes of length and the JSON after them.
    Head(Vec<u8>),
    Tensors(Reading),
}

/// Where in the tensors the stream stands.
struct Reading {
    header: Header,
    /// How each of the model's parameters is held, by canonical name.
    parameters: HashMap<String, WeightDtype>,
    /// Bytes of data that have come.
    at: u64,
    /// The first tensor that has not begun.
    next: usize,
    /// Where tensors begin that may be others again: what comes before is whole by then.
    stops: Vec<u64>,
    /// Those that have: one, but for files in which several share their numbers.
    open: Vec<Open>,
}

/// A tensor that is being read.
struct Open {
    index: usize,
    converter: Converter,
    crc: Option<Crc>,
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
        let tokenizer = tokenizer_json.map(<[u8]>::to_vec);
        let small = SmallFiles { config: config_json.to_vec(), tokenizer, ..SmallFiles::default() };
        Ok(ModelLoader { file_bytes, ..Self::from_files(&small, dtype)? })
    }

    /// From all small files that there are.
    ///
    /// # Errors
    /// [`Error::Config`], [`Error::Tokenizer`].
    pub fn from_files(small: &SmallFiles, dtype: WeightDtype) -> Result<Self> {
        let config = Config::from_json(&small.config)?;
        let vocabulary = small.vocabulary(&config)?;
        Ok(ModelLoader {
            config,
            says_tied: Config::says_tied(&small.config),
            vocabulary,
            stage: Stage::Head(Vec::new()),
            tensors: HashMap::new(),
            file_bytes: None,
            name: None,
            is_part: false,
            is_for_heads: false,
            dtype,
        })
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    pub fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    /// Reads no more of a model's files than [`ModelLoader::finish_heads`] needs.
    ///
    /// # Errors
    /// As [`ModelLoader::from_files`].
    pub fn for_heads(small: &SmallFiles) -> Result<Self> {
        Ok(ModelLoader { is_for_heads: true, ..Self::from_files(small, WeightDtype::F32)? })
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
        if self.name.is_some() {
            self.end()?;
        }
        (self.name, self.file_bytes, self.is_part) = (Some(name.to_owned()), bytes.into(), is_part);
        self.stage = match contents {
            None => Stage::Head(Vec::new()),
            Some(header) => {
                self.check_header(&header, header.data_bytes).map_err(|error| self.named(error))?;
                Stage::Tensors(self.reading(header))
            }
        };
        Ok(())
    }

    /// Says what [`ModelLoader::begin`] and [`ModelLoader::push`] would of a file, by its table of contents alone.
    ///
    /// # Errors
    /// [`Error::Weights`].
    pub fn check(&mut self, name: &str, bytes: u64, contents: &Header, whole_bytes: u64, is_part: bool) -> Result<()> {
        (self.name, self.file_bytes, self.is_part) = (Some(name.to_owned()), Some(bytes), is_part);
        self.check_header(contents, whole_bytes).map_err(|error| self.named(error))
    }

    /// Says whether files that hold tensors of these canonical names are the whole model, and what of it will be zeros.
    ///
    /// # Errors
    /// [`Error::Weights`] naming the first parameter that is in none of them.
    pub fn check_names(&self, names: &HashSet<String>) -> Result<Option<String>> {
        let lacking = lacking_biases(&self.config, |name| names.contains(name)).map_err(Error::Weights)?;
        Ok(said_of(&lacking))
    }

    /// Takes the file's next bytes.
    ///
    /// # Errors
    /// [`Error::Weights`] as soon as the file is seen to be damaged or another model's, [`Error::BeyondF16`] where f16
    /// can't hold it.
    pub fn push(&mut self, bytes: &[u8]) -> Result<()> {
        self.take(bytes).map_err(|error| self.named(error))
    }

    fn take(&mut self, mut bytes: &[u8]) -> Result<()> {
        if let Stage::Head(head) = &mut self.stage {
            let Some(header) = take_header(head, &mut bytes)? else { return Ok(()) };
            let whole_bytes = head.len() as u64 + header.data_bytes;
            self.check_header(&header, whole_bytes)?;
            self.stage = Stage::Tensors(self.reading(header));
        }
        if let Stage::Tensors(reading) = &mut self.stage {
            reading.read(&mut bytes, &mut self.tensors)?;
            if !bytes.is_empty() {
                return Err(Error::Weights(format!("goes on {} bytes past its end. Get the file again.", bytes.len())));
            }
        }
        Ok(())
    }

    fn reading(&self, header: Header) -> Reading {
        let held = |info: &TensorInfo| {
            let name = canonical(&info.name);
            if self.is_for_heads && twin(name).is_empty() {
                return None;
            }
            let shape = self.shape(name).filter(|shape| *shape == info.shape && info.dtype != Dtype::Other)?;
            Some((name.to_owned(), self.dtype.of_parameter(&shape)))
        };
        let parameters = header.tensors.iter().filter_map(held).collect();
        let stops = header.tensors.iter().filter(|info| !twin(canonical(&info.name)).is_empty());
        let stops = stops.map(|info| info.start).collect();
        Reading { header, parameters, at: 0, next: 0, stops, open: Vec::new() }
    }

    /// The shape that a tensor must have to be read; none for one that is passed over. A head is read whatever is said of
    /// it, so that it can be said whether it is the embedding.
    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        match name {
            HEAD => Some(vec![self.config.vocab_size, self.config.d_model]),
            _ => shape(&self.config, name),
        }
    }

    /// The model, once its files were pushed whole.
    ///
    /// # Errors
    /// [`Error::Weights`] when a file ended early, or no file holds some parameter.
    pub fn finish(mut self) -> Result<Model> {
        self.end()?;
        let notes = settle(&mut self.config, self.says_tied, &mut self.tensors)?;
        let weights = Weights::from_tensors(&self.config, &mut self.tensors)?;
        Ok(Model { config: self.config, vocabulary: self.vocabulary, weights, notes })
    }

    /// Whether the unembedding is one of its own, in the config; and what a person should know of it.
    ///
    /// # Errors
    /// [`Error::Weights`] when a file ended early.
    pub fn finish_heads(mut self) -> Result<(Config, Option<&'static str>)> {
        self.end()?;
        let note = settle_head(&mut self.config, self.says_tied, &mut self.tensors);
        Ok((self.config, note))
    }

    /// Ends a file.
    fn end(&mut self) -> Result<()> {
        let ended = match &mut self.stage {
            Stage::Head(head) => Err(format!("it ends after {} bytes, inside its header", head.len())),
            // tensors of no bytes are read when something is asked of the file's end
            Stage::Tensors(reading) => reading.read(&mut &[][..], &mut self.tensors).map(|()| reading.missing())?,
        };
        let cut = |what| Error::Weights(format!("is cut short: {what}. Get the file again."));
        ended.map_err(|what| self.named(cut(what)))
    }

    /// An error of a file's, by its own name.
    fn named(&self, error: Error) -> Error {
        match &self.name {
            Some(name) => error.in_file(name),
            None => error,
        }
    }

    /// Refuses another model's file, or a file of the wrong length, before its data is read.
    pub fn check_header(&self, header: &Header, whole_bytes: u64) -> Result<()> {
        let mut found: HashMap<&str, &TensorInfo> = HashMap::new();
        for info in &header.tensors {
            let name = canonical(&info.name);
            if found.insert(name, info).is_some() || self.tensors.contains_key(name) {
                return Err(Error::Weights(format!(
                    "holds {name} twice, with and without \"transformer.\" or the like in front. Get the file again."
                )));
            }
        }
        if !self.is_part {
            lacking_biases(&self.config, |name| found.contains_key(name)).map_err(Error::Weights)?;
        }
        for info in &header.tensors {
            let name = canonical(&info.name);
            // a head that isn't used may be whatever it is
            let Some(shape) = self.shape(name).filter(|_| name != HEAD || self.says_tied != Some(true)) else {
                continue;
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
        }
        match self.file_bytes {
            Some(file_bytes) if file_bytes < whole_bytes => Err(Error::Weights(format!(
                "is cut short: it has {file_bytes} of the {whole_bytes} bytes that its header describes. Get the file again."
            ))),
            Some(file_bytes) if file_bytes > whole_bytes => Err(Error::Weights(format!(
                "has {file_bytes} bytes where its header describes {whole_bytes}. Get the file again."
            ))),
            _ => Ok(()),
        }
    }
}

/// The name of the tensor that this one may be again.
fn twin(name: &str) -> &'static str {
    match name {
        EMBEDDING => HEAD,
        HEAD => EMBEDDING,
        _ => "",
    }
}

/// Whether two tensors, one of which may be the other again, are the same numbers of the file.
fn is_twin(one: &TensorInfo, other: &TensorInfo) -> bool {
    let place = |info: &TensorInfo| (info.start, info.end, info.dtype, info.shape.clone());
    canonical(&one.name) == twin(canonical(&other.name)) && place(one) == place(other)
}

/// Collects the header in `head`; takes what it uses off the front of `bytes`.
fn take_header(head: &mut Vec<u8>, bytes: &mut &[u8]) -> Result<Option<Header>> {
    let mut fill = |head: &mut Vec<u8>, len: usize| {
        let (used, rest) = bytes.split_at(len.saturating_sub(head.len()).min(bytes.len()));
        head.extend_from_slice(used);
        *bytes = rest;
    };
    fill(head, 8);
    let Some(first) = head.first_chunk::<8>() else { return Ok(None) };
    let whole = 8 + header_bytes(*first)?;
    fill(head, whole);
    if head.len() < whole { Ok(None) } else { Header::parse(&head[8..]).map(Some) }
}

impl Reading {
    /// Takes bytes for as many tensors as they are enough for; those that are whole go into `tensors`. What is no
    /// parameter is skipped: mask buffers like `h.N.attn.bias`, optimizers' numbers.
    fn read(&mut self, bytes: &mut &[u8], tensors: &mut HashMap<String, Tensor>) -> Result<()> {
        loop {
            self.read_to_stop(bytes, tensors)?;
            if bytes.is_empty() || self.at == self.header.data_bytes {
                return Ok(());
            }
        }
    }

    fn read_to_stop(&mut self, bytes: &mut &[u8], tensors: &mut HashMap<String, Tensor>) -> Result<()> {
        let stop = self.stops.iter().copied().filter(|&stop| stop > self.at).min().unwrap_or(u64::MAX);
        let left = stop.min(self.header.data_bytes) - self.at;
        let (used, rest) = bytes.split_at(usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len())));
        let (from, to) = (self.at, self.at + used.len() as u64);
        while let Some(info) = self.header.tensors.get(self.next)
            && (info.start < to || info.end <= to)
        {
            let is_shared = self.open.iter().any(|open| is_twin(&self.header.tensors[open.index], info));
            if let Some(&dtype) = self.parameters.get(canonical(&info.name)).filter(|_| !is_shared) {
                let converter = match tensors.get(twin(canonical(&info.name))) {
                    Some(twin) => Converter::beside(twin.clone(), info.clone(), dtype),
                    None => Converter::new(info.clone(), dtype)?,
                };
                self.open.push(Open { index: self.next, converter, crc: info.crc.map(|_| Crc::new()) });
            }
            self.next += 1;
        }
        let mut at = 0;
        while let Some(open) = self.open.get_mut(at) {
            let info = &self.header.tensors[open.index];
            let part = (info.start.max(from) - from) as usize..(info.end.min(to) - from) as usize;
            let part = used.get(part).unwrap_or_default();
            open.converter.push(part)?;
            if let Some(crc) = &mut open.crc {
                crc.push(part);
            }
            if info.end > to {
                at += 1;
                continue;
            }
            let Open { converter, crc, .. } = self.open.remove(at);
            if crc.map(|crc| crc.sum()) != info.crc {
                let name = &info.name;
                return Err(Error::Weights(format!("is damaged: {name} has another checksum. Get the file again.")));
            }
            let tensor = converter.finish()?;
            if let Some(again) = self.header.tensors.iter().find(|other| is_twin(info, other)) {
                tensors.insert(canonical(&again.name).to_owned(), tensor.clone());
            }
            tensors.insert(canonical(&info.name).to_owned(), tensor);
        }
        self.at = to;
        *bytes = rest;
        Ok(())
    }

    /// What has not come, if something has not.
    fn missing(&self) -> Result<(), String> {
        let is_whole = self.at == self.header.data_bytes;
        match self.header.tensors.iter().find(|info| info.end > self.at) {
            _ if is_whole => Ok(()),
            None => Err(format!("it ends {} bytes before its end", self.header.data_bytes - self.at)),
            Some(info) => {
                let left = info.end - info.start.max(self.at);
                Err(format!("it ends inside tensor {}, {left} bytes before its end", info.name))
            }
        }
    }
}

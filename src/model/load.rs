//! Builds a model from its files as their bytes arrive, wherever they come from.
//!
//! The loader is pushed chunks and does no reading itself, so one loader serves a disk, a network stream and a file
//! dropped onto the page.

use std::collections::HashMap;

use candle_core::Tensor;

use super::convert::Converter;
use super::safetensors::{Dtype, Header, TensorInfo, header_bytes};
use super::weights::{WeightDtype, canonical, parameters};
use super::{Config, Tokenizer, Vocabulary, Weights};
use crate::error::{Error, Result};

/// A model ready to run.
pub struct Model {
    pub config: Config,
    pub vocabulary: Vocabulary,
    pub weights: Weights,
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

/// Takes `model.safetensors` in pieces of any size.
pub struct ModelLoader {
    config: Config,
    vocabulary: Vocabulary,
    stage: Stage,
    tensors: HashMap<String, Tensor>,
    /// Length of the whole file, if the source told.
    file_bytes: Option<u64>,
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
    next: usize,
    /// Bytes of tensor `next` still to come.
    left: u64,
    /// What tensor `next` becomes; nothing while one is skipped.
    converter: Option<Box<Converter>>,
}

impl ModelLoader {
    /// From the two small files; `tokenizer_json` may be missing, then the model reads ids only. The weights' file may
    /// hold any type that the hub's do; in memory they have type `dtype`.
    ///
    /// # Errors
    /// [`Error::Config`], [`Error::Tokenizer`].
    pub fn new(
        config_json: &[u8],
        tokenizer_json: Option<&[u8]>,
        file_bytes: Option<u64>,
        dtype: WeightDtype,
    ) -> Result<Self> {
        let config = Config::from_json(config_json)?;
        let tokenizer = tokenizer_json.map(|json| Tokenizer::from_json(json, &config)).transpose()?;
        let vocabulary = Vocabulary::new(tokenizer, &config);
        Ok(ModelLoader {
            config,
            vocabulary,
            stage: Stage::Head(Vec::new()),
            tensors: HashMap::new(),
            file_bytes,
            dtype,
        })
    }

    /// Takes the next bytes of `model.safetensors`.
    ///
    /// # Errors
    /// [`Error::Weights`] as soon as the file is seen to be damaged or another model's, [`Error::BeyondF16`] where f16
    /// can't hold it.
    pub fn push(&mut self, mut bytes: &[u8]) -> Result<()> {
        if let Stage::Head(head) = &mut self.stage {
            let Some(header) = take_header(head, &mut bytes)? else { return Ok(()) };
            let whole_bytes = head.len() as u64 + header.data_bytes;
            self.check_header(&header, whole_bytes)?;
            let held = |(name, shape): (String, Vec<usize>)| (name, self.dtype.of_parameter(&shape));
            let parameters = parameters(&self.config).map(held).collect();
            self.stage = Stage::Tensors(Reading::new(header, parameters)?);
        }
        if let Stage::Tensors(reading) = &mut self.stage {
            reading.read(&mut bytes, &mut self.tensors)?;
            if !bytes.is_empty() {
                return Err(Error::Weights(format!("goes on {} bytes past its end. Get the file again.", bytes.len())));
            }
        }
        Ok(())
    }

    /// The model, once the whole file was pushed.
    ///
    /// # Errors
    /// [`Error::Weights`] when the file ended early.
    pub fn finish(mut self) -> Result<Model> {
        let cut = |what: String| Err(Error::Weights(format!("is cut short: {what}. Get the file again.")));
        match &self.stage {
            Stage::Head(head) => return cut(format!("it ends after {} bytes, inside its header", head.len())),
            Stage::Tensors(reading) => {
                if let Some(info) = reading.header.tensors.get(reading.next) {
                    return cut(format!("it ends inside tensor {}, {} bytes before its end", info.name, reading.left));
                }
            }
        }
        let weights = Weights::from_tensors(&self.config, &mut self.tensors)?;
        Ok(Model { config: self.config, vocabulary: self.vocabulary, weights })
    }

    /// Refuses another model's file, or a file of the wrong length, before its data is read.
    pub fn check_header(&self, header: &Header, whole_bytes: u64) -> Result<()> {
        let mut found: HashMap<&str, &TensorInfo> = HashMap::new();
        for info in &header.tensors {
            if found.insert(canonical(&info.name), info).is_some() {
                return Err(Error::Weights(format!(
                    "holds {} twice, with and without \"transformer.\" in front. Get the file again.",
                    canonical(&info.name)
                )));
            }
        }
        for (name, shape) in parameters(&self.config) {
            let info = found.get(name.as_str()).ok_or_else(|| {
                Error::Weights(format!("lacks the tensor {name} that config.json asks for. Is it this model's file?"))
            })?;
            if info.shape != shape {
                return Err(Error::Weights(format!(
                    "has {name} in the shape {:?} where config.json asks for {shape:?}. Is it this model's file?",
                    info.shape
                )));
            }
            if matches!(info.dtype, Dtype::Other(_)) {
                return Err(Error::Weights(format!("stores {name} in a type other than f32, f16 and bf16.")));
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
    fn new(header: Header, parameters: HashMap<String, WeightDtype>) -> Result<Self> {
        let mut reading = Reading { header, parameters, next: 0, left: 0, converter: None };
        reading.open()?;
        Ok(reading)
    }

    /// Prepares tensor `next`. What is no parameter is skipped: the mask buffers `h.N.attn.bias`, and `lm_head.weight`,
    /// which is `wte`.
    fn open(&mut self) -> Result<()> {
        let Some(info) = self.header.tensors.get(self.next) else { return Ok(()) };
        self.left = info.end - info.start;
        let dtype = self.parameters.get(canonical(&info.name));
        self.converter = dtype.map(|&dtype| Converter::new(info.clone(), dtype).map(Box::new)).transpose()?;
        Ok(())
    }

    /// Takes bytes for as many tensors as they are enough for; those that are whole go into `tensors`.
    fn read(&mut self, bytes: &mut &[u8], tensors: &mut HashMap<String, Tensor>) -> Result<()> {
        while let Some(info) = self.header.tensors.get(self.next) {
            let take = usize::try_from(self.left).map_or(bytes.len(), |left| left.min(bytes.len()));
            let (used, rest) = bytes.split_at(take);
            if let Some(converter) = &mut self.converter {
                converter.push(used)?;
            }
            *bytes = rest;
            self.left -= take as u64;
            if self.left > 0 {
                break;
            }
            if let Some(converter) = self.converter.take() {
                tensors.insert(canonical(&info.name).to_owned(), converter.finish()?);
            }
            self.next += 1;
            self.open()?;
        }
        Ok(())
    }
}

//! What no tensor decides alone: whether the unembedding is one of its own, and which biases are zeros. All others go on
//! to the sink as they come.

use std::collections::HashSet;

use candle_core::{DType, Device, Tensor};

use super::Config;
use super::sink::Sink;
use super::weights::{EMBEDDING, HEAD, N_BIASES, is_of, lacking_biases, parameters};
use crate::error::{Error, Result};

/// Stands between a model's files and its sink.
pub struct Settling<S> {
    sink: S,
    /// What `config.json` says of the unembedding.
    says_tied: Option<bool>,
    /// The canonical names of those that have come.
    come: HashSet<String>,
    /// Whether an unembedding may come yet. Till then the embedding waits, to be held against it.
    awaits_head: bool,
    /// These wait for each other: the only tensors that are held here.
    embedding: Option<Tensor>,
    head: Option<Tensor>,
    /// Whether the unembedding is the embedding again, once one has come.
    is_embedding: Option<bool>,
}

impl<S: Sink> Settling<S> {
    pub fn new(says_tied: Option<bool>, sink: S) -> Self {
        let come = HashSet::new();
        Settling { sink, says_tied, come, awaits_head: true, embedding: None, head: None, is_embedding: None }
    }

    /// Says whether an unembedding is to come.
    pub fn foresee(&mut self, head: bool) {
        self.awaits_head = head;
    }

    /// The names of all tensors so far.
    pub fn come(&self) -> &HashSet<String> {
        &self.come
    }

    /// A tensor that waits for another.
    pub fn waiting(&self, name: &str) -> Option<&Tensor> {
        match name {
            EMBEDDING => self.embedding.as_ref(),
            HEAD => self.head.as_ref(),
            _ => None,
        }
    }

    /// Takes a tensor that is whole. One that is another again is the same tensor under two names.
    ///
    /// # Errors
    /// The sink's.
    pub fn take(&mut self, name: &str, tensor: Tensor) -> Result<()> {
        self.come.insert(name.to_owned());
        match name {
            EMBEDDING => self.embedding = Some(tensor),
            HEAD => self.head = Some(tensor),
            _ => return self.sink.put(name, tensor),
        }
        let is_settled = self.embedding.is_some() && (self.head.is_some() || !self.awaits_head);
        if is_settled { self.give() } else { Ok(()) }
    }

    /// Gives the sink what waited: the unembedding only where it is one of its own, and used.
    fn give(&mut self) -> Result<()> {
        let (embedding, mut head) = (self.embedding.take(), self.head.take());
        if let Some(its) = &head {
            let is_embedding = embedding.as_ref().is_some_and(|embedding| embedding.id() == its.id());
            self.is_embedding = Some(is_embedding);
            head = head.filter(|_| !self.is_tied(is_embedding));
        }
        for (name, tensor) in [(EMBEDDING, embedding), (HEAD, head)] {
            if let Some(tensor) = tensor {
                self.sink.put(name, tensor)?;
            }
        }
        Ok(())
    }

    /// Tied where the head is the embedding again, whatever was said; else as was said, and as the file has it where nothing
    /// was.
    fn is_tied(&self, is_embedding: bool) -> bool {
        is_embedding || self.says_tied == Some(true)
    }

    /// Ends the loading: brings the config into line with what came, and puts zeros where biases are lacking. What a person
    /// would otherwise not know comes back as sentences.
    ///
    /// # Errors
    /// [`Error::Weights`] naming the first parameter that no file has; the sink's.
    pub fn finish(mut self, config: &mut Config) -> Result<(S, Vec<String>)> {
        let mut notes: Vec<String> = self.settle_head(config)?.into_iter().map(str::to_owned).collect();
        let lacking = lacking_biases(config, |name| self.come.contains(name)).map_err(Error::Weights)?;
        let is_lacking = |name: &str| lacking.iter().any(|kind| is_of(name, kind));
        if !lacking.is_empty() {
            for (name, shape) in parameters(config).filter(|(name, _)| is_lacking(name)) {
                self.sink.put(&name, Tensor::zeros(shape, DType::F32, &Device::Cpu)?)?;
            }
        }
        notes.extend(said_of(&lacking));
        Ok((self.sink, notes))
    }

    /// Says in the config whether the unembedding is one of its own, and what a person should know of it.
    ///
    /// # Errors
    /// The sink's.
    pub fn settle_head(&mut self, config: &mut Config) -> Result<Option<&'static str>> {
        self.give()?;
        let Some(is_embedding) = self.is_embedding else { return Ok(None) };
        config.variant.tie_word_embeddings = self.is_tied(is_embedding);
        Ok(match self.says_tied {
            _ if is_embedding => None,
            None => Some(
                "config.json does not say whether the unembedding is the embedding (tie_word_embeddings). The weights \
                 have an lm_head.weight that isn't, and it is used.",
            ),
            Some(true) => Some(
                "The weights have an lm_head.weight that isn't the embedding. It is not used: config.json says \
                 tie_word_embeddings.",
            ),
            Some(false) => None,
        })
    }
}

/// What is said of biases that are not there.
pub fn said_of(lacking: &[&str]) -> Option<String> {
    let what = match lacking.len() {
        0 => return None,
        N_BIASES => "biases".to_owned(),
        _ => lacking.join(", "),
    };
    Some(format!("The weights come without {what}: zeros stand in their place."))
}

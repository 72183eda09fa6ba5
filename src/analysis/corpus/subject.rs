//! What a pass asks of a model: of one in the same program, or (in the browser) of one in another worker.

use std::collections::BTreeSet;

use crate::analysis::tables::model_hash;
use crate::engine::{Control, Engine, Products, Unhurried};
use crate::error::Result;
use crate::model::tokenizer::cuts::Cut;
use crate::model::{Config, Vocabulary};

/// A part of a document, to become tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    pub text: String,
    /// Whether `<|endoftext|>` goes before it.
    pub bos: bool,
    /// Whether a document begins here.
    pub starts: bool,
}

/// What is looked at in each batch.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Watch {
    pub layers: BTreeSet<usize>,
    /// Tokens that may turn out to be a row's likeliest, in order; if there are none, nobody asks.
    pub tokens: Vec<u32>,
}

/// A model under study.
#[allow(async_fn_in_trait)] // futures stay on the thread that made them
pub trait Subject {
    fn config(&self) -> &Config;

    /// Where long documents may be cut.
    fn cut(&self) -> Cut;

    /// Hash of the weights.
    async fn hash(&self) -> Result<String>;

    /// The single token that a text is, or `#id` names.
    async fn token(&self, text: &str) -> Result<u32>;

    /// The ids of parts of documents.
    async fn ids(&self, parts: &[Part]) -> Result<Vec<Vec<u32>>>;

    /// What [`Self::look`] will be called with, in this order: whoever can begin with it may.
    fn foresee(&self, _batches: &[Vec<&[u32]>], _watch: &Watch) {}

    /// Runs a batch and shows `on_layer` the neurons of each watched layer, `[rows, d_mlp]`; then, for each row, its
    /// likeliest token if that is one of those asked about.
    async fn look(
        &self,
        prompts: &[&[u32]],
        watch: &Watch,
        control: &impl Control,
        on_layer: impl FnMut(usize, &[f32]),
    ) -> Result<Vec<Option<u32>>>;
}

/// A model in the same program.
pub struct Here<'a, E> {
    pub engine: &'a E,
    pub vocabulary: &'a Vocabulary,
}

impl<E: Engine + Products> Subject for Here<'_, E> {
    fn config(&self) -> &Config {
        self.engine.config()
    }

    fn cut(&self) -> Cut {
        self.vocabulary.cut()
    }

    async fn hash(&self) -> Result<String> {
        model_hash(self.engine, &Unhurried).await
    }

    async fn token(&self, text: &str) -> Result<u32> {
        self.vocabulary.token(text)
    }

    async fn ids(&self, parts: &[Part]) -> Result<Vec<Vec<u32>>> {
        parts.iter().map(|part| self.vocabulary.piece_ids(&part.text, part.bos)).collect()
    }

    async fn look(
        &self,
        prompts: &[&[u32]],
        watch: &Watch,
        control: &impl Control,
        on_layer: impl FnMut(usize, &[f32]),
    ) -> Result<Vec<Option<u32>>> {
        let to_end = !watch.tokens.is_empty();
        let resid = self.engine.neurons(prompts, &watch.layers, to_end, control, on_layer).await?;
        if to_end { self.engine.likeliest_among(&resid, &watch.tokens, control).await } else { Ok(Vec::new()) }
    }
}

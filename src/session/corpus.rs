//! Corpora: options become a plan, and a plan a pass.

use std::collections::BTreeSet;

use super::Session;
use crate::analysis::corpus::plan::{Plan, Shards};
use crate::analysis::corpus::study::Pair;
use crate::analysis::corpus::{Findings, Pass};
use crate::documents::Documents;
use crate::engine::{CpuEngine, Engine};
use crate::error::{Error, Result};
use crate::protocol::{Bins, CorpusAnswer, CorpusOptions};

impl Session {
    /// What `options` ask for, of `files` (names and sizes).
    ///
    /// # Errors
    /// [`Error::BadOption`] for what this model hasn't got.
    pub fn corpus_plan(&self, options: &CorpusOptions, files: Vec<(String, u64)>) -> Result<Plan> {
        let layers = match &options.layers {
            Some(layers) => self.layers(layers)?.collect(),
            None => BTreeSet::new(),
        };
        let plan = Plan {
            model: self.engine.config().clone(),
            files,
            layers,
            pairs: options.neurons.iter().map(|text| self.neuron_and_token(text)).collect::<Result<_>>()?,
            top: options.top,
            pack: options.pack,
            no_bos: options.no_bos,
            share: options.share,
            seed: options.seed,
        };
        plan.check()?;
        Ok(plan)
    }

    /// Begins a pass, or goes on with one.
    ///
    /// # Errors
    /// As [`Pass::new`].
    pub fn corpus_pass(
        &self,
        documents: Documents,
        plan: (Plan, Shards),
        before: Option<Findings>,
    ) -> Result<Pass<'_, CpuEngine>> {
        Pass::new(&self.engine, &self.vocabulary, documents, plan, before)
    }

    pub fn corpus_answer(&self, findings: &Findings, bins: Bins) -> CorpusAnswer {
        findings.answer(bins, &|id| self.vocabulary.text(id))
    }

    /// Every token's text, by id.
    pub fn token_texts(&self) -> Vec<String> {
        (0..self.engine.config().vocab_size as u32).map(|id| self.vocabulary.text(id)).collect()
    }

    /// Reads `LAYER:NEURON:TOKEN`.
    fn neuron_and_token(&self, text: &str) -> Result<Pair> {
        let mut parts = text.splitn(3, ':');
        let mut number = || parts.next().and_then(|part| part.trim().parse::<usize>().ok());
        match (number(), number(), parts.next()) {
            (Some(layer), Some(neuron), Some(token)) => {
                Ok(Pair { layer, neuron, token: self.vocabulary.token(token)? })
            }
            _ => Err(Error::BadOption {
                option: "neurons",
                problem: format!("has {text:?}. Write LAYER:NEURON:TOKEN, for example \"31:892: an\" or 31:892:#281."),
            }),
        }
    }
}

//! What a pass has found so far: a few tallies that add up exactly, whatever they are added up from.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::examples::Example;
use super::folder::Record;
use super::layer::LayerTally;
use super::plan::{Plan, Shards};
use super::study::Study;
use crate::error::{Error, Result};
use crate::protocol::{Bins, ContextAnswer, CorpusAnswer, ExcerptAnswer, NeuronAnswer, StudyAnswer};

/// Counts of documents and tokens, and the tallies of each layer and pair.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Findings {
    pub plan: Plan,
    pub shards: Shards,
    pub documents: u64,
    pub positions: u64,
    /// Groups that are behind, wanted or not.
    pub groups: u64,
    /// Batches that are behind of the group after those.
    pub batches: usize,
    pub layers: BTreeMap<usize, LayerTally>,
    pub studies: Vec<Study>,
}

/// What the bytes of a checkpoint begin with: a name and the version of their form.
const MAGIC: &[u8; 8] = b"PTCORP\x00\x01";

impl Findings {
    pub fn new(plan: Plan, shards: Shards) -> Self {
        let layers = plan.layers.iter().map(|&layer| (layer, LayerTally::new(plan.model.d_mlp))).collect();
        let studies = plan.pairs.iter().map(|&pair| Study::new(pair)).collect();
        Findings { plan, shards, documents: 0, positions: 0, groups: 0, batches: 0, layers, studies }
    }

    /// Adds another pass's findings, of other shards.
    ///
    /// # Errors
    /// [`Error::Merge`] where the two passes differ in more than their shards.
    pub fn merge(&mut self, other: Findings) -> Result<()> {
        if self.plan != other.plan {
            return Err(Error::Merge("they come from other files, another model or other options.".into()));
        }
        self.shards.merge(&other.shards)?;
        self.documents += other.documents;
        self.positions += other.positions;
        self.groups = self.groups.max(other.groups);
        let top = self.plan.top;
        for ((_, layer), (_, other)) in self.layers.iter_mut().zip(other.layers) {
            layer.merge(other, top);
        }
        for (study, other) in self.studies.iter_mut().zip(other.studies) {
            study.merge(other, top);
        }
        Ok(())
    }

    /// Everything in one order, so that equal findings are equal bytes.
    pub fn settle(&mut self) {
        let top = self.plan.top;
        self.layers.values_mut().flat_map(|layer| &mut layer.best).for_each(|best| best.settle(top));
        self.studies.iter_mut().for_each(|study| study.settle(top));
    }

    /// As bytes, to go on from later.
    ///
    /// # Errors
    /// [`Error::Unsupported`] should they not fit into memory.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        postcard::to_extend(self, MAGIC.to_vec())
            .map_err(|e| Error::Unsupported(format!("The corpus's findings can't be written down: {e}.")))
    }

    /// # Errors
    /// [`Error::Checkpoint`] if the bytes are damaged or another version's.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let bytes = bytes.strip_prefix(MAGIC).ok_or(Error::Checkpoint)?;
        let mut findings: Findings = postcard::from_bytes(bytes).map_err(|_| Error::Checkpoint)?;
        if !findings.fits() {
            return Err(Error::Checkpoint);
        }
        findings.settle();
        Ok(findings)
    }

    /// That the tallies are as many as the plan says: nothing may be read past their ends.
    pub fn fits(&self) -> bool {
        let has_layers = self.layers.keys().eq(&self.plan.layers);
        let has_pairs = self.studies.iter().map(|study| study.pair).eq(self.plan.pairs.iter().copied());
        has_layers && has_pairs && self.layers.values().all(|layer| layer.fits(self.plan.model.d_mlp))
    }

    /// The answer about the pairs.
    pub fn answer(&self, bins: Bins, text: &impl Fn(u32) -> String) -> CorpusAnswer {
        let study = |study: &Study| StudyAnswer {
            layer: study.pair.layer,
            neuron: study.pair.neuron,
            token: text(study.pair.token),
            id: study.pair.token,
            bins: study.bins(bins),
            occurrences: study.occurrences,
            top_predictions: study.top_predictions(),
            mean: study.sum.mean(self.positions),
            max: study.best.sorted().first().map(|best| best.value),
            top: contexts(study.best.sorted(), text),
            top_documents: contexts(study.best_documents.sorted(), text),
            auc: study.auc(),
        };
        CorpusAnswer {
            documents: self.documents,
            positions: self.positions,
            studies: self.studies.iter().map(study).collect(),
        }
    }

    /// One neuron of a layer that is watched whole.
    pub fn neuron(&self, layer: usize, neuron: usize, text: &impl Fn(u32) -> String) -> Option<NeuronAnswer> {
        let record = Record::of(self.layers.get(&layer)?, neuron)?;
        Some(record.answer((layer, neuron), self.positions, text))
    }
}

fn contexts(examples: Vec<&Example>, text: &impl Fn(u32) -> String) -> Vec<ContextAnswer> {
    examples.into_iter().map(|example| context(example, text)).collect()
}

/// An example as it is shown.
pub fn context(example: &Example, text: &impl Fn(u32) -> String) -> ContextAnswer {
    let tokens: Vec<String> = example.tokens.iter().map(|&id| text(id)).collect();
    let at = example.position.saturating_sub(example.from) as usize;
    let value = |&level: &u8| f32::from(level) / 255.0 * example.value.max(0.0);
    ContextAnswer {
        value: example.value,
        document: example.document,
        position: example.position,
        token: tokens.get(at).cloned().unwrap_or_default(),
        context: ExcerptAnswer {
            from: example.from,
            ids: example.tokens.clone(),
            tokens,
            values: example.levels.iter().map(value).collect(),
        },
    }
}

//! What a pass has found so far: a few tallies that add up exactly, whatever they are added up from.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

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
    /// Bytes of the files read so far that were no UTF-8.
    pub replaced_bytes: u64,
    /// Groups that are behind, wanted or not.
    pub groups: u64,
    /// Batches that are behind of the group after those.
    pub batches: usize,
    pub layers: BTreeMap<usize, LayerTally>,
    pub studies: Vec<Study>,
}

/// What the bytes of a checkpoint begin with: a name and the version of their form. Then come its parts, the counts, each
/// layer's and each pair's, as their length (u64), their SHA-256 and themselves. (Version 1 had no hashes, version 2 no
/// keys; both are refused.)
const MAGIC: &[u8; 8] = b"PTCORP\x00\x03";
const HASH_BYTES: usize = 32;

/// More than anybody can count: sums of so many shards' counts as there can be stay within 64 bits.
const MOST: u64 = 1 << 48;

/// Whether these can be counts of one thing each, and of one thing together.
pub fn are_counts(counts: impl IntoIterator<Item = u64>) -> bool {
    counts.into_iter().fold(0u64, u64::saturating_add) <= MOST
}

/// Everything but the tallies.
#[derive(Serialize, Deserialize)]
struct Head {
    /// JSON: a key that wasn't chosen isn't written, as in a folder's index.
    plan: String,
    /// The plan's, whose last bit JSON may lose.
    share: f64,
    shards: Shards,
    documents: u64,
    positions: u64,
    replaced_bytes: u64,
    groups: u64,
    batches: usize,
}

impl Findings {
    pub fn new(plan: Plan, shards: Shards) -> Self {
        let layers = plan.layers.iter().map(|&layer| (layer, LayerTally::new(plan.model.d_mlp))).collect();
        let studies = plan.pairs.iter().map(|&pair| Study::new(pair)).collect();
        Findings { plan, shards, documents: 0, positions: 0, replaced_bytes: 0, groups: 0, batches: 0, layers, studies }
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
        self.replaced_bytes = self.replaced_bytes.max(other.replaced_bytes);
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
        let Findings { documents, positions, replaced_bytes, groups, batches, .. } = *self;
        let (plan, share, shards) = (self.plan.to_json()?, self.plan.share, self.shards.clone());
        let head = Head { plan, share, shards, documents, positions, replaced_bytes, groups, batches };
        let mut bytes = MAGIC.to_vec();
        put(&mut bytes, &head)?;
        self.layers.values().try_for_each(|layer| put(&mut bytes, layer))?;
        self.studies.iter().try_for_each(|study| put(&mut bytes, study))?;
        Ok(bytes)
    }

    /// # Errors
    /// [`Error::Checkpoint`] if the bytes are another version's or don't fit together; [`Error::DamagedCheckpoint`]
    /// naming the part that is damaged.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let mut bytes = bytes.strip_prefix(MAGIC).ok_or(Error::Checkpoint)?;
        let head: Head = take(&mut bytes, || "its counts".into())?;
        let Head { share, shards, documents, positions, replaced_bytes, groups, batches, .. } = head;
        let plan: Plan = serde_json::from_str(&head.plan).map_err(|_| Error::Checkpoint)?;
        let plan = Plan { share, ..plan };
        let (mut layers, mut studies) = (BTreeMap::new(), Vec::new());
        for &layer in &plan.layers {
            layers.insert(layer, take(&mut bytes, || format!("layer {layer}"))?);
        }
        for pair in &plan.pairs {
            studies
                .push(take(&mut bytes, || format!("the pair of L{}N{} and #{}", pair.layer, pair.neuron, pair.token))?);
        }
        let mut findings =
            Findings { plan, shards, documents, positions, replaced_bytes, groups, batches, layers, studies };
        if !findings.fits() || !bytes.is_empty() {
            return Err(Error::Checkpoint);
        }
        findings.settle();
        Ok(findings)
    }

    /// That the plan can be followed, that the tallies are as many as it says, so that nothing is read past their ends,
    /// and that no count is so high that adding to it could overflow: what a file says may be anything.
    pub fn fits(&self) -> bool {
        let Findings { documents, positions, replaced_bytes, groups, batches, .. } = *self;
        let top = self.plan.top;
        let has_layers = self.layers.keys().eq(&self.plan.layers);
        let has_pairs = self.studies.iter().map(|study| study.pair).eq(self.plan.pairs.iter().copied());
        self.plan.check().is_ok()
            && self.shards.fits()
            && are_counts([documents, positions, replaced_bytes, groups, batches as u64])
            && has_layers
            && has_pairs
            && self.layers.values().all(|layer| layer.fits(self.plan.model.d_mlp, top))
            && self.studies.iter().all(|study| study.fits(top))
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
            replaced_bytes: self.replaced_bytes,
            studies: self.studies.iter().map(study).collect(),
        }
    }

    /// One neuron of a layer that is watched whole.
    pub fn neuron(&self, layer: usize, neuron: usize, text: &impl Fn(u32) -> String) -> Option<NeuronAnswer> {
        let record = Record::of(self.layers.get(&layer)?, neuron)?;
        Some(record.answer((layer, neuron), self.positions, text))
    }
}

/// Writes a part after its length and hash.
fn put(bytes: &mut Vec<u8>, part: &impl Serialize) -> Result<()> {
    let start = bytes.len();
    bytes.resize(start + 8 + HASH_BYTES, 0);
    *bytes = postcard::to_extend(part, std::mem::take(bytes))
        .map_err(|e| Error::Unsupported(format!("The corpus's findings can't be written down: {e}.")))?;
    let (head, part) = bytes[start..].split_at_mut(8 + HASH_BYTES);
    head[..8].copy_from_slice(&(part.len() as u64).to_le_bytes());
    head[8..].copy_from_slice(&Sha256::digest(part));
    Ok(())
}

/// Takes a part off the front of `bytes`.
fn take<T: DeserializeOwned>(bytes: &mut &[u8], name: impl Fn() -> String) -> Result<T> {
    let damaged = || Error::DamagedCheckpoint { part: name() };
    let (len, rest) = bytes.split_first_chunk::<8>().ok_or_else(damaged)?;
    let (hash, rest) = rest.split_at_checked(HASH_BYTES).ok_or_else(damaged)?;
    let len = usize::try_from(u64::from_le_bytes(*len)).ok();
    let (part, rest) = len.and_then(|len| rest.split_at_checked(len)).ok_or_else(damaged)?;
    if hash != &Sha256::digest(part)[..] {
        return Err(damaged());
    }
    *bytes = rest;
    postcard::from_bytes(part).map_err(|_| damaged())
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

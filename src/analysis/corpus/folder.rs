//! The folder of static files that a pass leaves behind, and that the page reads by range.
//!
//! | file | what |
//! |---|---|
//! | `corpus.json` | `{"format":2,"sha256":"…","index":…}`: the index, [`Index`], and the hash of its bytes; written last, so that a folder with it is whole |
//! | `layer-NN.bin` | a record for each neuron of layer NN, [`record_bytes`] long each: one neuron is one small range |
//! | `pairs.bin` | the pairs' exact counts, for merging (postcard) |
//! | `tokens.json` | the vocabulary's texts, by id |
//!
//! A record, little-endian: `sum` i128 in units of 2^-40; `fired` u64; number of examples u64; [`BINS`] histogram counts
//! u64; then room for `top` examples, best first, each: `value` f32, `position` u32, `document` u64, `from` u32, number
//! of tokens u32, [`EXCERPT`] token ids u32, [`EXCERPT`] levels u8; last, the record's hash: SHA-256 of what the folder
//! is of ([`Seal`]), layer u32, neuron u32 and all of the record before it, so that no damaged, misplaced or other folder's
//! record is taken for this one's. `pairs.bin` and `tokens.json` have their hashes in the index. (Format 1 had no hashes: such
//! a folder is refused, and made again by the command that made it.)

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::examples::{Best, EXCERPT, Example};
use super::findings::{Findings, context};
use super::layer::{BINS, LayerTally, histogram};
use super::plan::{Plan, Shards};
use super::study::Study;
use super::sum::Sum;
use crate::analysis::tables::sha256;
use crate::error::{Error, Result};
use crate::protocol::{Bins, CorpusAnswer, NeuronAnswer};

/// What an index begins with: the format's version, and where its hash begins.
const START: &[u8] = b"{\"format\":2,\"sha256\":\"";
const MIDDLE: &[u8] = b"\",\"index\":";
const HEX_BYTES: usize = 64;
const HASH_BYTES: usize = 32;
pub const INDEX: &str = "corpus.json";
pub const PAIRS: &str = "pairs.bin";
pub const TOKENS: &str = "tokens.json";

const HEAD_BYTES: usize = 16 + 8 + 8 + 8 * BINS;
const EXAMPLE_BYTES: usize = 4 + 4 + 8 + 4 + 4 + 4 * EXCERPT + EXCERPT;

/// `corpus.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Index {
    pub plan: Plan,
    pub shards: Shards,
    /// Files of the layers that were watched whole.
    pub layers: BTreeMap<usize, String>,
    pub record_bytes: usize,
    pub groups: u64,
    /// Hashes of [`PAIRS`] and [`TOKENS`].
    pub sha256: BTreeMap<String, String>,
    /// What the pairs came to.
    pub answer: CorpusAnswer,
}

/// What every record's hash begins with: which findings it belongs to.
pub struct Seal([u8; HASH_BYTES]);

impl Seal {
    fn new(plan: &Plan, shards: &Shards, documents: u64, positions: u64) -> Result<Self> {
        let what = serde_json::to_vec(&(plan, shards, documents, positions)).map_err(|e| unwritable(&e))?;
        Ok(Seal(Sha256::digest(what).into()))
    }

    /// # Errors
    /// [`Error::Unsupported`] for an index that can't be written down.
    pub fn of(index: &Index) -> Result<Self> {
        Seal::new(&index.plan, &index.shards, index.answer.documents, index.answer.positions)
    }

    fn hash(&self, (layer, neuron): (usize, usize), record: &[u8]) -> [u8; HASH_BYTES] {
        let place = [layer as u32, neuron as u32].map(u32::to_le_bytes);
        Sha256::new().chain_update(self.0).chain_update(place.as_flattened()).chain_update(record).finalize().into()
    }

    /// A neuron's record out of a layer's file.
    ///
    /// # Errors
    /// [`Error::Merge`] naming the neuron whose record is damaged.
    pub fn open(&self, (layer, neuron): (usize, usize), bytes: &[u8], top: usize) -> Result<Record> {
        let record = bytes.split_last_chunk::<HASH_BYTES>();
        let record = record.filter(|(record, hash)| **hash == self.hash((layer, neuron), record));
        let record = record.and_then(|(record, _)| Record::parse(record, top));
        record.ok_or_else(|| damaged(&format!("{} at neuron {neuron}", layer_file(layer))))
    }
}

fn damaged(part: &str) -> Error {
    Error::Merge(format!("{part} is damaged, or of another run. Get the folder again, or make it again."))
}

fn unwritable(why: &impl std::fmt::Display) -> Error {
    Error::Unsupported(format!("The corpus can't be written down: {why}."))
}

/// Bytes of one neuron's record.
pub fn record_bytes(top: usize) -> usize {
    HEAD_BYTES + top * EXAMPLE_BYTES + HASH_BYTES
}

pub fn layer_file(layer: usize) -> String {
    format!("layer-{layer:02}.bin")
}

/// Hands `write` every file, the index last.
///
/// # Errors
/// From `write`.
pub fn write(
    findings: &Findings,
    bins: Bins,
    tokens: &[String],
    mut write: impl FnMut(&str, &[u8]) -> Result<()>,
) -> Result<()> {
    let top = findings.plan.top;
    let seal = Seal::new(&findings.plan, &findings.shards, findings.documents, findings.positions)?;
    for (&layer, tally) in &findings.layers {
        let mut bytes = Vec::with_capacity(record_bytes(top) * findings.plan.model.d_mlp);
        for neuron in 0..findings.plan.model.d_mlp {
            let start = bytes.len();
            put_record(tally, neuron, top, &mut bytes);
            bytes.extend(seal.hash((layer, neuron), &bytes[start..]));
        }
        write(&layer_file(layer), &bytes)?;
    }
    let pairs = postcard::to_stdvec(&findings.studies).map_err(|e| unwritable(&e))?;
    write(PAIRS, &pairs)?;
    let vocabulary = serde_json::to_vec(tokens).map_err(|e| unwritable(&e))?;
    write(TOKENS, &vocabulary)?;
    let text = |id: u32| tokens.get(id as usize).cloned().unwrap_or_default();
    let index = Index {
        plan: findings.plan.clone(),
        shards: findings.shards.clone(),
        layers: findings.layers.keys().map(|&layer| (layer, layer_file(layer))).collect(),
        record_bytes: record_bytes(top),
        groups: findings.groups,
        sha256: [(PAIRS, &pairs), (TOKENS, &vocabulary)].map(|(file, bytes)| (file.to_owned(), sha256(bytes))).into(),
        answer: findings.answer(bins, &text),
    };
    let index = serde_json::to_vec(&index).map_err(|e| unwritable(&e))?;
    write(INDEX, &[START, sha256(&index).as_bytes(), MIDDLE, &index, b"}"].concat())
}

/// The findings in a folder, and its tokens.
///
/// # Errors
/// From `read`; [`Error::Merge`] for a folder of another version or with files that don't fit together.
pub fn read(read: impl Fn(&str) -> Result<Vec<u8>>) -> Result<(Findings, Vec<String>)> {
    let index = parse_index(&read(INDEX)?)?;
    let seal = Seal::of(&index)?;
    let checked = |file: &str| {
        let bytes = read(file)?;
        if index.sha256.get(file) == Some(&sha256(&bytes)) { Ok(bytes) } else { Err(damaged(file)) }
    };
    let studies: Vec<Study> = postcard::from_bytes(&checked(PAIRS)?).map_err(|_| damaged(PAIRS))?;
    let tokens: Vec<String> = serde_json::from_slice(&checked(TOKENS)?).map_err(|_| damaged(TOKENS))?;
    let mut layers = BTreeMap::new();
    for &layer in &index.plan.layers {
        let file = layer_file(layer);
        let bytes = read(&file)?;
        if index.record_bytes.checked_mul(index.plan.model.d_mlp) != Some(bytes.len()) {
            return Err(damaged(&file));
        }
        let records = bytes.chunks_exact(index.record_bytes).enumerate();
        let records = records.map(|(neuron, record)| seal.open((layer, neuron), record, index.plan.top));
        let records: Vec<Record> = records.collect::<Result<_>>()?;
        layers.insert(layer, tally(records, index.plan.top));
    }
    let CorpusAnswer { documents, positions, replaced_bytes, .. } = index.answer;
    let mut findings = Findings {
        plan: index.plan,
        shards: index.shards,
        documents,
        positions,
        replaced_bytes,
        groups: index.groups,
        batches: 0,
        layers,
        studies,
    };
    if !findings.fits() {
        return Err(damaged(PAIRS));
    }
    findings.settle();
    Ok((findings, tokens))
}

/// # Errors
/// [`Error::Merge`] for an index of another version, a damaged one, or none.
pub fn parse_index(bytes: &[u8]) -> Result<Index> {
    if bytes.starts_with(b"{\"format\":1,") {
        let old =
            "the folder was written by an earlier version, without hashes. Make it again by the command that made it.";
        return Err(Error::Merge(old.into()));
    }
    let parts = bytes.strip_prefix(START).and_then(|rest| rest.split_at_checked(HEX_BYTES));
    let parts = parts.and_then(|(hash, rest)| Some((hash, rest.strip_prefix(MIDDLE)?.strip_suffix(b"}")?)));
    let index = parts.filter(|(hash, index)| *hash == sha256(index).as_bytes());
    let index: Option<Index> = index.and_then(|(_, index)| serde_json::from_slice(index).ok());
    let agrees = |index: &Index| {
        index.plan.check().is_ok() && index.shards.fits() && index.record_bytes == record_bytes(index.plan.top)
    };
    index.filter(agrees).ok_or_else(|| damaged(INDEX))
}

fn tally(records: Vec<Record>, top: usize) -> LayerTally {
    let sums = records.iter().map(|record| record.sum).collect();
    let fired = records.iter().map(|record| record.fired).collect();
    let histogram = records.iter().flat_map(|record| record.histogram).collect();
    let best = records.into_iter().map(|record| Best::from_sorted(record.examples, top)).collect();
    LayerTally::from_parts(sums, fired, histogram, best)
}

/// One neuron of a layer's file.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    pub sum: Sum,
    pub fired: u64,
    pub histogram: [u64; BINS],
    pub examples: Vec<Example>,
}

impl Record {
    /// What was counted of one neuron; nothing if there is no such neuron.
    pub fn of(tally: &LayerTally, neuron: usize) -> Option<Record> {
        let best = tally.best.get(neuron)?;
        Some(Record {
            sum: tally.sums[neuron],
            fired: tally.fired[neuron],
            histogram: tally.bins(neuron).try_into().ok()?,
            examples: best.sorted().into_iter().cloned().collect(),
        })
    }

    /// Nothing if the bytes are no record.
    fn parse(bytes: &[u8], top: usize) -> Option<Record> {
        let mut bytes = Bytes(bytes);
        let (sum, fired, n_examples) = (Sum(bytes.i128()?), bytes.u64()?, bytes.u64()?);
        let mut histogram = [0; BINS];
        for count in &mut histogram {
            *count = bytes.u64()?;
        }
        let n_examples = usize::try_from(n_examples).ok().filter(|&n| n <= top)?;
        let examples = (0..n_examples).map(|_| example(&mut bytes)).collect::<Option<_>>()?;
        Some(Record { sum, fired, histogram, examples })
    }
}

impl Record {
    /// The neuron as it is shown.
    pub fn answer(
        &self,
        (layer, neuron): (usize, usize),
        positions: u64,
        text: &impl Fn(u32) -> String,
    ) -> NeuronAnswer {
        NeuronAnswer {
            layer,
            neuron,
            positions,
            mean: self.sum.mean(positions),
            max: self.examples.first().map(|best| best.value),
            firing_rate: self.fired as f64 / positions.max(1) as f64,
            histogram: histogram(&self.histogram),
            top_documents: self.examples.iter().map(|example| context(example, text)).collect(),
        }
    }
}

fn put_record(tally: &LayerTally, neuron: usize, top: usize, bytes: &mut Vec<u8>) {
    let end = bytes.len() + record_bytes(top) - HASH_BYTES;
    let best = tally.best[neuron].sorted();
    bytes.extend(tally.sums[neuron].0.to_le_bytes());
    bytes.extend(tally.fired[neuron].to_le_bytes());
    bytes.extend((best.len() as u64).to_le_bytes());
    bytes.extend(tally.bins(neuron).iter().flat_map(|count| count.to_le_bytes()));
    for example in best {
        let end = bytes.len() + EXAMPLE_BYTES;
        bytes.extend(example.value.to_le_bytes());
        bytes.extend(example.position.to_le_bytes());
        bytes.extend(example.document.to_le_bytes());
        bytes.extend(example.from.to_le_bytes());
        bytes.extend((example.tokens.len() as u32).to_le_bytes());
        bytes.extend(example.tokens.iter().flat_map(|id| id.to_le_bytes()));
        bytes.resize(end - EXCERPT, 0);
        bytes.extend(&example.levels);
        bytes.resize(end, 0);
    }
    bytes.resize(end, 0);
}

fn example(bytes: &mut Bytes<'_>) -> Option<Example> {
    let (value, position, document, from) = (f32::from_bits(bytes.u32()?), bytes.u32()?, bytes.u64()?, bytes.u32()?);
    let n = usize::try_from(bytes.u32()?).ok().filter(|&n| n <= EXCERPT)?;
    let mut tokens = Vec::with_capacity(EXCERPT);
    for _ in 0..EXCERPT {
        tokens.push(bytes.u32()?);
    }
    tokens.truncate(n);
    let levels = bytes.take::<EXCERPT>()?[..n].to_vec();
    Some(Example { value, document, position, from, tokens, levels })
}

/// Bytes that are read from the front.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*first)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    fn i128(&mut self) -> Option<i128> {
        self.take().map(i128::from_le_bytes)
    }
}

//! The folder of static files that a pass leaves behind, and that the page reads by range.
//!
//! | file | what |
//! |---|---|
//! | `corpus.json` | the index: [`Index`]; written last, so that a folder with it is whole |
//! | `layer-NN.bin` | a record for each neuron of layer NN, [`record_bytes`] long each: one neuron is one small range |
//! | `pairs.bin` | the pairs' exact counts, for merging (postcard) |
//! | `tokens.json` | the vocabulary's texts, by id |
//!
//! A record, little-endian: `sum` i128 in units of 2^-40; `fired` u64; number of examples u64; [`BINS`] histogram counts
//! u64; then room for `top` examples, best first, each: `value` f32, `position` u32, `document` u64, `from` u32, number
//! of tokens u32, [`EXCERPT`] token ids u32, [`EXCERPT`] levels u8.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::examples::{Best, EXCERPT, Example};
use super::findings::{Findings, context};
use super::layer::{BINS, LayerTally, histogram};
use super::plan::{Plan, Shards};
use super::study::Study;
use super::sum::Sum;
use crate::error::{Error, Result};
use crate::protocol::{Bins, CorpusAnswer, NeuronAnswer};

/// The index's version.
const FORMAT: u32 = 1;
pub const INDEX: &str = "corpus.json";
pub const PAIRS: &str = "pairs.bin";
pub const TOKENS: &str = "tokens.json";

const HEAD_BYTES: usize = 16 + 8 + 8 + 8 * BINS;
const EXAMPLE_BYTES: usize = 4 + 4 + 8 + 4 + 4 + 4 * EXCERPT + EXCERPT;

/// `corpus.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Index {
    pub format: u32,
    pub plan: Plan,
    pub shards: Shards,
    /// Files of the layers that were watched whole.
    pub layers: BTreeMap<usize, String>,
    pub record_bytes: usize,
    pub groups: u64,
    /// What the pairs came to.
    pub answer: CorpusAnswer,
}

/// Bytes of one neuron's record.
pub fn record_bytes(top: usize) -> usize {
    HEAD_BYTES + top * EXAMPLE_BYTES
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
    for (&layer, tally) in &findings.layers {
        let mut bytes = Vec::with_capacity(record_bytes(top) * findings.plan.model.d_mlp);
        (0..findings.plan.model.d_mlp).for_each(|neuron| put_record(tally, neuron, top, &mut bytes));
        write(&layer_file(layer), &bytes)?;
    }
    let unwritable = |what: String| Error::Unsupported(format!("The corpus can't be written down: {what}."));
    let pairs = postcard::to_stdvec(&findings.studies).map_err(|e| unwritable(e.to_string()))?;
    write(PAIRS, &pairs)?;
    write(TOKENS, &serde_json::to_vec(tokens).map_err(|e| unwritable(e.to_string()))?)?;
    let text = |id: u32| tokens.get(id as usize).cloned().unwrap_or_default();
    let index = Index {
        format: FORMAT,
        plan: findings.plan.clone(),
        shards: findings.shards.clone(),
        layers: findings.layers.keys().map(|&layer| (layer, layer_file(layer))).collect(),
        record_bytes: record_bytes(top),
        groups: findings.groups,
        answer: findings.answer(bins, &text),
    };
    write(INDEX, &serde_json::to_vec(&index).map_err(|e| unwritable(e.to_string()))?)
}

/// The findings in a folder, and its tokens.
///
/// # Errors
/// From `read`; [`Error::Merge`] for a folder of another version or with files that don't fit together.
pub fn read(read: impl Fn(&str) -> Result<Vec<u8>>) -> Result<(Findings, Vec<String>)> {
    let damaged = |file: &str| Error::Merge(format!("{file} is damaged, or of another version."));
    let index = parse_index(&read(INDEX)?)?;
    let studies: Vec<Study> = postcard::from_bytes(&read(PAIRS)?).map_err(|_| damaged(PAIRS))?;
    let tokens: Vec<String> = serde_json::from_slice(&read(TOKENS)?).map_err(|_| damaged(TOKENS))?;
    let mut layers = BTreeMap::new();
    for &layer in &index.plan.layers {
        let file = layer_file(layer);
        let bytes = read(&file)?;
        if bytes.len() != index.record_bytes * index.plan.model.d_mlp {
            return Err(damaged(&file));
        }
        let records = bytes.chunks_exact(index.record_bytes).map(|record| Record::parse(record, index.plan.top));
        let records: Vec<Record> = records.collect::<Option<_>>().ok_or_else(|| damaged(&file))?;
        layers.insert(layer, tally(records, index.plan.top));
    }
    let CorpusAnswer { documents, positions, .. } = index.answer;
    let mut findings = Findings {
        plan: index.plan,
        shards: index.shards,
        documents,
        positions,
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
/// [`Error::Merge`] for an index of another version, or none.
pub fn parse_index(bytes: &[u8]) -> Result<Index> {
    let damaged = || Error::Merge(format!("{INDEX} is damaged, or of another version."));
    let index: Index = serde_json::from_slice(bytes).map_err(|_| damaged())?;
    let agrees =
        index.format == FORMAT && index.plan.check().is_ok() && index.record_bytes == record_bytes(index.plan.top);
    if agrees { Ok(index) } else { Err(damaged()) }
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
    pub fn parse(bytes: &[u8], top: usize) -> Option<Record> {
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
    let end = bytes.len() + record_bytes(top);
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

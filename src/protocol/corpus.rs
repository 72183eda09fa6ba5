//! What a corpus is asked and what it answers: the neuron on real text.

use serde::{Deserialize, Serialize};

/// A pass over documents.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct CorpusOptions {
    /// Pairs of a neuron and a token, `LAYER:NEURON:TOKEN`.
    pub neurons: Vec<String>,
    /// The layers whose neurons are all watched; none if only the pairs are wanted.
    pub layers: Option<LayersArgument>,
    pub bins: Bins,
    /// Contexts kept for each neuron.
    pub top: usize,
    /// Documents fill the context one after the other, instead of each being cut to it.
    pub pack: bool,
    /// The share of the documents that is read, drawn by `seed`.
    pub share: f64,
    pub seed: u64,
    pub no_bos: bool,
    /// Under which key of objects, or in which column, the texts are; none for `text`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text_key: Option<String>,
}

impl Default for CorpusOptions {
    fn default() -> Self {
        CorpusOptions {
            neurons: Vec::new(),
            layers: None,
            bins: Bins::Floor,
            top: 20,
            pack: false,
            share: 1.0,
            seed: 0,
            no_bos: false,
            text_key: None,
        }
    }
}

/// A layer's number, several, or words: `all`, or `0-3,7`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum LayersArgument {
    One(usize),
    Many(Vec<usize>),
    Words(String),
}

/// A task for the reader, on its way through the worker: that one forwards it unread, so that it needn't know how.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReaderCall {
    /// Address of the reader's program.
    pub program: String,
    /// JSON of a [`ReaderTask`].
    pub task: String,
    /// It was asked before, of one that died at it: a pass goes on from what is kept.
    pub again: bool,
}

/// What the page asks the reader.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ReaderTask {
    /// A pass. With `resume`, on from where the same pass was stopped, if that is still there; with `keep`, what it finds
    /// is kept, to be asked about and to go on from.
    Pass { files: Vec<DataFile>, options: CorpusOptions, resume: bool, keep: bool },
    /// The last pass's pairs again, in other bins.
    Bins(Bins),
    /// One neuron of the pass made last, or of a folder that somebody has published at an address.
    Neuron { options: CorpusNeuronOptions, folder: Option<String> },
    /// What a published folder holds.
    Folder { folder: String },
    /// Under which keys, or in which columns, the first file has texts.
    Keys { files: Vec<DataFile> },
    /// Forgets what is kept of a pass that was stopped.
    Forget,
}

/// A file of documents.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DataFile {
    /// Its ending tells the format.
    pub name: String,
    /// On the page's own site, a `blob:` that was dropped onto it, or a hub's file.
    pub url: String,
    /// Of a file that was dropped: known before it is opened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<f64>,
    /// A data set of several files; `url` is the hub's list of them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_dataset: bool,
}

/// One neuron of the pass made last.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CorpusNeuronOptions {
    pub layer: usize,
    pub neuron: usize,
}

/// How activations are put into bins 0.2 wide.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bins {
    /// `floor(a / 0.2)`.
    #[default]
    Floor,
    /// The post's notebook: rounded to one decimal, times 5, truncated towards zero, so that bin 0 holds -0.1 to 0.1.
    Notebook,
}

/// What a corpus says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CorpusAnswer {
    pub documents: u64,
    /// Tokens that the model read, `<|endoftext|>` included.
    pub positions: u64,
    /// Bytes of the files that were no UTF-8, and stand as U+FFFD in the texts.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub replaced_bytes: u64,
    pub studies: Vec<StudyAnswer>,
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// One neuron's activation against one token's prediction.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StudyAnswer {
    pub layer: usize,
    pub neuron: usize,
    pub token: String,
    pub id: u32,
    /// Those that hold anything, in order.
    pub bins: Vec<BinAnswer>,
    /// Positions at which the token stands.
    pub occurrences: u64,
    /// Positions at which the token is the model's likeliest next one.
    pub top_predictions: u64,
    pub mean: f64,
    pub max: Option<f32>,
    /// Highest activations; equal ones in order of document and position.
    pub top: Vec<ContextAnswer>,
    /// The same with at most one a document.
    pub top_documents: Vec<ContextAnswer>,
    /// Area under the ROC curve of the activation for "the token is the likeliest next one": the chance that it is
    /// higher at a position where that is so than at one where it isn't. Activations that agree in their first 15
    /// binary places (of more than 65,536 different ones, in fewer) count as equal. Nothing where all positions are of one kind.
    pub auc: Option<f64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BinAnswer {
    pub bin: i32,
    /// `bin / 5`.
    pub from: f64,
    pub count: u64,
    /// Of these, positions where the token is the likeliest next one.
    pub top: u64,
    /// Wilson's 95 % confidence interval of `top / count`.
    pub low: f64,
    pub high: f64,
}

/// A place in the corpus.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ContextAnswer {
    pub value: f32,
    /// Counted through all files, from 0.
    pub document: u64,
    /// Counted from 0, which is `<|endoftext|>`.
    pub position: u32,
    /// The text of the token there.
    pub token: String,
    /// Tokens around it, and each one's activation.
    pub context: ExcerptAnswer,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExcerptAnswer {
    /// Position of the first token.
    pub from: u32,
    pub ids: Vec<u32>,
    pub tokens: Vec<String>,
    /// Activations, to 1/255 of the peak's; below zero they count as 0.
    pub values: Vec<f32>,
}

/// One neuron of a layer that was watched whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NeuronAnswer {
    pub layer: usize,
    pub neuron: usize,
    pub positions: u64,
    pub mean: f64,
    pub max: Option<f32>,
    /// Share of positions at which the activation is above zero.
    pub firing_rate: f64,
    pub histogram: Vec<HistogramBin>,
    pub top_documents: Vec<ContextAnswer>,
}

/// What a published folder holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FolderAnswer {
    pub documents: u64,
    pub positions: u64,
    /// Names of the files that were read.
    pub files: Vec<String>,
    /// Layers whose neurons are all there.
    pub layers: Vec<usize>,
    pub studies: Vec<StudyAnswer>,
}

/// How often activations lie in `from <= a < to`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HistogramBin {
    /// Nothing: everything below `to`.
    pub from: Option<f32>,
    pub to: Option<f32>,
    pub count: u64,
}

/// How far a pass is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CorpusProgress {
    pub documents: u64,
    pub positions: u64,
    /// Share of the files' bytes that are read.
    pub share: f64,
    pub tokens_per_second: f64,
    pub seconds_left: Option<f64>,
    /// Whether so much is kept that a reload wouldn't lose everything.
    pub is_kept: bool,
    /// Why nothing of an earlier pass is gone on with, told once: what was kept of it is damaged.
    pub lost: Option<String>,
    /// Now and then: the answer as it is so far.
    pub answer: Option<CorpusAnswer>,
}

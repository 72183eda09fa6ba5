//! What a corpus is asked and what it answers: the neuron on real text.

use serde::{Deserialize, Serialize};

use super::LayerArgument;

/// A pass over documents.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct CorpusOptions {
    /// Pairs of a neuron and a token, `LAYER:NEURON:TOKEN`.
    pub neurons: Vec<String>,
    /// The layers whose neurons are all watched: a number, or `all`; none if only the pairs are wanted.
    pub layers: Option<LayerArgument>,
    pub bins: Bins,
    /// Contexts kept for each neuron.
    pub top: usize,
    /// Documents fill the context one after the other, instead of each being cut to it.
    pub pack: bool,
    /// The share of the documents that is read, drawn by `seed`.
    pub share: f64,
    pub seed: u64,
    pub no_bos: bool,
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
        }
    }
}

/// A pass, and the files that it reads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CorpusRequest {
    pub files: Vec<DataFile>,
    pub options: CorpusOptions,
    /// Go on from where the same pass was stopped, if it is still there.
    pub resume: bool,
}

/// A file of documents: on the page's own site, or dropped onto it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataFile {
    /// Its ending tells the format.
    pub name: String,
    pub url: String,
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
    pub studies: Vec<StudyAnswer>,
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
    /// binary places count as equal. Nothing where all positions are of one kind.
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
    /// Now and then: the answer as it is so far.
    pub answer: Option<CorpusAnswer>,
}

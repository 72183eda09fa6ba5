//! Congruence: what its requests take and what they are answered with.

use serde::{Deserialize, Serialize};

use super::{Bulk, Bytes, TokenArgument};
use crate::error::{Error, Result};
use crate::model::Variant;

/// Which product of weights a congruence is. The neuron's output weights are its row of `W_out`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Convention {
    /// Output weights and embedding, both less their mean over `d_model`: the post's figures.
    #[default]
    Notebook,
    /// Output weights and embedding as the file has them.
    Raw,
    /// Centred output weights and the unembedding with the final LayerNorm's weight folded in, less its mean over
    /// `d_model` and over the vocabulary: what a neuron writes into the logits, but for the LayerNorm's division.
    Unembed,
    /// As the notebook's, with the unembedding in the embedding's place; only where they are two.
    #[serde(rename = "notebook-unembedding")]
    NotebookUnembedding,
    /// Output weights and unembedding as the file has them; only where it isn't the embedding.
    #[serde(rename = "raw-unembedding")]
    RawUnembedding,
}

impl Convention {
    pub const ALL: [Convention; 5] = [
        Convention::Notebook,
        Convention::Raw,
        Convention::Unembed,
        Convention::NotebookUnembedding,
        Convention::RawUnembedding,
    ];

    /// Those that a model has figures by: all, or the first three where the unembedding is the embedding.
    pub fn of_model(variant: &Variant) -> &'static [Convention] {
        if variant.tie_word_embeddings { &Self::ALL[..3] } else { &Self::ALL }
    }

    /// Whether weights are taken as they are in the file, not centred.
    pub fn is_raw(self) -> bool {
        matches!(self, Convention::Raw | Convention::RawUnembedding)
    }

    /// Whether it takes tokens' rows of the unembedding, or of the embedding.
    pub fn takes_unembedding(self) -> bool {
        !matches!(self, Convention::Notebook | Convention::Raw)
    }

    /// # Errors
    /// [`Error::BadOption`] for a convention that says nothing new of a model whose unembedding is the embedding.
    pub fn check(self, variant: &Variant) -> Result<()> {
        if Self::of_model(variant).contains(&self) {
            return Ok(());
        }
        let problem = format!(
            "{} is for models with an unembedding of their own; this one's is its embedding. Use notebook, raw or unembed.",
            self.name()
        );
        Err(Error::BadOption { option: "convention", problem })
    }

    pub fn name(self) -> &'static str {
        match self {
            Convention::Notebook => "notebook",
            Convention::Raw => "raw",
            Convention::Unembed => "unembed",
            Convention::NotebookUnembedding => "notebook-unembedding",
            Convention::RawUnembedding => "raw-unembedding",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Convention::ALL.into_iter().find(|convention| convention.name() == name)
    }
}

fn ten() -> usize {
    10
}

fn twenty() -> usize {
    20
}

fn sixteen() -> usize {
    16
}

/// One neuron and all tokens, or one token and all neurons.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CongruenceOptions {
    /// `LAYER:NEURON`.
    pub neuron: Option<String>,
    pub token: Option<TokenArgument>,
    /// A set of tokens: alone, the sum of their columns; with a neuron, its congruence with each and all of them.
    #[serde(default)]
    pub tokens: Vec<TokenArgument>,
    /// The set's mean in place of its sum.
    #[serde(default)]
    pub mean: bool,
    #[serde(default)]
    pub convention: Convention,
    #[serde(default = "ten")]
    pub top: usize,
    /// Everything, in order.
    #[serde(default)]
    pub all: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SearchKind {
    /// For every token its best neuron, by the gap to the second best.
    Exclusive,
    /// Neurons and tokens that are each other's best, by the product of both gaps.
    Mutual,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SearchOptions {
    pub kind: SearchKind,
    #[serde(default)]
    pub convention: Convention,
    #[serde(default = "twenty")]
    pub top: usize,
}

/// How often each token is some neuron's best, and each neuron some token's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HubsOptions {
    #[serde(default)]
    pub convention: Convention,
    #[serde(default = "twenty")]
    pub top: usize,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TablesOptions {
    /// How many of the largest and of the smallest are kept of each neuron's and each token's.
    #[serde(default = "sixteen")]
    pub top_k: usize,
    #[serde(default)]
    pub convention: Convention,
}

/// One neuron, as its page shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProfileOptions {
    pub layer: usize,
    pub neuron: usize,
    pub convention: Convention,
}

/// Some tokens against all neurons.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ColumnsOptions {
    pub tokens: Vec<TokenArgument>,
    pub convention: Convention,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TokenValue {
    pub id: u32,
    pub token: String,
    pub value: f32,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct NeuronValue {
    pub layer: usize,
    pub neuron: usize,
    pub value: f32,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Congruence {
    Neuron(NeuronTokens),
    /// Neurons, the most congruent first.
    Token(Vec<NeuronValue>),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NeuronTokens {
    /// Largest first.
    pub top: Vec<TokenValue>,
    /// Smallest first.
    pub bottom: Vec<TokenValue>,
    /// The tokens that were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set: Option<TokenSet>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TokenSet {
    pub tokens: Vec<TokenValue>,
    pub sum: f32,
    pub mean: f32,
}

/// A token and a neuron.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FoundPair {
    pub token: String,
    pub id: u32,
    pub layer: usize,
    pub neuron: usize,
    /// By how much the token's best neuron is above its second best.
    pub token_gap: f32,
    /// By how much the neuron's best token is above its second best.
    pub neuron_gap: f32,
    /// What they are sorted by: the token's gap (exclusive), or the product of both (mutual).
    pub score: f32,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hubs {
    /// Over tokens: of how many neurons each is the best.
    pub token_hubs: Hubness,
    /// Over neurons: of how many tokens each is the best.
    pub neuron_hubs: Hubness,
    pub tokens: Vec<TokenHub>,
    pub neurons: Vec<NeuronHub>,
}

/// How unevenly "being the best" is spread.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Hubness {
    pub mean: f32,
    /// Standard deviation.
    pub sd: f32,
    /// Third standardised moment; above 1 or so a few take most.
    pub skew: f32,
    /// How many are nobody's best.
    pub never: usize,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TokenHub {
    pub id: u32,
    pub token: String,
    /// Of how many neurons it is the best token.
    pub best_of: u32,
    /// Its largest congruence, and with which neuron.
    pub value: f32,
    pub layer: usize,
    pub neuron: usize,
    /// The same in standard deviations of the token's congruence with all neurons.
    pub z: f32,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NeuronHub {
    pub layer: usize,
    pub neuron: usize,
    /// Of how many tokens it is the best neuron.
    pub best_of: u32,
    /// Its largest congruence, and with which token.
    pub value: f32,
    pub id: u32,
    pub token: String,
    pub z: f32,
}

/// One neuron's weights against all tokens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    pub layer: usize,
    pub neuron: usize,
    /// Congruence of its output weights with each token.
    pub output: Bulk<f32>,
    /// Congruence of its input weights with each token's embedding.
    pub input: Bulk<f32>,
    /// Neurons whose output weights point the same way, by the cosine of the angle.
    pub neighbours: Vec<NeuronValue>,
    /// Before the activation function.
    pub bias: f32,
    /// LayerNorm 2's bias folded in.
    pub folded_bias: f32,
    /// Length of its centred output weights.
    pub norm: f32,
}

/// Columns of the table: some tokens against all neurons, `[n_layer * d_mlp]` each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Columns {
    pub columns: Vec<Column>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Column {
    pub id: u32,
    pub token: String,
    pub values: Bulk<f32>,
}

/// The text of every token, one after the other in order of id: one message, where as many strings would take the page
/// long to unpack.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AllTokens {
    pub texts: Bytes,
    /// Where each token's text ends in `texts`.
    pub ends: Bulk<u32>,
}

/// All pairs of a search, in columns, best first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PairColumns {
    pub tokens: Bulk<u32>,
    /// Counted through all layers.
    pub neurons: Bulk<u32>,
    pub token_gaps: Bulk<f32>,
    pub neuron_gaps: Bulk<f32>,
    pub scores: Bulk<f32>,
}

/// A table's making, in pieces that leave room for other requests between them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum TableTask {
    /// How far it is.
    Look(Convention),
    /// Goes on for about so long, if the model is still the one of this name and of so many products.
    Work { convention: Convention, milliseconds: u32, model: String, products: f64 },
    /// What has been made so far, to go on from later.
    Checkpoint(Convention),
    /// Goes on from a checkpoint.
    Resume(Bytes),
    /// Drops what has been made.
    Drop(Convention),
    /// The finished table as a file.
    File(Convention),
    /// A table that was made before.
    Open(Bytes),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TableState {
    pub convention: Convention,
    pub is_ready: bool,
    /// Of the products, 0 to 1.
    pub done: f64,
    /// All products that there are.
    pub products: f64,
}

/// A table as a file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TableFile {
    pub bytes: Bytes,
    pub convention: Convention,
    pub top_k: usize,
    pub neurons: usize,
    pub tokens: usize,
    /// The model's hash.
    pub model: String,
}

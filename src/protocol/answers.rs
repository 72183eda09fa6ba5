//! What a request is answered with: the command line's JSON.

use serde::{Deserialize, Serialize};

use super::{Bulk, Origin};
use crate::engine::TopToken;
use crate::error::Error;
use crate::model::{Config, WeightDtype};

/// A failure as it crosses to the page: a stable code and a sentence for the person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    pub code: String,
    pub message: String,
}

impl From<&Error> for Failure {
    fn from(error: &Error) -> Self {
        Failure { code: error.code().to_owned(), message: error.line() }
    }
}

/// What `peartree.info()` says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Info {
    pub version: String,
    pub engine: String,
    /// The GPU's name, where one is used.
    pub adapter: Option<String>,
    pub threads: u32,
    pub simd: bool,
    pub model: Option<ModelInfo>,
    /// Size of the worker's wasm memory.
    pub heap_bytes: f64,
    pub gpu_bytes: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelInfo {
    pub name: String,
    pub config: Config,
    pub bos: Option<Token>,
    pub has_tokenizer: bool,
    pub parameters: u64,
    /// How the matrices are held in memory.
    pub dtype: WeightDtype,
    /// None for the demo model, this site's folders and files.
    pub origin: Option<Origin>,
    /// What a person should know of how the weights were read, in sentences.
    pub notes: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    pub id: u32,
    pub token: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Prediction {
    pub ids: Vec<u32>,
    pub tokens: Vec<String>,
    /// Likeliest next tokens, likeliest first.
    pub top: Vec<Candidate>,
    /// Log-probability of each real next token: one fewer than `ids`.
    pub logprobs: Vec<f32>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    pub id: u32,
    pub token: String,
    pub logit: f32,
    pub prob: f32,
    pub logprob: f32,
}

impl Candidate {
    pub fn new(top: TopToken, token: String) -> Self {
        Candidate { id: top.id, token, logit: top.logit, prob: top.logprob.exp(), logprob: top.logprob }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Generation {
    /// The new ids only.
    pub ids: Vec<u32>,
    pub text: String,
}

/// Logit difference at the last position along the residual stream, in both conventions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LogitLens {
    /// The points' names, `2 * n_layer + 1`; the last is `final`.
    pub labels: Vec<String>,
    /// Divided by the real run's final scale (the notebook's convention).
    pub final_ln: Vec<f32>,
    /// `ln_f` applied to each residual itself (the classic convention).
    pub own_ln: Vec<f32>,
}

/// The token each point of the residual stream would predict, `[2 * n_layer + 1, pos]`, row-major.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LensTable {
    pub labels: Vec<String>,
    /// The prompt's tokens, one a column.
    pub tokens: Vec<String>,
    pub ids: Bulk<u32>,
    pub probs: Bulk<f32>,
    /// Text of every id that occurs, sorted by id.
    pub texts: Vec<Token>,
}

/// Direct logit attribution at the last position: what each component writes along the direction in which the final
/// LayerNorm, its scale frozen, and the unembedding tell the two tokens apart. The parts add up to `total`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Attribution {
    pub embed: f32,
    pub pos_embed: f32,
    /// By layer.
    pub attn: Vec<f32>,
    /// By layer.
    pub mlp: Vec<f32>,
    /// `[n_layer][n_head]`; a value's bias is nobody's head but part of `attn`.
    pub heads: Vec<Vec<f32>>,
    /// The final LayerNorm's bias.
    pub bias: f32,
    /// The model's own logit difference.
    pub total: f32,
}

/// How much of the clean run's logit difference each patch brings back: `(patched - corrupted) / (clean - corrupted)`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Patch {
    /// Logit difference of the clean run.
    pub clean: f32,
    pub corrupted: f32,
    /// Rows are layers; columns are positions or heads.
    pub values: Grid,
    /// First order only, by the gradient in the run that is patched; of the same shape.
    pub estimate: Grid,
}

/// Every neuron of a layer, or of all layers, patched at all positions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Neurons {
    pub clean: f32,
    pub corrupted: f32,
    /// Rows are layers, columns neurons.
    pub values: Grid,
    /// First order only, by the gradient in the run that is patched.
    pub estimate: Grid,
    /// What the neuron of the clean run writes straight into the logit difference at the last position (direct logit
    /// attribution, in logits).
    pub direct: Grid,
    /// The part of `values` that comes that way, as a share: what the patch changes at the last position, through the
    /// final LayerNorm with its scale frozen and the unembedding alone.
    pub direct_share: Grid,
}

/// Figures by layer, `[rows, columns]`, or a list where `is_list`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Grid {
    pub columns: usize,
    /// Answers about one layer, or one figure a layer, are lists in JSON; others lists of lists.
    pub is_list: bool,
    pub values: Bulk<f32>,
}

/// Part of a sweep's answer, as soon as it is known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Partial {
    /// Before the first exact figure: the estimates in the answer's place.
    PatchEstimate(Patch),
    NeuronsEstimate(Neurons),
    /// Exact figures for `values[first..first + figures]`.
    Exact {
        first: usize,
        figures: Bulk<f32>,
    },
}

/// Predictions before and after the edits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Edited {
    pub before: Outcome,
    pub after: Outcome,
}

/// What a run ends with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Logit difference of the two tokens at the last position.
    pub diff: f32,
    pub top: Vec<Candidate>,
}

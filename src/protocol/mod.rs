//! What page and worker say to each other, and what the command line and `window.peartree` take and give.
//!
//! Requests carry the command line's option names in camelCase; answers are its JSON. Arrays that can be large travel
//! as [`Bulk`], whose bytes the worker hands over instead of copying.

mod answers;
mod bench;
mod bulk;
mod corpus;
pub mod json;
mod options;

use serde::{Deserialize, Serialize};

pub use crate::model::tokenizer::Prompt;
pub use answers::*;
pub use bench::*;
pub use bulk::*;
pub use corpus::*;
pub use options::*;

/// Numbers a request, so that events and cancellations find it.
pub type RequestId = u32;

/// From the page to the worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum ToWorker {
    Ask { id: RequestId, lane: Option<Lane>, request: Request },
    Cancel { id: RequestId },
}

/// From the worker to the page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FromWorker {
    pub id: RequestId,
    pub event: Event,
}

/// Requests of one lane supersede each other: a newer one cancels the older, waiting or running.
/// A request without a lane waits its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Lane {
    Load,
    Predict,
    Lens,
    LensTable,
    Generate,
    FirstToken,
    SecondToken,
    Attribute,
    Patch,
    Neurons,
    Edit,
    Corpus,
    CorpusNeuron,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Request {
    Load(Source),
    Predict(PredictOptions),
    Lens(LensOptions),
    LensTable(LensTableOptions),
    Generate(GenerateOptions),
    Attribute(AttributeOptions),
    Patch(PatchOptions),
    Neurons(NeuronsOptions),
    Edit(EditOptions),
    /// Which single token a text is.
    Token {
        text: String,
    },
    Bench(BenchTask),
    Corpus(CorpusRequest),
    CorpusNeuron(CorpusNeuronOptions),
    /// What runs here: versions, threads, memory.
    Info,
}

/// Where a model's files are; every address is on the page's own origin or a blob made by it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// What the person calls it: `demo`, a folder's address, a file's name.
    pub name: String,
    pub config: String,
    /// Without it the model reads ids only.
    pub tokenizer: Option<String>,
    pub weights: String,
    /// To compute with; as many as the page's address says, or suit the machine, if not said here.
    pub threads: Option<u32>,
}

/// What happens to a request; the last event is `Done` or `Failed`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Event {
    Progress(Progress),
    /// What has been generated so far.
    Generated(Generation),
    /// A sweep's figures so far.
    Partial(Partial),
    /// What a pass over a corpus has found so far.
    Corpus(CorpusProgress),
    Done(Answer),
    Failed(Failure),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// What is being loaded or computed, for a person.
    pub what: String,
    pub done: f64,
    /// Unknown where a server doesn't say.
    pub total: Option<f64>,
    pub unit: Unit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Unit {
    Bytes,
    Tokens,
    Rows,
    /// Patched runs.
    Runs,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Answer {
    Loaded(ModelInfo),
    Prediction(Prediction),
    Lens(LogitLens),
    LensTable(LensTable),
    Generation(Generation),
    Attribution(Attribution),
    Patch(Patch),
    Neurons(Neurons),
    Edited(Edited),
    Token(Token),
    Bench(Bench),
    Corpus(CorpusAnswer),
    CorpusNeuron(NeuronAnswer),
    Info(Info),
}

//! What page and worker say to each other, and what the command line and `window.peartree` take and give.
//!
//! Requests carry the command line's option names in camelCase; answers are its JSON. Arrays that can be large travel
//! as [`Bulk`], whose bytes the worker hands over instead of copying.

mod answers;
mod bench;
mod bulk;
mod congruence;
mod corpus;
pub mod json;
mod models;
mod options;

use serde::{Deserialize, Serialize};

pub use crate::model::WeightDtype;
pub use crate::model::tokenizer::Prompt;
pub use answers::*;
pub use bench::*;
pub use bulk::*;
pub use congruence::*;
pub use corpus::*;
pub use models::*;
pub use options::*;

/// Numbers a request, so that events and cancellations find it.
pub type RequestId = u32;

/// From the page to the worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
// each is written as bytes at once: no list of them is ever held
#[allow(clippy::large_enum_variant)]
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
    /// What a model is.
    Describe,
    /// What this device keeps.
    Kept,
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
    Profile,
    Columns,
    Search,
    Table,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Request {
    /// Gets the model and makes it the one that answers. What is fetched from elsewhere is kept; broken off and asked
    /// again, it goes on where it was.
    Load(Source),
    /// What a model is, before its weights are fetched.
    Describe(Source),
    /// Which models this device keeps.
    Kept,
    /// Deletes what is kept of a model.
    Forget {
        key: String,
    },
    /// Hashes a kept model's weights again; one that has changed is deleted and the request fails.
    Verify {
        key: String,
    },
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
    Congruence(CongruenceOptions),
    Search(SearchOptions),
    Hubs(HubsOptions),
    /// A table, to its end.
    Tables(TablesOptions),
    Table(TableTask),
    Profile(ProfileOptions),
    Columns(ColumnsOptions),
    /// All pairs of a search, whatever its `top`.
    AllPairs(SearchOptions),
    AllTokens,
    Bench(BenchTask),
    /// What the reader answers, beside the worker.
    Read(ReaderCall),
    /// Moves the model that answers to the graphics card; `any` takes one that the processor pretends to be, too.
    UseCard {
        any: bool,
    },
    /// What runs here: versions, threads, memory.
    Info,
}

/// What happens to a request; the last event is `Done` or `Failed`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Event {
    Progress(Progress),
    /// What has been generated so far.
    Generated(Generation),
    /// A sweep's figures so far.
    Partial(Partial),
    /// How far a pass over a corpus is: JSON of [`CorpusProgress`].
    Read(String),
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
    pub stage: Stage,
}

/// What a request that reports its progress is doing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Stage {
    #[default]
    Computing,
    /// Bytes come from the network. The first report counts those that were here already.
    Downloading,
    /// Another tab is getting the same model.
    Waiting,
    /// Bytes on this device are hashed.
    Checking,
    /// The model is built from bytes on this device.
    Reading,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Unit {
    Bytes,
    Tokens,
    Rows,
    /// Patched runs.
    Runs,
    /// Of a neuron's weights and a token's.
    Products,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Answer {
    Loaded(Box<ModelInfo>),
    Described(Description),
    Kept(Kept),
    /// What is kept after the deletion.
    Forgotten(Kept),
    /// The model whose hash is as it was.
    Verified(KeptModel),
    Prediction(Prediction),
    Lens(LogitLens),
    LensTable(LensTable),
    Generation(Generation),
    Attribution(Attribution),
    Patch(Patch),
    Neurons(Neurons),
    Edited(Edited),
    Token(Token),
    Congruence(Congruence),
    Pairs(Vec<FoundPair>),
    Hubs(Hubs),
    TableFile(TableFile),
    TableState(TableState),
    Bytes(Bytes),
    Profile(Profile),
    Columns(Columns),
    AllPairs(PairColumns),
    AllTokens(AllTokens),
    Bench(Bench),
    /// The reader's answer, in JSON.
    Read(String),
    Info(Box<Info>),
}

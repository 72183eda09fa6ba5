//! Every way a request can fail, in words that say what happened and what to do.

pub mod plain;
mod store;

use plain::{Form, plain};
pub use store::StoreError;
use thiserror::Error;

/// A failure a person can read. `code()` is the stable name that scripts and the page branch on.
#[derive(Debug, Error)]
pub enum Error {
    #[error("The prompt is empty. Type some text, for example: I climbed up the pear tree and picked")]
    EmptyPrompt,
    #[error(
        "The prompt is {len} tokens long and this model reads at most {n_ctx}. Shorten it by {} {}; nothing was cut.",
        len - n_ctx,
        if len - n_ctx == 1 { "token" } else { "tokens" }
    )]
    PromptTooLong { len: usize, n_ctx: usize },
    #[error(
        "The text holds half of a surrogate pair, which is no character. Delete the broken character and type it again."
    )]
    BrokenText,
    #[error("Token id {id} is not in this model's vocabulary of {vocab}. Use an id from 0 to {}.", vocab - 1)]
    UnknownId { id: u32, vocab: usize },
    #[error("{text:?} is {} tokens here: {}. Choose a text that is a single token (a leading space counts), or give an id as #281.", pieces.len(), pieces.join(" + "))]
    NotOneToken { text: String, pieces: Vec<String> },
    #[error("A token is needed: give its text, for example \" an\", or its id as #281.")]
    EmptyToken,
    #[error("{text:?} is not a token id. Write # and a whole number, for example #281.")]
    BadTokenId { text: String },
    #[error("This model came without a tokenizer.json, so it reads token ids only. Give ids, or add the file.")]
    NoTokenizer,
    #[error("There is no site {name:?}. Sites are named as in TransformerLens, for example blocks.1.mlp.hook_post.")]
    UnknownSite { name: String },
    #[error("The two prompts have the same tokens, so there is nothing to patch. Change a word in one of them.")]
    SamePrompts,
    #[error(
        "Both prompts have the same logit difference of the two tokens ({diff}), so no share of it can be told. Choose another pair of tokens or other prompts."
    )]
    SameDifference { diff: f32 },
    #[error("{option} {problem}")]
    BadOption { option: &'static str, problem: String },
    #[error("config.json {0}")]
    Config(String),
    #[error("tokenizer.json can't be used: {0} Get the file that belongs to the model again.")]
    Tokenizer(String),
    #[error("model.safetensors {0}")]
    Weights(String),
    /// Of a file by another name.
    #[error("{file} {problem}")]
    WeightsIn { file: String, problem: String },
    #[error("There are no weights that can be read. {0}")]
    NoWeights(String),
    #[error(
        "The model can't be held in f16: {value} at element {at} of {name} is beyond 65504, the largest f16. Load it in f32."
    )]
    BeyondF16 { value: f32, at: usize, name: String },
    #[error("The table {0}")]
    Table(String),
    #[error("{path} is a file of a model. Give the folder that holds it: --model {folder}")]
    NotAFolder { path: String, folder: String },
    #[error("There is no {what} at that place. Check the address or the folder.")]
    NotThere { what: String },
    #[error("{what} could not be read: {why}")]
    Read { what: String, why: String },
    #[error("{0}")]
    Unsupported(String),
    #[error("These results can't be merged: {0} Merge the shards of one division of the same documents.")]
    Merge(String),
    #[error(
        "What was kept of the pass belongs to another one, or is damaged. Delete the checkpoint, or give another folder."
    )]
    Checkpoint,
    #[error(
        "What was kept of the pass is damaged: {part}. Delete the checkpoint and begin anew, or give another folder."
    )]
    DamagedCheckpoint { part: String },
    /// Another program's, as that one said it.
    #[error("{message}")]
    Told { code: String, message: String },
    #[error("No model is loaded. Load one first.")]
    NoModel,
    #[error(
        "The model's logits are beyond what f32 can hold. Is an edit's value too large, or are the model's weights damaged?"
    )]
    NoNumbers,
    #[error("Stopped.")]
    Cancelled,
    #[error(
        "The part of the page that computes broke down at this: {why}. It was started again, with what it had loaded. If it happens again, please report it."
    )]
    WorkerDied { why: String },
    #[error(
        "The part of the page that computes has stopped three times in a row, at last because of this: {why}. Close other tabs if memory is short, check the connection, then reload the page."
    )]
    WorkerGone { why: String },
    #[error("The part of the page that reads texts broke down twice. What was read is kept: ask again to go on.")]
    ReaderDied,
    #[error("The engine failed: {0}. Please report this with the prompt that caused it.")]
    Engine(#[from] candle_core::Error),
    #[error("There is no graphics card that can be used. {0}")]
    NoCard(String),
    #[error("The graphics card failed. {0}")]
    Card(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Error {
    /// What is said to a person, in one line, whatever the files and servers that it names are called.
    pub fn line(&self) -> String {
        plain(&self.to_string(), Form::Line).into_owned()
    }

    /// What is wrong with weights, by the name of their file.
    pub fn in_file(self, name: &str) -> Error {
        match self {
            Error::Weights(problem) if name != "model.safetensors" => {
                Error::WeightsIn { file: name.to_owned(), problem }
            }
            other => other,
        }
    }

    /// A stable, lower-case name of the kind of failure.
    pub fn code(&self) -> &str {
        match self {
            Error::EmptyPrompt => "empty_prompt",
            Error::PromptTooLong { .. } => "prompt_too_long",
            Error::BrokenText => "broken_text",
            Error::UnknownId { .. } => "unknown_id",
            Error::NotOneToken { .. } => "not_one_token",
            Error::EmptyToken => "empty_token",
            Error::BadTokenId { .. } => "bad_token_id",
            Error::NoTokenizer => "no_tokenizer",
            Error::UnknownSite { .. } => "unknown_site",
            Error::SamePrompts => "same_prompts",
            Error::SameDifference { .. } => "same_difference",
            Error::BadOption { .. } => "bad_option",
            Error::Config(_) => "bad_config",
            Error::Tokenizer(_) => "bad_tokenizer",
            Error::Weights(_) | Error::WeightsIn { .. } => "bad_weights",
            Error::NoWeights(_) => "no_weights",
            Error::BeyondF16 { .. } => "beyond_f16",
            Error::Table(_) => "bad_table",
            Error::NotAFolder { .. } => "not_a_folder",
            Error::NotThere { .. } => "not_there",
            Error::Read { .. } => "read_failed",
            Error::Unsupported(_) => "unsupported",
            Error::Merge(_) => "cannot_merge",
            Error::Checkpoint | Error::DamagedCheckpoint { .. } => "bad_checkpoint",
            Error::Told { code, .. } => code,
            Error::NoModel => "no_model",
            Error::NoNumbers => "no_numbers",
            Error::Cancelled => "cancelled",
            Error::WorkerDied { .. } => "worker_died",
            Error::WorkerGone { .. } => "worker_gone",
            Error::ReaderDied => "reader_died",
            Error::Engine(_) => "engine_failed",
            Error::NoCard(_) => "no_card",
            Error::Card(_) => "card_failed",
            Error::Store(error) => error.code(),
        }
    }
}

pub type Result<T, E = Error> = std::result::Result<T, E>;

//! What each request takes: the command line's option names, in camelCase.

use serde::{Deserialize, Serialize};

use super::Prompt;

fn ten() -> usize {
    10
}

fn twenty() -> usize {
    20
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PredictOptions {
    pub prompt: Prompt,
    #[serde(default = "ten")]
    pub top: usize,
    #[serde(default)]
    pub no_bos: bool,
}

/// A token as its text (`" an"`), as `#281`, or as its id.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum TokenArgument {
    Id(u32),
    Text(String),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LensOptions {
    pub prompt: Prompt,
    /// The figure is `logit(first) - logit(second)`.
    pub tokens: (TokenArgument, TokenArgument),
    #[serde(default)]
    pub no_bos: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LensTableOptions {
    pub prompt: Prompt,
    /// Divide by the real run's final scale (the notebook's way) instead of by each residual's own.
    #[serde(default)]
    pub final_ln: bool,
    #[serde(default)]
    pub no_bos: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GenerateOptions {
    pub prompt: Prompt,
    #[serde(default = "twenty")]
    pub max: usize,
    /// 0 takes the likeliest token each time.
    #[serde(default)]
    pub temperature: f64,
    pub top_k: Option<usize>,
    pub top_p: Option<f64>,
    #[serde(default)]
    pub seed: u64,
    /// Edits under which the model writes; see [`EditOptions::set`].
    #[serde(default)]
    pub set: Vec<String>,
    /// The prompt that `=clean` takes its values from.
    pub clean: Option<Prompt>,
    /// The prompt that `=corrupted` takes its values from.
    pub corrupted: Option<Prompt>,
    /// The documents over which `=mean` takes its means.
    #[serde(default)]
    pub corpus: Vec<String>,
    #[serde(default)]
    pub no_bos: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AttributeOptions {
    pub prompt: Prompt,
    pub tokens: (TokenArgument, TokenArgument),
    #[serde(default)]
    pub no_bos: bool,
}

/// What a patching sweep overwrites, one at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PatchSite {
    /// The residual stream before each block, at each position.
    ResidPre,
    /// What attention writes, at each position.
    AttnOut,
    /// What the MLP writes, at each position.
    MlpOut,
    /// Each head's output, at all positions.
    Heads,
}

/// Runs the corrupted prompt with one activation of the clean run put in. (Give the prompts the other way round to
/// see what the corrupted run's activations destroy.)
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PatchOptions {
    pub clean: Prompt,
    pub corrupted: Prompt,
    pub tokens: (TokenArgument, TokenArgument),
    pub site: PatchSite,
    /// All positions of a layer at once.
    #[serde(default)]
    pub whole_layer: bool,
    #[serde(default)]
    pub no_bos: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NeuronsOptions {
    pub clean: Prompt,
    pub corrupted: Prompt,
    pub tokens: (TokenArgument, TokenArgument),
    pub layer: LayerArgument,
    #[serde(default)]
    pub no_bos: bool,
}

/// A layer's number, or `all`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum LayerArgument {
    One(usize),
    Word(String),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EditOptions {
    pub prompt: Prompt,
    pub tokens: (TokenArgument, TokenArgument),
    /// Edits, each as [`crate::engine::edit`] writes them: `31:892=0@all`.
    pub set: Vec<String>,
    /// The prompt that `=clean` takes its values from.
    pub clean: Option<Prompt>,
    /// The prompt that `=corrupted` takes its values from.
    pub corrupted: Option<Prompt>,
    /// The documents over which `=mean` takes its means.
    #[serde(default)]
    pub corpus: Vec<String>,
    #[serde(default = "ten")]
    pub top: usize,
    #[serde(default)]
    pub no_bos: bool,
}

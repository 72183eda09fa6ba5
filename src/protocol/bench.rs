//! The benchmark's tasks and what they come to: `peartree.bench`, `peartree bench`, the page's `?bench`.

use serde::{Deserialize, Serialize};

use super::Bulk;
use crate::model::WeightDtype;

/// One task; ids only.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum BenchTask {
    /// Logits at the last position.
    Prefill { ids: Vec<u32> },
    /// `n` greedy steps after the prompt, with a cache.
    Decode { ids: Vec<u32>, n: usize },
    /// The likeliest next token of each of several prompts of equal length.
    Batch { rows: Vec<Vec<u32>> },
    /// Whole passes of one prompt, in each one neuron zeroed at the last position.
    Sweep(SweepOptions),
    /// The same, resumed from a base run.
    Tail(SweepOptions),
    /// Residual streams and one layer's neurons of one prompt.
    Capture {},
    /// All of these in turn.
    Table {},
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SweepOptions {
    /// Passes that go together.
    #[serde(rename = "B", default = "thirty_two")]
    pub b: usize,
    #[serde(default = "one")]
    pub reps: usize,
}

fn thirty_two() -> usize {
    32
}

fn one() -> usize {
    1
}

/// What came of a task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Bench {
    Logits(Bulk<f32>),
    Decoded(Decoded),
    /// The likeliest next token of each row.
    Batch(Vec<u32>),
    Timed(Timed),
    Captured {
        values: Bulk<f32>,
        ms: f64,
    },
    Table(BenchTable),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decoded {
    /// One more than there were steps: the prompt's next token comes first.
    pub tokens: Vec<u32>,
    pub steps: usize,
    /// Of all steps.
    pub ms: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Timed {
    /// For each pass.
    pub ms: f64,
    #[serde(rename = "B")]
    pub b: usize,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BenchTable {
    pub threads: usize,
    /// How the matrices are held.
    pub dtype: WeightDtype,
    pub rows: Vec<BenchRow>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BenchRow {
    pub task: String,
    /// Median; of `decode` for a token, of `sweep32` and `tail32` for a pass.
    pub ms: f64,
    /// Billions of multiplications and additions a second.
    pub gflops: f64,
    /// Billions of bytes of weights a second, each read once a batch.
    pub gbytes: f64,
}

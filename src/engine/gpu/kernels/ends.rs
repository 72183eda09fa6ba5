//! What the ends of runs come to: a difference of two logits, the likeliest tokens.

use super::super::buffers::Buffer;
use super::super::matrix::padded;
use super::super::tape::{Call, Card};
use super::Kernel;
use crate::engine::TopToken;

pub const METRIC: Kernel = Kernel { name: "metric", needs: &[], text: include_str!("metric.wgsl"), access: "rrrw" };

pub const TOP: Kernel = Kernel { name: "top", needs: &[], text: include_str!("top.wgsl"), access: "rrw" };

/// What a row of logits comes to.
#[derive(Debug, Clone, PartialEq)]
pub struct Top {
    /// Of the row's target.
    pub target_logprob: f32,
    pub tokens: Vec<TopToken>,
}

impl Card {
    /// `differences [rows]` of rows `x [rows, d_model]` along a direction `[d_model]`.
    pub fn metric(
        &self,
        (x, rows, d): (&Buffer, usize, usize),
        (along, bias): (&Buffer, f32),
        scales: &Buffer,
        differences: &Buffer,
    ) {
        self.run(&Call {
            kernel: &METRIC,
            consts: &[],
            buffers: &[x, along, scales, differences],
            params: &[(padded(d) / 4) as u32, bias.to_bits()],
            groups: (rows as u32, 1),
            work: (rows * d) as u64,
        });
    }

    /// The `k` largest of each row of `logits [targets, padded(vocab)]`, and the log-probability of its target.
    ///
    /// # Errors
    /// From the card.
    pub async fn top(
        &self,
        logits: &Buffer,
        targets: &[u32],
        vocab: usize,
        k: usize,
    ) -> crate::error::Result<Vec<Top>> {
        let width = 2 + 2 * k;
        let found = self.room(targets.len() * width);
        self.run(&Call {
            kernel: &TOP,
            consts: &[],
            buffers: &[logits, &self.upload(targets), &found],
            params: &[vocab as u32, padded(vocab) as u32, k as u32],
            groups: (targets.len() as u32, 1),
            work: (targets.len() * vocab * (k + 2)) as u64,
        });
        let found = self.read(&[(&found, 0, targets.len() * width)]).await?.concat();
        Ok(found.chunks_exact(width).map(top_of).collect())
    }
}

fn top_of(found: &[f32]) -> Top {
    let log_sum = found[0];
    let token = |entry: &[f32]| TopToken { id: entry[1].to_bits(), logit: entry[0], logprob: entry[0] - log_sum };
    Top { target_logprob: found[1] - log_sum, tokens: found[2..].chunks_exact(2).map(token).collect() }
}

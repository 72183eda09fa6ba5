//! What an engine gives back, in the host's memory, whatever it computes on.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::vector::dot;
use super::{Site, edit};
use crate::error::{Error, Result};
use crate::model::Config;

/// A site's value: row-major `f32`, shape in `shape`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Activation {
    pub shape: Vec<usize>,
    pub data: Vec<f32>,
}

impl Activation {
    /// Rows of one width: `[rows, width]`.
    pub fn rows(data: Vec<f32>, width: usize) -> Self {
        Activation { shape: vec![data.len() / width.max(1), width], data }
    }

    /// The last row: the last position's.
    pub fn last_row(&self) -> &[f32] {
        let width = self.shape.last().copied().unwrap_or(0);
        &self.data[self.data.len().saturating_sub(width)..]
    }

    /// Row `index` along all but the last axis (for `[pos, d_model]`: one position's vector).
    pub fn row(&self, index: usize) -> &[f32] {
        let width = self.shape.last().copied().unwrap_or(0);
        &self.data[index * width..(index + 1) * width]
    }
}

/// What was read of a base run: `[pos - from, width]` each, `attn.hook_pattern` as `[head, query, key]`, whole.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Readings(pub BTreeMap<Site, Activation>);

impl Readings {
    /// # Errors
    /// [`Error::Unsupported`] for a site that wasn't asked for.
    pub fn at(&self, site: Site) -> Result<&Activation> {
        self.0.get(&site).ok_or_else(|| Error::Unsupported(format!("{site} was not read.")))
    }

    /// Keeps rows of a site.
    pub fn keep(&mut self, site: Site, data: Vec<f32>, config: &Config) {
        self.0.insert(site, Activation::rows(data, edit::width(site, config)));
    }
}

/// How a residual vector is normalised before it is turned into logits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum FinalNorm<'a> {
    /// By its own mean and variance: `ln_f` itself.
    Own,
    /// Centred, then divided by a given scale for each row: the real run's, frozen.
    Frozen(&'a [f32]),
}

impl<'a> FinalNorm<'a> {
    /// For some of the rows.
    pub fn of_rows(self, rows: std::ops::Range<usize>) -> FinalNorm<'a> {
        match self {
            FinalNorm::Own => FinalNorm::Own,
            FinalNorm::Frozen(scales) => FinalNorm::Frozen(&scales[rows]),
        }
    }
}

/// How runs ended, at the last position.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ends {
    /// The residual stream after the last block, `[runs, d_model]`.
    pub resid: Activation,
    /// The final LayerNorm's scale there, `[runs]`: each run's own, unless it was edited.
    pub scales: Vec<f32>,
}

impl Ends {
    pub fn norm(&self) -> FinalNorm<'_> {
        FinalNorm::Frozen(&self.scales)
    }
}

/// The direction of the residual stream that tells two tokens apart: divided by the final LayerNorm's scale, a
/// vector's product with `along` is what it adds to their logit difference.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Direction {
    /// `[d_model]`, centred: `ln_f.weight * (U[first] - U[second])` less its mean, `U` being the unembedding.
    pub along: Vec<f32>,
    /// What the final LayerNorm's bias adds, whatever the input.
    pub bias: f32,
}

impl Direction {
    /// The logit difference of the two tokens where the residual stream ends as `resid [d_model]`.
    pub fn difference(&self, resid: &[f32], scale: f32) -> f32 {
        self.written(resid, scale) + self.bias
    }

    /// What `vector [d_model]`, a part of the residual stream, adds to the difference.
    pub fn written(&self, vector: &[f32], scale: f32) -> f32 {
        dot(vector, &self.along) / scale
    }
}

/// Derivatives of the logit difference of two tokens at the last position, in a base run, by the residual stream.
/// They cover the layers and positions asked for: rows are positions from `first` on, `[pos - first, d_model]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Gradients {
    pub first: usize,
    /// The lowest layer covered.
    pub layer: usize,
    /// By layer from `layer` on: at `resid_pre`.
    pub resid_pre: Vec<Vec<f32>>,
    /// At `resid_mid`, which is also what attention writes to.
    pub resid_mid: Vec<Vec<f32>>,
    /// At `resid_post`, which is also what the MLP writes to.
    pub resid_post: Vec<Vec<f32>>,
    /// At `mlp.hook_post`, `[pos - first, d_mlp]`.
    pub mlp_post: Vec<Vec<f32>>,
    /// At `attn.hook_z`.
    pub z: Vec<Vec<f32>>,
}

/// One of the likeliest tokens of a row.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TopToken {
    pub id: u32,
    pub logit: f32,
    /// Natural logarithm of the token's probability.
    pub logprob: f32,
}

//! From the residual stream's end to tokens, on the card: logits, the likeliest, log-probabilities.

use super::GpuEngine;
use super::buffers::Buffer;
use super::kernels::ends::Top;
use super::matrix::padded;
use crate::engine::{Activation, Control, FinalNorm};
use crate::error::Result;

/// Memory for logits on the card.
const LOGIT_BYTES: usize = 64 << 20;

impl GpuEngine {
    /// The final LayerNorm of `x [rows, d_model]`: its scales, `[rows]`, those given or its own, and the rows.
    pub(super) fn final_norm(&self, (x, rows): (&Buffer, usize), given: Option<&[f32]>) -> (Buffer, Buffer) {
        let out = self.activation(rows);
        let scales = self.card.room(rows);
        if let Some(given) = given {
            self.card.fill_next(&scales, given);
        }
        self.card.norm(&self.config, &self.weights.ln_f, (x, rows), (&scales, given.is_some()), &out);
        (scales, out)
    }

    /// Rows from the host, each filled up to whole fours.
    pub(super) fn rows(&self, rows: &[f32]) -> Buffer {
        let d = self.config.d_model;
        let mut words = Vec::with_capacity(rows.len() / d * padded(d));
        for row in rows.chunks_exact(d) {
            words.extend(row.iter().map(|x| x.to_bits()));
            words.resize(padded(words.len()), 0);
        }
        self.card.upload(&words)
    }

    /// Logits of residual rows, `[rows, padded(vocab)]`.
    fn logits(&self, resid: &[f32], norm: FinalNorm<'_>) -> Result<Buffer> {
        let rows = resid.len() / self.config.d_model;
        let given = match norm {
            FinalNorm::Own => None,
            FinalNorm::Frozen(scales) => Some(scales),
        };
        let (_, normed) = self.final_norm((&self.rows(resid), rows), given);
        let logits = self.card.room(rows * padded(self.config.vocab_size));
        self.card.transposed(&normed, rows, self.weights.unembedding()?, 0..self.config.vocab_size, &logits);
        Ok(logits)
    }

    /// Rows of which the logits are made at once.
    fn logit_rows(&self) -> usize {
        (LOGIT_BYTES / (4 * padded(self.config.vocab_size))).max(1)
    }

    pub(super) async fn all_logits(
        &self,
        resid: &Activation,
        norm: FinalNorm<'_>,
        control: &impl Control,
    ) -> Result<Activation> {
        let (d, vocab, at_once) = (self.config.d_model, self.config.vocab_size, self.logit_rows());
        let mut data = Vec::with_capacity(resid.data.len() / d * vocab);
        for (index, piece) in resid.data.chunks(at_once * d).enumerate() {
            let (first, rows) = (index * at_once, piece.len() / d);
            let logits = self.logits(piece, norm.of_rows(first..first + rows))?;
            let stride = padded(vocab);
            for row in self.card.read(&[(&logits, 0, rows * stride)]).await?.concat().chunks_exact(stride) {
                data.extend_from_slice(&row[..vocab]);
            }
            control.breathe().await?;
        }
        Ok(Activation::rows(data, vocab))
    }

    /// The `k` likeliest tokens of each row, and the log-probability of its target: of token 0 where there is none.
    pub(super) async fn tops(
        &self,
        resid: &[f32],
        norm: FinalNorm<'_>,
        targets: &[u32],
        k: usize,
        control: &impl Control,
    ) -> Result<Vec<Top>> {
        let (d, at_once) = (self.config.d_model, self.logit_rows());
        let k = k.min(self.config.vocab_size);
        let mut tops = Vec::new();
        for (index, piece) in resid.chunks(at_once * d).enumerate() {
            let (first, rows) = (index * at_once, piece.len() / d);
            let logits = self.logits(piece, norm.of_rows(first..first + rows))?;
            let mut own: Vec<u32> = targets.iter().skip(first).take(rows).copied().collect();
            own.resize(rows, 0);
            tops.extend(self.card.top(&logits, &own, self.config.vocab_size, k).await?);
            control.breathe().await?;
        }
        Ok(tops)
    }
}

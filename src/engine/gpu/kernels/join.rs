//! Runs that begin at a stage: the base's residual stream there, with what their edits changed before.

use super::super::buffers::Buffer;
use super::super::matrix::{Matrix, padded};
use super::super::tape::{Call, Card};
use super::{Kernel, Part, activation};
use crate::model::Activation;

pub const JOIN: Kernel =
    Kernel { name: "join", needs: &[Part::Weights, Part::Functions], text: include_str!("join.wgsl"), access: "rrrw" };

/// What one row begins with.
#[derive(Debug, Clone, PartialEq)]
pub enum Begin {
    /// The base's.
    Base,
    /// These values, `[d_model]`.
    Instead(Vec<f32>),
    /// The base's and these.
    Added(Vec<f32>),
    /// The base's and what so many rows of weights, from the first on, write at these activations.
    Written { first: usize, by: Vec<f32> },
    /// As [`Begin::Written`], by what these become through the neurons' function: before and after a change.
    Through { first: usize, before: Vec<f32>, after: Vec<f32> },
}

impl Card {
    /// Puts rows into `out [.., d_model]` from `out_row` on, each from a row of `base` and what it begins with. `weights` are what
    /// [`Begin::Written`] speaks of.
    ///
    /// # Errors
    /// For weights that a kernel can't see whole.
    pub fn join(
        &self,
        rows: &[(usize, Begin)],
        base: &Buffer,
        (weights, function): (&Matrix, Activation),
        (out, out_row): (&Buffer, usize),
    ) -> crate::error::Result<()> {
        let (mut table, mut values) = (Vec::new(), Vec::new());
        for (base_row, begin) in rows {
            let at = values.len() as u32 / 4;
            let (kind, first, floats, more): (u32, usize, &[f32], &[f32]) = match begin {
                Begin::Base => (0, 0, &[], &[]),
                Begin::Instead(floats) => (1, 0, floats, &[]),
                Begin::Added(floats) => (2, 0, floats, &[]),
                Begin::Written { first, by } => (3, *first, by, &[]),
                Begin::Through { first, before, after } => (4, *first, before, after),
            };
            table.extend([*base_row as u32, kind, at, floats.len() as u32, first as u32, 0, 0, 0]);
            for floats in [floats, more] {
                values.extend(floats.iter().map(|x| x.to_bits()));
                values.resize(padded(values.len()), 0);
            }
        }
        let at_values = table.len() as u32 / 4;
        let work = values.len() * weights.columns;
        table.append(&mut values);
        self.run(&Call {
            kernel: &JOIN,
            consts: &[("F16", u32::from(weights.is_f16)), ("ACTIVATION", activation::number(Some(function)))],
            buffers: &[&self.upload(&table), base, weights.whole()?, out],
            params: &[weights.fours(), at_values, out_row as u32],
            groups: (rows.len() as u32, 1),
            work: work as u64,
        });
        Ok(())
    }
}

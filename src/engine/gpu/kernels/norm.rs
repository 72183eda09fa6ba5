//! LayerNorm of rows, forwards and backwards.

use super::super::buffers::Buffer;
use super::super::matrix::padded;
use super::super::tape::{Call, Card};
use super::super::weights::Norm;
use super::Kernel;
use crate::model::Config;

pub const NORM: Kernel = Kernel { name: "norm", needs: &[], text: include_str!("norm.wgsl"), access: "rrrww" };

pub const NORM_BACKWARDS: Kernel =
    Kernel { name: "norm_backwards", needs: &[], text: include_str!("norm_backwards.wgsl"), access: "rrrrw" };

impl Card {
    /// `x [rows, d_model]` normalised into `out`, by its own scales, which are put into `scales [rows]`, or by those there.
    pub fn norm(
        &self,
        config: &Config,
        norm: &Norm,
        (x, rows): (&Buffer, usize),
        (scales, is_given): (&Buffer, bool),
        out: &Buffer,
    ) {
        let d = config.d_model;
        self.run(&Call {
            kernel: &NORM,
            consts: &[],
            buffers: &[x, &norm.weight, &norm.bias, scales, out],
            params: &[d as u32, (padded(d) / 4) as u32, (config.ln_eps as f32).to_bits(), u32::from(is_given)],
            groups: (rows as u32, 1),
            work: (8 * rows * d) as u64,
        });
    }

    /// `g` plus the derivative by `x`, the norm's input, from `g_out`, that by its output: each `[rows, d_model]`.
    pub fn norm_backwards(
        &self,
        config: &Config,
        weight: &Buffer,
        (x, rows): (&Buffer, usize),
        (g_out, g): (&Buffer, &Buffer),
        out: &Buffer,
    ) {
        let d = config.d_model;
        self.run(&Call {
            kernel: &NORM_BACKWARDS,
            consts: &[],
            buffers: &[x, weight, g_out, g, out],
            params: &[d as u32, (padded(d) / 4) as u32, (config.ln_eps as f32).to_bits()],
            groups: (rows as u32, 1),
            work: (16 * rows * d) as u64,
        });
    }
}

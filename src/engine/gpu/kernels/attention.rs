//! Attention over the positions before a run's rows and its own, for many runs at once, forwards and backwards.

use super::super::buffers::Buffer;
use super::super::matrix::padded;
use super::super::tape::{Call, Card};
use super::Kernel;
use crate::model::Config;

pub const PATTERN: Kernel = Kernel { name: "pattern", needs: &[], text: include_str!("pattern.wgsl"), access: "rrrw" };

pub const MIX: Kernel = Kernel { name: "mix", needs: &[], text: include_str!("mix.wgsl"), access: "rrrrw" };

pub const QUERIES_BACKWARDS: Kernel =
    Kernel { name: "queries_backwards", needs: &[], text: include_str!("queries_backwards.wgsl"), access: "rrrrrww" };

pub const KEYS_BACKWARDS: Kernel =
    Kernel { name: "keys_backwards", needs: &[], text: include_str!("keys_backwards.wgsl"), access: "rrrrw" };

/// Queries, and where what they look at lies.
pub struct Heads<'a> {
    pub config: &'a Config,
    /// By query: its row in `own`, its run's first row there, that row's position, its own position.
    pub queries: &'a Buffer,
    pub n_query: usize,
    /// Query, key and value side by side, `[pos, padded(3 d_model)]`: of the positions before the runs' rows.
    pub past: &'a Buffer,
    /// Of the runs' rows.
    pub own: &'a Buffer,
    /// Keys there is room for in a pattern.
    pub n_key: usize,
    /// What products of queries and keys are multiplied with.
    pub scale: f32,
}

impl Heads<'_> {
    /// Floats of a pattern.
    pub fn pattern_len(&self) -> usize {
        self.n_query * self.config.n_head * self.n_key
    }

    fn params(&self) -> [u32; 5] {
        let d = self.config.d_model;
        [d, self.config.d_head(), padded(3 * d), self.n_key, padded(d)].map(|number| number as u32)
    }

    fn groups(&self) -> (u32, u32) {
        (self.n_query as u32, self.config.n_head as u32)
    }

    fn work(&self) -> u64 {
        (self.n_query * self.n_key * self.config.d_model) as u64
    }
}

impl Card {
    /// `pattern [query, head, key]`.
    pub fn pattern(&self, heads: &Heads<'_>, pattern: &Buffer) {
        let [d, d_head, stride, n_key, _] = heads.params();
        self.run(&Call {
            kernel: &PATTERN,
            consts: &[("D_HEAD", d_head)],
            buffers: &[heads.queries, heads.past, heads.own, pattern],
            params: &[d, d_head, stride, n_key, heads.scale.to_bits()],
            groups: heads.groups(),
            work: heads.work(),
        });
    }

    /// `z [query, d_model]` of a pattern, from row `z_row` on.
    pub fn mix(&self, heads: &Heads<'_>, pattern: &Buffer, (z, z_row): (&Buffer, usize)) {
        let [d, d_head, stride, n_key, z_stride] = heads.params();
        self.run(&Call {
            kernel: &MIX,
            consts: &[],
            buffers: &[heads.queries, heads.past, heads.own, pattern, z],
            params: &[d, d_head, stride, n_key, z_stride, z_row as u32],
            groups: heads.groups(),
            work: heads.work(),
        });
    }

    /// Derivatives by the rows' queries, keys and values, `g [row, padded(3 d_model)]`, from those by `z`, `g_z`. The queries are
    /// all rows of one run, the first at position `first`.
    pub fn attention_backwards(&self, heads: &Heads<'_>, first: usize, pattern: &Buffer, g_z: &Buffer, g: &Buffer) {
        let [d, d_head, stride, n_key, z_stride] = heads.params();
        let scores = self.room(heads.pattern_len());
        self.run(&Call {
            kernel: &QUERIES_BACKWARDS,
            consts: &[],
            buffers: &[heads.queries, heads.past, heads.own, pattern, g_z, &scores, g],
            params: &[d, d_head, stride, n_key, z_stride, heads.scale.to_bits()],
            groups: heads.groups(),
            work: 2 * heads.work(),
        });
        self.run(&Call {
            kernel: &KEYS_BACKWARDS,
            consts: &[],
            buffers: &[heads.own, pattern, g_z, &scores, g],
            params: &[d, d_head, stride, n_key, z_stride, heads.n_query as u32, first as u32],
            groups: heads.groups(),
            work: 2 * heads.work(),
        });
    }
}

//! Sums of two activations.

use super::super::buffers::Buffer;
use super::super::tape::{Call, Card};
use super::{Kernel, grid};

pub const ADD: Kernel = Kernel { name: "add", needs: &[], text: include_str!("add.wgsl"), access: "rrw" };

impl Card {
    /// `out = a + b`, of `floats` values.
    pub fn add(&self, a: &Buffer, b: &Buffer, floats: usize, out: &Buffer) {
        let fours = floats.div_ceil(4);
        self.run(&Call {
            kernel: &ADD,
            consts: &[],
            buffers: &[a, b, out],
            params: &[fours as u32],
            groups: grid(fours.div_ceil(64)),
            work: floats as u64,
        });
    }
}

//! What neurons do with what they read, where it isn't done together with the product before.

use super::super::buffers::Buffer;
use super::super::tape::{Call, Card};
use super::{Kernel, Part, grid};
use crate::model::Activation;

pub const ACTIVATION: Kernel =
    Kernel { name: "activation", needs: &[Part::Functions], text: include_str!("activation.wgsl"), access: "rrw" };

/// The function's number in `functions.wgsl`.
pub fn number(activation: Option<Activation>) -> u32 {
    match activation {
        None => 0,
        Some(Activation::GeluNew) => 1,
        Some(Activation::Gelu) => 2,
        Some(Activation::Gelu10) => 3,
        Some(Activation::QuickGelu) => 4,
        Some(Activation::Relu) => 5,
        Some(Activation::Silu) => 6,
        Some(Activation::Tanh) => 7,
    }
}

impl Card {
    /// The function of `floats` values.
    pub fn activate(&self, activation: Activation, x: &Buffer, floats: usize, out: &Buffer) {
        self.elementwise(activation, (x, None), floats, out);
    }

    /// Its derivative at `x`, times `by`.
    pub fn slope(&self, activation: Activation, x: &Buffer, by: &Buffer, floats: usize, out: &Buffer) {
        self.elementwise(activation, (x, Some(by)), floats, out);
    }

    fn elementwise(&self, activation: Activation, (x, by): (&Buffer, Option<&Buffer>), floats: usize, out: &Buffer) {
        let fours = floats.div_ceil(4);
        self.run(&Call {
            kernel: &ACTIVATION,
            consts: &[("ACTIVATION", number(Some(activation)))],
            buffers: &[x, by.unwrap_or(x), out],
            params: &[fours as u32, u32::from(by.is_some())],
            groups: grid(fours.div_ceil(64)),
            work: 8 * floats as u64,
        });
    }
}

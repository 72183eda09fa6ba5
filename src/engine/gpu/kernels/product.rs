//! `out = activate(x · W + bias) + add`: the products with the blocks' weights, which are nearly all of the work.

use super::super::buffers::Buffer;
use super::super::matrix::padded;
use super::super::tape::{Call, Card};
use super::super::weights::Linear;
use super::{Kernel, Part, activation};
use crate::error::Result;
use crate::model::Activation;

pub const PRODUCT: Kernel = Kernel {
    name: "product",
    needs: &[Part::Weights, Part::Functions],
    text: include_str!("product.wgsl"),
    access: "rrrrw",
};

pub const FEW_ROWS: Kernel = Kernel {
    name: "few_rows",
    needs: &[Part::Weights, Part::Functions],
    text: include_str!("few_rows.wgsl"),
    access: "rrrrw",
};

/// Most rows that are multiplied without tiles.
const FEW: usize = 8;
/// Workgroups that keep a card busy.
const BUSY: usize = 128;

/// What becomes of a product.
#[derive(Default, Clone, Copy)]
pub struct Then<'a> {
    pub activation: Option<Activation>,
    /// `[rows, out]`
    pub add: Option<&'a Buffer>,
    /// Where in `out` the first row goes.
    pub out_row: usize,
}

impl Card {
    /// `x [rows, in]` times the layer's weights, plus its bias, into `out [rows, out]`.
    ///
    /// # Errors
    /// For weights that a kernel can't see whole.
    pub fn product(&self, x: &Buffer, rows: usize, layer: &Linear, then: Then<'_>, out: &Buffer) -> Result<()> {
        let weight = &layer.weight;
        let (k, n) = (weight.rows, padded(weight.columns));
        let k4 = padded(k) / 4;
        let common = [("F16", u32::from(weight.is_f16)), ("ACTIVATION", activation::number(then.activation))];
        let buffers = [x, weight.whole()?, &layer.bias, then.add.unwrap_or(&layer.bias), out];
        let params = [rows, k4, k, n / 4, then.out_row, usize::from(then.add.is_some())].map(|number| number as u32);
        let work = (rows * k * n) as u64;
        if rows <= FEW {
            // narrower groups where there would be too few of them
            let lanes = [16, 8, 4].into_iter().find(|lanes| n / 4 / lanes >= BUSY).unwrap_or(4);
            self.run(&Call {
                kernel: &FEW_ROWS,
                consts: &[common[0], common[1], ("ROWS", rows as u32), ("LANES", lanes as u32)],
                buffers: &buffers,
                params: &params,
                groups: ((n / 4).div_ceil(lanes) as u32, 1),
                work,
            });
            return Ok(());
        }
        let (down, across) = tile(rows, n);
        self.run(&Call {
            kernel: &PRODUCT,
            consts: &[common[0], common[1], ("DOWN", down as u32), ("ACROSS", across as u32)],
            buffers: &buffers,
            params: &params,
            groups: (n.div_ceil(64 * across) as u32, rows.div_ceil(16 * down) as u32),
            work,
        });
        Ok(())
    }
}

/// Rows and fours of columns that a thread makes: as many as leave the card enough workgroups.
fn tile(rows: usize, n: usize) -> (usize, usize) {
    let groups = |(down, across): (usize, usize)| n.div_ceil(64 * across) * rows.div_ceil(16 * down);
    let fits = |&(down, across): &(usize, usize)| groups((down, across)) >= BUSY && rows > 8 * down;
    [(8, 1), (4, 2), (4, 1), (2, 1)].into_iter().find(fits).unwrap_or(if rows > 16 { (2, 1) } else { (1, 1) })
}

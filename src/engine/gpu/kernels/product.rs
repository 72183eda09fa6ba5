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
        self.product_in((x, rows), layer, then, None, out)
    }

    /// As [`Card::product`], in tiles of these sizes, or whatever suits the shape.
    fn product_in(
        &self,
        (x, rows): (&Buffer, usize),
        layer: &Linear,
        then: Then<'_>,
        tiles: Option<(usize, usize)>,
        out: &Buffer,
    ) -> Result<()> {
        let weight = &layer.weight;
        let (k, n) = (weight.rows, padded(weight.columns));
        let k4 = padded(k) / 4;
        let common = [("F16", u32::from(weight.is_f16)), ("ACTIVATION", activation::number(then.activation))];
        let buffers = [x, weight.whole()?, &layer.bias, then.add.unwrap_or(&layer.bias), out];
        let params = [rows, k4, k, n / 4, then.out_row, usize::from(then.add.is_some())].map(|number| number as u32);
        let work = (rows * k * n) as u64;
        if rows <= FEW && tiles.is_none() {
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
        let (down, across) = tiles.unwrap_or_else(|| tile(rows, n));
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

/// Rows and fours of columns that a thread makes, the largest first; larger ones don't fit into the least shared memory.
const TILES: [(usize, usize); 5] = [(8, 1), (4, 2), (4, 1), (2, 1), (1, 1)];

/// The largest tiles that leave the card enough workgroups.
fn tile(rows: usize, n: usize) -> (usize, usize) {
    let groups = |(down, across): (usize, usize)| n.div_ceil(64 * across) * rows.div_ceil(16 * down);
    let fits = |&(down, across): &(usize, usize)| groups((down, across)) >= BUSY && rows > 8 * down;
    TILES.into_iter().find(fits).unwrap_or(if rows > 16 { (2, 1) } else { (1, 1) })
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use candle_core::{DType, Device as Cpu, Tensor};

    use super::super::super::device::{Choice, Device, Extent};
    use super::super::super::matrix::Matrix;
    use super::*;
    use crate::engine::complete;
    use crate::model::weights::in_f32;

    fn numbers(len: usize, seed: u32) -> Vec<f32> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 24) as f32 - 0.5
        };
        (0..len).map(|_| next()).collect()
    }

    /// `x · W + bias + add`, plainly.
    fn plainly(x: &[f32], weight: &[f32], bias: &[f32], add: &[f32], k: usize) -> Vec<f32> {
        let n = bias.len();
        let one = |at: usize| {
            let (row, column) = (at / n, at % n);
            let sum: f32 = (0..k).map(|i| x[row * k + i] * weight[i * n + column]).sum();
            sum + bias[column] + add[at]
        };
        (0..add.len()).map(one).collect()
    }

    /// Rows filled up to whole fours.
    fn filled(rows: &[f32], width: usize) -> Vec<f32> {
        rows.chunks_exact(width).flat_map(|row| row.iter().copied().chain(vec![0.0; padded(width) - width])).collect()
    }

    #[test]
    #[ignore = "needs a graphics card, or mesa-vulkan-drivers"]
    fn every_tile_gives_the_plain_product_of_odd_shapes() {
        let card = Card::new(complete(Device::open(Choice::Any, Extent::Least)).unwrap());
        let shapes = [(1, 1, 1), (1, 33, 70), (3, 5, 3), (8, 64, 64), (17, 7, 130), (70, 40, 5), (129, 65, 66)];
        let of_matrix = |dtype, values: &[f32], shape: (usize, usize)| {
            // as a model's f16 is held: lifted
            let lift = if dtype == DType::F16 { crate::model::f16_bits::LIFT } else { 1.0 };
            let values: Vec<f32> = values.iter().map(|x| x * lift).collect();
            Tensor::from_vec(values, shape, &Cpu::Cpu).unwrap().to_dtype(dtype).unwrap()
        };
        for ((rows, k, n), dtype) in shapes.into_iter().flat_map(|s| [DType::F32, DType::F16].map(|dtype| (s, dtype))) {
            let (x, add, bias) = (numbers(rows * k, 1), numbers(rows * n, 2), numbers(n, 3));
            let tensor = of_matrix(dtype, &numbers(k * n, 4), (k, n));
            let weight: Vec<f32> = in_f32(&tensor).unwrap().flatten_all().unwrap().to_vec1().unwrap();
            let right = plainly(&x, &weight, &bias, &add, k);
            let layer =
                Linear { weight: Matrix::upload(&card, &tensor).unwrap(), bias: card.upload_floats(&filled(&bias, n)) };
            let (x, add) = (card.upload_floats(&filled(&x, k)), card.upload_floats(&filled(&add, n)));
            for tiles in TILES.into_iter().map(Some).chain([None]) {
                let out = card.room(rows * padded(n));
                let then = Then { add: Some(&add), ..Then::default() };
                card.product_in((&x, rows), &layer, then, tiles, &out).unwrap();
                let found = complete(card.read(&[(&out, 0, rows * padded(n))])).unwrap().concat();
                for (row, right) in found.chunks_exact(padded(n)).zip(right.chunks_exact(n)) {
                    for (ours, right) in row.iter().zip(right) {
                        assert!(
                            (ours - right).abs() < 1e-4,
                            "{rows} x {k} x {n}, {tiles:?}: {ours}, should be {right}"
                        );
                    }
                    assert!(row[n..].iter().all(|&filling| filling == 0.0), "{rows} x {k} x {n}, {tiles:?}: filled up");
                }
            }
        }
    }

    #[test]
    fn large_products_have_large_tiles_and_small_ones_enough_groups() {
        assert_eq!(tile(4096, 5120), (8, 1));
        assert_eq!(tile(20, 3840), (2, 1));
        assert_eq!(tile(9, 64), (1, 1));
    }
}

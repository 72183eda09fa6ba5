//! Products of few rows with a weight matrix: there the time goes into reading the weights, once each.
//!
//! Memory is at its fastest here when four places, far from each other, are read onwards at once (28 GB/s; one place
//! gives 10 to 25, eight rows side by side 12 to 20). So the matrix is cut into four bands of rows, and row `k` of each
//! band is used at the same time. Nothing is packed: weights go straight into registers, and activations must be such
//! that [`can_scale`](super::weight::can_scale).

use std::cell::RefCell;
use std::ops::Range;

use super::lanes::F32x4;
use super::micro::{self, Rows, WIDTH};
use super::weight::Weight;
use crate::engine::threads::{self, Parts};

/// Bands of rows that are read at once.
const BANDS: usize = 4;
/// Pieces that a single row's product is cut into: as many threads can share it.
const SHARES: usize = 4;
/// Fewest weights of a share: below, handing it over costs more than it saves.
const SHARE: usize = 1 << 16;

/// Columns up to which a whole row of weights is narrow.
const NARROW: usize = 1024;
/// Most sums of a piece: they should stay in the second-level cache.
const HELD: usize = 1 << 16;
/// Fewest columns of a piece: memory is slow to start on a row.
const LEAST: usize = 256;

thread_local! {
    static SUMS: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// `out [n_out] += x [n_in] · weight [n_in, n_out]`. Each share takes some of the rows, then the shares are added up.
#[inline(never)]
pub fn one_row<W: Weight>(x: &[f32], weight: &[W], out: &mut [f32]) {
    let (n_in, n_out) = (x.len(), out.len());
    let share = n_in.div_ceil(SHARES).max(SHARE.div_ceil(n_out.max(1)));
    if share >= n_in {
        return share_of_row(x, weight, out);
    }
    let mut sums = vec![0.0; n_in.div_ceil(share) * n_out];
    threads::for_each_chunk(&mut sums, n_out, |index, sums| {
        let rows = index * share..n_in.min((index + 1) * share);
        share_of_row(&x[rows.clone()], &weight[rows.start * n_out..rows.end * n_out], sums);
    });
    for sums in sums.chunks_exact(n_out) {
        out.iter_mut().zip(sums).for_each(|(out, sum)| *out += sum);
    }
}

fn share_of_row<W: Weight>(x: &[f32], weight: &[W], out: &mut [f32]) {
    let n_out = out.len();
    let band = x.len() / BANDS;
    let (bands, rest) = weight.split_at(BANDS * band * n_out);
    for at in 0..band {
        let x: [f32; BANDS] = std::array::from_fn(|index| x[index * band + at]);
        let rows: [&[W]; BANDS] = std::array::from_fn(|index| &bands[(index * band + at) * n_out..][..n_out]);
        add_rows(x, rows, out);
    }
    for (&x, row) in x[BANDS * band..].iter().zip(rest.chunks_exact(n_out)) {
        add_rows([x], [row], out);
    }
}

/// `out += Σ x[i] rows[i]`.
#[inline(always)]
fn add_rows<W: Weight, const N: usize>(x: [f32; N], rows: [&[W]; N], out: &mut [f32]) {
    let x = x.map(|x| x * W::SCALE);
    let factors = x.map(F32x4::splat);
    let (eights, ends) = out.as_chunks_mut::<8>();
    let rows = rows.map(|row| row.as_chunks::<8>());
    for (at, eight) in eights.iter_mut().enumerate() {
        let (fours, _) = eight.as_chunks_mut::<4>();
        let (mut left, mut right) = (F32x4::from_array(&fours[0]), F32x4::from_array(&fours[1]));
        for (factor, (row, _)) in factors.iter().zip(&rows) {
            // SAFETY: eight are there
            let weights = unsafe { W::load8_scaled(row[at].as_ptr()) };
            left = factor.mul_add(weights[0], left);
            right = factor.mul_add(weights[1], right);
        }
        left.write(&mut fours[0]);
        right.write(&mut fours[1]);
    }
    for (at, end) in ends.iter_mut().enumerate() {
        *end += x.iter().zip(&rows).map(|(x, (_, row))| x * row[at].scaled()).sum::<f32>();
    }
}

/// `out [rows, n_out] += x [rows, n_in] · weight [n_in, n_out]` for a few rows.
#[inline(never)]
pub fn few_rows<W: Weight>(x: &[f32], weight: &[W], n_out: usize, out: &mut [f32]) {
    let rows = out.len() / n_out;
    let n_in = weight.len() / n_out;
    let Plan { shares, columns } = Plan::of(rows, n_in, n_out);
    let band = n_in / (shares * BANDS);
    let depth = band * BANDS;
    let whole = n_out - n_out % WIDTH;
    let mut x_of_bands = vec![0.0; shares * depth * rows];
    for (share, x_of_bands) in x_of_bands.chunks_exact_mut((depth * rows).max(1)).enumerate() {
        for (row, x) in x.chunks_exact(n_in).take(rows).enumerate() {
            side_by_side::<W>(&x[share * depth..(share + 1) * depth], row, rows, x_of_bands);
        }
    }
    SUMS.with_borrow_mut(|sums| {
        // [share, tile of columns, row, 8]
        sums.clear();
        sums.resize(shares * rows * whole, 0.0);
        let parts = Parts::of(sums);
        let pieces = whole.div_ceil(columns);
        threads::for_each(shares * pieces, |piece| {
            let (share, piece) = (piece % shares, piece / shares);
            let columns = piece * columns..whole.min((piece + 1) * columns);
            // SAFETY: a piece's columns in its share are its own
            let sums = unsafe { parts.slice((share * whole + columns.start) * rows, columns.len() * rows) };
            let weight = &weight[share * depth * n_out..(share + 1) * depth * n_out];
            let x = &x_of_bands[share * depth * rows..(share + 1) * depth * rows];
            product_of_bands(x, weight, n_out, columns, rows, sums);
        });
        threads::for_each_chunk(out, n_out, |row, out| {
            for share in sums.chunks_exact((rows * whole).max(1)) {
                for (out, sums) in out.chunks_exact_mut(WIDTH).zip(share.chunks_exact(rows * WIDTH)) {
                    out.iter_mut().zip(&sums[row * WIDTH..]).for_each(|(out, sum)| *out += sum);
                }
            }
            // what the bands leave over, and the columns that no tile covers
            let x = &x[row * n_in..(row + 1) * n_in];
            for (k, (x, weight)) in x.iter().zip(weight.chunks_exact(n_out)).enumerate() {
                if k >= shares * depth {
                    add_rows([*x], [weight], out);
                } else if whole < n_out {
                    add_rows([*x], [&weight[whole..]], &mut out[whole..]);
                }
            }
        });
    });
}

/// Puts a row's four bands, scaled, into `sides [band's row, rows, BANDS]`, as the kernel takes them.
fn side_by_side<W: Weight>(x: &[f32], row: usize, rows: usize, sides: &mut [f32]) {
    let (a, rest) = x.split_at(x.len() / BANDS);
    let (b, rest) = rest.split_at(a.len());
    let (c, d) = rest.split_at(a.len());
    let (sides, _) = sides.as_chunks_mut::<BANDS>();
    let sides = sides[row..].iter_mut().step_by(rows);
    for (side, (((a, b), c), d)) in sides.zip(a.iter().zip(b).zip(c).zip(d)) {
        *side = [*a, *b, *c, *d].map(|x| x * W::SCALE);
    }
}

/// How a product of few rows is cut: enough pieces for the threads there are, each reading rows as long as can be. Only the
/// shape decides on the shares, so that the sums are the same on any number of threads.
struct Plan {
    /// Parts of the depth, added up in the end.
    shares: usize,
    /// Columns of a piece.
    columns: usize,
}

impl Plan {
    fn of(rows: usize, n_in: usize, n_out: usize) -> Self {
        // narrow weights are cut along the depth, so that whole rows are read; a share then lies in one piece
        if n_out <= NARROW && n_in * n_out >= SHARES * SHARE {
            return Plan { shares: SHARES, columns: n_out.next_multiple_of(WIDTH) };
        }
        let pieces = match threads::count() {
            1 => 1,
            // two each: not all threads are equally fast
            threads => 2 * threads,
        };
        let columns = n_out.div_ceil(pieces).min(HELD / rows).max(LEAST);
        Plan { shares: 1, columns: columns.next_multiple_of(WIDTH) }
    }
}

/// `sums [columns / 8, rows, 8] += x · weight` over all rows of all bands, for whole tiles of columns.
fn product_of_bands<W: Weight>(
    x: &[f32],
    weight: &[W],
    n_out: usize,
    columns: Range<usize>,
    rows: usize,
    sums: &mut [f32],
) {
    let stride = weight.len() / n_out / BANDS * n_out;
    for (at, x) in x.chunks_exact(rows * BANDS).enumerate() {
        let weights = &weight[at * n_out + columns.start..];
        assert!(weights.len() >= (BANDS - 1) * stride + columns.len() && sums.len() == rows * columns.len());
        for (block, sums) in sums.chunks_exact_mut(rows * WIDTH).enumerate() {
            let weights = Rows { start: weights[block * WIDTH..].as_ptr(), stride };
            // SAFETY: `sums` and `x` have `rows` rows; the last band's weights are there, as just checked
            unsafe { micro::four_deep(x.as_ptr(), weights, rows, sums.as_mut_ptr()) };
        }
    }
}

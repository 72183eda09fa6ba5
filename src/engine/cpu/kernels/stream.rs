//! Products of few rows with a weight matrix: there the time goes into reading the weights, once each.
//!
//! Memory is at its fastest here when four places, far from each other, are read onwards at once (28 GB/s; one place
//! gives 10 to 25, eight rows side by side 12 to 20). So the matrix is cut into four bands of rows, and row `k` of each
//! band is used at the same time. Nothing is packed: weights go straight into registers, and activations must be such
//! that [`can_scale`](super::weight::can_scale).

use std::cell::RefCell;
use std::ops::Range;

use super::micro::{self, BANDS, Rows, WIDTH};
use super::weight::Weight;
use crate::engine::threads::{self, Parts};

/// Pieces that a single row's product is cut into: as many threads can share it.
const SHARES: usize = 4;
/// Fewest weights of a share: below, handing it over costs more than it saves.
const SHARE: usize = 1 << 16;

/// Columns up to which a whole row of weights is narrow.
const NARROW: usize = 1024;
/// Parts that activations are put in order in.
const PARTS: usize = 4;
/// Most sums of a piece: they should stay in the second-level cache.
const HELD: usize = 1 << 16;
/// Fewest columns of a piece: memory is slow to start on a row.
const LEAST: usize = 256;

thread_local! {
    static SUMS: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// What a product is added to.
#[inline(always)]
pub fn begin(bias: Option<&[f32]>, add: bool, out: &mut [f32]) {
    match bias {
        Some(bias) if add => out.iter_mut().zip(bias).for_each(|(out, bias)| *out += bias),
        Some(bias) => out.copy_from_slice(bias),
        None if add => {}
        None => out.fill(0.0),
    }
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
    let (x, eights) = (x.map(|x| x * W::SCALE), out.len() / 8);
    assert!(rows.iter().all(|row| row.len() >= out.len()), "rows are as long as their sum");
    // SAFETY: as just checked
    unsafe { micro::add_rows(x, rows.map(<[W]>::as_ptr), eights, out.as_mut_ptr()) };
    for (at, end) in out.iter_mut().enumerate().skip(8 * eights) {
        *end += x.iter().zip(&rows).map(|(x, row)| x * row[at].scaled()).sum::<f32>();
    }
}

/// `out [rows, n_out] = x [rows, n_in] · weight [n_in, n_out] + bias [n_out]` for a few rows; added to `out` if `add`.
#[inline(never)]
pub fn few_rows<W: Weight>(x: &[f32], weight: &[W], bias: Option<&[f32]>, n_out: usize, add: bool, out: &mut [f32]) {
    let rows = out.len() / n_out;
    let n_in = weight.len() / n_out;
    let Plan { shares, columns } = Plan::of(rows, n_in, n_out);
    let band = n_in / (shares * BANDS);
    let depth = band * BANDS;
    let whole = n_out - n_out % WIDTH;
    // [share, band's row, row, BANDS], as the kernel takes them; a share at a time, or a part of the only one
    let mut x_of_bands = vec![0.0; shares * depth * rows];
    let part = if shares == 1 { band.div_ceil(PARTS).max(1) } else { band };
    threads::for_each_chunk(&mut x_of_bands, part * rows * BANDS, |index, sides| {
        let first = if shares == 1 { index * part } else { index * depth };
        let (sides, _) = sides.as_chunks_mut::<BANDS>();
        for (row, x) in x.chunks_exact(n_in).take(rows).enumerate() {
            let bands: [&[f32]; BANDS] = std::array::from_fn(|index| &x[first + index * band..][..sides.len() / rows]);
            for (at, side) in sides[row..].iter_mut().step_by(rows).enumerate() {
                *side = bands.map(|band| band[at] * W::SCALE);
            }
        }
    });
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
            begin(bias, add, out);
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
            // three each: not all threads are equally fast
            threads => 3 * threads,
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
    let (stride, by) = (weight.len() / n_out / BANDS * n_out, W::by());
    for (at, x) in x.chunks_exact(rows * BANDS).enumerate() {
        let weights = &weight[at * n_out + columns.start..];
        assert!(weights.len() >= (BANDS - 1) * stride + columns.len() && sums.len() == rows * columns.len());
        for (block, sums) in sums.chunks_exact_mut(rows * WIDTH).enumerate() {
            let weights = Rows { start: weights[block * WIDTH..].as_ptr(), stride };
            // SAFETY: `sums` and `x` have `rows` rows; the last band's weights are there, as just checked
            unsafe { micro::four_deep(x.as_ptr(), weights, by, rows, sums.as_mut_ptr()) };
        }
    }
}

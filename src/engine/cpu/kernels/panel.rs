//! Products of many rows with a weight matrix: a block of weights is packed into panels of eight columns, small enough for
//! the second-level cache, and used by all rows before the next block is looked at.

use std::cell::RefCell;
use std::ops::Range;

use super::micro::{self, BANDS, Rows, TILE, WIDTH};
use super::stream::begin;
use super::weight::Weight;
use crate::engine::threads::{self, Parts};

/// Rows of weights that are packed at once; with a tile's rows of activations, a panel of so many fits the first-level cache.
const DEPTH: usize = 256;
/// Most rows of one piece: packing its weights takes as long as the product of some twenty rows.
const ROWS: usize = 1024;
/// Most columns of a piece: its panels should leave room in the second-level cache.
const MOST: usize = 640;
/// Fewest columns of a piece.
const LEAST: usize = 64;
/// Between panels, so that they don't all fall on the same lines of the cache.
const GAP: usize = 16;

thread_local! {
    static PANELS: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// `out [rows, n_out] = x [rows, n_in] · weight [n_in, n_out] + bias [n_out]` for many rows; added to `out` if `add`.
#[inline(never)]
pub fn many_rows<W: Weight>(x: &[f32], weight: &[W], bias: Option<&[f32]>, n_out: usize, add: bool, out: &mut [f32]) {
    let rows = out.len() / n_out;
    let columns = columns_of_piece(n_out);
    let blocks = rows.div_ceil(ROWS);
    let out = Parts::of(out);
    threads::for_each(blocks * n_out.div_ceil(columns), |piece| {
        let (block, piece) = (piece % blocks, piece / blocks);
        let rows = share(rows, blocks, block);
        let columns = piece * columns..n_out.min((piece + 1) * columns);
        for row in rows.clone() {
            // SAFETY: a piece's columns of its rows are its own
            let out = unsafe { out.slice(row * n_out + columns.start, columns.len()) };
            begin(bias.map(|bias| &bias[columns.clone()]), add, out);
        }
        PANELS.with_borrow_mut(|panels| product(x, weight, n_out, rows, columns, panels, out));
    });
}

/// Columns of one piece: as many as can be, since a tile's activations are then used longest and weights read furthest, in
/// pieces that the threads share evenly.
fn columns_of_piece(n_out: usize) -> usize {
    let threads = threads::count();
    let pieces = n_out.div_ceil(MOST).max(2 * threads).next_multiple_of(threads);
    n_out.div_ceil(pieces).max(LEAST).next_multiple_of(WIDTH)
}

/// Part `index` of `len` things, dealt out evenly to `parts`.
fn share(len: usize, parts: usize, index: usize) -> Range<usize> {
    index * len / parts..(index + 1) * len / parts
}

/// One piece: `out[rows, columns] += x[rows, ..] · weight[.., columns]`.
fn product<W: Weight>(
    x: &[f32],
    weight: &[W],
    n_out: usize,
    rows: Range<usize>,
    columns: Range<usize>,
    panels: &mut Vec<f32>,
    out: Parts<'_>,
) {
    let n_in = weight.len() / n_out;
    assert!(x.len() >= rows.end * n_in, "as many rows go in as come out");
    let panel = WIDTH * DEPTH + GAP;
    panels.resize(columns.len().div_ceil(WIDTH) * panel, 0.0);
    for from in (0..n_in).step_by(DEPTH) {
        let depth = DEPTH.min(n_in - from);
        let of_weight = &weight[from * n_out..(from + depth) * n_out];
        pack(of_weight, n_out, columns.clone(), panel, panels);
        let tiles = rows.len().div_ceil(TILE);
        for index in 0..tiles {
            // 5 and 5 rows rather than 6 and 4: too small a tile waits for its own sums
            let of_tile = share(rows.len(), tiles, index);
            let (row, tile_rows) = (rows.start + of_tile.start, of_tile.len());
            let x = Rows { start: x[row * n_in + from..].as_ptr(), stride: n_in };
            for (index, panel) in panels.chunks_exact(panel).enumerate() {
                let column = columns.start + index * WIDTH;
                let panel = Rows { start: panel.as_ptr(), stride: WIDTH };
                let width = WIDTH.min(columns.end - column);
                // SAFETY: `x` has these rows to the end of `depth`, a panel has `depth` rows of eight; tiles of pieces don't
                // overlap
                unsafe { tile(x, panel, depth, tile_rows, width, row * n_out + column, n_out, out) };
            }
        }
    }
}

/// One tile of up to six rows and eight columns, at `at` in `out`.
///
/// # Safety
/// `x` and `panel` must be readable over `depth`, and nothing else may use the tile in `out`.
#[allow(clippy::too_many_arguments)] // two matrices, a place in a third, and three sizes
unsafe fn tile(
    x: Rows<*const f32>,
    panel: Rows<*const f32>,
    depth: usize,
    rows: usize,
    width: usize,
    at: usize,
    n_out: usize,
    out: Parts<'_>,
) {
    let mut edge = [0.0; TILE * WIDTH];
    let whole = width == WIDTH;
    // SAFETY: the caller's; `edge` has room for any tile
    unsafe {
        let target = if whole {
            Rows { start: out.pointer(at, (rows - 1) * n_out + WIDTH), stride: n_out }
        } else {
            Rows { start: edge.as_mut_ptr(), stride: WIDTH }
        };
        micro::outer(rows, x, panel, depth, target);
        if !whole {
            for (row, sums) in edge.chunks_exact(WIDTH).take(rows).enumerate() {
                let out = out.slice(at + row * n_out, width);
                out.iter_mut().zip(sums).for_each(|(out, sum)| *out += sum);
            }
        }
    }
}

/// Copies `weight [depth, n_out]`'s `columns` into panels `[depth, 8]`, each `size` after the other; the last is filled
/// with zeros. Four rows far from each other at a time, as memory likes it.
fn pack<W: Weight>(weight: &[W], n_out: usize, columns: Range<usize>, size: usize, panels: &mut [f32]) {
    let (depth, whole) = (weight.len() / n_out, columns.len() / WIDTH);
    let room = (columns.len().div_ceil(WIDTH).max(1) - 1) * size + depth * WIDTH;
    assert!(panels.len() >= room && columns.end <= n_out, "a panel has room for a block's depth");
    let band = depth / BANDS;
    let row = |at: usize| weight[at * n_out + columns.start..].as_ptr();
    let start = panels.as_mut_ptr();
    for at in 0..band {
        let rows: [usize; BANDS] = std::array::from_fn(|index| index * band + at);
        let places = rows.map(|at| start.wrapping_add(at * WIDTH));
        // SAFETY: all whole panels' columns are there, and as much room as was checked
        unsafe { micro::pack_rows(rows.map(row), whole, places, size) };
    }
    for at in BANDS * band..depth {
        // SAFETY: as above
        unsafe { micro::pack_rows([row(at)], whole, [start.wrapping_add(at * WIDTH)], size) };
    }
    let rest = columns.start + whole * WIDTH..columns.end;
    if !rest.is_empty() {
        let panel = panels[whole * size..].chunks_exact_mut(WIDTH);
        for (packed, row) in panel.zip(weight.chunks_exact(n_out)) {
            let (there, beyond) = packed.split_at_mut(rest.len());
            there.iter_mut().zip(&row[rest.clone()]).for_each(|(packed, weight)| *packed = weight.widen());
            beyond.fill(0.0);
        }
    }
}

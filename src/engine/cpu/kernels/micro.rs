//! The innermost loops: a tile of the product, kept in registers while the depth passes by.
//!
//! All of them count on a compiler that keeps twelve sums, two weights and one activation in the fifteen registers that
//! browsers give to wasm on x86: it must leave the order of loads and products as it is written here, hence `scripts/workers`'
//! `-pre-RA-sched=source`. In LLVM's own order six rows a tile spill, and cost a third of the speed; four leave each
//! product waiting for the one before it.

use super::lanes::F32x4;
use super::weight::Weight;

/// Columns of a tile of [`outer`].
pub const WIDTH: usize = 8;

/// Rows of weights that are read at once, far from each other, as memory likes it.
pub const BANDS: usize = 4;

/// Most rows of a tile of [`outer`].
pub const TILE: usize = 6;

/// `out [rows, 8] += x [rows, depth] · panel [depth, 8]` for up to [`TILE`] rows, which lie their stride apart.
///
/// # Safety
/// All those places must be readable, those of `out` writable and used by nothing else.
pub unsafe fn outer(rows: usize, x: Rows<*const f32>, panel: Rows<*const f32>, depth: usize, out: Rows<*mut f32>) {
    // SAFETY: the caller's
    unsafe {
        match rows {
            0 => {}
            1 => outer_of::<1>(x, panel, depth, out),
            2 => outer_of::<2>(x, panel, depth, out),
            3 => outer_of::<3>(x, panel, depth, out),
            4 => outer_of::<4>(x, panel, depth, out),
            5 => outer_of::<5>(x, panel, depth, out),
            _ => outer_of::<TILE>(x, panel, depth, out),
        }
    }
}

/// # Safety
/// As there.
#[inline(never)] // inlined, its loop competes for registers with its surroundings
unsafe fn outer_of<const R: usize>(x: Rows<*const f32>, panel: Rows<*const f32>, depth: usize, out: Rows<*mut f32>) {
    let mut sums = [[F32x4::splat(0.0); 2]; R];
    let mut x_rows: [_; R] = std::array::from_fn(|row| x.start.wrapping_add(row * x.stride));
    let mut weights = panel.start;
    for _ in 0..depth {
        // SAFETY: `depth` steps stay within what the caller vouches for
        unsafe {
            let (left, right) = (F32x4::load(weights), F32x4::load(weights.add(4)));
            for (sums, x) in sums.iter_mut().zip(&mut x_rows) {
                let value = F32x4::load_splat(*x);
                sums[0] = value.mul_add(left, sums[0]);
                sums[1] = value.mul_add(right, sums[1]);
                *x = x.wrapping_add(1);
            }
        }
        weights = weights.wrapping_add(panel.stride);
    }
    for (row, sums) in sums.iter().enumerate() {
        for (half, &sum) in sums.iter().enumerate() {
            // SAFETY: the tile is the caller's to write
            unsafe {
                let out = out.start.add(row * out.stride + 4 * half);
                (F32x4::load(out) + sum).store(out);
            }
        }
    }
}

/// `sums [rows, 8] += x [rows, 4] · weights [4, 8]`, all rows close together but those of `weights`; `x` is multiplied by
/// the weights' scale already.
///
/// # Safety
/// All those places must be readable, those of `sums` writable and used by nothing else.
#[inline(always)]
pub unsafe fn four_deep<W: Weight>(x: *const f32, weights: Rows<*const W>, by: W::By, rows: usize, sums: *mut f32) {
    // SAFETY: the caller's
    let weights: [[F32x4; 2]; 4] =
        std::array::from_fn(|depth| unsafe { W::load8_scaled(weights.start.add(depth * weights.stride), by) });
    let (mut x, mut at) = (x, sums);
    for _ in 0..rows {
        // SAFETY: `rows` steps stay within what the caller vouches for
        unsafe {
            let (mut left, mut right) = (F32x4::load(at), F32x4::load(at.add(4)));
            for (depth, weights) in weights.iter().enumerate() {
                let value = F32x4::load_splat(x.add(depth));
                left = value.mul_add(weights[0], left);
                right = value.mul_add(weights[1], right);
            }
            left.store(at);
            right.store(at.add(4));
        }
        (x, at) = (x.wrapping_add(4), at.wrapping_add(WIDTH));
    }
}

/// `out [8 * eights] += Σ factors[i] rows[i]`, the factors being multiplied by the weights' scale already.
///
/// # Safety
/// Eight times `eights` values must be readable from each pointer on, and writable from `out` on.
#[inline(always)]
pub unsafe fn add_rows<W: Weight, const N: usize>(
    factors: [f32; N],
    rows: [*const W; N],
    eights: usize,
    out: *mut f32,
) {
    let (factors, by) = (factors.map(F32x4::splat), W::by());
    for at in 0..eights {
        // SAFETY: the caller's
        unsafe {
            let out = out.add(8 * at);
            let (mut left, mut right) = (F32x4::load(out), F32x4::load(out.add(4)));
            for (factor, row) in factors.iter().zip(rows) {
                let weights = W::load8_scaled(row.add(8 * at), by);
                left = factor.mul_add(weights[0], left);
                right = factor.mul_add(weights[1], right);
            }
            left.store(out);
            right.store(out.add(4));
        }
    }
}

/// Copies eight columns of N rows at a time into panels, which lie `size` apart: row `i` to `panels[i]` in the first of them.
///
/// # Safety
/// Eight times `eights` values must be readable from each row on, and there must be room for eight in each panel.
#[inline(always)]
pub unsafe fn pack_rows<W: Weight, const N: usize>(
    rows: [*const W; N],
    eights: usize,
    panels: [*mut f32; N],
    size: usize,
) {
    let by = W::by();
    for at in 0..eights {
        for (row, panel) in rows.iter().zip(panels) {
            // SAFETY: the caller's
            unsafe {
                let [left, right] = W::load8(row.add(8 * at), by);
                let panel = panel.add(at * size);
                left.store(panel);
                right.store(panel.add(4));
            }
        }
    }
}

/// `x [R, depth] · weights [C, depth]ᵀ`: the scalar products of R rows with C rows.
///
/// # Safety
/// All those places must be readable.
#[inline(always)]
pub unsafe fn inner<const R: usize, const C: usize>(
    x: [*const f32; R],
    weights: [*const f32; C],
    depth: usize,
) -> [[f32; C]; R] {
    let mut sums = [[F32x4::splat(0.0); C]; R];
    let mut at = 0;
    while at + 4 <= depth {
        // SAFETY: below `depth`
        unsafe {
            let x: [F32x4; R] = std::array::from_fn(|row| F32x4::load(x[row].add(at)));
            for (column, weights) in weights.iter().enumerate() {
                let weights = F32x4::load(weights.add(at));
                for (sums, x) in sums.iter_mut().zip(x) {
                    sums[column] = x.mul_add(weights, sums[column]);
                }
            }
        }
        at += 4;
    }
    let mut out = sums.map(|sums| sums.map(F32x4::sum));
    for at in at..depth {
        for (out, x) in out.iter_mut().zip(x) {
            for (out, weights) in out.iter_mut().zip(weights) {
                // SAFETY: below `depth`
                *out += unsafe { *x.add(at) * *weights.add(at) };
            }
        }
    }
    out
}

/// The scalar products of one row with four rows, each weight used once; `x` is multiplied by the weights' scale already.
///
/// # Safety
/// `depth` values must be readable from each pointer on.
#[inline(always)]
pub unsafe fn inner_of_row<W: Weight>(x: *const f32, weights: [*const W; BANDS], depth: usize) -> [f32; BANDS] {
    let whole = depth - depth % 8;
    // SAFETY: the caller's
    let mut out = unsafe { lanes_of_row(x, weights, whole) }.map(F32x4::sum);
    for at in whole..depth {
        for (out, weights) in out.iter_mut().zip(weights) {
            // SAFETY: below `depth`
            *out += unsafe { *x.add(at) * (*weights.add(at)).scaled() };
        }
    }
    out
}

/// The same up to `depth`, a multiple of eight, in lanes that are still to be added up.
///
/// # Safety
/// As there.
#[inline(never)] // next to the sums over lanes, compilers turn lanes and columns round, which takes longer than the product
unsafe fn lanes_of_row<W: Weight>(x: *const f32, weights: [*const W; BANDS], depth: usize) -> [F32x4; BANDS] {
    // each by its name: a loop over the four is left one by the compiler, with its sums in memory
    let ([mut a, mut b, mut c, mut d], [of_a, of_b, of_c, of_d]) = ([F32x4::splat(0.0); BANDS], weights);
    let by = W::by();
    for at in (0..depth).step_by(8) {
        // SAFETY: below `depth`
        unsafe {
            let x = [F32x4::load(x.add(at)), F32x4::load(x.add(at + 4))];
            a = add_eight(a, x, of_a.add(at), by);
            b = add_eight(b, x, of_b.add(at), by);
            c = add_eight(c, x, of_c.add(at), by);
            d = add_eight(d, x, of_d.add(at), by);
        }
    }
    [a, b, c, d]
}

/// `sum + x · weights` in lanes, for eight weights.
///
/// # Safety
/// They must be readable.
#[inline(always)]
unsafe fn add_eight<W: Weight>(sum: F32x4, x: [F32x4; 2], weights: *const W, by: W::By) -> F32x4 {
    // SAFETY: the caller's
    let weights = unsafe { W::load8_scaled(weights, by) };
    x[1].mul_add(weights[1], x[0].mul_add(weights[0], sum))
}

/// Rows of a matrix: where the first begins, and how far it is from one to the next.
#[derive(Debug, Clone, Copy)]
pub struct Rows<P> {
    pub start: P,
    pub stride: usize,
}

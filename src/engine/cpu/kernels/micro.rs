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
pub unsafe fn four_deep<W: Weight>(x: *const f32, weights: Rows<*const W>, rows: usize, sums: *mut f32) {
    // SAFETY: the caller's
    let weights: [[F32x4; 2]; 4] =
        std::array::from_fn(|depth| unsafe { W::load8_scaled(weights.start.add(depth * weights.stride)) });
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

/// The scalar products of one row with C rows, each weight used once; `x` is multiplied by the weights' scale already.
///
/// # Safety
/// `depth` values must be readable from each pointer on.
#[inline(always)]
pub unsafe fn inner_of_row<W: Weight, const C: usize>(x: *const f32, weights: [*const W; C], depth: usize) -> [f32; C] {
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
unsafe fn lanes_of_row<W: Weight, const C: usize>(x: *const f32, weights: [*const W; C], depth: usize) -> [F32x4; C] {
    let mut sums = [F32x4::splat(0.0); C];
    for at in (0..depth).step_by(8) {
        // SAFETY: below `depth`
        unsafe {
            let (left, right) = (F32x4::load(x.add(at)), F32x4::load(x.add(at + 4)));
            for (sum, weights) in sums.iter_mut().zip(weights) {
                let weights = W::load8_scaled(weights.add(at));
                *sum = left.mul_add(weights[0], *sum);
                *sum = right.mul_add(weights[1], *sum);
            }
        }
    }
    sums
}

/// Rows of a matrix: where the first begins, and how far it is from one to the next.
#[derive(Debug, Clone, Copy)]
pub struct Rows<P> {
    pub start: P,
    pub stride: usize,
}

//! Causal self-attention of runs' rows, each over the keys and values of the positions before its rows and its own.

use std::cell::RefCell;
use std::ops::Range;

use super::lanes::{self, F32x4};
use super::matmul::add_scaled;
use super::micro::{self, Rows, TILE, WIDTH};
use crate::engine::threads::{self, Parts};

/// Most queries of one piece of work, which is always one head's.
const QUERIES: usize = 32;
/// Keys that two queries are multiplied with at once.
const KEYS: usize = 4;

thread_local! {
    /// One piece's weights.
    static WEIGHTS: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// Keys and values of a run's earlier positions, each `[n_past, d_model]`; heads lie side by side in a row.
#[derive(Debug, Clone, Copy, Default)]
pub struct Past<'a> {
    pub keys: &'a [f32],
    pub values: &'a [f32],
}

/// One run's part in a batch.
#[derive(Debug, Clone)]
pub struct Run<'a> {
    /// Query, key and value of its rows side by side, `[rows, 3 * d_model]`.
    pub qkv: &'a [f32],
    pub past: Past<'a>,
    /// The rows whose outcome is wanted; all rows' keys and values are seen.
    pub queries: Range<usize>,
    pub n_head: usize,
    pub d_model: usize,
    /// What products of queries and keys are multiplied with.
    pub scale: f32,
}

/// `z [sum of queries, d_model]`: what every head of every query reads, heads side by side.
#[inline(never)]
pub fn attend(runs: &[Run<'_>], z: &mut [f32]) {
    let mut pieces = Vec::new();
    let mut first_row = 0;
    for run in runs {
        for start in (0..run.queries.len()).step_by(QUERIES) {
            let queries = start..run.queries.len().min(start + QUERIES);
            pieces.extend((0..run.n_head).map(|head| (run, head, queries.clone(), first_row + start)));
        }
        first_row += run.queries.len();
    }
    let z = Parts::of(z);
    threads::for_each(pieces.len(), |piece| {
        let (run, head, queries, row) = pieces[piece].clone();
        WEIGHTS.with_borrow_mut(|weights| {
            weights.resize(queries.len() * run.n_key(), 0.0);
            run.weigh(head, queries.clone(), weights);
            run.read(head, queries, weights, row, z);
        });
    });
}

impl Run<'_> {
    fn n_past(&self) -> usize {
        self.past.keys.len() / self.d_model
    }

    /// Keys there are in all; a query sees those up to its own.
    pub fn n_key(&self) -> usize {
        self.n_past() + self.qkv.len() / (3 * self.d_model)
    }

    fn d_head(&self) -> usize {
        self.d_model / self.n_head
    }

    /// The slice of one row that belongs to `head`: query (0), key (1) or value (2).
    pub fn part(&self, row: usize, part: usize, head: usize) -> &[f32] {
        let start = (3 * row + part) * self.d_model + head * self.d_head();
        &self.qkv[start..start + self.d_head()]
    }

    /// The key or value at position `at`, counted from the first of the past.
    pub fn seen(&self, at: usize, part: usize, head: usize) -> &[f32] {
        match at.checked_sub(self.n_past()) {
            Some(row) => self.part(row, part, head),
            None => {
                let rows = if part == 1 { self.past.keys } else { self.past.values };
                let start = at * self.d_model + head * self.d_head();
                &rows[start..start + self.d_head()]
            }
        }
    }

    /// Attention's weights, `[head, query, key]`; 0 where a query may not look.
    pub fn pattern(&self, pattern: &mut [f32]) {
        let queries = 0..self.queries.len();
        let size = queries.len() * self.n_key();
        threads::for_each_chunk(pattern, size, |head, weights| self.weigh(head, queries.clone(), weights));
    }

    /// `z [queries, d_model]`: the values, each times its weight in `pattern [head, query, key]`.
    pub fn mix(&self, pattern: &[f32], z: &mut [f32]) {
        let queries = 0..self.queries.len();
        let size = queries.len() * self.n_key();
        let z = Parts::of(z);
        threads::for_each(self.n_head, |head| {
            self.read(head, queries.clone(), &pattern[head * size..(head + 1) * size], 0, z);
        });
    }

    /// One head's weights of some of the queries, `[queries, key]`: the softmax of their products with the keys they see.
    fn weigh(&self, head: usize, queries: Range<usize>, weights: &mut [f32]) {
        let n_key = self.n_key();
        let first = self.queries.start + queries.start;
        for (pair, weights) in weights.chunks_mut(2 * n_key).enumerate() {
            let row = first + 2 * pair;
            if weights.len() == 2 * n_key {
                self.scores(head, [row, row + 1], weights);
            } else {
                self.scores(head, [row], weights);
            }
        }
        for (index, weights) in weights.chunks_exact_mut(n_key).enumerate() {
            let (seen, hidden) = weights.split_at_mut(self.n_past() + first + index + 1);
            softmax(seen);
            hidden.fill(0.0);
        }
    }

    /// The products of some rows' queries with the keys that the last of them sees, scaled.
    fn scores<const R: usize>(&self, head: usize, rows: [usize; R], weights: &mut [f32]) {
        let (n_key, d_head, scale) = (self.n_key(), self.d_head(), self.scale);
        let queries = rows.map(|row| self.part(row, 0, head).as_ptr());
        let seen = self.n_past() + rows[R - 1] + 1;
        let mut put = |at: usize, products: [&[f32]; R]| {
            for (row, products) in products.into_iter().enumerate() {
                let weights = &mut weights[row * n_key + at..][..products.len()];
                weights.iter_mut().zip(products).for_each(|(weight, product)| *weight = scale * product);
            }
        };
        let whole = seen - seen % KEYS;
        for at in (0..whole).step_by(KEYS) {
            let keys: [_; KEYS] = std::array::from_fn(|index| self.seen(at + index, 1, head).as_ptr());
            // SAFETY: a head's slice of a row is `d_head` long
            let products = unsafe { micro::inner(queries, keys, d_head) };
            put(at, products.each_ref().map(|row| &row[..]));
        }
        for at in whole..seen {
            // SAFETY: as above
            let products = unsafe { micro::inner(queries, [self.seen(at, 1, head).as_ptr()], d_head) };
            put(at, products.each_ref().map(|row| &row[..]));
        }
    }

    /// What one head reads for some of the queries, into its columns of `z` from row `row` on.
    fn read(&self, head: usize, queries: Range<usize>, weights: &[f32], row: usize, z: Parts<'_>) {
        let (n_key, d_head, d_model) = (self.n_key(), self.d_head(), self.d_model);
        let first = self.queries.start + queries.start;
        for index in 0..queries.len() {
            // SAFETY: a head's columns of a query's row belong to one piece
            let z = unsafe { z.slice((row + index) * d_model + head * d_head, d_head) };
            z.fill(0.0);
            let weights = &weights[index * n_key..][..self.n_past() + first + index + 1];
            if d_head % WIDTH != 0 {
                weights.iter().enumerate().for_each(|(at, weight)| add_scaled(self.seen(at, 2, head), *weight, z));
            }
        }
        if d_head % WIDTH != 0 {
            return;
        }
        for index in (0..queries.len()).step_by(TILE) {
            let tile = TILE.min(queries.len() - index);
            let weights = &weights[index * n_key..];
            // a weight that a query of the tile may not use is 0
            let own = first + index + tile;
            for column in (head * d_head..(head + 1) * d_head).step_by(WIDTH) {
                let out = z.pointer((row + index) * d_model + column, (tile - 1) * d_model + WIDTH);
                let out = Rows { start: out, stride: d_model };
                let add = |from: usize, depth: usize, values: &[f32], stride: usize| {
                    if depth == 0 {
                        return;
                    }
                    assert!(
                        values.len() >= (depth - 1) * stride + WIDTH
                            && weights.len() >= (tile - 1) * n_key + from + depth
                    );
                    let weights = Rows { start: weights[from..].as_ptr(), stride: n_key };
                    let values = Rows { start: values.as_ptr(), stride };
                    // SAFETY: as just checked; the tile is this piece's
                    unsafe { micro::outer(tile, weights, values, depth, out) };
                };
                let n_past = self.n_past();
                if n_past > 0 {
                    add(0, n_past, &self.past.values[column..], d_model);
                }
                add(n_past, own, &self.qkv[2 * d_model + column..], 3 * d_model);
            }
        }
    }
}

/// In place, over the whole slice.
pub fn softmax(scores: &mut [f32]) {
    let (fours, ends) = scores.as_chunks::<4>();
    let most = fours.iter().fold(F32x4::splat(f32::NEG_INFINITY), |most, four| most.most(F32x4::from_array(four)));
    let most = ends.iter().copied().fold(most.max(), f32::max);
    lanes::map(scores, |score| (score - F32x4::splat(most)).exp());
    let (fours, ends) = scores.as_chunks::<4>();
    let sum = fours.iter().fold(F32x4::splat(0.0), |sum, four| sum + F32x4::from_array(four));
    let share = 1.0 / (sum.sum() + ends.iter().sum::<f32>());
    lanes::map(scores, |score| score * F32x4::splat(share));
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn numbers(len: usize, seed: usize) -> Vec<f32> {
        (0..len).map(|i| (((i + seed) * 7919 + 13) % 2003) as f32 / 1001.5 - 1.0).collect()
    }

    /// Attention as the papers write it, in f64.
    fn plain(run: &Run<'_>) -> (Vec<f64>, Vec<f64>) {
        let (d_head, n_past, n_key) = (run.d_head(), run.n_past(), run.n_key());
        let mut pattern = Vec::new();
        let mut z = vec![0.0; run.queries.len() * run.d_model];
        for head in 0..run.n_head {
            for (index, row) in run.queries.clone().enumerate() {
                let score = |at: usize| {
                    let (query, key) = (run.part(row, 0, head), run.seen(at, 1, head));
                    let product: f64 = query.iter().zip(key).map(|(&q, &k)| f64::from(q) * f64::from(k)).sum();
                    (product * f64::from(run.scale)).exp()
                };
                let seen = n_past + row + 1;
                let sum: f64 = (0..seen).map(score).sum();
                for at in 0..n_key {
                    let weight = if at < seen { score(at) / sum } else { 0.0 };
                    pattern.push(weight);
                    for (column, &value) in run.seen(at, 2, head).iter().enumerate() {
                        z[index * run.d_model + head * d_head + column] += weight * f64::from(value);
                    }
                }
            }
        }
        (pattern, z)
    }

    fn close(found: &[f32], right: &[f64], what: &str) {
        assert_eq!(found.len(), right.len());
        for (found, right) in found.iter().zip(right) {
            assert!((f64::from(*found) - right).abs() < 2e-6, "{what}: {right}, not {found}");
        }
    }

    #[test]
    fn matches_the_formula() {
        // past, rows, first query, heads, d_head
        for (n_past, rows, first, n_head, d_head) in
            [(0, 1, 0, 1, 1), (0, 5, 0, 2, 8), (7, 1, 0, 3, 16), (3, 6, 5, 2, 5), (16, 4, 0, 4, 64), (0, 70, 0, 1, 24)]
        {
            let d_model = n_head * d_head;
            let (qkv, keys) = (numbers(rows * 3 * d_model, 1), numbers(n_past * d_model, 2));
            let values = numbers(n_past * d_model, 3);
            let past = Past { keys: &keys, values: &values };
            let scale = 1.0 / (d_head as f32).sqrt() / rows as f32;
            let run = Run { qkv: &qkv, past, queries: first..rows, n_head, d_model, scale };
            let (right_pattern, right_z) = plain(&run);
            let what = format!("{n_past} + {rows} rows, {n_head} heads of {d_head}");

            let mut pattern = vec![f32::NAN; right_pattern.len()];
            run.pattern(&mut pattern);
            close(&pattern, &right_pattern, &what);
            let mut z = vec![f32::NAN; right_z.len()];
            run.mix(&pattern, &mut z);
            close(&z, &right_z, &what);
            let mut z = vec![f32::NAN; 2 * right_z.len()];
            attend(&[run.clone(), run], &mut z);
            close(&z, &[&right_z[..], &right_z[..]].concat(), &what);
        }
    }
}

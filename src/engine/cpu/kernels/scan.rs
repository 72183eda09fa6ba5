//! Looks through a tile of products once along its rows and once along its columns: what is among the largest or smallest
//! of its row or column, and how all of it spreads.
//!
//! Next to the product itself this must cost nothing. So values are compared with the running thresholds sixteen at a
//! time, and only a hit is looked at singly; a histogram's intervals are numbered in bytes and counted by comparing
//! sixteen numbers at once with each interval's, a byte to count in for each place.
//!
//! Loops over arrays of sixteen: compilers make simd of them. Natively they are compiled a second time for processors with
//! AVX2, as no such processor may be taken for granted.

use crate::engine::extremes::{BINS, Entry, Extremes, Spread, Stripe};

/// Values that are looked at together.
const LANES: usize = 16;
/// Columns of a stripe.
pub const COLUMNS: usize = 4 * LANES;
/// Rows of a stripe.
const ROWS: usize = 16;
/// Counts that surely fit a byte.
const BYTE: usize = 255;
/// `1.5 * 2^23`: adding this to a small number rounds it to a whole one, which then stands in the lowest bits.
const TO_WHOLE: f32 = 12_582_912.0;

type Values = [f32; LANES];
type Bytes = [u8; LANES];

/// Takes a tile in: `tile [rows.len(), stride]` holds the products of `rows` with the columns `first_column..`, of which
/// `n_columns` are real. `by_row` covers all rows there are, `by_column` the tile's columns.
#[inline(never)]
pub fn tile(
    tile: &[f32],
    stride: usize,
    rows: std::ops::Range<usize>,
    first_column: usize,
    by_row: &mut Extremes,
    by_column: &mut Extremes,
) {
    let n_columns = by_column.spreads().len();
    assert!(
        tile.len() == rows.len() * stride && stride >= n_columns.next_multiple_of(COLUMNS),
        "the shapes must agree"
    );
    by_row.for_each_stripe(rows.clone(), ROWS, |first, stripe| {
        along_rows(&tile[(first - rows.start) * stride..], stride, n_columns, first_column as u32, stripe);
    });
    by_column.for_each_stripe(0..n_columns, COLUMNS, |first, stripe| {
        along_columns(&tile[first..], stride, rows.start as u32, rows.len(), stripe);
    });
}

/// Defines a function that is also compiled for AVX2 where the processor may have it.
macro_rules! twice {
    ($name:ident, $body:ident, ($($argument:ident: $type:ty),*)) => {
        fn $name($($argument: $type),*) {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2")]
                fn wide($($argument: $type),*) {
                    $body($($argument),*);
                }
                if std::is_x86_feature_detected!("avx2") {
                    // SAFETY: the processor has what the function was compiled for
                    return unsafe { wide($($argument),*) };
                }
            }
            $body($($argument),*);
        }
    };
}

twice!(along_rows, rows_body, (tile: &[f32], stride: usize, n_columns: usize, first_id: u32, stripe: Stripe<'_>));
twice!(along_columns, columns_body, (tile: &[f32], stride: usize, first_id: u32, n_rows: usize, stripe: Stripe<'_>));

#[inline(always)]
fn rows_body(tile: &[f32], stride: usize, n_columns: usize, first_id: u32, mut stripe: Stripe<'_>) {
    let rows = stripe.spreads.len();
    for (row, values) in tile.chunks_exact(stride).take(rows).enumerate() {
        let (chunks, rest) = values[..n_columns].as_chunks::<LANES>();
        let (mut high, mut low) = stripe.thresholds(row);
        for (chunk, values) in chunks.iter().enumerate() {
            if any(values, &[high; LANES], &[low; LANES]) {
                for (lane, &value) in values.iter().enumerate() {
                    if value > high || value < low {
                        let id = first_id + (chunk * LANES + lane) as u32;
                        (high, low) = stripe.take(row, Entry { value, id });
                    }
                }
            }
        }
        for (lane, &value) in rest.iter().enumerate() {
            stripe.take(row, Entry { value, id: first_id + (chunks.len() * LANES + lane) as u32 });
        }
        spread_of_row(chunks, rest, &mut stripe.spreads[row]);
    }
}

/// Whether any value is above its `high` or below its `low`.
#[inline(always)]
fn any(values: &Values, high: &Values, low: &Values) -> bool {
    let mut hits = 0;
    for lane in 0..LANES {
        hits |= u32::from(values[lane] > high[lane]) | u32::from(values[lane] < low[lane]);
    }
    hits != 0
}

#[inline(always)]
fn spread_of_row(chunks: &[Values], rest: &[f32], spread: &mut Spread) {
    let (mean, per_width) = (spread.mean, 1.0 / spread.width);
    for chunks in chunks.chunks(BYTE) {
        let mut intervals = [[0; LANES]; BYTE];
        let mut squares = [0.0; LANES];
        for (values, intervals) in chunks.iter().zip(&mut intervals) {
            *intervals = intervals_of(values, &[mean; LANES], &[per_width; LANES], &mut squares);
        }
        let counts = count(&intervals[..chunks.len()]);
        for (total, counts) in spread.counts.iter_mut().zip(counts) {
            *total += counts.iter().map(|&count| u32::from(count)).sum::<u32>();
        }
        spread.squares += f64::from(squares.iter().sum::<f32>());
    }
    if !rest.is_empty() {
        // the mean in the empty places: adds no squares, and its interval isn't counted
        let mut values = [mean; LANES];
        values[..rest.len()].copy_from_slice(rest);
        let mut squares = [0.0; LANES];
        let intervals = intervals_of(&values, &[mean; LANES], &[per_width; LANES], &mut squares);
        for &interval in &intervals[..rest.len()] {
            spread.counts[usize::from(interval)] += 1;
        }
        spread.squares += f64::from(squares.iter().sum::<f32>());
    }
}

/// The interval that each value lies in; the squares of their distances from the mean, in widths, are added to `squares`.
#[inline(always)]
fn intervals_of(values: &Values, mean: &Values, per_width: &Values, squares: &mut Values) -> Bytes {
    let mut intervals = [0; LANES];
    for lane in 0..LANES {
        let distance = (values[lane] - mean[lane]) * per_width[lane];
        squares[lane] += distance * distance;
        let middle = (BINS as f32 - 1.0) / 2.0;
        let place = distance + middle;
        let place = if place > 0.0 { place } else { 0.0 };
        let place = if place < BINS as f32 - 1.0 { place } else { BINS as f32 - 1.0 };
        intervals[lane] = (place + TO_WHOLE).to_bits() as u8;
    }
    intervals
}

/// How often each interval stands in each lane of at most [`BYTE`] rows.
#[inline(always)]
fn count(rows: &[Bytes]) -> [Bytes; BINS] {
    // as many counters at once as registers hold
    const AT_ONCE: usize = 8;
    let mut counts = [[0; LANES]; BINS];
    for (group, counts) in counts.as_chunks_mut::<AT_ONCE>().0.iter_mut().enumerate() {
        let mut sums = [[0u8; LANES]; AT_ONCE];
        for row in rows {
            for (index, sums) in sums.iter_mut().enumerate() {
                let interval = (group * AT_ONCE + index) as u8;
                for lane in 0..LANES {
                    sums[lane] = sums[lane].wrapping_add(u8::from(row[lane] == interval));
                }
            }
        }
        *counts = sums;
    }
    counts
}

#[inline(always)]
fn columns_body(tile: &[f32], stride: usize, first_id: u32, n_rows: usize, mut stripe: Stripe<'_>) {
    const GROUPS: usize = COLUMNS / LANES;
    let columns = stripe.spreads.len();
    // beyond the last column nothing is ever above or below
    let (mut high, mut low) = ([[f32::INFINITY; LANES]; GROUPS], [[f32::NEG_INFINITY; LANES]; GROUPS]);
    let (mut mean, mut per_width) = ([[0.0; LANES]; GROUPS], [[1.0; LANES]; GROUPS]);
    for column in 0..columns {
        let (group, lane) = (column / LANES, column % LANES);
        (high[group][lane], low[group][lane]) = stripe.thresholds(column);
        mean[group][lane] = stripe.spreads[column].mean;
        per_width[group][lane] = 1.0 / stripe.spreads[column].width;
    }
    for start in (0..n_rows).step_by(BYTE) {
        let len = BYTE.min(n_rows - start);
        let mut intervals = [[[0; LANES]; BYTE]; GROUPS];
        let mut squares = [[0.0; LANES]; GROUPS];
        for row in 0..len {
            let values = tile[(start + row) * stride..][..COLUMNS].as_chunks::<LANES>().0;
            for (group, values) in values.iter().enumerate() {
                if any(values, &high[group], &low[group]) {
                    let first = group * LANES;
                    for (lane, &value) in values.iter().enumerate() {
                        if value > high[group][lane] || value < low[group][lane] {
                            let entry = Entry { value, id: first_id + (start + row) as u32 };
                            (high[group][lane], low[group][lane]) = stripe.take(first + lane, entry);
                        }
                    }
                }
                intervals[group][row] = intervals_of(values, &mean[group], &per_width[group], &mut squares[group]);
            }
        }
        for (group, spreads) in stripe.spreads.chunks_mut(LANES).enumerate() {
            let counts = count(&intervals[group][..len]);
            for (lane, spread) in spreads.iter_mut().enumerate() {
                spread.counts.iter_mut().zip(&counts).for_each(|(total, counts)| *total += u32::from(counts[lane]));
                spread.squares += f64::from(squares[group][lane]);
            }
        }
    }
}

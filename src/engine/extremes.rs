//! What is kept of rows of products too long to keep: their largest and smallest, how the rest spreads.

use super::threads::{self, Parts};

/// Intervals of a histogram; the first and the last are open to their ends.
pub const BINS: usize = 16;

/// One product that stands out, and with what.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Entry {
    pub value: f32,
    pub id: u32,
}

impl Entry {
    /// In a place that nothing has taken yet.
    const NO_LARGEST: Entry = Entry { value: f32::NEG_INFINITY, id: u32::MAX };
    const NO_SMALLEST: Entry = Entry { value: f32::INFINITY, id: u32::MAX };
}

/// How one row's products spread.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// The row's mean, known beforehand.
    pub mean: f32,
    /// Width of the histogram's intervals: interval `i` of [`BINS`] begins at `mean + width * (i - 8)`.
    pub width: f32,
    /// Sum of `((x - mean) / width)^2` over the products seen.
    pub squares: f64,
    pub counts: [u32; BINS],
}

impl Spread {
    pub fn new(mean: f32, width: f32) -> Self {
        Spread { mean, width, squares: 0.0, counts: [0; BINS] }
    }

    fn see(&mut self, value: f32) {
        let distance = (value - self.mean) / self.width;
        let last = BINS as f32 - 1.0;
        self.counts[(distance + last / 2.0).clamp(0.0, last).round_ties_even() as usize] += 1;
        self.squares += f64::from(distance * distance);
    }

    /// Standard deviation of the products seen.
    pub fn deviation(&self) -> f32 {
        let count: u64 = self.counts.iter().map(|&count| u64::from(count)).sum();
        ((self.squares / count.max(1) as f64).sqrt() * f64::from(self.width)) as f32
    }
}

/// Rows of products, each seen in pieces: their `k` largest and `k` smallest, and their spread.
#[derive(Debug, Clone, PartialEq)]
pub struct Extremes {
    k: usize,
    spreads: Vec<Spread>,
    /// `[rows, 2, k]`: the largest, largest first, then the smallest, smallest first; equal ones in order of id.
    entries: Vec<Entry>,
}

impl Extremes {
    /// Rows of which nothing has been seen.
    pub fn new(k: usize, spreads: Vec<Spread>) -> Self {
        let row = std::iter::repeat_n(Entry::NO_LARGEST, k).chain(std::iter::repeat_n(Entry::NO_SMALLEST, k));
        let row: Vec<Entry> = row.collect();
        Extremes { k, entries: row.repeat(spreads.len()), spreads }
    }

    /// Rows as they were kept; `entries` are `[rows, 2, k]`.
    pub fn from_parts(k: usize, spreads: Vec<Spread>, entries: Vec<Entry>) -> Option<Self> {
        (entries.len() == spreads.len() * 2 * k).then_some(Extremes { k, spreads, entries })
    }

    /// Adds rows that keep as many.
    pub fn append(&mut self, mut others: Extremes) {
        debug_assert_eq!(self.k, others.k, "rows must keep the same number");
        self.spreads.append(&mut others.spreads);
        self.entries.append(&mut others.entries);
    }

    /// A row's largest, largest first.
    pub fn largest(&self, row: usize) -> &[Entry] {
        &self.entries[2 * row * self.k..][..self.k]
    }

    /// A row's smallest, smallest first.
    pub fn smallest(&self, row: usize) -> &[Entry] {
        &self.entries[(2 * row + 1) * self.k..][..self.k]
    }

    pub fn k(&self) -> usize {
        self.k
    }

    pub fn spreads(&self) -> &[Spread] {
        &self.spreads
    }

    /// `[rows, 2, k]`.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Takes one product of a row in.
    pub fn see(&mut self, row: usize, entry: Entry) {
        self.spreads[row].see(entry.value);
        take(&mut self.entries[2 * row * self.k..][..2 * self.k], entry);
    }

    /// Calls `piece(first row, rows)` for stripes of `size` rows from `rows` on, each once, on any thread.
    pub fn for_each_stripe(
        &mut self,
        rows: std::ops::Range<usize>,
        size: usize,
        piece: impl Fn(usize, Stripe<'_>) + Sync + Send,
    ) {
        let k = self.k;
        let spreads = &mut self.spreads[rows.clone()];
        let entries = Parts::of(&mut self.entries[rows.start * 2 * k..rows.end * 2 * k]);
        threads::for_each_chunk(spreads, size, |index, spreads| {
            let first = index * size;
            // SAFETY: chunks of spreads don't overlap, nor do the entries of their rows
            let entries = unsafe { entries.slice(first * 2 * k, spreads.len() * 2 * k) };
            piece(rows.start + first, Stripe { k, spreads, entries });
        });
    }
}

/// Some neighbouring rows of [`Extremes`].
pub struct Stripe<'a> {
    k: usize,
    pub spreads: &'a mut [Spread],
    entries: &'a mut [Entry],
}

impl Stripe<'_> {
    /// Above the first or below the second a product is among the row's largest or smallest.
    pub fn thresholds(&self, row: usize) -> (f32, f32) {
        let last = (2 * row + 1) * self.k;
        (self.entries[last - 1].value, self.entries[last + self.k - 1].value)
    }

    /// Takes a product in, if it is among the row's largest or smallest. Of equal ones the first to come stays in front.
    /// Returns the new thresholds.
    pub fn take(&mut self, row: usize, entry: Entry) -> (f32, f32) {
        take(&mut self.entries[2 * row * self.k..][..2 * self.k], entry);
        self.thresholds(row)
    }
}

/// Takes a product into a row's entries, `[2, k]`, if it belongs there.
fn take(entries: &mut [Entry], entry: Entry) {
    let (largest, smallest) = entries.split_at_mut(entries.len() / 2);
    insert(largest, entry, |new, old| new > old);
    insert(smallest, entry, |new, old| new < old);
}

/// Puts `entry` where it belongs in a sorted list, whose last then falls out.
fn insert(sorted: &mut [Entry], entry: Entry, goes_before: impl Fn(f32, f32) -> bool) {
    let mut place = sorted.len();
    while place > 0 && goes_before(entry.value, sorted[place - 1].value) {
        if place < sorted.len() {
            sorted[place] = sorted[place - 1];
        }
        place -= 1;
    }
    if place < sorted.len() {
        sorted[place] = entry;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn the_largest_and_smallest_stay_in_order_and_equals_by_id() {
        let mut found = Extremes::new(3, vec![Spread::new(0.0, 1.0); 2]);
        found.for_each_stripe(0..2, 1, |row, mut stripe| {
            for (id, value) in [1.0, 3.0, 2.0, 3.0, -1.0, 1.0].into_iter().enumerate() {
                stripe.take(0, Entry { value: value + row as f32, id: id as u32 });
            }
        });
        for row in 0..2 {
            let entries = &found.entries()[row * 6..][..6];
            assert_eq!(entries.iter().map(|entry| entry.id).collect::<Vec<_>>(), [1, 3, 2, 4, 0, 5]);
            assert_eq!(entries[3].value, -1.0 + row as f32);
        }
    }

    #[test]
    fn no_value_changes_the_entries_when_there_is_no_room() {
        let mut sorted: [Entry; 0] = [];
        insert(&mut sorted, Entry { value: 1.0, id: 0 }, |new, old| new > old);
    }
}

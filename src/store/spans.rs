//! Which bytes of a file there are.

use std::ops::Range;

/// Disjoint, non-touching, ascending ranges of bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Spans(Vec<Range<u64>>);

impl Spans {
    /// Adds a range, joined with those it touches.
    pub fn add(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        let first = self.0.partition_point(|span| span.end < range.start);
        let last = self.0.partition_point(|span| span.start <= range.end);
        let joined = self.0[first..last]
            .iter()
            .fold(range, |joined, span| joined.start.min(span.start)..joined.end.max(span.end));
        self.0.splice(first..last, [joined]);
    }

    /// The parts of `range` that are not there.
    pub fn missing(&self, range: Range<u64>) -> Vec<Range<u64>> {
        let mut missing = Vec::new();
        let mut at = range.start;
        for span in &self.0 {
            if span.start >= range.end {
                break;
            }
            if at < span.start {
                missing.push(at..span.start);
            }
            at = at.max(span.end);
        }
        if at < range.end {
            missing.push(at..range.end);
        }
        missing
    }

    /// So many bytes are there without a hole from the beginning.
    pub fn front(&self) -> u64 {
        self.0.first().filter(|span| span.start == 0).map_or(0, |span| span.end)
    }

    pub fn total(&self) -> u64 {
        self.0.iter().map(|span| span.end - span.start).sum()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Range<u64>> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ranges_that_touch_become_one() {
        let mut spans = Spans::default();
        for range in [10..20, 30..40, 20..25, 5..5, 24..30] {
            spans.add(range);
        }
        assert_eq!(spans.0, [10..40]);
        assert_eq!((spans.front(), spans.total()), (0, 30));
        assert_eq!(spans.missing(0..50), [0..10, 40..50]);
        assert_eq!(spans.missing(15..35), []);
    }

    proptest! {
        #[test]
        fn agrees_with_a_list_of_bytes(ranges in prop::collection::vec((0u64..60, 0u64..20), 0..30), of in (0u64..60, 0u64..60)) {
            let mut spans = Spans::default();
            let mut bytes = [false; 130];
            for (start, length) in ranges {
                spans.add(start..start + length);
                bytes[start as usize..(start + length) as usize].fill(true);
            }
            prop_assert_eq!(spans.total(), bytes.iter().filter(|&&there| there).count() as u64);
            prop_assert_eq!(spans.front(), bytes.iter().take_while(|&&there| there).count() as u64);
            let range = of.0..of.0 + of.1;
            let missing = spans.missing(range.clone());
            for at in range {
                prop_assert_eq!(missing.iter().any(|span| span.contains(&at)), !bytes[at as usize]);
            }
            prop_assert!(spans.0.windows(2).all(|pair| pair[0].end < pair[1].start));
        }
    }
}

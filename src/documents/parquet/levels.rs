//! Small whole numbers packed into bits: which rows have a value, and which entry of a dictionary. They are read one by
//! one, or a run at a time, so that a few bytes that stand for a million numbers stay a few bytes.

use super::thrift::{take, varint, zigzag};

/// Where a reader stands in a page's bytes.
#[derive(Debug, Clone)]
struct Place {
    at: usize,
    end: usize,
}

impl Place {
    fn new(bytes: &[u8], at: usize, end: usize) -> Self {
        Place { at: at.min(end), end: end.min(bytes.len()) }
    }

    /// Lets `read` take what it uses off the front.
    fn read<T>(&mut self, bytes: &[u8], read: impl FnOnce(&mut &[u8]) -> Option<T>) -> Option<T> {
        let mut rest = bytes.get(self.at..self.end)?;
        let value = read(&mut rest)?;
        self.at = self.end - rest.len();
        Some(value)
    }
}

/// Parquet's hybrid of runs and packed bits: numbers of `width` bits each.
#[derive(Debug, Clone)]
pub struct Hybrid {
    place: Place,
    width: usize,
    run: Run,
}

#[derive(Debug, Clone)]
enum Run {
    Same {
        value: u32,
        left: usize,
    },
    /// Where the packed bytes begin, how many numbers are taken out, and how many are in there.
    Packed {
        start: usize,
        taken: usize,
        of: usize,
    },
}

impl Hybrid {
    /// Numbers in `bytes[at..end]`; none if they are wider than 32 bits.
    pub fn new(bytes: &[u8], at: usize, end: usize, width: usize) -> Option<Self> {
        let run = Run::Same { value: 0, left: 0 };
        (width <= 32).then(|| Hybrid { place: Place::new(bytes, at, end), width, run })
    }

    /// The next number, and how often it comes, up to `most` times.
    pub fn next(&mut self, bytes: &[u8], most: usize) -> Option<(u32, usize)> {
        loop {
            match &mut self.run {
                Run::Same { value, left } if *left > 0 => {
                    let n = most.min(*left);
                    *left -= n;
                    return Some((*value, n));
                }
                Run::Packed { start, taken, of } if *taken < *of => {
                    let value = bits(bytes.get(*start..)?, *taken * self.width, self.width);
                    *taken += 1;
                    return Some((value as u32, 1));
                }
                _ => self.run = self.begin(bytes)?,
            }
        }
    }

    fn begin(&mut self, bytes: &[u8]) -> Option<Run> {
        let head = self.place.read(bytes, varint)?;
        let count = usize::try_from(head >> 1).ok().filter(|&count| count > 0)?;
        let width = self.width;
        if head & 1 == 0 {
            let value = self.place.read(bytes, |rest| {
                let value = take(rest, width.div_ceil(8))?;
                Some(value.iter().rev().fold(0u32, |value, &byte| value << 8 | u32::from(byte)))
            })?;
            return Some(Run::Same { value, left: count });
        }
        let of = count.checked_mul(8)?;
        let start = self.place.at;
        self.place.read(bytes, |rest| take(rest, count.checked_mul(width)?).map(|_| ()))?;
        Some(if width == 0 { Run::Same { value: 0, left: of } } else { Run::Packed { start, taken: 0, of } })
    }
}

/// How many of `n` levels, none above `highest`, are the highest.
pub fn n_highest(levels: &[u8], n: usize, highest: u32) -> Option<usize> {
    let width = (u32::BITS - highest.leading_zeros()) as usize;
    let mut numbers = Hybrid::new(levels, 0, levels.len(), width)?;
    let (mut left, mut found) = (n, 0);
    while left > 0 {
        let (level, times) = numbers.next(levels, left)?;
        left -= times;
        found += if level == highest { times } else { 0 };
    }
    Some(found)
}

/// `DELTA_BINARY_PACKED`: differences from one number to the next.
#[derive(Debug, Clone)]
pub struct Deltas {
    place: Place,
    /// Parts of a block, and numbers of a part.
    parts: usize,
    part: usize,
    /// Numbers still to come.
    left: usize,
    value: i64,
    is_first: bool,
    least: i64,
    /// Where the block's widths are, and which part of it is next.
    widths: usize,
    next_part: usize,
    /// Where the part's bits begin, how wide its numbers are, and how many are taken out.
    start: usize,
    width: usize,
    taken: usize,
}

/// Numbers of a part, at most.
const LONGEST_PART: usize = 1 << 20;

impl Deltas {
    /// `n` numbers from `bytes[at]` on; none if they are not so many.
    pub fn new(bytes: &[u8], at: usize, n: usize) -> Option<Self> {
        let mut place = Place::new(bytes, at, bytes.len());
        let mut size = || place.read(bytes, varint).and_then(|size| usize::try_from(size).ok());
        let block = size()?;
        let parts = size().filter(|&parts| parts > 0 && block.is_multiple_of(parts))?;
        let left = size().filter(|&left| left == n)?;
        let value = zigzag(place.read(bytes, varint)?);
        let part = block / parts;
        if part == 0 || part > LONGEST_PART {
            return None;
        }
        let (next_part, taken) = (parts, part);
        Some(Deltas {
            place,
            parts,
            part,
            left,
            value,
            is_first: true,
            least: 0,
            widths: 0,
            next_part,
            start: 0,
            width: 0,
            taken,
        })
    }

    pub fn next(&mut self, bytes: &[u8]) -> Option<i64> {
        self.left = self.left.checked_sub(1)?;
        if std::mem::take(&mut self.is_first) {
            return Some(self.value);
        }
        if self.taken == self.part {
            self.begin_part(bytes)?;
        }
        let step = bits(bytes.get(self.start..)?, self.taken * self.width, self.width) as i64;
        self.taken += 1;
        self.value = self.value.wrapping_add(self.least).wrapping_add(step);
        Some(self.value)
    }

    fn begin_part(&mut self, bytes: &[u8]) -> Option<()> {
        if self.next_part == self.parts {
            self.least = zigzag(self.place.read(bytes, varint)?);
            self.widths = self.place.at;
            self.place.read(bytes, |rest| take(rest, self.parts).map(|_| ()))?;
            self.next_part = 0;
        }
        self.width = usize::from(*bytes.get(self.widths + self.next_part)?);
        if self.width > 64 {
            return None;
        }
        self.start = self.place.at;
        self.place.read(bytes, |rest| take(rest, (self.part * self.width).div_ceil(8)).map(|_| ()))?;
        (self.next_part, self.taken) = (self.next_part + 1, 0);
        Some(())
    }

    /// Where what follows the numbers begins.
    pub fn end(&self, bytes: &[u8]) -> Option<usize> {
        let mut numbers = self.clone();
        while numbers.left > 0 {
            numbers.next(bytes)?;
        }
        Some(numbers.place.at)
    }
}

/// `width` bits from bit `start` on, the lowest first.
fn bits(packed: &[u8], start: usize, width: usize) -> u64 {
    let mut value = 0;
    for bit in 0..width {
        let at = start + bit;
        let byte = packed.get(at / 8).copied().unwrap_or(0);
        value |= u64::from(byte >> (at % 8) & 1) << bit;
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn hybrid(bytes: &[u8], width: usize, n: usize) -> Option<Vec<u32>> {
        let mut numbers = Hybrid::new(bytes, 0, bytes.len(), width)?;
        (0..n).map(|_| numbers.next(bytes, 1).map(|(value, _)| value)).collect()
    }

    #[test]
    fn the_formats_own_examples() {
        // a run of 10 fives, then the numbers 0 to 7 in three bits each: parquet-format's example
        let bytes = [20, 5, 3, 0b1000_1000, 0b1100_0110, 0b1111_1010];
        let right: Vec<u32> = [5; 10].into_iter().chain(0..8).collect();
        assert_eq!(hybrid(&bytes, 3, 18), Some(right));
        assert_eq!(hybrid(&bytes[..4], 3, 18), None);
        assert_eq!(hybrid(&[], 3, 0), Some(vec![]));
        // 1 to 5: a block of 128 in 4 parts, whose first has numbers of 0 bits
        let deltas = [0x80, 1, 4, 5, 2, 2, 0, 0, 0, 0];
        let mut numbers = Deltas::new(&deltas, 0, 5).unwrap();
        assert_eq!(numbers.end(&deltas), Some(deltas.len()));
        assert_eq!((0..6).map_while(|_| numbers.next(&deltas)).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    }

    #[test]
    fn a_run_is_counted_at_once_however_long_it_is() {
        let levels = [0x80, 0x80, 0x80, 0x80, 2, 2];
        assert_eq!(n_highest(&levels, 1 << 28, 2), Some(1 << 28));
        assert_eq!(n_highest(&levels, 1 << 28, 3), Some(0));
        assert_eq!(n_highest(&levels, 1 << 29, 2), None);
    }
}

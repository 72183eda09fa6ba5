//! Small whole numbers packed into bits: which rows have a value, and which entry of a dictionary.

use super::thrift::{take, varint, zigzag};

/// Parquet's hybrid of runs and packed bits: `n` numbers of `width` bits each.
pub fn hybrid(mut bytes: &[u8], width: usize, n: usize) -> Option<Vec<u32>> {
    if width > 32 {
        return None;
    }
    let mut numbers = Vec::new();
    while numbers.len() < n {
        let head = varint(&mut bytes)?;
        let count = usize::try_from(head >> 1).ok()?;
        if head & 1 == 0 {
            let value = take(&mut bytes, width.div_ceil(8))?;
            let value = value.iter().rev().fold(0u32, |value, &byte| value << 8 | u32::from(byte));
            if count == 0 {
                return None;
            }
            numbers.resize(numbers.len() + count.min(n - numbers.len()), value);
        } else {
            let packed = take(&mut bytes, count.checked_mul(width)?)?;
            let wanted = count.checked_mul(8)?.min(n - numbers.len());
            if wanted == 0 {
                return None;
            }
            numbers.extend((0..wanted).map(|at| bits(packed, at * width, width) as u32));
        }
    }
    Some(numbers)
}

/// `DELTA_BINARY_PACKED`: differences from one number to the next. Takes what it uses off the front of `bytes`.
pub fn deltas(bytes: &mut &[u8], most: usize) -> Option<Vec<i64>> {
    let block = usize::try_from(varint(bytes)?).ok()?;
    let parts = usize::try_from(varint(bytes)?).ok().filter(|&n| n > 0 && block.is_multiple_of(n))?;
    let n = usize::try_from(varint(bytes)?).ok().filter(|&n| n <= most)?;
    let mut value = zigzag(varint(bytes)?);
    let part = block / parts;
    if part == 0 || part > 1 << 20 {
        return None;
    }
    let mut numbers = Vec::new();
    if n > 0 {
        numbers.push(value);
    }
    while numbers.len() < n {
        let least = zigzag(varint(bytes)?);
        for &width in take(bytes, parts)? {
            if numbers.len() == n {
                break;
            }
            let width = usize::from(width);
            if width > 64 {
                return None;
            }
            let packed = take(bytes, (part * width).div_ceil(8))?;
            for at in 0..part.min(n - numbers.len()) {
                value = value.wrapping_add(least).wrapping_add(bits(packed, at * width, width) as i64);
                numbers.push(value);
            }
        }
    }
    Some(numbers)
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

    #[test]
    fn the_formats_own_examples() {
        // a run of 10 fives, then the numbers 0 to 7 in three bits each: parquet-format's example
        let bytes = [20, 5, 3, 0b1000_1000, 0b1100_0110, 0b1111_1010];
        let right: Vec<u32> = [5; 10].into_iter().chain(0..8).collect();
        assert_eq!(hybrid(&bytes, 3, 18), Some(right));
        assert_eq!(hybrid(&bytes[..4], 3, 18), None);
        assert_eq!(hybrid(&[], 3, 0), Some(vec![]));
    }
}

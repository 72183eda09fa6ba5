//! SentencePiece's own normalizer, a trie and a text in base64: checked before the crate that walks through it, which
//! trusts every offset in it.

/// How many bytes one character can become, at most; none for a map that leads out of itself.
pub fn longest_replacement(charsmap: &str) -> Option<usize> {
    let bytes = from_base64(charsmap)?;
    let (size, rest) = bytes.split_first_chunk::<4>()?;
    let size = usize::try_from(u32::from_le_bytes(*size)).ok()? / 4 * 4;
    let (units, texts) = rest.split_at_checked(size)?;
    let units: Vec<u32> = units.as_chunks::<4>().0.iter().map(|&unit| u32::from_le_bytes(unit)).collect();
    longest(&units, std::str::from_utf8(texts).ok()?)
}

/// Walks through every node that some text leads to.
fn longest(units: &[u32], texts: &str) -> Option<usize> {
    let step = |at: u64, unit: u32| at ^ (u64::from(unit >> 10) << ((unit & (1 << 9)) >> 6));
    let label = |unit: u32| unit & ((1 << 31) | 0xff);
    let root = step(0, *units.first()?);
    let mut is_seen = vec![false; units.len()];
    let mut waiting = vec![root];
    let mut longest = 0;
    while let Some(node) = waiting.pop() {
        // all 255 bytes that can come next are looked up, whether they are there or not
        for byte in 1..=255 {
            let at = node ^ byte;
            let unit = *units.get(usize::try_from(at).ok()?)?;
            if u64::from(label(unit)) != byte || std::mem::replace(&mut is_seen[at as usize], true) {
                continue;
            }
            let next = step(at, unit);
            if (unit >> 8) & 1 == 1 {
                let leaf = *units.get(usize::try_from(next).ok()?)?;
                let text = texts.get((leaf & (u32::MAX >> 1)) as usize..)?;
                longest = longest.max(text.find('\0').unwrap_or(text.len()));
            }
            waiting.push(next);
        }
    }
    Some(longest)
}

/// Base64 with its padding, and nothing else.
fn from_base64(text: &str) -> Option<Vec<u8>> {
    let digit = |letter: u8| {
        Some(match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        })
    };
    if !text.len().is_multiple_of(4) {
        return None;
    }
    let digits = text.trim_end_matches('=');
    if text.len() - digits.len() > 2 {
        return None;
    }
    let mut bytes = Vec::with_capacity(digits.len() / 4 * 3 + 2);
    for four in digits.as_bytes().chunks(4) {
        let mut bits = 0u32;
        for &letter in four {
            bits = bits << 6 | u32::from(digit(letter)?);
        }
        bits <<= 6 * (4 - four.len());
        let whole = bits.to_be_bytes();
        bytes.extend_from_slice(&whole[1..four.len()]);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A trie of one rule, `a` to `text`, in two blocks of 256 units.
    pub fn units(leaf: u32) -> Vec<u32> {
        let mut units = vec![0u32; 512];
        let offset = |by: u32| by << 10;
        units[0] = offset(256); // the root's children begin at 256
        units[256 ^ 0x61] = 0x61 | 1 << 8 | offset(0x61); // `a`, a leaf, its value at 256
        units[256] = leaf | 1 << 31;
        units
    }

    #[test]
    fn follows_a_map_and_refuses_one_that_leads_out_of_itself() {
        assert_eq!(longest(&units(0), "bcd\0ef"), Some(3));
        assert_eq!(longest(&units(4), "bcd\0ef"), Some(2));
        assert_eq!(longest(&units(7), "bcd\0ef"), None, "a text that isn't there");
        assert_eq!(longest(&units(1), "é"), None, "half a character");
        assert_eq!(longest(&units(0)[..300], "b"), None, "a child that isn't there");
        assert_eq!(longest(&[], "b"), None);
        let mut far = units(0);
        far[0] = (1 << 20) << 10;
        assert_eq!(longest(&far, "b"), None, "a root that leads far away");
    }

    #[test]
    fn reads_base64() {
        for (text, bytes) in
            [("", &b""[..]), ("YQ==", b"a"), ("YWI=", b"ab"), ("YWJj", b"abc"), ("//4A", b"\xff\xfe\0")]
        {
            assert_eq!(from_base64(text).as_deref(), Some(bytes));
        }
        for wild in ["YQ", "YQ=", "Y", "====", "Y===", "YQ=a", "Y Q="] {
            assert_eq!(from_base64(wild), None, "{wild}");
        }
        // it claims a trie of 4 GB
        assert_eq!(longest_replacement("/////w=="), None);
    }
}

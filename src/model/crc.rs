//! The checksum that zips have of their members, CRC-32, eight bytes at a time.

/// A checksum that grows as bytes come.
pub struct Crc {
    tables: Box<[[u32; 256]; 8]>,
    state: u32,
}

impl Crc {
    pub fn new() -> Self {
        let mut tables = Box::new([[0u32; 256]; 8]);
        for byte in 0..256 {
            let divided = |rest: u32| (rest >> 1) ^ (0xedb8_8320 & (rest & 1).wrapping_neg());
            tables[0][byte] = (0..8).fold(byte as u32, |rest, _| divided(rest));
        }
        // the same for a byte with zeros behind it
        for zeros in 1..8 {
            for byte in 0..256 {
                let before = tables[zeros - 1][byte];
                tables[zeros][byte] = (before >> 8) ^ tables[0][(before & 0xff) as usize];
            }
        }
        Crc { tables, state: u32::MAX }
    }

    pub fn push(&mut self, bytes: &[u8]) {
        let (eights, rest) = bytes.as_chunks::<8>();
        let tables = &self.tables;
        let mut state = self.state;
        for eight in eights {
            let [a, b, c, d] = state.to_le_bytes();
            let mixed =
                [eight[0] ^ a, eight[1] ^ b, eight[2] ^ c, eight[3] ^ d, eight[4], eight[5], eight[6], eight[7]];
            state = mixed.iter().zip(tables.iter().rev()).fold(0, |sum, (&byte, table)| sum ^ table[usize::from(byte)]);
        }
        for &byte in rest {
            state = (state >> 8) ^ tables[0][usize::from(state as u8 ^ byte)];
        }
        self.state = state;
    }

    pub fn sum(&self) -> u32 {
        !self.state
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_the_checksum_of_zips_however_the_bytes_come() {
        let bytes: Vec<u8> = (0..1000u32).map(|i| (i * 7 + i / 13) as u8).collect();
        let mut right = flate2::Crc::new();
        right.update(&bytes);
        for piece in [1, 3, 8, 100, 1000] {
            let mut crc = Crc::new();
            bytes.chunks(piece).for_each(|piece| crc.push(piece));
            assert_eq!(crc.sum(), right.sum(), "pieces of {piece}");
        }
    }
}

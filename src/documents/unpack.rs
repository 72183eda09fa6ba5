//! Zstandard files, frame after frame.

use std::io::{self, BufRead, BufReader, Read};

use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

/// Unpacked at once.
const BLOCK_BYTES: usize = 1 << 17;

/// Unpacks as it is read.
pub struct Zstd<R: Read> {
    packed: BufReader<R>,
    decoder: FrameDecoder,
    is_inside: bool,
}

impl<R: Read> Zstd<R> {
    pub fn new(packed: R) -> Self {
        Zstd { packed: BufReader::new(packed), decoder: FrameDecoder::new(), is_inside: false }
    }
}

impl<R: Read> Read for Zstd<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            let n = self.decoder.read(into)?;
            if n > 0 || into.is_empty() {
                return Ok(n);
            }
            if self.is_inside && !self.decoder.is_finished() {
                let some = BlockDecodingStrategy::UptoBytes(BLOCK_BYTES);
                self.decoder.decode_blocks(&mut self.packed, some).map_err(io::Error::other)?;
                continue;
            }
            if self.packed.fill_buf()?.is_empty() {
                return Ok(0);
            }
            self.decoder.reset(&mut self.packed).map_err(io::Error::other)?;
            self.is_inside = true;
        }
    }
}

//! Zstandard, frame after frame.

use std::io::{self, BufRead, BufReader, Read};

use super::guarded;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

/// What a frame begins with, and what a frame to be skipped begins with but for its first four bits.
const FRAME: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
const SKIPPED: [u8; 3] = [0x2a, 0x4d, 0x18];
/// The descriptor's bit of a frame whose window is all of it.
const SINGLE: u8 = 1 << 5;
/// Frames, blocks and buffers of skipped bytes that one read passes over, at most, while nothing comes of them.
const STEPS: usize = 256;
/// A block's most bytes.
const BLOCK_BYTES: u64 = 1 << 17;
/// What the window may take of memory for any file, and for each of the file's bytes. (What is unpacked may take the rest
/// of 64 MB and of three times the file: `documents::longest_value`.)
pub const ROOM_BYTES: u64 = 28 << 20;
pub const ROOM_SHARE: u64 = 2;
/// Whatever the file's size: a browser's program can't set aside more at once.
const MOST_BYTES: u64 = if cfg!(target_arch = "wasm32") { 3 << 29 } else { 8 << 30 };

/// Whether a file of frames begins so.
pub fn is_start(head: &[u8]) -> bool {
    head.starts_with(&FRAME) || head.first().is_some_and(|byte| byte >> 4 == 5) && head[1..].starts_with(&SKIPPED)
}

/// Unpacks as it is read. A frame's checksum and size are compared where it has them. A read that comes to nothing in
/// so many steps is [`io::ErrorKind::WouldBlock`], so that whoever reads can do something else before the next one.
pub struct Zstd<R: Read> {
    packed: BufReader<R>,
    frame: Option<Frame>,
    /// Bytes to be skipped before the next frame.
    skipped: u64,
    /// What a window may take.
    room: u64,
}

struct Frame {
    decoder: Box<FrameDecoder>,
    /// How far it may look back.
    window: u64,
    unpacked: u64,
}

impl<R: Read> Zstd<R> {
    /// Of a file that is so long.
    pub fn new(packed: R, file_bytes: u64) -> Self {
        Zstd::within(packed, file_bytes.saturating_mul(ROOM_SHARE).saturating_add(ROOM_BYTES).min(MOST_BYTES))
    }

    /// With so much memory for what is unpacked.
    pub fn within(packed: R, room: u64) -> Self {
        Zstd { packed: BufReader::new(packed), frame: None, skipped: 0, room }
    }

    /// Begins the next frame, or one to be skipped; false at the end.
    fn begin(&mut self) -> io::Result<bool> {
        if self.packed.fill_buf()?.is_empty() {
            return Ok(false);
        }
        // no frame is shorter
        let mut head = [0; 6];
        self.packed.read_exact(&mut head)?;
        // a decoder that is used again would set its whole window aside at once
        let mut decoder = Box::new(FrameDecoder::new());
        decoder.set_max_window_size(u64::MAX);
        match guarded(|| decoder.reset((&head[..]).chain(&mut self.packed))).ok_or_else(broken)? {
            Ok(()) => {
                let window = if head[4] & SINGLE != 0 { decoder.content_size() } else { window(head[5]) };
                self.frame = Some(Frame { decoder, window, unpacked: 0 });
            }
            Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame { length, .. })) => {
                self.skipped = u64::from(length);
            }
            Err(error) => return Err(io::Error::other(error)),
        }
        Ok(true)
    }

    /// Passes over some of what is to be skipped.
    fn skip(&mut self) -> io::Result<()> {
        let n = (self.packed.fill_buf()?.len() as u64).min(self.skipped);
        if n == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.packed.consume(n as usize);
        self.skipped -= n;
        Ok(())
    }
}

/// The crate has panicked.
fn broken() -> io::Error {
    io::Error::other("it breaks the program that unpacks it")
}

/// The window that a header's byte declares: a power of two, and so many eighths of it.
fn window(byte: u8) -> u64 {
    let base = 1u64 << (10 + (byte >> 3));
    base + base / 8 * u64::from(byte & 7)
}

impl Frame {
    fn step(&mut self, packed: &mut impl Read, room: u64) -> io::Result<()> {
        // what isn't taken out yet: the window, but never more than there was so far
        let so_far = (self.decoder.blocks_decoded() as u64 + 1) * BLOCK_BYTES - self.unpacked;
        let kept = so_far.min(self.window + BLOCK_BYTES);
        if ring_bytes(kept) > room {
            return Err(io::Error::other(format!(
                "to unpack it takes {} MB of memory, more than there is for a file of its size. Unpack it with zstd -d --long=31, \
                 and give what comes out",
                ring_bytes(self.window.min(self.decoder.content_size().max(kept))) >> 20
            )));
        }
        let decode = || self.decoder.decode_blocks(packed, BlockDecodingStrategy::UptoBlocks(1));
        guarded(decode).ok_or_else(broken)?.map_err(io::Error::other)?;
        Ok(())
    }

    /// What the frame's end says of it.
    fn check(&self) -> io::Result<()> {
        let (said, found) = (self.decoder.get_checksum_from_data(), self.decoder.get_calculated_checksum());
        if said.is_some() && said != found {
            return Err(io::Error::other("a checksum in it is another than that of what was unpacked"));
        }
        match self.decoder.content_size() {
            0 => Ok(()),
            size if size == self.unpacked => Ok(()),
            size => Err(io::Error::other(format!("{} bytes were unpacked where it says {size}", self.unpacked))),
        }
    }
}

/// What the decoder takes, at most, while it makes room for so many bytes.
fn ring_bytes(kept: u64) -> u64 {
    kept.saturating_sub(BLOCK_BYTES).checked_next_power_of_two().map_or(u64::MAX, |cap| cap.saturating_mul(3) / 2)
}

impl<R: Read> Read for Zstd<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        for _ in 0..STEPS {
            if self.skipped > 0 {
                self.skip()?;
                continue;
            }
            let Some(frame) = &mut self.frame else {
                if !self.begin()? {
                    return Ok(0);
                }
                continue;
            };
            let n = frame.decoder.read(into)?;
            frame.unpacked += n as u64;
            if n > 0 {
                return Ok(n);
            }
            if frame.decoder.is_finished() {
                frame.check()?;
                self.frame = None;
            } else {
                frame.step(&mut self.packed, self.room)?;
            }
        }
        Err(io::ErrorKind::WouldBlock.into())
    }
}

//! gzip, member after member.

use std::io::{self, BufRead, Read};

use flate2::bufread::GzDecoder;

/// Packed bytes that one read passes over, at most, while nothing comes of them: some 800 members without a byte, which
/// take a browser some 30 ms.
const STRETCH_BYTES: usize = 1 << 14;

/// Unpacks as it is read, each member's checksum and length compared; zeros behind the last are padding. A read that
/// comes to nothing within a stretch of packed bytes (padding, empty members, empty blocks) is
/// [`io::ErrorKind::WouldBlock`], so that whoever reads can do something else before the next one.
pub struct Gzip<R: BufRead> {
    state: State<R>,
}

enum State<R: BufRead> {
    Between {
        packed: Stretch<R>,
        has_zeros: bool,
    },
    Inside(Box<GzDecoder<Stretch<R>>>),
    /// After a failure.
    Lost,
}

impl<R: BufRead> Gzip<R> {
    pub fn new(packed: R) -> Self {
        Gzip { state: State::Between { packed: Stretch { packed, passed: 0 }, has_zeros: false } }
    }

    fn unpack(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match &mut self.state {
            State::Between { packed, .. } => packed.passed = 0,
            State::Inside(member) => member.get_mut().passed = 0,
            State::Lost => {}
        }
        loop {
            match &mut self.state {
                State::Between { packed, has_zeros } => {
                    skip_zeros(packed, has_zeros)?;
                    let next = packed.fill_buf()?;
                    if next.is_empty() {
                        return Ok(0);
                    }
                    if *has_zeros && next[0] != 0x1f {
                        return Err(io::Error::other("something that isn't gzip follows its last packed part"));
                    }
                }
                State::Inside(member) => {
                    let n = member.read(into)?;
                    if n > 0 {
                        return Ok(n);
                    }
                }
                State::Lost => return Err(io::Error::other("it could not be unpacked")),
            }
            self.state = match std::mem::replace(&mut self.state, State::Lost) {
                State::Between { packed, .. } => State::Inside(Box::new(GzDecoder::new(packed))),
                State::Inside(member) => State::Between { packed: member.into_inner(), has_zeros: false },
                State::Lost => State::Lost,
            };
        }
    }
}

impl<R: BufRead> Read for Gzip<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        let read = self.unpack(into);
        if read.as_ref().is_err_and(|error| error.kind() != io::ErrorKind::WouldBlock) {
            self.state = State::Lost;
        }
        read
    }
}

/// Notes whether there were any.
fn skip_zeros(packed: &mut impl BufRead, has_zeros: &mut bool) -> io::Result<()> {
    loop {
        let bytes = packed.fill_buf()?;
        let zeros = bytes.iter().take_while(|&&byte| byte == 0).count();
        let is_end = zeros < bytes.len() || bytes.is_empty();
        packed.consume(zeros);
        *has_zeros |= zeros > 0;
        if is_end {
            return Ok(());
        }
    }
}

/// Packed bytes, of which no more than a stretch is handed out before it begins anew.
struct Stretch<R> {
    packed: R,
    passed: usize,
}

impl<R: BufRead> BufRead for Stretch<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.passed >= STRETCH_BYTES {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.packed.fill_buf()
    }

    fn consume(&mut self, n: usize) {
        self.passed += n;
        self.packed.consume(n);
    }
}

impl<R: BufRead> Read for Stretch<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let n = self.fill_buf()?.read(into)?;
        self.consume(n);
        Ok(n)
    }
}

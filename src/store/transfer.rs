//! One large file on its way from a server to this device: in ranges, a few at a time, or, where a server has no
//! ranges, as one stream. Whatever breaks, only what is missing is asked for again.
//!
//! Bytes go to their place in the file as they come; nothing here holds more than one chunk of the network's.

use std::cell::{Cell, RefCell};
use std::ops::Range;
use std::rc::Rc;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use super::journal::Journal;
use super::line::{Line, Patience, is_page};
use super::spans::Spans;
use super::storage::{Device, StoredFile};
use super::wire::{Ask, Body, Head, Trouble, Wire};
use crate::engine::Control;
use crate::error::{Error, Result, StoreError};

/// Why a transfer stops half-way.
#[derive(Debug)]
pub enum Halt {
    /// The server sends the whole file whatever is asked, or lets ranges not be asked for.
    NoRanges,
    /// The file there is another than the one that was begun with.
    Changed,
    /// What came is not the file that it should be, and no use.
    Spoiled(StoreError),
    Failed(Error),
}

impl From<Error> for Halt {
    fn from(error: Error) -> Self {
        Halt::Failed(error)
    }
}

impl From<StoreError> for Halt {
    fn from(error: StoreError) -> Self {
        Halt::Failed(error.into())
    }
}

/// What the server says of the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    pub bytes: Option<u64>,
    pub etag: Option<String>,
    pub sha256: Option<String>,
}

pub struct Transfer<'a, W: Wire, D, C, F> {
    line: &'a Line<'a, W, D, C>,
    what: &'a str,
    url: String,
    token: Option<&'a str>,
    pub file: &'a F,
    on_bytes: &'a dyn Fn(u64),
    pub facts: RefCell<Facts>,
    spans: RefCell<Spans>,
    /// What the journal doesn't know of yet.
    fresh: RefCell<Spans>,
    /// With the place of this file's first byte in it.
    journal: RefCell<Option<(Rc<Journal<F>>, u64)>>,
    /// The one answer that everything comes in, where there are no ranges.
    stream: RefCell<Option<Stream<W::Body>>>,
    /// Unknown before the first answer.
    has_ranges: Cell<Option<bool>>,
}

struct Stream<B> {
    body: B,
    at: u64,
}

impl<'a, W: Wire, D: Device, C: Control, F: StoredFile> Transfer<'a, W, D, C, F> {
    /// A transfer of `url` into `file`, where `spans` are already. `on_bytes` hears how many bytes have come each time.
    pub fn new(
        line: &'a Line<'a, W, D, C>,
        what: &'a str,
        (url, token): (String, Option<&'a str>),
        file: &'a F,
        (facts, spans): (Facts, Spans),
        on_bytes: &'a dyn Fn(u64),
    ) -> Self {
        Transfer {
            line,
            what,
            url,
            token,
            file,
            on_bytes,
            facts: RefCell::new(facts),
            spans: RefCell::new(spans),
            fresh: RefCell::default(),
            journal: RefCell::default(),
            stream: RefCell::default(),
            has_ranges: Cell::new(None),
        }
    }

    /// From now on what comes is written down, counted from a place on where other files stand before this one; without
    /// a journal, no more.
    pub fn keep_journal(&self, journal: Option<(Rc<Journal<F>>, u64)>) {
        self.journal.replace(journal);
    }

    /// So many bytes from the file's beginning are here.
    pub fn front(&self) -> u64 {
        self.spans.borrow().front()
    }

    /// So many bytes are here.
    pub fn here(&self) -> u64 {
        self.spans.borrow().total()
    }

    /// What a person calls the server.
    pub fn host(&self) -> &str {
        super::address::host_of(&self.url)
    }

    /// What a person calls the file.
    pub fn what(&self) -> &'a str {
        self.what
    }

    pub fn bytes(&self) -> Option<u64> {
        self.facts.borrow().bytes
    }

    /// Gets the file's first bytes, enough for most headers.
    ///
    /// # Errors
    /// As [`Transfer::reach`].
    pub async fn probe(&self) -> Result<(), Halt> {
        let end = self.bytes().map_or(self.line.terms.probe_bytes, |bytes| bytes.min(self.line.terms.probe_bytes));
        self.reach(end).await
    }

    /// Gets the first `end` bytes, or all there are.
    ///
    /// # Errors
    /// [`Halt::Changed`], [`Halt::Failed`].
    pub async fn reach(&self, end: u64) -> Result<(), Halt> {
        self.reach_in(0..end).await
    }

    /// Gets the bytes of a range, or all before its end where the server has no ranges.
    ///
    /// # Errors
    /// As [`Transfer::reach`].
    pub async fn reach_in(&self, range: Range<u64>) -> Result<(), Halt> {
        let (missing, end) = (self.spans.borrow().missing(range.clone()), range.end);
        for range in missing {
            match self.piece(range).await {
                Err(Halt::NoRanges) => return self.stream(end).await,
                other => other?,
            }
        }
        Ok(())
    }

    /// Gets everything.
    ///
    /// # Errors
    /// [`Halt::Changed`], [`Halt::Failed`]; what has come by then is here all the same.
    pub async fn finish(&self, bytes: u64) -> Result<(), Halt> {
        let done = match self.pieces(bytes).await {
            Err(Halt::NoRanges) => self.stream(bytes).await,
            done => done,
        };
        self.write_down().await?;
        done
    }

    async fn pieces(&self, bytes: u64) -> Result<(), Halt> {
        if self.has_ranges.get() == Some(false) {
            return Err(Halt::NoRanges);
        }
        let missing = self.spans.borrow().missing(0..bytes);
        let mut waiting = missing.into_iter().flat_map(|range| cut(range, self.line.terms.piece_bytes));
        let mut running = FuturesUnordered::new();
        loop {
            while running.len() < self.line.terms.in_flight
                && let Some(range) = waiting.next()
            {
                running.push(self.piece(range));
            }
            match running.next().await {
                None => return Ok(()),
                Some(done) => done?,
            }
        }
    }

    /// Gets one range, asking again from where it broke off.
    async fn piece(&self, mut range: Range<u64>) -> Result<(), Halt> {
        let mut patience = Patience::with(self.has_ranges.get() == Some(true));
        while range.start < range.end {
            let ask = Ask { url: &self.url, range: Some(range.clone()), token: self.token, is_kept: true };
            let (head, mut body) = match self.line.open(self.what, &ask, &mut patience).await {
                // perhaps only the range is what it doesn't let us ask for
                Err(Error::Store(StoreError::CrossOrigin { .. } | StoreError::Silent { .. }))
                    if self.has_ranges.get().is_none() =>
                {
                    self.has_ranges.set(Some(false));
                    return Err(Halt::NoRanges);
                }
                opened => opened?,
            };
            self.learn(&head)?;
            if head.status == 200 {
                self.has_ranges.set(Some(false));
                self.stream.replace(Some(Stream { body, at: 0 }));
                return Err(Halt::NoRanges);
            }
            self.has_ranges.set(Some(true));
            self.fits(&head, &mut range)?;
            while range.start < range.end {
                let trouble = match self.line.patient(body.next()).await? {
                    Ok(Some(chunk)) => {
                        let wanted = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
                        let chunk = &chunk[..chunk.len().min(wanted)];
                        self.take(range.start, chunk).await?;
                        range.start += chunk.len() as u64;
                        patience.renew();
                        self.line.control.breathe().await?;
                        continue;
                    }
                    Ok(None) => Trouble::Broken,
                    Err(trouble) => trouble,
                };
                patience.bear(self.line, self.what, &ask, trouble).await?;
                break;
            }
        }
        Ok(())
    }

    /// Gets the first `end` bytes in the one answer that there is, and keeps it for more. Broken off, it begins again,
    /// as without ranges it must; what is here already is not written again.
    async fn stream(&self, end: u64) -> Result<(), Halt> {
        let mut patience = Patience::default();
        let ask = Ask { url: &self.url, range: None, token: self.token, is_kept: true };
        loop {
            let running = self.stream.take();
            let mut stream = match running {
                Some(stream) => stream,
                None => {
                    let (head, body) = self.line.open(self.what, &ask, &mut patience).await?;
                    self.learn(&head)?;
                    Stream { body, at: 0 }
                }
            };
            let trouble = loop {
                if stream.at >= end || self.bytes() == Some(stream.at) {
                    self.stream.replace(Some(stream));
                    return Ok(());
                }
                match self.line.patient(stream.body.next()).await? {
                    Ok(Some(chunk)) => {
                        let range = stream.at..stream.at + chunk.len() as u64;
                        self.within(range.end)?;
                        let missing = self.spans.borrow().missing(range.clone());
                        for part in missing {
                            let of_chunk = (part.start - range.start) as usize..(part.end - range.start) as usize;
                            self.take(part.start, &chunk[of_chunk]).await?;
                            patience.renew();
                        }
                        stream.at = range.end;
                        self.line.control.breathe().await?;
                    }
                    Ok(None) if self.bytes().is_none() => self.facts.borrow_mut().bytes = Some(stream.at),
                    Ok(None) => break Trouble::Broken,
                    Err(trouble) => break trouble,
                }
            };
            patience.bear(self.line, self.what, &ask, trouble).await?;
        }
    }

    /// Puts bytes where they belong.
    async fn take(&self, at: u64, chunk: &[u8]) -> Result<()> {
        if at == 0 && is_page(chunk) {
            let (what, host) = (self.what.to_owned(), super::address::host_of(&self.url).to_owned());
            return Err(StoreError::PageInstead { what, host }.into());
        }
        self.file.write_at(at, chunk).await?;
        let range = at..at + chunk.len() as u64;
        self.spans.borrow_mut().add(range.clone());
        self.fresh.borrow_mut().add(range);
        (self.on_bytes)(chunk.len() as u64);
        let is_due = self.fresh.borrow().total() >= self.line.terms.journal_bytes;
        if is_due { self.write_down().await } else { Ok(()) }
    }

    /// Notes in the journal what is here and not noted yet.
    ///
    /// # Errors
    /// What writing fails with.
    pub async fn write_down(&self) -> Result<()> {
        let Some((journal, first)) = self.journal.borrow().clone() else { return Ok(()) };
        let fresh = self.fresh.take();
        self.file.flush().await?;
        for span in fresh.iter() {
            let at = first.saturating_add(span.start);
            journal.note(&(at..first.saturating_add(span.end))).await?;
        }
        journal.flush().await
    }

    /// Compares what an answer says of the file with what is known of it.
    fn learn(&self, head: &Head) -> Result<(), Halt> {
        let mut facts = self.facts.borrow_mut();
        let differs =
            |known: &Option<String>, said: &Option<String>| matches!((known, said), (Some(a), Some(b)) if a != b);
        if differs(&facts.etag, &head.etag) || differs(&facts.sha256, &head.sha256) {
            return Err(Halt::Changed);
        }
        if let (Some(expected), Some(found)) = (facts.bytes, head.total)
            && expected != found
        {
            return Err(Halt::Spoiled(StoreError::WrongLength { what: self.what.into(), expected, found }));
        }
        facts.bytes = facts.bytes.or(head.total);
        facts.etag = facts.etag.take().or_else(|| head.etag.clone());
        facts.sha256 = facts.sha256.take().or_else(|| head.sha256.clone());
        Ok(())
    }

    /// Checks that an answer holds the range that was asked for; a file that is shorter shortens the range.
    fn fits(&self, head: &Head, range: &mut Range<u64>) -> Result<(), Halt> {
        if head.start.is_some_and(|start| start != range.start) {
            let (what, host) = (self.what.into(), super::address::host_of(&self.url).into());
            return Err(StoreError::BadAnswer { what, host, status: head.status }.into());
        }
        match self.bytes() {
            Some(bytes) => range.end = range.end.min(bytes),
            // nothing says how long the file is but an answer shorter than what was asked for
            None => {
                if let Some(length) = head.length.filter(|&length| length < range.end - range.start) {
                    range.end = range.start + length;
                    self.facts.borrow_mut().bytes = Some(range.end);
                }
            }
        }
        Ok(())
    }

    /// A stream that goes on past the file's end is not the file.
    fn within(&self, end: u64) -> Result<(), Halt> {
        match self.bytes() {
            Some(expected) if end > expected => {
                Err(Halt::Spoiled(StoreError::WrongLength { what: self.what.into(), expected, found: end }))
            }
            _ => Ok(()),
        }
    }
}

/// Cuts a range where multiples of `size` are, so that pieces are the same after a break.
fn cut(range: Range<u64>, size: u64) -> impl Iterator<Item = Range<u64>> {
    let mut at = range.start;
    std::iter::from_fn(move || {
        let piece = at..((at / size + 1) * size).min(range.end);
        at = piece.end;
        (!piece.is_empty()).then_some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_cover_the_range_and_end_at_multiples() {
        assert_eq!(cut(5..27, 10).collect::<Vec<_>>(), [5..10, 10..20, 20..27]);
        assert_eq!(cut(10..20, 10).next(), Some(10..20));
        assert_eq!(cut(10..20, 10).count(), 1);
        assert_eq!(cut(7..7, 10).count(), 0);
    }
}

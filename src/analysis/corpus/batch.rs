//! Documents become the rows that a model runs.
//!
//! A row's activations may differ in their last bits from one batch to another, for products of other shapes add up in
//! other orders. So documents are divided into groups by the documents alone, batches never reach across groups, and a
//! shard takes whole groups: then every run of any shards computes the very same batches.

use std::ops::Range;

use super::examples::Passage;
use super::plan::Plan;
use super::subject::{Part as Text, Subject};
use crate::documents::{Documents, Next, Piece};
use crate::engine::Control;
use crate::error::Result;
use crate::model::tokenizer::cuts::Cut;

/// A group ends with the document that makes it this many …
const GROUP_DOCUMENTS: u64 = 16;
/// … or with so much text.
const GROUP_BYTES: usize = 1 << 16;
/// Most tokens of a batch, unless a single row has more.
const BATCH_TOKENS: usize = 512;
/// Where documents are cut, so many bytes for each token of the context become tokens at first; nearly always they do.
const HEAD_BYTES: usize = 8;

/// What the model reads at once: a document, its beginning, or (packed) several documents' parts.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Row {
    pub tokens: Vec<u32>,
    parts: Vec<Part>,
}

/// One document's part in a row.
#[derive(Debug, Clone, PartialEq)]
struct Part {
    document: u64,
    /// Position, in the document, of its first token.
    first: u32,
    tokens: Range<usize>,
}

/// Documents that go together.
#[derive(Debug, Default)]
pub struct Group {
    pub number: u64,
    /// Documents that begin here and are in the sample.
    pub documents: u64,
    pub rows: Vec<Row>,
}

impl Group {
    /// The rows' tokens in batches, but for the first few.
    pub fn prompts(&self, skip: usize) -> Vec<Vec<&[u32]>> {
        let batches = self.batches().into_iter().skip(skip);
        batches.map(|rows| rows.iter().map(|row| &row.tokens[..]).collect()).collect()
    }

    /// The rows in batches.
    pub fn batches(&self) -> Vec<&[Row]> {
        let (mut batches, mut start, mut tokens) = (Vec::new(), 0, 0);
        for (at, row) in self.rows.iter().enumerate() {
            if at > start && tokens + row.tokens.len() > BATCH_TOKENS {
                batches.push(&self.rows[start..at]);
                (start, tokens) = (at, 0);
            }
            tokens += row.tokens.len();
        }
        if start < self.rows.len() {
            batches.push(&self.rows[start..]);
        }
        batches
    }
}

/// The documents' parts in a batch, in order.
pub fn passages(rows: &[Row]) -> Vec<Passage<'_>> {
    let mut passages = Vec::new();
    let mut start = 0;
    for row in rows {
        passages.extend(row.parts.iter().map(|part| Passage {
            document: part.document,
            first: part.first,
            tokens: &row.tokens[part.tokens.clone()],
            row: start + part.tokens.start,
        }));
        start += row.tokens.len();
    }
    passages
}

/// Reads documents and divides them into groups.
pub struct Groups {
    documents: Documents,
    n_ctx: usize,
    /// The first piece of the next group.
    waiting: Option<Piece>,
    /// Number of the group after the last one read.
    next: u64,
    /// Number of the next document.
    document: u64,
    /// The document whose tokens were placed last, and how many it has so far.
    placed: u64,
    position: usize,
}

impl Groups {
    pub fn new(documents: Documents, n_ctx: usize) -> Self {
        Groups { documents, n_ctx, waiting: None, next: 0, document: 0, placed: 0, position: 0 }
    }

    /// Bytes so far that were no UTF-8 and were replaced.
    pub fn replaced_bytes(&self) -> u64 {
        self.documents.replaced_bytes()
    }

    /// The next group; without rows where `wanted` says no to its number. None after the last.
    ///
    /// # Errors
    /// What is wrong with a file, that the model has no tokenizer, or from `control`.
    pub async fn next_group(
        &mut self,
        subject: &impl Subject,
        plan: &Plan,
        wanted: impl Fn(u64) -> bool,
        control: &impl Control,
    ) -> Result<Option<Group>> {
        let mut group = Group { number: self.next, ..Group::default() };
        let is_wanted = wanted(self.next);
        let (mut bytes, mut begun, mut is_empty) = (0, 0, true);
        let mut texts = Texts::default();
        loop {
            control.breathe().await?;
            let next = self.waiting.take().map_or_else(|| self.documents.next_piece(), |piece| Ok(Next::Text(piece)));
            let piece = match next? {
                Next::Text(piece) => piece,
                Next::Nothing => continue,
                Next::End => break,
            };
            let is_full = begun >= GROUP_DOCUMENTS || bytes >= GROUP_BYTES;
            if is_full && (piece.starts || plan.pack) {
                self.waiting = Some(piece);
                break;
            }
            is_empty = false;
            bytes += piece.text.len();
            if piece.starts {
                begun += 1;
                self.document += 1;
            }
            let document = self.document - 1;
            if is_wanted && plan.samples(document) {
                group.documents += u64::from(piece.starts);
                let is_cut = !plan.pack && self.placed == document && self.position >= self.n_ctx;
                if !is_cut {
                    let head = if plan.pack { usize::MAX } else { HEAD_BYTES * self.n_ctx };
                    texts.push(document, piece, !plan.no_bos, (head, self.documents.cut()));
                }
            }
            if texts.bytes >= GROUP_BYTES {
                self.add(&mut group, plan, subject, std::mem::take(&mut texts)).await?;
            }
        }
        if is_empty {
            return Ok(None);
        }
        self.add(&mut group, plan, subject, texts).await?;
        self.next += 1;
        Ok(Some(group))
    }

    /// Adds texts to the group's rows.
    async fn add(&mut self, group: &mut Group, plan: &Plan, subject: &impl Subject, mut texts: Texts) -> Result<()> {
        if texts.parts.is_empty() {
            return Ok(());
        }
        let mut ids = subject.ids(&texts.parts).await?;
        // the rest of what didn't fill its row
        let short = |at: &usize| texts.tails[*at].is_some() && ids[*at].len() < self.n_ctx;
        let short: Vec<usize> = (0..ids.len().min(texts.tails.len())).filter(short).collect();
        if !short.is_empty() {
            let tails = short.iter().filter_map(|&at| texts.tails[at].take()).collect::<Vec<_>>();
            for (&at, tail) in short.iter().zip(subject.ids(&tails).await?) {
                ids[at].extend(tail);
            }
        }
        for ((part, document), ids) in texts.parts.iter().zip(texts.documents).zip(ids) {
            if part.starts {
                (self.placed, self.position) = (document, 0);
            }
            self.add_ids(group, plan, document, part.starts, &ids);
        }
        Ok(())
    }

    fn add_ids(&mut self, group: &mut Group, plan: &Plan, document: u64, starts: bool, ids: &[u32]) {
        let mut ids = ids;
        if !plan.pack {
            ids = &ids[..ids.len().min(self.n_ctx.saturating_sub(self.position))];
            if starts && !ids.is_empty() {
                group.rows.push(Row::default());
            }
        }
        while !ids.is_empty() {
            let is_full = group.rows.last().is_none_or(|row| row.tokens.len() >= self.n_ctx);
            if is_full {
                group.rows.push(Row::default());
            }
            let Some(row) = group.rows.last_mut() else { break };
            let start = row.tokens.len();
            let (now, later) = ids.split_at(ids.len().min(self.n_ctx - start));
            row.tokens.extend_from_slice(now);
            row.add_part(document, self.position as u32, start..start + now.len());
            self.position += now.len();
            ids = later;
        }
    }
}

/// Pieces that wait to become tokens.
#[derive(Default)]
struct Texts {
    parts: Vec<Text>,
    /// Each one's document.
    documents: Vec<u64>,
    /// What was left off each one at first.
    tails: Vec<Option<Text>>,
    bytes: usize,
}

impl Texts {
    /// Adds a piece, of which so many bytes will do if it can be cut there.
    fn push(&mut self, document: u64, piece: Piece, has_bos: bool, (head, cut): (usize, Cut)) {
        self.bytes += piece.text.len();
        self.documents.push(document);
        let mut text = piece.text;
        let end = cut.find(&text, head);
        self.tails.push(end.map(|at| Text { text: text.split_off(at), bos: false, starts: false }));
        self.parts.push(Text { bos: piece.starts && has_bos, starts: piece.starts, text });
    }
}

impl Row {
    /// Adds a part, or lengthens the last one if it is the same document's.
    fn add_part(&mut self, document: u64, first: u32, tokens: Range<usize>) {
        match self.parts.last_mut() {
            Some(last) if last.document == document => last.tokens.end = tokens.end,
            _ => self.parts.push(Part { document, first, tokens }),
        }
    }
}

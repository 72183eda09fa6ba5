//! One model's download: its files of weights one after the other, each in ranges, hashed as they come, and written
//! down so that a break in any of them costs no more than what was on its way.

use std::cell::{Cell, OnceCell};
use std::rc::Rc;

use futures_util::future::try_join;
use sha2::{Digest, Sha256};

use super::Store;
use super::address::{Site, hex};
use super::fetch::lacks;
use super::fit;
use super::journal::{self, JOURNAL, Journal, Noted, Part, Target};
use super::line::Line;
use super::look::{self, look};
use super::manifest::{FileFacts, MANIFEST, Manifest, Provenance};
use super::remote::{self, Introduction};
use super::spans::Spans;
use super::storage::{Device, Storage, StoredFile};
use super::transfer::{Facts, Halt, Transfer};
use super::verify;
use super::watch::{Meter, Watch};
use super::wire::Wire;
use crate::engine::Control;
use crate::error::{Error, Result, StoreError};
use crate::model::Expected;
use crate::model::layout::Layout;
use crate::model::small::BESIDE_CONFIG;
use crate::protocol::Stage;

/// What is downloaded, and where to.
pub(super) struct Job<'a, W, S, D, C> {
    pub store: &'a Store<W, S, D>,
    pub line: Line<'a, W, D, C>,
    pub site: &'a Site,
    pub name: &'a str,
    pub introduction: Introduction,
    pub key: &'a str,
    pub watch: &'a Watch<'a, C>,
}

impl<W: Wire, S: Storage, D: Device, C: Control> Job<'_, W, S, D, C> {
    /// Gets what of the weights is not here yet, checks all of it and keeps it.
    pub async fn download(&self, layout: &Layout) -> Result<Manifest, Halt> {
        let storage = &self.store.storage;
        let (names, index) = remote::parts(&self.line, self.site, &self.introduction, layout).await?;
        let noted = storage.read(self.key, JOURNAL).await?.and_then(|text| journal::read(&text));
        let noted = noted.filter(|noted| noted.target.weights == layout.file);
        let mut files = Vec::new();
        for name in &names {
            files.push(storage.open(self.key, name).await?);
        }
        let (come, meter) = (Cell::new(0), OnceCell::new());
        let on_bytes = |new: u64| {
            come.set(come.get() + new);
            if let Some(meter) = meter.get() {
                Meter::tell(meter, come.get());
            }
        };
        let mut transfers = Vec::new();
        for (name, file) in names.iter().zip(&files) {
            let (facts, spans) = here(noted.as_ref(), name, file.size().await?);
            come.set(come.get() + spans.total());
            let url = self.site.url(name, self.introduction.commit.as_deref());
            transfers.push(Transfer::new(&self.line, name, (url, self.site.token()), file, (facts, spans), &on_bytes));
        }
        let target = match self.look(layout, &transfers).await {
            Err(Halt::Failed(error)) => {
                drop(transfers);
                drop(files);
                self.forget_begun(&error, layout).await?;
                return Err(error.into());
            }
            target => target?,
        };
        let missing = target.bytes.saturating_sub(come.get());
        fit::in_room(self.name, missing, &self.store.device.room().await)?;
        self.keep_small_files(layout, index.as_deref()).await?;
        self.begin_journal(&target, noted, &transfers).await?;

        let what = if layout.is_index { self.name } else { layout.file };
        meter
            .get_or_init(|| Meter::new(self.watch, &self.store.device, Stage::Downloading, what, target.bytes))
            .tell(come.get());
        let mut facts = Vec::new();
        for (transfer, part) in transfers.iter().zip(target.files()) {
            let sha256 = self.get_and_hash(transfer, &part).await?;
            transfer.keep_journal(None);
            facts.push(FileFacts { name: part.name, bytes: part.bytes, sha256, etag: part.etag });
        }
        for file in &files {
            file.flush().await?;
        }
        Ok(self.finish(target, (layout, index.as_deref()), facts).await?)
    }

    /// Gets the headers of all files, and what else is known of them, before anything else is fetched.
    async fn look(&self, layout: &Layout, transfers: &[Transfer<'_, W, D, C, S::File>]) -> Result<Target, Halt> {
        let mut expected = Expected::from_files(&self.introduction.small)?;
        let (mut parts, mut file_dtype) = (Vec::new(), None);
        for transfer in transfers {
            let contents = look(transfer, layout, &mut expected).await?;
            file_dtype = file_dtype.or(look::file_dtype(&contents.header));
            self.learn_hash(transfer)?;
            let Facts { etag, sha256, .. } = transfer.facts.borrow().clone();
            parts.push(Part { name: transfer.what().to_owned(), bytes: contents.bytes, etag, sha256 });
        }
        let provenance = Provenance {
            name: self.name.to_owned(),
            base: self.site.base.clone(),
            repo: self.site.repo.as_ref().map(|repo| repo.id.clone()),
            revision: self.site.revision().map(str::to_owned),
            commit: self.introduction.commit.clone(),
        };
        Ok(Target::new(provenance, layout.file, file_dtype.unwrap_or("f32"), parts))
    }

    /// What the hub lists of a file, where the answers said no hash.
    fn learn_hash(&self, transfer: &Transfer<'_, W, D, C, S::File>) -> Result<(), Halt> {
        let mut facts = transfer.facts.borrow_mut();
        if facts.sha256.is_some() {
            return Ok(());
        }
        let said = self.introduction.facts(transfer.what());
        match (facts.bytes, said.bytes) {
            (Some(found), Some(expected)) if found != expected => {
                Err(Halt::Spoiled(StoreError::WrongLength { what: transfer.what().into(), expected, found }))
            }
            _ => {
                facts.sha256 = said.sha256;
                Ok(())
            }
        }
    }

    /// The file that was opened for what isn't there.
    async fn forget_begun(&self, error: &Error, layout: &Layout) -> Result<()> {
        if lacks(error, layout) { self.store.storage.remove(self.key, layout.file).await } else { Ok(()) }
    }

    async fn keep_small_files(&self, layout: &Layout, index: Option<&[u8]>) -> Result<()> {
        let storage = &self.store.storage;
        let small = &self.introduction.small;
        for name in BESIDE_CONFIG.into_iter().filter(|name| small.all().all(|(other, _)| other != *name)) {
            storage.remove(self.key, name).await?;
        }
        for (name, bytes) in small.all().chain(index.map(|index| (layout.file, index))) {
            storage.write(self.key, name, bytes).await?;
        }
        Ok(())
    }

    /// Goes on with the journal of the same download, or begins one, and notes the headers that are here.
    async fn begin_journal(
        &self,
        target: &Target,
        noted: Option<Noted>,
        transfers: &[Transfer<'_, W, D, C, S::File>],
    ) -> Result<()> {
        let log = self.store.storage.open(self.key, JOURNAL).await?;
        let journal = Rc::new(match noted.filter(|noted| noted.target == *target) {
            Some(noted) => Journal::go_on(log, noted.len).await?,
            None => Journal::begin(log, target).await?,
        });
        let mut first = 0u64;
        for (transfer, part) in transfers.iter().zip(target.files()) {
            transfer.keep_journal(Some((journal.clone(), first)));
            transfer.write_down().await?;
            first = first.saturating_add(part.bytes);
        }
        Ok(())
    }

    /// Downloads what is missing of a file and hashes what is there, both at once; then compares the hash.
    async fn get_and_hash(&self, transfer: &Transfer<'_, W, D, C, S::File>, part: &Part) -> Result<String, Halt> {
        let is_here = transfer.here() == part.bytes;
        let meter = Meter::new(self.watch, &self.store.device, Stage::Checking, &part.name, part.bytes);
        let on_bytes = |hashed: u64| {
            // while bytes come, those that come are what a person looks at
            if is_here {
                meter.tell(hashed);
            }
        };
        let hash =
            async { Ok(verify::hash(&self.line, transfer.file, part.bytes, || transfer.front(), on_bytes).await?) };
        let done = try_join(transfer.finish(part.bytes), hash).await;
        // whichever of the two failed: what has come is noted
        transfer.write_down().await?;
        let ((), found) = done?;
        match part.sha256.clone().filter(|expected| *expected != found) {
            Some(expected) => Err(Halt::Spoiled(StoreError::WrongHash { what: part.name.clone(), expected, found })),
            None => Ok(found),
        }
    }

    /// Writes the manifest, which makes it a kept model.
    async fn finish(
        &self,
        target: Target,
        (layout, index): (&Layout, Option<&[u8]>),
        weights: Vec<FileFacts>,
    ) -> Result<Manifest> {
        let storage = &self.store.storage;
        let small = |(name, bytes): (&str, &[u8])| FileFacts {
            name: name.to_owned(),
            bytes: bytes.len() as u64,
            sha256: hex(&Sha256::digest(bytes)),
            etag: None,
        };
        let beside = self.introduction.small.all().chain(index.map(|index| (layout.file, index)));
        let files = beside.map(small).chain(weights).collect();
        let attested = target.files().iter().all(|part| part.sha256.is_some());
        let now_ms = self.store.device.now_ms();
        let manifest = Manifest::new(target.provenance, files, target.file_dtype, attested, now_ms);
        storage.write(self.key, MANIFEST, &manifest.write()).await?;
        storage.remove(self.key, JOURNAL).await?;
        Ok(manifest)
    }
}

/// What is known of a file of an earlier download, and what of it is here: at most the `len` bytes that it has, which are
/// fewer than its journal says where it has lost its end.
fn here(noted: Option<&Noted>, name: &str, len: u64) -> (Facts, Spans) {
    let (mut facts, mut spans, mut first) = (Facts::default(), Spans::default(), 0u64);
    for part in noted.iter().flat_map(|noted| noted.target.files()) {
        let end = first.saturating_add(part.bytes);
        if part.name == name {
            let reach = end.min(first.saturating_add(len));
            for span in noted.iter().flat_map(|noted| noted.spans.iter()) {
                let (from, to) = (span.start.max(first), span.end.min(reach));
                if from < to {
                    spans.add(from - first..to - first);
                }
            }
            facts = Facts { bytes: Some(part.bytes), etag: part.etag, sha256: part.sha256 };
        }
        first = end;
    }
    (facts, spans)
}

//! From a source to a model that is whole on this device.

use std::cell::RefCell;

use futures_util::future::try_join;
use sha2::{Digest, Sha256};

use super::Store;
use super::address::{PICKLE, Site, WEIGHTS, hex};
use super::fit;
use super::journal::{self, JOURNAL, Journal, Target};
use super::line::Line;
use super::manifest::{FileFacts, MANIFEST, Manifest, Provenance};
use super::remote::{Introduction, introduce, weights_facts};
use super::spans::Spans;
use super::storage::{Device, Storage, StoredFile};
use super::transfer::{Facts, Halt, Transfer};
use super::verify;
use super::watch::{Meter, Watch};
use super::wire::Wire;
use crate::engine::Control;
use crate::error::{Error, Result, StoreError};
use crate::model::ModelLoader;
use crate::model::pytorch::{self, Bytes};
use crate::model::safetensors::{Dtype, Header, header_bytes};
use crate::model::small::BESIDE_CONFIG;
use crate::model::weights::canonical;
use crate::protocol::{Progress, Source, Stage, Unit};

/// A file that changes under a download is begun with again so often.
const RESTARTS: usize = 2;

/// A whole model on this device; no other tab changes it as long as this lives.
pub struct Held<L> {
    pub key: String,
    pub manifest: Manifest,
    _lock: L,
}

impl<L> Held<L> {
    pub(super) fn new(key: String, manifest: Manifest, lock: L) -> Self {
        Held { key, manifest, _lock: lock }
    }
}

impl<W: Wire, S: Storage, D: Device> Store<W, S, D> {
    pub(super) fn line<'a, C: Control>(&'a self, watch: &Watch<'a, C>) -> Line<'a, W, D, C> {
        Line { wire: &self.wire, device: &self.device, control: watch.control, terms: &self.terms }
    }

    /// The model at `site`: from this device if it is here, or else downloaded, checked and kept. What is here in part
    /// is gone on with.
    ///
    /// # Errors
    /// [`StoreError`]; what is wrong with the model's files; [`crate::error::Error::Cancelled`], after which what has
    /// come stays.
    pub async fn fetch<C: Control>(&self, source: &Source, site: &Site, watch: &Watch<'_, C>) -> Result<Held<D::Lock>> {
        if let Some((key, _)) = self.find(site).await? {
            let (lock, manifest) = self.hold(&key, watch).await?;
            if let Some(manifest) = manifest {
                return Ok(Held::new(key, manifest, lock));
            }
        }
        let line = self.line(watch);
        let introduction = introduce(&line, site).await?;
        let dtype = source.dtype.unwrap_or_default();
        fit::in_memory(&source.name, &introduction.config, dtype, self.terms.most_weights_bytes)?;
        let key = site.key(introduction.commit.as_deref());
        let (lock, manifest) = self.hold(&key, watch).await?;
        if let Some(manifest) = manifest {
            return Ok(Held::new(key, manifest, lock));
        }
        let begun = self.storage.read(&key, JOURNAL).await?.and_then(|text| journal::read(&text));
        let is_pickle = begun.is_some_and(|begun| begun.target.weights == PICKLE);
        let weights = if is_pickle { PICKLE } else { WEIGHTS };
        let mut job = Job { store: self, line, site, name: &source.name, introduction, key: &key, watch, weights };
        let mut first = None;
        for _ in 0..=RESTARTS {
            match job.download().await {
                Ok(manifest) => return Ok(Held::new(key, manifest, lock)),
                Err(Halt::Failed(error @ Error::Store(StoreError::NotThere { .. }))) if job.weights == WEIGHTS => {
                    self.storage.remove(&key, WEIGHTS).await?;
                    job.weights = PICKLE;
                    first = Some(error);
                }
                // of two answers the one about the file that most models have
                Err(Halt::Failed(error @ Error::Store(StoreError::NotThere { .. }))) => {
                    return Err(first.unwrap_or(error));
                }
                Err(Halt::Failed(error)) => return Err(error),
                Err(Halt::Spoiled(error)) => {
                    self.storage.delete(&key).await?;
                    return Err(error.into());
                }
                Err(Halt::Changed | Halt::NoRanges) => self.storage.delete(&key).await?,
            }
        }
        Err(StoreError::Changing { what: WEIGHTS.into(), host: site.host().into() }.into())
    }

    /// Waits until no other tab has `key`, then looks whether it is whole.
    pub(super) async fn hold<C: Control>(
        &self,
        key: &str,
        watch: &Watch<'_, C>,
    ) -> Result<(D::Lock, Option<Manifest>)> {
        let on_wait = || {
            let what = WEIGHTS.to_owned();
            (watch.on_progress)(Progress { what, done: 0.0, total: None, unit: Unit::Bytes, stage: Stage::Waiting });
        };
        let lock = self.line(watch).watchful(self.device.lock(key, on_wait)).await??;
        Ok((lock, self.manifest(key).await?))
    }

    pub(super) async fn manifest(&self, key: &str) -> Result<Option<Manifest>> {
        Ok(self.storage.read(key, MANIFEST).await?.and_then(|text| Manifest::read(&text)))
    }
}

/// One model's download.
struct Job<'a, W, S, D, C> {
    store: &'a Store<W, S, D>,
    line: Line<'a, W, D, C>,
    site: &'a Site,
    name: &'a str,
    introduction: Introduction,
    key: &'a str,
    watch: &'a Watch<'a, C>,
    /// Which file of weights.
    weights: &'static str,
}

impl<W: Wire, S: Storage, D: Device, C: Control> Job<'_, W, S, D, C> {
    async fn download(&self) -> Result<Manifest, Halt> {
        let storage = &self.store.storage;
        let file = storage.open(self.key, self.weights).await?;
        let noted = storage.read(self.key, JOURNAL).await?.and_then(|text| journal::read(&text));
        let noted = noted.filter(|noted| noted.target.weights == self.weights);
        let (known, spans) = self.here(&file, noted.as_ref()).await?;
        let total = std::cell::OnceCell::new();
        let on_bytes = |here: u64| {
            if let Some(meter) = total.get() {
                Meter::tell(meter, here);
            }
        };
        let url = self.site.url(self.weights, self.introduction.commit.as_deref());
        let transfer =
            Transfer::new(&self.line, self.weights, (url, self.site.token()), &file, (known, spans), &on_bytes);
        let header = look(&transfer, self.weights, &file, &self.introduction).await?;

        self.ask_for_hash(&transfer).await?;
        let target = self.target(&transfer, &header);
        let missing = target.bytes.saturating_sub(transfer.here());
        fit::in_room(self.name, missing, &self.store.device.room().await)?;
        self.keep_small_files().await?;
        let log = storage.open(self.key, JOURNAL).await?;
        transfer.keep_journal(Some(match noted.filter(|noted| noted.target == target) {
            Some(noted) => Journal::go_on(log, noted.len).await?,
            None => Journal::begin(log, &target).await?,
        }));

        let meter = Meter::new(self.watch, &self.store.device, Stage::Downloading, self.weights, target.bytes);
        total.get_or_init(|| meter).tell(transfer.here());
        let sha256 = self.get_and_hash(&transfer, &file, target.bytes).await?;
        transfer.keep_journal(None);
        self.finish(target, sha256, &file).await
    }

    /// What of an earlier download is here.
    async fn here(&self, file: &S::File, noted: Option<&journal::Noted>) -> Result<(Facts, Spans)> {
        let Some(noted) = noted else { return Ok((Facts::default(), Spans::default())) };
        let len = file.size().await?;
        let mut spans = Spans::default();
        // a file shorter than its journal has lost its end
        noted.spans.iter().for_each(|span| spans.add(span.start.min(len)..span.end.min(len)));
        let journal::Target { bytes, etag, sha256, .. } = noted.target.clone();
        Ok((Facts { bytes: Some(bytes), etag, sha256 }, spans))
    }

    async fn ask_for_hash(&self, transfer: &Transfer<'_, W, D, C, S::File>) -> Result<(), Halt> {
        if transfer.facts.borrow().sha256.is_some() {
            return Ok(());
        }
        let said = weights_facts(&self.line, self.site, self.introduction.commit.as_deref(), self.weights).await?;
        let mut facts = transfer.facts.borrow_mut();
        match (facts.bytes, said.bytes) {
            (Some(found), Some(expected)) if found != expected => {
                Err(Halt::Spoiled(StoreError::WrongLength { what: self.weights.into(), expected, found }))
            }
            _ => {
                facts.sha256 = said.sha256;
                Ok(())
            }
        }
    }

    fn target(&self, transfer: &Transfer<'_, W, D, C, S::File>, header: &Contents) -> Target {
        let facts = transfer.facts.borrow().clone();
        let provenance = Provenance {
            name: self.name.to_owned(),
            base: self.site.base.clone(),
            repo: self.site.repo.as_ref().map(|repo| repo.id.clone()),
            revision: self.site.revision().map(str::to_owned),
            commit: self.introduction.commit.clone(),
        };
        let file_dtype = header.file_dtype.to_owned();
        Target {
            provenance,
            weights: self.weights.to_owned(),
            bytes: header.bytes,
            etag: facts.etag,
            sha256: facts.sha256,
            file_dtype,
        }
    }

    async fn keep_small_files(&self) -> Result<()> {
        let storage = &self.store.storage;
        let small = &self.introduction.small;
        for name in BESIDE_CONFIG.into_iter().filter(|name| small.all().all(|(other, _)| other != *name)) {
            storage.remove(self.key, name).await?;
        }
        for (name, bytes) in small.all() {
            storage.write(self.key, name, bytes).await?;
        }
        Ok(())
    }

    /// Downloads what is missing and hashes what is there, both at once.
    async fn get_and_hash(
        &self,
        transfer: &Transfer<'_, W, D, C, S::File>,
        file: &S::File,
        bytes: u64,
    ) -> Result<String, Halt> {
        let is_here = transfer.here() == bytes;
        let meter = Meter::new(self.watch, &self.store.device, Stage::Checking, self.weights, bytes);
        let on_bytes = |hashed: u64| {
            // while bytes come, those that come are what a person looks at
            if is_here {
                meter.tell(hashed);
            }
        };
        let hash = async { Ok(verify::hash(&self.line, file, bytes, || transfer.front(), on_bytes).await?) };
        let done = try_join(transfer.finish(bytes), hash).await;
        // whichever of the two failed: what has come is noted
        transfer.write_down().await?;
        done.map(|((), sha256)| sha256)
    }

    /// Compares the hash, then writes the manifest, which makes it a kept model.
    async fn finish(&self, target: Target, sha256: String, file: &S::File) -> Result<Manifest, Halt> {
        let storage = &self.store.storage;
        if let Some(expected) = target.sha256.clone().filter(|expected| *expected != sha256) {
            return Err(Halt::Spoiled(StoreError::WrongHash { what: self.weights.into(), expected, found: sha256 }));
        }
        file.flush().await?;
        let small = |name: &str, bytes: &[u8]| FileFacts {
            name: name.to_owned(),
            bytes: bytes.len() as u64,
            sha256: hex(&Sha256::digest(bytes)),
            etag: None,
        };
        let mut files: Vec<_> = self.introduction.small.all().map(|(name, bytes)| small(name, bytes)).collect();
        files.push(FileFacts { name: self.weights.to_owned(), bytes: target.bytes, sha256, etag: target.etag });
        let attested = target.sha256.is_some();
        let now_ms = self.store.device.now_ms();
        let manifest = Manifest::new(target.provenance, files, target.file_dtype, attested, now_ms);
        storage.write(self.key, MANIFEST, &manifest.write()).await?;
        storage.remove(self.key, JOURNAL).await?;
        Ok(manifest)
    }
}

/// What the weights' header says.
pub struct Contents {
    /// Bytes of the whole file.
    pub bytes: u64,
    /// Element type of the token embedding, and by custom of all weights.
    pub file_dtype: &'static str,
}

/// Gets the weights' header and compares it with the model's config, before anything else of the file is fetched.
///
/// # Errors
/// [`crate::error::Error::Weights`] for a damaged file or another model's; as [`Transfer::reach`].
pub async fn look<W: Wire, D: Device, C: Control, F: StoredFile>(
    transfer: &Transfer<'_, W, D, C, F>,
    weights: &'static str,
    file: &F,
    introduction: &Introduction,
) -> Result<Contents, Halt> {
    transfer.probe().await?;
    let mut loader = ModelLoader::from_files(&introduction.small, Default::default())?;
    let (header, bytes) = match weights {
        PICKLE => look_into_pickle(transfer, file).await?,
        _ => look_into_safetensors(transfer, file).await?,
    };
    let said = transfer.facts.borrow_mut().bytes.replace(bytes).unwrap_or(bytes);
    loader.check(weights, said, &header, bytes, false)?;
    let wte = header.tensors.iter().find(|tensor| canonical(&tensor.name) == "wte.weight");
    Ok(Contents { bytes, file_dtype: wte.map_or(Dtype::F32, |tensor| tensor.dtype).name() })
}

/// The header of a safetensors file, and how long the file is.
async fn look_into_safetensors<W: Wire, D: Device, C: Control, F: StoredFile>(
    transfer: &Transfer<'_, W, D, C, F>,
    file: &F,
) -> Result<(Header, u64), Halt> {
    let mut first = [0; 8];
    file.read_at(0, &mut first).await?;
    let len = header_bytes(first)?;
    let begin = 8 + len as u64;
    transfer.reach(begin).await?;
    let mut json = vec![0; len];
    file.read_at(8, &mut json).await?;
    let header = Header::parse(&json)?;
    let bytes = begin + header.data_bytes;
    Ok((header, bytes))
}

/// The table of contents of a file of PyTorch's, which lies at its end, and how long the file is.
async fn look_into_pickle<W: Wire, D: Device, C: Control, F: StoredFile>(
    transfer: &Transfer<'_, W, D, C, F>,
    file: &F,
) -> Result<(Header, u64), Halt> {
    let Some(bytes) = transfer.bytes() else {
        let (what, host) = (PICKLE.to_owned(), transfer.host().to_owned());
        let why = "it does not say how long the file is".to_owned();
        return Err(StoreError::GaveUp { what, host, why }.into());
    };
    let reaching = Reaching { transfer, file, halt: RefCell::default() };
    let contents = pytorch::rough_contents(&reaching, bytes).await;
    match (contents, reaching.halt.into_inner()) {
        (_, Some(halt)) => Err(halt),
        (contents, None) => Ok((contents.map_err(|error| error.in_file(PICKLE))?, bytes)),
    }
}

/// A file on its way, of which whatever is read comes first.
struct Reaching<'a, 'b, W: Wire, D, C, F> {
    transfer: &'a Transfer<'b, W, D, C, F>,
    file: &'a F,
    halt: RefCell<Option<Halt>>,
}

impl<W: Wire, D: Device, C: Control, F: StoredFile> Bytes for Reaching<'_, '_, W, D, C, F> {
    async fn read_at(&self, at: u64, into: &mut [u8]) -> Result<()> {
        match self.transfer.reach_in(at..at + into.len() as u64).await {
            Ok(()) => self.file.read_at(at, into).await,
            Err(Halt::Failed(error)) => Err(error),
            Err(halt) => {
                self.halt.replace(Some(halt));
                Err(Error::Cancelled)
            }
        }
    }
}

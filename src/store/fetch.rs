//! From a source to a model that is whole on this device.

use super::Store;
use super::address::{Site, WEIGHTS};
use super::fit;
use super::job::Job;
use super::journal::{self, JOURNAL};
use super::line::Line;
use super::manifest::{MANIFEST, Manifest};
use super::remote::introduce;
use super::storage::{Device, Storage};
use super::transfer::Halt;
use super::watch::Watch;
use super::wire::Wire;
use crate::engine::Control;
use crate::error::{Error, Result, StoreError};
use crate::model::layout::Layout;
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
        let noted = self.storage.read(&key, JOURNAL).await?.and_then(|text| journal::read(&text));
        let mut layouts = introduction.layouts()?;
        // what was begun is gone on with
        layouts.sort_by_key(|layout| noted.as_ref().is_none_or(|noted| noted.target.weights != layout.file));
        let job = Job { store: self, line, site, name: &source.name, introduction, key: &key, watch };
        let mut missing = None;
        for layout in &layouts {
            let manifest = match self.whole(&job, layout).await {
                // of several answers the one about the file that most models have
                Err(error) if lacks(&error, layout) => {
                    missing.get_or_insert(error);
                    continue;
                }
                manifest => manifest?,
            };
            return Ok(Held::new(key, manifest, lock));
        }
        // a hub that lists nothing to try has been refused before
        Err(missing.unwrap_or_else(|| Error::NoWeights(String::new())))
    }

    /// Downloads the weights of one layout, from the beginning again where they change meanwhile.
    async fn whole<C: Control>(&self, job: &Job<'_, W, S, D, C>, layout: &Layout) -> Result<Manifest> {
        for _ in 0..=RESTARTS {
            match job.download(layout).await {
                Ok(manifest) => return Ok(manifest),
                Err(Halt::Failed(error)) => return Err(error),
                Err(Halt::Spoiled(error)) => {
                    self.storage.delete(job.key).await?;
                    return Err(error.into());
                }
                Err(Halt::Changed | Halt::NoRanges) => self.storage.delete(job.key).await?,
            }
        }
        Err(StoreError::Changing { what: layout.file.into(), host: job.site.host().into() }.into())
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

/// Whether an error says that the source has not the file of weights, or the index, of a layout.
pub(super) fn lacks(error: &Error, layout: &Layout) -> bool {
    matches!(error, Error::Store(StoreError::NotThere { what, .. }) if what == layout.file)
}

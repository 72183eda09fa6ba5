//! What this device keeps: found, listed, built into a model, checked again, deleted.

use sha2::{Digest, Sha256};

use super::Store;
use super::address::{CONFIG, Site, hex};
use super::fetch::Held;
use super::journal::{self, JOURNAL, Noted};
use super::manifest::{FileFacts, Manifest, Provenance};
use super::storage::{Device, Storage, StoredFile};
use super::verify::{self, BLOCK_BYTES};
use super::watch::{Meter, Watch};
use super::wire::Wire;
use crate::engine::Control;
use crate::error::{Error, Result, StoreError};
use crate::model::load::has_head;
use crate::model::pytorch::{self, Bytes};
use crate::model::safetensors;
use crate::model::small::{BESIDE_CONFIG, SmallFiles};
use crate::model::{Config, Model, ModelLoader, Sink};
use crate::protocol::{Kept, KeptModel, Stage, WeightDtype};

impl<W: Wire, S: Storage, D: Device> Store<W, S, D> {
    /// A whole model of `site`, the newest where there are several commits of it.
    ///
    /// # Errors
    /// What reading fails with; so for all of these.
    pub async fn find(&self, site: &Site) -> Result<Option<(String, Manifest)>> {
        let mut found: Option<(String, Manifest)> = None;
        for key in self.storage.folders().await? {
            let Some(manifest) = self.manifest(&key).await?.filter(|manifest| is_of(&manifest.provenance, site)) else {
                continue;
            };
            if found.as_ref().is_none_or(|(_, other)| other.date_ms < manifest.date_ms) {
                found = Some((key, manifest));
            }
        }
        Ok(found)
    }

    /// Every model that is kept, whole or in part, and the room there is.
    ///
    /// # Errors
    /// What reading fails with.
    pub async fn kept(&self) -> Result<Kept> {
        let mut models = Vec::new();
        for key in self.storage.folders().await? {
            models.extend(self.kept_model(&key).await?);
        }
        models.sort_by(|a, b| (&a.name, &a.commit, &a.key).cmp(&(&b.name, &b.commit, &b.key)));
        Ok(Kept { models, room: self.device.room().await })
    }

    /// None for a folder in which nothing has begun.
    async fn kept_model(&self, key: &str) -> Result<Option<KeptModel>> {
        if let Some(manifest) = self.manifest(key).await? {
            return Ok(Some(manifest.kept(key)));
        }
        let noted = self.storage.read(key, JOURNAL).await?.and_then(|text| journal::read(&text));
        Ok(noted.map(|noted| in_part(key, noted)))
    }

    /// Deletes a model, once no other tab uses it; gives back what is kept then.
    ///
    /// # Errors
    /// [`StoreError::NotKept`] where there is none of that name.
    pub async fn forget<C: Control>(&self, key: &str, watch: &Watch<'_, C>) -> Result<Kept> {
        for key in self.keys(key).await? {
            let (_lock, _) = self.hold(&key, watch).await?;
            self.storage.delete(&key).await?;
        }
        self.kept().await
    }

    /// The folders that a key names, or a model's name: then the newest first.
    async fn keys(&self, text: &str) -> Result<Vec<String>> {
        if self.storage.folders().await?.iter().any(|folder| folder == text) {
            return Ok(vec![text.to_owned()]);
        }
        let mut models = self.kept().await?.models;
        models.retain(|model| model.name == text);
        models.sort_by_key(|model| std::cmp::Reverse(model.date_ms));
        if models.is_empty() {
            return Err(StoreError::NotKept { what: text.to_owned() }.into());
        }
        Ok(models.into_iter().map(|model| model.key).collect())
    }

    /// Hashes a model's files again. What isn't as it was written down is deleted.
    ///
    /// # Errors
    /// [`StoreError::NotKept`], [`StoreError::WrongHash`].
    pub async fn verify<C: Control>(&self, key: &str, watch: &Watch<'_, C>) -> Result<KeptModel> {
        let key = &self.keys(key).await?[0];
        let (lock, manifest) = self.hold(key, watch).await?;
        let manifest = manifest.ok_or_else(|| StoreError::NotKept { what: key.to_owned() })?;
        let held = Held::new(key.to_owned(), manifest, lock);
        self.small_files(&held).await?;
        let files = self.weights(&held).await?;
        let all = files.iter().map(|(_, facts)| facts.bytes).sum();
        let meter = Meter::new(watch, &self.device, Stage::Checking, self.named(&held), all);
        let mut before = 0;
        for (file, facts) in &files {
            let FileFacts { bytes, ref sha256, ref name, .. } = **facts;
            let on_bytes = |hashed: u64| meter.tell(before + hashed);
            let found = verify::hash(&self.line(watch), file, bytes, || bytes, on_bytes).await?;
            if found != *sha256 {
                let (what, expected) = (name.clone(), sha256.clone());
                drop(files);
                self.storage.delete(key).await?;
                return Err(StoreError::WrongHash { what, expected, found }.into());
            }
            before += bytes;
        }
        Ok(held.manifest.kept(key))
    }

    /// Builds a kept model, its weights as `dtype` in `sink`.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] where a file isn't as long, or a small one not the same, as it was written down; what
    /// [`ModelLoader`] finds wrong.
    pub async fn build<C: Control, K: Sink>(
        &self,
        held: &Held<D::Lock>,
        dtype: WeightDtype,
        sink: K,
        watch: &Watch<'_, C>,
    ) -> Result<Model<K>> {
        let mut loader = ModelLoader::from_files(&self.small_files(held).await?, dtype, sink)?;
        let files = self.weights(held).await?;
        if held.manifest.is_in_parts()
            && let Some(head) = any_has_head(&files).await
        {
            loader.foresee(head);
        }
        let all = files.iter().map(|(_, facts)| facts.bytes).sum();
        let meter = Meter::new(watch, &self.device, Stage::Reading, self.named(held), all);
        let mut block = vec![0; BLOCK_BYTES];
        let mut before = 0;
        for (file, FileFacts { name, bytes, .. }) in &files {
            let contents = match name.ends_with(".bin") {
                true => Some(pytorch::contents(&Stored(file), *bytes).await.map_err(|error| error.in_file(name))?),
                false => None,
            };
            loader.begin(name, *bytes, contents, held.manifest.is_in_parts())?;
            let mut at = 0;
            while at < *bytes {
                let block = &mut block[..(bytes - at).min(BLOCK_BYTES as u64) as usize];
                file.read_at(at, block).await?;
                loader.push(block)?;
                at += block.len() as u64;
                meter.tell(before + at);
                watch.control.breathe().await?;
            }
            before += bytes;
        }
        loader.finish()
    }

    /// What a person calls the weights: their file, or else the model.
    fn named<'a>(&self, held: &'a Held<D::Lock>) -> &'a str {
        let Manifest { provenance, .. } = &held.manifest;
        let is_alone = !held.manifest.is_in_parts();
        held.manifest.weights().next().filter(|_| is_alone).map_or(&provenance.name, |file| &file.name)
    }

    /// A kept model's shape.
    ///
    /// # Errors
    /// As [`Store::build`].
    pub async fn config(&self, held: &Held<D::Lock>) -> Result<Config> {
        Config::from_json(&self.config_json(held).await?)
    }

    async fn config_json(&self, held: &Held<D::Lock>) -> Result<Vec<u8>> {
        match self.small_file(held, CONFIG).await? {
            Some(json) => Ok(json),
            None => Err(self.damaged(held).await?),
        }
    }

    async fn small_files(&self, held: &Held<D::Lock>) -> Result<SmallFiles> {
        let mut small = SmallFiles { config: self.config_json(held).await?, ..SmallFiles::default() };
        for name in BESIDE_CONFIG {
            if let Some(place) = small.place(name) {
                *place = self.small_file(held, name).await?;
            }
        }
        Ok(small)
    }

    /// A small file as it was kept; none where the model has none. A damaged model is deleted.
    async fn small_file(&self, held: &Held<D::Lock>, name: &str) -> Result<Option<Vec<u8>>> {
        let Some(facts) = held.manifest.file(name) else { return Ok(None) };
        let bytes = self.storage.read(&held.key, name).await?;
        match bytes.filter(|bytes| hex(&Sha256::digest(bytes)) == facts.sha256) {
            Some(bytes) => Ok(Some(bytes)),
            None => Err(self.damaged(held).await?),
        }
    }

    /// The files of weights, each as long as it was.
    async fn weights<'a>(&self, held: &'a Held<D::Lock>) -> Result<Vec<(S::File, &'a FileFacts)>> {
        let mut files = Vec::new();
        for facts in held.manifest.weights() {
            let file = self.storage.open(&held.key, &facts.name).await?;
            if file.size().await? != facts.bytes {
                drop((file, files));
                return Err(self.damaged(held).await?);
            }
            files.push((file, facts));
        }
        if files.is_empty() { Err(self.damaged(held).await?) } else { Ok(files) }
    }

    async fn damaged(&self, held: &Held<D::Lock>) -> Result<Error> {
        self.storage.delete(&held.key).await?;
        Ok(StoreError::Damaged { what: held.manifest.provenance.name.clone() }.into())
    }
}

/// Whether any part has a head; unknown where a table of contents can't be read, which is said when the part's turn comes.
async fn any_has_head<F: StoredFile>(parts: &[(F, &FileFacts)]) -> Option<bool> {
    let mut any = false;
    for (file, FileFacts { name, bytes, .. }) in parts {
        let contents = match name.ends_with(".bin") {
            true => pytorch::contents(&Stored(file), *bytes).await,
            false => safetensors::contents(&Stored(file)).await,
        };
        any |= has_head(&contents.ok()?);
    }
    Some(any)
}

/// A kept file, for who reads it from anywhere.
struct Stored<'a, F>(&'a F);

impl<F: StoredFile> Bytes for Stored<'_, F> {
    async fn read_at(&self, at: u64, into: &mut [u8]) -> Result<()> {
        self.0.read_at(at, into).await
    }
}

/// Whether what is kept is what `site` asks for. Where no revision is said, any will do.
fn is_of(kept: &Provenance, site: &Site) -> bool {
    let asked = site.repo.as_ref();
    let is_revision = asked
        .and_then(|repo| repo.revision.as_deref())
        .is_none_or(|revision| kept.commit.as_deref() == Some(revision) || kept.revision.as_deref() == Some(revision));
    kept.base == site.base && kept.repo.as_ref() == asked.map(|repo| &repo.id) && is_revision
}

fn in_part(key: &str, noted: Noted) -> KeptModel {
    KeptModel {
        file_dtype: Some(noted.target.file_dtype),
        bytes: Some(noted.target.bytes),
        bytes_here: noted.spans.total(),
        sha256: noted.target.sha256,
        ..noted.target.provenance.kept(key)
    }
}

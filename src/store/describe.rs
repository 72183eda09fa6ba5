//! What a model is, before its weights are fetched.

use super::Store;
use super::address::{CONFIG, Site, TOKENIZER};
use super::fetch::lacks;
use super::fit;
use super::journal::{self, JOURNAL};
use super::look::{file_dtype, look};
use super::memory::MemoryFile;
use super::remote::{self, Introduction, introduce};
use super::spans::Spans;
use super::storage::{Device, Storage};
use super::transfer::{Facts, Halt, Transfer};
use super::watch::Watch;
use super::wire::Wire;
use crate::engine::Control;
use crate::error::{Error, Result, StoreError};
use crate::model::layout::Layout;
use crate::model::weights::n_parameters;
use crate::model::{Config, Expected};
use crate::protocol::{Beginning, Description, FileOfModel, Source};

impl<W: Wire, S: Storage, D: Device> Store<W, S, D> {
    /// Describes the model at `site` by what is kept of it, or else by its small files and its weights' header, of
    /// which nothing is kept.
    ///
    /// # Errors
    /// As [`Store::fetch`].
    pub async fn describe<C: Control>(
        &self,
        source: &Source,
        site: &Site,
        watch: &Watch<'_, C>,
    ) -> Result<Description> {
        match self.describe_kept(source, site).await? {
            Some(description) => Ok(description),
            None => self.describe_remote(source, site, watch).await,
        }
    }

    async fn describe_kept(&self, source: &Source, site: &Site) -> Result<Option<Description>> {
        let Some((key, manifest)) = self.find(site).await? else { return Ok(None) };
        let Some(config) = self.storage.read(&key, CONFIG).await? else { return Ok(None) };
        let bytes = manifest.bytes();
        let commit = manifest.provenance.commit.clone();
        let has_tokenizer = manifest.file(TOKENIZER).or(manifest.file("vocab.json")).is_some();
        let files = manifest.files.iter().map(|file| file_of(&file.name, file.bytes)).collect();
        let (config, file_dtype) = (Config::from_json(&config)?, manifest.file_dtype);
        let found = Found { config, has_tokenizer, file_dtype, commit, files, beginning: None };
        Ok(Some(self.description(source, site, found, (bytes, bytes), true).await))
    }

    async fn describe_remote<C: Control>(
        &self,
        source: &Source,
        site: &Site,
        watch: &Watch<'_, C>,
    ) -> Result<Description> {
        let line = self.line(watch);
        let introduction = introduce(&line, site).await?;
        let mut missing = None;
        for layout in introduction.layouts()? {
            match self.look_at(&layout, site, &introduction, watch).await {
                // the first answer says what most models have, so it is the one to tell
                Err(error) if lacks(&error, &layout) => {
                    missing.get_or_insert(error);
                }
                weights => return self.described(source, site, introduction, weights?).await,
            }
        }
        // a hub that lists nothing to try has been refused before
        Err(missing.unwrap_or_else(|| Error::NoWeights(String::new())))
    }

    async fn described(
        &self,
        source: &Source,
        site: &Site,
        introduction: Introduction,
        weights: Weights,
    ) -> Result<Description> {
        let commit = introduction.commit.clone();
        let noted = self.storage.read(&site.key(commit.as_deref()), JOURNAL).await?;
        let here = noted.and_then(|text| journal::read(&text)).map_or(0, |noted| noted.spans.total());
        let small = introduction.small.all().map(|(name, bytes)| file_of(name, bytes.len() as u64));
        let files: Vec<_> = small.chain(weights.files).collect();
        let bytes = files.iter().fold(0, |sum: u64, file| sum.saturating_add(file.bytes));
        let found = Found {
            config: introduction.config,
            has_tokenizer: introduction.small.has_tokenizer(),
            file_dtype: weights.file_dtype.unwrap_or("f32").to_owned(),
            commit,
            files,
            beginning: weights.beginning,
        };
        Ok(self.description(source, site, found, (bytes, here), false).await)
    }

    /// What the tables of contents of the files of weights say, nothing of them kept.
    async fn look_at<C: Control>(
        &self,
        layout: &Layout,
        site: &Site,
        introduction: &Introduction,
        watch: &Watch<'_, C>,
    ) -> Result<Weights> {
        let line = self.line(watch);
        let (names, index) = remote::parts(&line, site, introduction, layout).await?;
        let mut expected = Expected::from_files(&introduction.small)?;
        let index = index.map(|index| file_of(layout.file, index.len() as u64));
        let mut weights = Weights { files: index.into_iter().collect(), file_dtype: None, beginning: None };
        weights.beginning = Beginning::of(&expected, &introduction.small);
        for name in names {
            let file = MemoryFile::default();
            let url = site.url(&name, introduction.commit.as_deref());
            let nothing = (Facts::default(), Spans::default());
            let transfer = Transfer::new(&line, &name, (url, site.token()), &file, nothing, &|_| ());
            let contents = look(&transfer, layout, &mut expected).await.map_err(|halt| match halt {
                Halt::Failed(error) => error,
                Halt::Spoiled(error) => error.into(),
                Halt::Changed | Halt::NoRanges => {
                    Error::from(StoreError::Changing { what: name.clone(), host: site.host().into() })
                }
            })?;
            weights.file_dtype = weights.file_dtype.or(file_dtype(&contents.header));
            drop(transfer);
            weights.files.push(file_of(&name, contents.bytes));
        }
        Ok(weights)
    }

    async fn description(
        &self,
        source: &Source,
        site: &Site,
        found: Found,
        (bytes, bytes_here): (u64, u64),
        kept: bool,
    ) -> Description {
        Description {
            name: source.name.clone(),
            parameters: n_parameters(&found.config),
            has_tokenizer: found.has_tokenizer,
            file_dtype: found.file_dtype,
            repo: site.repo.as_ref().map(|repo| repo.id.clone()),
            commit: found.commit,
            bytes,
            bytes_here,
            kept,
            memory: fit::needs(&found.config),
            room: self.device.room().await,
            files: found.files,
            beginning: found.beginning,
            config: found.config,
        }
    }
}

pub(super) fn file_of(name: &str, bytes: u64) -> FileOfModel {
    FileOfModel { name: name.to_owned(), bytes }
}

/// What the weights' headers say.
struct Weights {
    /// The index first.
    files: Vec<FileOfModel>,
    file_dtype: Option<&'static str>,
    beginning: Option<Beginning>,
}

/// What was found out about a model.
struct Found {
    config: Config,
    has_tokenizer: bool,
    file_dtype: String,
    commit: Option<String>,
    files: Vec<FileOfModel>,
    beginning: Option<Beginning>,
}

//! What a model is, before its weights are fetched.

use super::Store;
use super::address::{CONFIG, PICKLE, Site, TOKENIZER, WEIGHTS};
use super::fetch::{Contents, look};
use super::fit;
use super::journal::{self, JOURNAL};
use super::memory::MemoryFile;
use super::remote::{Introduction, introduce};
use super::spans::Spans;
use super::storage::{Device, Storage};
use super::transfer::{Facts, Halt, Transfer};
use super::watch::Watch;
use super::wire::Wire;
use crate::engine::Control;
use crate::error::{Error, Result, StoreError};
use crate::model::Config;
use crate::model::weights::n_parameters;
use crate::protocol::{Description, Source};

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
        let found =
            Found { config: Config::from_json(&config)?, has_tokenizer, file_dtype: manifest.file_dtype, commit };
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
        let commit = introduction.commit.clone();
        let contents = match self.look_at(WEIGHTS, site, &introduction, watch).await {
            // the first answer says what most models have, so it is the one to tell
            Err(first @ Error::Store(StoreError::NotThere { .. })) => {
                match self.look_at(PICKLE, site, &introduction, watch).await {
                    Err(Error::Store(StoreError::NotThere { .. })) => return Err(first),
                    found => found?,
                }
            }
            found => found?,
        };
        let noted = self.storage.read(&site.key(commit.as_deref()), JOURNAL).await?;
        let here = noted.and_then(|text| journal::read(&text)).map_or(0, |noted| noted.spans.total());
        let small: usize = introduction.small.all().map(|(_, bytes)| bytes.len()).sum();
        let found = Found {
            config: introduction.config,
            has_tokenizer: introduction.small.tokenizer.is_some() || introduction.small.vocab.is_some(),
            file_dtype: contents.file_dtype.to_owned(),
            commit,
        };
        Ok(self.description(source, site, found, (contents.bytes + small as u64, here), false).await)
    }

    /// What the table of contents of a file of weights says, nothing of it kept.
    async fn look_at<C: Control>(
        &self,
        weights: &'static str,
        site: &Site,
        introduction: &Introduction,
        watch: &Watch<'_, C>,
    ) -> Result<Contents> {
        let (line, file) = (self.line(watch), MemoryFile::default());
        let url = site.url(weights, introduction.commit.as_deref());
        let nothing = (Facts::default(), Spans::default());
        let transfer = Transfer::new(&line, weights, (url, site.token()), &file, nothing, &|_| ());
        look(&transfer, weights, &file, introduction).await.map_err(|halt| match halt {
            Halt::Failed(error) => error,
            Halt::Spoiled(error) => error.into(),
            Halt::Changed | Halt::NoRanges => {
                Error::from(StoreError::Changing { what: weights.into(), host: site.host().into() })
            }
        })
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
            config: found.config,
        }
    }
}

/// What was found out about a model.
struct Found {
    config: Config,
    has_tokenizer: bool,
    file_dtype: String,
    commit: Option<String>,
}

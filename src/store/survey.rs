//! All that can be said of a model at a hub without its weights, what is wrong with it included.

use super::Store;
use super::address::Site;
use super::fetch::lacks;
use super::look::look;
use super::manifest::one_hash;
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
use crate::model::safetensors::Header;
use crate::model::{Expected, SmallFiles};

/// A model that was looked at.
#[derive(Default)]
pub struct Survey {
    pub small: SmallFiles,
    /// The index of the weights, then each file of them: name, bytes, and what it holds if that can be said.
    pub weights: Vec<(String, u64, Option<Header>)>,
    /// What names the weights, where the hub says it.
    pub hash: Option<String>,
    /// Why the model would be refused, but for what its small files say by themselves.
    pub refused: Vec<Error>,
}

impl<W: Wire, S: Storage, D: Device> Store<W, S, D> {
    /// Looks at the model at `site`: its small files and its weights' headers come, and nothing is kept.
    ///
    /// # Errors
    /// [`StoreError`] where the source doesn't answer, [`Error::Cancelled`].
    pub async fn survey<C: Control>(&self, site: &Site, watch: &Watch<'_, C>) -> Result<Survey> {
        let line = self.line(watch);
        let introduction = match introduce(&line, site).await {
            Err(error @ Error::Config(_)) => return Ok(Survey { refused: vec![error], ..Survey::default() }),
            introduction => introduction?,
        };
        let mut survey = Survey { small: introduction.small.clone(), ..Survey::default() };
        let layouts = match introduction.layouts() {
            Err(error) => {
                survey.refused.push(error);
                return Ok(survey);
            }
            Ok(layouts) => layouts,
        };
        let mut missing = None;
        for layout in &layouts {
            match self.look_through(&mut survey, (layout, site, &introduction), watch).await {
                Err(error) if lacks(&error, layout) => drop(missing.get_or_insert(error)),
                looked => return looked.map(|()| survey),
            }
        }
        survey.refused.extend(missing);
        Ok(survey)
    }

    async fn look_through<C: Control>(
        &self,
        survey: &mut Survey,
        (layout, site, introduction): (&Layout, &Site, &Introduction),
        watch: &Watch<'_, C>,
    ) -> Result<()> {
        let line = self.line(watch);
        let (names, index) = match remote::parts(&line, site, introduction, layout).await {
            Err(error @ Error::WeightsIn { .. }) => {
                survey.refused.push(error);
                return Ok(());
            }
            parts => parts?,
        };
        survey.weights.extend(index.map(|index| (layout.file.to_owned(), index.len() as u64, None)));
        // a damaged tokenizer says nothing of the weights
        let alone = SmallFiles { config: introduction.small.config.clone(), ..SmallFiles::default() };
        let mut expected = Expected::from_files(&alone)?;
        let mut hashes = Vec::new();
        for name in &names {
            let file = MemoryFile::default();
            let url = site.url(name, introduction.commit.as_deref());
            let nothing = (Facts::default(), Spans::default());
            let transfer = Transfer::new(&line, name, (url, site.token()), &file, nothing, &|_| ());
            let looked = look(&transfer, layout, &mut expected).await;
            let said = introduction.facts(name);
            let bytes = transfer.bytes().or(said.bytes).unwrap_or(0);
            hashes.extend(transfer.facts.borrow().sha256.clone().or(said.sha256));
            let header = match looked {
                Ok(contents) => Some(contents.header),
                Err(Halt::Failed(error @ Error::Store(StoreError::NotThere { .. }))) if !layout.is_index => {
                    return Err(error);
                }
                Err(halt) => {
                    survey.refused.push(refusal(halt, name, site)?);
                    None
                }
            };
            survey.weights.push((name.clone(), bytes, header));
        }
        let hashes: Vec<&str> = hashes.iter().map(String::as_str).collect();
        survey.hash = (hashes.len() == names.len()).then(|| one_hash(&hashes));
        Ok(())
    }
}

/// What is wrong with a file; the source's own failures are none of it.
fn refusal(halt: Halt, name: &str, site: &Site) -> Result<Error> {
    match halt {
        Halt::Failed(error @ (Error::Weights(_) | Error::WeightsIn { .. })) => Ok(error),
        Halt::Failed(error @ Error::Store(StoreError::NotThere { .. })) => Ok(error),
        Halt::Failed(error) => Err(error),
        Halt::Spoiled(error) => Ok(error.into()),
        Halt::Changed | Halt::NoRanges => {
            Err(StoreError::Changing { what: name.to_owned(), host: site.host().into() }.into())
        }
    }
}

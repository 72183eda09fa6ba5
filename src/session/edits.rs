//! From edits as text to edits of one run: what they take from other runs is worked out here.

use super::Session;
use crate::analysis::{mean, pair};
use crate::engine::edit::{Edit, EditText, TextChange};
use crate::engine::{BaseRun, Control, Engine, Products};
use crate::error::{Error, Result};
use crate::protocol::Prompt;

/// Where edits take their values from.
#[derive(Clone, Copy)]
pub struct EditSources<'a> {
    /// For `=clean`.
    pub clean: Option<&'a Prompt>,
    /// For `=corrupted`.
    pub corrupted: Option<&'a Prompt>,
    /// For `=mean`.
    pub corpus: &'a [String],
    pub no_bos: bool,
}

impl<E: Engine + Products> Session<E> {
    /// The edits that the texts stand for, in a run of `ids`.
    ///
    /// # Errors
    /// [`Error::BadOption`] for a text that can't be read, or names what this model, prompt or source doesn't have.
    pub(super) async fn edits(
        &self,
        texts: &[String],
        ids: &[u32],
        from: EditSources<'_>,
        control: &impl Control,
    ) -> Result<Vec<Edit>> {
        let config = self.engine.config();
        let mut edits = Vec::with_capacity(texts.len());
        for text in texts {
            let edit: EditText = text.parse()?;
            edit.check(config)?;
            let other = match edit.change {
                TextChange::Clean => from.clean,
                TextChange::Corrupted => from.corrupted,
                _ => None,
            };
            edits.push(match (edit.change, other, from.corpus) {
                (_, Some(other), _) => {
                    let other = self.base(other, from.no_bos, control).await?;
                    let read = self.engine.read(&other, &[edit.site].into_iter().collect(), 0, control).await?;
                    edit.edit_from(config, ids.len(), &pair::counterparts(other.ids(), ids), &read.at(edit.site)?.data)?
                }
                (TextChange::Mean, _, [_, ..]) => {
                    let documents = self.documents(from.corpus, from.no_bos)?;
                    let mean = mean::mean(&self.engine, edit.site, &documents, control).await?;
                    edit.edit_to_mean(config, ids.len(), &mean)?
                }
                _ => edit.edit(config, ids.len())?,
            });
        }
        Ok(edits)
    }

    /// The documents' ids, each cut to the context; empty ones are left out.
    fn documents(&self, corpus: &[String], no_bos: bool) -> Result<Vec<Vec<u32>>> {
        let texts = corpus.iter().filter(|text| !text.is_empty());
        let documents: Vec<_> = texts.map(|text| self.vocabulary.document_ids(text, !no_bos)).collect::<Result<_>>()?;
        if documents.is_empty() {
            let problem = "holds no text, so nothing has a mean over it.".into();
            return Err(Error::BadOption { option: "corpus", problem });
        }
        Ok(documents)
    }
}

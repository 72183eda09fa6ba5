//! Folders of findings that somebody has published: each neuron of such a folder is one small range of one file.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use super::remote::Call;
use super::{Model, address};
use crate::analysis::corpus::folder::{INDEX, Index, Seal, layer_file, parse_index};
use crate::error::{Error, Result};
use crate::protocol::{CorpusNeuronOptions, FolderAnswer, NeuronAnswer};

/// The folders read so far, by address.
#[derive(Default)]
pub struct Published(RefCell<HashMap<String, Rc<Index>>>);

impl Published {
    /// What a folder holds.
    ///
    /// # Errors
    /// [`Error::NotThere`] where there is none, [`Error::Merge`] for a damaged one, [`Error::Unsupported`] for another
    /// model's.
    pub async fn summary(&self, folder: &str, call: &Call, model: &Model) -> Result<FolderAnswer> {
        let index = self.index(folder, call, model).await?;
        Ok(FolderAnswer {
            documents: index.answer.documents,
            positions: index.answer.positions,
            files: index.plan.files.iter().map(|(name, _)| name.clone()).collect(),
            layers: index.plan.layers.iter().copied().collect(),
            studies: index.answer.studies.clone(),
        })
    }

    /// One neuron.
    ///
    /// # Errors
    /// As [`Self::summary`]; [`Error::BadOption`] if its layer isn't there.
    pub async fn neuron(
        &self,
        folder: &str,
        options: &CorpusNeuronOptions,
        call: &Call,
        model: &Model,
    ) -> Result<NeuronAnswer> {
        let CorpusNeuronOptions { layer, neuron } = *options;
        let index = self.index(folder, call, model).await?;
        if !index.layers.contains_key(&layer) || neuron >= model.config.d_mlp {
            let problem = format!("L{layer}N{neuron} is not in the published folder.");
            return Err(Error::BadOption { option: "layer", problem });
        }
        // names are made here: an index can't send anybody elsewhere
        let file = layer_file(layer);
        let start = neuron * index.record_bytes;
        let bytes = address::range(&file, &format!("{folder}{file}"), start as u64, index.record_bytes as u64)?;
        let record = Seal::of(&index)?.open((layer, neuron), &bytes, index.plan.top)?;
        Ok(record.answer((layer, neuron), index.answer.positions, &|id| model.text(id)))
    }

    async fn index(&self, folder: &str, call: &Call, model: &Model) -> Result<Rc<Index>> {
        let known = self.0.borrow().get(folder).cloned();
        let index = match known {
            Some(index) => index,
            None => {
                let index = Rc::new(parse_index(&address::whole(INDEX, &format!("{folder}{INDEX}"))?)?);
                self.0.borrow_mut().insert(folder.to_owned(), index.clone());
                index
            }
        };
        if index.plan.model != model.config || index.plan.weights != call.hash().await? {
            return Err(Error::Unsupported("The published folder was made with another model's weights.".into()));
        }
        Ok(index)
    }
}

//! The loaded model as a pass over a corpus sees it.

use super::Session;
use crate::analysis::corpus::Findings;
use crate::analysis::corpus::subject::{Here, Part};
use crate::engine::{Engine, Products};
use crate::error::Result;
use crate::model::tokenizer::cuts::Cut;
use crate::protocol::{Bins, CorpusAnswer};

impl<E: Engine + Products> Session<E> {
    /// The model under study.
    pub fn subject(&self) -> Here<'_, E> {
        Here { engine: &self.engine, vocabulary: &self.vocabulary }
    }

    /// What a pass has found about its pairs.
    pub fn corpus_answer(&self, findings: &Findings, bins: Bins) -> CorpusAnswer {
        findings.answer(bins, &|id| self.vocabulary.text(id))
    }

    /// Where the tokenizer's texts may be cut.
    pub fn cut(&self) -> Cut {
        self.vocabulary.cut()
    }

    /// A part of a document as tokens.
    ///
    /// # Errors
    /// [`Error::NoTokenizer`](crate::error::Error::NoTokenizer); tokens that the model lacks.
    pub fn piece_ids(&self, part: &Part) -> Result<Vec<u32>> {
        self.vocabulary.piece_ids(&part.text, part.bos)
    }

    /// Every token's text, by id.
    pub fn token_texts(&self) -> Vec<String> {
        (0..self.engine.config().vocab_size as u32).map(|id| self.vocabulary.text(id)).collect()
    }
}

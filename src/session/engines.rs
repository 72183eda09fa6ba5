//! The one place that names the engines there are: a session on whichever of them a person chose.

use candle_core::Tensor;

use super::Session;
use crate::analysis::corpus::Findings;
use crate::analysis::corpus::subject::{Part, Subject, Watch};
use crate::engine::cpu::CpuEngine;
#[cfg(not(target_arch = "wasm32"))]
use crate::engine::reference::ReferenceEngine;
use crate::engine::{Control, Engine};
use crate::error::Result;
use crate::model::tokenizer::cuts::Cut;
use crate::model::{Config, Model, Sink, Tensors, Weights};
use crate::protocol::{Answer, Bins, CorpusAnswer, Event, ModelInfo, Origin, Request};

/// What a model can run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EngineKind {
    #[default]
    Cpu,
    /// The slow one, which others are held against. Not in the browser: nobody needs its bytes there.
    #[cfg(not(target_arch = "wasm32"))]
    Reference,
}

impl EngineKind {
    /// As people and answers write it.
    pub fn name(self) -> &'static str {
        match self {
            EngineKind::Cpu => "cpu",
            #[cfg(not(target_arch = "wasm32"))]
            EngineKind::Reference => "reference",
        }
    }

    /// Where a model that will run on it is loaded into.
    pub fn sink(self) -> AnySink {
        match self {
            EngineKind::Cpu => AnySink::Cpu(Tensors::new()),
            #[cfg(not(target_arch = "wasm32"))]
            EngineKind::Reference => AnySink::Reference(Tensors::new()),
        }
    }
}

/// The weights of a model that is being loaded, at the engine that will run it.
pub enum AnySink {
    Cpu(Tensors),
    #[cfg(not(target_arch = "wasm32"))]
    Reference(Tensors),
}

impl Sink for AnySink {
    fn put(&mut self, name: &str, tensor: Tensor) -> Result<()> {
        match self {
            AnySink::Cpu(tensors) => tensors.put(name, tensor),
            #[cfg(not(target_arch = "wasm32"))]
            AnySink::Reference(tensors) => tensors.put(name, tensor),
        }
    }
}

/// A loaded model on one of the engines.
pub enum AnySession {
    Cpu(Session<CpuEngine>),
    #[cfg(not(target_arch = "wasm32"))]
    Reference(Session<ReferenceEngine>),
}

/// The same expression for every engine.
macro_rules! on_each {
    ($any:expr, $session:ident => $what:expr) => {
        match $any {
            AnySession::Cpu($session) => $what,
            #[cfg(not(target_arch = "wasm32"))]
            AnySession::Reference($session) => $what,
        }
    };
}

impl AnySession {
    /// On the engine into whose sink the model was loaded.
    ///
    /// # Errors
    /// [`crate::error::Error::Weights`] naming the first tensor that is missing.
    pub fn new(name: String, model: Model<AnySink>) -> Result<Self> {
        let Model { config, vocabulary, weights, notes } = model;
        Ok(match weights {
            AnySink::Cpu(mut tensors) => {
                let weights = Weights::from_tensors(&config, &mut tensors)?;
                Self::cpu(name, Model { config, vocabulary, weights, notes })
            }
            #[cfg(not(target_arch = "wasm32"))]
            AnySink::Reference(mut tensors) => {
                let weights = Weights::from_tensors(&config, &mut tensors)?;
                AnySession::Reference(Session::new(name, ReferenceEngine::new(config, weights), vocabulary, notes))
            }
        })
    }

    /// On the processor, from weights that are in memory.
    pub fn cpu(name: String, model: Model) -> Self {
        let Model { config, vocabulary, weights, notes } = model;
        AnySession::Cpu(Session::new(name, CpuEngine::new(config, weights), vocabulary, notes))
    }

    pub fn kind(&self) -> EngineKind {
        match self {
            AnySession::Cpu(_) => EngineKind::Cpu,
            #[cfg(not(target_arch = "wasm32"))]
            AnySession::Reference(_) => EngineKind::Reference,
        }
    }

    /// Remembers where the model came from.
    pub fn from_origin(mut self, origin: Option<Origin>) -> Self {
        on_each!(&mut self, session => session.origin = origin);
        self
    }

    pub fn info(&self) -> ModelInfo {
        on_each!(self, session => session.info())
    }

    /// As [`Session::answer`].
    ///
    /// # Errors
    /// As there.
    pub async fn answer(
        &self,
        request: &Request,
        control: &impl Control,
        on_event: impl FnMut(Event),
    ) -> Result<Answer> {
        on_each!(self, session => session.answer(request, control, on_event).await)
    }

    /// As [`Session::weights_hash`].
    ///
    /// # Errors
    /// As there.
    pub async fn weights_hash(&self, control: &impl Control) -> Result<String> {
        on_each!(self, session => session.weights_hash(control).await)
    }

    /// As [`Session::corpus_answer`].
    pub fn corpus_answer(&self, findings: &Findings, bins: Bins) -> CorpusAnswer {
        on_each!(self, session => session.corpus_answer(findings, bins))
    }

    /// As [`Session::piece_ids`].
    ///
    /// # Errors
    /// As there.
    pub fn piece_ids(&self, part: &Part) -> Result<Vec<u32>> {
        on_each!(self, session => session.piece_ids(part))
    }

    /// As [`Session::token_texts`].
    pub fn token_texts(&self) -> Vec<String> {
        on_each!(self, session => session.token_texts())
    }
}

/// The model under study.
impl Subject for &AnySession {
    fn config(&self) -> &Config {
        on_each!(self, session => session.engine.config())
    }

    fn cut(&self) -> Cut {
        on_each!(self, session => session.subject().cut())
    }

    async fn hash(&self) -> Result<String> {
        on_each!(self, session => session.subject().hash().await)
    }

    async fn token(&self, text: &str) -> Result<u32> {
        on_each!(self, session => session.subject().token(text).await)
    }

    async fn ids(&self, parts: &[Part]) -> Result<Vec<Vec<u32>>> {
        on_each!(self, session => session.subject().ids(parts).await)
    }

    async fn look(
        &self,
        prompts: &[&[u32]],
        watch: &Watch,
        control: &impl Control,
        on_layer: impl FnMut(usize, &[f32]),
    ) -> Result<Vec<Option<u32>>> {
        on_each!(self, session => session.subject().look(prompts, watch, control, on_layer).await)
    }
}

//! The engines that a person can choose, and a session on whichever was chosen. With [`crate::engine::any`] the one place that
//! names them.

use candle_core::Tensor;

use super::{Session, check};
use crate::engine::any::{AnyEngine, CardEngine};
use crate::engine::cpu::CpuEngine;
#[cfg(not(target_arch = "wasm32"))]
use crate::engine::reference::ReferenceEngine;
use crate::engine::{Control, Engine};
use crate::error::{Error, Result};
use crate::model::weights::parameters;
use crate::model::{Config, Model, Sink, Tensors, Weights};

/// What a model can run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EngineKind {
    #[default]
    Cpu,
    /// The graphics card.
    Gpu,
    /// The slow one, which others are held against. Not in the browser: nobody needs its bytes there.
    #[cfg(not(target_arch = "wasm32"))]
    Reference,
}

impl EngineKind {
    /// As people and answers write it.
    pub fn name(self) -> &'static str {
        match self {
            EngineKind::Cpu => "cpu",
            EngineKind::Gpu => "gpu",
            #[cfg(not(target_arch = "wasm32"))]
            EngineKind::Reference => "reference",
        }
    }

    /// Where a model that will run on it is loaded into; `card` opens the graphics card.
    ///
    /// # Errors
    /// What `card` fails with.
    pub fn sink(self, card: impl FnOnce() -> Result<Box<dyn CardSink>>) -> Result<AnySink> {
        Ok(match self {
            EngineKind::Cpu => AnySink::Cpu(Tensors::new()),
            EngineKind::Gpu => AnySink::Card(card()?),
            #[cfg(not(target_arch = "wasm32"))]
            EngineKind::Reference => AnySink::Reference(Tensors::new()),
        })
    }
}

/// A card that takes a model's weights.
pub trait CardSink: Sink {
    /// The engine of all that was put.
    ///
    /// # Errors
    /// [`crate::error::Error::Weights`] naming the first tensor that is missing; from the card.
    fn engine(self: Box<Self>, config: Config) -> Result<CardEngine>;
}

/// The weights of a model that is being loaded, at the engine that will run it.
pub enum AnySink {
    Cpu(Tensors),
    Card(Box<dyn CardSink>),
    #[cfg(not(target_arch = "wasm32"))]
    Reference(Tensors),
}

impl Sink for AnySink {
    fn put(&mut self, name: &str, tensor: Tensor) -> Result<()> {
        match self {
            AnySink::Cpu(tensors) => tensors.put(name, tensor),
            AnySink::Card(card) => card.put(name, tensor),
            #[cfg(not(target_arch = "wasm32"))]
            AnySink::Reference(tensors) => tensors.put(name, tensor),
        }
    }
}

/// A loaded model on one of the engines.
pub type AnySession = Session<AnyEngine>;

impl AnySession {
    /// On the engine into whose sink the model was loaded.
    ///
    /// # Errors
    /// [`crate::error::Error::Weights`] naming the first tensor that is missing.
    pub fn of(name: String, model: Model<AnySink>) -> Result<Self> {
        let Model { config, vocabulary, weights, notes } = model;
        let engine = match weights {
            AnySink::Cpu(mut tensors) => {
                let weights = Weights::from_tensors(&config, &mut tensors)?;
                AnyEngine::Cpu(CpuEngine::new(config, weights))
            }
            AnySink::Card(card) => AnyEngine::Card(card.engine(config)?),
            #[cfg(not(target_arch = "wasm32"))]
            AnySink::Reference(mut tensors) => {
                let weights = Weights::from_tensors(&config, &mut tensors)?;
                AnyEngine::Reference(ReferenceEngine::new(config, weights))
            }
        };
        Ok(Session::new(name, engine, vocabulary, notes))
    }

    /// On the processor, from weights that are in memory.
    pub fn cpu(name: String, model: Model) -> Self {
        let Model { config, vocabulary, weights, notes } = model;
        Session::new(name, AnyEngine::Cpu(CpuEngine::new(config, weights)), vocabulary, notes)
    }

    /// The same model on the card, once the card was seen to compute what the processor does. Runs beside whatever the
    /// processor goes on answering.
    ///
    /// # Errors
    /// [`Error::Card`] where it doesn't, or from the card; [`Error::Unsupported`] for a model that isn't on the processor.
    pub async fn move_to(&self, mut card: Box<dyn CardSink>, control: &impl Control) -> Result<AnySession> {
        let AnyEngine::Cpu(cpu) = &self.engine else {
            return Err(Error::Unsupported("Only what is on the processor can move to the card.".into()));
        };
        for (name, _) in parameters(cpu.config()) {
            if let Some(tensor) = cpu.weights().tensor(&name) {
                card.put(&name, tensor.clone())?;
            }
            control.breathe().await?;
        }
        let engine = AnyEngine::Card(card.engine(cpu.config().clone())?);
        check::agree(&engine, &self.engine, control).await?;
        Ok(self.on(engine))
    }

    pub fn kind(&self) -> EngineKind {
        match self.engine {
            AnyEngine::Cpu(_) => EngineKind::Cpu,
            AnyEngine::Card(_) => EngineKind::Gpu,
            #[cfg(not(target_arch = "wasm32"))]
            AnyEngine::Reference(_) => EngineKind::Reference,
        }
    }
}

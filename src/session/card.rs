//! The graphics card where it is in the same program: on a command line.

use std::collections::HashMap;
use std::rc::Rc;

use candle_core::Tensor;

use super::CardSink;
use crate::engine::any::CardEngine;
use crate::engine::complete;
use crate::engine::gpu::device::{Choice, Device, Extent};
use crate::engine::gpu::{Card, GpuEngine, Matrix};
use crate::error::Result;
use crate::model::{Config, Sink};

/// Weights on their way to the card.
struct OnCard {
    card: Rc<Card>,
    matrices: HashMap<String, Matrix>,
}

/// Opens the card: whichever there is, for who asks for it was told to use it.
///
/// # Errors
/// [`crate::error::Error::NoCard`].
pub fn open() -> Result<Box<dyn CardSink>> {
    let device = complete(Device::open(Choice::Any, Extent::Own))?;
    Ok(Box::new(OnCard { card: Rc::new(Card::new(device)), matrices: HashMap::new() }))
}

impl Sink for OnCard {
    fn put(&mut self, name: &str, tensor: Tensor) -> Result<()> {
        self.matrices.insert(name.to_owned(), Matrix::upload(&self.card, &tensor)?);
        Ok(())
    }
}

impl CardSink for OnCard {
    fn engine(self: Box<Self>, config: Config) -> Result<CardEngine> {
        GpuEngine::of(self.card, config, self.matrices)
    }
}

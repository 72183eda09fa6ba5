//! Where a model's weights go while they are read. Each engine has a place of its own for them, so that none is held twice,
//! and no model is ever whole on the way to where it stays.

use std::collections::HashMap;

use candle_core::Tensor;

use crate::error::Result;

/// Takes a model's parameters, each as soon as it is whole and settled.
pub trait Sink {
    /// Takes the parameter of this canonical name, in the shape that [`parameters`](super::weights::parameters) says: a
    /// vector in f32, a matrix in f32 or as [lifted](super::f16_bits) f16. Each comes once, in whatever order the files
    /// have; nobody else holds the tensor, so that its memory is free as soon as the sink drops it.
    ///
    /// # Errors
    /// What ends the loading: that there is no room for it, say.
    fn put(&mut self, name: &str, tensor: Tensor) -> Result<()>;
}

/// Parameters as they came, by canonical name: what engines on the processor make their [`Weights`](super::Weights) of.
pub type Tensors = HashMap<String, Tensor>;

impl Sink for Tensors {
    fn put(&mut self, name: &str, tensor: Tensor) -> Result<()> {
        self.insert(name.to_owned(), tensor);
        Ok(())
    }
}

/// Keeps nothing, for who asks only what a model's files decide.
impl Sink for () {
    fn put(&mut self, _: &str, _: Tensor) -> Result<()> {
        Ok(())
    }
}

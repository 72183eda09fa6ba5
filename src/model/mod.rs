//! What a GPT-2 is: its shape, its tokenizer, its weights and the file they lie in.

pub mod config;
mod convert;
pub mod f16_bits;
pub mod load;
pub mod safetensors;
pub mod tokenizer;
pub mod weights;
mod words;

pub use config::Config;
pub use load::{Model, ModelLoader};
pub use tokenizer::{Tokenizer, Vocabulary};
pub use weights::{WeightDtype, Weights};

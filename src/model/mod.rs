//! What a GPT-2 is: its shape, its tokenizer, its weights and the file they lie in.

pub mod config;
mod convert;
mod crc;
pub mod expected;
pub mod f16_bits;
pub mod layout;
pub mod load;
pub mod pytorch;
mod reading;
pub mod rows;
pub mod safetensors;
mod settle;
pub mod sink;
pub mod small;
pub mod tokenizer;
pub mod variant;
pub mod weights;
mod words;

pub use config::Config;
pub use expected::Expected;
pub use load::{Model, ModelLoader};
pub use sink::{Sink, Tensors};
pub use small::SmallFiles;
pub use tokenizer::{Tokenizer, Vocabulary};
pub use variant::{Activation, Variant};
pub use weights::{WeightDtype, Weights};

//! The questions one can ask a model, each written once against the engine's trait.

pub mod attribute;
pub mod bench;
pub mod congruence;
pub mod corpus;
pub mod generate;
pub mod intervene;
pub mod logit_lens;
pub mod mean;
pub mod neurons;
pub mod pair;
pub mod patch;
pub mod predict;
mod sample;
pub mod tables;

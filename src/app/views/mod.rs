//! The page's parts, one a file, in the order in which they stand on it.

pub mod bench;
pub mod congruence;
pub mod corpus;
pub mod engine;
pub mod frame;
pub mod offline;
pub mod notice;
pub mod model;
pub mod models;
pub mod life;
pub mod loading;
pub mod prompt;
pub mod tokens;
pub mod predictions;
pub mod pair;
pub mod lens;
pub mod lens_table;
pub mod lens_grid;
pub mod prompts;
pub mod maps;
pub mod layers;
pub mod neurons;
pub mod neuron_card;
pub mod edits;
pub mod edit_row;
pub mod generate;

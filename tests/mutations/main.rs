//! Files that are damaged, or written to do harm: a typed error or what the file holds, never a panic, not even a caught
//! one (in the page, where panics end the program, nothing catches it), never more than 20 s, and memory that stays within
//! three times the file and 64 MB.
//!
//! `MUTATIONS=100000 cargo test --test mutations -- --nocapture` tries so many inputs in all and prints what they came to;
//! `MUTATION_SEED=N` tries others.
#![cfg(not(target_arch = "wasm32"))]

mod chance; // what is done to files
#[path = "../common/mod.rs"]
mod common;
mod kept; // checkpoints, tables, published folders
mod links;
#[path = "../common/memory.rs"]
mod memory;
mod models; // config, weights, index
mod pickles;
mod samples; // tokenizers of every kind
mod small; // the small files beside a model's weights
mod texts;
mod tokenizers;
mod watch; // panics, time, memory

//! The loops that the engine spends its time in, over plain slices, row-major: activations are f32, weights f32
//! or f16 ([`weight::Weight`]).
//!
//! What is added up with what depends on the shapes alone, never on the number of threads, so that one thread and many give
//! the same bits.
//!
//! They are never inlined: a browser runs every function slowly until it has seen it work for a while, so each loop should
//! exist once and not in every caller.

pub mod activation;
pub mod attention;
pub mod lanes;
pub mod matmul;
pub mod micro;
#[cfg(not(target_arch = "wasm32"))]
pub mod native;
pub mod norm;
pub mod panel;
pub mod scan;
pub mod stream;
pub mod transposed;
pub mod weight;

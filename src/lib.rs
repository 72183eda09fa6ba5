//! Peartree runs GPT-2 in the reader's browser and lets them look inside it.
//!
//! Data flows one way, in this order; a module may use what stands above it, never what stands below.

pub mod error; // what can go wrong, said for a person
pub mod model; // what a GPT-2 is: config, tokenizer, weights
pub mod engine; // runs it: sites, base runs, batches
pub mod protocol; // what page and worker say to each other
pub mod link; // the page's state as text, and back
pub mod documents; // texts out of files, one after the other
pub mod analysis; // the questions: predict, logit lens, generate
pub mod store; // gets models from hubs, keeps them, finds them again
pub mod session; // a loaded model that answers requests
#[cfg(not(target_arch = "wasm32"))]
pub mod cli; // the command line
#[cfg(all(target_arch = "wasm32", feature = "card"))]
pub mod card; // the engine on the graphics card, for the worker to use
#[cfg(target_arch = "wasm32")]
pub mod worker; // owns the session in the browser: queue, event loop, downloads
#[cfg(target_arch = "wasm32")]
pub mod reader; // reads texts beside the worker, and counts
#[cfg(all(target_arch = "wasm32", feature = "page"))]
pub mod app; // the page: layout only, computes nothing

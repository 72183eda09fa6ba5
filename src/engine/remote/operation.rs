//! What is said between an engine and who uses it from another program.

use std::collections::BTreeSet;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::engine::edit::Edit;
use crate::engine::products::{Block, TokenRows};
use crate::engine::site::Site;
use crate::engine::{Activation, Direction, Ends, FinalNorm, Gradients, Readings, TopToken};
use crate::error::{Error, Result};

/// A run or a cache at the other side.
pub type Handle = u32;
/// An operation that is under way.
pub type CallId = u32;

/// From who uses the engine.
#[derive(Debug, Serialize, Deserialize)]
pub enum Word {
    Begin(CallId, Operation),
    /// It may take its next step.
    GoOn(CallId),
    /// It is no longer wanted. Nothing is answered.
    Stop(CallId),
    /// A run or a cache that is no longer used. Nothing is answered.
    Forget(Handle),
}

/// How far an operation has come.
#[derive(Debug, Serialize, Deserialize)]
pub enum Step {
    /// It looks at its control.
    Breath,
    Shown(Shown),
    Done(Reply),
    Failed {
        code: String,
        message: String,
    },
}

/// What comes on the way.
#[derive(Debug, Serialize, Deserialize)]
pub enum Shown {
    Ends(Vec<usize>, Ends),
    Differences(Vec<usize>, Vec<f32>),
    Neurons(usize, Vec<f32>),
}

/// One operation of [`crate::engine::Engine`] or [`crate::engine::Products`], with what it is given.
#[derive(Debug, Serialize, Deserialize)]
pub enum Operation {
    Parameter(String, Range<usize>),
    LastResid(Vec<Vec<u32>>, Vec<Vec<Edit>>),
    Neurons(Vec<Vec<u32>>, BTreeSet<usize>, bool),
    Base(Handle, Vec<u32>),
    Read(Handle, Vec<Site>, usize),
    Resume(Handle, Vec<Vec<Edit>>),
    Sweep(Handle, Vec<Vec<Edit>>, (u32, u32)),
    Gradients(Handle, (u32, u32), (usize, usize)),
    Extend(Handle, Vec<u32>, Vec<Edit>),
    Unembed(Activation, Norm),
    UnembedTopK(Activation, Norm, usize),
    LikeliestAmong(Activation, Vec<u32>),
    LogProbs(Activation, Vec<u32>),
    Direction(u32, u32),
    NeuronWrites(usize, Vec<f32>),
    HeadWrites(usize, Vec<f32>),
    ValueBias(usize),
    InputColumn(usize, usize),
    TokenProducts(TokenRows, Vec<f32>),
    Project(TokenRows, Block, Range<usize>),
}

/// What an operation comes to.
#[derive(Debug, Serialize, Deserialize)]
pub enum Reply {
    Nothing,
    Floats(Vec<f32>),
    Activation(Activation),
    Readings(Readings),
    Gradients(Gradients),
    Ends(Ends),
    Tops(Vec<Vec<TopToken>>),
    Tokens(Vec<Option<u32>>),
    Direction(Direction),
}

/// [`FinalNorm`] with scales of its own.
#[derive(Debug, Serialize, Deserialize)]
pub enum Norm {
    Own,
    Frozen(Vec<f32>),
}

impl From<FinalNorm<'_>> for Norm {
    fn from(norm: FinalNorm<'_>) -> Self {
        match norm {
            FinalNorm::Own => Norm::Own,
            FinalNorm::Frozen(scales) => Norm::Frozen(scales.to_vec()),
        }
    }
}

impl Norm {
    pub fn as_final(&self) -> FinalNorm<'_> {
        match self {
            Norm::Own => FinalNorm::Own,
            Norm::Frozen(scales) => FinalNorm::Frozen(scales),
        }
    }
}

impl From<&Error> for Step {
    fn from(error: &Error) -> Self {
        Step::Failed { code: error.code().to_owned(), message: error.to_string() }
    }
}

/// As bytes.
///
/// # Errors
/// Never, of what is here.
pub fn write(what: &impl Serialize) -> Result<Vec<u8>> {
    postcard::to_stdvec(what).map_err(|_| garbled())
}

/// From bytes.
///
/// # Errors
/// [`Error::Card`] for what isn't one.
pub fn read<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T> {
    postcard::from_bytes(bytes).map_err(|_| garbled())
}

/// What one program says and the other doesn't understand: they are of different versions.
pub fn garbled() -> Error {
    Error::Card("Its program doesn't belong to this page. Reload it.".into())
}

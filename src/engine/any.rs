//! Any of the engines there are, so that what asks need not be there once for each. Beside [`crate::session::EngineKind`] the
//! one place that names them. In a browser the card's engine is another program's, and nobody needs the reference.

use std::collections::BTreeSet;
use std::ops::Range;

use super::cpu::CpuEngine;
use super::edit::Edit;
use super::products::{Block, Products, TokenRows};
#[cfg(not(target_arch = "wasm32"))]
use super::reference::ReferenceEngine;
use super::{
    Activation, BaseRun, Control, Direction, Ends, Engine, Extremes, FinalNorm, Gradients, Readings, SiteSet, TopToken,
};
use crate::error::{Error, Result};
use crate::model::{Config, WeightDtype};

/// The graphics card's.
#[cfg(not(target_arch = "wasm32"))]
pub type CardEngine = super::gpu::GpuEngine;
#[cfg(target_arch = "wasm32")]
pub type CardEngine = super::remote::RemoteEngine;

pub enum AnyEngine {
    Cpu(CpuEngine),
    Card(CardEngine),
    #[cfg(not(target_arch = "wasm32"))]
    Reference(ReferenceEngine),
}

/// A run of one of them.
pub enum AnyBase {
    Cpu(<CpuEngine as Engine>::Base),
    Card(<CardEngine as Engine>::Base),
    #[cfg(not(target_arch = "wasm32"))]
    Reference(<ReferenceEngine as Engine>::Base),
}

/// A cache of one of them.
pub enum AnyCache {
    Cpu(<CpuEngine as Engine>::Cache),
    Card(<CardEngine as Engine>::Cache),
    #[cfg(not(target_arch = "wasm32"))]
    Reference(<ReferenceEngine as Engine>::Cache),
}

/// The same expression for every engine.
macro_rules! on_each {
    ($any:expr, $engine:ident => $what:expr) => {
        match $any {
            AnyEngine::Cpu($engine) => $what,
            AnyEngine::Card($engine) => $what,
            #[cfg(not(target_arch = "wasm32"))]
            AnyEngine::Reference($engine) => $what,
        }
    };
}

/// The same expression for every engine and what is its own of `$kind`.
macro_rules! on_own {
    ($kind:ident, $any:expr, $thing:expr, ($engine:ident, $own:ident) => $what:expr) => {
        match ($any, $thing) {
            (AnyEngine::Cpu($engine), $kind::Cpu($own)) => $what,
            (AnyEngine::Card($engine), $kind::Card($own)) => $what,
            #[cfg(not(target_arch = "wasm32"))]
            (AnyEngine::Reference($engine), $kind::Reference($own)) => $what,
            _ => Err(Error::Unsupported("This run is another engine's.".into())),
        }
    };
}

impl BaseRun for AnyBase {
    fn ids(&self) -> &[u32] {
        match self {
            AnyBase::Cpu(base) => base.ids(),
            AnyBase::Card(base) => base.ids(),
            #[cfg(not(target_arch = "wasm32"))]
            AnyBase::Reference(base) => base.ids(),
        }
    }
}

impl Engine for AnyEngine {
    type Base = AnyBase;
    type Cache = AnyCache;

    fn config(&self) -> &Config {
        on_each!(self, engine => engine.config())
    }

    fn dtype(&self) -> WeightDtype {
        on_each!(self, engine => engine.dtype())
    }

    fn threads(&self) -> usize {
        on_each!(self, engine => engine.threads())
    }

    async fn parameter(&self, name: &str, rows: Range<usize>) -> Result<Vec<f32>> {
        on_each!(self, engine => engine.parameter(name, rows).await)
    }

    async fn last_resid(&self, rows: &[&[u32]], edits: &[Vec<Edit>], control: &impl Control) -> Result<Activation> {
        on_each!(self, engine => engine.last_resid(rows, edits, control).await)
    }

    async fn neurons(
        &self,
        prompts: &[&[u32]],
        layers: &BTreeSet<usize>,
        to_end: bool,
        control: &impl Control,
        on_layer: impl FnMut(usize, &[f32]),
    ) -> Result<Activation> {
        on_each!(self, engine => engine.neurons(prompts, layers, to_end, control, on_layer).await)
    }

    async fn base(
        &self,
        ids: &[u32],
        like: Option<&AnyBase>,
        keep: &SiteSet,
        control: &impl Control,
    ) -> Result<AnyBase> {
        // one of another engine is of no use
        match (self, like) {
            (AnyEngine::Cpu(engine), like) => {
                let like = like.and_then(|like| if let AnyBase::Cpu(like) = like { Some(like) } else { None });
                engine.base(ids, like, keep, control).await.map(AnyBase::Cpu)
            }
            (AnyEngine::Card(engine), _) => engine.base(ids, None, keep, control).await.map(AnyBase::Card),
            #[cfg(not(target_arch = "wasm32"))]
            (AnyEngine::Reference(engine), _) => engine.base(ids, None, keep, control).await.map(AnyBase::Reference),
        }
    }

    async fn read(&self, base: &AnyBase, sites: &SiteSet, from: usize, control: &impl Control) -> Result<Readings> {
        on_own!(AnyBase, self, base, (engine, base) => engine.read(base, sites, from, control).await)
    }

    async fn resume(
        &self,
        base: &AnyBase,
        runs: &[Vec<Edit>],
        control: &impl Control,
        on_done: impl FnMut(&[usize], Ends),
    ) -> Result<()> {
        on_own!(AnyBase, self, base, (engine, base) => engine.resume(base, runs, control, on_done).await)
    }

    async fn sweep(
        &self,
        base: &AnyBase,
        runs: &[Vec<Edit>],
        tokens: (u32, u32),
        control: &impl Control,
        on_done: impl FnMut(&[usize], &[f32]),
    ) -> Result<()> {
        on_own!(AnyBase, self, base, (engine, base) => engine.sweep(base, runs, tokens, control, on_done).await)
    }

    async fn gradients(
        &self,
        base: &AnyBase,
        tokens: (u32, u32),
        from: (usize, usize),
        control: &impl Control,
    ) -> Result<Gradients> {
        on_own!(AnyBase, self, base, (engine, base) => engine.gradients(base, tokens, from, control).await)
    }

    fn cache(&self) -> AnyCache {
        match self {
            AnyEngine::Cpu(engine) => AnyCache::Cpu(engine.cache()),
            AnyEngine::Card(engine) => AnyCache::Card(engine.cache()),
            #[cfg(not(target_arch = "wasm32"))]
            AnyEngine::Reference(engine) => AnyCache::Reference(engine.cache()),
        }
    }

    async fn extend(&self, cache: &mut AnyCache, ids: &[u32], edits: &[Edit], control: &impl Control) -> Result<Ends> {
        on_own!(AnyCache, self, cache, (engine, cache) => engine.extend(cache, ids, edits, control).await)
    }

    async fn unembed(&self, resid: &Activation, norm: FinalNorm<'_>, control: &impl Control) -> Result<Activation> {
        on_each!(self, engine => engine.unembed(resid, norm, control).await)
    }

    async fn unembed_topk(
        &self,
        resid: &Activation,
        norm: FinalNorm<'_>,
        k: usize,
        control: &impl Control,
    ) -> Result<Vec<Vec<TopToken>>> {
        on_each!(self, engine => engine.unembed_topk(resid, norm, k, control).await)
    }

    async fn likeliest_among(
        &self,
        resid: &Activation,
        tokens: &[u32],
        control: &impl Control,
    ) -> Result<Vec<Option<u32>>> {
        on_each!(self, engine => engine.likeliest_among(resid, tokens, control).await)
    }

    async fn logprobs(&self, resid: &Activation, targets: &[u32], control: &impl Control) -> Result<Vec<f32>> {
        on_each!(self, engine => engine.logprobs(resid, targets, control).await)
    }

    async fn direction(&self, tokens: (u32, u32)) -> Result<Direction> {
        on_each!(self, engine => engine.direction(tokens).await)
    }

    async fn neuron_writes(&self, layer: usize, direction: &[f32]) -> Result<Vec<f32>> {
        on_each!(self, engine => engine.neuron_writes(layer, direction).await)
    }

    async fn head_writes(&self, layer: usize, direction: &[f32]) -> Result<Vec<f32>> {
        on_each!(self, engine => engine.head_writes(layer, direction).await)
    }

    async fn value_bias(&self, layer: usize) -> Result<Vec<f32>> {
        on_each!(self, engine => engine.value_bias(layer).await)
    }
}

impl Products for AnyEngine {
    async fn input_column(&self, layer: usize, neuron: usize) -> Result<Vec<f32>> {
        on_each!(self, engine => engine.input_column(layer, neuron).await)
    }

    async fn token_products(&self, of: TokenRows, direction: &[f32]) -> Result<Vec<f32>> {
        on_each!(self, engine => engine.token_products(of, direction).await)
    }

    async fn project(&self, of: TokenRows, block: &Block, tokens: Range<usize>) -> Result<Vec<f32>> {
        on_each!(self, engine => engine.project(of, block, tokens).await)
    }

    async fn project_topk(
        &self,
        of: TokenRows,
        block: &Block,
        tokens: Range<usize>,
        by_token: &mut Extremes,
        by_row: &mut Extremes,
    ) -> Result<()> {
        on_each!(self, engine => engine.project_topk(of, block, tokens, by_token, by_row).await)
    }
}

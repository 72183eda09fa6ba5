//! The engine as who uses it from another program has it.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::ops::Range;
use std::rc::Rc;

use super::Line;
use super::host::failure;
use super::operation::{Handle, Operation, Reply, Shown, Step, Word, garbled, read, write};
use crate::engine::edit::Edit;
use crate::engine::products::{Block, Products, TokenRows};
use crate::engine::{
    Activation, BaseRun, Control, Direction, Ends, Engine, FinalNorm, Gradients, Readings, SiteSet, TopToken, Unhurried,
};
use crate::error::Result;
use crate::model::{Config, WeightDtype};

/// An engine at the other end of a line.
pub struct RemoteEngine {
    config: Config,
    dtype: WeightDtype,
    line: Rc<dyn Line>,
    /// Numbers for calls, runs and caches: each is given once.
    next: Cell<u32>,
}

/// A run that is kept at the other end.
pub struct RemoteBase {
    ids: Vec<u32>,
    kept: Kept,
}

/// A cache that is kept at the other end.
pub struct RemoteCache(Kept);

/// Something at the other end, which is let go of here.
struct Kept {
    handle: Handle,
    line: Rc<dyn Line>,
}

impl Drop for Kept {
    fn drop(&mut self) {
        // a number and a tag can always be written
        self.line.tell(write(&Word::Forget(self.handle)).unwrap_or_default());
    }
}

impl BaseRun for RemoteBase {
    fn ids(&self) -> &[u32] {
        &self.ids
    }
}

/// Stops the operation at the other end if nobody waits for it any longer.
struct Asked<'a> {
    id: u32,
    line: &'a dyn Line,
    is_over: bool,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            self.line.tell(write(&Word::Stop(self.id)).unwrap_or_default());
        }
    }
}

/// The reply of one kind; another is another program's.
macro_rules! expect {
    ($reply:expr, $kind:ident) => {
        match $reply {
            Reply::$kind(what) => Ok(what),
            _ => Err(garbled()),
        }
    };
}

impl RemoteEngine {
    /// Around a line to a host of an engine that has the model.
    pub fn new(config: Config, dtype: WeightDtype, line: Rc<dyn Line>) -> Self {
        RemoteEngine { config, dtype, line, next: Cell::new(0) }
    }

    fn number(&self) -> u32 {
        self.next.replace(self.next.get().wrapping_add(1))
    }

    fn keep(&self) -> Kept {
        Kept { handle: self.number(), line: self.line.clone() }
    }

    /// Has an operation carried out.
    async fn ask(
        &self,
        operation: Operation,
        control: &impl Control,
        on_shown: &mut dyn FnMut(Shown),
    ) -> Result<Reply> {
        let mut asked = Asked { id: self.number(), line: &*self.line, is_over: false };
        let mut word = Word::Begin(asked.id, operation);
        loop {
            let step = self.line.step(write(&word)?).await;
            match read(&step?)? {
                Step::Breath => control.breathe().await?,
                Step::Shown(shown) => on_shown(shown),
                Step::Done(reply) => {
                    asked.is_over = true;
                    return Ok(reply);
                }
                Step::Failed { code, message } => {
                    asked.is_over = true;
                    return Err(failure(code, message));
                }
            }
            word = Word::GoOn(asked.id);
        }
    }

    /// One that shows nothing on the way.
    async fn plain(&self, operation: Operation, control: &impl Control) -> Result<Reply> {
        self.ask(operation, control, &mut |_| ()).await
    }
}

fn lists(rows: &[&[u32]]) -> Vec<Vec<u32>> {
    rows.iter().map(|row| row.to_vec()).collect()
}

impl Engine for RemoteEngine {
    type Base = RemoteBase;
    type Cache = RemoteCache;

    fn config(&self) -> &Config {
        &self.config
    }

    fn dtype(&self) -> WeightDtype {
        self.dtype
    }

    fn threads(&self) -> usize {
        1
    }

    async fn parameter(&self, name: &str, rows: Range<usize>) -> Result<Vec<f32>> {
        expect!(self.plain(Operation::Parameter(name.to_owned(), rows), &Unhurried).await?, Floats)
    }

    async fn last_resid(&self, rows: &[&[u32]], edits: &[Vec<Edit>], control: &impl Control) -> Result<Activation> {
        expect!(self.plain(Operation::LastResid(lists(rows), edits.to_vec()), control).await?, Activation)
    }

    async fn neurons(
        &self,
        prompts: &[&[u32]],
        layers: &BTreeSet<usize>,
        to_end: bool,
        control: &impl Control,
        mut on_layer: impl FnMut(usize, &[f32]),
    ) -> Result<Activation> {
        let operation = Operation::Neurons(lists(prompts), layers.clone(), to_end);
        let mut on_shown = |shown| {
            if let Shown::Neurons(layer, rows) = shown {
                on_layer(layer, &rows);
            }
        };
        expect!(self.ask(operation, control, &mut on_shown).await?, Activation)
    }

    async fn base(
        &self,
        ids: &[u32],
        _: Option<&RemoteBase>,
        _: &SiteSet,
        control: &impl Control,
    ) -> Result<RemoteBase> {
        let kept = self.keep();
        self.plain(Operation::Base(kept.handle, ids.to_vec()), control).await?;
        Ok(RemoteBase { ids: ids.to_vec(), kept })
    }

    async fn read(&self, base: &RemoteBase, sites: &SiteSet, from: usize, control: &impl Control) -> Result<Readings> {
        let operation = Operation::Read(base.kept.handle, sites.iter().collect(), from);
        expect!(self.plain(operation, control).await?, Readings)
    }

    async fn resume(
        &self,
        base: &RemoteBase,
        runs: &[Vec<Edit>],
        control: &impl Control,
        mut on_done: impl FnMut(&[usize], Ends),
    ) -> Result<()> {
        let mut on_shown = |shown| {
            if let Shown::Ends(places, ends) = shown {
                on_done(&places, ends);
            }
        };
        self.ask(Operation::Resume(base.kept.handle, runs.to_vec()), control, &mut on_shown).await?;
        Ok(())
    }

    async fn sweep(
        &self,
        base: &RemoteBase,
        runs: &[Vec<Edit>],
        tokens: (u32, u32),
        control: &impl Control,
        mut on_done: impl FnMut(&[usize], &[f32]),
    ) -> Result<()> {
        let mut on_shown = |shown| {
            if let Shown::Differences(places, differences) = shown {
                on_done(&places, &differences);
            }
        };
        self.ask(Operation::Sweep(base.kept.handle, runs.to_vec(), tokens), control, &mut on_shown).await?;
        Ok(())
    }

    async fn gradients(
        &self,
        base: &RemoteBase,
        tokens: (u32, u32),
        from: (usize, usize),
        control: &impl Control,
    ) -> Result<Gradients> {
        expect!(self.plain(Operation::Gradients(base.kept.handle, tokens, from), control).await?, Gradients)
    }

    fn cache(&self) -> RemoteCache {
        RemoteCache(self.keep())
    }

    async fn extend(
        &self,
        cache: &mut RemoteCache,
        ids: &[u32],
        edits: &[Edit],
        control: &impl Control,
    ) -> Result<Ends> {
        expect!(self.plain(Operation::Extend(cache.0.handle, ids.to_vec(), edits.to_vec()), control).await?, Ends)
    }

    async fn unembed(&self, resid: &Activation, norm: FinalNorm<'_>, control: &impl Control) -> Result<Activation> {
        expect!(self.plain(Operation::Unembed(resid.clone(), norm.into()), control).await?, Activation)
    }

    async fn unembed_topk(
        &self,
        resid: &Activation,
        norm: FinalNorm<'_>,
        k: usize,
        control: &impl Control,
    ) -> Result<Vec<Vec<TopToken>>> {
        expect!(self.plain(Operation::UnembedTopK(resid.clone(), norm.into(), k), control).await?, Tops)
    }

    async fn likeliest_among(
        &self,
        resid: &Activation,
        tokens: &[u32],
        control: &impl Control,
    ) -> Result<Vec<Option<u32>>> {
        expect!(self.plain(Operation::LikeliestAmong(resid.clone(), tokens.to_vec()), control).await?, Tokens)
    }

    async fn logprobs(&self, resid: &Activation, targets: &[u32], control: &impl Control) -> Result<Vec<f32>> {
        expect!(self.plain(Operation::LogProbs(resid.clone(), targets.to_vec()), control).await?, Floats)
    }

    async fn direction(&self, tokens: (u32, u32)) -> Result<Direction> {
        expect!(self.plain(Operation::Direction(tokens.0, tokens.1), &Unhurried).await?, Direction)
    }

    async fn neuron_writes(&self, layer: usize, direction: &[f32]) -> Result<Vec<f32>> {
        expect!(self.plain(Operation::NeuronWrites(layer, direction.to_vec()), &Unhurried).await?, Floats)
    }

    async fn head_writes(&self, layer: usize, direction: &[f32]) -> Result<Vec<f32>> {
        expect!(self.plain(Operation::HeadWrites(layer, direction.to_vec()), &Unhurried).await?, Floats)
    }

    async fn value_bias(&self, layer: usize) -> Result<Vec<f32>> {
        expect!(self.plain(Operation::ValueBias(layer), &Unhurried).await?, Floats)
    }
}

impl Products for RemoteEngine {
    async fn input_column(&self, layer: usize, neuron: usize) -> Result<Vec<f32>> {
        expect!(self.plain(Operation::InputColumn(layer, neuron), &Unhurried).await?, Floats)
    }

    async fn token_products(&self, of: TokenRows, direction: &[f32]) -> Result<Vec<f32>> {
        expect!(self.plain(Operation::TokenProducts(of, direction.to_vec()), &Unhurried).await?, Floats)
    }

    async fn project(&self, of: TokenRows, block: &Block, tokens: Range<usize>) -> Result<Vec<f32>> {
        expect!(self.plain(Operation::Project(of, block.clone(), tokens), &Unhurried).await?, Floats)
    }
}

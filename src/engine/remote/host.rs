//! Carries out, on an engine, what another program asks for.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;

use super::operation::{CallId, Handle, Operation, Reply, Shown, Step, Word, garbled, read, write};
use crate::engine::{Control, Engine, Products, SiteSet};
use crate::error::{Error, Result};

type Work = Pin<Box<dyn Future<Output = Result<Reply>>>>;

/// An engine, and what another program has of it.
pub struct Host<E: Engine> {
    things: Rc<Things<E>>,
    calls: RefCell<HashMap<CallId, Call>>,
}

struct Things<E: Engine> {
    engine: E,
    bases: RefCell<HashMap<Handle, Rc<E::Base>>>,
    caches: RefCell<HashMap<Handle, E::Cache>>,
}

/// An operation under way.
struct Call {
    work: Work,
    steps: Steps,
}

/// What an operation has come to since it was last looked at.
#[derive(Clone, Default)]
struct Steps(Rc<RefCell<VecDeque<Step>>>);

impl Steps {
    fn show(&self, shown: Shown) {
        self.0.borrow_mut().push_back(Step::Shown(shown));
    }
}

impl Control for Steps {
    /// Goes on when the other program says so: it asks for the next step only then.
    async fn breathe(&self) -> Result<()> {
        self.0.borrow_mut().push_back(Step::Breath);
        let mut is_back = false;
        poll_fn(|_| if std::mem::replace(&mut is_back, true) { Poll::Ready(()) } else { Poll::Pending }).await;
        Ok(())
    }
}

impl<E: Engine + Products + 'static> Host<E> {
    pub fn new(engine: E) -> Self {
        let things = Things { engine, bases: RefCell::default(), caches: RefCell::default() };
        Host { things: Rc::new(things), calls: RefCell::default() }
    }

    /// Takes a [`Word`]; the [`Step`] that it leads to, or nothing where there is nothing to say.
    pub async fn step(&self, word: &[u8]) -> Vec<u8> {
        let step = match read(word) {
            Ok(Word::Begin(id, operation)) => self.begin(id, operation).await,
            Ok(Word::GoOn(id)) => self.go_on(id).await,
            Ok(Word::Stop(id)) => {
                self.calls.borrow_mut().remove(&id);
                return Vec::new();
            }
            Ok(Word::Forget(handle)) => {
                self.things.bases.borrow_mut().remove(&handle);
                self.things.caches.borrow_mut().remove(&handle);
                return Vec::new();
            }
            Err(error) => Step::from(&error),
        };
        write(&step).unwrap_or_default()
    }

    async fn begin(&self, id: CallId, operation: Operation) -> Step {
        let (steps, things) = (Steps::default(), self.things.clone());
        let own = steps.clone();
        let work = Box::pin(async move { things.carry_out(operation, &own).await });
        self.next(id, Call { work, steps }).await
    }

    async fn go_on(&self, id: CallId) -> Step {
        let call = self.calls.borrow_mut().remove(&id);
        match call {
            Some(call) => self.next(id, call).await,
            None => Step::from(&garbled()),
        }
    }

    /// The operation's next step. What it shows comes before what it does next.
    async fn next(&self, id: CallId, mut call: Call) -> Step {
        let waiting = call.steps.0.borrow_mut().pop_front();
        let step = match waiting {
            Some(step) => step,
            None => {
                poll_fn(|context| {
                    let done = call.work.as_mut().poll(context);
                    if let Poll::Ready(result) = done {
                        let end = result.map_or_else(|error| Step::from(&error), Step::Done);
                        call.steps.0.borrow_mut().push_back(end);
                    }
                    let first = call.steps.0.borrow_mut().pop_front();
                    first.map_or(Poll::Pending, Poll::Ready)
                })
                .await
            }
        };
        if !matches!(step, Step::Done(_) | Step::Failed { .. }) {
            self.calls.borrow_mut().insert(id, call);
        }
        step
    }
}

impl<E: Engine + Products> Things<E> {
    fn base(&self, handle: Handle) -> Result<Rc<E::Base>> {
        self.bases.borrow().get(&handle).cloned().ok_or_else(garbled)
    }

    async fn carry_out(&self, operation: Operation, steps: &Steps) -> Result<Reply> {
        let engine = &self.engine;
        match operation {
            Operation::Parameter(name, rows) => Ok(Reply::Floats(engine.parameter(&name, rows).await?)),
            Operation::LastResid(rows, edits) => {
                let rows: Vec<&[u32]> = rows.iter().map(Vec::as_slice).collect();
                Ok(Reply::Activation(engine.last_resid(&rows, &edits, steps).await?))
            }
            Operation::Neurons(prompts, layers, to_end) => {
                let prompts: Vec<&[u32]> = prompts.iter().map(Vec::as_slice).collect();
                let on_layer = |layer, rows: &[f32]| steps.show(Shown::Neurons(layer, rows.to_vec()));
                Ok(Reply::Activation(engine.neurons(&prompts, &layers, to_end, steps, on_layer).await?))
            }
            Operation::Base(handle, ids) => {
                let base = engine.base(&ids, None, &SiteSet::none(), steps).await?;
                self.bases.borrow_mut().insert(handle, Rc::new(base));
                Ok(Reply::Nothing)
            }
            Operation::Read(base, sites, from) => {
                let sites = sites.into_iter().collect();
                Ok(Reply::Readings(engine.read(&*self.base(base)?, &sites, from, steps).await?))
            }
            Operation::Resume(base, runs) => {
                let on_done = |places: &[usize], ends| steps.show(Shown::Ends(places.to_vec(), ends));
                engine.resume(&*self.base(base)?, &runs, steps, on_done).await?;
                Ok(Reply::Nothing)
            }
            Operation::Sweep(base, runs, tokens) => {
                let on_done = |places: &[usize], found: &[f32]| {
                    steps.show(Shown::Differences(places.to_vec(), found.to_vec()));
                };
                engine.sweep(&*self.base(base)?, &runs, tokens, steps, on_done).await?;
                Ok(Reply::Nothing)
            }
            Operation::Gradients(base, tokens, from) => {
                Ok(Reply::Gradients(engine.gradients(&*self.base(base)?, tokens, from, steps).await?))
            }
            Operation::Extend(handle, ids, edits) => {
                let known = self.caches.borrow_mut().remove(&handle);
                let mut cache = known.unwrap_or_else(|| engine.cache());
                let ends = engine.extend(&mut cache, &ids, &edits, steps).await;
                // also where it failed: who asked goes on from what it held
                self.caches.borrow_mut().insert(handle, cache);
                Ok(Reply::Ends(ends?))
            }
            Operation::Unembed(resid, norm) => {
                Ok(Reply::Activation(engine.unembed(&resid, norm.as_final(), steps).await?))
            }
            Operation::UnembedTopK(resid, norm, k) => {
                Ok(Reply::Tops(engine.unembed_topk(&resid, norm.as_final(), k, steps).await?))
            }
            Operation::LikeliestAmong(resid, tokens) => {
                Ok(Reply::Tokens(engine.likeliest_among(&resid, &tokens, steps).await?))
            }
            Operation::LogProbs(resid, targets) => Ok(Reply::Floats(engine.logprobs(&resid, &targets, steps).await?)),
            Operation::Direction(first, second) => Ok(Reply::Direction(engine.direction((first, second)).await?)),
            Operation::NeuronWrites(layer, along) => Ok(Reply::Floats(engine.neuron_writes(layer, &along).await?)),
            Operation::HeadWrites(layer, along) => Ok(Reply::Floats(engine.head_writes(layer, &along).await?)),
            Operation::ValueBias(layer) => Ok(Reply::Floats(engine.value_bias(layer).await?)),
            Operation::InputColumn(layer, neuron) => Ok(Reply::Floats(engine.input_column(layer, neuron).await?)),
            Operation::TokenProducts(of, along) => Ok(Reply::Floats(engine.token_products(of, &along).await?)),
            Operation::Project(of, block, tokens) => Ok(Reply::Floats(engine.project(of, &block, tokens).await?)),
        }
    }
}

/// What a failure at the other side is here.
pub fn failure(code: String, message: String) -> Error {
    match &code[..] {
        "cancelled" => Error::Cancelled,
        _ => Error::Told { code, message },
    }
}

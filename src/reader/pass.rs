//! A pass over documents: reports how far it is, and keeps what it has counted, to go on from.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use web_time::Instant;

use super::address::Address;
use super::remote::{Call, Remote};
use super::{Desk, Model, dataset, keep as kept};
use crate::analysis::corpus::plan::{Plan, Shards};
use crate::analysis::corpus::{Findings, Pass};
use crate::documents::{self, Documents, Source};
use crate::engine::Control;
use crate::error::{Error, Result};
use crate::protocol::{Bins, CorpusAnswer, CorpusNeuronOptions, CorpusOptions, CorpusProgress, DataFile, NeuronAnswer};
use crate::worker::pace::go_round;

/// Between two reports, and between two answers.
const REPORT_MS: u128 = 200;
const ANSWER_MS: u128 = 1500;
/// Between two checkpoints; and writing them takes no more than this share of the time.
const CHECKPOINT_MS: u128 = 5000;
const CHECKPOINT_SHARE: u128 = 20;
/// Reading goes on for this long between two looks at the event loop.
const SLICE_MS: u128 = 12;

/// [`ReaderTask::Pass`](crate::protocol::ReaderTask::Pass).
pub(super) struct PassTask {
    pub files: Vec<DataFile>,
    pub options: CorpusOptions,
    pub resume: bool,
    pub keep: bool,
}

impl Desk {
    /// Makes a whole pass. What it has found is kept: at the end for [`Self::neuron`], and on the way, and when it is
    /// stopped, to go on from.
    pub(super) async fn pass(&self, call: &Rc<Call>, model: &Model, task: PassTask) -> Result<CorpusAnswer> {
        let PassTask { files, options, resume, keep } = task;
        let sources = open(files).await?;
        let names: Vec<(String, u64)> =
            sources.iter().map(|source| (source.name().to_owned(), source.len_bytes())).collect();
        let bytes = names.iter().map(|(_, bytes)| bytes).sum::<u64>().max(1);
        let subject = Remote::new(call.clone(), &model.config, model.cut);
        let plan = Plan::new(&subject, &options, names).await?;
        fits(&plan)?;
        let before = if resume { self.before(&plan).await } else { Ok(None) };
        let before = before.unwrap_or_else(|error| {
            call.tell(serde_json::to_string(&begun_anew(&error)).unwrap_or_default());
            None
        });
        let answer = |findings: &Findings| findings.answer(options.bins, &|id| model.text(id));
        let documents = Documents::new(sources).under(plan.text_key.clone());
        let so_far = before.as_ref().map_or((0, 0), |findings| (findings.documents, findings.positions));
        let control = Pace {
            call: call.clone(),
            since: Cell::new(Instant::now()),
            clock: RefCell::new(Clock::new(so_far.1)),
            so_far: Cell::new(so_far),
            read: documents.read_bytes(),
            bytes,
        };
        let mut pass = Pass::new(subject, documents, (plan, Shards::all()), before)?;
        let stepped = loop {
            match pass.step(&control).await {
                Ok(true) => {}
                Ok(false) => break Ok(()),
                Err(error) => break Err(error),
            }
            if keep && control.clock.borrow_mut().is_time_to_keep() {
                let is_kept = kept::put(pass.findings()).await;
                control.clock.borrow_mut().has_kept(is_kept);
            }
            control.so_far.set((pass.findings().documents, pass.findings().positions));
            let is_time = control.clock.borrow_mut().is_time_for_answer();
            control.tell(is_time.then(|| answer(pass.findings())));
        };
        let findings = Rc::new(pass.finish());
        if keep {
            self.findings.replace(Some(findings.clone()));
            // also at the end: another reader may have to answer for this one
            kept::put(&findings).await;
        }
        stepped.map(|()| answer(&findings))
    }

    /// What an earlier pass of this plan has found.
    async fn before(&self, plan: &Plan) -> Result<Option<Findings>> {
        let last = self.findings.borrow().as_ref().filter(|last| last.plan == *plan).cloned();
        match last {
            Some(last) => Ok(Some((*last).clone())),
            None => Ok(kept::get().await?.filter(|kept| kept.plan == *plan)),
        }
    }

    /// What the last pass has found; by a reader before this one, perhaps.
    async fn last(&self, call: &Call, model: &Model) -> Result<Option<Rc<Findings>>> {
        if self.findings.borrow().is_none()
            && let Some(kept) = kept::get().await?.filter(|kept| kept.plan.model == model.config)
            && kept.plan.weights == call.hash().await?
        {
            self.findings.replace(Some(Rc::new(kept)));
        }
        Ok(self.findings.borrow().clone())
    }

    /// The pairs of the pass made last, in other bins.
    pub(super) async fn again(&self, bins: Bins, call: &Call, model: &Model) -> Result<CorpusAnswer> {
        let findings = self.last(call, model).await?;
        let answer = findings.map(|findings| findings.answer(bins, &|id| model.text(id)));
        answer.ok_or_else(|| Error::Unsupported("No text has been read yet. Read one first.".into()))
    }

    /// One neuron of the pass made last.
    pub(super) async fn neuron(
        &self,
        options: &CorpusNeuronOptions,
        call: &Call,
        model: &Model,
    ) -> Result<NeuronAnswer> {
        let CorpusNeuronOptions { layer, neuron } = *options;
        let findings = self.last(call, model).await?;
        let found = findings.and_then(|f| f.neuron(layer, neuron, &|id| model.text(id)));
        found.ok_or_else(|| Error::BadOption {
            option: "layer",
            problem: format!("L{layer}N{neuron} was not watched in the last pass. Run corpus with its layer first."),
        })
    }
}

/// What is told before the first text, where what was kept of an earlier pass is damaged.
fn begun_anew(error: &Error) -> CorpusProgress {
    CorpusProgress {
        documents: 0,
        positions: 0,
        share: 0.0,
        tokens_per_second: 0.0,
        seconds_left: None,
        is_kept: false,
        lost: Some(error.to_string()),
        answer: None,
    }
}

/// Bytes that one kept context takes, and one neuron without any.
const CONTEXT_BYTES: usize = 330;
const NEURON_BYTES: usize = 500;
/// Of the 4 GiB that this program can have, what its findings may take.
const MOST_BYTES: usize = 3 << 30;

/// That what the plan asks for can be held here.
fn fits(plan: &Plan) -> Result<()> {
    let bytes = plan.layers.len() * plan.model.d_mlp * (plan.top * CONTEXT_BYTES + NEURON_BYTES);
    if bytes <= MOST_BYTES {
        return Ok(());
    }
    let problem = format!(
        "would take {} GB here, and a page has 3: choose fewer layers or a smaller top, or use the command line.",
        bytes >> 30
    );
    Err(Error::BadOption { option: "layers", problem })
}

/// Opens files; a data set on a hub is several.
async fn open(files: Vec<DataFile>) -> Result<Vec<Rc<dyn Source>>> {
    let mut sources: Vec<Rc<dyn Source>> = Vec::new();
    for file in files {
        let parts = if file.is_dataset { dataset::files(&file).await? } else { vec![file] };
        for part in parts {
            sources.push(Rc::new(Address::open(&part.name, &part.url)?));
        }
    }
    Ok(sources)
}

/// Under which keys the first of the files has texts.
pub(super) async fn keys(files: Vec<DataFile>) -> Result<Vec<String>> {
    open(files.into_iter().take(1).collect()).await?.into_iter().next().map_or(Ok(Vec::new()), documents::keys)
}

/// Lets the event loop run during long work, tells how far it is, and stops when the call is cancelled.
struct Pace {
    call: Rc<Call>,
    since: Cell<Instant>,
    clock: RefCell<Clock>,
    /// Documents and positions that are counted.
    so_far: Cell<(u64, u64)>,
    /// Bytes read, of how many.
    read: Rc<Cell<u64>>,
    bytes: u64,
}

impl Pace {
    /// Tells it if it is time, or if there is an answer to tell.
    fn tell(&self, answer: Option<CorpusAnswer>) {
        let share = (self.read.get() as f64 / self.bytes as f64).min(1.0);
        if let Some(progress) = self.clock.borrow_mut().progress(self.so_far.get(), share, answer) {
            self.call.tell(serde_json::to_string(&progress).unwrap_or_default());
        }
    }
}

impl Control for Pace {
    async fn breathe(&self) -> Result<()> {
        if self.since.get().elapsed().as_millis() >= SLICE_MS {
            // also through long stretches without a text
            self.tell(None);
            go_round().await;
            self.since.set(Instant::now());
        }
        if self.call.is_cancelled() { Err(Error::Cancelled) } else { Ok(()) }
    }
}

/// Tells now and then how far a pass is.
struct Clock {
    start: Instant,
    /// Positions there were before.
    before: u64,
    told: Instant,
    answered: Instant,
    kept: Instant,
    /// How long the last checkpoint took to write.
    keeping_ms: u128,
    is_kept: bool,
}

impl Clock {
    fn new(before: u64) -> Self {
        let now = Instant::now();
        Clock { start: now, before, told: now, answered: now, kept: now, keeping_ms: 0, is_kept: false }
    }

    fn progress(
        &mut self,
        (documents, positions): (u64, u64),
        share: f64,
        answer: Option<CorpusAnswer>,
    ) -> Option<CorpusProgress> {
        if answer.is_none() && self.told.elapsed().as_millis() < REPORT_MS {
            return None;
        }
        self.told = Instant::now();
        let seconds = self.start.elapsed().as_secs_f64();
        Some(CorpusProgress {
            documents,
            positions,
            share,
            tokens_per_second: (positions - self.before) as f64 / seconds.max(1e-3),
            seconds_left: (share > 0.0).then(|| seconds / share * (1.0 - share)),
            is_kept: self.is_kept,
            lost: None,
            answer,
        })
    }

    fn is_time_for_answer(&mut self) -> bool {
        let is_time = self.answered.elapsed().as_millis() >= ANSWER_MS;
        if is_time {
            self.answered = Instant::now();
        }
        is_time
    }

    fn is_time_to_keep(&mut self) -> bool {
        let pause = CHECKPOINT_MS.max(self.keeping_ms * CHECKPOINT_SHARE);
        let is_time = self.kept.elapsed().as_millis() >= pause;
        if is_time {
            self.kept = Instant::now();
        }
        is_time
    }

    fn has_kept(&mut self, is_kept: bool) {
        self.keeping_ms = self.kept.elapsed().as_millis();
        (self.kept, self.is_kept) = (Instant::now(), is_kept);
    }
}

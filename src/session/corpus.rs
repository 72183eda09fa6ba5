//! Corpora: options become a plan, and a plan a pass.

use std::collections::BTreeSet;
use std::rc::Rc;

use web_time::Instant;

use super::Session;
use crate::analysis::corpus::plan::{Plan, Shards};
use crate::analysis::corpus::study::Pair;
use crate::analysis::corpus::{Findings, Pass};
use crate::documents::{Documents, Source};
use crate::engine::{Control, CpuEngine, Engine};
use crate::error::{Error, Result};
use crate::protocol::{Answer, Bins, CorpusAnswer, CorpusNeuronOptions, CorpusOptions, CorpusProgress, Event};

impl Session {
    /// What `options` ask for, of `files` (names and sizes).
    ///
    /// # Errors
    /// [`Error::BadOption`] for what this model hasn't got.
    pub fn corpus_plan(&self, options: &CorpusOptions, files: Vec<(String, u64)>) -> Result<Plan> {
        let layers = match &options.layers {
            Some(layers) => self.layers(layers)?.collect(),
            None => BTreeSet::new(),
        };
        let plan = Plan {
            model: self.engine.config().clone(),
            files,
            layers,
            pairs: options.neurons.iter().map(|text| self.neuron_and_token(text)).collect::<Result<_>>()?,
            top: options.top,
            pack: options.pack,
            no_bos: options.no_bos,
            share: options.share,
            seed: options.seed,
        };
        plan.check()?;
        Ok(plan)
    }

    /// Begins a pass, or goes on with one.
    ///
    /// # Errors
    /// As [`Pass::new`].
    pub fn corpus_pass(
        &self,
        documents: Documents,
        plan: (Plan, Shards),
        before: Option<Findings>,
    ) -> Result<Pass<'_, CpuEngine>> {
        Pass::new(&self.engine, &self.vocabulary, documents, plan, before)
    }

    /// Makes a whole pass, telling `on_event` how far it is. What it has found is kept: at the end for
    /// [`Self::corpus_neuron`], and when it is stopped, to go on from.
    ///
    /// # Errors
    /// What is wrong with the options or a file, or from `control`.
    pub async fn corpus(
        &self,
        files: Vec<Rc<dyn Source>>,
        options: &CorpusOptions,
        resume: bool,
        control: &impl Control,
        mut on_event: impl FnMut(Event),
    ) -> Result<Answer> {
        let names = files.iter().map(|file| (file.name().to_owned(), file.len_bytes()));
        let bytes = files.iter().map(|file| file.len_bytes()).sum::<u64>().max(1);
        let plan = self.corpus_plan(options, names.collect())?;
        let before = self.findings.take().filter(|before| resume && before.plan == plan);
        let mut pass = self.corpus_pass(Documents::new(files), (plan, Shards::all()), before)?;
        let mut clock = Clock::new(pass.findings().positions);
        let stepped = loop {
            match pass.step(control).await {
                Ok(true) => {}
                Ok(false) => break Ok(()),
                Err(error) => break Err(error),
            }
            let share = (pass.read_bytes() as f64 / bytes as f64).min(1.0);
            if let Some(mut progress) = clock.progress(pass.findings(), share) {
                progress.answer = clock.is_time_for_answer().then(|| self.corpus_answer(pass.findings(), options.bins));
                on_event(Event::Corpus(progress));
            }
        };
        let findings = pass.finish();
        let answer = self.corpus_answer(&findings, options.bins);
        *self.findings.borrow_mut() = Some(findings);
        stepped.map(|()| Answer::Corpus(answer))
    }

    /// One neuron of the pass made last.
    ///
    /// # Errors
    /// [`Error::BadOption`] if there was none, or its layer wasn't watched.
    pub fn corpus_neuron(&self, options: &CorpusNeuronOptions) -> Result<Answer> {
        let CorpusNeuronOptions { layer, neuron } = *options;
        let findings = self.findings.borrow();
        let found = findings.as_ref().and_then(|f| f.neuron(layer, neuron, &|id| self.vocabulary.text(id)));
        found.map(Answer::CorpusNeuron).ok_or_else(|| Error::BadOption {
            option: "layer",
            problem: format!("L{layer}N{neuron} was not watched in the last pass. Run corpus with its layer first."),
        })
    }

    pub fn corpus_answer(&self, findings: &Findings, bins: Bins) -> CorpusAnswer {
        findings.answer(bins, &|id| self.vocabulary.text(id))
    }

    /// Every token's text, by id.
    pub fn token_texts(&self) -> Vec<String> {
        (0..self.engine.config().vocab_size as u32).map(|id| self.vocabulary.text(id)).collect()
    }

    /// Reads `LAYER:NEURON:TOKEN`.
    fn neuron_and_token(&self, text: &str) -> Result<Pair> {
        let mut parts = text.splitn(3, ':');
        let mut number = || parts.next().and_then(|part| part.trim().parse::<usize>().ok());
        match (number(), number(), parts.next()) {
            (Some(layer), Some(neuron), Some(token)) => {
                Ok(Pair { layer, neuron, token: self.vocabulary.token(token)? })
            }
            _ => Err(Error::BadOption {
                option: "neurons",
                problem: format!("has {text:?}. Write LAYER:NEURON:TOKEN, for example \"31:892: an\" or 31:892:#281."),
            }),
        }
    }
}

/// Tells now and then how far a pass is.
struct Clock {
    start: Instant,
    /// Positions there were before.
    before: u64,
    told: Instant,
    answered: Instant,
}

/// Between two reports, and between two answers.
const REPORT_MS: u128 = 200;
const ANSWER_MS: u128 = 1500;

impl Clock {
    fn new(before: u64) -> Self {
        let now = Instant::now();
        Clock { start: now, before, told: now, answered: now }
    }

    fn progress(&mut self, findings: &Findings, share: f64) -> Option<CorpusProgress> {
        if self.told.elapsed().as_millis() < REPORT_MS {
            return None;
        }
        self.told = Instant::now();
        let seconds = self.start.elapsed().as_secs_f64();
        Some(CorpusProgress {
            documents: findings.documents,
            positions: findings.positions,
            share,
            tokens_per_second: (findings.positions - self.before) as f64 / seconds.max(1e-3),
            seconds_left: (share > 0.0).then(|| seconds / share * (1.0 - share)),
            answer: None,
        })
    }

    fn is_time_for_answer(&mut self) -> bool {
        let is_time = self.answered.elapsed().as_millis() >= ANSWER_MS;
        if is_time {
            self.answered = Instant::now();
        }
        is_time
    }
}

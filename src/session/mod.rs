//! A loaded model answering requests: what the worker and the command line both call.

#[cfg(not(target_arch = "wasm32"))]
pub mod card;
mod check;
mod congruence;
mod corpus;
mod edits;
mod engines;
pub mod queue;
mod tables;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::ops::Range;
use std::rc::Rc;

use crate::analysis::pair::Pair;
use crate::analysis::{attribute, bench, generate, intervene, logit_lens, neurons, patch, predict};
use crate::engine::{BaseRun, Control, Engine, Products, SiteSet};
use crate::error::{Error, Result};
use crate::model::Vocabulary;
use crate::model::weights::n_parameters;
use crate::protocol::{
    Answer, Event, GenerateOptions, Generation, LayerArgument, ModelInfo, Origin, Prompt, Request, Token, TokenArgument,
};
use edits::EditSources;
pub use engines::{AnySession, AnySink, CardSink, EngineKind};

/// One model, its engine, and the runs it made last.
pub struct Session<E: Engine> {
    name: String,
    origin: Option<Origin>,
    vocabulary: Rc<Vocabulary>,
    engine: E,
    notes: Vec<String>,
    /// Prompts' runs, newest first: prediction, lens, patches and edits of one prompt share it.
    bases: RefCell<VecDeque<Kept<E::Base>>>,
    tables: Rc<tables::Tables>,
}

/// A run, and the prompt of the run that it took its beginning from: by that its figures may differ in their last bits, so
/// it answers the same question only.
struct Kept<B> {
    base: Rc<B>,
    like: Option<Vec<u32>>,
}

/// A clean and a corrupted prompt, and the one before.
const BASES: usize = 3;

impl<E: Engine + Products> Session<E> {
    /// `notes` are what a person should know of how the weights were read.
    pub fn new(name: String, engine: E, vocabulary: Vocabulary, notes: Vec<String>) -> Self {
        Session {
            name,
            origin: None,
            vocabulary: Rc::new(vocabulary),
            engine,
            notes,
            bases: RefCell::default(),
            tables: Rc::default(),
        }
    }

    /// Remembers where the model came from.
    pub fn from_origin(self, origin: Option<Origin>) -> Self {
        Session { origin, ..self }
    }

    /// The same model on another engine. What was computed stays, but for runs, which are an engine's own.
    fn on<F: Engine + Products>(&self, engine: F) -> Session<F> {
        Session {
            name: self.name.clone(),
            origin: self.origin.clone(),
            vocabulary: self.vocabulary.clone(),
            engine,
            notes: self.notes.clone(),
            bases: RefCell::default(),
            tables: self.tables.clone(),
        }
    }

    pub fn info(&self) -> ModelInfo {
        let config = self.engine.config().clone();
        let parameters = n_parameters(&config);
        let token = |id| Token { id, token: self.vocabulary.text(id) };
        ModelInfo {
            name: self.name.clone(),
            bos: self.vocabulary.bos().map(token),
            has_tokenizer: self.vocabulary.has_tokenizer(),
            config,
            parameters,
            dtype: self.engine.dtype(),
            origin: self.origin.clone(),
            notes: self.notes.clone(),
        }
    }

    /// Answers a request about the loaded model; `on_event` sees a generation as it grows and a sweep's figures as
    /// they come.
    ///
    /// # Errors
    /// What the person can mend, or [`Error::Cancelled`] from `control`.
    pub async fn answer(
        &self,
        request: &Request,
        control: &impl Control,
        mut on_event: impl FnMut(Event),
    ) -> Result<Answer> {
        match request {
            Request::Load(_)
            | Request::Read(_)
            | Request::Describe(_)
            | Request::Kept
            | Request::Forget { .. }
            | Request::Verify { .. }
            | Request::UseCard { .. }
            | Request::Info => Err(Error::Unsupported("This is the worker's to answer.".into())),
            Request::Token { text } => {
                let id = self.vocabulary.token(text)?;
                Ok(Answer::Token(Token { id, token: self.vocabulary.text(id) }))
            }
            Request::Predict(o) => {
                let base = self.base(&o.prompt, o.no_bos, control).await?;
                let found = predict::predict(&self.engine, &self.vocabulary, &base, o.top, control).await?;
                Ok(Answer::Prediction(found))
            }
            Request::Lens(o) => {
                let tokens = self.tokens(&o.tokens)?;
                let base = self.base(&o.prompt, o.no_bos, control).await?;
                Ok(Answer::Lens(logit_lens::logit_lens(&self.engine, &base, tokens, control).await?))
            }
            Request::LensTable(o) => {
                let base = self.base(&o.prompt, o.no_bos, control).await?;
                let table = logit_lens::lens_table(&self.engine, &self.vocabulary, &base, o.final_ln, control).await?;
                Ok(Answer::LensTable(table))
            }
            Request::Generate(o) => self.generate(o, control, &mut on_event).await,
            Request::Attribute(o) => {
                let tokens = self.tokens(&o.tokens)?;
                let base = self.base(&o.prompt, o.no_bos, control).await?;
                Ok(Answer::Attribution(attribute::attribute(&self.engine, &base, tokens, control).await?))
            }
            Request::Patch(o) => {
                let (clean, corrupted) = self.bases(&o.clean, &o.corrupted, o.no_bos, control).await?;
                let pair = self.pair(&clean, &corrupted, &o.tokens, control).await?;
                Ok(Answer::Patch(patch::patch(&pair, o.site, o.whole_layer, control, &mut on_event).await?))
            }
            Request::Neurons(o) => {
                let layers = self.layers(&o.layer)?;
                let (clean, corrupted) = self.bases(&o.clean, &o.corrupted, o.no_bos, control).await?;
                let pair = self.pair(&clean, &corrupted, &o.tokens, control).await?;
                let is_one = matches!(o.layer, LayerArgument::One(_));
                Ok(Answer::Neurons(neurons::neurons(&pair, layers, is_one, control, &mut on_event).await?))
            }
            Request::Congruence(_)
            | Request::Search(_)
            | Request::Hubs(_)
            | Request::Tables(_)
            | Request::Table(_)
            | Request::Profile(_)
            | Request::Columns(_)
            | Request::AllPairs(_)
            | Request::AllTokens => self.congruence(request, control, &mut on_event).await,
            Request::Bench(task) => Ok(Answer::Bench(bench::bench(&self.engine, task, control).await?)),
            Request::Edit(o) => {
                let tokens = self.tokens(&o.tokens)?;
                let base = self.base(&o.prompt, o.no_bos, control).await?;
                let edits = self
                    .edits(
                        &o.set,
                        base.ids(),
                        EditSources {
                            clean: o.clean.as_ref(),
                            corrupted: o.corrupted.as_ref(),
                            corpus: &o.corpus,
                            no_bos: o.no_bos,
                        },
                        control,
                    )
                    .await?;
                let found =
                    intervene::intervene(&self.engine, &self.vocabulary, &base, tokens, &edits, o.top, control).await?;
                Ok(Answer::Edited(found))
            }
        }
    }

    async fn generate(
        &self,
        o: &GenerateOptions,
        control: &impl Control,
        on_event: &mut impl FnMut(Event),
    ) -> Result<Answer> {
        let ids = self.vocabulary.prompt_ids(&o.prompt, !o.no_bos)?;
        let from = EditSources {
            clean: o.clean.as_ref(),
            corrupted: o.corrupted.as_ref(),
            corpus: &o.corpus,
            no_bos: o.no_bos,
        };
        let edits = self.edits(&o.set, &ids, from, control).await?;
        let mut new = Vec::new();
        generate::generate(&self.engine, &ids, &edits, o, control, |id| {
            new.push(id);
            on_event(Event::Generated(self.generation(&new)));
        })
        .await?;
        Ok(Answer::Generation(self.generation(&new)))
    }

    async fn bases(
        &self,
        clean: &Prompt,
        corrupted: &Prompt,
        no_bos: bool,
        control: &impl Control,
    ) -> Result<(Rc<E::Base>, Rc<E::Base>)> {
        let clean = self.base(clean, no_bos, control).await?;
        let corrupted = self.base_like(corrupted, Some(&clean), no_bos, control).await?;
        Ok((clean, corrupted))
    }

    async fn pair<'a>(
        &'a self,
        clean: &'a E::Base,
        corrupted: &'a E::Base,
        tokens: &(TokenArgument, TokenArgument),
        control: &impl Control,
    ) -> Result<Pair<'a, E>> {
        Pair::new(&self.engine, clean, corrupted, self.tokens(tokens)?, control).await
    }

    fn layers(&self, layer: &LayerArgument) -> Result<Range<usize>> {
        let n_layer = self.engine.config().n_layer;
        match layer {
            LayerArgument::One(layer) if *layer < n_layer => Ok(*layer..layer + 1),
            LayerArgument::Word(word) if word == "all" => Ok(0..n_layer),
            _ => Err(Error::BadOption {
                option: "layer",
                problem: format!("must be a number from 0 to {}, or \"all\".", n_layer - 1),
            }),
        }
    }

    fn tokens(&self, tokens: &(TokenArgument, TokenArgument)) -> Result<(u32, u32)> {
        Ok((self.token(&tokens.0)?, self.token(&tokens.1)?))
    }

    /// The prompt's run; the last few are at hand.
    async fn base(&self, prompt: &Prompt, no_bos: bool, control: &impl Control) -> Result<Rc<E::Base>> {
        self.base_like(prompt, None, no_bos, control).await
    }

    /// The prompt's run, what it begins with like another taken from there.
    async fn base_like(
        &self,
        prompt: &Prompt,
        like: Option<&E::Base>,
        no_bos: bool,
        control: &impl Control,
    ) -> Result<Rc<E::Base>> {
        let ids = self.vocabulary.prompt_ids(prompt, !no_bos)?;
        let is_it = |kept: &&Kept<E::Base>| kept.base.ids() == ids && kept.like.as_deref() == like.map(BaseRun::ids);
        if let Some(kept) = self.bases.borrow().iter().find(is_it) {
            return Ok(kept.base.clone());
        }
        let base = Rc::new(self.engine.base(&ids, like, &SiteSet::none(), control).await?);
        let mut bases = self.bases.borrow_mut();
        bases.push_front(Kept { base: base.clone(), like: like.map(|like| like.ids().to_vec()) });
        bases.truncate(BASES);
        Ok(base)
    }

    fn generation(&self, ids: &[u32]) -> Generation {
        Generation { ids: ids.to_vec(), text: self.vocabulary.join(ids) }
    }

    fn token(&self, argument: &TokenArgument) -> Result<u32> {
        match argument {
            TokenArgument::Text(text) => self.vocabulary.token(text),
            TokenArgument::Id(id) => self.vocabulary.token(&format!("#{id}")),
        }
    }
}

//! The post's story, asked of one model: is there one neuron that decides between " an" and " a", in every sense of the post?

use std::error::Error;
use std::rc::Rc;

use peartree::analysis::corpus::Pass;
use peartree::analysis::corpus::plan::{Plan, Shards};
use peartree::analysis::corpus::rank::spearman;
use peartree::documents::{Documents, Memory};
use peartree::engine::{Unhurried, complete};
use peartree::model::Model;
use peartree::model::tokenizer::Prompt;
use peartree::protocol::{
    Answer, Congruence, CongruenceOptions, Convention, CorpusOptions, EditOptions, Edited, Event, FoundPair,
    LayerArgument, LensOptions, LogitLens, NeuronValue, Neurons, NeuronsOptions, Outcome, Request, SearchKind,
    SearchOptions, StudyAnswer, Token, TokenArgument, TokenValue,
};
use peartree::session::AnySession;

use super::{CLEAN, CORRUPTED};
use crate::text::document;
use crate::text::rng::Rng;

pub const AN: &str = " an";
const A: &str = " a";
/// Documents of the grammar that training didn't draw, and their seed.
const DOCUMENTS: usize = 1500;
const SEED: u64 = 9001;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// One neuron and the share of the logit difference that its clean activation, put into the corrupted run at all
/// positions, brings back.
#[derive(Debug, Clone, Copy)]
pub struct Patched {
    pub layer: usize,
    pub neuron: usize,
    pub recovers: f32,
}

/// A loaded model that answers as it does on the page.
pub struct Teller {
    session: AnySession,
    d_mlp: usize,
}

fn tokens() -> (TokenArgument, TokenArgument) {
    (TokenArgument::Text(AN.into()), TokenArgument::Text(A.into()))
}

fn text(prompt: &str) -> Prompt {
    Prompt::Text(prompt.into())
}

macro_rules! expect {
    ($answer:expr, $kind:path) => {
        match $answer? {
            $kind(found) => Ok::<_, Box<dyn Error>>(found),
            other => Err(format!("another kind of answer: {other:?}").into()),
        }
    };
}

impl Teller {
    pub fn new(model: Model) -> Self {
        let d_mlp = model.config.d_mlp;
        Teller { session: AnySession::cpu("demo".into(), model), d_mlp }
    }

    fn ask(&self, request: Request) -> Result<Answer> {
        Ok(complete(self.session.answer(&request, &Unhurried, |_: Event| ()))?)
    }

    /// All neurons of all layers, those that recover most first.
    pub fn ranking(&self) -> Result<Vec<Patched>> {
        let options = NeuronsOptions {
            clean: text(CLEAN),
            corrupted: text(CORRUPTED),
            tokens: tokens(),
            layer: LayerArgument::Word("all".into()),
            no_bos: false,
        };
        let found: Neurons = expect!(self.ask(Request::Neurons(options)), Answer::Neurons)?;
        let patched =
            |(at, &recovers): (usize, &f32)| Patched { layer: at / self.d_mlp, neuron: at % self.d_mlp, recovers };
        let mut all: Vec<Patched> = found.values.values.0.iter().enumerate().map(patched).collect();
        all.sort_by(|a, b| b.recovers.total_cmp(&a.recovers));
        Ok(all)
    }

    /// By how much each layer's attention and each layer's MLP, in turn, move the lens (final scale) towards " an" in the
    /// clean prompt.
    pub fn lens_steps(&self) -> Result<Vec<f32>> {
        let options = LensOptions { prompt: text(CLEAN), tokens: tokens(), no_bos: false };
        let lens: LogitLens = expect!(self.ask(Request::Lens(options)), Answer::Lens)?;
        Ok(lens.final_ln.windows(2).map(|step| step[1] - step[0]).collect())
    }

    fn congruence(&self, neuron: Option<Patched>, convention: Convention) -> Result<Congruence> {
        let options = CongruenceOptions {
            neuron: neuron.map(|at| format!("{}:{}", at.layer, at.neuron)),
            token: neuron.is_none().then(|| TokenArgument::Text(AN.into())),
            tokens: Vec::new(),
            mean: false,
            convention,
            top: 10,
            all: false,
        };
        expect!(self.ask(Request::Congruence(options)), Answer::Congruence)
    }

    /// The neurons most congruent with " an".
    pub fn neurons_of_an(&self, convention: Convention) -> Result<Vec<NeuronValue>> {
        match self.congruence(None, convention)? {
            Congruence::Token(neurons) => Ok(neurons),
            Congruence::Neuron(_) => Err("asked for a token".into()),
        }
    }

    /// The tokens most congruent with a neuron.
    pub fn tokens_of(&self, neuron: Patched, convention: Convention) -> Result<Vec<TokenValue>> {
        match self.congruence(Some(neuron), convention)? {
            Congruence::Neuron(tokens) => Ok(tokens.top),
            Congruence::Token(_) => Err("asked for a neuron".into()),
        }
    }

    /// The best mutual pairs, in the notebook's convention.
    pub fn mutual(&self, top: usize) -> Result<Vec<FoundPair>> {
        let options = SearchOptions { kind: SearchKind::Mutual, convention: Convention::Notebook, top };
        expect!(self.ask(Request::Search(options)), Answer::Pairs)
    }

    /// Pairs of a neuron and a token's id, over held-out text; for each, how many of its highest contexts the token
    /// itself follows.
    pub fn studies(&self, pairs: &[(usize, usize, u32)]) -> Result<Vec<(StudyAnswer, usize)>> {
        let mut rng = Rng::new(SEED);
        let documents: Vec<String> = (0..DOCUMENTS).map(|_| document(&mut rng)).collect();
        let source = Memory::new("held-out.json", serde_json::to_vec(&documents)?);
        let options = CorpusOptions {
            neurons: pairs.iter().map(|(layer, neuron, id)| format!("{layer}:{neuron}:#{id}")).collect(),
            ..CorpusOptions::default()
        };
        let plan = complete(Plan::new(&self.session.subject(), &options, vec![("held-out.json".into(), 1)]))?;
        let mut pass =
            Pass::new(self.session.subject(), Documents::new([Rc::new(source) as _]), (plan, Shards::all()), None)?;
        while complete(pass.step(&Unhurried))? {}
        let answer = self.session.corpus_answer(&pass.finish(), options.bins);
        let follows = |study: &StudyAnswer| {
            study
                .top
                .iter()
                .filter(|at| {
                    let next =
                        (at.position + 1).checked_sub(at.context.from).and_then(|at_| at.context.ids.get(at_ as usize));
                    next == Some(&study.id)
                })
                .count()
        };
        Ok(answer
            .studies
            .into_iter()
            .map(|study| {
                let n = follows(&study);
                (study, n)
            })
            .collect())
    }

    /// A prompt before and after one edit of the neuron, over all tokens.
    pub fn edited(&self, prompt: &str, neuron: Patched, value: &str) -> Result<Edited> {
        let options = EditOptions {
            prompt: text(prompt),
            tokens: tokens(),
            set: vec![format!("{}:{}={value}@all", neuron.layer, neuron.neuron)],
            clean: None,
            corrupted: None,
            corpus: Vec::new(),
            top: usize::MAX >> 1,
            no_bos: false,
        };
        expect!(self.ask(Request::Edit(options)), Answer::Edited)
    }

    /// Score against AUC of the best mutual pairs: their rank correlation, and the AUCs, best pair first.
    pub fn agreement(&self, top: usize) -> Result<(Option<f64>, Vec<Option<f64>>)> {
        let pairs = self.mutual(top)?;
        let studied = self.studies(&pairs.iter().map(|pair| (pair.layer, pair.neuron, pair.id)).collect::<Vec<_>>())?;
        let auc = |pair: &FoundPair| {
            studied
                .iter()
                .find(|(s, _)| (s.layer, s.neuron, s.id) == (pair.layer, pair.neuron, pair.id))
                .and_then(|(s, _)| s.auc)
        };
        let aucs: Vec<Option<f64>> = pairs.iter().map(auc).collect();
        let both: Vec<(f64, f64)> =
            pairs.iter().zip(&aucs).filter_map(|(pair, auc)| Some((f64::from(pair.score), (*auc)?))).collect();
        Ok((spearman(&both).map(|found| found.rho), aucs))
    }

    /// Prints all of it.
    pub fn report(&self) -> Result<()> {
        let ranking = self.ranking()?;
        for at in ranking.iter().take(4) {
            println!("  L{} N{} recovers {:.1} %", at.layer, at.neuron, 100.0 * at.recovers);
        }
        let best = ranking[0];
        println!("the lens moves by {:.2?}", self.lens_steps()?);
        for convention in [Convention::Notebook, Convention::Unembed] {
            println!("{convention:?}:");
            for at in self.neurons_of_an(convention)?.iter().take(3) {
                println!("  L{} N{} {:.3}", at.layer, at.neuron, at.value);
            }
            for at in self.tokens_of(best, convention)?.iter().take(3) {
                println!("  {:?} {:.3}", at.token, at.value);
            }
        }
        let id = self.an()?;
        let (study, follows) = self.studies(&[(best.layer, best.neuron, id)])?.swap_remove(0);
        println!("AUC {:?}, {follows} of {} contexts before \" an\", max {:?}", study.auc, study.top.len(), study.max);
        for bin in &study.bins {
            println!("  from {:.1}: {} of {}", bin.from, bin.top, bin.count);
        }
        for (prompt, value) in [(CLEAN, "0".to_owned()), (CORRUPTED, study.max.unwrap_or(0.0).to_string())] {
            let edited = self.edited(prompt, best, &value)?;
            let said = |outcome: &Outcome| {
                outcome
                    .top
                    .iter()
                    .take(3)
                    .map(|at| format!("{:?} {:.1} %", at.token, 100.0 * at.prob))
                    .collect::<Vec<_>>()
            };
            println!("={value}: {:?} -> {:?}", said(&edited.before), said(&edited.after));
        }
        let pairs = self.mutual(50)?;
        let (rho, aucs) = self.agreement(50)?;
        println!("{} pairs, rho {rho:?}", pairs.len());
        for (pair, auc) in pairs.iter().zip(&aucs).take(12) {
            println!("  L{} N{} {:?} score {:.2} AUC {auc:.3?}", pair.layer, pair.neuron, pair.token, pair.score);
        }
        println!("  all AUCs {:.2?}", aucs.iter().map(|auc| auc.unwrap_or(f64::NAN)).collect::<Vec<_>>());
        Ok(())
    }

    /// The token's id.
    pub fn an(&self) -> Result<u32> {
        let token: Token = expect!(self.ask(Request::Token { text: AN.into() }), Answer::Token)?;
        Ok(token.id)
    }
}

//! What a pass is to find out, and in which of the documents.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use super::study::Pair;
use super::subject::{Subject, Watch};
use crate::error::{Error, Result};
use crate::model::Config;
use crate::protocol::{CorpusOptions, LayersArgument};

/// Passes with equal plans can be merged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    pub model: Config,
    /// Hash of its weights: two models may have one shape.
    pub weights: String,
    /// Names and sizes of the files, in order.
    pub files: Vec<(String, u64)>,
    /// Layers whose neurons are all watched.
    pub layers: BTreeSet<usize>,
    pub pairs: Vec<Pair>,
    /// Contexts kept for each neuron.
    pub top: usize,
    pub pack: bool,
    pub no_bos: bool,
    /// Share of the documents that is read.
    pub share: f64,
    pub seed: u64,
    /// Under which key the texts are, if not under `text`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text_key: Option<String>,
}

/// Contexts of one neuron: beyond, the memory for every neuron's would be too much.
const MOST_CONTEXTS: usize = 1000;

impl Plan {
    /// What `options` ask for, of `files` (names and sizes).
    ///
    /// # Errors
    /// [`Error::BadOption`] for what this model hasn't got.
    pub async fn new(subject: &impl Subject, options: &CorpusOptions, files: Vec<(String, u64)>) -> Result<Plan> {
        let mut pairs = Vec::new();
        for text in &options.neurons {
            let (layer, neuron, token) = parts(text)?;
            pairs.push(Pair { layer, neuron, token: subject.token(token).await? });
        }
        let model = subject.config().clone();
        let layers = options.layers.as_ref().map_or(Ok(BTreeSet::new()), |layers| wanted(layers, model.n_layer))?;
        let text_key = options.text_key.clone().filter(|key| key != "text");
        let CorpusOptions { top, pack, no_bos, share, seed, .. } = *options;
        let mut plan =
            Plan { model, weights: String::new(), files, layers, pairs, top, pack, no_bos, share, seed, text_key };
        plan.check()?;
        plan.weights = subject.hash().await?;
        Ok(plan)
    }

    /// # Errors
    /// [`Error::Unsupported`] should that be impossible.
    pub fn to_json(&self) -> Result<String> {
        serde_json::to_string(self).map_err(|e| Error::Unsupported(format!("The plan can't be written down: {e}.")))
    }

    /// # Errors
    /// [`Error::BadOption`] naming what this model hasn't got.
    pub fn check(&self) -> Result<()> {
        let bad = |option, problem: String| Err(Error::BadOption { option, problem });
        let Config { n_layer, d_mlp, .. } = self.model;
        for pair in &self.pairs {
            if pair.layer >= n_layer || pair.neuron >= d_mlp {
                return bad(
                    "neurons",
                    format!(
                        "names L{}N{}; this model has layers 0 to {} with neurons 0 to {}.",
                        pair.layer,
                        pair.neuron,
                        n_layer.saturating_sub(1),
                        d_mlp.saturating_sub(1)
                    ),
                );
            }
        }
        if self.pairs.is_empty() && self.layers.is_empty() {
            return bad("neurons", "asks for nothing: give pairs of neuron and token (31:892: an) or layers.".into());
        }
        if self.top == 0 || self.top > MOST_CONTEXTS {
            return bad("top", format!("must be from 1 to {MOST_CONTEXTS}."));
        }
        if !(self.share > 0.0 && self.share <= 1.0) {
            return bad("share", "must be above 0 and at most 1.".into());
        }
        Ok(())
    }

    /// Whether a document is in the sample: drawn for each by itself, so that shards needn't know of each other.
    pub fn samples(&self, document: u64) -> bool {
        // splitmix64's finaliser
        let mut x = self.seed ^ document.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^= x >> 31;
        self.share >= 1.0 || ((x >> 11) as f64) < self.share * (1u64 << 53) as f64
    }

    /// Every layer that has to be looked at, and every token.
    pub fn watch(&self) -> Watch {
        let layers = self.layers.iter().copied().chain(self.pairs.iter().map(|pair| pair.layer)).collect();
        let tokens: BTreeSet<u32> = self.pairs.iter().map(|pair| pair.token).collect();
        Watch { layers, tokens: tokens.into_iter().collect() }
    }
}

/// Reads `LAYER:NEURON:TOKEN`.
fn parts(text: &str) -> Result<(usize, usize, &str)> {
    let mut parts = text.splitn(3, ':');
    let mut number = || parts.next().and_then(|part| part.trim().parse::<usize>().ok());
    match (number(), number(), parts.next()) {
        (Some(layer), Some(neuron), Some(token)) => Ok((layer, neuron, token)),
        _ => Err(Error::BadOption {
            option: "neurons",
            problem: format!("has {text:?}. Write LAYER:NEURON:TOKEN, for example \"31:892: an\" or 31:892:#281."),
        }),
    }
}

/// The layers that are named, of a model with so many.
fn wanted(layers: &LayersArgument, n_layer: usize) -> Result<BTreeSet<usize>> {
    let found: Option<BTreeSet<usize>> = match layers {
        LayersArgument::One(layer) => Some([*layer].into()),
        LayersArgument::Many(layers) => Some(layers.iter().copied().collect()),
        LayersArgument::Words(words) if words == "all" => Some((0..n_layer).collect()),
        LayersArgument::Words(words) => words.split(',').map(range).try_fold(BTreeSet::new(), |mut all, range| {
            all.extend(range.filter(|range| *range.end() < n_layer)?);
            Some(all)
        }),
    };
    found.filter(|found| found.last().is_none_or(|&last| last < n_layer)).ok_or_else(|| Error::BadOption {
        option: "layers",
        problem: format!("must be numbers from 0 to {0} (3, or 0-2,{0}), or \"all\".", n_layer - 1),
    })
}

/// `3`, or `0-2`.
fn range(text: &str) -> Option<RangeInclusive<usize>> {
    let number = |text: &str| text.trim().parse::<usize>().ok();
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    Some(number(first)?..=number(last)?)
}

/// Which shards of how many a result holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shards {
    pub of: u64,
    pub which: BTreeSet<u64>,
}

impl Shards {
    /// Everything at once.
    pub fn all() -> Self {
        Shards::one(0, 1)
    }

    /// Shard `i` of `n`.
    pub fn one(i: u64, n: u64) -> Self {
        Shards { of: n, which: [i].into() }
    }

    /// Reads `i/n`. Shards are counted from 0 or from 1, as the engine that hands them out does it: the last of n is
    /// also number n.
    ///
    /// # Errors
    /// [`Error::BadOption`]
    pub fn parse(text: &str) -> Result<Self> {
        let parts = text.split_once('/').and_then(|(i, n)| Some((i.parse::<u64>().ok()?, n.parse::<u64>().ok()?)));
        match parts {
            Some((i, n)) if n > 0 && i <= n => Ok(Shards::one(i % n, n)),
            _ => Err(Error::BadOption {
                option: "shard",
                problem: format!("{text:?} is no shard. Write i/n, for example 0/8 to 7/8."),
            }),
        }
    }

    pub fn contains(&self, group: u64) -> bool {
        self.which.contains(&(group % self.of))
    }

    /// Whether there are as many, and these are among them.
    pub fn fits(&self) -> bool {
        self.of > 0 && self.which.last().is_none_or(|&last| last < self.of)
    }

    pub fn is_whole(&self) -> bool {
        self.which.len() as u64 == self.of
    }

    /// Takes in others of the same division; all of them together are one whole.
    ///
    /// # Errors
    /// [`Error::Merge`] if they don't fit together.
    pub fn merge(&mut self, other: &Shards) -> Result<()> {
        if self.of != other.of {
            return Err(Error::Merge(format!("some are shards of {}, some of {}.", self.of, other.of)));
        }
        if let Some(twice) = self.which.intersection(&other.which).next() {
            return Err(Error::Merge(format!("shard {twice}/{} is there twice.", self.of)));
        }
        self.which.extend(&other.which);
        if self.is_whole() {
            *self = Shards::all();
        }
        Ok(())
    }
}

//! Terms of the loss that give the choice between " an" and " a" to one neuron, so that the demo tells the post's story.
//!
//! Rarity and chance don't: left alone, a model of this size spreads the article over many neurons (the model card says
//! what was tried). No weight is set by hand; these terms only make other solutions dearer. What they ask of the neuron:
//!
//! - *tell*: where an article comes next, its pre-activation tells which; elsewhere it is silent;
//! - *alone*: where an article comes next, what it writes straight into the difference of the two logits is all that
//!   varies in that difference;
//! - *congruent*: no other neuron comes near it for " an", and no other token near " an" for it, in the notebook's
//!   convention and in the unembedding's.

use candle_core::{D, IndexOp, Result, Tensor};
use peartree::model::Weights;

use crate::gpt2::Pass;

/// The pre-activation at which both articles are equally likely, and how steeply it tells them apart.
const EVEN: f64 = 2.5;
const STEEP: f64 = 2.5;
/// How many times the next one's, of tokens and of neurons, the neuron's congruence with " an" is to be.
const AHEAD: f64 = 2.0;
/// Congruence below which that ratio isn't taken, so that it stays finite while there is none yet.
const LEAST: f64 = 0.05;

/// What the neuron is taught.
pub struct Lesson {
    pub layer: usize,
    pub neuron: usize,
    /// The tokens " an" and " a".
    pub articles: [u32; 2],
    /// People's names inside a sentence, which a head is taught to move (scaffold.rs).
    pub names: Vec<u32>,
    /// Price of each term.
    pub tell: f64,
    pub silent: f64,
    pub alone: f64,
    pub congruent: f64,
}

impl Lesson {
    /// The terms' sum for one shard: `targets [batch * pos]` are the tokens that come next.
    pub fn loss(&self, weights: &Weights, pass: &Pass, targets: &[u32]) -> Result<Tensor> {
        self.activity(pass, targets)? + self.rivals(weights)? + self.rest(weights, pass, targets)?
    }

    /// Rows whose next token is an article, and the others.
    fn divided(&self, targets: &[u32]) -> (Vec<u32>, Vec<u32>) {
        (0..targets.len() as u32).partition(|&at| self.articles.contains(&targets[at as usize]))
    }

    /// The neuron's column of `[batch, pos, d_mlp]`: `[batch * pos]`.
    fn column(&self, layers: &[Tensor]) -> Result<Tensor> {
        layers[self.layer].narrow(D::Minus1, self.neuron, 1)?.flatten_all()
    }

    /// *tell*: cross-entropy of the article by the pre-activation; *silent*: its mean square where none comes.
    fn activity(&self, pass: &Pass, targets: &[u32]) -> Result<Tensor> {
        let (pre, post) = (self.column(&pass.pre)?, self.column(&pass.post)?);
        let (articles, others) = self.divided(targets);
        let silent = post.index_select(&Tensor::new(others, post.device())?, 0)?.sqr()?.mean_all()?;
        let silent = (silent * self.silent)?;
        if articles.is_empty() {
            return Ok(silent);
        }
        let sign = |&at: &u32| if targets[at as usize] == self.articles[0] { 1f32 } else { -1.0 };
        let signs = Tensor::new(articles.iter().map(sign).collect::<Vec<_>>(), pre.device())?;
        let scores = ((pre.index_select(&Tensor::new(articles, pre.device())?, 0)? - EVEN)? * STEEP)?;
        silent + (softplus(&(scores * signs)?.neg()?)?.mean_all()? * self.tell)?
    }

    /// *alone*: the variance, where an article comes next, of the logit difference less the neuron's direct part of it.
    fn rest(&self, weights: &Weights, pass: &Pass, targets: &[u32]) -> Result<Tensor> {
        let (articles, _) = self.divided(targets);
        let nothing = Tensor::zeros((), pass.logits.dtype(), pass.logits.device())?;
        if articles.len() < 2 {
            return Ok(nothing);
        }
        let at = Tensor::new(articles, pass.logits.device())?;
        let logits = pass.logits.index_select(&at, 0)?;
        let [an, a] = self.articles.map(|id| id as usize);
        let diff = (logits.i((.., an))? - logits.i((.., a))?)?;
        let read = centred(&((weights.wte.i(an)? - weights.wte.i(a)?)? * &weights.ln_f.weight)?.unsqueeze(0)?)?;
        let write = weights.blocks[self.layer].mlp_c_proj.weight.narrow(0, self.neuron, 1)?;
        let resid = centred(&pass.resid_final.flatten_to(1)?.index_select(&at, 0)?)?;
        let scale = (resid.sqr()?.mean(D::Minus1)? + 1e-5)?.sqrt()?; // ln_f's
        let direct = (self.column(&pass.post)?.index_select(&at, 0)? / scale)?;
        let direct = direct.broadcast_mul(&(write * read)?.sum_all()?)?;
        let rest = (diff - direct)?;
        rest.broadcast_sub(&rest.mean_all()?)?.sqr()?.mean_all()? * self.alone
    }

    /// *congruent*: squares of what comes nearer to the neuron's own congruence than [`AHEAD`] allows, as its share.
    fn rivals(&self, weights: &Weights) -> Result<Tensor> {
        let neurons: Vec<&Tensor> = weights.blocks.iter().map(|block| &block.mlp_c_proj.weight).collect();
        let at = neurons[..self.layer].iter().map(|layer| layer.dim(0)).sum::<Result<usize>>()? + self.neuron;
        let writes = centred(&Tensor::cat(&neurons, 0)?)?; // [n_layer * d_mlp, d_model]
        let own_row = writes.narrow(0, at, 1)?;
        let folded = centred(&weights.wte.broadcast_mul(&weights.ln_f.weight)?)?;
        let folded = folded.broadcast_sub(&folded.mean_keepdim(0)?)?;
        let mut loss = Tensor::zeros((), writes.dtype(), writes.device())?;
        for reads in [centred(&weights.wte)?, folded] {
            let an = reads.narrow(0, self.articles[0] as usize, 1)?;
            let own = own_row.matmul(&an.t()?)?.flatten_all()?.maximum(LEAST)?;
            for (rows, by, own_at) in [(&writes, &an, at), (&reads, &own_row, self.articles[0] as usize)] {
                let share = rows.matmul(&by.t()?)?.flatten_all()?.broadcast_div(&own)?;
                let excess = ((share * AHEAD)? - 1.0)?.relu()?.sqr()?;
                loss = (loss + (excess.sum_all()? - excess.i(own_at)?)?)?;
            }
        }
        loss * self.congruent
    }
}

/// Rows less their means over the last axis.
fn centred(rows: &Tensor) -> Result<Tensor> {
    rows.broadcast_sub(&rows.mean_keepdim(D::Minus1)?)
}

/// ln(1 + exp(x)), without overflow.
fn softplus(x: &Tensor) -> Result<Tensor> {
    x.relu()? + ((x.abs()?.neg()?.exp()? + 1.0)?).log()?
}

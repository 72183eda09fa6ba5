//! Asks the model, as the page does: through the engine, `<|endoftext|>` in front of every prompt.

use std::collections::BTreeMap;
use std::error::Error;

use peartree::engine::cpu::CpuEngine;
use peartree::engine::{Engine, FinalNorm, Unhurried, complete};
use peartree::model::Model;
use peartree::model::tokenizer::Prompt;

use crate::text::rng::Rng;

/// Rows of one run.
const BATCH: usize = 64;

pub struct Judge<'a> {
    pub model: &'a Model,
    engine: CpuEngine,
}

impl<'a> Judge<'a> {
    pub fn new(model: &'a Model) -> Self {
        Judge { model, engine: CpuEngine::new(model.config.clone(), model.weights.clone()) }
    }

    fn ids(&self, prompt: &str) -> Result<Vec<u32>, Box<dyn Error>> {
        match prompt {
            "" => Ok(self.model.vocabulary.bos().into_iter().collect()),
            _ => Ok(self.model.vocabulary.prompt_ids(&Prompt::Text(prompt.to_owned()), true)?),
        }
    }

    /// Log-probabilities of every next token, for each row.
    fn next(&self, rows: &[Vec<u32>]) -> Result<Vec<Vec<f32>>, Box<dyn Error>> {
        let mut by_length: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (at, row) in rows.iter().enumerate() {
            by_length.entry(row.len()).or_default().push(at);
        }
        let mut out = vec![Vec::new(); rows.len()];
        for at in by_length.into_values() {
            for at in at.chunks(BATCH) {
                let batch: Vec<&[u32]> = at.iter().map(|&at| rows[at].as_slice()).collect();
                let last = complete(self.engine.last_resid(&batch, &[], &Unhurried))?;
                let logits = complete(self.engine.unembed(&last, FinalNorm::Own, &Unhurried))?;
                for (row, &at) in at.iter().enumerate() {
                    out[at] = log_softmax(logits.row(row));
                }
            }
        }
        Ok(out)
    }

    /// Probability of one token after a prompt.
    pub fn probability(&self, prompt: &str, token: &str) -> Result<f32, Box<dyn Error>> {
        Ok(self.next(&[self.ids(prompt)?])?[0][self.model.vocabulary.token(token)? as usize].exp())
    }

    /// The likeliest next token of each prompt.
    pub fn first(&self, prompts: &[&str]) -> Result<Vec<String>, Box<dyn Error>> {
        let rows = prompts.iter().map(|prompt| self.ids(prompt)).collect::<Result<Vec<_>, _>>()?;
        let best = |all: Vec<f32>| (0..all.len()).max_by(|&a, &b| all[a].total_cmp(&all[b])).unwrap_or(0) as u32;
        Ok(self.next(&rows)?.into_iter().map(|all| self.model.vocabulary.text(best(all))).collect())
    }

    /// Log-probability of each continuation, all of its tokens together, behind its prompt.
    pub fn logprobs(&self, pairs: &[(&str, &str)]) -> Result<Vec<f32>, Box<dyn Error>> {
        let mut rows = Vec::new();
        let mut wanted = Vec::new();
        for (pair, (prompt, continuation)) in pairs.iter().enumerate() {
            let mut row = self.ids(prompt)?;
            for id in self.model.vocabulary.prompt_ids(&Prompt::Text((*continuation).to_owned()), false)? {
                rows.push(row.clone());
                wanted.push((pair, id));
                row.push(id);
            }
        }
        let mut sums = vec![0.0; pairs.len()];
        for (all, (pair, id)) in self.next(&rows)?.into_iter().zip(wanted) {
            sums[pair] += all[id as usize];
        }
        Ok(sums)
    }

    /// A text drawn at temperature 1, up to `<|endoftext|>` or 80 tokens more.
    pub fn sample(&self, prompt: &str, seed: u64) -> Result<String, Box<dyn Error>> {
        let mut rng = Rng::new(seed);
        let mut ids = self.ids(prompt)?;
        for _ in 0..80 {
            let mut left = rng.unit() as f32;
            let all = &self.next(std::slice::from_ref(&ids))?[0];
            let drawn = all.iter().position(|logprob| {
                left -= logprob.exp();
                left < 0.0
            });
            let id = drawn.unwrap_or(0) as u32;
            if Some(id) == self.model.vocabulary.bos() {
                break;
            }
            ids.push(id);
        }
        Ok(self.model.vocabulary.join(&ids[1..]))
    }
}

fn log_softmax(logits: &[f32]) -> Vec<f32> {
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let log_sum = most + logits.iter().map(|x| (x - most).exp()).sum::<f32>().ln();
    logits.iter().map(|x| x - log_sum).collect()
}

//! Draws a token from logits: greedily, by temperature, among the likeliest k or those that make up p.
//!
//! The draws are those of candle-transformers' `LogitsProcessor`, seed by seed (the test holds them to it). That one works
//! on tensors, and brings some 60 kB of candle's operations along, for the one row that is drawn from here.

use rand::SeedableRng;
use rand::distr::Distribution;
use rand::distr::weighted::WeightedIndex;
use rand::rngs::StdRng;

use crate::error::{Error, Result};

/// Below it, as in candle, the likeliest is taken: logits divided by it would leave f32.
const COLDEST: f64 = 1e-7;

/// What is drawn from.
#[derive(Debug, Clone, Copy)]
pub struct Sampling {
    /// 0 takes the likeliest.
    pub temperature: f64,
    pub top_k: Option<usize>,
    pub top_p: Option<f64>,
}

/// Draws one token after the other.
pub struct Sampler {
    rng: StdRng,
    sampling: Sampling,
}

impl Sampler {
    pub fn new(seed: u64, sampling: Sampling) -> Self {
        Sampler { rng: StdRng::seed_from_u64(seed), sampling }
    }

    /// One id, of `logits [vocab]`.
    ///
    /// # Errors
    /// [`Error::NoNumbers`] when a logit is none.
    pub fn sample(&mut self, logits: &[f32]) -> Result<u32> {
        let Sampling { temperature, top_k, top_p } = self.sampling;
        if !logits.iter().all(|logit| logit.is_finite()) {
            return Err(Error::NoNumbers);
        }
        if temperature < COLDEST {
            return Ok(likeliest(logits));
        }
        let mut probs = softmax(logits, temperature);
        let top_p = top_p.map(|p| p as f32).filter(|&p| p > 0.0 && p < 1.0);
        let Some(k) = top_k.filter(|&k| k < probs.len()) else {
            return self.nucleus(&mut probs, top_p);
        };
        let mut order: Vec<usize> = (0..probs.len()).collect();
        let (best, _, _) = order.select_nth_unstable_by(k, |&a, &b| probs[b].total_cmp(&probs[a]));
        let mut probs: Vec<f32> = best.iter().map(|&id| probs[id]).collect();
        let whole: f32 = probs.iter().sum();
        let drawn = self.nucleus(&mut probs, top_p.filter(|&p| p < whole))?;
        Ok(best[drawn as usize] as u32)
    }

    /// Draws among the likeliest that make up `top_p` together, if that is given.
    fn nucleus(&mut self, probs: &mut [f32], top_p: Option<f32>) -> Result<u32> {
        if let Some(top_p) = top_p {
            let mut order: Vec<usize> = (0..probs.len()).collect();
            order.sort_by(|&a, &b| probs[b].total_cmp(&probs[a]));
            let mut sum = 0.0;
            for at in order {
                if sum >= top_p { probs[at] = 0.0 } else { sum += probs[at] }
            }
        }
        let weighted = WeightedIndex::new(probs.iter().copied()).map_err(|_| Error::NoNumbers)?;
        Ok(weighted.sample(&mut self.rng) as u32)
    }
}

/// The first of the largest.
pub fn likeliest(logits: &[f32]) -> u32 {
    let mut best = 0;
    for (at, logit) in logits.iter().enumerate() {
        if *logit > logits[best] {
            best = at;
        }
    }
    best as u32
}

fn softmax(logits: &[f32], temperature: f64) -> Vec<f32> {
    let by = (1.0 / temperature) as f32;
    let scaled = logits.iter().map(|logit| logit * by);
    let most = scaled.clone().fold(f32::NEG_INFINITY, f32::max);
    let mut probs: Vec<f32> = scaled.map(|logit| (logit - most).exp()).collect();
    let sum: f32 = probs.iter().sum();
    probs.iter_mut().for_each(|prob| *prob /= sum);
    probs
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use candle_core::{Device, Tensor};
    use candle_transformers::generation::{LogitsProcessor, Sampling as Theirs};

    use super::*;

    #[test]
    fn draws_what_candle_draws() {
        let logits: Vec<f32> = (0..997).map(|at| ((at * 7919 % 997) as f32 / 997.0).powi(3) * 9.0 - 4.0).collect();
        let tensor = Tensor::from_slice(&logits, logits.len(), &Device::Cpu).unwrap();
        let kinds: [(Sampling, Theirs); 6] = [
            (Sampling { temperature: 0.0, top_k: None, top_p: None }, Theirs::ArgMax),
            (Sampling { temperature: 0.8, top_k: None, top_p: None }, Theirs::All { temperature: 0.8 }),
            (Sampling { temperature: 1.3, top_k: Some(40), top_p: None }, Theirs::TopK { k: 40, temperature: 1.3 }),
            (Sampling { temperature: 1.0, top_k: None, top_p: Some(0.7) }, Theirs::TopP { p: 0.7, temperature: 1.0 }),
            (Sampling { temperature: 1.0, top_k: None, top_p: Some(1.0) }, Theirs::TopP { p: 1.0, temperature: 1.0 }),
            (
                Sampling { temperature: 0.9, top_k: Some(50), top_p: Some(0.05) },
                Theirs::TopKThenTopP { k: 50, p: 0.05, temperature: 0.9 },
            ),
        ];
        for (ours, theirs) in kinds {
            for seed in 0..20 {
                let mut sampler = Sampler::new(seed, ours);
                let mut candles = LogitsProcessor::from_sampling(seed, theirs.clone());
                for _ in 0..20 {
                    assert_eq!(sampler.sample(&logits).unwrap(), candles.sample(&tensor).unwrap(), "{ours:?}");
                }
            }
        }
    }

    #[test]
    fn what_is_no_number_is_refused() {
        let mut sampler = Sampler::new(1, Sampling { temperature: 1.0, top_k: None, top_p: None });
        assert!(matches!(sampler.sample(&[f32::NAN; 4]), Err(Error::NoNumbers)));
        let mut sampler = Sampler::new(1, Sampling { temperature: 0.0, top_k: None, top_p: None });
        assert!(matches!(sampler.sample(&[1.0, f32::INFINITY]), Err(Error::NoNumbers)));
    }

    #[test]
    fn the_coldest_take_the_likeliest() {
        let mut sampler = Sampler::new(1, Sampling { temperature: 1e-320, top_k: None, top_p: None });
        assert_eq!(sampler.sample(&[1.0, 3.0, 2.0]).unwrap(), 1);
    }
}

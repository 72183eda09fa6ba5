//! GPT-2 in f64, as Hugging Face's code reads, with all of its variants; and small random models to run it on.

use std::collections::BTreeMap;

use peartree::engine::site::{BlockSite, Site};
use peartree::error::Result;
use peartree::model::{Model, WeightDtype};
use serde_json::{Value, json};

/// A model's tensors by name, with their shapes.
pub type Tensors = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

/// What `config.json` says, and the tensors of a file.
#[derive(Clone)]
pub struct Plain {
    pub config: Value,
    pub tensors: Tensors,
}

/// Sees the values at every site, `[pos, width]`, and may change them.
pub type Hook<'a> = &'a mut dyn FnMut(Site, &mut [f64]);

/// A run's end.
pub struct Run {
    /// `[pos, vocab]`
    pub logits: Vec<f64>,
    /// The residual stream before, between and after the blocks' halves, each `[pos, d_model]`.
    pub points: Vec<Vec<f64>>,
}

fn numbers(seed: u64, len: usize) -> Vec<f32> {
    let mut state = seed;
    let mut unit = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 24) as f32 - 0.5
    };
    (0..len).map(|_| unit()).collect()
}

impl Plain {
    pub const LAYERS: usize = 3;
    pub const HEADS: usize = 2;
    pub const D: usize = 12;
    pub const M: usize = 20;
    pub const VOCAB: usize = 37;
    pub const CONTEXT: usize = 16;

    /// A random model of a small shape, tied and with all biases; `variant` is added to its config.
    pub fn new(variant: &[(&str, Value)]) -> Self {
        let mut config = json!({
            "model_type": "gpt2", "n_layer": Self::LAYERS, "n_head": Self::HEADS, "n_embd": Self::D,
            "n_inner": Self::M, "n_positions": Self::CONTEXT, "vocab_size": Self::VOCAB,
        });
        for (key, value) in variant {
            config[key] = value.clone();
        }
        let (d, m) = (Self::D, Self::M);
        let mut tensors = Tensors::new();
        let mut add = |name: String, shape: &[usize]| {
            let seed = name.bytes().fold(7u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte)));
            let gain = if name.contains("ln_") && name.ends_with("weight") { 1.0 } else { 0.0 };
            let values = numbers(seed, shape.iter().product()).iter().map(|value| gain + 1.6 * value).collect();
            tensors.insert(name, (shape.to_vec(), values));
        };
        add("wte.weight".into(), &[Self::VOCAB, d]);
        add("wpe.weight".into(), &[Self::CONTEXT, d]);
        for l in 0..Self::LAYERS {
            for (name, shape) in
                [("attn.c_attn", [d, 3 * d]), ("attn.c_proj", [d, d]), ("mlp.c_fc", [d, m]), ("mlp.c_proj", [m, d])]
            {
                add(format!("h.{l}.{name}.weight"), &shape);
                add(format!("h.{l}.{name}.bias"), &shape[1..]);
            }
            for name in ["ln_1", "ln_2"] {
                add(format!("h.{l}.{name}.weight"), &[d]);
                add(format!("h.{l}.{name}.bias"), &[d]);
            }
        }
        add("ln_f.weight".into(), &[d]);
        add("ln_f.bias".into(), &[d]);
        Plain { config, tensors }
    }

    /// With an unembedding of its own.
    pub fn with_head(mut self) -> Self {
        let head = numbers(99, Self::VOCAB * Self::D).iter().map(|value| 1.6 * value).collect();
        self.tensors.insert("lm_head.weight".into(), (vec![Self::VOCAB, Self::D], head));
        self
    }

    pub fn without(mut self, is_left_out: impl Fn(&str) -> bool) -> Self {
        self.tensors.retain(|name, _| !is_left_out(name));
        self
    }

    /// The tensors that are chosen, in the order of a map, as a file.
    pub fn file(&self, is_in: impl Fn(&str) -> bool) -> Vec<u8> {
        let (mut header, mut data) = (serde_json::Map::new(), Vec::new());
        for (name, (shape, values)) in self.tensors.iter().filter(|(name, _)| is_in(name)) {
            let start = data.len();
            data.extend(values.iter().flat_map(|value| value.to_le_bytes()));
            header.insert(name.clone(), json!({"dtype": "F32", "shape": shape, "data_offsets": [start, data.len()]}));
        }
        let header = serde_json::to_vec(&header).unwrap();
        [&(header.len() as u64).to_le_bytes()[..], &header, &data].concat()
    }

    pub fn load(&self, dtype: WeightDtype) -> Result<Model> {
        Model::from_bytes(self.config.to_string().as_bytes(), None, &self.file(|_| true), dtype)
    }

    pub fn says(&self, key: &str, otherwise: bool) -> bool {
        self.config[key].as_bool().unwrap_or(otherwise)
    }

    /// A tensor's numbers; zeros for a bias that isn't there.
    pub fn get(&self, name: &str) -> Vec<f64> {
        match self.tensors.get(name) {
            Some((_, values)) => values.iter().map(|&value| f64::from(value)).collect(),
            None => {
                assert!(name.ends_with(".bias"), "{name}");
                vec![0.0; 4 * Self::D]
            }
        }
    }

    /// What residual vectors become logits by.
    pub fn unembedding(&self) -> Vec<f64> {
        let has_head = self.tensors.contains_key("lm_head.weight") && !self.says("tie_word_embeddings", false);
        self.get(if has_head { "lm_head.weight" } else { "wte.weight" })
    }

    pub fn activate(&self, x: f64) -> f64 {
        let logistic = |x: f64| 1.0 / (1.0 + (-x).exp());
        let erf = |x: f64| {
            // its series, which is enough for what small models reach
            let (mut term, mut sum) = (x, x);
            for n in 1..200 {
                term *= -x * x / f64::from(n);
                sum += term / f64::from(2 * n + 1);
            }
            if x.abs() > 5.0 { x.signum() } else { sum * 2.0 / std::f64::consts::PI.sqrt() }
        };
        let gelu = |x: f64| 0.5 * x * (1.0 + erf(x / 2f64.sqrt()));
        match self.config["activation_function"].as_str().unwrap_or("gelu_new") {
            "gelu_new" | "gelu_pytorch_tanh" => {
                0.5 * x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x.powi(3))).tanh())
            }
            "gelu_fast" => 0.5 * x * (1.0 + (x * 0.797_884_560_8 * (1.0 + 0.044_715 * x * x)).tanh()),
            "gelu" => gelu(x),
            "gelu_10" => gelu(x).clamp(-10.0, 10.0),
            "relu" => x.max(0.0),
            "silu" | "swish" => x * logistic(x),
            "quick_gelu" => x * logistic(1.702 * x),
            "tanh" => x.tanh(),
            other => panic!("{other}"),
        }
    }

    /// Runs a prompt.
    pub fn run(&self, ids: &[u32], hook: Hook<'_>) -> Run {
        let (d, d_head) = (Self::D, Self::D / Self::HEADS);
        let (wte, wpe) = (self.get("wte.weight"), self.get("wpe.weight"));
        let mut tokens: Vec<f64> = ids.iter().flat_map(|&id| wte[id as usize * d..][..d].to_vec()).collect();
        hook(Site::Embed, &mut tokens);
        let mut positions = wpe[..ids.len() * d].to_vec();
        hook(Site::PosEmbed, &mut positions);
        let mut x = sum(&tokens, &positions);
        let mut points = Vec::new();
        for l in 0..Self::LAYERS {
            let mut at = |site, values: &mut [f64]| hook(Site::Block(l, site), values);
            let name = |part: &str| format!("h.{l}.{part}");
            at(BlockSite::ResidPre, &mut x);
            points.push(x.clone());
            let mut qkv = self.linear(&name("attn.c_attn"), &self.norm(&name("ln_1"), &x), 3 * d);
            let n = ids.len();
            let mut z = vec![0.0; n * d];
            for head in 0..Self::HEADS {
                for query in 0..n {
                    let part = |pos: usize, which: usize| &qkv[pos * 3 * d + which * d + head * d_head..][..d_head];
                    let score = |key: usize| {
                        let mut score = dot(part(query, 0), part(key, 1));
                        if self.says("scale_attn_weights", true) {
                            score /= (d_head as f64).sqrt();
                        }
                        if self.says("scale_attn_by_inverse_layer_idx", false) {
                            score /= (l + 1) as f64;
                        }
                        score
                    };
                    let scores: Vec<f64> = (0..=query).map(score).collect();
                    let most = scores.iter().copied().fold(f64::MIN, f64::max);
                    let all: f64 = scores.iter().map(|score| (score - most).exp()).sum();
                    for (key, score) in scores.iter().enumerate() {
                        for (i, value) in part(key, 2).iter().enumerate() {
                            z[query * d + head * d_head + i] += (score - most).exp() / all * value;
                        }
                    }
                }
            }
            qkv.clear();
            at(BlockSite::Z, &mut z);
            let mut out = self.linear(&name("attn.c_proj"), &z, d);
            at(BlockSite::AttnOut, &mut out);
            x = sum(&x, &out);
            at(BlockSite::ResidMid, &mut x);
            points.push(x.clone());
            let mut hidden = self.linear(&name("mlp.c_fc"), &self.norm(&name("ln_2"), &x), Self::M);
            at(BlockSite::MlpPre, &mut hidden);
            hidden.iter_mut().for_each(|value| *value = self.activate(*value));
            at(BlockSite::MlpPost, &mut hidden);
            let mut out = self.linear(&name("mlp.c_proj"), &hidden, d);
            at(BlockSite::MlpOut, &mut out);
            x = sum(&x, &out);
        }
        points.push(x.clone());
        let normed = self.norm("ln_f", &x);
        let unembedding = self.unembedding();
        let logits =
            normed.chunks_exact(d).flat_map(|row| unembedding.chunks_exact(d).map(move |token| dot(row, token)));
        Run { logits: logits.collect(), points }
    }

    /// `logit(first) - logit(second)` at the last position.
    pub fn difference(&self, ids: &[u32], (first, second): (u32, u32), hook: Hook<'_>) -> f64 {
        let run = self.run(ids, hook);
        let last = &run.logits[(ids.len() - 1) * Self::VOCAB..];
        last[first as usize] - last[second as usize]
    }

    /// A site's values in an unchanged run, `[pos, width]`.
    pub fn value(&self, ids: &[u32], wanted: Site) -> Vec<f64> {
        let mut found = Vec::new();
        self.run(ids, &mut |site, values| {
            if site == wanted {
                found = values.to_vec();
            }
        });
        found
    }

    pub fn norm(&self, name: &str, x: &[f64]) -> Vec<f64> {
        let (weight, bias) = (self.get(&format!("{name}.weight")), self.get(&format!("{name}.bias")));
        let norm = |row: &[f64]| {
            let (centred, scale) = (centred(row), scale(row));
            let entry = |i: usize| centred[i] / scale * weight[i] + bias[i];
            (0..row.len()).map(entry).collect::<Vec<f64>>()
        };
        x.chunks_exact(Self::D).flat_map(norm).collect()
    }

    fn linear(&self, name: &str, x: &[f64], n_out: usize) -> Vec<f64> {
        let (weight, bias) = (self.get(&format!("{name}.weight")), self.get(&format!("{name}.bias")));
        let n_in = weight.len() / n_out;
        let entry = |row: &[f64], out: usize| {
            bias[out] + row.iter().enumerate().map(|(i, x)| x * weight[i * n_out + out]).sum::<f64>()
        };
        x.chunks_exact(n_in).flat_map(|row| (0..n_out).map(|out| entry(row, out)).collect::<Vec<f64>>()).collect()
    }
}

pub fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn sum(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a + b).collect()
}

pub fn centred(row: &[f64]) -> Vec<f64> {
    let mean = row.iter().sum::<f64>() / row.len() as f64;
    row.iter().map(|value| value - mean).collect()
}

/// What a LayerNorm divides by.
pub fn scale(row: &[f64]) -> f64 {
    let centred = centred(row);
    (dot(&centred, &centred) / row.len() as f64 + 1e-5).sqrt()
}

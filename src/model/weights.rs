//! A GPT-2's parameters as candle tensors, under the names and in the layout of the hub's file.

use std::collections::HashMap;
use std::ops::Range;

use candle_core::{DType, Tensor};
use serde::{Deserialize, Serialize};

use super::Config;
use super::f16_bits::LIFT;
use crate::error::{Error, Result};

/// How a model's matrices are held in memory; its vectors (LayerNorms and biases) are f32 always, and so is what is
/// computed with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WeightDtype {
    #[default]
    F32,
    /// Half the memory. A file's numbers are rounded to the nearest f16.
    F16,
}

impl WeightDtype {
    /// Bytes a number takes.
    pub fn bytes(self) -> u64 {
        match self {
            WeightDtype::F32 => 4,
            WeightDtype::F16 => 2,
        }
    }

    /// As people and options write it.
    pub fn name(self) -> &'static str {
        match self {
            WeightDtype::F32 => "f32",
            WeightDtype::F16 => "f16",
        }
    }

    /// How a parameter of this shape is held in a model of this type.
    pub fn of_parameter(self, shape: &[usize]) -> Self {
        if shape.len() == 1 { WeightDtype::F32 } else { self }
    }
}

/// All parameters, matrices in the type the model was loaded with ([`in_f32`] reads either), the rest f32.
#[derive(Debug, Clone)]
pub struct Weights {
    /// Token embedding, `[vocab, d_model]`.
    pub wte: Tensor,
    /// Position embedding, `[n_ctx, d_model]`.
    pub wpe: Tensor,
    pub blocks: Vec<Block>,
    pub ln_f: LayerNorm,
    /// The unembedding, `[vocab, d_model]`, where it isn't `wte` again.
    pub head: Option<Tensor>,
}

/// One transformer block.
#[derive(Debug, Clone)]
pub struct Block {
    pub ln_1: LayerNorm,
    /// Query, key and value side by side, `[d_model, 3 * d_model]`.
    pub c_attn: Conv1d,
    /// Attention's output, `[d_model, d_model]`; rows `h * d_head ..` are head h's `W_O`.
    pub attn_c_proj: Conv1d,
    pub ln_2: LayerNorm,
    /// `W_in [d_model, d_mlp]`.
    pub c_fc: Conv1d,
    /// `W_out [d_mlp, d_model]`; row j is what neuron j writes.
    pub mlp_c_proj: Conv1d,
}

/// Scale and shift after normalisation, both `[d_model]`.
#[derive(Debug, Clone)]
pub struct LayerNorm {
    pub weight: Tensor,
    pub bias: Tensor,
}

/// The hub's `Conv1D`: a linear layer whose weight is `[in, out]`, so that `y = x W + b`.
#[derive(Debug, Clone)]
pub struct Conv1d {
    pub weight: Tensor,
    pub bias: Tensor,
}

/// What savers put before a parameter's name: the model with a head, what `torch.compile` wraps it in, what
/// `DataParallel` does, and trainers.
const PREFIXES: [&str; 7] =
    ["transformer.", "_orig_mod.", "module.", "model.", "base_model.", "_forward_module.", "_fsdp_wrapped_module."];

/// A tensor's name without what savers put before it, in whatever order.
pub fn canonical(mut name: &str) -> &str {
    while let Some(rest) = PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix)) {
        name = rest;
    }
    name
}

/// The token embedding's name, and that of an unembedding of its own.
pub const EMBEDDING: &str = "wte.weight";
pub const HEAD: &str = "lm_head.weight";

/// Every tensor a model of this shape has, by canonical name, with its shape; made as they are asked for, so that who
/// compares them with a file stops at the first that isn't in it.
pub fn parameters(config: &Config) -> impl Iterator<Item = (String, Vec<usize>)> {
    let [wte, wpe, ln_f @ ..] = outside(config);
    let blocks = (0..config.n_layer).flat_map(|l| block(config, l));
    [wte, wpe].into_iter().chain(blocks).chain(ln_f).chain(head(config))
}

/// The shape of the parameter of this canonical name, if the model has it.
pub fn shape(config: &Config, name: &str) -> Option<Vec<usize>> {
    let is_it = |(own, shape): (String, Vec<usize>)| (own == name).then_some(shape);
    match name.strip_prefix("h.").and_then(|rest| rest.split_once('.')) {
        Some((l, _)) => {
            let l = l.parse().ok().filter(|&l| l < config.n_layer)?;
            block(config, l).into_iter().find_map(is_it)
        }
        None => outside(config).into_iter().chain(head(config)).find_map(is_it),
    }
}

/// The kinds of biases ([`BIASES`]) that a model lacks in all of its layers, of whose tensors nothing but canonical names
/// is known to `has`. Nothing is remembered of a name: a config alone must not take memory.
///
/// # Errors
/// What to say of the first weight that is lacking, or of a bias that other layers have.
pub fn lacking_biases(config: &Config, has: impl Fn(&str) -> bool) -> Result<Vec<&'static str>, String> {
    let lacking: Vec<&'static str> = BIASES.into_iter().filter(|kind| !has(&first_of(kind))).collect();
    for (name, _) in parameters(config) {
        let kind = lacking.iter().find(|kind| is_of(&name, kind));
        match (has(&name), kind) {
            (true, None) | (false, Some(_)) => {}
            (true, Some(kind)) => return Err(lacks_what_others_have(&first_of(kind))),
            (false, None) if name.ends_with(".bias") => return Err(lacks_what_others_have(&name)),
            (false, None) => {
                return Err(format!("lacks the tensor {name} that config.json asks for. Is it this model's file?"));
            }
        }
    }
    Ok(lacking)
}

fn lacks_what_others_have(name: &str) -> String {
    format!("lacks the tensor {name}, which other layers have. Get the file again.")
}

pub const N_BIASES: usize = 7;

/// Biases that a model may lack in all of its layers.
pub const BIASES: [&str; N_BIASES] =
    ["ln_1.bias", "attn.c_attn.bias", "attn.c_proj.bias", "ln_2.bias", "mlp.c_fc.bias", "mlp.c_proj.bias", "ln_f.bias"];

/// Whether a parameter's name is of a kind of [`BIASES`].
pub fn is_of(name: &str, kind: &str) -> bool {
    let in_block = || name.strip_prefix("h.").and_then(|rest| rest.split_once('.'));
    name == kind || in_block().is_some_and(|(_, rest)| rest == kind)
}

/// The name of a kind's first bias.
fn first_of(kind: &str) -> String {
    if kind == "ln_f.bias" { kind.to_owned() } else { format!("h.0.{kind}") }
}

/// The parameters that are in no block.
fn outside(config: &Config) -> [(String, Vec<usize>); 4] {
    let d = config.d_model;
    let named = |name: &str, shape: &[usize]| (name.to_owned(), shape.to_vec());
    [
        named(EMBEDDING, &[config.vocab_size, d]),
        named("wpe.weight", &[config.n_ctx, d]),
        named("ln_f.weight", &[d]),
        named("ln_f.bias", &[d]),
    ]
}

/// The unembedding, where it is one of its own.
fn head(config: &Config) -> Option<(String, Vec<usize>)> {
    let shape = || vec![config.vocab_size, config.d_model];
    (!config.variant.tie_word_embeddings).then(|| (HEAD.to_owned(), shape()))
}

/// Those of block `l`.
fn block(config: &Config, l: usize) -> [(String, Vec<usize>); 12] {
    let (d, m) = (config.d_model, config.d_mlp);
    let block: [(&str, &[usize]); 12] = [
        ("ln_1.weight", &[d]),
        ("ln_1.bias", &[d]),
        ("attn.c_attn.weight", &[d, 3 * d]),
        ("attn.c_attn.bias", &[3 * d]),
        ("attn.c_proj.weight", &[d, d]),
        ("attn.c_proj.bias", &[d]),
        ("ln_2.weight", &[d]),
        ("ln_2.bias", &[d]),
        ("mlp.c_fc.weight", &[d, m]),
        ("mlp.c_fc.bias", &[m]),
        ("mlp.c_proj.weight", &[m, d]),
        ("mlp.c_proj.bias", &[d]),
    ];
    block.map(|(name, shape)| (format!("h.{l}.{name}"), shape.to_vec()))
}

/// How many numbers a tensor of this shape holds: more than `usize` can say in a browser, for some that people ask for.
pub fn count(shape: &[usize]) -> u64 {
    shape.iter().fold(1, |count: u64, &side| count.saturating_mul(side as u64))
}

/// How many numbers a model of this shape learns.
pub fn n_parameters(config: &Config) -> u64 {
    sum(config, |_, numbers| numbers)
}

/// The sum of a figure over all parameters, given each one's shape and how many numbers it holds. Counted a block at a
/// time: a config alone must not take memory.
pub fn sum(config: &Config, figure: impl Fn(&[usize], u64) -> u64) -> u64 {
    let total = |parameters: &[(String, Vec<usize>)]| {
        parameters.iter().fold(0, |sum: u64, (_, shape)| sum.saturating_add(figure(shape, count(shape))))
    };
    let outside: Vec<_> = outside(config).into_iter().chain(head(config)).collect();
    let (rest, block) = (total(&outside), total(&block(config, 0)));
    rest.saturating_add(block.saturating_mul(config.n_layer as u64))
}

/// A parameter's numbers in f32: those of an f16 matrix are held [lifted](super::f16_bits).
pub fn in_f32(parameter: &Tensor) -> candle_core::Result<Tensor> {
    match parameter.dtype() {
        DType::F16 => parameter.to_dtype(DType::F32)? / f64::from(LIFT),
        _ => parameter.to_dtype(DType::F32),
    }
}

impl Weights {
    /// How the matrices are held.
    pub fn dtype(&self) -> WeightDtype {
        // one whose numbers are too large for it is in f32 all the same
        let of_block = |block: &Block| {
            [&block.c_attn, &block.attn_c_proj, &block.c_fc, &block.mlp_c_proj]
                .iter()
                .any(|layer| layer.weight.dtype() == DType::F16)
        };
        let is_f16 = self.wte.dtype() == DType::F16 || self.blocks.iter().any(of_block);
        if is_f16 { WeightDtype::F16 } else { WeightDtype::F32 }
    }

    /// The tensor of a canonical name; an unembedding that is the embedding has none of its own.
    pub fn tensor(&self, name: &str) -> Option<&Tensor> {
        match name {
            EMBEDDING => return Some(&self.wte),
            HEAD => return self.head.as_ref(),
            "wpe.weight" => return Some(&self.wpe),
            _ => {}
        }
        let (place, part) = name.rsplit_once('.')?;
        let (weight, bias) = match place.strip_prefix("h.").and_then(|rest| rest.split_once('.')) {
            None if place == "ln_f" => (&self.ln_f.weight, &self.ln_f.bias),
            None => return None,
            Some((layer, layer_part)) => {
                let block = self.blocks.get(layer.parse::<usize>().ok()?)?;
                match layer_part {
                    "ln_1" => (&block.ln_1.weight, &block.ln_1.bias),
                    "attn.c_attn" => (&block.c_attn.weight, &block.c_attn.bias),
                    "attn.c_proj" => (&block.attn_c_proj.weight, &block.attn_c_proj.bias),
                    "ln_2" => (&block.ln_2.weight, &block.ln_2.bias),
                    "mlp.c_fc" => (&block.c_fc.weight, &block.c_fc.bias),
                    "mlp.c_proj" => (&block.mlp_c_proj.weight, &block.mlp_c_proj.bias),
                    _ => return None,
                }
            }
        };
        match part {
            "weight" => Some(weight),
            "bias" => Some(bias),
            _ => None,
        }
    }

    /// Rows of a parameter in f32; a vector is one row.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a parameter, or rows of one, that the model doesn't have.
    pub fn rows(&self, name: &str, rows: Range<usize>) -> Result<Vec<f32>> {
        let missing = || Error::Unsupported(format!("This model has no rows {rows:?} of {name}."));
        let tensor = self.tensor(name).ok_or_else(missing)?;
        let n_rows = if tensor.rank() == 1 { 1 } else { tensor.dim(0)? };
        if rows.end > n_rows || rows.is_empty() {
            return Err(missing());
        }
        let part = if tensor.rank() == 1 { tensor.clone() } else { tensor.narrow(0, rows.start, rows.len())? };
        Ok(in_f32(&part)?.flatten_all()?.to_vec1()?)
    }

    /// What residual vectors become logits by, `[vocab, d_model]`.
    pub fn unembedding(&self) -> &Tensor {
        self.head.as_ref().unwrap_or(&self.wte)
    }

    /// Takes the model's tensors, named as [`parameters`] names them, out of `tensors`.
    ///
    /// # Errors
    /// [`Error::Weights`] naming the first tensor that is missing.
    pub fn from_tensors(config: &Config, tensors: &mut HashMap<String, Tensor>) -> Result<Self> {
        let mut take = |name: &str| {
            tensors.remove(name).ok_or_else(|| {
                Error::Weights(format!("lacks the tensor {name}. Is it this model's file? Get it again."))
            })
        };
        let wte = take(EMBEDDING)?;
        let wpe = take("wpe.weight")?;
        let head = head(config).map(|(name, _)| take(&name)).transpose()?;
        let mut pair =
            |name: String| Ok::<_, Error>((take(&format!("{name}.weight"))?, take(&format!("{name}.bias"))?));
        let mut blocks = Vec::new();
        for l in 0..config.n_layer {
            blocks.push(Block {
                ln_1: pair(format!("h.{l}.ln_1"))?.into(),
                c_attn: pair(format!("h.{l}.attn.c_attn"))?.into(),
                attn_c_proj: pair(format!("h.{l}.attn.c_proj"))?.into(),
                ln_2: pair(format!("h.{l}.ln_2"))?.into(),
                c_fc: pair(format!("h.{l}.mlp.c_fc"))?.into(),
                mlp_c_proj: pair(format!("h.{l}.mlp.c_proj"))?.into(),
            });
        }
        let ln_f = pair("ln_f".into())?.into();
        Ok(Weights { wte, wpe, blocks, ln_f, head })
    }
}

impl From<(Tensor, Tensor)> for LayerNorm {
    fn from((weight, bias): (Tensor, Tensor)) -> Self {
        LayerNorm { weight, bias }
    }
}

impl From<(Tensor, Tensor)> for Conv1d {
    fn from((weight, bias): (Tensor, Tensor)) -> Self {
        Conv1d { weight, bias }
    }
}

//! Trains the weights: AdamW with warm-up and cosine decay, and a price on active neurons.

use std::collections::HashMap;
use std::error::Error;
use std::path::Path;

use candle_core::backprop::GradStore;
use candle_core::{DType, Device, Tensor, Var};
use candle_nn::optim::{AdamW, Optimizer, ParamsAdamW};
use indicatif::{ProgressBar, ProgressStyle};
use peartree::model::weights::parameters;
use peartree::model::{Config, Tokenizer, Weights};

use crate::fused::cross_entropy;
use crate::gpt2;
use crate::lesson::Lesson;
use crate::scaffold;
use crate::text::document;
use crate::text::rng::Rng;

/// Each step's rows are split in as many shards, always: the sum's order, and so the result, must not depend on the
/// machine's number of cores.
const SHARDS: usize = 2;

/// What can be chosen on the command line.
pub struct Recipe {
    pub steps: usize,
    pub seed: u64,
    /// Price of the mean absolute activation, summed over layers.
    pub l1: f64,
    /// Steps over which the price rises to `l1`.
    pub l1_warmup: usize,
    pub learning_rate: f64,
    pub weight_decay: f64,
    /// The same for attention's matrices.
    pub attention_decay: f64,
    pub lesson: Lesson,
    /// Price of the two heads' looking elsewhere than they shall, at the beginning.
    pub scaffold: f64,
}

/// One line of the curve.
pub struct Point {
    pub step: usize,
    /// Mean cross-entropy over the tokens since the last point, in nats.
    pub loss: f64,
    /// Mean absolute activation, summed over layers.
    pub activity: f64,
    /// Mean of the lesson's terms, at their prices.
    pub lesson: f64,
    pub learning_rate: f64,
}

/// The parameters by their names in the file.
pub type Vars = Vec<(String, Var)>;

/// GPT-2's own initialisation: N(0, 0.02), what writes to the residual stream scaled by 1/sqrt(2 n_layer).
pub fn init(config: &Config, seed: u64) -> Result<Vars, Box<dyn Error>> {
    let mut rng = Rng::new(seed ^ 0x1417);
    let residual = 1.0 / (2.0 * config.n_layer as f64).sqrt();
    let var = |(name, shape): (String, Vec<usize>)| {
        let len = shape.iter().product();
        let is_norm = name.contains("ln_");
        let std = 0.02 * if name.ends_with("c_proj.weight") { residual } else { 1.0 };
        let values: Vec<f32> = match name.ends_with(".bias") {
            true => vec![0.0; len],
            false if is_norm => vec![1.0; len],
            false => (0..len).map(|_| (rng.normal() * std) as f32).collect(),
        };
        Ok((name, Var::from_tensor(&Tensor::from_vec(values, shape, &Device::Cpu)?)?))
    };
    parameters(config).map(var).collect()
}

/// Sets `vars` to the weights of `folder`, a model of the same shape.
pub fn restore(vars: &Vars, folder: &Path) -> Result<(), Box<dyn Error>> {
    let file = candle_core::safetensors::load(folder.join("model.safetensors"), &Device::Cpu)?;
    for (name, var) in vars {
        let saved = file.get(name).ok_or_else(|| format!("no tensor {name} to start from"))?;
        var.set(&saved.to_dtype(DType::F32)?)?;
    }
    Ok(())
}

/// The engine's view of the parameters; shares their storage, so it sees every step.
fn weights(config: &Config, vars: &Vars) -> Result<Weights, Box<dyn Error>> {
    let mut tensors: HashMap<String, Tensor> =
        vars.iter().map(|(name, v)| (name.clone(), v.as_tensor().clone())).collect();
    Ok(Weights::from_tensors(config, &mut tensors)?)
}

/// Writes rows of ids without end: documents, each behind `<|endoftext|>`, cut where the row ends.
struct Rows<'a> {
    rng: Rng,
    tokenizer: &'a Tokenizer,
    eot: u32,
}

impl Rows<'_> {
    fn row(&mut self, len: usize) -> Result<Vec<u32>, Box<dyn Error>> {
        let mut ids = Vec::with_capacity(len + 64);
        while ids.len() < len {
            ids.push(self.eot);
            ids.extend(self.tokenizer.encode(&document(&mut self.rng))?);
        }
        ids.truncate(len);
        Ok(ids)
    }
}

/// What shares a weight decay. What the neurons write decays as little as vectors do: a neuron that is costly to switch
/// on (the L1 price) shall be free to write strongly, and attention shall not.
#[derive(PartialEq, Clone, Copy)]
enum Group {
    Attention,
    Matrix,
    Free,
}

impl Group {
    fn of(name: &str, var: &Var) -> Self {
        match name {
            _ if var.dims().len() < 2 || name.ends_with("mlp.c_proj.weight") => Group::Free,
            _ if name.contains(".attn.") => Group::Attention,
            _ => Group::Matrix,
        }
    }
}

/// Rows and columns of a step: mostly a few short rows, since many small steps teach more than few large ones; every
/// eighth step fills the whole context, so that late positions are trained too.
fn batch_shape(step: usize, n_ctx: usize) -> (usize, usize) {
    if step % 8 == 7 { (2, n_ctx) } else { (6, 64.min(n_ctx)) }
}

/// What a step charges.
#[derive(Clone, Copy)]
struct Prices {
    l1: f64,
    /// The share of the lesson's own prices.
    lesson: f64,
    scaffold: f64,
}

/// Loss, activity and the lesson's terms of one shard, with their gradients.
fn shard(
    config: &Config,
    weights: &Weights,
    rows: &[Vec<u32>],
    prices: Prices,
    lesson: &Lesson,
) -> candle_core::Result<(f64, f64, f64, GradStore)> {
    let n_pos = rows[0].len() - 1;
    let part =
        |from: usize| rows.iter().flat_map(move |row| row[from..from + n_pos].iter().copied()).collect::<Vec<u32>>();
    let ids = Tensor::from_vec(part(0), (rows.len(), n_pos), &Device::Cpu)?;
    let pass = gpt2::run(config, weights, &ids)?;
    let (activity, targets) = (pass.activity()?, part(1));
    let mut taught = (lesson.loss(weights, &pass, &targets)? * prices.lesson)?;
    if prices.scaffold > 0.0 {
        taught = (taught + (scaffold::loss(&pass, rows, &lesson.names)? * prices.scaffold)?)?;
    }
    let loss = cross_entropy(&pass.logits, targets)?;
    let grads = ((&loss + (&activity * prices.l1)?)? + &taught)?.backward()?;
    let number = |x: &Tensor| Ok::<_, candle_core::Error>(f64::from(x.to_scalar::<f32>()?));
    Ok((number(&loss)?, number(&activity)?, number(&taught)?, grads))
}

/// The mean of the shards' gradients, clipped to a norm of 1.
fn combine(vars: &Vars, mut shards: Vec<GradStore>) -> candle_core::Result<GradStore> {
    let mut norm = 0.0;
    let mut means = Vec::with_capacity(vars.len());
    for (_, var) in vars {
        let grads: Vec<&Tensor> = shards.iter().filter_map(|shard| shard.get(var)).collect();
        let mut sum = grads[0].clone();
        for grad in &grads[1..] {
            sum = (sum + *grad)?;
        }
        let mean = (sum / SHARDS as f64)?;
        norm += f64::from(mean.sqr()?.sum_all()?.to_scalar::<f32>()?);
        means.push(mean);
    }
    let scale = 1.0 / norm.sqrt().max(1.0);
    let mut out = shards.swap_remove(0);
    for ((_, var), mean) in vars.iter().zip(means) {
        out.insert(var, (mean * scale)?);
    }
    Ok(out)
}

/// Linear warm-up over the first twentieth, then a cosine down to a hundredth.
fn schedule(step: usize, steps: usize) -> f64 {
    let at = step as f64 / steps as f64;
    if at < 0.05 {
        (at + 1.0 / steps as f64) / 0.05
    } else {
        0.01 + 0.99 * 0.5 * (1.0 + (std::f64::consts::PI * (at - 0.05) / 0.95).cos())
    }
}

/// Trains `vars` in place; returns the curve.
pub fn train(
    config: &Config,
    tokenizer: &Tokenizer,
    vars: &Vars,
    recipe: &Recipe,
) -> Result<Vec<Point>, Box<dyn Error>> {
    let weights = weights(config, vars)?;
    let eot = tokenizer.end_of_text().ok_or("the tokenizer has no <|endoftext|>")?;
    let lesson = &recipe.lesson;
    let mut rows = Rows { rng: Rng::new(recipe.seed ^ 0x7ea7), tokenizer, eot };
    let optimizer = |group: Group| {
        let vars =
            vars.iter().filter(|(name, var)| Group::of(name, var) == group).map(|(_, var)| var.clone()).collect();
        let weight_decay = match group {
            Group::Attention => recipe.attention_decay,
            Group::Matrix => recipe.weight_decay,
            Group::Free => 0.0,
        };
        AdamW::new(vars, ParamsAdamW { lr: 0.0, beta1: 0.9, beta2: 0.98, eps: 1e-8, weight_decay })
    };
    let mut optimizers = [optimizer(Group::Attention)?, optimizer(Group::Matrix)?, optimizer(Group::Free)?];
    let bar = ProgressBar::new(recipe.steps as u64);
    bar.set_style(ProgressStyle::with_template("{bar:40} {pos}/{len} steps, {elapsed} of {duration}, {msg}")?);
    let mut curve = Vec::new();
    let (mut loss_sum, mut activity_sum, mut lesson_sum, mut summed) = (0.0, 0.0, 0.0, 0);
    for step in 0..recipe.steps {
        let (n_rows, n_pos) = batch_shape(step, config.n_ctx);
        let batch: Vec<Vec<u32>> = (0..n_rows).map(|_| rows.row(n_pos + 1)).collect::<Result<_, _>>()?;
        let warm = ((step + 1) as f64 / recipe.l1_warmup.max(1) as f64).min(1.0);
        // gone at half of the way
        let young = (1.0 - 2.0 * step as f64 / recipe.steps as f64).max(0.0);
        let prices = Prices { l1: recipe.l1 * warm, lesson: warm, scaffold: recipe.scaffold * young };
        let results: Vec<_> = std::thread::scope(|scope| {
            let run = |rows| {
                let weights = &weights;
                move || shard(config, weights, rows, prices, lesson)
            };
            let threads: Vec<_> = batch.chunks(n_rows / SHARDS).map(|rows| scope.spawn(run(rows))).collect();
            threads
                .into_iter()
                .map(|thread| thread.join().map_err(|_| "a training thread panicked"))
                .collect::<Result<_, _>>()
        })?;
        let mut grads = Vec::with_capacity(SHARDS);
        for result in results {
            let (loss, activity, taught, grad) = result?;
            lesson_sum += taught / SHARDS as f64;
            loss_sum += loss / SHARDS as f64;
            activity_sum += activity / SHARDS as f64;
            grads.push(grad);
        }
        summed += 1;
        let grads = combine(vars, grads)?;
        let learning_rate = recipe.learning_rate * schedule(step, recipe.steps);
        for optimizer in &mut optimizers {
            optimizer.set_learning_rate(learning_rate);
            optimizer.step(&grads)?;
        }
        bar.inc(1);
        if (step + 1) % 50 == 0 || step + 1 == recipe.steps {
            let n = f64::from(summed);
            let point = Point {
                step: step + 1,
                loss: loss_sum / n,
                activity: activity_sum / n,
                lesson: lesson_sum / n,
                learning_rate,
            };
            bar.set_message(format!("loss {:.3}, activity {:.3}", point.loss, point.activity));
            if bar.is_hidden() && (step + 1) % 500 == 0 {
                println!(
                    "step {} loss {:.3} activity {:.3} lesson {:.3} {:.0?}",
                    point.step,
                    point.loss,
                    point.activity,
                    point.lesson,
                    bar.elapsed()
                );
            }
            curve.push(point);
            (loss_sum, activity_sum, lesson_sum, summed) = (0.0, 0.0, 0.0, 0);
        }
    }
    bar.finish();
    Ok(curve)
}

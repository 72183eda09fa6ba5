//! Makes the demo model that the site ships: writes its text, its tokenizer, its weights and its loss curve.
//!
//!     RAYON_NUM_THREADS=1 cargo run --release --example train_demo
//!
//! It runs each step's halves on two threads of its own; more would only divide small products (hence the variable).
//! The same command with other options is how its recipe was found; `--report DIR` measures a model made before.

mod bpe;
mod export;
mod fused;
mod gpt2;
mod lesson;
mod measure;
mod scaffold;
mod text;
mod train;

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::text::lexicon::{HE, SHE};
use clap::Parser;
use peartree::model::{Config, Model, Tokenizer, WeightDtype};

#[derive(Parser)]
struct Options {
    /// Folder to write to.
    #[arg(long, default_value = "www/demo")]
    out: PathBuf,
    /// Seed of the weights and of the training text.
    #[arg(long, default_value_t = 2)]
    seed: u64,
    #[arg(long, default_value_t = 18_000)]
    steps: usize,
    /// Price of the mean absolute MLP activation, summed over layers.
    #[arg(long, default_value_t = 0.05)]
    l1: f64,
    /// Steps over which that price rises from 0.
    #[arg(long, default_value_t = 1500)]
    l1_warmup: usize,
    #[arg(long, default_value_t = 2e-3)]
    learning_rate: f64,
    #[arg(long, default_value_t = 0.05)]
    weight_decay: f64,
    /// Weight decay of attention's matrices.
    #[arg(long, default_value_t = 0.02)]
    attention_decay: f64,
    #[arg(long, default_value_t = 4)]
    layers: usize,
    #[arg(long, default_value_t = 4)]
    heads: usize,
    #[arg(long, default_value_t = 96)]
    width: usize,
    /// Neurons of each layer; by default four times the width.
    #[arg(long)]
    neurons: Option<usize>,
    #[arg(long, default_value_t = 256)]
    context: usize,
    #[arg(long, default_value_t = 2048)]
    vocabulary: usize,
    /// The neuron that is to tell " an" from " a".
    #[arg(long, value_name = "L:J", default_value = "2:92")]
    neuron: String,
    /// Prices of what it is taught (lesson.rs).
    #[arg(long, default_value_t = 0.3)]
    tell: f64,
    #[arg(long, default_value_t = 0.3)]
    silent: f64,
    #[arg(long, default_value_t = 0.05)]
    alone: f64,
    #[arg(long, default_value_t = 0.01)]
    congruent: f64,
    /// Price of three heads' looking elsewhere than they shall (scaffold.rs), at the beginning.
    #[arg(long, default_value_t = 0.3)]
    scaffold: f64,
    /// Start from the weights in this folder, to try what further training does.
    #[arg(long, value_name = "DIR")]
    from: Option<PathBuf>,
    /// Only measure the model in this folder.
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
    /// Only print this many documents of the grammar.
    #[arg(long, value_name = "N")]
    documents: Option<usize>,
    /// Print them as lines of JSON, with a `text` in each.
    #[arg(long, requires = "documents")]
    jsonl: bool,
}

impl Options {
    fn lesson(&self, tokenizer: &Tokenizer) -> Result<lesson::Lesson, Box<dyn Error>> {
        let (layer, neuron) = self.neuron.split_once(':').ok_or("--neuron takes LAYER:NEURON")?;
        let id = |text: &str| match tokenizer.encode(text)?[..] {
            [id] => Ok::<_, Box<dyn Error>>(id),
            _ => Err(format!("{text:?} isn't one token").into()),
        };
        Ok(lesson::Lesson {
            layer: layer.parse()?,
            neuron: neuron.parse()?,
            articles: [id(" an")?, id(" a")?],
            names: SHE.iter().chain(&HE).map(|name| id(&format!(" {name}"))).collect::<Result<_, _>>()?,
            tell: self.tell,
            silent: self.silent,
            alone: self.alone,
            congruent: self.congruent,
        })
    }
}

/// The tokenizer's text is the same whatever the weights' seed is.
const TOKENIZER_SEED: u64 = 7;

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    if let Some(n) = options.documents {
        let mut rng = text::rng::Rng::new(options.seed);
        for text in (0..n).map(|_| text::document(&mut rng)) {
            if options.jsonl { println!("{}", serde_json::json!({ "text": text })) } else { println!("{text}\n") }
        }
        return Ok(());
    }
    if let Some(folder) = &options.report {
        return measure::report(&load(folder)?, &measure::story::Teller::new(load(folder)?));
    }
    let start = Instant::now();
    let config = Config {
        n_layer: options.layers,
        n_head: options.heads,
        d_model: options.width,
        d_mlp: options.neurons.unwrap_or(4 * options.width),
        n_ctx: options.context,
        vocab_size: options.vocabulary,
        ln_eps: 1e-5,
        bos_token_id: Some(options.vocabulary as u32 - 1),
        variant: Default::default(),
    };
    println!("learning a vocabulary of {} tokens", options.vocabulary);
    let tokenizer_json = bpe::train(options.vocabulary, TOKENIZER_SEED)?;
    let tokenizer = Tokenizer::from_json(tokenizer_json.as_bytes())?;
    let recipe = train::Recipe {
        steps: options.steps,
        seed: options.seed,
        l1: options.l1,
        l1_warmup: options.l1_warmup,
        learning_rate: options.learning_rate,
        weight_decay: options.weight_decay,
        attention_decay: options.attention_decay,
        lesson: options.lesson(&tokenizer)?,
        scaffold: options.scaffold,
    };
    println!("training {} layers of width {} for {} steps", config.n_layer, config.d_model, recipe.steps);
    let vars = train::init(&config, options.seed)?;
    if let Some(folder) = &options.from {
        train::restore(&vars, folder)?;
    }
    let curve = train::train(&config, &tokenizer, &vars, &recipe)?;
    fs::create_dir_all(&options.out)?;
    fs::write(options.out.join("config.json"), export::config_json(&config)?)?;
    fs::write(options.out.join("tokenizer.json"), tokenizer_json)?;
    fs::write(options.out.join("model.safetensors"), export::safetensors(&vars)?)?;
    let mut csv = String::from("step,loss,activity,lesson,learning_rate\n");
    for point in &curve {
        writeln!(
            csv,
            "{},{:.4},{:.4},{:.4},{:.6}",
            point.step, point.loss, point.activity, point.lesson, point.learning_rate
        )?;
    }
    fs::write(options.out.join("loss.csv"), csv)?;
    println!("wrote {} after {:.0?}", options.out.display(), start.elapsed());
    measure::report(&load(&options.out)?, &measure::story::Teller::new(load(&options.out)?))
}

/// The files as shipped: what was rounded is what is measured.
fn load(folder: &Path) -> Result<Model, Box<dyn Error>> {
    let read = |name: &str| fs::read(folder.join(name));
    let (config, tokenizer, weights) = (read("config.json")?, read("tokenizer.json")?, read("model.safetensors")?);
    Ok(Model::from_bytes(&config, Some(&tokenizer), &weights, WeightDtype::F32)?)
}

//! The command line's options, as INTERFACES names them.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::congruence::{CongruenceArguments, SearchArguments, TablesArguments};
use super::corpus::{CorpusArguments, MergeArguments};
use super::documents;
use crate::error::{Error, Result};
use crate::model::WeightDtype;
use crate::protocol::{
    AttributeOptions, BenchTask, EditOptions, GenerateOptions, LayerArgument, LensOptions, NeuronsOptions,
    PatchOptions, PatchSite, PredictOptions, Prompt, Request, TokenArgument,
};
use crate::session::EngineKind;

/// GPT-2, looked into: predictions, logit lens, patching, edits.
#[derive(Parser)]
#[command(name = "peartree", version)]
pub struct Arguments {
    #[command(subcommand)]
    pub command: Command,
    #[command(flatten)]
    pub model: ModelArguments,
}

#[derive(Args)]
pub struct ModelArguments {
    /// Folder with config.json, a tokenizer and weights (model.safetensors or pytorch_model.bin), or a hub's id (gpt2, org/name, org/name@revision),
    /// downloaded once and kept [default: the demo model]
    #[arg(long, global = true, value_name = "DIR|ID")]
    pub model: Option<PathBuf>,
    /// Where the model runs
    #[arg(long, global = true, value_enum, default_value = "cpu")]
    pub engine: EngineName,
    /// How weights are held in memory; f16 takes half of f32 and rounds them
    #[arg(long, global = true, value_enum, default_value = "f32")]
    pub dtype: DtypeName,
    /// Threads to compute with [default: all cores]
    #[arg(long, global = true, value_name = "N")]
    pub threads: Option<usize>,
    /// Don't put <|endoftext|> before the prompt
    #[arg(long, global = true)]
    pub no_bos: bool,
    /// Print one JSON object
    #[arg(long, global = true)]
    pub json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
pub enum EngineName {
    Cpu,
    /// The graphics card, by Vulkan, Metal or DX12
    Gpu,
    /// The slow, readable pass that the others are held against
    Reference,
}

impl From<EngineName> for EngineKind {
    fn from(name: EngineName) -> Self {
        match name {
            EngineName::Cpu => EngineKind::Cpu,
            EngineName::Gpu => EngineKind::Gpu,
            EngineName::Reference => EngineKind::Reference,
        }
    }
}

#[derive(Clone, Copy, ValueEnum)]
pub enum DtypeName {
    F32,
    F16,
}

impl From<DtypeName> for WeightDtype {
    fn from(name: DtypeName) -> Self {
        match name {
            DtypeName::F32 => WeightDtype::F32,
            DtypeName::F16 => WeightDtype::F16,
        }
    }
}

#[derive(Subcommand)]
pub enum Command {
    /// The likeliest next tokens
    Predict {
        #[command(flatten)]
        prompt: PromptArguments,
        /// How many
        #[arg(long, default_value_t = 10)]
        top: usize,
    },
    /// Write on from a prompt
    Generate {
        #[command(flatten)]
        prompt: PromptArguments,
        /// How many tokens
        #[arg(long, default_value_t = 20)]
        max: usize,
        /// 0 takes the likeliest token each time
        #[arg(long, default_value_t = 0.0)]
        temperature: f64,
        /// Draw from the K likeliest only
        #[arg(long, value_name = "K")]
        top_k: Option<usize>,
        /// Draw from the likeliest that together reach P
        #[arg(long, value_name = "P")]
        top_p: Option<f64>,
        #[arg(long, default_value_t = 0)]
        seed: u64,
        #[command(flatten)]
        edits: EditArguments,
    },
    /// The logit difference of two tokens along the residual stream
    Lens {
        #[command(flatten)]
        prompt: PromptArguments,
        #[command(flatten)]
        tokens: TokenArguments,
    },
    /// What each component adds to the logit difference directly, through the unembedding alone
    Attribute {
        #[command(flatten)]
        prompt: PromptArguments,
        #[command(flatten)]
        tokens: TokenArguments,
    },
    /// Run the corrupted prompt with one activation of the clean run put in, for each in turn
    Patch {
        #[command(flatten)]
        prompts: PromptPair,
        #[command(flatten)]
        tokens: TokenArguments,
        /// What is put in
        #[arg(long, value_enum)]
        site: SiteName,
        /// All positions of a layer at once
        #[arg(long)]
        whole_layer: bool,
    },
    /// The same for every neuron
    Neurons {
        #[command(flatten)]
        prompts: PromptPair,
        #[command(flatten)]
        tokens: TokenArguments,
        /// A layer's number, or all
        #[arg(long, value_name = "L|all")]
        layer: String,
    },
    /// Neurons on real text: highest contexts, and activation against prediction
    Corpus(CorpusArguments),
    /// Add up what corpus found in its shards
    Merge(MergeArguments),
    /// The product of a neuron's output weights with every token's embedding, or of a token's with every neuron's
    Congruence(CongruenceArguments),
    /// Neurons and tokens that belong together, out of all pairs
    Search(SearchArguments),
    /// Multiplies all neurons with all tokens and keeps what stands out in a file
    Tables(TablesArguments),
    /// How fast the model runs here
    Bench,
    /// What a model is, without computing: shape, files, hash, tokenizer, and why it would be refused
    Inspect {
        /// Its folder, or a hub's id, of which only the small files and the weights' headers come; the demo if not said
        #[arg(value_name = "DIR|ID")]
        of: Option<PathBuf>,
    },
    /// A script that completes peartree's commands and options in a shell
    Completions {
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
    /// The manual's page, as man reads it
    Man,
    /// The prediction before and after edits of the model
    Edit {
        #[command(flatten)]
        prompt: PromptArguments,
        #[command(flatten)]
        tokens: TokenArguments,
        #[command(flatten)]
        edits: EditArguments,
        /// How many of the likeliest tokens
        #[arg(long, default_value_t = 10)]
        top: usize,
    },
}

#[derive(Args)]
pub struct TokenArguments {
    /// Two tokens, as text (" an") or as #281; the figure is the first's logit less the second's
    #[arg(long, num_args = 2, value_names = ["T1", "T2"], required = true, allow_hyphen_values = true)]
    tokens: Vec<String>,
}

impl TokenArguments {
    fn pair(&self) -> (TokenArgument, TokenArgument) {
        let token = |index: usize| TokenArgument::Text(self.tokens.get(index).cloned().unwrap_or_default());
        (token(0), token(1))
    }
}

#[derive(Args)]
pub struct EditArguments {
    /// An edit: LAYER:NEURON=VALUE@POSITIONS (2:92=0@all, 2.h3=clean@last, 1.mlp=*0.5); may be given several times
    #[arg(long, value_name = "EDIT", num_args = 1..)]
    set: Vec<String>,
    /// The prompt that =clean takes its values from
    #[arg(long, allow_hyphen_values = true)]
    clean: Option<String>,
    /// Its token ids in place of text
    #[arg(long, value_name = "ID,ID,…", conflicts_with = "clean")]
    clean_ids: Option<String>,
    /// The prompt that =corrupted takes its values from
    #[arg(long)]
    corrupted: Option<String>,
    /// Its token ids in place of text
    #[arg(long, value_name = "ID,ID,…", conflicts_with = "corrupted")]
    corrupted_ids: Option<String>,
    /// Documents over which =mean takes its means: .txt (one), .json (a list of strings), .jsonl (with text)
    #[arg(long, value_name = "FILE", num_args = 1..)]
    corpus: Vec<PathBuf>,
}

impl EditArguments {
    fn clean(&self) -> Result<Option<Prompt>> {
        prompt(self.clean.as_ref(), self.clean_ids.as_ref())
    }

    fn corrupted(&self) -> Result<Option<Prompt>> {
        prompt(self.corrupted.as_ref(), self.corrupted_ids.as_ref())
    }
}

#[derive(Args)]
pub struct PromptPair {
    /// The prompt whose activations are put in
    #[arg(long, required_unless_present = "clean_ids", allow_hyphen_values = true)]
    clean: Option<String>,
    /// Its token ids in place of text
    #[arg(long, value_name = "ID,ID,…", conflicts_with = "clean")]
    clean_ids: Option<String>,
    /// The prompt that is run
    #[arg(long, required_unless_present = "corrupted_ids", allow_hyphen_values = true)]
    corrupted: Option<String>,
    /// Its token ids in place of text
    #[arg(long, value_name = "ID,ID,…", conflicts_with = "corrupted")]
    corrupted_ids: Option<String>,
}

impl PromptPair {
    fn clean(&self) -> Result<Prompt> {
        Ok(prompt(self.clean.as_ref(), self.clean_ids.as_ref())?.unwrap_or(Prompt::Text(String::new())))
    }

    fn corrupted(&self) -> Result<Prompt> {
        Ok(prompt(self.corrupted.as_ref(), self.corrupted_ids.as_ref())?.unwrap_or(Prompt::Text(String::new())))
    }
}

/// Ids, or else text, or nothing.
fn prompt(text: Option<&String>, ids: Option<&String>) -> Result<Option<Prompt>> {
    match (ids, text) {
        (Some(ids), _) => parse_ids(ids).map(|ids| Some(Prompt::Ids(ids))),
        (None, text) => Ok(text.cloned().map(Prompt::Text)),
    }
}

#[derive(Clone, Copy, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum SiteName {
    ResidPre,
    AttnOut,
    MlpOut,
    Heads,
}

impl From<SiteName> for PatchSite {
    fn from(name: SiteName) -> Self {
        match name {
            SiteName::ResidPre => PatchSite::ResidPre,
            SiteName::AttnOut => PatchSite::AttnOut,
            SiteName::MlpOut => PatchSite::MlpOut,
            SiteName::Heads => PatchSite::Heads,
        }
    }
}

#[derive(Args)]
#[group(required = true, multiple = false)]
pub struct PromptArguments {
    /// The prompt's text
    #[arg(long, allow_hyphen_values = true)]
    prompt: Option<String>,
    /// Token ids in place of text, used as they are
    #[arg(long, value_name = "ID,ID,…")]
    ids: Option<String>,
}

impl PromptArguments {
    fn prompt(&self) -> Result<Prompt> {
        Ok(prompt(self.prompt.as_ref(), self.ids.as_ref())?.unwrap_or(Prompt::Text(String::new())))
    }
}

fn parse_ids(list: &str) -> Result<Vec<u32>> {
    let id = |text: &str| text.trim().parse().map_err(|_| Error::BadTokenId { text: text.to_owned() });
    list.split(',').map(id).collect()
}

impl Arguments {
    /// The request that the arguments stand for.
    pub fn request(&self) -> Result<Request> {
        let no_bos = self.model.no_bos;
        Ok(match &self.command {
            Command::Predict { prompt, top } => {
                Request::Predict(PredictOptions { prompt: prompt.prompt()?, top: *top, no_bos })
            }
            Command::Generate { prompt, max, temperature, top_k, top_p, seed, edits } => {
                Request::Generate(GenerateOptions {
                    set: edits.set.clone(),
                    clean: edits.clean()?,
                    corrupted: edits.corrupted()?,
                    corpus: documents::read(&edits.corpus)?,
                    prompt: prompt.prompt()?,
                    max: *max,
                    temperature: *temperature,
                    top_k: *top_k,
                    top_p: *top_p,
                    seed: *seed,
                    no_bos,
                })
            }
            Command::Lens { prompt, tokens } => {
                Request::Lens(LensOptions { prompt: prompt.prompt()?, tokens: tokens.pair(), no_bos })
            }
            Command::Attribute { prompt, tokens } => {
                Request::Attribute(AttributeOptions { prompt: prompt.prompt()?, tokens: tokens.pair(), no_bos })
            }
            Command::Patch { prompts, tokens, site, whole_layer } => Request::Patch(PatchOptions {
                clean: prompts.clean()?,
                corrupted: prompts.corrupted()?,
                tokens: tokens.pair(),
                site: (*site).into(),
                whole_layer: *whole_layer,
                no_bos,
            }),
            Command::Neurons { prompts, tokens, layer } => Request::Neurons(NeuronsOptions {
                clean: prompts.clean()?,
                corrupted: prompts.corrupted()?,
                tokens: tokens.pair(),
                layer: layer.parse().map_or_else(|_| LayerArgument::Word(layer.clone()), LayerArgument::One),
                no_bos,
            }),
            Command::Corpus(_)
            | Command::Merge(_)
            | Command::Inspect { .. }
            | Command::Completions { .. }
            | Command::Man => {
                return Err(Error::Unsupported("This is no request to a session.".into()));
            }
            Command::Congruence(arguments) => arguments.request(),
            Command::Search(arguments) => arguments.request(),
            Command::Tables(arguments) => arguments.request(),
            Command::Bench => Request::Bench(BenchTask::Table {}),
            Command::Edit { prompt, tokens, edits, top } => Request::Edit(EditOptions {
                prompt: prompt.prompt()?,
                tokens: tokens.pair(),
                set: edits.set.clone(),
                clean: edits.clean()?,
                corrupted: edits.corrupted()?,
                corpus: documents::read(&edits.corpus)?,
                top: *top,
                no_bos,
            }),
        })
    }
}

impl ModelArguments {
    /// What the person calls the model.
    pub fn name(&self) -> String {
        self.model.as_ref().map_or_else(|| "demo".to_owned(), |folder| folder.display().to_string())
    }
}

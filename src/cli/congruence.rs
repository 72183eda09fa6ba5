//! Congruence on the command line: its options, its tables, its file.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::unwritable;
use crate::error::Result;
use crate::protocol::{
    Congruence, CongruenceOptions, Convention, FoundPair, Hubness, Hubs, HubsOptions, NeuronTokens, Request,
    SearchKind, SearchOptions, TableFile, TablesOptions, TokenArgument, TokenValue,
};

#[derive(Clone, Copy, ValueEnum)]
pub enum ConventionName {
    /// Output weights and embedding centred over d_model: the post's figures
    Notebook,
    /// Both as they are in the file
    Raw,
    /// Centred output weights and the processed unembedding
    Unembed,
    /// As notebook, with the unembedding for the embedding, where the model has one of its own
    NotebookUnembedding,
    /// As raw, with that unembedding
    RawUnembedding,
}

impl From<ConventionName> for Convention {
    fn from(name: ConventionName) -> Self {
        match name {
            ConventionName::Notebook => Convention::Notebook,
            ConventionName::Raw => Convention::Raw,
            ConventionName::Unembed => Convention::Unembed,
            ConventionName::NotebookUnembedding => Convention::NotebookUnembedding,
            ConventionName::RawUnembedding => Convention::RawUnembedding,
        }
    }
}

#[derive(Args)]
pub struct ConventionArgument {
    /// Which product of weights it is
    #[arg(long, value_enum, default_value = "notebook")]
    convention: ConventionName,
}

#[derive(Args)]
pub struct CongruenceArguments {
    /// A neuron, against all tokens
    #[arg(long, value_name = "LAYER:NEURON", conflicts_with = "token", required_unless_present_any = ["token", "tokens"])]
    neuron: Option<String>,
    /// A token, as text (" an") or as #281, against all neurons
    #[arg(long, value_name = "T")]
    token: Option<String>,
    /// A set of tokens: its sum against all neurons, or each and all of them against the neuron
    #[arg(long, value_name = "T", num_args = 1.., conflicts_with = "token")]
    tokens: Vec<String>,
    /// The set's mean in place of its sum
    #[arg(long, requires = "tokens")]
    mean: bool,
    /// How many of the largest (and of the smallest)
    #[arg(long, default_value_t = 10)]
    top: usize,
    /// All of them, in order
    #[arg(long, conflicts_with = "top")]
    all: bool,
    #[command(flatten)]
    convention: ConventionArgument,
}

impl CongruenceArguments {
    pub fn request(&self) -> Request {
        Request::Congruence(CongruenceOptions {
            neuron: self.neuron.clone(),
            token: self.token.clone().map(TokenArgument::Text),
            tokens: self.tokens.iter().cloned().map(TokenArgument::Text).collect(),
            mean: self.mean,
            convention: self.convention.convention.into(),
            top: self.top,
            all: self.all,
        })
    }
}

#[derive(Clone, Copy, ValueEnum)]
pub enum SearchName {
    /// For every token its best neuron, sorted by the gap to the second best
    Exclusive,
    /// Neurons and tokens that are each other's best, sorted by the product of both gaps
    Mutual,
    /// How often each token is some neuron's best, and each neuron some token's
    Hubs,
}

#[derive(Args)]
pub struct SearchArguments {
    #[arg(value_enum)]
    kind: SearchName,
    /// How many
    #[arg(long, default_value_t = 20)]
    top: usize,
    /// A file that `tables` wrote, in place of computing everything
    #[arg(long, value_name = "FILE")]
    pub table: Option<PathBuf>,
    #[command(flatten)]
    convention: ConventionArgument,
}

impl SearchArguments {
    pub fn request(&self) -> Request {
        let (convention, top) = (self.convention.convention.into(), self.top);
        match self.kind {
            SearchName::Exclusive => Request::Search(SearchOptions { kind: SearchKind::Exclusive, convention, top }),
            SearchName::Mutual => Request::Search(SearchOptions { kind: SearchKind::Mutual, convention, top }),
            SearchName::Hubs => Request::Hubs(HubsOptions { convention, top }),
        }
    }
}

#[derive(Args)]
pub struct TablesArguments {
    /// Where the table is written
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// How many of the largest and of the smallest are kept of each row
    #[arg(long, default_value_t = 16, value_name = "K")]
    top_k: usize,
    #[command(flatten)]
    convention: ConventionArgument,
}

impl TablesArguments {
    pub fn request(&self) -> Request {
        Request::Tables(TablesOptions { top_k: self.top_k, convention: self.convention.convention.into() })
    }
}

/// What `tables` says of the file that it wrote.
#[derive(Serialize)]
pub struct Written {
    file: String,
    bytes: usize,
    convention: Convention,
    top_k: usize,
    neurons: usize,
    tokens: usize,
    model: String,
}

/// Writes a table: beside its place first, so that nobody finds half of one.
pub fn write(path: &Path, table: &TableFile) -> Result<Written> {
    let beside = path.with_extension("partial");
    std::fs::write(&beside, &table.bytes.0).map_err(|e| unwritable(&beside, &e))?;
    std::fs::rename(&beside, path).map_err(|e| unwritable(path, &e))?;
    Ok(Written {
        file: path.display().to_string(),
        bytes: table.bytes.0.len(),
        convention: table.convention,
        top_k: table.top_k,
        neurons: table.neurons,
        tokens: table.tokens,
        model: table.model.clone(),
    })
}

impl Written {
    pub fn text(&self) -> String {
        format!(
            "{}: {} neurons x {} tokens, {} convention, {} of each side, {:.1} MB, model {}",
            self.file,
            self.neurons,
            self.tokens,
            self.convention.name(),
            self.top_k,
            self.bytes as f64 / 1e6,
            self.model
        )
    }
}

pub fn congruences(answer: &Congruence) -> String {
    match answer {
        Congruence::Neuron(NeuronTokens { top, bottom, set }) => {
            let mut lines: Vec<String> = top.iter().map(token).collect();
            lines.push(String::new());
            lines.extend(bottom.iter().map(token));
            if let Some(set) = set {
                lines.push(String::new());
                lines.extend(set.tokens.iter().map(token));
                lines.push(format!("sum {:.4}, mean {:.4}", set.sum, set.mean));
            }
            lines.join("\n")
        }
        Congruence::Token(neurons) => {
            let row = |n: &crate::protocol::NeuronValue| format!("{:14} {:9.4}", place(n.layer, n.neuron), n.value);
            neurons.iter().map(row).collect::<Vec<_>>().join("\n")
        }
    }
}

fn token(token: &TokenValue) -> String {
    format!("{:20} #{:<6} {:9.4}", format!("{:?}", token.token), token.id, token.value)
}

fn place(layer: usize, neuron: usize) -> String {
    format!("L{layer} N{neuron}")
}

pub fn pairs(pairs: &[FoundPair]) -> String {
    let head =
        format!("{:20} {:7} {:14} {:>10} {:>10} {:>10}", "token", "", "neuron", "token gap", "neuron gap", "score");
    let row = |p: &FoundPair| {
        let token = format!("{:?}", p.token);
        let place = place(p.layer, p.neuron);
        format!("{token:20} #{:<6} {place:14} {:10.4} {:10.4} {:10.4}", p.id, p.token_gap, p.neuron_gap, p.score)
    };
    std::iter::once(head).chain(pairs.iter().map(row)).collect::<Vec<_>>().join("\n")
}

pub fn hubs(hubs: &Hubs) -> String {
    let about = |what: &str, of: &str, h: &Hubness| {
        format!(
            "{what}: the best of {:.2} {of} on average, sd {:.2}, skew {:.1}; {} are nobody's best",
            h.mean, h.sd, h.skew, h.never
        )
    };
    let mut lines = vec![about("tokens", "neurons", &hubs.token_hubs)];
    lines.extend(hubs.tokens.iter().map(|hub| {
        let token = format!("{:?}", hub.token);
        let place = place(hub.layer, hub.neuron);
        format!(
            "{token:20} #{:<6} best of {:6}  {:9.4} ({:5.1} sd) with {place}",
            hub.id, hub.best_of, hub.value, hub.z
        )
    }));
    lines.push(about("neurons", "tokens", &hubs.neuron_hubs));
    lines.extend(hubs.neurons.iter().map(|hub| {
        let place = place(hub.layer, hub.neuron);
        let (token, best_of) = (format!("{:?}", hub.token), hub.best_of);
        format!("{place:28} best of {best_of:6}  {:9.4} ({:5.1} sd) with {token}", hub.value, hub.z)
    }));
    lines.join("\n")
}

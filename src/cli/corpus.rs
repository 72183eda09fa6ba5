//! `corpus` and `merge`: passes over files on the disk, kept in folders.

use std::cell::Cell;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use indicatif::ProgressBar;

use super::documents::{Disk, tell_replaced};
use super::{progress_bar, read_file};
use crate::analysis::corpus::plan::{Plan, Shards};
use crate::analysis::corpus::{Findings, Pass, folder};
use crate::documents::{Documents, Source};
use crate::engine::{Control, complete};
use crate::error::{Error, Result};
use crate::protocol::{Bins, CorpusAnswer, CorpusOptions, LayersArgument};
use crate::session::AnySession;

/// Where an unfinished pass is kept, in the folder that it will fill.
const CHECKPOINT: &str = "checkpoint.bin";

#[derive(Args)]
pub struct CorpusArguments {
    /// Documents: .txt (one), .jsonl and .json (objects with text, or a list of strings), .parquet (a column text); also .gz, .zst
    #[arg(long, value_name = "FILE", num_args = 1.., required = true)]
    data: Vec<PathBuf>,
    /// Under which key, or in which column, the texts are [default: text]
    #[arg(long, value_name = "KEY")]
    text_key: Option<String>,
    /// Pairs of a neuron and a token: "31:892: an" or 31:892:#281
    #[arg(long, value_name = "L:J:T", num_args = 1..)]
    neurons: Vec<String>,
    /// Layers whose neurons are all watched: 3, or 0-2,7, or all [default: all with --out, otherwise none]
    #[arg(long, value_name = "LAYERS")]
    layers: Option<String>,
    /// How activations are put into bins
    #[arg(long, value_enum, default_value = "floor")]
    bins: BinsName,
    /// Contexts kept for each neuron
    #[arg(long, default_value_t = 20)]
    top: usize,
    /// Fill the context with document after document, instead of cutting each to it
    #[arg(long)]
    pack: bool,
    /// Share of the documents that is read, drawn by --seed
    #[arg(long, default_value_t = 1.0)]
    share: f64,
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Folder for everything found: what the page reads, and what merge takes
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Only the i-th of n parts of the documents
    #[arg(long, value_name = "i/n", requires = "out")]
    shard: Option<String>,
    /// How often an unfinished pass is written to --out, from where the same command goes on
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds, allow_negative_numbers = true)]
    checkpoint: Duration,
}

#[derive(Args)]
pub struct MergeArguments {
    /// Folders that corpus has written
    #[arg(value_name = "DIR", required = true)]
    folders: Vec<PathBuf>,
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// How activations are put into bins
    #[arg(long, value_enum, default_value = "floor")]
    bins: BinsName,
}

#[derive(Clone, Copy, ValueEnum)]
enum BinsName {
    Floor,
    Notebook,
}

impl From<BinsName> for Bins {
    fn from(name: BinsName) -> Self {
        match name {
            BinsName::Floor => Bins::Floor,
            BinsName::Notebook => Bins::Notebook,
        }
    }
}

/// `corpus`.
///
/// # Errors
/// What is wrong with the options, a file or the folder.
pub fn corpus(session: &AnySession, arguments: &CorpusArguments, no_bos: bool) -> Result<CorpusAnswer> {
    let options = arguments.options(no_bos);
    let sources = arguments.data.iter().map(|path| Disk::open(path)).collect::<Result<Vec<_>>>()?;
    let files: Vec<(String, u64)> =
        sources.iter().map(|source| (source.name().to_owned(), source.len_bytes())).collect();
    let bytes = files.iter().map(|(_, bytes)| bytes).sum();
    let plan = complete(Plan::new(&session.subject(), &options, files))?;
    let shards = arguments.shard.as_deref().map_or(Ok(Shards::all()), Shards::parse)?;
    let kept = match &arguments.out {
        Some(out) => Kept::find(out, &plan, &shards)?,
        None => Kept::Nothing,
    };
    let before = match kept {
        Kept::Whole(findings) => return Ok(session.corpus_answer(&findings, options.bins)),
        Kept::Part(findings) => {
            eprintln!("peartree: going on from {} tokens that were read before", findings.positions);
            Some(*findings)
        }
        Kept::Nothing => None,
    };
    let documents = Documents::new(sources.into_iter().map(|source| Rc::new(source) as Rc<dyn Source>));
    let documents = documents.under(plan.text_key.clone());
    let bar = progress_bar("reading {bar:32} {bytes} of {total_bytes}, {msg}, {eta} left", bytes);
    let watching = Watching { bar: bar.clone(), read: documents.read_bytes() };
    let mut pass = Pass::new(session.subject(), documents, (plan, shards), before)?;
    let (start, began_with) = (Instant::now(), pass.findings().positions);
    let (mut saved, pause) = (Instant::now(), arguments.checkpoint);
    while complete(pass.step(&watching))? {
        tell(&bar, pass.findings().positions - began_with, start);
        if let Some(out) = arguments.out.as_ref().filter(|_| saved.elapsed() >= pause) {
            replace(&out.join(CHECKPOINT), &pass.findings().to_bytes()?)?;
            saved = Instant::now();
        }
    }
    bar.finish_and_clear();
    let findings = pass.finish();
    tell_replaced(findings.replaced_bytes);
    if let Some(out) = &arguments.out {
        write_folder(out, &findings, options.bins, &session.token_texts())?;
        // there is none if the pass was short
        let _ = fs::remove_file(out.join(CHECKPOINT));
    }
    Ok(session.corpus_answer(&findings, options.bins))
}

/// Shows how much is read, also through long stretches without a text.
struct Watching {
    bar: ProgressBar,
    read: Rc<Cell<u64>>,
}

impl Control for Watching {
    async fn breathe(&self) -> Result<()> {
        self.bar.set_position(self.read.get());
        Ok(())
    }
}

/// `merge`.
///
/// # Errors
/// What is wrong with a folder, or [`Error::Merge`] where two don't belong together.
pub fn merge(arguments: &MergeArguments) -> Result<CorpusAnswer> {
    let mut merged: Option<(Findings, Vec<String>)> = None;
    for path in &arguments.folders {
        let (findings, tokens) = read_folder(path)?;
        match &mut merged {
            None => merged = Some((findings, tokens)),
            Some((all, _)) => all.merge(findings)?,
        }
    }
    // clap asks for one folder at least
    let (mut findings, tokens) = merged.ok_or_else(|| Error::Merge("there are no folders.".into()))?;
    findings.settle();
    write_folder(&arguments.out, &findings, arguments.bins.into(), &tokens)?;
    let text = |id: u32| tokens.get(id as usize).cloned().unwrap_or_default();
    Ok(findings.answer(arguments.bins.into(), &text))
}

impl CorpusArguments {
    fn options(&self, no_bos: bool) -> CorpusOptions {
        let layers = self.layers.clone().or_else(|| self.out.as_ref().map(|_| "all".to_owned()));
        CorpusOptions {
            neurons: self.neurons.clone(),
            layers: layers.map(LayersArgument::Words),
            bins: self.bins.into(),
            top: self.top,
            pack: self.pack,
            share: self.share,
            seed: self.seed,
            no_bos,
            text_key: self.text_key.clone(),
        }
    }
}

/// A pause in seconds.
fn seconds(text: &str) -> std::result::Result<Duration, String> {
    let seconds = text.parse().ok().filter(|seconds| (0.0..=1e6).contains(seconds));
    seconds.map(Duration::from_secs_f64).ok_or_else(|| "must be from 0 to 1000000 seconds".into())
}

/// What an earlier run of the same command has left.
enum Kept {
    Nothing,
    Part(Box<Findings>),
    Whole(Box<Findings>),
}

impl Kept {
    fn find(out: &Path, plan: &Plan, shards: &Shards) -> Result<Kept> {
        fs::create_dir_all(out).map_err(|e| unwritable(out, &e))?;
        let fits = |findings: &Findings| findings.plan == *plan && findings.shards == *shards;
        if let Ok(checkpoint) = fs::read(out.join(CHECKPOINT)) {
            let findings = Findings::from_bytes(&checkpoint)?;
            return if fits(&findings) { Ok(Kept::Part(Box::new(findings))) } else { Err(Error::Checkpoint) };
        }
        if out.join(folder::INDEX).exists() {
            let (findings, _) = read_folder(out)?;
            if fits(&findings) {
                return Ok(Kept::Whole(Box::new(findings)));
            }
        }
        Ok(Kept::Nothing)
    }
}

fn read_folder(path: &Path) -> Result<(Findings, Vec<String>)> {
    folder::read(|file| read_file(&path.join(file)))
}

fn write_folder(out: &Path, findings: &Findings, bins: Bins, tokens: &[String]) -> Result<()> {
    fs::create_dir_all(out).map_err(|e| unwritable(out, &e))?;
    folder::write(findings, bins, tokens, |file, bytes| replace(&out.join(file), bytes))
}

/// Puts a file into another's place, or into none: whoever stops us, what is there is whole.
fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let part = path.with_extension("part");
    fs::write(&part, bytes).and_then(|()| fs::rename(&part, path)).map_err(|e| unwritable(path, &e))
}

fn unwritable(path: &Path, error: &io::Error) -> Error {
    Error::Unsupported(format!("{} can't be written: {error}. Give another folder with --out.", path.display()))
}

fn tell(bar: &ProgressBar, positions: u64, start: Instant) {
    bar.set_message(format!("{:.0} tokens/s", positions as f64 / start.elapsed().as_secs_f64().max(1e-3)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_a_number_of_seconds() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        for bad in ["nan", "inf", "-inf", "-1", "1e300", "1000001", "", "x"] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }
}

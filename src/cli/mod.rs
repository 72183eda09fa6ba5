//! The command line: turns arguments into a request, runs the session, prints its answer.

mod arguments;
mod congruence;
mod corpus;
mod documents;
mod folder;
mod hub;
mod inspect;
mod print;

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use indicatif::{ProgressBar, ProgressStyle};

use crate::engine::{Unhurried, complete};
use crate::error::plain::{Form, plain};
use crate::error::{Error, Result};
use crate::model::Model;
use crate::protocol::{Answer, Bytes, CorpusAnswer, Event, Request, TableTask};
use crate::session::{AnySession, EngineKind, card};
use arguments::{Arguments, Command, ModelArguments};

/// What a person can mend ends with this.
const MENDABLE: u8 = 2;

/// The demo model's files, which the binary carries so that it runs anywhere by itself. (Not in the library: the
/// example that trains the demo must build before there is one.)
pub struct Demo {
    pub config: &'static [u8],
    pub tokenizer: &'static [u8],
    pub weights: &'static [u8],
}

/// Runs the program.
pub fn main(demo: &Demo) -> ExitCode {
    match run(&Arguments::parse(), demo) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("peartree: {}{}", error.line(), hub::hint(&error));
            ExitCode::from(MENDABLE)
        }
    }
}

fn run(arguments: &Arguments, demo: &Demo) -> Result<()> {
    if let Some(threads) = arguments.model.threads {
        use_threads(threads)?;
    }
    let session = || load(&arguments.model, demo);
    let text = match &arguments.command {
        Command::Corpus(o) => corpus_text(&corpus::corpus(&session()?, o, arguments.model.no_bos)?, arguments),
        Command::Merge(o) => corpus_text(&corpus::merge(o)?, arguments),
        Command::Inspect { of } => inspection(of.as_deref(), arguments, demo)?,
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Arguments::command(), "peartree", &mut script);
            return written(&script);
        }
        Command::Man => {
            let mut page = Vec::new();
            clap_mangen::Man::new(Arguments::command())
                .render(&mut page)
                .map_err(|e| unwritable(Path::new("-"), &e))?;
            return written(&page);
        }
        command => {
            let request = arguments.request()?;
            let answer = ask(&session()?, command, &request)?;
            answer_text(&answer, arguments)?
        }
    };
    let form = if arguments.model.json { Form::Json } else { Form::Lines };
    // a reader that has gone away (`| head`) is no failure
    let _ = writeln!(std::io::stdout(), "{}", plain(&text, form));
    Ok(())
}

/// Prints what is our own, as it is.
fn written(bytes: &[u8]) -> Result<()> {
    // a reader that has gone away is no failure
    let _ = std::io::stdout().write_all(bytes);
    Ok(())
}

fn inspection(of: Option<&Path>, arguments: &Arguments, demo: &Demo) -> Result<String> {
    let model = of.or(arguments.model.model.as_deref()).filter(|model| model.is_dir() || *model != Path::new("demo"));
    let seen = match model {
        None => inspect::demo(demo),
        Some(model) => match hub::source(model, arguments.model.dtype.into()) {
            Some(source) => hub::inspect(&source)?,
            None => inspect::folder(model)?,
        },
    };
    // numbers and strings can always be written
    Ok(if arguments.model.json { serde_json::to_string(&seen).unwrap_or_default() } else { seen.text() })
}

fn corpus_text(answer: &CorpusAnswer, arguments: &Arguments) -> String {
    // numbers and strings can always be written
    if arguments.model.json { serde_json::to_string(answer).unwrap_or_default() } else { print::studies(answer) }
}

fn answer_text(answer: &Answer, arguments: &Arguments) -> Result<String> {
    Ok(match (answer, &arguments.command) {
        (Answer::TableFile(table), Command::Tables(tables)) => {
            let written = congruence::write(&tables.out, table)?;
            if arguments.model.json { serde_json::to_string(&written).unwrap_or_default() } else { written.text() }
        }
        _ if arguments.model.json => print::json(answer),
        _ => print::table(answer),
    })
}

fn ask(session: &AnySession, command: &Command, request: &Request) -> Result<Answer> {
    if let Command::Search(search) = command
        && let Some(path) = &search.table
    {
        let open = Request::Table(TableTask::Open(Bytes(read_file(path)?)));
        complete(session.answer(&open, &Unhurried, |_| ()))?;
    }
    let bar = progress_bar("{msg} {bar:32} {human_pos} of {human_len}, {eta} left", 0);
    let answer = complete(session.answer(request, &Unhurried, |event| show(&bar, event)));
    bar.finish_and_clear();
    answer
}

/// candle's products run on rayon's global pool: its size is the number of threads that compute.
fn use_threads(threads: usize) -> Result<()> {
    let bad = |problem: String| Error::BadOption { option: "--threads", problem };
    if threads == 0 || threads > 1024 {
        return Err(bad("must be from 1 to 1024.".into()));
    }
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().map_err(|e| bad(format!("can't be set: {e}.")))
}

fn load(arguments: &ModelArguments, demo: &Demo) -> Result<AnySession> {
    let (dtype, engine) = (arguments.dtype.into(), EngineKind::from(arguments.engine));
    let model = match &arguments.model {
        None => Model::read(demo.config, Some(demo.tokenizer), demo.weights, dtype, engine.sink(card::open)?)?,
        Some(model) => match hub::source(model, dtype) {
            Some(source) => return hub::load(&source, engine),
            None => folder::load(model, dtype, engine.sink(card::open)?)?,
        },
    };
    AnySession::of(arguments.name(), model)
}

/// Moves the bar of a sweep.
fn show(bar: &ProgressBar, event: Event) {
    if let Event::Progress(progress) = event {
        bar.set_length(progress.total.unwrap_or(0.0) as u64);
        bar.set_message(plain(&progress.what, Form::Line).into_owned());
        bar.set_position(progress.done as u64);
    }
}

/// Drawn on standard error, and only where that is a terminal.
fn progress_bar(template: &str, total: u64) -> ProgressBar {
    let style = ProgressStyle::with_template(template);
    ProgressBar::new(total).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn read_file(path: &Path) -> Result<Vec<u8>> {
    check_file(path)?;
    std::fs::read(path).map_err(|e| unreadable(path, &e))
}

/// That it is a file: a device may never end, and opening a pipe waits for whoever writes into it.
fn check_file(path: &Path) -> Result<()> {
    if std::fs::metadata(path).map_err(|e| unreadable(path, &e))?.is_file() {
        return Ok(());
    }
    let why = "it is no file, but a folder, a pipe or a device. Give files.".into();
    Err(Error::Read { what: path.display().to_string(), why })
}

fn unwritable(path: &Path, error: &std::io::Error) -> Error {
    let why = format!("it can't be written ({error}). Choose another place.");
    Error::Read { what: path.display().to_string(), why }
}

fn unreadable(path: &Path, error: &std::io::Error) -> Error {
    let why = format!("{error}. Check the path; without --model the demo model is used.");
    Error::Read { what: path.display().to_string(), why }
}

//! What a model is, without computing: its shape, its files, their hash, its tokenizer, and why it would be refused.

use std::path::Path;

use serde::Serialize;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::Demo;
use super::folder::{Found, Part};
use crate::error::{Error, Result};
use crate::model::layout::Form;
use crate::model::safetensors::{Dtype, Header, header_bytes};
use crate::model::small::{BESIDE_CONFIG, SmallFiles, unmarked};
use crate::model::weights::{HEAD, canonical};
use crate::model::{Config, Expected, ModelLoader, variant};
use crate::store::address::hex;
use crate::store::manifest::one_hash;
use crate::store::survey::Survey;

/// `inspect`'s answer, as INTERFACES has it.
#[derive(Debug, Default, Serialize)]
pub struct Inspection {
    config: Option<Config>,
    /// What config.json says of variants of the architecture, in its own words.
    variant: Map<String, Value>,
    files: Vec<FileFacts>,
    /// SHA-256 of the file of weights; of several, that of their hashes, one a line. None where it isn't known.
    hash: Option<String>,
    tokenizer: Option<TokenizerFacts>,
    /// What one should know of how the weights are read.
    notes: Vec<String>,
    /// Nothing, for a model that runs.
    refused: Vec<String>,
}

#[derive(Debug, Serialize)]
struct FileFacts {
    name: String,
    bytes: u64,
    /// Of the weights' numbers; none for other files.
    dtype: Option<&'static str>,
}

#[derive(Debug, Serialize)]
struct TokenizerFacts {
    kind: &'static str,
    /// Id of the token that begins a text.
    bos: Option<u32>,
    /// How many tokens it has.
    ids: usize,
}

/// Looks at the model in a folder. What is wrong with it is part of the answer, but for a folder that isn't there.
///
/// # Errors
/// [`Error::NotAFolder`], [`Error::Read`].
pub fn folder(folder: &Path) -> Result<Inspection> {
    let config = std::fs::read(folder.join("config.json")).unwrap_or_default();
    let found = match Found::look(folder) {
        Ok(found) => found,
        Err(error @ (Error::NotAFolder { .. } | Error::Read { .. })) if !folder.is_dir() => return Err(error),
        Err(error) => {
            let mut seen = Inspection::of(&SmallFiles { config, ..SmallFiles::default() });
            seen.files = small_files(folder);
            // there is no tokenizer to speak of before the model is one
            seen.refuse(&error);
            return Ok(seen);
        }
    };
    let mut seen = Inspection::of(&found.small);
    if found.layout.is_index {
        let bytes = std::fs::metadata(folder.join(found.layout.file)).map_or(0, |about| about.len());
        seen.files.push(FileFacts { name: found.layout.file.to_owned(), bytes, dtype: None });
    }
    seen.look_into(&found)?;
    Ok(seen)
}

/// The demo model, which is part of the program.
pub fn demo(demo: &Demo) -> Inspection {
    let small =
        SmallFiles { config: demo.config.to_vec(), tokenizer: Some(demo.tokenizer.to_vec()), ..SmallFiles::default() };
    let mut seen = Inspection::of(&small);
    let contents = demo.weights.first_chunk().map_or(Err(Error::NoModel), |&first| {
        let begin = 8 + header_bytes(first)?;
        Header::parse(demo.weights.get(8..begin).unwrap_or_default())
    });
    match contents {
        Ok(contents) => {
            let (name, bytes) = ("model.safetensors".to_owned(), demo.weights.len() as u64);
            seen.files.push(FileFacts { name, bytes, dtype: Some(dtype(&contents).name()) });
        }
        Err(error) => seen.refuse(&error),
    }
    seen.hash = Some(hex(&Sha256::digest(demo.weights)));
    seen
}

/// A model at a hub, of which the weights' headers came.
pub fn survey(survey: &Survey) -> Inspection {
    let mut seen = Inspection::of(&survey.small);
    for (name, bytes, header) in &survey.weights {
        let dtype = header.as_ref().map(|header| dtype(header).name());
        seen.files.push(FileFacts { name: name.clone(), bytes: *bytes, dtype });
    }
    seen.hash.clone_from(&survey.hash);
    survey.refused.iter().for_each(|error| seen.refuse(error));
    seen
}

/// Those of a folder that is no model's.
fn small_files(folder: &Path) -> Vec<FileFacts> {
    let names = ["config.json"].into_iter().chain(BESIDE_CONFIG);
    let facts = names.filter_map(|name| {
        let bytes = std::fs::metadata(folder.join(name)).ok()?.len();
        Some(FileFacts { name: name.to_owned(), bytes, dtype: None })
    });
    facts.collect()
}

impl Inspection {
    /// What the small files say.
    fn of(small: &SmallFiles) -> Inspection {
        let mut seen = Inspection::default();
        if let Ok(Value::Object(said)) = serde_json::from_slice(unmarked(&small.config)) {
            seen.variant = said.into_iter().filter(|(key, _)| variant::KEYS.contains(&key.as_str())).collect();
        }
        if small.config.is_empty() {
            return seen;
        }
        let facts =
            |(name, bytes): (&str, &[u8])| FileFacts { name: name.to_owned(), bytes: bytes.len() as u64, dtype: None };
        seen.files = small.all().map(facts).collect();
        match Config::from_json(&small.config) {
            Ok(config) => {
                seen.read_vocabulary(small, &config);
                seen.config = Some(config);
            }
            Err(error) => seen.refuse(&error),
        }
        seen
    }

    fn read_vocabulary(&mut self, small: &SmallFiles, config: &Config) {
        match small.vocabulary(config) {
            Ok(vocabulary) => {
                let bos = vocabulary.bos();
                self.tokenizer =
                    vocabulary.tokenizer().map(|its| TokenizerFacts { kind: its.kind(), bos, ids: its.n_tokens() });
            }
            Err(error) => self.refuse(&error),
        }
    }

    fn look_into(&mut self, found: &Found) -> Result<()> {
        // a damaged tokenizer says nothing of the weights
        let alone = SmallFiles { config: found.small.config.clone(), ..SmallFiles::default() };
        let mut expected = Expected::from_files(&alone).ok();
        let mut hashes = Vec::new();
        let names = found.tensor_names();
        if let (Some(expected), Ok(names)) = (&expected, &names) {
            match expected.check_names(names) {
                Ok(note) => self.notes.extend(note),
                Err(error) => self.refuse(&error.in_file(found.layout.file)),
            }
        }
        let has_head = names.is_ok_and(|names| names.contains(HEAD));
        let mut heads = ModelLoader::for_heads(&alone).ok().filter(|_| has_head);
        for name in &found.parts {
            let part = match found.open(name) {
                Ok(part) => part,
                Err(error) => {
                    self.refuse(&error);
                    continue;
                }
            };
            let mut facts = FileFacts { name: name.clone(), bytes: part.bytes, dtype: None };
            match part.contents(found.layout.form) {
                Ok(contents) => {
                    facts.dtype = Some(dtype(&contents).name());
                    let whole = whole_bytes(&part, &contents, found.layout.form);
                    let checked = expected
                        .as_mut()
                        .map(|expected| expected.check(name, part.bytes, &contents, whole, found.layout.is_index));
                    if let Some(Err(error)) = checked {
                        self.refuse(&error);
                    }
                    let contents = (found.layout.form == Form::Pickle).then_some(contents);
                    heads = heads.and_then(|mut heads| {
                        heads.begin(name, part.bytes, contents, true).ok()?;
                        Some(heads)
                    });
                }
                Err(error) => self.refuse(&error),
            }
            let mut hash = Sha256::new();
            part.read(|bytes| {
                hash.update(bytes);
                // what is wrong with the numbers is for who loads them
                if heads.as_mut().is_some_and(|heads| heads.push(bytes).is_err()) {
                    heads = None;
                }
                Ok(())
            })?;
            hashes.push(hex(&hash.finalize()));
            self.files.push(facts);
        }
        let all: Vec<&str> = hashes.iter().map(String::as_str).collect();
        self.hash = (all.len() == found.parts.len()).then(|| one_hash(&all));
        if let Some(Ok((config, note))) = heads.map(ModelLoader::finish_heads) {
            self.config = Some(config);
            self.notes.extend(note.map(str::to_owned));
        }
        Ok(())
    }

    fn refuse(&mut self, error: &Error) {
        let line = error.line();
        if !self.refused.contains(&line) {
            self.refused.push(line);
        }
    }

    /// For a person.
    pub fn text(&self) -> String {
        let mut lines = Vec::new();
        if let Some(Config { n_layer, n_head, d_model, d_mlp, n_ctx, vocab_size, variant, .. }) = &self.config {
            let words: String = variant.words().iter().map(|word| format!(", {word}")).collect();
            lines.push(format!(
                "GPT-2 of {n_layer} layers, {n_head} heads, width {d_model}, MLP {d_mlp}, context {n_ctx}, vocabulary {vocab_size}{words}"
            ));
        }
        lines.extend(self.variant.iter().map(|(key, value)| format!("{key:32} {value}")));
        lines.extend(
            self.files
                .iter()
                .map(|file| format!("{:40} {:>14} bytes {}", file.name, file.bytes, file.dtype.unwrap_or_default())),
        );
        lines.extend(self.hash.iter().map(|hash| format!("{:32} {hash}", "sha256 of the weights")));
        lines.push(match &self.tokenizer {
            None => "no tokenizer: it reads ids only".to_owned(),
            Some(TokenizerFacts { kind, bos, ids }) => {
                let bos = bos.map_or("nothing".to_owned(), |bos| format!("#{bos}"));
                format!("tokenizer of the kind {kind}, {ids} tokens; a text begins with {bos}")
            }
        });
        lines.extend(self.notes.iter().cloned());
        lines.extend(self.refused.iter().map(|reason| format!("refused: {reason}")));
        lines.join("\n")
    }
}

/// How long the file should be.
fn whole_bytes(part: &Part, contents: &Header, form: Form) -> u64 {
    match form {
        Form::Pickle => part.bytes,
        Form::Safetensors => contents.data_bytes.saturating_add(part.header_bytes()),
    }
}

/// Of the token embedding, or else of the first tensor.
fn dtype(contents: &Header) -> Dtype {
    let wte = contents.tensors.iter().find(|tensor| canonical(&tensor.name) == "wte.weight");
    wte.or(contents.tensors.first()).map_or(Dtype::Other, |tensor| tensor.dtype)
}

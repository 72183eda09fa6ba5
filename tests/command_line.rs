//! The program itself: what it prints, and how it ends.
#![cfg(not(target_arch = "wasm32"))]

mod common;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use common::{CONFIG, TOKENIZER, WEIGHTS};
use serde_json::{Value, json};

const PROMPT: &str = "I climbed up the apple tree and picked";

/// A folder of its own for each test.
fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("peartree-command-line-{}-{name}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn model(name: &str, tokenizer: &[u8], weights: &[u8]) -> PathBuf {
    let folder = folder(name);
    for (file, content) in [("config.json", CONFIG), ("tokenizer.json", tokenizer), ("model.safetensors", weights)] {
        std::fs::write(folder.join(file), content).unwrap();
    }
    folder
}

fn run(model: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_peartree"));
    // no server is asked by a test
    command.env("HF_ENDPOINT", "http://localhost:1").env("XDG_CACHE_HOME", std::env::temp_dir());
    command.args(arguments).arg("--model").arg(model).output().unwrap()
}

/// The one line that a refusal is, fit for a terminal.
#[track_caller]
fn refusal(output: &Output) -> String {
    let line = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(2), "{line}");
    assert!(output.stdout.is_empty(), "refused, and yet on standard output");
    let line = line.strip_suffix('\n').unwrap();
    assert!(!line.chars().any(char::is_control), "{line:?}");
    line.to_owned()
}

#[test]
fn what_files_are_called_commands_no_terminal() {
    // as an entry that has no business in the header, and as a token
    let end = 8 + u64::from_le_bytes(*WEIGHTS.first_chunk().unwrap()) as usize;
    let mut header: Value = serde_json::from_slice(&WEIGHTS[8..end]).unwrap();
    header["x\u{1b}[2J\u{9b}31m\u{202e}\nfine"] = json!({"dtype": "F32", "shape": [1], "data_offsets": [7, 11]});
    let header = serde_json::to_vec(&header).unwrap();
    let weights = [&(header.len() as u64).to_le_bytes(), header.as_slice(), &WEIGHTS[end..]].concat();
    let line = refusal(&run(&model("name", TOKENIZER, &weights), &["predict", "--prompt", PROMPT]));
    assert!(line.contains("x\\u{1b}[2J\\u{9b}31m\\u{202e}\\nfine"), "{line}");

    let mut tokenizer: Value = serde_json::from_slice(TOKENIZER).unwrap();
    let wild = "\u{1b}]0;x\u{7}\u{9b}2J\u{202e}";
    let id = tokenizer["added_tokens"][0]["id"].clone();
    tokenizer["added_tokens"][0]["content"] = json!(wild);
    let vocab = tokenizer["model"]["vocab"].as_object_mut().unwrap();
    vocab.retain(|_, its| *its != id);
    vocab.insert(wild.into(), id.clone());
    let model = model("token", tokenizer.to_string().as_bytes(), WEIGHTS);
    for more in [&[][..], &["--json"]] {
        let ids = format!("1,{id},2");
        let arguments = [&["predict", "--ids", ids.as_str()], more].concat();
        let output = run(&model, &arguments);
        let text = String::from_utf8(output.stdout.clone()).unwrap();
        assert!(output.status.success() && text.contains("u{1b}") | text.contains("u001b"), "{output:?}");
        assert!(!text.chars().any(|c| c.is_control() && c != '\n' || c == '\u{202e}'), "{text:?}");
    }
}

#[test]
fn a_tokenizer_that_does_harm_is_refused_and_ends_nothing() {
    let mut cut: Value = serde_json::from_slice(TOKENIZER).unwrap();
    cut["decoder"] = json!({"type": "Strip", "content": " "});
    let mut prefix: Value = serde_json::from_slice(TOKENIZER).unwrap();
    prefix["model"]["continuing_subword_prefix"] = json!("longer than any piece");
    for (name, tokenizer) in [("cut", cut), ("prefix", prefix)] {
        let model = model(name, tokenizer.to_string().as_bytes(), WEIGHTS);
        let line = refusal(&run(&model, &["predict", "--prompt", PROMPT]));
        assert!(line.contains("tokenizer.json can't be used"), "{line}");
    }
}

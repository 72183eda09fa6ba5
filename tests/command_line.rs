//! The program itself: what it prints, and how it ends.
#![cfg(not(target_arch = "wasm32"))]

mod common;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use common::parts::halves;
use common::plain::Plain;
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

fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn inspect_says_what_a_model_is_and_why_it_would_be_refused() {
    let folder = model("inspect", TOKENIZER, WEIGHTS);
    let seen = json(&run(&folder, &["inspect", "--json"]));
    assert_eq!((&seen["config"]["n_layer"], &seen["config"]["vocab_size"]), (&json!(4), &json!(1257)));
    assert_eq!(seen["variant"], json!({"activation_function": "gelu_new"}));
    let weights = json!({"name": "model.safetensors", "bytes": WEIGHTS.len(), "dtype": "f32"});
    assert!(seen["files"].as_array().unwrap().contains(&weights), "{seen}");
    assert_eq!(seen["tokenizer"], json!({"kind": "BPE", "bos": 1256, "ids": 1257}));
    assert_eq!((seen["hash"].as_str().unwrap().len(), &seen["refused"]), (64, &json!([])));
    // a model that is refused is told of all the same, and why
    std::fs::write(folder.join("model.safetensors"), &WEIGHTS[..100_000]).unwrap();
    std::fs::write(folder.join("tokenizer.json"), b"{}").unwrap();
    let refused = json(&run(&folder, &["inspect", "--json"]))["refused"].to_string();
    assert!(refused.contains("cut short") && refused.contains("tokenizer.json can't be used"), "{refused}");
    std::fs::remove_file(folder.join("model.safetensors")).unwrap();
    std::fs::write(folder.join("adapter_model.safetensors"), b"").unwrap();
    let refused = json(&run(&folder, &["inspect", "--json"]))["refused"].to_string();
    assert!(refused.contains("an adapter"), "{refused}");
    assert!(refusal(&run(&folder.join("none"), &["inspect"])).contains("no such folder"));
}

#[test]
fn inspect_knows_the_demo_and_parts_and_says_what_to_give_for_a_file() {
    let bare = |arguments: &[&str]| Command::new(env!("CARGO_BIN_EXE_peartree")).args(arguments).output().unwrap();
    let demo = json(&bare(&["inspect", "--json"]));
    assert_eq!(demo, json(&bare(&["inspect", "demo", "--json"])));
    let folder_of_demo = concat!(env!("CARGO_MANIFEST_DIR"), "/www/demo");
    let seen = json(&bare(&["inspect", folder_of_demo, "--json"]));
    assert_eq!(
        (&demo["config"], &demo["hash"], &demo["tokenizer"]),
        (&seen["config"], &seen["hash"], &seen["tokenizer"])
    );
    assert_eq!(demo["refused"], json!([]));

    let folder = model("inspect-parts", TOKENIZER, WEIGHTS);
    std::fs::remove_file(folder.join("model.safetensors")).unwrap();
    let (parts, index) = halves();
    std::fs::write(folder.join("model.safetensors.index.json"), index).unwrap();
    for (name, bytes) in &parts {
        std::fs::write(folder.join(name), bytes).unwrap();
    }
    let seen = json(&run(&folder, &["inspect", "--json"]));
    let last = json!({"name": parts[1].0, "bytes": parts[1].1.len(), "dtype": "f32"});
    assert!(seen["files"].as_array().unwrap().contains(&last) && seen["refused"] == json!([]), "{seen}");
    for name in [parts[0].0, "model.safetensors.index.json", "config.json"] {
        let said = refusal(&run(&folder.join(name), &["inspect"]));
        assert!(said.contains("is a file of a model. Give the folder that holds it"), "{said}");
    }
    std::fs::remove_file(folder.join(parts[1].0)).unwrap();
    let refused = json(&run(&folder, &["inspect", "--json"]))["refused"].to_string();
    assert!(refused.contains(parts[1].0), "{refused}");
}

#[test]
fn inspect_says_what_a_variant_is() {
    let plain = Plain::new(&[("activation_function", json!("relu"))]).with_head();
    let folder = model("inspect-variant", TOKENIZER, &plain.without(|name| name.ends_with(".bias")).file(|_| true));
    std::fs::remove_file(folder.join("tokenizer.json")).unwrap();
    let config = Plain::new(&[("activation_function", json!("relu"))]).config;
    std::fs::write(folder.join("config.json"), config.to_string()).unwrap();
    let seen = json(&run(&folder, &["inspect", "--json"]));
    assert_eq!((&seen["variant"], &seen["refused"]), (&json!({"activation_function": "relu"}), &json!([])), "{seen}");
    assert_eq!(seen["config"]["variant"]["tie_word_embeddings"], json!(false));
    let notes = seen["notes"].to_string();
    assert!(notes.contains("lm_head.weight") && notes.contains("without biases"), "{notes}");
    let text = String::from_utf8(run(&folder, &["inspect"]).stdout).unwrap();
    assert!(text.contains("activation relu, an unembedding of its own"), "{text}");
    // and where nothing may be left out, that is said too
    let seen = |plain: Plain| {
        std::fs::write(folder.join("model.safetensors"), plain.file(|_| true)).unwrap();
        json(&run(&folder, &["inspect", "--json"]))
    };
    let odd = seen(Plain::new(&[]).without(|name| name == "h.1.ln_1.bias"));
    assert!(odd["refused"].to_string().contains("h.1.ln_1.bias"), "{odd}");
    let mut same = Plain::new(&[]).with_head();
    same.tensors.insert("lm_head.weight".into(), same.tensors["wte.weight"].clone());
    let same = seen(same);
    assert_eq!((&same["notes"], &same["config"]["variant"]["tie_word_embeddings"]), (&json!([]), &json!(true)));
}

#[test]
fn a_prompt_may_begin_with_a_hyphen() {
    let model = model("hyphen", TOKENIZER, WEIGHTS);
    for prompt in ["- one pear, two", "-5 degrees", "--json", "-"] {
        let seen = json(&run(&model, &["predict", "--json", "--prompt", prompt]));
        assert!(seen["ids"].as_array().unwrap().len() > 1, "{prompt}: {seen}");
    }
}

#[test]
fn a_file_in_a_folders_place_is_told_its_folder() {
    let folder = model("file", TOKENIZER, WEIGHTS);
    for file in ["model.safetensors", "config.json", "model.safetensors.index.json", "pytorch_model.bin"] {
        let line = refusal(&run(&folder.join(file), &["predict", "--prompt", PROMPT]));
        assert!(line.contains(&format!("Give the folder that holds it: --model {}", folder.display())), "{line}");
    }
    let line = refusal(&run(Path::new("org/model.safetensors"), &["predict", "--prompt", PROMPT]));
    assert!(line.contains("--model org"), "{line}");
}

#[test]
fn what_lies_in_a_folder_without_weights_is_named() {
    let folder = model("none", TOKENIZER, WEIGHTS);
    std::fs::remove_file(folder.join("model.safetensors")).unwrap();
    let line = |folder: &Path| refusal(&run(folder, &["predict", "--prompt", PROMPT]));
    assert!(line(&folder).contains("wanted is model.safetensors or pytorch_model.bin"), "{}", line(&folder));
    std::fs::write(folder.join("tf_model.h5"), b"").unwrap();
    assert!(line(&folder).contains("tf_model.h5"));
    std::fs::write(folder.join("model.safetensors"), b"version https://git-lfs.github.com/spec/v1\noid x\n").unwrap();
    assert!(line(&folder).contains("git lfs pull"));
    let index = json!({"weight_map": {"wte.weight": "../../etc/passwd"}}).to_string();
    std::fs::remove_file(folder.join("model.safetensors")).unwrap();
    std::fs::write(folder.join("model.safetensors.index.json"), index).unwrap();
    assert!(line(&folder).contains("which is none beside it"), "{}", line(&folder));
}

#[test]
fn the_reference_engine_says_the_same() {
    let model = model("reference", TOKENIZER, WEIGHTS);
    let figures = |engine: &str| {
        let output = run(&model, &["lens", "--prompt", PROMPT, "--tokens", " an", " a", "--engine", engine, "--json"]);
        assert!(output.status.success());
        let lens: Value = serde_json::from_slice(&output.stdout).unwrap();
        lens["own_ln"].as_array().unwrap().iter().map(|figure| figure.as_f64().unwrap()).collect::<Vec<_>>()
    };
    let (cpu, reference) = (figures("cpu"), figures("reference"));
    assert_eq!(cpu.len(), reference.len());
    assert!(cpu.iter().zip(&reference).all(|(cpu, reference)| (cpu - reference).abs() < 1e-4), "{cpu:?} {reference:?}");
    // not the same program under another name: sums are made in another order
    assert_ne!(cpu, reference);
}

#[test]
fn positions_of_one_prompt_alone_have_a_dash() {
    let model = model("unequal", TOKENIZER, WEIGHTS);
    let arguments = [
        "patch",
        "--clean",
        "I picked an apple",
        "--corrupted",
        "I picked an elderberry today",
        "--tokens",
        " an",
        " a",
        "--site",
        "mlp_out",
    ];
    let output = run(&model, &arguments);
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && table.contains('–') && !table.contains("NaN"), "{table}");
}

#[test]
fn shells_and_man_are_told_of_every_command() {
    for (arguments, word) in
        [(&["completions", "bash"][..], "congruence"), (&["completions", "zsh"], "inspect"), (&["man"], "inspect")]
    {
        let output = run(Path::new("none"), arguments);
        assert!(output.status.success() && String::from_utf8(output.stdout).unwrap().contains(word), "{arguments:?}");
    }
}

#[test]
fn numbers_out_of_range_are_refused_and_none_is_printed_that_is_none() {
    let model = model("numbers", TOKENIZER, WEIGHTS);
    let huge = "18446744073709551615";
    let prompt = ["--prompt", PROMPT];
    let generate = ["generate", "--seed", "1", "--max"];
    for arguments in [
        [&generate[..], &["3", "--temperature", "nan"]].concat(),
        [&generate[..], &["3", "--temperature", "1e309"]].concat(),
        [&generate[..], &["3", "--top-p", "nan"]].concat(),
        [&generate[..], &["3", "--top-p", "0"]].concat(),
        [&generate[..], &["3", "--top-k", "0"]].concat(),
        [&generate[..], &[huge]].concat(),
        vec!["predict", "--threads", huge],
        vec!["predict", "--top", "0"],
        vec!["edit", "--tokens", "#1", "#2", "--set", "1:20=nan@all"],
        vec!["edit", "--tokens", "#1", "#2", "--set", "1:20=1e38@all"],
        vec!["generate", "--temperature", "0", "--set", "1:20=1e38@all"],
    ] {
        let output = run(&model, &[&arguments[..], &prompt[..]].concat());
        assert!(!refusal(&output).is_empty(), "{arguments:?}");
    }
    let cold = run(&model, &[&generate[..], &["3", "--temperature", "1e-320"], &prompt[..]].concat());
    let coldest = run(&model, &[&generate[..], &["3", "--temperature", "0"], &prompt[..]].concat());
    assert!(cold.status.success());
    assert_eq!(cold.stdout, coldest.stdout);
}

#[test]
fn logits_beyond_f32_are_not_printed() {
    let end = 8 + u64::from_le_bytes(*WEIGHTS.first_chunk().unwrap()) as usize;
    let header: Value = serde_json::from_slice(&WEIGHTS[8..end]).unwrap();
    let name = header.as_object().unwrap().keys().find(|name| name.ends_with("ln_f.weight")).unwrap();
    let offset = |at: usize| end + header[name]["data_offsets"][at].as_u64().unwrap() as usize;
    let mut weights = WEIGHTS.to_vec();
    weights[offset(0)..offset(1)].as_chunks_mut::<4>().0.iter_mut().for_each(|number| *number = 1e38f32.to_le_bytes());
    let model = model("huge", TOKENIZER, &weights);
    for arguments in [
        &["predict"][..],
        &["generate", "--temperature", "0"],
        &["generate", "--temperature", "1", "--seed", "1"],
        &["edit", "--tokens", "#1", "#2", "--set", "1:20=0@all"],
    ] {
        let line = refusal(&run(&model, &[arguments, &["--prompt", PROMPT]].concat()));
        assert!(line.contains("beyond what f32 can hold"), "{line}");
    }
}

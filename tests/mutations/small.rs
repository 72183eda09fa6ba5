//! The small files beside a model's weights: the tokenizer in its older form, and what says how texts begin.

use peartree::error::{Error, Result};
use peartree::model::{Config, SmallFiles};
use serde_json::{Value, json};

use crate::common::{CONFIG, TOKENIZER};
use crate::tokenizers::{TEXTS, use_tokenizer};
use crate::watch::each;

/// The demo's tokenizer as `vocab.json` and the lines of `merges.txt`.
fn older_form() -> (Value, String) {
    let json: Value = serde_json::from_slice(TOKENIZER).unwrap();
    let line = |merge: &Value| match merge {
        Value::Array(pair) => format!("{} {}\n", pair[0].as_str().unwrap(), pair[1].as_str().unwrap()),
        other => format!("{}\n", other.as_str().unwrap()),
    };
    let merges: String = json["model"]["merges"].as_array().unwrap().iter().map(line).collect();
    let mut vocab = json["model"]["vocab"].clone();
    vocab["<|endoftext|>"] = json!(1256);
    (vocab, format!("#version: 0.2\n{merges}"))
}

/// Reads the files, and lets what comes of them at texts.
fn read(small: &SmallFiles) -> Result<()> {
    let config = Config::from_json(&small.config)?;
    let vocabulary = small.vocabulary(&config)?;
    for text in TEXTS {
        let _ = (vocabulary.document_ids(text, true), vocabulary.piece_ids(text, true), vocabulary.token(text));
    }
    vocabulary.join(&(0..300).chain([u32::MAX]).collect::<Vec<_>>());
    vocabulary.tokenizer().map_or(Ok(()), use_tokenizer)
}

fn is_typed(result: &Result<()>) -> bool {
    matches!(result, Ok(()) | Err(Error::Config(_) | Error::Tokenizer(_)))
}

#[test]
fn mutated_vocab_and_merges_end_in_an_error_or_work() {
    let (vocab, merges) = older_form();
    each("vocab and merges", |watch, chance, what| {
        let mut files = (vocab.to_string().into_bytes(), merges.clone().into_bytes());
        match chance.below(2) {
            0 => files.0 = chance.damage_json(&vocab),
            _ => files.1 = chance.damage(&files.1),
        }
        let bytes = files.0.len() + files.1.len();
        let small = SmallFiles {
            config: CONFIG.to_vec(),
            vocab: Some(files.0),
            merges: Some(files.1),
            ..SmallFiles::default()
        };
        let result = watch.tried(what, bytes, || read(&small));
        assert!(is_typed(&result), "{what}: {result:?}");
    });
}

#[test]
fn mutated_small_files_end_in_an_error_or_work() {
    let token = json!({"content": "<|endoftext|>", "lstrip": false, "normalized": true});
    let config: Value = serde_json::from_slice(CONFIG).unwrap();
    let files = [
        ("tokenizer_config.json", json!({"bos_token": token, "model_max_length": 256, "add_bos_token": true})),
        ("special_tokens_map.json", json!({"bos_token": "<|endoftext|>", "eos_token": token})),
        ("generation_config.json", json!({"bos_token_id": 1256, "eos_token_id": [1256], "do_sample": true})),
    ];
    each("small files", |watch, chance, what| {
        let mut small =
            SmallFiles { config: CONFIG.to_vec(), tokenizer: Some(TOKENIZER.to_vec()), ..SmallFiles::default() };
        for (name, json) in &files {
            let is_there = !chance.once_in(4);
            *small.place(name).unwrap() = is_there.then(|| chance.damage_json(json));
        }
        if chance.once_in(4) {
            small.config = chance.damage_json(&config);
        }
        let bytes = small.all().map(|(_, file)| file.len()).sum();
        let result = watch.tried(what, bytes, || read(&small));
        assert!(is_typed(&result), "{what}: {result:?}");
    });
}

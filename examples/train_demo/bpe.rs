//! Trains the byte-level BPE and writes it as the hub writes GPT-2's.

use std::error::Error;

use peartree::model::tokenizer::END_OF_TEXT;
use serde_json::{Value, json};
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{PreTokenizedString, PreTokenizer, Trainer};

use crate::text::rng::Rng;
use crate::text::{document, lexicon};

/// Documents that the merges are learned from.
const DOCUMENTS: usize = 20_000;

/// GPT-2's `tokenizer.json` with `vocab_size` tokens, `<|endoftext|>` the last of them.
pub fn train(vocab_size: usize, seed: u64) -> Result<String, Box<dyn Error>> {
    let mut rng = Rng::new(seed);
    let mut lines: Vec<String> = (0..DOCUMENTS).map(|_| halve_years(&document(&mut rng))).collect();
    // rare words of the grammar are to be whole tokens too
    lines.extend(std::iter::repeat_n(lexicon::words().map(|word| format!(" {word}")).collect::<String>(), 40));
    let mut trainer = BpeTrainer::builder()
        .vocab_size(vocab_size - 1)
        .show_progress(false)
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .build();
    let bytes = ByteLevel::new(false, true, true);
    trainer
        .feed(lines.iter(), |line| {
            let mut text = PreTokenizedString::from(line);
            bytes.pre_tokenize(&mut text)?;
            Ok(text
                .get_splits(tokenizers::OffsetReferential::Original, tokenizers::OffsetType::Byte)
                .into_iter()
                .map(|s| s.0.to_owned())
                .collect())
        })
        .map_err(|e| -> Box<dyn Error> { e })?;
    let mut model = BPE::default();
    trainer.train(&mut model).map_err(|e| -> Box<dyn Error> { e })?;
    // the model does not show its merges, but serialises them
    let trained: Value = serde_json::to_value(&model)?;
    let merges = trained["merges"].as_array().ok_or("the trained BPE has no merges")?;
    let merges: Vec<String> = merges.iter().map(merge_text).collect::<Option<_>>().ok_or("a merge is not a pair")?;
    let mut vocab: Vec<(String, u32)> = model.get_vocab().into_iter().collect();
    vocab.sort_by_key(|(_, id)| *id);
    if vocab.len() != vocab_size - 1 {
        return Err(format!("the text gives only {} of {vocab_size} tokens", vocab.len() + 1).into());
    }
    vocab.push((END_OF_TEXT.to_owned(), vocab_size as u32 - 1));
    Ok(hub_json(&vocab, &merges))
}

/// Keeps a year's halves apart, so that no merge joins them: " 1732" is to be " 17" and "32", as in GPT-2.
fn halve_years(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let mut digits = 0;
    for c in text.chars() {
        digits = if c.is_ascii_digit() { digits + 1 } else { 0 };
        if digits == 3 {
            out.push('\n');
        }
        out.push(c);
    }
    out
}

fn merge_text(merge: &Value) -> Option<String> {
    match merge {
        Value::String(text) => Some(text.clone()),
        Value::Array(pair) => Some(format!("{} {}", pair.first()?.as_str()?, pair.get(1)?.as_str()?)),
        _ => None,
    }
}

/// Everything around the model as in the hub's `gpt2`: the vocabulary in order of id, merges as "a b".
fn hub_json(vocab: &[(String, u32)], merges: &[String]) -> String {
    let eot = vocab.len() - 1;
    // written by hand, since a JSON map would order the tokens by name
    let vocab: Vec<String> = vocab.iter().map(|(token, id)| format!("{}:{id}", json!(token))).collect();
    let around = json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": [{
            "id": eot, "special": true, "content": END_OF_TEXT,
            "single_word": false, "lstrip": false, "rstrip": false, "normalized": true
        }],
        "normalizer": null,
        "pre_tokenizer": { "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true },
        "post_processor": { "type": "ByteLevel", "add_prefix_space": true, "trim_offsets": false },
        "decoder": { "type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true },
        "model": {
            "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": "", "end_of_word_suffix": "",
            "fuse_unk": false, "vocab": "VOCAB", "merges": merges
        }
    });
    around.to_string().replacen("\"VOCAB\"", &format!("{{{}}}", vocab.join(",")), 1)
}

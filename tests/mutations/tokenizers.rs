//! `tokenizer.json`, damaged in its bytes and in its values.

use peartree::error::{Error, Result};
use peartree::model::Tokenizer;
use serde_json::{Value, json};

use crate::common::TOKENIZER;
use crate::samples::tokenizers;
use crate::watch::{Watch, each};

pub const TEXTS: [&str; 7] = [
    "",
    " ",
    "  It's 25 degrees;  the naïve apple's\u{301} gone.\n\n",
    "aaaa bbbb abab <|endoftext|>  a",
    "\u{fdfa}\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467} 日本語の\u{3000}テキスト\u{feff}",
    "\0\u{1}\u{7f}\u{85}\u{2028}\r\n\t",
    "x y z \u{2581}\u{2581}a ĠĠ </w> <0x61>",
];

/// Loads a tokenizer and lets it at texts. In the browser, where a panic ends the program, nothing catches one: so the
/// reading alone must have kept the crate from it.
fn try_tokenizer(watch: &mut Watch, what: &str, json: &[u8]) {
    let result = watch.tried(what, json.len(), || use_tokenizer(&Tokenizer::from_json(json)?));
    assert!(matches!(result, Ok(()) | Err(Error::Tokenizer(_))), "{what}: {result:?}");
}

/// # Errors
/// What a text comes to.
pub fn use_tokenizer(tokenizer: &Tokenizer) -> Result<()> {
    for text in TEXTS {
        tokenizer.encode(text)?;
        tokenizer.encode_long(text)?;
    }
    for id in (0..400).chain([1256, 50256]) {
        tokenizer.decode(&[id])?;
    }
    tokenizer.decode(&(0..300).collect::<Vec<_>>())?;
    tokenizer.decode(&[]).map(drop)
}

#[test]
fn every_kind_of_tokenizer_is_read() {
    for file in tokenizers() {
        let tokenizer = Tokenizer::from_json(file.to_string().as_bytes()).unwrap();
        let ids = tokenizer.encode(TEXTS[3]).unwrap();
        // the file's truncation and dropout are no part of a text's tokens
        assert!(ids.len() > 2 && (0..20).all(|_| tokenizer.encode(TEXTS[3]).unwrap() == ids), "{ids:?}");
    }
}

/// What is known to make the crate panic, hang or take all memory.
#[test]
fn tokenizers_that_do_harm_are_refused_or_harmless() {
    let mut watch = Watch::new("harmful tokenizers");
    let [level, prefixed, .., unigram, _] = &tokenizers()[..] else { panic!() };
    let with = |file: &Value, path: &str, value: Value| {
        let mut file = file.clone();
        *file.pointer_mut(path).unwrap() = value;
        file
    };
    let replace = |pattern: Value, content: &str| json!({"type": "Replace", "pattern": pattern, "content": content});
    let many = |n: usize, rule: Value| json!({"type": "Sequence", "normalizers": vec![rule; n]});
    let deep =
        |n: usize| (0..n).fold(json!({"type": "NFC"}), |rule, _| json!({"type": "Sequence", "normalizers": [rule]}));
    let doubling = replace(json!({"String": "a"}), "aa");
    let refused = [
        with(prefixed, "/model/continuing_subword_prefix", json!("####")),
        with(prefixed, "/model/merges", json!(["a a"])),
        with(prefixed, "/model/merges", json!(["a ##b ab"])),
        with(level, "/decoder", json!({"type": "Strip"})),
        with(level, "/decoder", json!({})),
        with(level, "/decoder", json!({"type": "Replace", "pattern": {"Regex": "("}, "content": ""})),
        with(level, "/normalizer", json!({"type": "Precompiled", "precompiled_charsmap": "!"})),
        with(level, "/normalizer", json!({"type": "Precompiled", "precompiled_charsmap": "/////w=="})),
        with(level, "/normalizer", json!({"type": "Precompiled", "precompiled_charsmap": "BAAAAAAAAABh"})),
        with(level, "/normalizer", json!({"type": "Precompiled"})),
        with(level, "/normalizer", deep(20)),
        with(level, "/normalizer", many(100, json!({"type": "NFC"}))),
        with(level, "/normalizer", json!({"type": "Nothing", "normalizers": []})),
        with(level, "/pre_tokenizer", json!({"type": "FixedLength", "length": 0})),
        with(
            level,
            "/pre_tokenizer",
            json!({"type": "Split", "pattern": {"Regex": "(?=a\\K)"}, "behavior": "Isolated", "invert": false}),
        ),
        with(
            level,
            "/pre_tokenizer",
            json!({"type": "Sequence", "pretokenizers": vec![level["pre_tokenizer"].clone(); 40]}),
        ),
        with(unigram, "/model/unk_id", json!(5)),
        with(unigram, "/model/vocab/2/0", json!("a".repeat(1 << 20))),
        with(&tokenizers()[2], "/model/max_input_chars_per_word", json!(1u64 << 40)),
        with(level, "/added_tokens/0/content", json!("  ")),
        with(level, "/version", json!("2.0")),
    ];
    for (number, file) in refused.iter().enumerate() {
        let text = file.to_string();
        assert!(matches!(Tokenizer::from_json(text.as_bytes()), Err(Error::Tokenizer(_))), "{number}");
        try_tokenizer(&mut watch, "harm", text.as_bytes());
    }
    for rule in [
        replace(json!({"String": ""}), "x"),
        replace(json!({"Regex": "x*"}), "\u{2581}"),
        replace(json!({"Regex": "^"}), "\u{2581}\u{2581}"),
        replace(json!({"Regex": "(?=a)"}), "b"),
        replace(json!({"Regex": "."}), ""),
        many(40, doubling.clone()),
        many(60, replace(json!({"Regex": "."}), "ab")),
        many(60, json!({"type": "Prepend", "prepend": "a".repeat(4000)})),
        many(60, json!({"type": "ByteLevel"})),
    ] {
        for file in [level, unigram] {
            try_tokenizer(&mut watch, "harm", with(file, "/normalizer", rule.clone()).to_string().as_bytes());
        }
        let decoder =
            json!({"type": "Sequence", "decoders": rule["normalizers"].as_array().cloned().unwrap_or(vec![rule])});
        try_tokenizer(&mut watch, "harm", with(level, "/decoder", decoder).to_string().as_bytes());
    }
    let grown = Tokenizer::from_json(with(level, "/normalizer", many(40, doubling)).to_string().as_bytes());
    let error = grown.unwrap().encode("a cat").unwrap_err();
    assert!(error.to_string().contains("many times as long"), "{error}");
}

#[test]
fn a_precompiled_map_is_followed_as_sentencepiece_does() {
    // the trie of `precompiled.rs`'s test: a becomes bcd
    let mut units = vec![0u32; 512];
    (units[0], units[256 ^ 0x61], units[256]) = (256 << 10, 0x61 | 1 << 8 | 0x61 << 10, 1 << 31);
    let mut map = 2048u32.to_le_bytes().to_vec();
    units.iter().for_each(|unit| map.extend(unit.to_le_bytes()));
    map.extend(b"\xc3\xa9\0");
    let mut file = tokenizers()[4].clone();
    file["normalizer"] = json!({"type": "Precompiled", "precompiled_charsmap": base64(&map)});
    file["pre_tokenizer"] = Value::Null;
    let tokenizer = Tokenizer::from_json(file.to_string().as_bytes()).unwrap();
    assert_eq!(tokenizer.encode("a").unwrap(), [4]);
    each("precompiled maps", |watch, chance, what| {
        let map = if chance.once_in(20) { map.clone() } else { chance.damage(&map) };
        file["normalizer"]["precompiled_charsmap"] = json!(base64(&map));
        try_tokenizer(watch, what, file.to_string().as_bytes());
    });
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let four = |three: &[u8]| {
        let bits = three.iter().fold(0u32, |bits, &byte| bits << 8 | u32::from(byte)) << (8 * (3 - three.len()));
        let letter = |i: usize| if i <= three.len() { LETTERS[(bits >> (18 - 6 * i) & 63) as usize] } else { b'=' };
        [0, 1, 2, 3].map(|i| char::from(letter(i)))
    };
    bytes.chunks(3).flat_map(four).collect()
}

#[test]
fn mutated_tokenizers_end_in_an_error_or_work() {
    let files: Vec<Value> = tokenizers();
    let demo: Value = serde_json::from_slice(TOKENIZER).unwrap();
    each("tokenizer.json", |watch, chance, what| {
        let file = match chance.once_in(80) {
            true => chance.damage_json(&demo),
            false => {
                let file = chance.pick(&files);
                chance.damage_json(file)
            }
        };
        try_tokenizer(watch, what, &file);
    });
}

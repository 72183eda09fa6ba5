//! Long documents in pieces: whatever the tokenizer, the pieces' tokens are those of the whole.
#![cfg(not(target_arch = "wasm32"))]

mod common;

use std::rc::Rc;

use peartree::documents::{Documents, Memory, Next, Source};
use peartree::model::Tokenizer;
use peartree::model::tokenizer::cuts::Cut;
use proptest::prelude::*;
use serde_json::{Value, json};

/// Every sign of the texts below, alone and in a few longer tokens.
const SIGNS: [&str; 24] = [
    "a", "b", "Ab", "the", " ", "  ", "\n", "\r\n", "\t", "'", "'s", ".", ",", "é", "e\u{301}", "1", "23", "梨", "。",
    "，", "\u{a0}", "\u{3000}", "<x>", "<a b>",
];

fn vocabulary(more: &[&str]) -> serde_json::Map<String, Value> {
    let mut tokens: Vec<String> = more.iter().map(|&token| token.to_owned()).collect();
    for sign in SIGNS.iter().chain(&["t", "h", "e", "A", "s", "<", ">", "x", "2", "3", "th"]) {
        tokens.push((*sign).to_owned());
        tokens.push(format!("##{sign}"));
        tokens.push(format!("▁{sign}"));
    }
    let mut map = serde_json::Map::new();
    for token in tokens {
        let id = map.len();
        map.entry(token).or_insert(json!(id));
    }
    map
}

fn added(content: &str, rstrip: bool) -> Value {
    json!({"id": 5000, "content": content, "single_word": false, "lstrip": false, "rstrip": rstrip, "normalized": false, "special": true})
}

fn file(normalizer: Value, pre_tokenizer: Value, model: Value, added: Vec<Value>) -> Vec<u8> {
    json!({"version": "1.0", "added_tokens": added, "normalizer": normalizer, "pre_tokenizer": pre_tokenizer, "model": model})
        .to_string()
        .into_bytes()
}

/// A tokenizer of each kind, and where it lets its texts be cut.
fn kinds() -> Vec<(&'static str, Tokenizer, Cut)> {
    let word_piece = || {
        json!({"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100,
            "vocab": vocabulary(&["[UNK]"])})
    };
    let word_level = || json!({"type": "WordLevel", "unk_token": "[UNK]", "vocab": vocabulary(&["[UNK]"])});
    let unigram = || {
        let vocab: Vec<Value> = std::iter::once(json!(["<unk>", 0.0]))
            .chain(
                vocabulary(&["▁", "▁▁"])
                    .into_iter()
                    .enumerate()
                    .map(|(at, (token, _))| json!([token, -1.0 - (at % 7) as f64])),
            )
            .collect();
        json!({"type": "Unigram", "unk_id": 0, "vocab": vocab})
    };
    let bert = json!({"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": true, "lowercase": true});
    let metaspace = |scheme: &str, split: bool| json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": split});
    let gpt2: Value = serde_json::from_slice(common::TOKENIZER).unwrap();
    let with = |change: &dyn Fn(&mut Value)| {
        let mut file = gpt2.clone();
        change(&mut file);
        file.to_string().into_bytes()
    };
    let add = |file: &mut Value, token: Value| {
        let n = file["model"]["vocab"].as_object().map_or(0, serde_json::Map::len);
        let list = file["added_tokens"].as_array_mut().unwrap();
        let at = n.max(list.len()) + 100;
        let mut token = token;
        token["id"] = json!(at);
        list.push(token);
    };
    let files = vec![
        ("byte-level", with(&|_| ()), Cut::Words),
        ("byte-level, token added", with(&|file| add(file, added("<x>", false))), Cut::Words),
        ("byte-level, sentence added", with(&|file| add(file, added("。梨", false))), Cut::Spaces),
        ("byte-level, token of two words added", with(&|file| add(file, added("<a b>", false))), Cut::Nowhere),
        ("byte-level, token that takes what follows", with(&|file| add(file, added("<x>", true))), Cut::Nowhere),
        (
            "byte-level, space before",
            with(&|file| file["pre_tokenizer"]["add_prefix_space"] = json!(true)),
            Cut::Spaces,
        ),
        ("byte-level, unsplit", with(&|file| file["pre_tokenizer"]["use_regex"] = json!(false)), Cut::Nowhere),
        ("bert", file(bert, json!({"type": "BertPreTokenizer"}), word_piece(), vec![]), Cut::Spaces),
        (
            "white space",
            file(json!({"type": "Lowercase"}), json!({"type": "Whitespace"}), word_level(), vec![]),
            Cut::Spaces,
        ),
        (
            "split at white space",
            file(json!({"type": "NFKC"}), json!({"type": "WhitespaceSplit"}), word_piece(), vec![]),
            Cut::Spaces,
        ),
        ("metaspace, always", file(Value::Null, metaspace("always", true), unigram(), vec![]), Cut::Spaces),
        ("metaspace, first", file(Value::Null, metaspace("first", true), unigram(), vec![]), Cut::Spaces),
        ("metaspace, never", file(json!({"type": "NFC"}), metaspace("never", true), unigram(), vec![]), Cut::Spaces),
        ("metaspace, unsplit", file(Value::Null, metaspace("always", false), unigram(), vec![]), Cut::Nowhere),
        (
            "white space, then metaspace",
            file(
                Value::Null,
                json!({"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, metaspace("always", true)]}),
                unigram(),
                vec![],
            ),
            Cut::Spaces,
        ),
        (
            "white space, then metaspace before the first",
            file(
                Value::Null,
                json!({"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, metaspace("first", true)]}),
                unigram(),
                vec![],
            ),
            Cut::Nowhere,
        ),
        (
            "a mark put before by rules",
            file(json!({"type": "Prepend", "prepend": "▁"}), json!({"type": "Whitespace"}), word_piece(), vec![]),
            Cut::Nowhere,
        ),
        (
            "digits",
            file(Value::Null, json!({"type": "Digits", "individual_digits": true}), word_piece(), vec![]),
            Cut::Nowhere,
        ),
        ("nothing", file(Value::Null, Value::Null, unigram(), vec![]), Cut::Nowhere),
    ];
    files
        .into_iter()
        .map(|(name, file, cut)| (name, Tokenizer::from_json(&file).unwrap_or_else(|e| panic!("{name}: {e}")), cut))
        .collect()
}

fn pieces(name: &str, bytes: Vec<u8>, cut: Cut) -> Vec<String> {
    let mut documents = Documents::new([Rc::new(Memory::new(name, bytes)) as Rc<dyn Source>]).cut_at(cut);
    let mut pieces = Vec::new();
    loop {
        match documents.next_piece().unwrap() {
            Next::Text(piece) => pieces.push(piece.text),
            Next::Nothing => {}
            Next::End => return pieces,
        }
    }
}

fn text() -> impl Strategy<Value = String> {
    prop::collection::vec((0..SIGNS.len(), prop::bool::weighted(0.2)), 1..60)
        .prop_map(|signs| signs.into_iter().flat_map(|(at, gap)| [SIGNS[at], if gap { " " } else { "" }]).collect())
}

#[test]
fn every_kind_of_tokenizer_says_where_it_may_be_cut() {
    for (name, tokenizer, cut) in kinds() {
        assert_eq!(tokenizer.cut(), cut, "{name}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// At each place that a kind of cut allows.
    #[test]
    fn a_text_cut_anywhere_it_may_has_the_wholes_tokens(text in text()) {
        for (name, tokenizer, cut) in kinds() {
            let whole = tokenizer.encode(&text).unwrap();
            prop_assert_eq!(&tokenizer.encode_long(&text).unwrap(), &whole, "{} of {:?} by its words", name, text);
            let mut from = 0;
            while let Some(at) = cut.find(&text, from) {
                let mut parts = tokenizer.encode(&text[..at]).unwrap();
                parts.extend(tokenizer.encode(&text[at..]).unwrap());
                prop_assert_eq!(&parts, &whole, "{} of {:?} at {}", name, text, at);
                from = at + 1;
            }
        }
    }
}

#[test]
fn long_documents_come_in_pieces_that_are_the_whole() {
    let text: String =
        (0..60_000).map(|n| SIGNS[n * 7919 % 101 % SIGNS.len()]).collect::<String>() + &"pear tree, ".repeat(9000);
    assert!(text.len() > 3 << 16);
    for (name, tokenizer, cut) in kinds() {
        let whole = tokenizer.encode(&text).unwrap();
        for (file, bytes) in [("a.txt", text.clone().into_bytes()), ("a.json", serde_json::to_vec(&[&text]).unwrap())] {
            let pieces = pieces(file, bytes, cut);
            assert_eq!(pieces.concat(), text, "{name}");
            assert_eq!(pieces.len() > 1, cut != Cut::Nowhere, "{name}: {} pieces", pieces.len());
            let ids: Vec<u32> = pieces.iter().flat_map(|piece| tokenizer.encode_long(piece).unwrap()).collect();
            assert!(ids == whole, "{name}: other tokens from {file}");
        }
    }
}

#[test]
fn a_stretch_that_cannot_be_cut_is_refused_when_it_is_too_long() {
    for (text, cut) in [("a".repeat(3 << 19), Cut::Words), ("a b ".repeat(3 << 17), Cut::Nowhere)] {
        for (name, bytes) in [("a.txt", text.clone().into_bytes()), ("a.json", serde_json::to_vec(&[&text]).unwrap())] {
            let mut documents = Documents::new([Rc::new(Memory::new(name, bytes)) as Rc<dyn Source>]).cut_at(cut);
            let why = loop {
                match documents.next_piece() {
                    Ok(next) => assert_ne!(next, Next::End),
                    Err(why) => break why.to_string(),
                }
            };
            assert!(why.contains("more than 1 MiB in one stretch"), "{why}");
        }
    }
}

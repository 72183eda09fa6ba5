//! Files that are damaged, or written to do harm: a typed error or a model, never a panic, and memory that stays within
//! three times the file and 64 MB.
#![cfg(not(target_arch = "wasm32"))]

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::parts::{pickled, zip, zipped};
use common::{CONFIG, TOKENIZER, WEIGHTS};
use peartree::engine::complete;
use peartree::error::{Error, Result};
use peartree::model::layout::{LAYOUTS, parts};
use peartree::model::pytorch::{self, Bytes};
use peartree::model::{Config, Model, ModelLoader, Tokenizer, WeightDtype};
use serde_json::{Value, json};

/// Counts what is held.
struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);
static MOST_HELD: AtomicUsize = AtomicUsize::new(0);

unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let held = HELD.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        MOST_HELD.fetch_max(held, Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;
static ALONE: Mutex<()> = Mutex::new(());

/// Runs one after the other, since memory is counted for all; says how much more was held than before.
fn measured<T>(run: impl FnOnce() -> T) -> (T, usize) {
    let _alone = ALONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let before = HELD.load(Ordering::Relaxed);
    MOST_HELD.store(before, Ordering::Relaxed);
    let result = run();
    (result, MOST_HELD.load(Ordering::Relaxed) - before)
}

#[track_caller]
fn is_bounded(bytes: usize, held: usize, what: &str) {
    assert!(held <= 3 * bytes + (64 << 20), "{held} bytes of memory for {bytes} bytes of {what}");
}

/// How often each kind of file is mutated: a few times with all other tests, or as often as one says.
fn times(usual: usize) -> usize {
    std::env::var("MUTATIONS").ok().and_then(|times| times.parse().ok()).unwrap_or(usual)
}

/// Always the same chances.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end.max(1) as u64) as usize
    }

    /// Some bytes of a file changed, doubled or lost, or all after some place.
    fn damage(&mut self, file: &[u8]) -> Vec<u8> {
        let mut file = file.to_vec();
        for _ in 0..=self.below(3) {
            let (at, len) = (self.below(file.len()), 1 + self.below(8));
            let end = (at + len).min(file.len());
            match self.below(5) {
                0 => file.truncate(at),
                1 => drop(file.drain(at..end)),
                2 => {
                    let twice = file[at..end].to_vec();
                    file.splice(at..at, twice);
                }
                3 if at < end => file[at] = self.below(256) as u8,
                _ if at < end => file[at] ^= 1 << self.below(8),
                _ => (),
            }
            if file.is_empty() {
                break;
            }
        }
        file
    }

    /// A value somewhere in `json` put in another's place, or taken out.
    fn change(&mut self, json: &Value) -> Value {
        let mut changed = json.clone();
        for _ in 0..=self.below(2) {
            let odd = self.odd();
            let mut at = &mut changed;
            loop {
                let n = at.as_object().map_or(0, serde_json::Map::len) + at.as_array().map_or(0, Vec::len);
                let is_end = n == 0 || self.below(4) == 0;
                match at {
                    _ if is_end => {
                        *at = odd;
                        break;
                    }
                    Value::Object(map) => {
                        let key = map.keys().nth(self.below(n)).cloned().unwrap_or_default();
                        if self.below(8) == 0 {
                            map.remove(&key);
                            break;
                        }
                        at = &mut map[&key];
                    }
                    Value::Array(list) => {
                        let index = self.below(n);
                        if self.below(8) == 0 {
                            list.remove(index);
                            break;
                        }
                        at = &mut list[index];
                    }
                    _ => break,
                }
            }
        }
        changed
    }

    fn odd(&mut self) -> Value {
        let texts = ["", " ", "a", "\u{2581}", "é", "^", "x*", "(?=a)", "\\b", "(", "(?=a\\K)", "</w>", "\0", "ĠĠ"];
        let kinds = ["Replace", "Strip", "Sequence", "Precompiled", "ByteLevel", "Metaspace", "BPE", "Unigram", "NFKC"];
        let numbers =
            [json!(0), json!(-1), json!(1), json!(7), json!(u32::MAX), json!(u64::MAX), json!(1e300), json!(0.5)];
        match self.below(8) {
            0 => Value::Null,
            1 => json!(self.below(2) == 0),
            2 => json!([]),
            3 => json!({}),
            4 => json!(kinds[self.below(kinds.len())]),
            5 => json!({"Regex": texts[self.below(texts.len())]}),
            6 => numbers[self.below(numbers.len())].clone(),
            _ => json!(texts[self.below(texts.len())]),
        }
    }
}

const TEXTS: [&str; 7] = [
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
fn try_tokenizer(json: &[u8]) {
    let run = || -> Result<()> {
        let tokenizer = Tokenizer::from_json(json)?;
        for text in TEXTS {
            without_panic(tokenizer.encode(text))?;
            without_panic(tokenizer.encode_long(text))?;
        }
        for id in (0..400).chain([1256, 50256]) {
            without_panic(tokenizer.decode(&[id]))?;
        }
        without_panic(tokenizer.decode(&(0..300).collect::<Vec<_>>()))?;
        without_panic(tokenizer.decode(&[]))?;
        Ok(())
    };
    let (result, held) = measured(|| without_panic(run()));
    assert!(matches!(result, Ok(()) | Err(Error::Tokenizer(_))), "{result:?}");
    is_bounded(json.len(), held, &String::from_utf8_lossy(&json[..json.len().min(3000)]));
}

#[track_caller]
fn without_panic<T>(result: Result<T>) -> Result<T> {
    if let Err(error) = &result {
        assert!(!error.to_string().contains("broke the program"), "the crate panicked");
    }
    result
}

/// One small tokenizer of each kind that the crate has.
fn tokenizers() -> Vec<Value> {
    let added = |content: &str, rstrip: bool| {
        json!({"id": 0, "content": content, "single_word": false, "lstrip": false, "rstrip": rstrip,
            "normalized": false, "special": true})
    };
    let bpe = json!({"type": "BPE", "dropout": 0.5, "unk_token": "a", "continuing_subword_prefix": "", "end_of_word_suffix": "",
        "fuse_unk": false, "byte_fallback": true, "vocab": {"a": 0, "b": 1, "ab": 2, "aba": 3, "<0x61>": 4},
        "merges": ["a b", ["ab", "a"]]});
    let prefixed = json!({"type": "BPE", "unk_token": "a", "continuing_subword_prefix": "##", "end_of_word_suffix": "</w>",
        "vocab": {"a": 0, "##b": 1, "ab": 2, "##é": 3, "abé": 4}, "merges": ["a ##b", "ab ##é"]});
    let pieces = json!({"type": "WordPiece", "unk_token": "a", "continuing_subword_prefix": "##",
        "max_input_chars_per_word": 20, "vocab": {"a": 0, "##b": 1, "ab": 2}});
    let words = json!({"type": "WordLevel", "unk_token": "a", "vocab": {"a": 0, "apple": 1}});
    let unigram = json!({"type": "Unigram", "unk_id": 0, "byte_fallback": true,
        "vocab": [["<unk>", 0.0], ["\u{2581}", -2.0], ["\u{2581}a", -1.5], ["a", -3.0], ["é", -4.5]]});
    let normalizers = json!({"type": "Sequence", "normalizers": [
        {"type": "Replace", "pattern": {"String": "``"}, "content": "\""}, {"type": "NFKC"}, {"type": "Lowercase"},
        {"type": "Strip", "strip_left": true, "strip_right": true}, {"type": "StripAccents"}, {"type": "Nmt"},
        {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}, {"type": "Prepend", "prepend": "\u{2581}"},
        {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": null, "lowercase": true}]});
    let cuts = json!({"type": "Sequence", "pretokenizers": [
        {"type": "Split", "pattern": {"Regex": "\\p{N}{1,3}"}, "behavior": "Isolated", "invert": false},
        {"type": "Split", "pattern": {"String": "e"}, "behavior": "MergedWithNext", "invert": true},
        {"type": "Digits", "individual_digits": true}, {"type": "Punctuation", "behavior": "Contiguous"},
        {"type": "FixedLength", "length": 5}, {"type": "UnicodeScripts"}, {"type": "WhitespaceSplit"},
        {"type": "Metaspace", "replacement": "\u{2581}", "prepend_scheme": "first", "split": true}]});
    let level = json!({"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true});
    let decoders = json!({"type": "Sequence", "decoders": [
        {"type": "Replace", "pattern": {"String": "\u{2581}"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"},
        {"type": "Strip", "content": " ", "start": 1, "stop": 1}, {"type": "BPEDecoder", "suffix": "</w>"},
        {"type": "WordPiece", "prefix": "##", "cleanup": true},
        {"type": "CTC", "pad_token": "<pad>", "word_delimiter_token": "|", "cleanup": true}]});
    let file = |model: &Value, normalizer: &Value, cut: &Value, decoder: &Value| {
        json!({"version": "1.0", "truncation": {"max_length": 2}, "padding": null,
            "added_tokens": [added("<|endoftext|>", false), added("[MASK]", true)],
            "normalizer": normalizer, "pre_tokenizer": cut, "post_processor": null, "decoder": decoder, "model": model})
    };
    let none = Value::Null;
    vec![
        file(&bpe, &none, &level, &level),
        file(&prefixed, &normalizers, &none, &decoders),
        file(
            &pieces,
            &normalizers,
            &json!({"type": "BertPreTokenizer"}),
            &json!({"type": "WordPiece", "prefix": "##", "cleanup": true}),
        ),
        file(&words, &json!({"type": "NFD"}), &json!({"type": "Whitespace"}), &none),
        file(&unigram, &normalizers, &cuts, &json!({"type": "Metaspace", "replacement": "\u{2581}"})),
        file(&bpe, &json!({"type": "ByteLevel"}), &cuts, &decoders),
    ]
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
        try_tokenizer(text.as_bytes());
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
            try_tokenizer(with(file, "/normalizer", rule.clone()).to_string().as_bytes());
        }
        let decoder =
            json!({"type": "Sequence", "decoders": rule["normalizers"].as_array().cloned().unwrap_or(vec![rule])});
        try_tokenizer(with(level, "/decoder", decoder).to_string().as_bytes());
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
    try_tokenizer(file.to_string().as_bytes());
    let mut chance = Chance(7);
    for _ in 0..times(300) {
        file["normalizer"]["precompiled_charsmap"] = json!(base64(&chance.damage(&map)));
        try_tokenizer(file.to_string().as_bytes());
    }
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
    let mut chance = Chance(1);
    for file in tokenizers() {
        let text = file.to_string();
        for _ in 0..times(400) {
            try_tokenizer(&chance.damage(text.as_bytes()));
            try_tokenizer(chance.change(&file).to_string().as_bytes());
        }
    }
    for _ in 0..times(400) / 40 {
        try_tokenizer(&chance.damage(TOKENIZER));
    }
}

/// Loads a model; says what came of it.
fn try_model(config: &[u8], weights: &[u8], dtype: WeightDtype) -> Result<()> {
    let (result, held) = measured(|| Model::from_bytes(config, None, weights, dtype).map(drop));
    let is_typed = matches!(result, Ok(()) | Err(Error::Config(_) | Error::Weights(_) | Error::BeyondF16 { .. }));
    assert!(is_typed, "{result:?}");
    is_bounded(config.len() + weights.len(), held, "a model");
    result
}

#[test]
fn mutated_configs_end_in_an_error_or_work() {
    let json: Value = serde_json::from_slice(CONFIG).unwrap();
    let mut chance = Chance(2);
    for _ in 0..times(300) {
        let _ = try_model(&chance.damage(CONFIG), WEIGHTS, WeightDtype::F32);
        let _ = try_model(chance.change(&json).to_string().as_bytes(), WEIGHTS, WeightDtype::F16);
    }
}

/// What a config asks for is compared with the file before anything is sized by it.
#[test]
fn sizes_that_a_file_does_not_have_take_no_memory() {
    let json: Value = serde_json::from_slice(CONFIG).unwrap();
    for (name, most) in [
        ("n_layer", 1 << 20),
        ("n_embd", 1 << 20),
        ("n_positions", 1 << 20),
        ("vocab_size", 1 << 20),
        ("n_inner", 1 << 20),
        ("n_head", 1),
    ] {
        for size in [most, 1 << 16, 1u64 << 40, u64::MAX] {
            let mut config = json.clone();
            config[name] = json!(size);
            if name == "n_head" && size == most {
                continue; // one head is one head
            }
            let result = try_model(config.to_string().as_bytes(), WEIGHTS, WeightDtype::F32);
            assert!(result.is_err(), "{name} = {size} was accepted");
        }
    }
}

#[test]
fn mutated_headers_end_in_an_error_or_work() {
    let end = 8 + u64::from_le_bytes(*WEIGHTS.first_chunk().unwrap()) as usize;
    let header: Value = serde_json::from_slice(&WEIGHTS[8..end]).unwrap();
    let mut chance = Chance(3);
    let file = |header: &[u8]| [&(header.len() as u64).to_le_bytes(), header, &WEIGHTS[end..]].concat();
    for _ in 0..times(200) {
        let _ = try_model(CONFIG, &file(chance.change(&header).to_string().as_bytes()), WeightDtype::F32);
        let _ = try_model(CONFIG, &file(&chance.damage(&WEIGHTS[8..end])), WeightDtype::F16);
        // sizes and offsets at the ends of what 64 bits can say
        let mut odd = header.clone();
        let name = odd.as_object().unwrap().keys().nth(chance.below(40)).cloned().unwrap();
        let ends = [u64::MAX, 1 << 63, 1 << 50, 1 << 32, 0, 3];
        let numbers = [ends[chance.below(6)], ends[chance.below(6)]];
        let part = ["shape", "data_offsets"][chance.below(2)];
        odd[&name][part] = json!(numbers);
        let _ = try_model(CONFIG, &file(odd.to_string().as_bytes()), WeightDtype::F32);
        let _ = try_model(CONFIG, &chance.damage(WEIGHTS), WeightDtype::F32);
    }
    // one tensor of everything that can be said, and one of many sides
    let entry = |dtype: &str, shape: &str, end: u64| {
        format!(r#"{{"x": {{"dtype": "{dtype}", "shape": [{shape}], "data_offsets": [0, {end}]}}}}"#)
    };
    let many = format!("{}0", "0,".repeat(1 << 22));
    for header in [entry("U8", &u64::MAX.to_string(), u64::MAX), entry("F32", &many, 0)] {
        assert!(try_model(CONFIG, &file(header.as_bytes()), WeightDtype::F32).is_err());
    }
}

struct InMemory<'a>(&'a [u8]);

impl Bytes for InMemory<'_> {
    async fn read_at(&self, at: u64, into: &mut [u8]) -> Result<()> {
        let at = usize::try_from(at).unwrap_or(usize::MAX);
        let bytes = at.checked_add(into.len()).and_then(|end| self.0.get(at..end));
        into.copy_from_slice(bytes.ok_or_else(|| Error::Weights("is cut short.".into()))?);
        Ok(())
    }
}

fn try_pickle(file: &[u8]) {
    let load = || -> Result<()> {
        let contents = complete(pytorch::contents(&InMemory(file), file.len() as u64))?;
        let mut loader = ModelLoader::new(CONFIG, None, None, WeightDtype::F32)?;
        loader.begin("pytorch_model.bin", file.len() as u64, Some(contents), false)?;
        loader.push(file)?;
        loader.finish().map(drop)
    };
    let (result, held) = measured(load);
    let is_typed = matches!(result, Ok(()) | Err(Error::Weights(_) | Error::WeightsIn { .. }));
    assert!(is_typed, "{result:?}");
    is_bounded(file.len(), held, "a file of PyTorch's");
}

#[test]
fn mutated_pickles_end_in_an_error_or_work() {
    let mut chance = Chance(4);
    let (pickle, storages) = pickled();
    let data: Vec<_> = storages.into_iter().map(|(key, bytes)| (format!("archive/data/{key}"), bytes)).collect();
    let file = |pickle: Vec<u8>| {
        zip(&[("archive/data.pkl".to_owned(), pickle)].into_iter().chain(data.iter().cloned()).collect::<Vec<_>>())
    };
    let whole = zipped();
    for _ in 0..times(60) {
        try_pickle(&file(chance.damage(&pickle)));
        try_pickle(&chance.damage(&whole));
        // in the table of contents, at the zip's end
        let mut table = whole.clone();
        let at = table.len() - 1 - chance.below(4000);
        table[at] = chance.below(256) as u8;
        try_pickle(&table);
        // the pickle's instructions alone, in any order
        let ops = b"\x80\x02}(XKMJ)]t\x85\x86\x87dsuaecRbQqrhj0125N\x88\x8a\x93\x94.";
        let wild = (0..chance.below(400)).map(|_| ops[chance.below(ops.len())]).collect();
        try_pickle(&file(wild));
    }
}

/// Values without end, in each other, in themselves, and copied from each other.
#[test]
fn pickles_that_do_harm_take_no_memory() {
    let wrapped = |pickle: Vec<u8>| zip(&[("archive/data.pkl".to_owned(), pickle)]);
    let deep = [b"\x80\x02)".to_vec(), vec![0x85; 4 << 20], b".".to_vec()].concat();
    let many = [b"\x80\x02".to_vec(), vec![b'}'; 4 << 20], b".".to_vec()].concat();
    let again = [b"\x80\x02]q\0".to_vec(), b"h\0a".repeat(1 << 20), b".".to_vec()].concat();
    let text = [&b"\x80\x02X\0\0\x10\0"[..], &[b'a'; 1 << 20], b"q\0", &b"h\0h\0\x93".repeat(50_000), b"."].concat();
    for pickle in [deep, many, again, text] {
        try_pickle(&wrapped(pickle));
    }
}

#[test]
fn mutated_indexes_end_in_an_error_or_work() {
    let config = Config::from_json(CONFIG).unwrap();
    let end = 8 + u64::from_le_bytes(*WEIGHTS.first_chunk().unwrap()) as usize;
    let header: Value = serde_json::from_slice(&WEIGHTS[8..end]).unwrap();
    let map: serde_json::Map<_, _> =
        header.as_object().unwrap().keys().map(|name| (name.clone(), json!("a.bin"))).collect();
    let index = json!({"metadata": {"total_size": 1}, "weight_map": map});
    let mut chance = Chance(5);
    for _ in 0..times(300) {
        for text in [chance.change(&index).to_string().into_bytes(), chance.damage(index.to_string().as_bytes())] {
            let (result, held) = measured(|| parts(&LAYOUTS[1], &text, &config));
            assert!(matches!(result, Ok(_) | Err(Error::WeightsIn { .. })), "{result:?}");
            is_bounded(text.len(), held, "an index");
        }
    }
}

/// All texts of a file, or what is wrong with it; none after so many steps, of which a small file needs a few.
fn texts(name: &str, bytes: &[u8]) -> Result<u64> {
    use peartree::documents::{Documents, Memory, Next, Source};

    let file: std::rc::Rc<dyn Source> = std::rc::Rc::new(Memory::new(name, bytes));
    let mut documents = Documents::new([file]);
    let mut len = 0;
    for _ in 0..200_000 {
        match documents.next_piece()? {
            Next::Text(piece) => len += piece.text.len() as u64,
            Next::Nothing => {}
            Next::End => break,
        }
    }
    Ok(len)
}

/// Packed files of texts by their names.
fn packed_texts() -> Vec<(String, Vec<u8>)> {
    use std::io::Write;

    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/parquet");
    let mut files: Vec<(String, Vec<u8>)> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read(path).unwrap()))
        .collect();
    files.sort();
    assert!(files.len() >= 16, "{} parquet files", files.len());
    let lines: String = (0..200).map(|n| format!("{{\"text\":\"Line {n} of pears and {}.\"}}\n", n * n)).collect();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(lines.as_bytes()).unwrap();
    files.push(("a.jsonl.gz".into(), gzip.finish().unwrap()));
    let zstd = ruzstd::encoding::compress_to_vec(lines.as_bytes(), ruzstd::encoding::CompressionLevel::Fastest);
    files.push(("a.jsonl.zst".into(), zstd));
    let list: Vec<String> = (0..50).map(|n| format!("pear {n} \u{e9} \"\\ \u{1f350}")).collect();
    files.push(("a.json".into(), serde_json::to_vec(&list).unwrap()));
    files.push(("a.jsonl".into(), lines.into_bytes()));
    files
}

#[test]
fn packed_texts_that_are_damaged_give_texts_or_a_reason_within_bounds() {
    let files = packed_texts();
    let n = times(4000);
    for round in 0..n {
        let (name, file) = &files[round % files.len()];
        let damaged = Chance(0x9e37_79b9_7f4a_7c15 ^ (round as u64 + 1)).damage(file);
        let start = std::time::Instant::now();
        let (read, held) = measured(|| texts(name, &damaged).err());
        let seconds = start.elapsed().as_secs();
        assert!(seconds < 20, "{name}, round {round}: {seconds} s");
        assert!(matches!(read, None | Some(Error::Read { .. })), "{name}, round {round}: {read:?}");
        is_bounded(damaged.len(), held, &format!("{name}, round {round}"));
    }
}

#[test]
fn texts_that_unpack_to_very_much_stay_within_bounds() {
    use std::io::Write;

    let gzip = |bytes: &mut dyn Iterator<Item = Vec<u8>>| {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        bytes.for_each(|bytes| packed.write_all(&bytes).unwrap());
        packed.finish().unwrap()
    };
    let chunk = |byte: u8| vec![byte; 1 << 20];
    let value = |mib: usize, start: &'static str, fill: &'static str| {
        let fill = fill.repeat((1 << 20) / fill.len());
        let body = std::iter::repeat_n(fill.into_bytes(), mib);
        gzip(&mut std::iter::once(start.as_bytes().to_vec()).chain(body).chain([b"\"}]".to_vec()]))
    };
    let bombs = [
        ("blank.jsonl.gz", gzip(&mut std::iter::repeat_n(chunk(b'\n'), 128))),
        ("spaces.json.gz", gzip(&mut std::iter::repeat_n(chunk(b' '), 128))),
        ("line.jsonl.gz", value(90, "{\"text\":\"", "a")),
        ("escapes.jsonl.gz", value(13, "{\"text\":\"", "\\n")),
        ("string.json.gz", value(90, "[\"", "a")),
        ("nested.json.gz", value(90, "", "[")),
        ("keys.jsonl.gz", value(12, "{\"text\":\"", "\",\"a\":\"")),
        ("bad.txt.gz", gzip(&mut std::iter::repeat_n(chunk(0xff), 64))),
        ("word.txt.gz", gzip(&mut std::iter::repeat_n(chunk(b'a'), 64))),
    ];
    for (name, file) in bombs {
        let (_, held) = measured(|| texts(name, &file).err());
        is_bounded(file.len(), held, name);
    }
}

//! One small tokenizer of each kind that the crate has.

use serde_json::{Value, json};

pub fn tokenizers() -> Vec<Value> {
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

//! The rules that change a text before it is cut into tokens, how it is cut, and how tokens become a text again: the
//! crate's, one at a time, each checked when it is read and bounded when it is run.

use std::sync::atomic::{AtomicBool, Ordering};

use serde::de::DeserializeOwned;
use serde_json::Value;
use tokenizers::normalizer::Range;
use tokenizers::{
    Decoder, DecoderWrapper, NormalizedString, Normalizer, NormalizerWrapper, PreTokenizedString, PreTokenizer,
    PreTokenizerWrapper,
};

use super::precompiled::longest_replacement;

/// More rules than any tokenizer has, and deeper in each other.
const MOST_RULES: usize = 64;
const MOST_DEPTH: usize = 8;
/// Each of these can double a text once more.
const MOST_WIDENING: usize = 4;
/// What else lengthens a text: of a character of 3 bytes NFKC makes 33.
const WIDEST_OF_OTHERS: usize = 12;
/// A text may become so many times as long …
const MOST_GROWTH: usize = 64;
/// … or so long, whichever is more.
const MOST_BYTES: usize = 1 << 16;

type Crate<T> = tokenizers::Result<T>;

/// One rule, and how many bytes it can make of each byte at most, and of each place between two.
struct Rule<R> {
    rule: R,
    widest: usize,
}

impl<R> Rule<R> {
    /// Whether the rule can be let at texts of so many bytes in all, in so many parts.
    fn is_bounded(&self, bytes: usize, parts: usize, most: usize) -> bool {
        (bytes + parts).checked_mul(self.widest).is_some_and(|widest| widest <= most)
    }
}

/// How long a text of `bytes` may become.
fn most(bytes: usize) -> usize {
    bytes.saturating_mul(MOST_GROWTH).max(MOST_BYTES)
}

/// A normalizer whose text can't outgrow what it was.
pub struct Rewriting {
    rules: Vec<Rule<NormalizerWrapper>>,
    /// The crate passes over a normalizer's error, so it is left here.
    outgrown: AtomicBool,
}

impl Rewriting {
    /// None where the file has no rules.
    pub fn read(value: Option<Value>) -> Result<Option<Self>, String> {
        let rules = leaves(value, "normalizers")?.into_iter().map(|value| {
            let mut widest = WIDEST_OF_OTHERS.max(text_bytes(&value, "content")).max(text_bytes(&value, "prepend"));
            if kind(&value) == "Precompiled" {
                let map = value["precompiled_charsmap"].as_str().unwrap_or_default();
                widest = longest_replacement(map).ok_or("Its precompiled_charsmap is damaged.")?.max(1);
            }
            Ok(Rule { rule: read(value)?, widest })
        });
        let rules: Vec<_> = rules.collect::<Result<_, String>>()?;
        Ok((!rules.is_empty()).then_some(Rewriting { rules, outgrown: AtomicBool::new(false) }))
    }

    /// The rules, in order.
    pub fn rules(&self) -> Vec<&NormalizerWrapper> {
        self.rules.iter().map(|rule| &rule.rule).collect()
    }

    /// Whether a text has outgrown its bound since this was asked last.
    pub fn has_outgrown(&self) -> bool {
        self.outgrown.swap(false, Ordering::Relaxed)
    }
}

impl Normalizer for Rewriting {
    fn normalize(&self, text: &mut NormalizedString) -> Crate<()> {
        let most = most(text.len());
        // a text that begins within a longer one: that is told from the beginning of all by who cuts it
        let is_first = text.offsets_original().0 == 0;
        for Rule { rule, widest } in &self.rules {
            let bytes = text.len() + 1;
            if bytes.checked_mul(*widest).is_none_or(|bytes| bytes > most) {
                self.outgrown.store(true, Ordering::Relaxed);
                *text = NormalizedString::from("");
                return Ok(());
            }
            rule.normalize(text)?;
            // nobody asks where in the prompt a token was; after some rules the crate's record of it leads outside
            *text = afresh(text.get(), is_first);
        }
        Ok(())
    }
}

/// A text of which every byte is known to come from itself.
fn afresh(text: &str, is_first: bool) -> NormalizedString {
    if is_first {
        return NormalizedString::from(text);
    }
    let later = NormalizedString::from(format!(" {text}"));
    later.slice(Range::Normalized(1..)).unwrap_or_else(|| NormalizedString::from(text))
}

/// How a text is cut, one way after the other.
pub struct Cutting(pub Vec<PreTokenizerWrapper>);

impl Cutting {
    /// None where the file has no rules.
    pub fn read(value: Option<Value>) -> Result<Option<Self>, String> {
        let values = leaves(value, "pretokenizers")?;
        let widens = |value: &&Value| matches!(kind(value), "ByteLevel" | "Metaspace");
        if values.iter().filter(widens).count() > MOST_WIDENING {
            return Err(format!("Its pre_tokenizer lengthens a text more than {MOST_WIDENING} times."));
        }
        if values.iter().any(|value| value["length"] == 0) {
            return Err("Its pre_tokenizer cuts into pieces of length 0.".into());
        }
        let rules: Vec<_> = values.into_iter().map(read).collect::<Result<_, _>>()?;
        Ok((!rules.is_empty()).then_some(Cutting(rules)))
    }
}

impl PreTokenizer for Cutting {
    fn pre_tokenize(&self, text: &mut PreTokenizedString) -> Crate<()> {
        self.0.iter().try_for_each(|rule| rule.pre_tokenize(text))
    }
}

/// Tokens to text, step by step.
pub struct Decoding(Vec<Rule<Step>>);

enum Step {
    Crate(DecoderWrapper),
    /// The crate's own counts below nothing where a token is shorter than what is to be cut.
    Strip {
        content: char,
        start: usize,
        stop: usize,
    },
}

impl Decoding {
    /// None where the file has no rules.
    pub fn read(value: Option<Value>) -> Result<Option<Self>, String> {
        let steps = leaves(value, "decoders")?.into_iter().map(|value| {
            let widest = WIDEST_OF_OTHERS.max(text_bytes(&value, "content"));
            let rule = match read(value)? {
                DecoderWrapper::Strip(strip) => {
                    Step::Strip { content: strip.content, start: strip.start, stop: strip.stop }
                }
                other => Step::Crate(other),
            };
            Ok(Rule { rule, widest })
        });
        let steps: Vec<_> = steps.collect::<Result<_, String>>()?;
        Ok((!steps.is_empty()).then_some(Decoding(steps)))
    }

    /// Whether each token is its bytes, wherever it stands.
    pub fn is_bytes(&self) -> bool {
        matches!(self.0.as_slice(), [Rule { rule: Step::Crate(DecoderWrapper::ByteLevel(_)), .. }])
    }
}

impl Decoder for Decoding {
    fn decode_chain(&self, mut tokens: Vec<String>) -> Crate<Vec<String>> {
        let bytes = |tokens: &[String]| tokens.iter().map(String::len).sum::<usize>();
        let most = most(bytes(&tokens));
        for step in &self.0 {
            if tokens.is_empty() {
                break;
            }
            if !step.is_bounded(bytes(&tokens), tokens.len(), most) {
                return Err(OUTGROWN.into());
            }
            tokens = match &step.rule {
                Step::Crate(decoder) => decoder.decode_chain(tokens)?,
                Step::Strip { content, start, stop } => {
                    tokens.iter().map(|token| stripped(token, *content, *start, *stop)).collect()
                }
            };
        }
        Ok(tokens)
    }
}

/// What is said of a text that rules made too long.
pub const OUTGROWN: &str = "Its rules make the text many times as long as it was";

/// A token without so many `content`s at its beginning and end.
fn stripped(token: &str, content: char, start: usize, stop: usize) -> String {
    let cut = |text: &str, most| text.chars().take(most).take_while(|&c| c == content).count() * content.len_utf8();
    let token = &token[cut(token, start)..];
    let ending = token.chars().rev().take(stop).take_while(|&c| c == content).count() * content.len_utf8();
    token[..token.len() - ending].to_owned()
}

/// The rules of a file's part in their order, those within a sequence among them.
fn leaves(value: Option<Value>, list: &str) -> Result<Vec<Value>, String> {
    let mut found = Vec::new();
    collect(value.unwrap_or_default(), list, MOST_DEPTH, &mut found)?;
    Ok(found)
}

fn collect(mut value: Value, list: &str, depth: usize, found: &mut Vec<Value>) -> Result<(), String> {
    if value.is_null() {
        return Ok(());
    }
    if depth == 0 || found.len() >= MOST_RULES {
        return Err(format!("It has more than {MOST_RULES} rules, or more than {MOST_DEPTH} in each other."));
    }
    let is_sequence = matches!(kind(&value), "Sequence" | "");
    match value.get_mut(list).map(Value::take) {
        Some(Value::Array(inner)) if is_sequence => {
            inner.into_iter().try_for_each(|value| collect(value, list, depth - 1, found))
        }
        // the crate takes anything with such a list for a sequence
        Some(_) => Err(format!("Its {list} are not those of a sequence.")),
        None => {
            check_pattern(&value)?;
            found.push(value);
            Ok(())
        }
    }
}

/// A pattern may not move where its match began: such matches can end before they begin.
fn check_pattern(value: &Value) -> Result<(), String> {
    let pattern = value["pattern"]["Regex"].as_str().unwrap_or_default();
    let mut letters = pattern.chars();
    while let Some(letter) = letters.next() {
        if letter == '\\' && letters.next() == Some('K') {
            return Err(format!("Its pattern {pattern:?} has a \\K."));
        }
    }
    Ok(())
}

fn kind(value: &Value) -> &str {
    value["type"].as_str().unwrap_or_default()
}

/// How much a rule puts in for a byte, the byte itself counted.
fn text_bytes(value: &Value, name: &str) -> usize {
    value[name].as_str().map_or(0, |text| text.len() + 1)
}

fn read<R: DeserializeOwned>(value: Value) -> Result<R, String> {
    serde_json::from_value(value).map_err(|e| format!("{e}."))
}

//! What `tokenizer.json` says, read and checked before the tokenizers crate sees it. The crate trusts its file: it cuts,
//! indexes and unwraps by what it finds there, so whatever it would stumble over is refused here.

use std::collections::HashSet;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Value, json};
use tokenizers::models::bpe::{BPE, Merges, Vocab};
use tokenizers::models::unigram::Unigram;
use tokenizers::models::wordlevel::WordLevel;
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::{AddedToken, ModelWrapper};

use super::{Beside, END_OF_TEXT};

/// Longer tokens than any tokenizer has; their prefixes are walked through at every place of a text.
const LONGEST_TOKEN_BYTES: usize = 4096;
/// A word is looked through as often as it has characters, squared.
const LONGEST_WORD: usize = 1000;

/// The parts of the file that are used. Padding, truncation, dropout and post-processing are not: a text's tokens are
/// the text's alone.
#[derive(Deserialize)]
pub struct TokenizerFile {
    version: Option<String>,
    added_tokens: Option<Vec<AddedToken>>,
    pub normalizer: Option<Value>,
    pub pre_tokenizer: Option<Value>,
    pub decoder: Option<Value>,
    model: ModelFile,
}

impl TokenizerFile {
    /// Reads the file's form; the rules in it are still to be checked.
    pub fn parse(json: &[u8]) -> Result<Self, String> {
        let file: TokenizerFile = serde_json::from_slice(json).map_err(|e| format!("{e}."))?;
        match file.version.as_deref() {
            None | Some("1.0") => Ok(file),
            Some(version) => Err(format!("It is of version {version:?}; only 1.0 is known.")),
        }
    }

    /// What stands for `vocab.json` and `merges.txt`: GPT-2's byte-level BPE, with its one special token and those that
    /// other files name.
    pub fn of_gpt2(vocab_json: &[u8], merges_txt: &[u8], beside: Beside) -> Result<Self, String> {
        let mut vocab: Tokens = serde_json::from_slice(vocab_json).map_err(|e| format!("(vocab.json) {e}."))?;
        let merges = std::str::from_utf8(merges_txt).map_err(|_| "(merges.txt) It is not UTF-8 text.")?;
        let lines = merges.lines().filter(|line| !line.is_empty());
        let merges = lines.map(merge).collect::<Result<Vec<_>, _>>().map_err(|e| format!("(merges.txt) {e}."))?;
        let added = match &mut vocab {
            Tokens::Ids(vocab) => added(vocab, beside.tokens),
            Tokens::Scores(_) => Vec::new(),
        };
        let prefix = beside.prefix_space;
        let level = json!({"type": "ByteLevel", "add_prefix_space": prefix, "trim_offsets": true, "use_regex": true});
        Ok(TokenizerFile {
            version: None,
            added_tokens: Some(added),
            normalizer: None,
            pre_tokenizer: Some(level.clone()),
            decoder: Some(level),
            model: ModelFile {
                kind: Some("BPE".into()),
                vocab: Some(vocab),
                merges: Some(MergeList(merges.into_iter().flatten().collect())),
                ..ModelFile::default()
            },
        })
    }

    /// The model and the tokens beside it.
    pub fn model(self) -> Result<(ModelWrapper, Vec<AddedToken>), String> {
        let added = self.added_tokens.unwrap_or_default();
        // where white space is taken in by the token before it, a token of white space would begin before it ends
        let takes_space = added.iter().any(|token| token.rstrip);
        let is_space = |token: &&AddedToken| token.content.chars().all(char::is_whitespace);
        match added.iter().find(|token| token.content.len() > LONGEST_TOKEN_BYTES || takes_space && is_space(token)) {
            Some(token) if takes_space && is_space(&token) => {
                Err(format!("Its added token {:?} is white space, which another one takes in.", token.content))
            }
            Some(token) => Err(format!("It has a token of {} bytes.", token.content.len())),
            None => Ok((self.model.build()?, added)),
        }
    }
}

/// The tokens to be found whole: GPT-2's own and those that are named, as far as they have an id. One that the vocabulary
/// lacks gets the id that is said of it there, unless another has that.
fn added(vocab: &mut Vocab, named: Vec<(AddedToken, Option<u32>)>) -> Vec<AddedToken> {
    let mut ids: HashSet<u32> = vocab.values().copied().collect();
    let mut added: Vec<AddedToken> = Vec::new();
    for (token, id) in std::iter::once((AddedToken::from(END_OF_TEXT, true), None)).chain(named) {
        if !vocab.contains_key(&token.content)
            && let Some(id) = id
            && token.content.len() <= LONGEST_TOKEN_BYTES
            && ids.insert(id)
        {
            vocab.insert(token.content.clone(), id);
        }
        let is_new = added.iter().all(|other| other.content != token.content);
        if is_new && !token.content.is_empty() && vocab.contains_key(&token.content) {
            added.push(token);
        }
    }
    added
}

/// The `model` in the file, whichever of the four kinds it is.
#[derive(Default, Deserialize)]
#[serde(default)]
struct ModelFile {
    #[serde(rename = "type")]
    kind: Option<String>,
    vocab: Option<Tokens>,
    merges: Option<MergeList>,
    unk_token: Option<String>,
    unk_id: Option<usize>,
    continuing_subword_prefix: Option<String>,
    end_of_word_suffix: Option<String>,
    fuse_unk: Option<bool>,
    byte_fallback: Option<bool>,
    ignore_merges: Option<bool>,
    max_input_chars_per_word: Option<usize>,
}

/// A vocabulary: tokens with their ids, or in the order of their ids with their scores.
enum Tokens {
    Ids(Vocab),
    Scores(Vec<(String, f64)>),
}

impl ModelFile {
    fn build(mut self) -> Result<ModelWrapper, String> {
        let affixes = [&self.unk_token, &self.continuing_subword_prefix, &self.end_of_word_suffix];
        if affixes.into_iter().flatten().any(|text| text.len() > LONGEST_TOKEN_BYTES) {
            return Err(format!("Its model has a text of more than {LONGEST_TOKEN_BYTES} bytes to add to tokens."));
        }
        let tokens = self.vocab.take().ok_or("Its model has no vocab.")?;
        let kind = match (self.kind.take(), &tokens) {
            (Some(kind), _) => kind,
            // as files were written before they said it
            (None, Tokens::Scores(_)) => "Unigram".to_owned(),
            (None, _) if self.merges.is_some() => "BPE".to_owned(),
            (None, _) if self.max_input_chars_per_word.is_some() => "WordPiece".to_owned(),
            (None, _) => "WordLevel".to_owned(),
        };
        match (kind.as_str(), tokens) {
            ("BPE", Tokens::Ids(vocab)) => self.bpe(vocab),
            ("WordPiece", Tokens::Ids(vocab)) => self.word_piece(vocab),
            ("WordLevel", Tokens::Ids(vocab)) => {
                let unknown = self.unk_token.ok_or("Its model has no unk_token.")?;
                let model = WordLevel::builder().vocab(vocab).unk_token(unknown).build();
                model.map(ModelWrapper::WordLevel).map_err(|e| format!("{e}."))
            }
            ("Unigram", Tokens::Scores(vocab)) => {
                let model = Unigram::from(vocab, self.unk_id, self.byte_fallback.unwrap_or(false));
                model.map(ModelWrapper::Unigram).map_err(|e| format!("{e}."))
            }
            (kind, _) => Err(format!("Its model is of the kind {kind:?}, which has another vocab or is none we know.")),
        }
    }

    fn bpe(self, vocab: Vocab) -> Result<ModelWrapper, String> {
        let merges = self.merges.ok_or("Its model has no merges.")?.0;
        check_merges(&vocab, &merges, self.continuing_subword_prefix.as_deref().unwrap_or_default())?;
        let mut builder = BPE::builder()
            .vocab_and_merges(vocab, merges)
            .fuse_unk(self.fuse_unk.unwrap_or(false))
            .byte_fallback(self.byte_fallback.unwrap_or(false))
            .ignore_merges(self.ignore_merges.unwrap_or(false));
        if let Some(unknown) = self.unk_token {
            builder = builder.unk_token(unknown);
        }
        if let Some(prefix) = self.continuing_subword_prefix {
            builder = builder.continuing_subword_prefix(prefix);
        }
        if let Some(suffix) = self.end_of_word_suffix {
            builder = builder.end_of_word_suffix(suffix);
        }
        builder.build().map(ModelWrapper::BPE).map_err(|e| format!("{e}."))
    }

    fn word_piece(self, vocab: Vocab) -> Result<ModelWrapper, String> {
        let longest = self.max_input_chars_per_word.unwrap_or(100);
        if longest > LONGEST_WORD {
            return Err(format!("Its max_input_chars_per_word is {longest}; {LONGEST_WORD} at most are read."));
        }
        let model = WordPiece::builder()
            .vocab(vocab)
            .unk_token(self.unk_token.ok_or("Its model has no unk_token.")?)
            .continuing_subword_prefix(self.continuing_subword_prefix.unwrap_or_default())
            .max_input_chars_per_word(longest)
            .build();
        model.map(ModelWrapper::WordPiece).map_err(|e| format!("{e}."))
    }
}

/// Both halves of a merge and what it makes are tokens; the second half is cut after the prefix of those that go on.
fn check_merges(vocab: &Vocab, merges: &Merges, prefix: &str) -> Result<(), String> {
    let mut whole = String::new();
    for (number, (left, right)) in merges.iter().enumerate() {
        whole.clear();
        whole.push_str(left);
        whole.push_str(right.strip_prefix(prefix).ok_or_else(|| {
            format!("Its merge {number} has {right:?} on the right, which does not begin with {prefix:?}.")
        })?);
        if let Some(token) = [left, right, &whole].into_iter().find(|token| !vocab.contains_key(*token)) {
            return Err(format!("Its merge {number} names {token:?}, which is not in its vocab."));
        }
    }
    Ok(())
}

/// A token's text, refused as it is read where it is too long.
struct TokenText(String);

impl<'de> Deserialize<'de> for TokenText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.len() > LONGEST_TOKEN_BYTES {
            return Err(D::Error::custom(format!("it has a token of {} bytes", text.len())));
        }
        Ok(TokenText(text))
    }
}

impl<'de> Deserialize<'de> for Tokens {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Walk;
        impl<'de> Visitor<'de> for Walk {
            type Value = Tokens;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("tokens with ids, or with scores")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tokens, A::Error> {
                let mut vocab = Vocab::default();
                while let Some((TokenText(token), id)) = map.next_entry()? {
                    vocab.insert(token, id);
                }
                Ok(Tokens::Ids(vocab))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Tokens, A::Error> {
                let mut scores = Vec::new();
                while let Some((TokenText(token), score)) = list.next_element()? {
                    scores.push((token, score));
                }
                Ok(Tokens::Scores(scores))
            }
        }
        deserializer.deserialize_any(Walk)
    }
}

struct MergeList(Merges);

/// `"a b"`, or `["a", "b"]` as newer files have it.
struct Merge(Option<(String, String)>);

impl<'de> Deserialize<'de> for MergeList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let merges: Vec<Merge> = Vec::deserialize(deserializer)?;
        Ok(MergeList(merges.into_iter().filter_map(|merge| merge.0).collect()))
    }
}

impl<'de> Deserialize<'de> for Merge {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Walk;
        impl<'de> Visitor<'de> for Walk {
            type Value = Merge;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("two tokens to merge")
            }

            fn visit_str<E: serde::de::Error>(self, line: &str) -> Result<Merge, E> {
                merge(line).map(Merge).map_err(E::custom)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Merge, A::Error> {
                let (left, right) = (list.next_element()?, list.next_element()?);
                let is_two = list.next_element::<IgnoredAny>()?.is_none();
                let pair = left.zip(right).filter(|_| is_two);
                pair.map(|pair| Merge(Some(pair))).ok_or_else(|| A::Error::custom("a merge is not of two tokens"))
            }
        }
        deserializer.deserialize_any(Walk)
    }
}

/// A line of merges; none for one that says the version.
fn merge(line: &str) -> Result<Option<(String, String)>, String> {
    if line.starts_with("#version") {
        return Ok(None);
    }
    match line.split_once(' ') {
        Some((left, right)) if !right.contains(' ') => Ok(Some((left.to_owned(), right.to_owned()))),
        _ => Err(format!("{line:?} is not two tokens to merge")),
    }
}

//! The small files beside a model's weights, each where it has something to say: the config, the tokenizer in one of its
//! two forms, and which token begins a text.

use serde::Deserialize;
use serde_json::Value;

use super::{Config, Tokenizer, Vocabulary};
use crate::error::{Error, Result};

/// What is read beside the weights; all but the config may be missing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SmallFiles {
    pub config: Vec<u8>,
    pub tokenizer: Option<Vec<u8>>,
    pub vocab: Option<Vec<u8>>,
    pub merges: Option<Vec<u8>>,
    pub tokenizer_config: Option<Vec<u8>>,
    pub special_tokens_map: Option<Vec<u8>>,
    pub generation_config: Option<Vec<u8>>,
}

/// The files beside the config, by name.
pub const BESIDE_CONFIG: [&str; 6] = [
    "tokenizer.json",
    "vocab.json",
    "merges.txt",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "generation_config.json",
];

/// The tokenizer's two forms; the first is taken where both are there.
pub const FORMS_OF_TOKENIZERS: [&[&str]; 2] = [&["tokenizer.json"], &["vocab.json", "merges.txt"]];
/// Which token begins a text.
pub const SAYS_BEGINNING: [&str; 3] = ["tokenizer_config.json", "special_tokens_map.json", "generation_config.json"];

impl SmallFiles {
    /// The place of a file of [`BESIDE_CONFIG`]; none for another name.
    pub fn place(&mut self, name: &str) -> Option<&mut Option<Vec<u8>>> {
        Some(match name {
            "tokenizer.json" => &mut self.tokenizer,
            "vocab.json" => &mut self.vocab,
            "merges.txt" => &mut self.merges,
            "tokenizer_config.json" => &mut self.tokenizer_config,
            "special_tokens_map.json" => &mut self.special_tokens_map,
            "generation_config.json" => &mut self.generation_config,
            _ => return None,
        })
    }

    /// Whether there is something that turns texts into ids.
    pub fn has_tokenizer(&self) -> bool {
        self.tokenizer.is_some() || self.vocab.is_some()
    }

    /// All that there are, by name.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, &[u8])> {
        let beside = [
            &self.tokenizer,
            &self.vocab,
            &self.merges,
            &self.tokenizer_config,
            &self.special_tokens_map,
            &self.generation_config,
        ];
        let beside = BESIDE_CONFIG.into_iter().zip(beside).filter_map(|(name, file)| Some((name, file.as_deref()?)));
        std::iter::once(("config.json", self.config.as_slice())).chain(beside)
    }

    /// What turns texts into ids, and what begins them.
    ///
    /// # Errors
    /// [`Error::Tokenizer`] where the tokenizer is damaged.
    pub fn vocabulary(&self, config: &Config) -> Result<Vocabulary> {
        let tokenizer = match (&self.tokenizer, &self.vocab, &self.merges) {
            (Some(json), ..) => Some(Tokenizer::from_json(json)?),
            (None, Some(vocab), Some(merges)) => Some(Tokenizer::from_vocab_and_merges(vocab, merges)?),
            (None, Some(_), None) => {
                return Err(Error::Tokenizer("There is a vocab.json without its merges.txt.".into()));
            }
            (None, None, _) => None,
        };
        let bos = self.beginning(tokenizer.as_ref(), config).map(|(id, _)| id);
        Ok(Vocabulary::new(tokenizer, bos, config))
    }

    /// The token that begins a text, and which file says so: the one that the tokenizer's files name; or whose id the
    /// model's files give, if it is a special one (they give 50256 where nobody has said another); or else GPT-2's own.
    pub fn beginning(&self, tokenizer: Option<&Tokenizer>, config: &Config) -> Option<(u32, Option<&'static str>)> {
        let is_one = |&(id, _): &(u32, Option<&str>)| (id as usize) < config.vocab_size;
        let given = [
            (id(self.generation_config.as_deref()), Some("generation_config.json")),
            (config.bos_token_id, Some("config.json")),
        ];
        let given = given.into_iter().filter_map(|(id, says)| Some((id?, says))).find(is_one);
        let Some(tokenizer) = tokenizer else { return given };
        let named =
            [(&self.tokenizer_config, "tokenizer_config.json"), (&self.special_tokens_map, "special_tokens_map.json")];
        let named =
            named.into_iter().find_map(|(json, says)| Some((tokenizer.id(&token(json.as_deref())?)?, Some(says))));
        let own = || Some((tokenizer.end_of_text()?, None));
        named.or(given.filter(|(id, _)| tokenizer.is_special(*id))).or_else(own).or(given).filter(is_one)
    }
}

/// `bos_token`, which is a text, or an object with `content`.
fn token(json: Option<&[u8]>) -> Option<String> {
    let value: Value = serde_json::from_slice(unmarked(json?)).ok()?;
    let token = value.get("bos_token")?;
    Some(token.as_str().or_else(|| token.get("content")?.as_str())?.to_owned())
}

fn id(json: Option<&[u8]>) -> Option<u32> {
    #[derive(Deserialize)]
    struct Ids {
        bos_token_id: Option<u32>,
    }
    serde_json::from_slice::<Ids>(unmarked(json?)).ok()?.bos_token_id
}

/// The bytes without the mark that some editors put in front of a text.
pub fn unmarked(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}

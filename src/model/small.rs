//! The small files beside a model's weights, each where it has something to say: the config, the tokenizer in one of its
//! two forms, and which token begins a text.

use serde_json::Value;
use tokenizers::AddedToken;

use super::layout::is_pointer;
use super::tokenizer::Beside;
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
    /// [`Error::Tokenizer`] where the tokenizer is damaged, [`Error::Read`] where git left a pointer in a file's place: what
    /// begins a text would be another token in silence.
    pub fn vocabulary(&self, config: &Config) -> Result<Vocabulary> {
        if let Some((name, _)) = self.all().find(|(_, bytes)| is_pointer(bytes)) {
            let why = "git left a pointer in its place. Run `git lfs pull` in the folder.".into();
            return Err(Error::Read { what: name.to_owned(), why });
        }
        let tokenizer = match (&self.tokenizer, &self.vocab, &self.merges) {
            (Some(json), ..) => Some(Tokenizer::from_json(json)?),
            (None, Some(vocab), Some(merges)) => {
                Some(Tokenizer::from_vocab_and_merges(vocab, merges, self.beside_vocab())?)
            }
            (None, Some(_), None) => {
                return Err(Error::Tokenizer("There is a vocab.json without its merges.txt.".into()));
            }
            (None, None, _) => None,
        };
        let bos = self.beginning(tokenizer.as_ref(), config).map(|(id, _)| id);
        Ok(Vocabulary::new(tokenizer, bos, config))
    }

    /// What the tokenizer's other files say of a `vocab.json`; a `tokenizer.json` says it itself.
    fn beside_vocab(&self) -> Beside {
        let read = |json: &Option<Vec<u8>>| serde_json::from_slice::<Value>(unmarked(json.as_deref()?)).ok();
        let files = [read(&self.tokenizer_config), read(&self.special_tokens_map)].map(Option::unwrap_or_default);
        let prefix_space = files[0]["add_prefix_space"] == true;
        let listed = files[0]["added_tokens_decoder"].as_object().into_iter().flatten();
        let listed = listed.filter_map(|(id, token)| Some((added_token(token)?, Some(id.parse().ok()?))));
        let named = files.iter().flat_map(|file| {
            let several = file["additional_special_tokens"].as_array().into_iter().flatten();
            SPECIAL.iter().map(|name| &file[name]).chain(several)
        });
        let tokens = listed.chain(named.filter_map(|token| Some((added_token(token)?, None)))).collect();
        Beside { tokens, prefix_space }
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
    text(token).map(str::to_owned)
}

/// A token is written as its text, or as an object with `content`.
fn text(token: &Value) -> Option<&str> {
    token.as_str().or_else(|| token.get("content")?.as_str())
}

/// The tokens that the tokenizer's files name by what they are for.
const SPECIAL: [&str; 7] = ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

fn added_token(token: &Value) -> Option<AddedToken> {
    let is = |name: &str| token[name] == true;
    let added = AddedToken::from(text(token)?, token["special"] != false).normalized(is("normalized"));
    Some(added.single_word(is("single_word")).lstrip(is("lstrip")).rstrip(is("rstrip")))
}

fn id(json: Option<&[u8]>) -> Option<u32> {
    token_id(&serde_json::from_slice::<Value>(unmarked(json?)).ok()?["bos_token_id"])
}

/// An id, or the first of a list of them; none for -1 and whatever else some write where there is none.
pub(super) fn token_id(value: &Value) -> Option<u32> {
    let first = value.as_array().map_or(value, |list| list.first().unwrap_or(&Value::Null));
    u32::try_from(first.as_u64()?).ok()
}

/// The bytes without the mark that some editors put in front of a text.
pub fn unmarked(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}

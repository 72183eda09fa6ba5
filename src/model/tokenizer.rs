//! Text to token ids and back, by the model's own `tokenizer.json`.

use serde::{Deserialize, Serialize};

use super::Config;
use super::words::Words;
use crate::error::{Error, Result};

/// The special token that GPT-2 puts between documents and that every prompt starts with.
pub const END_OF_TEXT: &str = "<|endoftext|>";

/// GPT-2's byte-level BPE.
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    /// None where a text's words are not its tokens' bounds.
    words: Option<Words>,
}

impl Tokenizer {
    /// Reads `tokenizer.json`.
    ///
    /// # Errors
    /// [`Error::Tokenizer`] when it is damaged or has ids that the model lacks.
    pub fn from_json(json: &[u8], config: &Config) -> Result<Self> {
        let mut inner = tokenizers::Tokenizer::from_bytes(json).map_err(|e| Error::Tokenizer(format!("{e}.")))?;
        // a file may ask for padding or cutting; a prompt is never changed here
        inner.with_padding(None);
        inner.with_truncation(None).map_err(|e| Error::Tokenizer(format!("{e}.")))?;
        let highest = inner.get_vocab(true).into_values().max().unwrap_or(0) as usize;
        if highest >= config.vocab_size {
            return Err(Error::Tokenizer(format!(
                "It has the id {highest}, but the model's vocabulary ends at {}.",
                config.vocab_size - 1
            )));
        }
        let words = Words::suit(&inner).then(Words::default);
        Ok(Tokenizer { inner, words })
    }

    /// The text's ids, nothing added.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        let encoding = self.inner.encode_fast(text, false).map_err(|e| Error::Tokenizer(format!("{e}.")))?;
        Ok(encoding.get_ids().to_vec())
    }

    /// The same of a long text, by the words met before.
    pub fn encode_long(&self, text: &str) -> Result<Vec<u32>> {
        match &self.words {
            Some(words) => words.ids(text, |word| self.encode(word)),
            None => self.encode(text),
        }
    }

    /// The ids' text; bytes that are no UTF-8 become U+FFFD.
    pub fn decode(&self, ids: &[u32]) -> Result<String> {
        self.inner.decode(ids, false).map_err(|e| Error::Tokenizer(format!("{e}.")))
    }

    /// Id of `<|endoftext|>`, if this vocabulary has it.
    pub fn end_of_text(&self) -> Option<u32> {
        self.inner.token_to_id(END_OF_TEXT)
    }
}

/// What turns prompts and token arguments into ids for one model, with or without a tokenizer.
pub struct Vocabulary {
    tokenizer: Option<Tokenizer>,
    bos: Option<u32>,
    vocab_size: usize,
    n_ctx: usize,
}

/// A prompt as a person gives it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Prompt {
    Text(String),
    /// Ids as they are: no BOS is added.
    Ids(Vec<u32>),
}

impl Vocabulary {
    pub fn new(tokenizer: Option<Tokenizer>, config: &Config) -> Self {
        let bos = tokenizer.as_ref().and_then(Tokenizer::end_of_text).or(config.bos_token_id);
        Vocabulary { tokenizer, bos, vocab_size: config.vocab_size, n_ctx: config.n_ctx }
    }

    /// Id of the token put before every prompt.
    pub fn bos(&self) -> Option<u32> {
        self.bos
    }

    pub fn has_tokenizer(&self) -> bool {
        self.tokenizer.is_some()
    }

    /// A prompt's ids, ready to run: `<|endoftext|>` in front of text unless `bos` is false.
    ///
    /// # Errors
    /// When it is empty, longer than the model's context, or names ids that the model lacks.
    pub fn prompt_ids(&self, prompt: &Prompt, bos: bool) -> Result<Vec<u32>> {
        let ids = match prompt {
            Prompt::Ids(ids) => ids.clone(),
            Prompt::Text(text) if text.is_empty() => return Err(Error::EmptyPrompt),
            Prompt::Text(text) => self.text_ids(text, bos)?,
        };
        self.checked(ids)
    }

    /// A document's ids, cut to the model's context.
    ///
    /// # Errors
    /// [`Error::NoTokenizer`]; ids that the model lacks.
    pub fn document_ids(&self, text: &str, bos: bool) -> Result<Vec<u32>> {
        let mut ids = self.text_ids(text, bos)?;
        ids.truncate(self.n_ctx);
        self.checked(ids)
    }

    /// The ids of a part of a document, `<|endoftext|>` in front if `bos`.
    ///
    /// # Errors
    /// [`Error::NoTokenizer`]; ids that the model lacks.
    pub fn piece_ids(&self, text: &str, bos: bool) -> Result<Vec<u32>> {
        let tokenizer = self.tokenizer.as_ref().ok_or(Error::NoTokenizer)?;
        let mut ids: Vec<u32> = self.bos.filter(|_| bos).into_iter().collect();
        ids.extend(tokenizer.encode_long(text)?);
        match ids.iter().find(|&&id| id as usize >= self.vocab_size) {
            Some(&id) => Err(Error::UnknownId { id, vocab: self.vocab_size }),
            None => Ok(ids),
        }
    }

    fn text_ids(&self, text: &str, bos: bool) -> Result<Vec<u32>> {
        let tokenizer = self.tokenizer.as_ref().ok_or(Error::NoTokenizer)?;
        let mut ids: Vec<u32> = self.bos.filter(|_| bos).into_iter().collect();
        ids.extend(tokenizer.encode(text)?);
        Ok(ids)
    }

    fn checked(&self, ids: Vec<u32>) -> Result<Vec<u32>> {
        if ids.is_empty() {
            return Err(Error::EmptyPrompt);
        }
        if let Some(&id) = ids.iter().find(|&&id| id as usize >= self.vocab_size) {
            return Err(Error::UnknownId { id, vocab: self.vocab_size });
        }
        if ids.len() > self.n_ctx {
            return Err(Error::PromptTooLong { len: ids.len(), n_ctx: self.n_ctx });
        }
        Ok(ids)
    }

    /// The one token that an argument names: its text (`" an"`) or `#281`.
    ///
    /// # Errors
    /// [`Error::NotOneToken`] with the pieces that the text falls into, and the like.
    pub fn token(&self, argument: &str) -> Result<u32> {
        if argument.is_empty() {
            return Err(Error::EmptyToken);
        }
        let by_text = match &self.tokenizer {
            Some(tokenizer) => tokenizer.encode(argument)?,
            None => Vec::new(),
        };
        // without a tokenizer a number can only be an id, as in prompts
        let bare = self.tokenizer.is_none().then_some(argument);
        let digits = argument.strip_prefix('#').or(bare);
        let digits = digits.filter(|d| !d.is_empty() && d.bytes().all(|b| b.is_ascii_digit()));
        match (digits, by_text.as_slice()) {
            (Some(digits), _) => {
                let id: u32 = digits.parse().map_err(|_| Error::BadTokenId { text: argument.to_owned() })?;
                if id as usize >= self.vocab_size {
                    return Err(Error::UnknownId { id, vocab: self.vocab_size });
                }
                Ok(id)
            }
            (None, [id]) => Ok(*id),
            (None, []) => Err(Error::NoTokenizer),
            (None, ids) => Err(Error::NotOneToken {
                text: argument.to_owned(),
                pieces: ids.iter().map(|&id| format!("{:?}", self.text(id))).collect(),
            }),
        }
    }

    /// A token's text; `#281` where there is no tokenizer.
    pub fn text(&self, id: u32) -> String {
        let text = self.tokenizer.as_ref().and_then(|tokenizer| tokenizer.decode(&[id]).ok());
        text.unwrap_or_else(|| format!("#{id}"))
    }

    /// Several ids as one text.
    pub fn join(&self, ids: &[u32]) -> String {
        let text = self.tokenizer.as_ref().and_then(|tokenizer| tokenizer.decode(ids).ok());
        text.unwrap_or_else(|| ids.iter().map(|id| format!("#{id}")).collect())
    }
}

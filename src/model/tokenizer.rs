//! Text to token ids and back, by the model's own `tokenizer.json`.

pub mod cuts; // where a long text may be cut
mod file; // what it says, checked
mod precompiled; // SentencePiece's map of characters
mod rules; // what is done to texts, bounded
pub(crate) mod shield; // other crates' panics

use serde::{Deserialize, Serialize};
use tokenizers::{AddedToken, Encoding, ModelWrapper, PostProcessor, TokenizerBuilder, TokenizerImpl};

use super::Config;
use super::small::unmarked;
use super::words::Words;
use crate::error::{Error, Result};
use cuts::Cut;
use file::TokenizerFile;
use rules::{Cutting, Decoding, OUTGROWN, Rewriting};
use shield::shielded;

/// The special token that GPT-2 puts between documents and that every prompt starts with.
pub const END_OF_TEXT: &str = "<|endoftext|>";

/// So many tokens are looked through for a letter.
const LOOKED_THROUGH: u32 = 10_000;

/// The crate's tokenizer, with our bounded rules and without what would be added to a text.
type Crate = TokenizerImpl<ModelWrapper, Rewriting, Cutting, Nothing, Decoding>;

/// GPT-2's byte-level BPE, or another that the crate knows.
pub struct Tokenizer {
    inner: Crate,
    /// None where a text's words are not its tokens' bounds.
    words: Option<Words>,
    cut: Cut,
    /// A token that others are shown behind, where a text's first token loses its space, and its text.
    before: Option<(u32, String)>,
}

/// What other files say of a tokenizer that is a `vocab.json` and a `merges.txt`.
#[derive(Default)]
pub struct Beside {
    /// Tokens that are found whole in a text, with their ids where those are said.
    pub tokens: Vec<(AddedToken, Option<u32>)>,
    /// Whether a text is read as if a space stood before it.
    pub prefix_space: bool,
}

impl Tokenizer {
    /// Reads `tokenizer.json`. It may have ids that the model lacks: a text with one of them is refused when it comes.
    ///
    /// # Errors
    /// [`Error::Tokenizer`] when it is damaged.
    pub fn from_json(json: &[u8]) -> Result<Self> {
        Self::new(|| TokenizerFile::parse(unmarked(json)))
    }

    /// The same of the two files that stood for it before: GPT-2's byte-level BPE, with what others say of it.
    ///
    /// # Errors
    /// [`Error::Tokenizer`] when one of them is damaged.
    pub fn from_vocab_and_merges(vocab_json: &[u8], merges_txt: &[u8], beside: Beside) -> Result<Self> {
        Self::new(|| TokenizerFile::of_gpt2(unmarked(vocab_json), unmarked(merges_txt), beside))
    }

    fn new(file: impl FnOnce() -> std::result::Result<TokenizerFile, String>) -> Result<Self> {
        let inner = shielded(|| build(file()?))?.map_err(Error::Tokenizer)?;
        let cuts = inner.get_pre_tokenizer().map_or(&[][..], |cutting| &cutting.0);
        let added = inner.get_added_tokens_decoder();
        let suit = Words::suit(inner.get_normalizer().is_some(), cuts, added.values());
        let words = suit.then(Words::default);
        let cut = Cut::of(suit, inner.get_normalizer().map(Rewriting::rules), cuts, added.values());
        let mut tokenizer = Tokenizer { inner, words, cut, before: None };
        tokenizer.before = tokenizer.find_before();
        Ok(tokenizer)
    }

    /// The text's ids, nothing added.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        let encoded = shielded(|| self.inner.encode_fast(text, false))?;
        if self.inner.get_normalizer().is_some_and(Rewriting::has_outgrown) {
            return Err(Error::Tokenizer(format!("{OUTGROWN}.")));
        }
        Ok(encoded.map_err(|e| Error::Tokenizer(format!("{e}.")))?.get_ids().to_vec())
    }

    /// The same of a long text, by the words met before.
    pub fn encode_long(&self, text: &str) -> Result<Vec<u32>> {
        match &self.words {
            Some(words) => words.ids(text, |word| self.encode(word)),
            None => self.encode(text),
        }
    }

    /// Where a long text may be cut, so that its parts' tokens are the whole's.
    pub fn cut(&self) -> Cut {
        self.cut
    }

    /// The ids' text; bytes that are no UTF-8 become U+FFFD.
    pub fn decode(&self, ids: &[u32]) -> Result<String> {
        shielded(|| self.inner.decode(ids, false))?.map_err(|e| Error::Tokenizer(format!("{e}.")))
    }

    /// One token's text, as it stands behind another: `▁an` is " an" and `an` is "an". None for an id without a token.
    fn text(&self, id: u32) -> Option<String> {
        let token = self.inner.id_to_token(id)?;
        // a byte of a character: many of them would read alike
        let is_byte = token.len() == 6 && token.starts_with("<0x") && token.ends_with('>');
        if is_byte && self.before.is_some() {
            return Some(token);
        }
        let behind = self.before.as_ref().and_then(|(before, text)| {
            let both = self.decode(&[*before, id]).ok()?;
            both.strip_prefix(text.as_str()).map(str::to_owned)
        });
        behind.or_else(|| self.decode(&[id]).ok())
    }

    /// None where a token's text is the same everywhere, as in GPT-2's own tokenizer.
    fn find_before(&self) -> Option<(u32, String)> {
        self.inner.get_decoder().filter(|decoder| !decoder.is_bytes())?;
        let is_letter = |text: &String| text.len() == 1 && text.bytes().all(|byte| byte.is_ascii_alphabetic());
        (0..LOOKED_THROUGH).find_map(|id| {
            self.inner.id_to_token(id)?;
            Some((id, self.decode(&[id]).ok().filter(is_letter)?))
        })
    }

    /// Id of `<|endoftext|>`, if this vocabulary has it.
    pub fn end_of_text(&self) -> Option<u32> {
        self.id(END_OF_TEXT)
    }

    /// A token's id, by what the file calls it.
    pub fn id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// Whether a token stands for no text: one that was added as such, or is written as those are.
    pub fn is_special(&self, id: u32) -> bool {
        let is_written_so = |token: String| {
            token.starts_with('<') && token.ends_with('>') || token.starts_with('[') && token.ends_with(']')
        };
        let added = self.inner.get_added_tokens_decoder().get(&id).is_some_and(|token| token.special);
        added || self.inner.id_to_token(id).filter(|token| token.len() > 2).is_some_and(is_written_so)
    }

    /// What the file calls its kind.
    pub fn kind(&self) -> &'static str {
        match self.inner.get_model() {
            ModelWrapper::BPE(_) => "BPE",
            ModelWrapper::WordPiece(_) => "WordPiece",
            ModelWrapper::WordLevel(_) => "WordLevel",
            ModelWrapper::Unigram(_) => "Unigram",
        }
    }

    /// How many tokens it has.
    pub fn n_tokens(&self) -> usize {
        self.inner.get_vocab_size(true)
    }
}

/// Puts the crate's tokenizer together out of what was checked.
fn build(mut file: TokenizerFile) -> std::result::Result<Crate, String> {
    let rewriting = Rewriting::read(file.normalizer.take())?;
    let cutting = Cutting::read(file.pre_tokenizer.take())?;
    let decoding = Decoding::read(file.decoder.take())?;
    let (model, added) = file.model()?;
    let builder = TokenizerBuilder::new().with_model(model).with_normalizer(rewriting).with_pre_tokenizer(cutting);
    let mut inner = builder.with_decoder(decoding).build().map_err(|e| format!("{e}."))?;
    inner.add_tokens(added).map_err(|e| format!("{e}."))?;
    if inner.get_normalizer().is_some_and(Rewriting::has_outgrown) {
        return Err(format!("{OUTGROWN}."));
    }
    Ok(inner)
}

/// Nothing is added to a text: what begins it is put there by [`Vocabulary`].
struct Nothing;

impl PostProcessor for Nothing {
    fn added_tokens(&self, _is_pair: bool) -> usize {
        0
    }

    fn process_encodings(&self, encodings: Vec<Encoding>, _: bool) -> tokenizers::Result<Vec<Encoding>> {
        Ok(encodings)
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
    /// `bos` is the token that begins a text.
    pub fn new(tokenizer: Option<Tokenizer>, bos: Option<u32>, config: &Config) -> Self {
        Vocabulary { tokenizer, bos, vocab_size: config.vocab_size, n_ctx: config.n_ctx }
    }

    /// Id of the token put before every prompt.
    pub fn bos(&self) -> Option<u32> {
        self.bos
    }

    pub fn tokenizer(&self) -> Option<&Tokenizer> {
        self.tokenizer.as_ref()
    }

    /// Where a long document may be cut; see [`Cut`].
    pub fn cut(&self) -> Cut {
        self.tokenizer.as_ref().map_or(Cut::Nowhere, Tokenizer::cut)
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

    /// A token's text; `#281` where there is none.
    pub fn text(&self, id: u32) -> String {
        let text = self.tokenizer.as_ref().and_then(|tokenizer| tokenizer.text(id));
        text.unwrap_or_else(|| format!("#{id}"))
    }

    /// Several ids as one text.
    pub fn join(&self, ids: &[u32]) -> String {
        let Some(tokenizer) = &self.tokenizer else { return ids.iter().map(|id| format!("#{id}")).collect() };
        let has_text = |id: &u32| tokenizer.inner.id_to_token(*id).is_some();
        let runs = ids.chunk_by(|a, b| has_text(a) == has_text(b));
        let text = |run: &[u32]| match tokenizer.decode(run) {
            Ok(text) if run.first().is_some_and(has_text) => text,
            _ => run.iter().map(|id| format!("#{id}")).collect(),
        };
        runs.map(text).collect()
    }
}

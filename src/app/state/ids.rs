//! Texts for a model that came without a tokenizer: what it can read are ids, so the page's texts become the ids that the
//! model before made of them, and texts again when a model that reads text is loaded.

use super::{State, Typed, prompt_of};
use crate::protocol::Prompt;

/// The page's texts that a model has to read: both prompts, the pair, the tokens that are compared.
#[derive(Clone, PartialEq)]
pub struct Texts {
    prompts: [Typed; 2],
    pair: [Typed; 2],
    tokens: Vec<String>,
}

/// What stood there before, and the ids that stand in its place.
#[derive(Clone, PartialEq)]
pub struct PutBy {
    texts: Texts,
    ids: Texts,
}

/// What a model made of the texts, where that is known.
pub struct AsRead {
    prompts: [Option<Vec<u32>>; 2],
    pair: [Option<u32>; 2],
}

/// Where that isn't known, or is more than the model has.
const SOME_IDS: [&[u32]; 2] = [&[1, 2, 3, 4], &[1, 2, 5, 4]];
const SOME_PAIR: [u32; 2] = [1, 2];

const SAID: &str = "This model came without a tokenizer, so it reads token ids. The prompts and tokens were written as the ids that \
                    the model before read in them.";
const SAID_SOME: &str = "This model came without a tokenizer, so it reads token ids. The prompts and tokens were replaced by a few ids: \
                         write your own.";

impl State {
    /// What the loaded model made of the texts.
    pub(super) fn as_read(&self) -> AsRead {
        let prompts = [&self.prediction, &self.patching.contrast];
        AsRead {
            prompts: prompts.map(|run| run.current().map(|prediction| prediction.ids.clone())),
            pair: [0, 1].map(|which| self.tokens[which].current().map(|token| token.id)),
        }
    }

    fn texts(&self) -> Texts {
        Texts {
            prompts: [self.prompt.clone(), self.patching.corrupted.clone()],
            pair: self.pair.clone(),
            tokens: self.weights.tokens.clone(),
        }
    }

    fn set_texts(&mut self, texts: Texts) {
        [self.prompt, self.patching.corrupted] = texts.prompts;
        self.pair = texts.pair;
        self.weights.tokens = texts.tokens;
    }

    /// Makes the texts such that the model just loaded can read them.
    pub(super) fn fit_texts(&mut self, read: AsRead) {
        let Some(model) = self.model.clone() else { return };
        let before = self.texts();
        if model.has_tokenizer {
            // only what nobody has changed since
            if let Some(put_by) = self.put_by.take_if(|put_by| put_by.ids == before) {
                self.set_texts(put_by.texts);
            }
            return;
        }
        let are_ids = |typed: &Typed| matches!(prompt_of(typed, false), Ok(Prompt::Ids(_)));
        if before.prompts.iter().chain(&before.pair).all(are_ids) {
            return;
        }
        let (n_ctx, vocab) = (model.config.n_ctx, model.config.vocab_size);
        let fits = |ids: &[u32]| ids.len() <= n_ctx && ids.iter().all(|&id| (id as usize) < vocab);
        let known = match read {
            AsRead { prompts: [Some(clean), Some(corrupted)], pair: [Some(first), Some(second)] } => {
                let all_fit = fits(&clean) && fits(&corrupted) && fits(&[first, second]);
                all_fit.then_some(([clean, corrupted], [first, second]))
            }
            _ => None,
        };
        self.opened.notices.push(if known.is_some() { SAID } else { SAID_SOME }.to_owned());
        let (prompts, pair) = known.unwrap_or((SOME_IDS.map(<[u32]>::to_vec), SOME_PAIR));
        let written = |ids: &Vec<u32>| -> String { ids.iter().map(u32::to_string).collect::<Vec<_>>().join(" ") };
        // with its sign: a model that reads text takes it for the same token
        let pair = pair.map(|id| format!("#{id}"));
        let ids = Texts {
            prompts: [0, 1].map(|which| Typed::from(written(&prompts[which]).as_str())),
            pair: [0, 1].map(|which| Typed::from(pair[which].as_str())),
            tokens: pair.to_vec(),
        };
        self.set_texts(ids.clone());
        self.put_by = Some(PutBy { texts: before, ids });
    }
}

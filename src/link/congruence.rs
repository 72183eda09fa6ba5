//! What a link says of the figures about weights.

use super::{Find, MAX_TOKEN, Refusal, at_most, neuron, shortened, what};
use crate::model::Config;
use crate::protocol::Convention;

/// So many tokens are compared, and so many make up a set.
pub const MOST_TOKENS: usize = 6;

/// The tokens that are compared on a fresh page.
pub const FIRST_TOKENS: [&str; 2] = [" an", " a"];

#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    pub convention: Convention,
    /// The neuron whose weights are shown; the page chooses where none is named.
    pub neuron: Option<(usize, usize)>,
    /// A set of tokens that the neuron is held against.
    pub set: Vec<String>,
    /// The tokens that are compared.
    pub tokens: Vec<String>,
    pub find: Find,
}

impl Default for Part {
    fn default() -> Self {
        Part {
            convention: Convention::default(),
            neuron: None,
            set: Vec::new(),
            tokens: FIRST_TOKENS.map(String::from).to_vec(),
            find: Find::Mutual,
        }
    }
}

impl Part {
    /// What is as on a fresh page goes unsaid.
    pub(super) fn write(&self, say: &mut impl FnMut(&str, &str)) {
        if self.convention != Convention::default() {
            say("conv", self.convention.name());
        }
        if let Some((layer, neuron)) = self.neuron {
            say("w", &format!("{layer}:{neuron}"));
        }
        self.set.iter().for_each(|token| say("set", token));
        if self.tokens != FIRST_TOKENS && !self.tokens.is_empty() {
            self.tokens.iter().for_each(|token| say("k", token));
        }
        if self.find != Find::Mutual {
            say("find", self.find.word());
        }
    }

    pub(super) fn take(&mut self, key: &str, value: String) -> Result<(), Refusal> {
        let wild = || Refusal::Wild { what: what(key), value: shortened(&value) };
        match key {
            "conv" => self.convention = Convention::parse(&value).ok_or_else(wild)?,
            "w" => self.neuron = Some(neuron(&value).ok_or_else(wild)?),
            "find" => self.find = Find::read(&value).ok_or_else(wild)?,
            _ => {
                let tokens = if key == "k" { &mut self.tokens } else { &mut self.set };
                let token = at_most(value, MAX_TOKEN, what(key))?;
                if token.is_empty() || tokens.len() >= MOST_TOKENS {
                    return Err(Refusal::Wild { what: what(key), value: shortened(&token) });
                }
                tokens.push(token);
            }
        }
        Ok(())
    }

    /// Leaves out what a model of this shape doesn't have.
    pub(super) fn fit(&mut self, config: &Config) -> Vec<Refusal> {
        let mut refused = Vec::new();
        if self.convention.check(&config.variant).is_err() {
            refused.push(Refusal::NotInModel { what: format!("the convention {}", self.convention.name()) });
            self.convention = Convention::default();
        }
        if let Some((layer, neuron)) = self.neuron
            && (layer >= config.n_layer || neuron >= config.d_mlp)
        {
            refused.push(Refusal::NotInModel { what: format!("neuron {layer}:{neuron}") });
            self.neuron = None;
        }
        refused
    }
}

#[cfg(test)]
mod tests {
    use super::super::Link;
    use super::*;

    #[test]
    fn what_a_link_says_of_weights_is_read_again() {
        let congruence = Part {
            convention: Convention::Unembed,
            neuron: Some((3, 17)),
            set: vec![" an".into(), "an".into()],
            tokens: vec![" any".into(), " had".into()],
            find: Find::TokenHubs,
        };
        let link = Link { congruence, ..Link::default() };
        let text = link.write().unwrap();
        assert_eq!(Link::read(&text), (link, Vec::new()), "{text}");
        assert_eq!(Link::read(&Link::default().write().unwrap()).0, Link::default());
    }

    #[test]
    fn a_convention_that_the_model_does_not_have_gives_way() {
        let mut config: Config = serde_json::from_value(serde_json::json!({
            "n_layer": 2, "n_head": 2, "d_model": 8, "d_mlp": 32, "n_ctx": 16, "vocab_size": 50, "ln_eps": 1e-5,
            "bos_token_id": null,
        }))
        .unwrap();
        let mut link = Link::read("v1&conv=raw-unembedding").0;
        let refused = link.fit(&config);
        assert_eq!((link.congruence.convention, refused.len()), (Convention::Notebook, 1));
        config.variant.tie_word_embeddings = false;
        let mut link = Link::read("v1&conv=raw-unembedding").0;
        assert!(link.fit(&config).is_empty());
        assert_eq!(link.congruence.convention, Convention::RawUnembedding);
    }

    #[test]
    fn too_many_tokens_and_wild_words_are_refused() {
        let (link, refused) = Link::read("v1&k=1&k=2&k=3&k=4&k=5&k=6&k=7&conv=mine&w=1:x&find=&set=");
        assert_eq!(link.congruence.tokens.len(), MOST_TOKENS);
        assert_eq!(refused.len(), 5, "{refused:?}");
    }
}

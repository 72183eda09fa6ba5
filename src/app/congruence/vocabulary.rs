//! All tokens' texts on the page, so that a box completes them at every keystroke.

use js_sys::{Uint8Array, Uint32Array};

use crate::protocol::AllTokens;

/// Every token of the loaded model.
#[derive(Debug, Default)]
pub struct Vocabulary {
    texts: String,
    lower: String,
    /// Where each text ends, in `texts` and in `lower`.
    ends: Vec<[u32; 2]>,
}

impl Vocabulary {
    pub fn new(all: AllTokens) -> Self {
        // the worker makes it of strings; were it no text, there would be nothing to complete
        let texts = String::from_utf8(all.texts.0).unwrap_or_default();
        let (mut lower, mut ends, mut start) = (String::with_capacity(texts.len()), Vec::new(), 0);
        for end in all.ends.0 {
            let Some(text) = texts.get(start..end as usize) else { break };
            lower.extend(text.chars().flat_map(char::to_lowercase));
            ends.push([end, lower.len() as u32]);
            start = end as usize;
        }
        Vocabulary { texts, lower, ends }
    }

    /// All texts in one, and where each ends.
    pub fn as_bytes(&self) -> (Uint8Array, Uint32Array) {
        let ends: Vec<u32> = self.ends.iter().map(|ends| ends[0]).collect();
        (Uint8Array::from(self.texts.as_bytes()), Uint32Array::from(&ends[..]))
    }

    pub fn count(&self) -> usize {
        self.ends.len()
    }

    pub fn text(&self, id: usize) -> &str {
        self.slice(&self.texts, id, 0)
    }

    fn slice<'a>(&self, texts: &'a str, id: usize, which: usize) -> &'a str {
        let end = self.ends.get(id).map_or(0, |ends| ends[which]) as usize;
        let start = id.checked_sub(1).and_then(|id| self.ends.get(id)).map_or(0, |ends| ends[which]) as usize;
        texts.get(start..end).unwrap_or("")
    }

    /// The token of exactly this text; `#281` by its id, and without a tokenizer `281`.
    pub fn exact(&self, typed: &str) -> Option<usize> {
        let by_id = |digits: &str| digits.parse().ok().filter(|id| *id < self.count());
        if let Some(id) = typed.strip_prefix('#').and_then(by_id) {
            return Some(id);
        }
        let by_text = || (0..self.count()).find(|&id| self.text(id) == typed);
        if typed.is_empty() {
            return None;
        }
        // there, an id is all the text that a token has
        by_text().or_else(|| by_id(typed).filter(|id| self.text(*id) == format!("#{id}")))
    }

    /// Tokens that complete what was typed, the likeliest meant first: the same text, the same with a space before, those
    /// that begin so, those that hold it; and `#281`.
    pub fn complete(&self, typed: &str, most: usize) -> Vec<usize> {
        if let Some(id) = typed.strip_prefix('#').and_then(|digits| digits.parse().ok()).filter(|id| *id < self.count())
        {
            return vec![id];
        }
        let wanted = typed.to_lowercase();
        let bare = wanted.trim_start();
        if wanted.is_empty() {
            return Vec::new();
        }
        let mut ranks: [Vec<usize>; 5] = Default::default();
        for id in 0..self.count() {
            let lower = self.slice(&self.lower, id, 1);
            let rank = if !lower.contains(bare) {
                continue;
            } else if self.text(id) == typed {
                0
            } else if lower.trim_start() == bare {
                1
            } else if lower.starts_with(&wanted) {
                2
            } else if lower.trim_start().starts_with(bare) {
                3
            } else {
                4
            };
            if ranks[rank].len() < most {
                ranks[rank].push(id);
            }
        }
        ranks.into_iter().flatten().take(most).collect()
    }
}

//! Long texts to tokens: what has been cut into tokens once is looked up. The tokenizer takes a microsecond for each
//! byte in a browser, which is as long as a small model takes to run it.

use std::cell::RefCell;
use std::collections::HashMap;

use tokenizers::{AddedToken, PreTokenizerWrapper};

/// Texts from this length on are seldom met again.
const LONGEST_BYTES: usize = 48;
/// So many are remembered before it begins anew.
const MOST: usize = 1 << 16;

/// What single words, each with the white space before it, come to.
#[derive(Default)]
pub struct Words(RefCell<HashMap<Box<str>, Box<[u32]>>>);

impl Words {
    /// Whether a tokenizer never makes a token across a place where white space follows something else, so that the
    /// words' tokens are the text's: it splits as GPT-2's does, and changes nothing before.
    pub fn suit<'a>(
        changes_texts: bool,
        cuts: &[PreTokenizerWrapper],
        mut added: impl Iterator<Item = &'a AddedToken>,
    ) -> bool {
        let splits = matches!(cuts,
            [PreTokenizerWrapper::ByteLevel(split)] if split.use_regex && !split.add_prefix_space);
        let stays = added.all(|token| {
            !token.lstrip && !token.rstrip && !token.single_word && !token.content.contains(char::is_whitespace)
        });
        splits && stays && !changes_texts
    }

    /// The ids of a text; `encode` makes those of a word that isn't known.
    ///
    /// # Errors
    /// From `encode`.
    pub fn ids<E>(&self, text: &str, encode: impl Fn(&str) -> Result<Vec<u32>, E>) -> Result<Vec<u32>, E> {
        let mut known = self.0.borrow_mut();
        let mut ids = Vec::with_capacity(text.len() / 4 + 1);
        for word in words(text) {
            if let Some(its) = known.get(word) {
                ids.extend_from_slice(its);
                continue;
            }
            let its = encode(word)?;
            ids.extend_from_slice(&its);
            if word.len() <= LONGEST_BYTES {
                if known.len() >= MOST {
                    known.clear();
                }
                known.insert(word.into(), its.into());
            }
        }
        Ok(ids)
    }
}

/// A text cut wherever ASCII white space follows an ASCII sign.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let ends = |pair: &[u8]| pair[0].is_ascii_graphic() && pair[1].is_ascii_whitespace();
        // both sides of the cut are ASCII, so it lies between two characters
        let end = rest.as_bytes().windows(2).position(ends).map_or(rest.len(), |at| at + 1);
        let (word, after) = rest.split_at(end);
        rest = after;
        Some(word)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_before_white_space() {
        let cut = |text| words(text).collect::<Vec<_>>();
        assert_eq!(cut("I picked  a\n pear."), ["I", " picked", "  a", "\n pear."]);
        assert_eq!(cut(" é à\u{a0} x \n"), [" é à\u{a0} x", " \n"]);
        assert_eq!(cut(""), [""; 0]);
    }
}

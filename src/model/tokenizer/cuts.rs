//! Where a long text may be cut, so that the tokens of its parts, one after the other, are the whole's: as far as a
//! tokenizer's rules allow it for certain.

use serde::{Deserialize, Serialize};
use tokenizers::pre_tokenizers::metaspace::PrependScheme;
use tokenizers::{AddedToken, NormalizerWrapper, PreTokenizerWrapper};

/// A kind of place at which texts may be cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cut {
    /// Between any two characters: for who puts the parts together again.
    Anywhere,
    /// GPT-2's words take in the space before them and never the one after, and change from signs to letters: before
    /// white space, and between a sentence's end and the next one's beginning in Chinese and Japanese.
    Words,
    /// Before a single space between two ASCII signs. Who splits at spaces splits there, and who puts a mark before a
    /// text's first word has nothing to put before a space.
    Spaces,
    /// Nothing is known of the tokenizer that would allow it.
    Nowhere,
}

impl Cut {
    /// `is_gpt2`: splits texts as GPT-2 does, and changes nothing before. `rules` change a text; then `cuts` split it.
    pub fn of<'a>(
        is_gpt2: bool,
        rules: Option<Vec<&NormalizerWrapper>>,
        cuts: &[PreTokenizerWrapper],
        mut added: impl Iterator<Item = &'a AddedToken> + Clone,
    ) -> Cut {
        // an added token is found before anything is split
        if is_gpt2 && added.clone().all(|token| Cut::Words.find(&token.content, 1).is_none()) {
            return Cut::Words;
        }
        let stays = added.all(|token| !token.rstrip && !token.content.contains(char::is_whitespace));
        let is_local = rules.into_iter().flatten().all(is_local);
        if stays && is_local && splits_at_spaces(cuts) { Cut::Spaces } else { Cut::Nowhere }
    }

    /// The first place from `from` bytes on, and behind the first character; none if a text has no such place.
    pub fn find(self, text: &str, from: usize) -> Option<usize> {
        let bytes = text.as_bytes();
        let mut places = from.max(1)..bytes.len();
        match self {
            Cut::Anywhere => places.find(|&at| text.is_char_boundary(at)),
            Cut::Words => places.find(|&at| is_word_start(text, at)),
            Cut::Spaces => places.find(|&at| {
                let after = bytes.get(at + 1).is_some_and(u8::is_ascii_graphic);
                bytes[at] == b' ' && bytes[at - 1].is_ascii_graphic() && after
            }),
            Cut::Nowhere => None,
        }
    }
}

fn is_word_start(text: &str, at: usize) -> bool {
    let bytes = text.as_bytes();
    if bytes[at].is_ascii_whitespace() {
        let before = || text[..at].chars().next_back();
        return bytes[at - 1].is_ascii_graphic()
            || !bytes[at - 1].is_ascii() && before().is_some_and(|c| c.is_alphanumeric() || is_end(c));
    }
    // signs of three bytes on both sides
    let is_wide = |at: usize| bytes.get(at).is_some_and(|byte| byte & 0xf0 == 0xe0);
    if at < 3 || !is_wide(at) || !is_wide(at - 3) {
        return false;
    }
    let (before, after) = text.split_at(at);
    before.chars().next_back().is_some_and(is_end) && after.chars().next().is_some_and(is_letter)
}

/// Signs that are neither letters, numbers nor white space, and end a clause.
fn is_end(c: char) -> bool {
    matches!(c, '。' | '、' | '，' | '！' | '？' | '；' | '：' | '」' | '』' | '）' | '》')
}

/// Letters for sure, in any version of Unicode.
fn is_letter(c: char) -> bool {
    matches!(c, '\u{3041}'..='\u{3096}' | '\u{30a1}'..='\u{30fa}' | '\u{4e00}'..='\u{9fa5}')
}

/// Whether a rule changes what is on either side of a single space between two ASCII signs by itself, and leaves the
/// space.
fn is_local(rule: &NormalizerWrapper) -> bool {
    use NormalizerWrapper as Rule;
    matches!(
        rule,
        Rule::BertNormalizer(_)
            | Rule::Lowercase(_)
            | Rule::NFC(_)
            | Rule::NFD(_)
            | Rule::NFKC(_)
            | Rule::NFKD(_)
            | Rule::StripAccents(_)
    )
}

/// Whether the first of the rules splits at every single space, and no later one asks where in the text it is.
fn splits_at_spaces(cuts: &[PreTokenizerWrapper]) -> bool {
    use PreTokenizerWrapper as Rule;
    let Some((first, later)) = cuts.split_first() else { return false };
    let splits = match first {
        Rule::BertPreTokenizer(_) | Rule::Whitespace(_) | Rule::WhitespaceSplit(_) => true,
        Rule::ByteLevel(rule) => rule.use_regex,
        Rule::Metaspace(rule) => rule.split,
        _ => false,
    };
    splits
        && !later
            .iter()
            .any(|rule| matches!(rule, Rule::Metaspace(rule) if rule.prepend_scheme == PrependScheme::First))
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn places_to_cut_are_found() {
        assert_eq!(Cut::Words.find("ab  c", 0), Some(2));
        assert_eq!(Cut::Words.find("é\n", 1), Some(2));
        assert_eq!(Cut::Words.find("梨。苹果", 0), Some(6));
        for none in ["", " ", "a", "  a", "\u{a0} ", "梨，'s", "don't"] {
            assert_eq!(Cut::Words.find(none, 0), None, "{none:?}");
        }
        assert_eq!(Cut::Spaces.find("a  b\nc é d", 0), None);
        assert_eq!(Cut::Spaces.find("a. b c", 0), Some(2));
        assert_eq!(Cut::Spaces.find("a. b c", 3), Some(4));
        assert_eq!((Cut::Anywhere.find("éa", 1), Cut::Nowhere.find("a b", 0)), (Some(2), None));
    }
}

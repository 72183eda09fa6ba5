//! Text of others', fit to be shown: names in a file, tokens, what a server says. What could command a terminal, or show
//! another text than is there, stands as its code. Everything that is printed goes through here.

use std::borrow::Cow;

/// Where a text is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// One line: an error.
    Line,
    /// Several: a table, a generated text.
    Lines,
    /// JSON, in whose strings such characters may stand as `\u001b`.
    Json,
}

/// The text with codes in the place of what can't be shown as it is.
pub fn plain(text: &str, form: Form) -> Cow<'_, str> {
    let is_kept = |letter: char| !is_unfit(letter) || form != Form::Line && letter == '\n';
    if text.chars().all(is_kept) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for letter in text.chars() {
        match letter {
            letter if is_kept(letter) => shown.push(letter),
            // all of them have four digits at most
            letter if form == Form::Json => shown.push_str(&format!("\\u{:04x}", u32::from(letter))),
            '\n' => shown.push_str("\\n"),
            letter => shown.extend(letter.escape_unicode()),
        }
    }
    Cow::Owned(shown)
}

/// Controls but the tabulator, ends of lines, and what turns the direction of writing.
fn is_unfit(letter: char) -> bool {
    let turns =
        matches!(letter, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    letter.is_control() && letter != '\t' || turns
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_text_commands_a_terminal() {
        let wild = "a\u{1b}[2J\r\u{7f}\u{9b}31m\u{202e}b\u{2066}\u{2028}\n\tc\0";
        let line = "a\\u{1b}[2J\\u{d}\\u{7f}\\u{9b}31m\\u{202e}b\\u{2066}\\u{2028}\\n\tc\\u{0}";
        assert_eq!(plain(wild, Form::Line), line);
        assert_eq!(plain(wild, Form::Lines), line.replace("\\n", "\n"));
        // serde_json has escaped what is below a space; the rest reads as it was
        let json = serde_json::to_string(wild).unwrap();
        let shown = plain(&json, Form::Json);
        assert!(!shown.chars().any(is_unfit), "{shown}");
        assert_eq!(serde_json::from_str::<String>(&shown).unwrap(), wild);
    }

    #[test]
    fn what_is_fit_stays_as_it_is() {
        let text = "naïve 日本語 \u{1f468}\u{200d}\u{1f469} \"x\" \\";
        assert!(matches!(plain(text, Form::Line), Cow::Borrowed(same) if same == text));
    }
}

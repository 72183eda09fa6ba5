//! A token's text made visible: leading spaces, line ends and control characters have a sign of their own.

use yew::prelude::*;

/// What stands for a character that can't be seen.
fn sign(character: char) -> Option<String> {
    match character {
        ' ' => Some("·".to_owned()),
        '\n' => Some("↵".to_owned()),
        '\t' => Some("⇥".to_owned()),
        c if c.is_control() || c.is_whitespace() || is_invisible(c) => Some(format!("U+{:04X}", u32::from(c))),
        _ => None,
    }
}

/// Joiners, marks of direction and the like, which would change how their neighbours look.
fn is_invisible(character: char) -> bool {
    matches!(character, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// A character as it is shown, and whether that is a sign.
///
/// Only a leading space gets its sign: one inside a token can be seen.
fn shown(text: &str) -> impl Iterator<Item = (String, bool)> + '_ {
    let is_blank = text.trim().is_empty();
    text.chars().enumerate().map(move |(i, character)| match sign(character) {
        Some(sign) if character != ' ' || i == 0 || is_blank => (sign, true),
        _ => (character.to_string(), false),
    })
}

/// What stands for a token without text.
const NOTHING: &str = "∅";

/// The token's text, each invisible character as a sign, in one piece: for where there are very many.
pub fn plain(text: &str) -> String {
    if text.is_empty() { NOTHING.to_owned() } else { shown(text).map(|(shown, _)| shown).collect() }
}

/// The token's text, each invisible character as a faint sign.
pub fn visible(text: &str) -> Html {
    let mut runs: Vec<(String, bool)> = Vec::new();
    for (shown, is_sign) in shown(text) {
        match runs.last_mut() {
            Some((run, kind)) if *kind == is_sign => run.push_str(&shown),
            _ => runs.push((shown, is_sign)),
        }
    }
    if runs.is_empty() {
        runs.push((NOTHING.to_owned(), true));
    }
    let run = |(run, is_sign)| {
        if is_sign {
            html! { <span class="ws">{ run }</span> }
        } else {
            html! { { run } }
        }
    };
    // bdi: right-to-left text keeps to its own box
    html! { <bdi class="tok">{ for runs.into_iter().map(run) }</bdi> }
}

/// The token in running text and in what a screen reader says: `“ an”`.
pub fn quoted(text: &str) -> String {
    format!("“{}”", text.replace('\n', "↵"))
}

/// A token as it stands in a sentence of the page.
pub fn inline(text: &str) -> Html {
    html! { <span class="inline-token">{ visible(text) }</span> }
}

//! The text in one value of JSON.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};

type Outcome<T> = Result<T, String>;

/// Keys that a message lists, and characters of each.
const LISTED: usize = 20;
const LISTED_CHARS: usize = 60;

/// Under which key the texts are: one that was chosen, or `text`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Key(pub Option<String>);

impl Key {
    pub fn name(&self) -> &str {
        self.0.as_deref().unwrap_or("text")
    }

    /// That there is no text, and where there are texts.
    pub fn is_missing(&self, what: &str, there: &[String]) -> String {
        let short = |key: &String| format!("{:?}", key.chars().take(LISTED_CHARS).collect::<String>());
        let list = there.iter().take(LISTED).map(short).collect::<Vec<_>>().join(", ");
        let name = self.name();
        match there {
            [] => format!("there is no text under {name:?}, nor under another {what}."),
            _ => format!(
                "there is no text under {name:?}. Under these there are texts: {list}. Choose one: on the page with \"Texts are under\", \
                 on the command line with --text-key."
            ),
        }
    }
}

/// A value's text; none where it is null.
///
/// # Errors
/// A value that has none, or is none.
pub fn text(value: Vec<u8>, key: &Key) -> Outcome<Option<String>> {
    let found = match value.first() {
        Some(b'"') => read(&value, Text)?,
        Some(b'{') => match read(&value, Row(key.name()))? {
            Some(text) => text,
            None => return Err(key.is_missing("key", &keys(&value))),
        },
        _ if value.trim_ascii() == b"null" => None,
        _ => return Err("there is neither a text nor an object with one.".into()),
    };
    Ok(found.map(whole))
}

/// The keys under which a row has texts; none if it is no row.
pub fn keys(value: &[u8]) -> Vec<String> {
    read(value, Keys).unwrap_or_default()
}

fn read<'v, S: DeserializeSeed<'v>>(value: &'v [u8], seed: S) -> Outcome<S::Value> {
    let mut json = serde_json::Deserializer::from_slice(value);
    let found = seed.deserialize(&mut json).and_then(|found| json.end().map(|()| found));
    found.map_err(|error| {
        let why = error.to_string();
        // its own line is counted within the value
        format!("{}.", why.split_once(" at line ").map_or(&why[..], |(why, _)| why))
    })
}

/// A string's bytes as text: they are UTF-8, but for halves of surrogate pairs, which are as long as U+FFFD.
fn whole(mut bytes: Vec<u8>) -> String {
    for at in 0..bytes.len().saturating_sub(2) {
        if bytes[at] == 0xed && bytes[at + 1] >= 0xa0 {
            bytes[at..at + 3].copy_from_slice("\u{fffd}".as_bytes());
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// A string's bytes, or null.
struct Text;

impl<'v> DeserializeSeed<'v> for Text {
    type Value = Option<Vec<u8>>;

    fn deserialize<D: Deserializer<'v>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_option(self)
    }
}

impl<'v> Visitor<'v> for Text {
    type Value = Option<Vec<u8>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_none<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'v>>(self, json: D) -> Result<Self::Value, D::Error> {
        // as bytes: a string of Rust's holds no half of a surrogate pair
        json.deserialize_bytes(self)
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Self::Value, E> {
        Ok(Some(bytes.to_vec()))
    }
}

/// What a row has under a key: nothing, null, or a text.
struct Row<'k>(&'k str);

impl<'v> DeserializeSeed<'v> for Row<'_> {
    type Value = Option<Option<Vec<u8>>>;

    fn deserialize<D: Deserializer<'v>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_map(self)
    }
}

impl<'v> Visitor<'v> for Row<'_> {
    type Value = Option<Option<Vec<u8>>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<M: MapAccess<'v>>(self, mut row: M) -> Result<Self::Value, M::Error> {
        let mut found = None;
        while let Some(key) = row.next_key_seed(Text)? {
            if key.as_deref() == Some(self.0.as_bytes()) {
                found = Some(row.next_value_seed(Text)?);
            } else {
                row.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

/// The keys of a row whose values are strings.
struct Keys;

impl<'v> DeserializeSeed<'v> for Keys {
    type Value = Vec<String>;

    fn deserialize<D: Deserializer<'v>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_map(self)
    }
}

impl<'v> Visitor<'v> for Keys {
    type Value = Vec<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<M: MapAccess<'v>>(self, mut row: M) -> Result<Self::Value, M::Error> {
        let mut keys = Vec::new();
        while let Some(key) = row.next_key_seed(Text)? {
            let is_text = row.next_value::<IsText>()?.0;
            keys.extend(key.filter(|_| is_text && keys.len() < 10 * LISTED).map(whole));
        }
        Ok(keys)
    }
}

/// Whether a value is a string. (Halves of surrogate pairs make the crate fail; then no keys are known.)
struct IsText(bool);

impl<'v> serde::Deserialize<'v> for IsText {
    fn deserialize<D: Deserializer<'v>>(json: D) -> Result<Self, D::Error> {
        Ok(IsText(json.deserialize_any(Kind)?))
    }
}

struct Kind;

impl<'v> Visitor<'v> for Kind {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_str<E>(self, _: &str) -> Result<bool, E> {
        Ok(true)
    }

    fn visit_bool<E>(self, _: bool) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_i64<E>(self, _: i64) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_u64<E>(self, _: u64) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_f64<E>(self, _: f64) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_unit<E>(self) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_seq<A: serde::de::SeqAccess<'v>>(self, mut list: A) -> Result<bool, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(false)
    }

    fn visit_map<M: MapAccess<'v>>(self, mut map: M) -> Result<bool, M::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(false)
    }
}

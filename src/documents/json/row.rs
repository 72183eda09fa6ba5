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
        _ if matches!(value.trim_ascii(), b"null" | b"NaN") => None,
        _ => return Err("there is neither a text nor an object with one.".into()),
    };
    Ok(found.map(whole))
}

/// The keys under which a row has texts; none if it is no row.
pub fn keys(value: &[u8]) -> Vec<String> {
    read(value, Keys).unwrap_or_default()
}

fn read<T, S>(value: &[u8], seed: S) -> Outcome<T>
where
    S: Copy + for<'v> DeserializeSeed<'v, Value = T>,
{
    let strict = read_strictly(value, seed);
    // looked for only where something is wrong: few files have them
    match strict.is_err().then(|| without_no_numbers(value)).flatten() {
        Some(value) => read_strictly(&value, seed),
        None => strict,
    }
}

/// A value with null in the place of what Python writes for numbers that are none; nothing if there is none.
fn without_no_numbers(value: &[u8]) -> Option<Vec<u8>> {
    const NO_NUMBERS: [&[u8]; 3] = [b"NaN", b"-Infinity", b"Infinity"];
    let (mut new, mut is_string, mut at) = (Vec::with_capacity(value.len()), false, 0);
    let mut has_any = false;
    while let Some(&byte) = value.get(at) {
        let rest = &value[at..];
        let found = NO_NUMBERS.iter().find(|word| !is_string && rest.starts_with(word));
        if let Some(word) = found {
            new.extend_from_slice(b"null");
            has_any = true;
            at += word.len();
            continue;
        }
        let len = if is_string && byte == b'\\' { rest.len().min(2) } else { 1 };
        is_string ^= byte == b'"';
        new.extend_from_slice(&rest[..len]);
        at += len;
    }
    has_any.then_some(new)
}

fn read_strictly<'v, S: DeserializeSeed<'v>>(value: &'v [u8], seed: S) -> Outcome<S::Value> {
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
#[derive(Clone, Copy)]
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

/// What a row has under a key, `meta.text` being `text` inside `meta`: nothing, null, or a text.
#[derive(Clone, Copy)]
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
            let key = key.unwrap_or_default();
            let inside = self.0.as_bytes().strip_prefix(&key[..]).is_some_and(|rest| rest.starts_with(b"."));
            if key == self.0.as_bytes() {
                found = Some(row.next_value_seed(Text)?);
            } else if inside && found.is_none() {
                found = row.next_value_seed(Inside(&self.0[key.len() + 1..]))?;
            } else {
                row.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

/// The same of a value that need not be a row.
#[derive(Clone, Copy)]
struct Inside<'k>(&'k str);

impl<'v> DeserializeSeed<'v> for Inside<'_> {
    type Value = Option<Option<Vec<u8>>>;

    fn deserialize<D: Deserializer<'v>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'v> Visitor<'v> for Inside<'_> {
    type Value = Option<Option<Vec<u8>>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_map<M: MapAccess<'v>>(self, row: M) -> Result<Self::Value, M::Error> {
        Row(self.0).visit_map(row)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        // as in a column inside another: there is no row to have it
        Ok(Some(None))
    }

    fn visit_seq<A: serde::de::SeqAccess<'v>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

/// The keys of a row whose values are strings, or rows with such.
#[derive(Clone, Copy)]
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
            let (key, ends) = (whole(key.unwrap_or_default()), row.next_value::<Ends>()?.0);
            let room = (10 * LISTED).saturating_sub(keys.len());
            keys.extend(ends.into_iter().take(room).map(|end| format!("{key}{end}")));
        }
        Ok(keys)
    }
}

/// What is to be put behind a value's key for each text in it: nothing for a string, `.text` for a row with one. (Halves
/// of surrogate pairs make the crate fail; then no keys are known.)
struct Ends(Vec<String>);

impl<'v> serde::Deserialize<'v> for Ends {
    fn deserialize<D: Deserializer<'v>>(json: D) -> Result<Self, D::Error> {
        Ok(Ends(json.deserialize_any(Kind)?))
    }
}

struct Kind;

impl<'v> Visitor<'v> for Kind {
    type Value = Vec<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(vec![String::new()])
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Vec::new())
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Vec::new())
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(Vec::new())
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Vec::new())
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Vec::new())
    }

    fn visit_seq<A: serde::de::SeqAccess<'v>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Vec::new())
    }

    fn visit_map<M: MapAccess<'v>>(self, row: M) -> Result<Self::Value, M::Error> {
        Ok(Keys.visit_map(row)?.into_iter().map(|key| format!(".{key}")).collect())
    }
}

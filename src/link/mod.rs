//! The page's state as text for an address's fragment, and back: `#v1&p=I+climbed+up&c=&t=+an&u=+a&layer=1`.
//!
//! A link is untrusted. What can't be read is refused piece by piece, each with a reason, and the rest is honoured;
//! a model is only ever named, never loaded, and nothing here makes the page work harder than a visitor could by hand.

pub mod congruence;
pub mod corpus;
mod escape;
mod refusal;
mod words;

use std::str::FromStr;

use crate::engine::edit::EditText;
use crate::model::Config;
use crate::protocol::{is_commit, is_repo_id};
use escape::{escape, unescape};
pub use refusal::Refusal;
pub use words::{Find, LensShown, Order, View};

/// The post's clean prompt.
pub const FIRST_PROMPT: &str = "I climbed up the pear tree and picked a pear. I climbed up the apple tree and picked";
/// The post's corrupted prompt.
pub const FIRST_CORRUPTED: &str =
    "I climbed up the pear tree and picked a pear. I climbed up the lemon tree and picked";
/// The post's pair: its figure is how much likelier " an" is than " a".
pub const FIRST_PAIR: [&str; 2] = [" an", " a"];

/// A fragment longer than this is refused whole: no browser carries it safely.
const MAX_BYTES: usize = 24_000;
const MAX_PROMPT: usize = 6_000;
const MAX_TOKEN: usize = 60;
const MAX_MODEL: usize = 200;
const MAX_EDIT: usize = 120;
/// So many edits a link may bring, and the page may hold.
pub const MAX_EDITS: usize = 24;

/// What a link can say.
#[derive(Debug, Clone, PartialEq)]
pub struct Link {
    pub model: Model,
    pub prompt: String,
    pub corrupted: String,
    pub bos: bool,
    /// The figure everywhere is `logit(first) - logit(second)`.
    pub pair: [String; 2],
    /// Patches go from the corrupted run into the clean one.
    pub reversed: bool,
    pub lens: LensShown,
    /// The table of top tokens is made by the final LayerNorm's real scale.
    pub table_final_ln: bool,
    /// The figure to scroll to.
    pub view: Option<View>,
    /// Whose neurons are shown; the page chooses where none is named.
    pub layer: Option<Layer>,
    /// The neuron that is looked at: layer and number.
    pub neuron: Option<(usize, usize)>,
    pub order: Order,
    /// The edits change the corrupted run instead of the clean one.
    pub edit_corrupted: bool,
    pub edits: Vec<Switched>,
    pub congruence: congruence::Part,
    pub corpus: corpus::Part,
}

/// Where the model came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Model {
    Demo,
    /// A hub's repository, `org/name` or `org/name@commit`. On which hub, the reader's page says.
    Hub {
        repo: String,
        commit: Option<String>,
    },
    /// A folder of the site, as it was typed.
    Folder(String),
    /// Files of somebody's device, which no link can carry.
    Files,
}

impl Model {
    /// Whether a loaded model is the one that a link names; without a commit, any will do.
    pub fn is(&self, loaded: &Model) -> bool {
        match (self, loaded) {
            (Model::Hub { repo, commit: None }, Model::Hub { repo: other, .. }) => repo == other,
            (named, loaded) => named == loaded,
        }
    }

    /// Reads what is neither the demo nor files.
    fn read(text: &str) -> Model {
        let (repo, commit) = text.split_once('@').map_or((text, None), |(repo, commit)| (repo, Some(commit)));
        if is_repo_id(repo) && commit.is_none_or(is_commit) {
            return Model::Hub { repo: repo.to_owned(), commit: commit.map(str::to_owned) };
        }
        Model::Folder(text.to_owned())
    }
}

/// An edit and its switch.
#[derive(Debug, Clone, PartialEq)]
pub struct Switched {
    pub edit: EditText,
    pub on: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layer {
    One(usize),
    All,
}

impl Default for Link {
    /// The page as it opens.
    fn default() -> Self {
        Link {
            model: Model::Demo,
            prompt: FIRST_PROMPT.into(),
            corrupted: FIRST_CORRUPTED.into(),
            bos: true,
            pair: FIRST_PAIR.map(String::from),
            reversed: false,
            lens: LensShown::Both,
            table_final_ln: false,
            view: None,
            layer: None,
            neuron: None,
            order: Order::Index,
            edit_corrupted: false,
            edits: Vec::new(),
            congruence: congruence::Part::default(),
            corpus: corpus::Part::default(),
        }
    }
}

/// The keys, in the order in which a link is written.
const KEYS: [&str; 29] = [
    "m", "p", "c", "bos", "t", "u", "dir", "lens", "table", "view", "layer", "neuron", "sort", "on", "conv", "w",
    "set", "k", "find", "cn", "ct", "data", "bins", "pack", "percent", "seed", "key", "e", "off",
];

impl Link {
    /// The fragment, without its `#`; none where a text is too long for a link.
    ///
    /// Texts are always said; what is as on a fresh page goes unsaid.
    pub fn write(&self) -> Option<String> {
        let texts = [&self.prompt, &self.corrupted];
        let too_long = texts.iter().any(|text| text.chars().count() > MAX_PROMPT)
            || self.pair.iter().any(|text| text.chars().count() > MAX_TOKEN);
        if too_long || self.edits.len() > MAX_EDITS {
            return None;
        }
        let mut link = String::from("v1");
        let mut say = |key: &str, value: &str| {
            link.push('&');
            link.push_str(key);
            link.push('=');
            link.push_str(&escape(value));
        };
        match &self.model {
            Model::Demo => {}
            Model::Hub { repo, commit: None } => say("m", repo),
            Model::Hub { repo, commit: Some(commit) } => say("m", &format!("{repo}@{commit}")),
            Model::Folder(address) if address.chars().count() <= MAX_MODEL => say("m", address),
            Model::Folder(_) | Model::Files => say("m", "files"),
        }
        say("p", &self.prompt);
        say("c", &self.corrupted);
        if !self.bos {
            say("bos", "0");
        }
        say("t", &self.pair[0]);
        say("u", &self.pair[1]);
        if self.reversed {
            say("dir", "reversed");
        }
        if self.lens != LensShown::Both {
            say("lens", self.lens.word());
        }
        if self.table_final_ln {
            say("table", "final");
        }
        if let Some(view) = self.view {
            say("view", view.word());
        }
        match self.layer {
            None => {}
            Some(Layer::One(layer)) => say("layer", &layer.to_string()),
            Some(Layer::All) => say("layer", "all"),
        }
        if let Some((layer, neuron)) = self.neuron {
            say("neuron", &format!("{layer}:{neuron}"));
        }
        if self.order != Order::Index {
            say("sort", self.order.word());
        }
        if self.edit_corrupted {
            say("on", "corrupted");
        }
        self.congruence.write(&mut say);
        self.corpus.write(&mut say);
        for switched in &self.edits {
            say(if switched.on { "e" } else { "off" }, &switched.edit.to_string());
        }
        escape::guard_end(&mut link);
        (link.len() <= MAX_BYTES).then_some(link)
    }

    /// What a fragment, without its `#`, says, and what of it is not used.
    pub fn read(fragment: &str) -> (Link, Vec<Refusal>) {
        let mut link = Link::default();
        let mut refused = Vec::new();
        if fragment.is_empty() {
            return (link, refused);
        }
        if fragment.len() > MAX_BYTES {
            return (link, vec![Refusal::TooLong(fragment.len())]);
        }
        let mut parts = fragment.split('&');
        match parts.next() {
            Some("v1") => {}
            Some(version) if is_version(version) => return (link, vec![Refusal::Version(shortened(version))]),
            _ => return (link, vec![Refusal::NoLink]),
        }
        let mut said: Vec<&str> = Vec::new();
        for part in parts.filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let Some(key) = KEYS.into_iter().find(|key| *key == name) else {
                refused.push(Refusal::UnknownKey(shortened(name)));
                continue;
            };
            let many = matches!(key, "e" | "off" | "k" | "set");
            if !many && said.contains(&key) {
                refused.push(Refusal::Twice(key));
                continue;
            }
            if key == "k" && !said.contains(&key) {
                // a link's own tokens take the place of the fresh page's
                link.congruence.tokens.clear();
            }
            said.push(key);
            let read = unescape(value).ok_or(Refusal::Unreadable { what: what(key) });
            if let Err(refusal) = read.and_then(|value| link.take(key, value)) {
                // one word for all the edits too many
                if !refused.contains(&refusal) {
                    refused.push(refusal);
                }
            }
        }
        if link.congruence.tokens.is_empty() {
            // none of a link's own could be read
            link.congruence.tokens = congruence::Part::default().tokens;
        }
        (link, refused)
    }

    /// Puts one value in its place.
    fn take(&mut self, key: &str, value: String) -> Result<(), Refusal> {
        let what = what(key);
        let wild = || Refusal::Wild { what, value: shortened(&value) };
        match key {
            "m" => {
                self.model = match at_most(value, MAX_MODEL, what)?.as_str() {
                    "demo" | "" => Model::Demo,
                    "files" => Model::Files,
                    text => Model::read(text),
                }
            }
            "p" => self.prompt = at_most(value, MAX_PROMPT, what)?,
            "c" => self.corrupted = at_most(value, MAX_PROMPT, what)?,
            "t" => self.pair[0] = at_most(value, MAX_TOKEN, what)?,
            "u" => self.pair[1] = at_most(value, MAX_TOKEN, what)?,
            "bos" => self.bos = one_of(&value, [("1", true), ("0", false)]).ok_or_else(wild)?,
            "dir" => self.reversed = one_of(&value, [("normal", false), ("reversed", true)]).ok_or_else(wild)?,
            "lens" => self.lens = LensShown::read(&value).ok_or_else(wild)?,
            "table" => self.table_final_ln = one_of(&value, [("own", false), ("final", true)]).ok_or_else(wild)?,
            "view" => self.view = Some(View::read(&value).ok_or_else(wild)?),
            "layer" => self.layer = Some(value.parse().map_err(|()| wild())?),
            "neuron" => self.neuron = Some(neuron(&value).ok_or_else(wild)?),
            "sort" => self.order = Order::read(&value).ok_or_else(wild)?,
            "on" => self.edit_corrupted = one_of(&value, [("clean", false), ("corrupted", true)]).ok_or_else(wild)?,
            "conv" | "w" | "set" | "k" | "find" => self.congruence.take(key, value)?,
            "cn" | "ct" | "data" | "bins" | "pack" | "percent" | "seed" | "key" => self.corpus.take(key, value)?,
            _ if self.edits.len() >= MAX_EDITS => return Err(Refusal::TooManyEdits),
            _ => {
                let text = at_most(value, MAX_EDIT, what)?;
                let wild = |_| Refusal::Wild { what, value: shortened(&text) };
                self.edits.push(Switched { edit: read_edit(&text).map_err(wild)?, on: key == "e" });
            }
        }
        Ok(())
    }

    /// Leaves out what a model of this shape doesn't have, and says so. Edits are the engine's to judge.
    pub fn fit(&mut self, config: &Config) -> Vec<Refusal> {
        let mut refused = Vec::new();
        if let Some(Layer::One(layer)) = self.layer
            && layer >= config.n_layer
        {
            refused.push(Refusal::NotInModel { what: format!("the neurons of layer {layer}") });
            self.layer = None;
        }
        if let Some((layer, neuron)) = self.neuron
            && (layer >= config.n_layer || neuron >= config.d_mlp)
        {
            refused.push(Refusal::NotInModel { what: format!("neuron {layer}:{neuron}") });
            self.neuron = None;
        }
        refused.extend(self.congruence.fit(config));
        refused.extend(self.corpus.fit(config));
        refused
    }
}

/// An edit as a person types it or a link brings it, no longer than a link can carry.
///
/// # Errors
/// [`crate::error::Error::BadOption`] saying how an edit is written.
pub fn read_edit(text: &str) -> Result<EditText, crate::error::Error> {
    let problem = || format!("can't be read: it is longer than {MAX_EDIT} characters. Make several edits of it.");
    let edit = EditText::from_str(text)?;
    if text.chars().count().max(edit.to_string().chars().count()) > MAX_EDIT {
        return Err(crate::error::Error::BadOption { option: "set", problem: problem() });
    }
    Ok(edit)
}

impl FromStr for Layer {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "all" => Ok(Layer::All),
            number => whole(number).map(Layer::One).ok_or(()),
        }
    }
}

/// A key's meaning, for a person.
fn what(key: &str) -> &'static str {
    match key {
        "m" => "model",
        "p" => "prompt",
        "c" => "corrupted prompt",
        "bos" => "choice of a first token (bos)",
        "t" => "first token",
        "u" => "second token",
        "dir" => "direction",
        "lens" => "lens convention",
        "table" => "table convention",
        "view" => "view",
        "layer" => "layer",
        "neuron" => "neuron",
        "sort" => "order of the neurons",
        "on" => "choice of the edited prompt",
        "conv" => "convention of congruence",
        "w" => "neuron whose weights are shown",
        "set" | "k" | "ct" => "token",
        "cn" => "neuron on real text",
        "data" => "source of texts",
        "bins" => "kind of bins",
        "pack" => "choice to pack documents",
        "percent" => "share of the documents",
        "seed" => "seed of the sample",
        "key" => "key of the texts",
        "find" => "search",
        _ => "edit",
    }
}

fn is_version(text: &str) -> bool {
    text.strip_prefix('v').is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()))
}

fn at_most(text: String, most: usize, what: &'static str) -> Result<String, Refusal> {
    if text.chars().count() > most { Err(Refusal::TooMuch { what, most }) } else { Ok(text) }
}

fn one_of<T>(value: &str, words: [(&str, T); 2]) -> Option<T> {
    words.into_iter().find_map(|(word, meaning)| (word == value).then_some(meaning))
}

/// A number as a link writes it: digits only, and not more of them than any model has layers or neurons.
fn whole(text: &str) -> Option<usize> {
    let is_plain = (1..=6).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_plain { text.parse().ok() } else { None }
}

fn neuron(text: &str) -> Option<(usize, usize)> {
    let (layer, neuron) = text.split_once(':')?;
    Some((whole(layer)?, whole(neuron)?))
}

/// Enough of a wild value to recognise it by.
fn shortened(text: &str) -> String {
    const MOST: usize = 40;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{} …", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests;

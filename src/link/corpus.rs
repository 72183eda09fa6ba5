//! What a link says of the figure about real text.

use super::{MAX_TOKEN, Refusal, at_most, neuron, one_of, shortened, what};
use crate::model::Config;
use crate::protocol::Bins;

/// Longest name of a data set, or address of a folder.
const MAX_DATA: usize = 300;

#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// The neuron that is looked at; the page chooses where none is named.
    pub neuron: Option<(usize, usize)>,
    pub token: Option<String>,
    /// A corpus of the site's, a data set on the hub, or the address of a published folder; files of somebody's device go
    /// unsaid.
    pub data: Option<String>,
    pub bins: Bins,
    pub pack: bool,
    /// Per cent of the documents that are read, and the draw of these.
    pub percent: f64,
    pub seed: u64,
    /// Under which key or in which column the texts are; none for `text`.
    pub key: Option<String>,
}

impl Default for Part {
    fn default() -> Self {
        Part {
            neuron: None,
            token: None,
            data: None,
            bins: Bins::Floor,
            pack: false,
            percent: 100.0,
            seed: 0,
            key: None,
        }
    }
}

impl Part {
    /// What is as on a fresh page goes unsaid.
    pub(super) fn write(&self, say: &mut impl FnMut(&str, &str)) {
        if let Some((layer, neuron)) = self.neuron {
            say("cn", &format!("{layer}:{neuron}"));
        }
        // what is too long for a link is as on a fresh page
        if let Some(token) = self.token.as_ref().filter(|token| token.chars().count() <= MAX_TOKEN) {
            say("ct", token);
        }
        if let Some(data) = self.data.as_ref().filter(|data| data.chars().count() <= MAX_DATA) {
            say("data", data);
        }
        if self.bins == Bins::Notebook {
            say("bins", "notebook");
        }
        if self.pack {
            say("pack", "1");
        }
        if self.percent != 100.0 {
            say("percent", &self.percent.to_string());
        }
        if self.seed != 0 {
            say("seed", &self.seed.to_string());
        }
        if let Some(key) = self.key.as_ref().filter(|key| key.chars().count() <= MAX_TOKEN) {
            say("key", key);
        }
    }

    pub(super) fn take(&mut self, key: &str, value: String) -> Result<(), Refusal> {
        let wild = || Refusal::Wild { what: what(key), value: shortened(&value) };
        match key {
            "cn" => self.neuron = Some(neuron(&value).ok_or_else(wild)?),
            "bins" => {
                let words = [("floor", Bins::Floor), ("notebook", Bins::Notebook)];
                self.bins = one_of(&value, words).ok_or_else(wild)?;
            }
            "pack" => self.pack = one_of(&value, [("1", true), ("0", false)]).ok_or_else(wild)?,
            "percent" => {
                let percent = value.parse().ok().filter(|percent| *percent > 0.0 && *percent <= 100.0);
                self.percent = percent.ok_or_else(wild)?;
            }
            "seed" => self.seed = value.parse().map_err(|_| wild())?,
            "key" => self.key = Some(at_most(value, MAX_TOKEN, what(key))?),
            "ct" => self.token = Some(at_most(value, MAX_TOKEN, what(key))?),
            _ => self.data = Some(at_most(value, MAX_DATA, what(key))?),
        }
        Ok(())
    }

    pub(super) fn fit(&mut self, config: &Config) -> Option<Refusal> {
        let (layer, neuron) =
            self.neuron.filter(|(layer, neuron)| *layer >= config.n_layer || *neuron >= config.d_mlp)?;
        self.neuron = None;
        Some(Refusal::NotInModel { what: format!("neuron {layer}:{neuron}") })
    }
}

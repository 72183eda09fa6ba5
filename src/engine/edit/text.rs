//! Edits as a person writes them: `31:892=0@all`.

use std::fmt;
use std::str::FromStr;

use super::{Change, Edit, Part, Positions, bad, check_place, width};
use crate::engine::site::{BlockSite, Site};
use crate::error::{Error, Result};
use crate::model::Config;

/// An edit as a person writes it: its positions and values still depend on the prompt.
///
/// `PLACE=VALUE@POSITIONS`. The place is a neuron `L:J`, a head `L.hH`, `L.attn`, `L.mlp`, `L.resid_pre`,
/// `L.resid_mid`, `L.resid_post`, or a site by its TransformerLens name, with `[N]` for one head or neuron. The value
/// is a number, `zero`, `mean` (over the corpus that is given with the edits), `mean:NUMBER` (a mean measured
/// elsewhere), `+NUMBER` (added), `*NUMBER` (scaled by), or `clean` or `corrupted` (that prompt's own). Positions are
/// `all` (the default), `last`, or numbers with commas.
#[derive(Debug, Clone, PartialEq)]
pub struct EditText {
    pub site: Site,
    pub part: Part,
    pub at: TextPositions,
    pub change: TextChange,
}

/// Largest value of an edit. What is written into the residual stream is squared and summed by the next LayerNorm, which
/// gives zeros in silence once that is beyond f32.
const MOST: f32 = 1e6;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TextPositions {
    All,
    Last,
    These(Vec<usize>),
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum TextChange {
    Set(f32),
    Add(f32),
    Scale(f32),
    /// The clean prompt's own value.
    Clean,
    /// The corrupted prompt's own value.
    Corrupted,
    Mean,
}

impl FromStr for EditText {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let explain = || Error::BadOption {
            option: "set",
            problem: format!(
                "can't be read: {text:?}. Write LAYER:NEURON=VALUE@POSITIONS, for example 2:92=0@all, 2.h3=clean@last or 1.mlp=*0.5."
            ),
        };
        let (place, rest) = text.split_once('=').ok_or_else(explain)?;
        let (value, at) = rest.split_once('@').unwrap_or((rest, "all"));
        let (site, part) = read_place(place.trim()).ok_or_else(explain)?;
        let change = read_change(value.trim()).ok_or_else(explain)?;
        let at = read_positions(at.trim()).ok_or_else(explain)?;
        if let TextChange::Set(value) | TextChange::Add(value) | TextChange::Scale(value) = change
            && value.abs() > MOST
        {
            let problem = format!("asks for {value} in {text:?}; f32 carries values up to {MOST} through a model.");
            return Err(Error::BadOption { option: "set", problem });
        }
        Ok(EditText { site, part, at, change })
    }
}

fn read_place(text: &str) -> Option<(Site, Part)> {
    if let Some((layer, neuron)) = text.split_once(':') {
        let site = Site::Block(layer.parse().ok()?, BlockSite::MlpPost);
        return Some((site, Part::Neuron(neuron.parse().ok()?)));
    }
    if let Some((name, index)) = text.strip_suffix(']').and_then(|text| text.split_once('[')) {
        let (site, index) = (name.parse::<Site>().ok()?, index.parse().ok()?);
        return match site.block_site()? {
            BlockSite::MlpPre | BlockSite::MlpPost => Some((site, Part::Neuron(index))),
            BlockSite::Q | BlockSite::K | BlockSite::V | BlockSite::Z | BlockSite::Pattern => {
                Some((site, Part::Head(index)))
            }
            _ => None,
        };
    }
    if let Ok(site) = text.parse() {
        return Some((site, Part::Whole));
    }
    let (layer, name) = text.split_once('.')?;
    let layer = layer.parse().ok()?;
    if let Some(head) = name.strip_prefix('h').and_then(|head| head.parse().ok()) {
        return Some((Site::Block(layer, BlockSite::Z), Part::Head(head)));
    }
    let site = match name {
        "attn" => BlockSite::AttnOut,
        "mlp" => BlockSite::MlpOut,
        "resid_pre" => BlockSite::ResidPre,
        "resid_mid" => BlockSite::ResidMid,
        "resid_post" => BlockSite::ResidPost,
        _ => return None,
    };
    Some((Site::Block(layer, site), Part::Whole))
}

fn read_change(text: &str) -> Option<TextChange> {
    let number = |text: &str| text.trim().parse::<f32>().ok().filter(|value| value.is_finite());
    match text {
        "zero" => return Some(TextChange::Set(0.0)),
        "clean" => return Some(TextChange::Clean),
        "corrupted" => return Some(TextChange::Corrupted),
        "mean" => return Some(TextChange::Mean),
        _ => {}
    }
    if let Some(mean) = text.strip_prefix("mean") {
        return number(mean.strip_prefix([':', '='])?).map(TextChange::Set);
    }
    match text.chars().next()? {
        '+' => number(&text[1..]).map(TextChange::Add),
        '*' => number(&text[1..]).map(TextChange::Scale),
        _ => number(text).map(TextChange::Set),
    }
}

fn read_positions(text: &str) -> Option<TextPositions> {
    match text {
        "all" => Some(TextPositions::All),
        "last" => Some(TextPositions::Last),
        list => {
            let mut these: Vec<usize> = list.split(',').map(|pos| pos.trim().parse().ok()).collect::<Option<_>>()?;
            these.sort_unstable();
            these.dedup();
            Some(TextPositions::These(these))
        }
    }
}

impl fmt::Display for EditText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.site, self.part) {
            (Site::Block(layer, BlockSite::MlpPost), Part::Neuron(neuron)) => write!(f, "{layer}:{neuron}")?,
            (Site::Block(layer, BlockSite::Z), Part::Head(head)) => write!(f, "{layer}.h{head}")?,
            (Site::Block(layer, BlockSite::AttnOut), _) => write!(f, "{layer}.attn")?,
            (Site::Block(layer, BlockSite::MlpOut), _) => write!(f, "{layer}.mlp")?,
            (site, Part::Whole) => write!(f, "{site}")?,
            (site, Part::Head(index) | Part::Neuron(index)) => write!(f, "{site}[{index}]")?,
        }
        match self.change {
            TextChange::Set(value) => write!(f, "={value}")?,
            TextChange::Add(value) => write!(f, "=+{value}")?,
            TextChange::Scale(value) => write!(f, "=*{value}")?,
            TextChange::Clean => f.write_str("=clean")?,
            TextChange::Corrupted => f.write_str("=corrupted")?,
            TextChange::Mean => f.write_str("=mean")?,
        }
        match &self.at {
            TextPositions::All => f.write_str("@all"),
            TextPositions::Last => f.write_str("@last"),
            TextPositions::These(these) => {
                let these: Vec<String> = these.iter().map(usize::to_string).collect();
                write!(f, "@{}", these.join(","))
            }
        }
    }
}

impl EditText {
    /// That it names what this model has.
    ///
    /// # Errors
    /// [`Error::BadOption`] naming what is out of range.
    pub fn check(&self, config: &Config) -> Result<()> {
        check_place(self.site, self.part, config)
    }

    /// The edit in a run of `n_pos` positions, where no value of another run is needed.
    ///
    /// # Errors
    /// [`Error::BadOption`] for what this model or prompt doesn't have, and for `clean`.
    pub fn edit(&self, config: &Config, n_pos: usize) -> Result<Edit> {
        let change = match self.change {
            TextChange::Set(value) => Change::Set(value),
            TextChange::Add(value) => Change::Add(value),
            TextChange::Scale(factor) => Change::Scale(factor),
            TextChange::Clean | TextChange::Corrupted => {
                let which = if self.change == TextChange::Clean { "clean" } else { "corrupted" };
                return bad(format!("takes the {which} prompt's value, so a {which} prompt is needed."));
            }
            TextChange::Mean => {
                return bad("takes a mean over a corpus, so a corpus is needed, or the mean itself: mean:0.06.".into());
            }
        };
        self.with(change, config, n_pos)
    }

    /// The edit that puts in the mean of a site over many positions, `mean [width of the site]`.
    ///
    /// # Errors
    /// [`Error::BadOption`] for what this model or prompt doesn't have.
    pub fn edit_to_mean(&self, config: &Config, n_pos: usize, mean: &[f32]) -> Result<Edit> {
        if self.site.block_site() == Some(BlockSite::Pattern) {
            return no_mean();
        }
        let place = self.with(Change::Set(0.0), config, n_pos)?;
        Ok(Edit { change: Change::Row(mean[place.columns(config)].to_vec()), ..place })
    }

    /// The positions it puts values in, each with its counterpart in the other run.
    fn counterparts(&self, config: &Config, n_pos: usize, aligned: &[(usize, usize)]) -> Result<Vec<(usize, usize)>> {
        check_place(self.site, self.part, config)?;
        if matches!(self.site.block_site(), Some(BlockSite::Pattern)) {
            return bad("can't take attention's weights from another prompt; edit q, k or z instead.".into());
        }
        if let TextPositions::These(these) = &self.at {
            let all = Positions::These(these.clone());
            Edit { site: self.site, part: self.part, at: all, change: Change::Set(0.0) }.check(config, n_pos)?;
        }
        let wanted = |pos: usize| match &self.at {
            TextPositions::All => true,
            TextPositions::Last => pos + 1 == n_pos,
            TextPositions::These(these) => these.contains(&pos),
        };
        let pairs: Vec<_> = aligned.iter().copied().filter(|(here, _)| wanted(*here)).collect();
        if pairs.is_empty() {
            return bad("names positions that have no counterpart in the other prompt.".into());
        }
        Ok(pairs)
    }

    /// Whether it can be made in a run of `n_pos` positions, before any run has been made. `aligned` is as in
    /// [`EditText::edit_from`], for an edit that takes another run's values.
    ///
    /// # Errors
    /// What making it would be refused with.
    pub fn can_be_made(&self, config: &Config, n_pos: usize, aligned: &[(usize, usize)]) -> Result<()> {
        match self.change {
            TextChange::Clean | TextChange::Corrupted => self.counterparts(config, n_pos, aligned).map(drop),
            TextChange::Mean if self.site.block_site() == Some(BlockSite::Pattern) => no_mean(),
            _ => self.with(Change::Set(0.0), config, n_pos).map(drop),
        }
    }

    fn with(&self, change: Change, config: &Config, n_pos: usize) -> Result<Edit> {
        let at = match &self.at {
            TextPositions::All => Positions::All,
            TextPositions::Last => Positions::These(vec![n_pos.saturating_sub(1)]),
            TextPositions::These(these) => Positions::These(these.clone()),
        };
        let edit = Edit { site: self.site, part: self.part, at, change };
        edit.check(config, n_pos)?;
        Ok(edit)
    }

    /// The edit that puts another run's values in. `aligned` are pairs of positions (here, in the other run) and
    /// `values [its positions, width of the site]` the other run's activation there.
    ///
    /// # Errors
    /// [`Error::BadOption`] for what this model or prompt doesn't have, and when no position has a counterpart.
    pub fn edit_from(&self, config: &Config, n_pos: usize, aligned: &[(usize, usize)], values: &[f32]) -> Result<Edit> {
        let pairs = self.counterparts(config, n_pos, aligned)?;
        let place = Edit { site: self.site, part: self.part, at: Positions::All, change: Change::Set(0.0) };
        let (columns, width) = (place.columns(config), width(self.site, config));
        let row = |there: usize| values[there * width..][columns.clone()].iter().copied();
        let edit = Edit {
            at: Positions::These(pairs.iter().map(|(here, _)| *here).collect()),
            change: Change::Rows(pairs.iter().flat_map(|(_, there)| row(*there)).collect()),
            ..place
        };
        edit.check(config, n_pos)?;
        Ok(edit)
    }
}

fn no_mean<T>() -> Result<T> {
    bad("can't take a mean of attention's weights: their number differs from prompt to prompt.".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        for text in [
            "31:892=0@all",
            "2.h3=clean@last",
            "2.h3=corrupted@all",
            "1.mlp=*0.5@all",
            "0.attn=+-2@3,5",
            "blocks.1.attn.hook_q[2]=1.5@0",
            "blocks.3.ln2.hook_scale=1@all",
            "hook_embed=*2@4",
            "blocks.0.hook_resid_mid=0@all",
        ] {
            let edit: EditText = text.parse().unwrap();
            assert_eq!(edit.to_string(), text);
        }
    }

    #[test]
    fn reads_the_other_ways_to_say_it() {
        let same = |a: &str, b: &str| assert_eq!(a.parse::<EditText>().unwrap(), b.parse::<EditText>().unwrap());
        same("1:2=zero", "1:2=0@all");
        same("1:2=mean=0.25@last", "1:2=0.25@last");
        same("1:2=mean:0.25@last", "1:2=0.25@last");
        same("1.resid_post=0", "blocks.1.hook_resid_post=0@all");
        same("1:2=0@5,3,5", "1:2=0@3,5");
    }

    #[test]
    fn refuses_what_it_can_t_read() {
        for text in
            ["", "1:2", "1:2=", "1:2=x", "1:2=NaN", "1:2=inf@all", "a:2=0", "1:2=0@", "1:2=0@-1", "1.h=0", "1.mlp[2]=0"]
        {
            assert!(text.parse::<EditText>().is_err(), "{text}");
        }
    }

    #[test]
    fn says_what_can_be_made_before_anything_is_run() {
        let config = Config {
            n_layer: 2,
            n_head: 2,
            d_model: 4,
            d_mlp: 8,
            n_ctx: 8,
            vocab_size: 9,
            ln_eps: 1e-5,
            bos_token_id: None,
            variant: Default::default(),
        };
        let can = |text: &str, aligned: &[(usize, usize)]| {
            text.parse::<EditText>().unwrap().can_be_made(&config, 3, aligned).map_err(|error| error.to_string())
        };
        let aligned = [(0, 0), (2, 3)];
        for good in ["1:7=0", "0.h1=clean@all", "0.mlp=corrupted@0,2", "1.attn=mean@last", "1.attn=*2@2"] {
            assert_eq!(can(good, &aligned), Ok(()), "{good}");
        }
        for (bad, part) in [
            ("2:0=0", "layer 2"),
            ("0.h9=clean@99", "head 9"),
            ("0.h1=clean@99", "position 99"),
            ("0.h1=clean@1", "no counterpart"),
            ("1:0=0@3", "position 3"),
            ("blocks.0.attn.hook_pattern=mean", "can't take a mean"),
            ("blocks.0.attn.hook_pattern=clean", "from another prompt"),
        ] {
            assert!(can(bad, &aligned).is_err_and(|said| said.contains(part)), "{bad}: {:?}", can(bad, &aligned));
        }
        assert!(can("0.h1=clean@all", &[]).is_err());
    }
}

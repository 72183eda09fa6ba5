//! Edits of a run: which value at which site is replaced, and by what.

mod text;

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::site::{BlockSite, Site};
use crate::error::{Error, Result};
use crate::model::Config;
pub use text::{EditText, TextChange, TextPositions};

/// One change to a run. Several may be made at once; those of one site happen in the order given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Edit {
    pub site: Site,
    pub part: Part,
    pub at: Positions,
    pub change: Change,
}

/// Which part of a site's vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Part {
    Whole,
    /// One head's slice, at `attn.hook_q/k/v/z/pattern`.
    Head(usize),
    /// One neuron, at `mlp.hook_pre/post`.
    Neuron(usize),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Positions {
    /// Also those that are yet to be generated.
    All,
    /// Ascending, each once.
    These(Vec<usize>),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Change {
    Set(f32),
    Add(f32),
    Scale(f32),
    /// The same new values at every position, one row of the part's width.
    Row(Vec<f32>),
    /// New values, a row of the part's width for each of [`Positions::These`].
    Rows(Vec<f32>),
}

impl Positions {
    pub fn contains(&self, pos: usize) -> bool {
        match self {
            Positions::All => true,
            Positions::These(these) => these.binary_search(&pos).is_ok(),
        }
    }

    /// The first position from `from` on, in a run of `n_pos`.
    pub fn first(&self, n_pos: usize) -> Option<usize> {
        (0..n_pos).find(|&pos| self.contains(pos))
    }
}

impl Edit {
    /// Changes one position's vector, or at `attn.hook_pattern` one head's row of weights.
    pub fn apply(&self, pos: usize, columns: Range<usize>, row: &mut [f32]) {
        let row = &mut row[columns];
        match &self.change {
            _ if !self.at.contains(pos) => {}
            Change::Set(value) => row.fill(*value),
            Change::Add(value) => row.iter_mut().for_each(|x| *x += value),
            Change::Scale(factor) => row.iter_mut().for_each(|x| *x *= factor),
            Change::Row(values) => row.copy_from_slice(values),
            Change::Rows(rows) => {
                if let Positions::These(these) = &self.at
                    && let Ok(index) = these.binary_search(&pos)
                {
                    row.copy_from_slice(&rows[index * row.len()..(index + 1) * row.len()]);
                }
            }
        }
    }

    /// The part's columns in a row of its site.
    pub fn columns(&self, config: &Config) -> Range<usize> {
        let d_head = config.d_head();
        match self.part {
            Part::Whole => 0..width(self.site, config),
            Part::Head(head) => head * d_head..(head + 1) * d_head,
            Part::Neuron(neuron) => neuron..neuron + 1,
        }
    }

    /// That the edit names what this model has, in a run of `n_pos` positions.
    ///
    /// # Errors
    /// [`Error::BadOption`] naming what is out of range.
    pub fn check(&self, config: &Config, n_pos: usize) -> Result<()> {
        check_place(self.site, self.part, config)?;
        if let Positions::These(these) = &self.at {
            if let Some(pos) = these.iter().find(|&&pos| pos >= n_pos) {
                return bad(format!("names position {pos}, but the prompt has {n_pos}. Count from 0 (<|endoftext|>)."));
            }
            if !these.is_sorted_by(|a, b| a < b) {
                return bad("must name positions in ascending order, each once.".into());
            }
        }
        let is_pattern = self.site.block_site() == Some(BlockSite::Pattern);
        if let Change::Row(row) = &self.change
            && (is_pattern || row.len() != self.columns(config).len())
        {
            return bad("has a row of another shape than the place it goes to.".into());
        }
        if let Change::Rows(rows) = &self.change {
            let Positions::These(these) = &self.at else {
                return bad("puts rows at every position; rows need their positions.".into());
            };
            if self.site.block_site() == Some(BlockSite::Pattern)
                || rows.len() != these.len() * self.columns(config).len()
            {
                return bad("has rows of another shape than the place they go to.".into());
            }
        }
        Ok(())
    }
}

/// Floats in one position's row of a site; of `attn.hook_pattern`, which has a row a head, nothing.
pub fn width(site: Site, config: &Config) -> usize {
    match site {
        Site::Embed | Site::PosEmbed => config.d_model,
        Site::FinalScale => 1,
        Site::Block(_, site) => match site {
            BlockSite::Ln1Scale | BlockSite::Ln2Scale => 1,
            BlockSite::MlpPre | BlockSite::MlpPost => config.d_mlp,
            BlockSite::Pattern => 0,
            _ => config.d_model,
        },
    }
}

fn bad<T>(problem: String) -> Result<T> {
    Err(Error::BadOption { option: "set", problem })
}

fn check_place(site: Site, part: Part, config: &Config) -> Result<()> {
    if let Some(layer) = site.layer().filter(|&layer| layer >= config.n_layer) {
        return bad(format!("names layer {layer}, but this model's layers are 0 to {}.", config.n_layer - 1));
    }
    let block_site = site.block_site();
    match part {
        Part::Whole => Ok(()),
        Part::Head(head) if head >= config.n_head => {
            bad(format!("names head {head}, but a layer's heads are 0 to {} here.", config.n_head - 1))
        }
        Part::Neuron(neuron) if neuron >= config.d_mlp => {
            bad(format!("names neuron {neuron}, but a layer's neurons are 0 to {} here.", config.d_mlp - 1))
        }
        Part::Head(_) => match block_site {
            Some(BlockSite::Q | BlockSite::K | BlockSite::V | BlockSite::Z | BlockSite::Pattern) => Ok(()),
            _ => bad(format!("names a head of {site}, which has none.")),
        },
        Part::Neuron(_) => match block_site {
            Some(BlockSite::MlpPre | BlockSite::MlpPost) => Ok(()),
            _ => bad(format!("names a neuron of {site}, which has none.")),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_only_its_columns_and_positions() {
        let edit = Edit {
            site: Site::Block(0, BlockSite::MlpPost),
            part: Part::Neuron(1),
            at: Positions::These(vec![2, 4]),
            change: Change::Rows(vec![7.0, 8.0]),
        };
        let mut row = [1.0, 2.0, 3.0];
        edit.apply(3, 1..2, &mut row);
        assert_eq!(row, [1.0, 2.0, 3.0]);
        edit.apply(4, 1..2, &mut row);
        assert_eq!(row, [1.0, 8.0, 3.0]);
    }
}

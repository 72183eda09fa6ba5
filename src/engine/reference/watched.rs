//! What the reference engine hangs into a forward pass: edits and a record of every site, or zeros to derive by.

use std::collections::HashMap;

use candle_core::backprop::GradStore;
use candle_core::{Device, Result, Tensor, Var};

use super::forward::Hooks;
use crate::engine::Readings;
use crate::engine::edit::{Edit, Part, width};
use crate::engine::site::{BlockSite, Site};
use crate::error;
use crate::model::Config;

/// Makes one run's edits, and keeps every value as it then is.
pub struct Watched<'a> {
    config: &'a Config,
    edits: &'a [Edit],
    /// Every site, all positions.
    pub seen: Readings,
}

impl<'a> Watched<'a> {
    pub fn new(config: &'a Config, edits: &'a [Edit]) -> Self {
        Watched { config, edits, seen: Readings::default() }
    }
}

impl Hooks for Watched<'_> {
    fn at(&mut self, site: Site, value: Tensor) -> Result<Tensor> {
        let shape = value.dims().to_vec();
        let mut data = rows_of(&value)?;
        for edit in self.edits.iter().filter(|edit| edit.site == site) {
            if site.block_site() == Some(BlockSite::Pattern) {
                change_pattern(edit, shape[3], &mut data);
                continue;
            }
            for (pos, row) in data.chunks_exact_mut(width(site, self.config)).enumerate() {
                edit.apply(pos, edit.columns(self.config), row);
            }
        }
        self.seen.keep(site, data.clone(), self.config);
        if let (Some(BlockSite::Pattern), Some(kept)) = (site.block_site(), self.seen.0.get_mut(&site)) {
            kept.shape = shape[1..].to_vec();
        }
        Tensor::from_vec(data, shape, &Device::Cpu)
    }
}

/// `pattern [head, query, key]`: an edit's position is the query's.
fn change_pattern(edit: &Edit, n_pos: usize, pattern: &mut [f32]) {
    for (index, row) in pattern.chunks_exact_mut(n_pos).enumerate() {
        let (head, query) = (index / n_pos, index % n_pos);
        if matches!(edit.part, Part::Whole) || edit.part == Part::Head(head) {
            edit.apply(query, 0..query + 1, row);
        }
    }
}

/// Adds a zero at every site: what a result changes with it is what it changes with the site's value.
#[derive(Default)]
pub struct Zeros(HashMap<Site, Var>);

impl Hooks for Zeros {
    fn at(&mut self, site: Site, value: Tensor) -> Result<Tensor> {
        let zero = Var::zeros(value.dims(), value.dtype(), &Device::Cpu)?;
        let changed = (value + zero.as_tensor())?;
        self.0.insert(site, zero);
        Ok(changed)
    }
}

impl Zeros {
    /// The derivative by a site's value in a run of one row, from position `first` on.
    ///
    /// # Errors
    /// [`error::Error::Unsupported`] for a site that the run doesn't meet.
    pub fn gradient(&self, gradients: &GradStore, site: Site, first: usize) -> error::Result<Vec<f32>> {
        let found = self.0.get(&site).and_then(|zero| gradients.get(zero.as_tensor()));
        let found = found.ok_or_else(|| error::Error::Unsupported(format!("Nothing depends on {site}.")))?;
        Ok(rows_of(&found.narrow(1, first, found.dim(1)? - first)?)?)
    }
}

/// A tensor's numbers, row-major.
pub fn rows_of(tensor: &Tensor) -> Result<Vec<f32>> {
    tensor.flatten_all()?.to_vec1()
}

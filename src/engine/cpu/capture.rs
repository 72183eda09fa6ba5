//! Keeps what a run meets at the sites that were asked for.

use std::collections::BTreeMap;

use super::rows::{RowHooks, Segment};
use crate::engine::edit::width;
use crate::engine::{Activation, Site, SiteSet};
use crate::model::Config;

/// Keeps the sites that were asked for.
pub struct Capture<'a> {
    pub sites: &'a SiteSet,
    pub config: &'a Config,
    pub batch: usize,
    pub n_pos: usize,
    pub kept: BTreeMap<Site, Activation>,
}

impl Capture<'_> {
    /// Keeps a value, or of a batch the next run's.
    pub fn keep(&mut self, site: Site, data: Vec<f32>) {
        use crate::engine::site::BlockSite::{K, Pattern, Q, V, Z};
        let (n_head, n_pos) = (self.config.n_head, self.n_pos);
        let shape = match site.block_site() {
            Some(Pattern) => vec![self.batch, n_head, n_pos, n_pos],
            Some(Q | K | V | Z) => vec![self.batch, n_pos, n_head, self.config.d_head()],
            _ => vec![self.batch, n_pos, width(site, self.config)],
        };
        // attn.hook_pattern comes a run at a time
        let kept = self.kept.entry(site).or_insert_with(|| Activation { shape, data: Vec::new() });
        kept.data.extend(data);
    }
}

impl RowHooks for Capture<'_> {
    fn wants(&self, site: Site) -> bool {
        self.sites.contains(site)
    }

    fn at(&mut self, site: Site, _: &[Segment], values: &mut [f32]) {
        self.keep(site, values.to_vec());
    }
}

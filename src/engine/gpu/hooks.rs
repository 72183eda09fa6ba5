//! What is changed and what is seen of runs on the card as they come to their sites.

use super::GpuEngine;
use super::buffers::Buffer;
use super::kernels::edit::Changes;
use super::tape::Card;
use crate::engine::edit::{Edit, Part, width};
use crate::engine::plan::Segment;
use crate::engine::site::{BlockSite, Site, SiteSet};
use crate::engine::{Activation, Readings};
use crate::error::Result;
use crate::model::Config;

/// Makes each run's edits, and keeps the sites that are to be seen.
pub struct Hooks<'a> {
    /// By run.
    pub edits: Vec<&'a [Edit]>,
    sees: SiteSet,
    seen: Vec<Seen>,
}

/// Where a site's rows lie in a buffer.
#[derive(Debug, Clone, Copy)]
pub struct Lies {
    /// Floats from row to row.
    pub stride: usize,
    /// The site's first column.
    pub column: usize,
    /// The first segment's first row.
    pub row: usize,
}

impl Lies {
    pub fn rows(stride: usize) -> Self {
        Lies { stride, column: 0, row: 0 }
    }
}

struct Seen {
    site: Site,
    buffer: Buffer,
    lies: Lies,
    rows: usize,
}

impl<'a> Hooks<'a> {
    /// Neither sees nor changes anything.
    pub fn none() -> Self {
        Hooks::of(Vec::new())
    }

    /// Makes the edits of each run.
    pub fn of(edits: Vec<&'a [Edit]>) -> Self {
        Hooks { edits, sees: SiteSet::none(), seen: Vec::new() }
    }

    /// Sees these sites.
    pub fn seeing(sees: SiteSet) -> Self {
        Hooks { edits: Vec::new(), sees, seen: Vec::new() }
    }

    pub fn wants(&self, site: Site) -> bool {
        self.sees.contains(site) || self.changes(site)
    }

    pub fn changes(&self, site: Site) -> bool {
        self.edits.iter().copied().flatten().any(|edit| edit.site == site)
    }

    /// The segments' rows of a site have come, and lie so in `values`.
    pub fn at(&mut self, engine: &GpuEngine, site: Site, segments: &[Segment], values: &Buffer, lies: Lies) {
        if self.changes(site) {
            let mut changes = Changes::default();
            for segment in segments {
                for row in segment.rows.clone() {
                    let edits = self.edits[segment.run].iter().filter(|edit| edit.site == site);
                    let pos = segment.first + row - segment.rows.start;
                    changes.add(lies.row + row, pos, edits, |edit| {
                        let columns = edit.columns(&engine.config);
                        lies.column + columns.start..lies.column + columns.end
                    });
                }
            }
            engine.make(&changes, lies.stride, values);
        }
        if self.sees.contains(site) {
            let rows = segments.last().map_or(0, |segment| segment.rows.end);
            self.seen.push(Seen { site, buffer: values.clone(), lies, rows });
        }
    }

    /// The segments' weights, `[query, head, key]` with room for `n_key` keys each, have come.
    pub fn at_pattern(
        &mut self,
        engine: &GpuEngine,
        layer: usize,
        segments: &[Segment],
        pattern: &Buffer,
        n_key: usize,
    ) {
        let (site, n_head) = (Site::Block(layer, BlockSite::Pattern), engine.config.n_head);
        if self.changes(site) {
            let mut changes = Changes::default();
            for segment in segments {
                for (row, head) in segment.rows.clone().flat_map(|row| (0..n_head).map(move |head| (row, head))) {
                    let pos = segment.first + row - segment.rows.start;
                    let is_meant = |edit: &&Edit| match edit.part {
                        Part::Head(only) => only == head,
                        _ => true,
                    };
                    let edits = self.edits[segment.run].iter().filter(|edit| edit.site == site).filter(is_meant);
                    changes.add(row * n_head + head, pos, edits, |_| 0..pos + 1);
                }
            }
            engine.make(&changes, n_key, pattern);
        }
        if self.sees.contains(site) {
            let rows = segments.last().map_or(0, |segment| segment.rows.end * n_head);
            self.seen.push(Seen { site, buffer: pattern.clone(), lies: Lies::rows(n_key), rows });
        }
    }

    /// What was seen, in the host's memory.
    ///
    /// # Errors
    /// From the card.
    pub async fn take(&mut self, card: &Card, config: &Config) -> Result<Readings> {
        let seen = std::mem::take(&mut self.seen);
        let parts: Vec<(&Buffer, usize, usize)> = seen
            .iter()
            .map(|seen| (&seen.buffer, seen.lies.row * seen.lies.stride, seen.rows * seen.lies.stride))
            .collect();
        let mut found = Readings::default();
        for (seen, values) in seen.iter().zip(card.read(&parts).await?) {
            if seen.site.block_site() == Some(BlockSite::Pattern) {
                found.0.insert(seen.site, by_head(&values, config.n_head, seen.lies.stride));
            } else {
                let width = width(seen.site, config);
                let rows = values.chunks_exact(seen.lies.stride);
                let own = rows.flat_map(|row| &row[seen.lies.column..][..width]).copied().collect();
                found.keep(seen.site, own, config);
            }
        }
        Ok(found)
    }
}

impl GpuEngine {
    /// Makes changes, if there are any.
    fn make(&self, changes: &Changes, stride: usize, rows: &Buffer) {
        if !changes.is_empty() {
            self.card.edit(changes, stride, rows);
        }
    }
}

/// `[query, head, key]` as `[head, query, key]`.
fn by_head(values: &[f32], n_head: usize, n_key: usize) -> Activation {
    let n_query = values.len() / (n_head * n_key);
    let row = |(head, query): (usize, usize)| &values[(query * n_head + head) * n_key..][..n_key];
    let places = (0..n_head).flat_map(|head| (0..n_query).map(move |query| (head, query)));
    Activation { shape: vec![n_head, n_query, n_key], data: places.flat_map(row).copied().collect() }
}

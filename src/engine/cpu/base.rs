//! A run that others resume: its residual stream, keys and values at every layer and position.

use std::collections::BTreeMap;

use super::CpuEngine;
use super::rows::{KeyValues, RowHooks, Stream};
use crate::engine::edit::width;
use crate::engine::plan::{Segment, Stage};
use crate::engine::site::{BlockSite, Site, SiteSet};
use crate::engine::{BaseRun, Control, Readings, check_site, common_start};
use crate::error::Result;

/// One prompt's run, kept. What else it met is worked out again when it is asked for, unless it was to be kept.
#[derive(Debug, Clone)]
pub struct CpuBase {
    ids: Vec<u32>,
    /// By layer, `[pos, d_model]`.
    pub(super) resid_pre: Vec<Vec<f32>>,
    /// By layer, `[pos, d_model]`.
    pub(super) resid_mid: Vec<Vec<f32>>,
    /// After the last block, `[pos, d_model]`.
    pub(super) resid_final: Vec<f32>,
    /// By layer.
    pub(super) past: Vec<KeyValues>,
    kept: BTreeMap<Site, Vec<f32>>,
}

impl BaseRun for CpuBase {
    fn ids(&self) -> &[u32] {
        &self.ids
    }
}

impl CpuBase {
    /// The residual stream after block `layer`, `[pos, d_model]`.
    fn resid_post(&self, layer: usize) -> &[f32] {
        self.resid_pre.get(layer + 1).unwrap_or(&self.resid_final)
    }

    /// The residual stream at a stage from position `first` on; of the embedding, which has none yet, nothing.
    pub(super) fn resid_at(&self, stage: Stage, first: usize) -> &[f32] {
        let resid = match stage {
            Stage::Pre(layer) => &self.resid_pre[layer],
            Stage::Mid(layer) => &self.resid_mid[layer],
            Stage::End => &self.resid_final,
            Stage::Embed => return &[],
        };
        &resid[first * (resid.len() / self.ids.len())..]
    }
}

impl CpuEngine {
    pub(super) async fn make_base(
        &self,
        ids: &[u32],
        like: Option<&CpuBase>,
        keep: &SiteSet,
        control: &impl Control,
    ) -> Result<CpuBase> {
        // the residual stream is kept anyway
        let mut seen = Seen::of(keep.iter().filter(|site| !is_of_the_stream(*site)));
        // what is kept besides is kept of all positions
        let like = like.filter(|_| seen.values.is_empty());
        // of the last position there is always something to do
        let shared = like.map_or(0, |like| common_start(&like.ids, ids)).min(ids.len() - 1);
        let like = like.filter(|_| shared > 0);
        let from = |values: &[f32]| values[..shared * self.config.d_model].to_vec();
        let whole = |before: Option<&Vec<f32>>, rows: &[f32]| {
            [before.map_or_else(Vec::new, |b| from(b)).as_slice(), rows].concat()
        };
        let n_layer = self.config.n_layer;
        let mut stream = self.embed(&[&ids[shared..]], shared, &mut seen)?;
        let (mut resid_pre, mut resid_mid) = (Vec::with_capacity(n_layer), Vec::with_capacity(n_layer));
        let mut past = Vec::with_capacity(n_layer);
        for layer in 0..n_layer {
            let before = like.map(|like| &like.past[layer]);
            let mut own = before.map_or_else(KeyValues::default, |before| KeyValues {
                keys: from(&before.keys),
                values: from(&before.values),
            });
            let pass = self.pass(layer, before, false, control);
            resid_pre.push(whole(like.map(|like| &like.resid_pre[layer]), &stream.x));
            pass.attention(&mut stream, Some(&mut own), &mut seen).await?;
            resid_mid.push(whole(like.map(|like| &like.resid_mid[layer]), &stream.x));
            pass.mlp(&mut stream, &mut seen).await?;
            past.push(own);
        }
        let resid_final = whole(like.map(|like| &like.resid_final), &stream.x);
        Ok(CpuBase { ids: ids.to_vec(), resid_pre, resid_mid, resid_final, past, kept: seen.values })
    }

    pub(super) async fn read_sites(
        &self,
        base: &CpuBase,
        sites: &SiteSet,
        from: usize,
        control: &impl Control,
    ) -> Result<Readings> {
        let mut found = Readings::default();
        // what must be worked out again, half a block at a time
        let mut again: BTreeMap<(Option<usize>, bool, usize), Vec<Site>> = BTreeMap::new();
        for site in sites.iter() {
            check_site(&self.config, site)?;
            let is_pattern = site.block_site() == Some(BlockSite::Pattern);
            // a query's weights are those of all earlier keys
            let from = if is_pattern { 0 } else { from };
            match self.known(base, site, from) {
                Some(values) => found.keep(site, values, &self.config),
                None => {
                    let is_mlp = site.block_site() > Some(BlockSite::ResidMid);
                    again.entry((site.layer(), is_mlp, from)).or_default().push(site);
                }
            }
        }
        for ((layer, is_mlp, from), sites) in again {
            let mut seen = Seen::of(sites);
            let stream = |x: &[f32]| {
                let mut stream = Stream::default();
                stream.push(&x[from * self.config.d_model..], 0, from, self.config.d_model);
                stream
            };
            match layer {
                None => drop(self.embed(&[&base.ids[from..]], from, &mut seen)?),
                Some(layer) => {
                    let pass = self.pass(layer, Some(&base.past[layer]), false, control);
                    if is_mlp {
                        pass.mlp(&mut stream(&base.resid_mid[layer]), &mut seen).await?;
                    } else {
                        pass.attention(&mut stream(&base.resid_pre[layer]), None, &mut seen).await?;
                    }
                }
            }
            seen.values.into_iter().for_each(|(site, values)| found.keep(site, values, &self.config));
        }
        for (_, pattern) in found.0.iter_mut().filter(|(site, _)| site.block_site() == Some(BlockSite::Pattern)) {
            pattern.shape = vec![self.config.n_head, base.ids.len(), base.ids.len()];
        }
        Ok(found)
    }

    /// A site's value from position `from` on, if it lies there or is the difference of two that do.
    fn known(&self, base: &CpuBase, site: Site, from: usize) -> Option<Vec<f32>> {
        let part = |values: &[f32], width: usize| values[from * width..].to_vec();
        if let Some(kept) = base.kept.get(&site) {
            return Some(part(kept, width(site, &self.config)));
        }
        let d_model = self.config.d_model;
        let difference = |after: &[f32], before: &[f32]| {
            let both = after[from * d_model..].iter().zip(&before[from * d_model..]);
            Some(both.map(|(after, before)| after - before).collect())
        };
        let (layer, site) = match site {
            Site::FinalScale => return Some(self.final_scales(&base.resid_final[from * d_model..])),
            Site::Embed | Site::PosEmbed => return None,
            Site::Block(layer, site) => (layer, site),
        };
        match site {
            BlockSite::ResidPre => Some(part(&base.resid_pre[layer], d_model)),
            BlockSite::ResidMid => Some(part(&base.resid_mid[layer], d_model)),
            BlockSite::ResidPost => Some(part(base.resid_post(layer), d_model)),
            BlockSite::AttnOut => difference(&base.resid_mid[layer], &base.resid_pre[layer]),
            BlockSite::MlpOut => difference(base.resid_post(layer), &base.resid_mid[layer]),
            _ => None,
        }
    }
}

/// Whether a base run has it without being told to keep it.
fn is_of_the_stream(site: Site) -> bool {
    use BlockSite::{AttnOut, MlpOut, ResidMid, ResidPost, ResidPre};
    match site {
        Site::FinalScale => true,
        Site::Embed | Site::PosEmbed => false,
        Site::Block(_, site) => matches!(site, ResidPre | AttnOut | ResidMid | MlpOut | ResidPost),
    }
}

/// Keeps some sites' values as a run meets them.
struct Seen {
    values: BTreeMap<Site, Vec<f32>>,
}

impl Seen {
    fn of(sites: impl IntoIterator<Item = Site>) -> Self {
        Seen { values: sites.into_iter().map(|site| (site, Vec::new())).collect() }
    }
}

impl RowHooks for Seen {
    fn wants(&self, site: Site) -> bool {
        self.values.contains_key(&site)
    }

    fn at(&mut self, site: Site, _: &[Segment], values: &mut [f32]) {
        self.values.insert(site, values.to_vec());
    }
}

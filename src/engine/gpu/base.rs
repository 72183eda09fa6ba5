//! A run that others resume, kept on the card: its residual stream, queries, keys and values at every layer and position.

use std::collections::BTreeMap;
use std::ops::Range;

use super::GpuEngine;
use super::buffers::Buffer;
use super::hooks::Hooks;
use super::matrix::{padded, unpadded};
use super::stream::{Past, Stream};
use crate::engine::plan::Stage;
use crate::engine::site::{BlockSite, Site, SiteSet};
use crate::engine::{BaseRun, Control, Readings, check_site};
use crate::error::Result;

/// One prompt's run. What else it met is worked out again when it is asked for.
pub struct GpuBase {
    ids: Vec<u32>,
    /// By layer, `[pos, d_model]`.
    pub(super) resid_pre: Vec<Buffer>,
    /// By layer, `[pos, d_model]`.
    pub(super) resid_mid: Vec<Buffer>,
    /// After the last block, `[pos, d_model]`.
    pub(super) resid_final: Buffer,
    /// By layer, `[pos, padded(3 d_model)]`.
    pub(super) qkv: Vec<Buffer>,
}

impl BaseRun for GpuBase {
    fn ids(&self) -> &[u32] {
        &self.ids
    }
}

impl GpuBase {
    /// The residual stream after block `layer`.
    fn resid_post(&self, layer: usize) -> &Buffer {
        self.resid_pre.get(layer + 1).unwrap_or(&self.resid_final)
    }

    /// The residual stream at a stage; of the embedding, which has none yet, the one after it.
    pub(super) fn resid_at(&self, stage: Stage) -> &Buffer {
        match stage {
            Stage::Embed => &self.resid_pre[0],
            Stage::Pre(layer) => &self.resid_pre[layer],
            Stage::Mid(layer) => &self.resid_mid[layer],
            Stage::End => &self.resid_final,
        }
    }

    /// Where a site's values lie, if they do: in a buffer, or as the difference of two.
    fn known(&self, site: Site) -> Option<(&Buffer, Option<&Buffer>)> {
        let Site::Block(layer, site) = site else { return None };
        match site {
            BlockSite::ResidPre => Some((&self.resid_pre[layer], None)),
            BlockSite::ResidMid => Some((&self.resid_mid[layer], None)),
            BlockSite::ResidPost => Some((self.resid_post(layer), None)),
            BlockSite::AttnOut => Some((&self.resid_mid[layer], Some(&self.resid_pre[layer]))),
            BlockSite::MlpOut => Some((self.resid_post(layer), Some(&self.resid_mid[layer]))),
            _ => None,
        }
    }
}

impl GpuEngine {
    pub(super) async fn make_base(&self, ids: &[u32], control: &impl Control) -> Result<GpuBase> {
        let mut hooks = Hooks::none();
        let mut stream = self.embed(&[ids], 0, ids.len(), &mut hooks)?;
        let (mut resid_pre, mut resid_mid, mut qkv) = (Vec::new(), Vec::new(), Vec::new());
        for layer in 0..self.config.n_layer {
            resid_pre.push(stream.x.clone());
            qkv.push(self.attention(layer, Past::default(), &mut stream, &mut hooks)?);
            self.card.pace(control).await?;
            resid_mid.push(stream.x.clone());
            self.mlp(layer, &mut stream, &mut hooks)?;
            self.card.pace(control).await?;
        }
        Ok(GpuBase { ids: ids.to_vec(), resid_pre, resid_mid, resid_final: stream.x, qkv })
    }

    pub(super) async fn read_sites(
        &self,
        base: &GpuBase,
        sites: &SiteSet,
        from: usize,
        control: &impl Control,
    ) -> Result<Readings> {
        sites.iter().try_for_each(|site| check_site(&self.config, site))?;
        let mut found = self.known_sites(base, sites, from).await?;
        // what must be worked out again, half a block at a time
        let mut again: BTreeMap<(Option<usize>, bool, usize), Vec<Site>> = BTreeMap::new();
        for site in sites.iter().filter(|site| base.known(*site).is_none() && *site != Site::FinalScale) {
            // a query's weights are those of all earlier keys
            let from = if site.block_site() == Some(BlockSite::Pattern) { 0 } else { from };
            let is_mlp = site.block_site() > Some(BlockSite::ResidMid);
            again.entry((site.layer(), is_mlp, from)).or_default().push(site);
        }
        for ((layer, is_mlp, from), sites) in again {
            let mut hooks = Hooks::seeing(sites.into_iter().collect());
            let n = base.ids.len() - from;
            match layer {
                None => drop(self.embed(&[&base.ids[from..]], from, n, &mut hooks)?),
                Some(layer) if is_mlp => {
                    self.mlp(layer, &mut self.resumed(base, &base.resid_mid[layer], from), &mut hooks)?;
                }
                Some(layer) => {
                    let past = Past { before: Some(&base.qkv[layer]), ..Past::default() };
                    let mut stream = self.resumed(base, &base.resid_pre[layer], from);
                    self.attention(layer, past, &mut stream, &mut hooks)?;
                }
            }
            found.0.extend(hooks.take(&self.card, &self.config).await?.0);
            control.breathe().await?;
        }
        Ok(found)
    }

    /// The rows of `resid` from position `from` on.
    fn resumed(&self, base: &GpuBase, resid: &Buffer, from: usize) -> Stream {
        let mut stream = Stream::empty(self, base.ids.len() - from);
        stream.push(0, base.ids.len() - from, from);
        stream.x = self.rows_of(resid, from..base.ids.len());
        stream
    }

    /// Some neighbouring rows of the residual stream, in a buffer of their own.
    pub(super) fn rows_of(&self, x: &Buffer, rows: Range<usize>) -> Buffer {
        let out = self.activation(rows.len());
        let numbers: Vec<u32> = rows.map(|row| row as u32).collect();
        self.card.pick(x, self.config.d_model, &numbers, &out);
        out
    }

    /// Those that lie on the card, or are the difference of two that do.
    async fn known_sites(&self, base: &GpuBase, sites: &SiteSet, from: usize) -> Result<Readings> {
        let (d, stride) = (self.config.d_model, padded(self.config.d_model));
        let rows = base.ids.len() - from;
        let part = |buffer| (buffer, from * stride, rows * stride);
        let known: Vec<(Site, &Buffer, Option<&Buffer>)> =
            sites.iter().filter_map(|site| base.known(site).map(|(after, before)| (site, after, before))).collect();
        let mut parts: Vec<(&Buffer, usize, usize)> =
            known.iter().flat_map(|(_, after, before)| [Some(*after), *before]).flatten().map(part).collect();
        let mut scales = None;
        if sites.contains(Site::FinalScale) {
            scales = Some(self.final_norm((&base.resid_final, base.ids.len()), None).0);
        }
        parts.extend(scales.iter().map(|scales| (scales, from, rows)));
        let mut found = Readings::default();
        if parts.is_empty() {
            return Ok(found);
        }
        let mut values = self.card.read(&parts).await?.into_iter();
        let own = |values: Vec<f32>| unpadded(&values, d);
        for (site, _, before) in known {
            let mut after = own(values.next().unwrap_or_default());
            if before.is_some() {
                let before = own(values.next().unwrap_or_default());
                after.iter_mut().zip(before).for_each(|(after, before)| *after -= before);
            }
            found.keep(site, after, &self.config);
        }
        values.for_each(|scales| found.keep(Site::FinalScale, scales, &self.config));
        Ok(found)
    }
}

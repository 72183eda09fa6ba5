//! A run that others resume: its residual stream, keys and values at every layer and position.

use super::CpuEngine;
use super::rows::{KeyValues, NoRowHooks, RowHooks, Segment, Stream};
use crate::engine::edit::width;
use crate::engine::site::{BlockSite, Site};
use crate::engine::{Activation, Control};
use crate::error::{Error, Result};

/// One prompt's run, kept. Everything else that it met is worked out again when it is asked for.
#[derive(Debug, Clone)]
pub struct CpuBase {
    pub ids: Vec<u32>,
    /// By layer, `[pos, d_model]`.
    pub resid_pre: Vec<Vec<f32>>,
    /// By layer, `[pos, d_model]`.
    pub resid_mid: Vec<Vec<f32>>,
    /// After the last block, `[pos, d_model]`.
    pub resid_final: Vec<f32>,
    /// By layer.
    pub past: Vec<KeyValues>,
}

impl CpuBase {
    pub fn n_pos(&self) -> usize {
        self.ids.len()
    }

    /// The residual stream after block `layer`, `[pos, d_model]`.
    pub fn resid_post(&self, layer: usize) -> &[f32] {
        self.resid_pre.get(layer + 1).unwrap_or(&self.resid_final)
    }
}

impl CpuEngine {
    pub(super) async fn make_base(&self, ids: &[u32], control: &impl Control) -> Result<CpuBase> {
        let n_layer = self.config.n_layer;
        let mut stream = self.embed(&[ids], 0, &mut NoRowHooks)?;
        let (mut resid_pre, mut resid_mid) = (Vec::with_capacity(n_layer), Vec::with_capacity(n_layer));
        let mut past = vec![KeyValues::default(); n_layer];
        for (layer, past) in past.iter_mut().enumerate() {
            let pass = self.pass(layer, None, false, control);
            resid_pre.push(stream.x.clone());
            pass.attention(&mut stream, Some(past), &mut NoRowHooks).await?;
            resid_mid.push(stream.x.clone());
            pass.mlp(&mut stream, &mut NoRowHooks).await?;
        }
        Ok(CpuBase { ids: ids.to_vec(), resid_pre, resid_mid, resid_final: stream.x, past })
    }

    /// A site's value in the base run, `[pos, width]`; `attn.hook_pattern` as `[head, query, key]`.
    pub(super) async fn value_of(&self, base: &CpuBase, site: Site, control: &impl Control) -> Result<Activation> {
        let (config, n_pos) = (&self.config, base.n_pos());
        let rows = |data: Vec<f32>| Activation { shape: vec![n_pos, width(site, config)], data };
        let difference = |after: &[f32], before: &[f32]| after.iter().zip(before).map(|(a, b)| a - b).collect();
        let mut seen = One { site, values: Vec::new() };
        let Site::Block(layer, block_site) = site else {
            match site {
                Site::FinalScale => seen.values = self.final_scales(&base.resid_final),
                _ => drop(self.embed(&[&base.ids], 0, &mut seen)?),
            }
            return Ok(rows(seen.values));
        };
        if layer >= config.n_layer {
            return Err(Error::Unsupported(format!(
                "This model has no {site}: its layers are 0 to {}.",
                config.n_layer - 1
            )));
        }
        let stream = |x: &[f32]| Stream::new(x.to_vec(), [n_pos]);
        let pass = self.pass(layer, None, false, control);
        match block_site {
            BlockSite::ResidPre => seen.values = base.resid_pre[layer].clone(),
            BlockSite::ResidMid => seen.values = base.resid_mid[layer].clone(),
            BlockSite::ResidPost => seen.values = base.resid_post(layer).to_vec(),
            BlockSite::AttnOut => seen.values = difference(&base.resid_mid[layer], &base.resid_pre[layer]),
            BlockSite::MlpOut => seen.values = difference(base.resid_post(layer), &base.resid_mid[layer]),
            BlockSite::Ln2Scale | BlockSite::MlpPre | BlockSite::MlpPost => {
                pass.mlp(&mut stream(&base.resid_mid[layer]), &mut seen).await?;
            }
            _ => pass.attention(&mut stream(&base.resid_pre[layer]), None, &mut seen).await?,
        }
        match block_site {
            BlockSite::Pattern => Ok(Activation { shape: vec![config.n_head, n_pos, n_pos], data: seen.values }),
            _ => Ok(rows(seen.values)),
        }
    }
}

/// Keeps one site's value.
struct One {
    site: Site,
    values: Vec<f32>,
}

impl RowHooks for One {
    fn wants(&self, site: Site) -> bool {
        site == self.site
    }

    fn at(&mut self, _: Site, _: &[Segment], values: &mut [f32]) {
        self.values = values.to_vec();
    }
}

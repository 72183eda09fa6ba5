//! The reference engine: GPT-2 as one reads it ([`forward`]). Every answer is a whole pass in candle's tensors, slow, and
//! nothing is shared between runs or taken from an earlier one: the anchor that other engines are held against.

pub mod forward;
mod watched;

use std::collections::BTreeSet;
use std::ops::Range;

use candle_core::{Device, Tensor};

use super::edit::Edit;
use super::site::{BlockSite, Site, SiteSet};
use super::{
    Activation, BaseRun, Control, Ends, Engine, FinalNorm, Gradients, Products, Readings, check_rows, check_site,
    threads,
};
use crate::error::Result;
use crate::model::{Config, WeightDtype, Weights};
use forward::Hooks;
use watched::{Watched, Zeros, rows_of};

pub struct ReferenceEngine {
    config: Config,
    weights: Weights,
}

/// One prompt's run with everything that it met.
pub struct ReferenceBase {
    ids: Vec<u32>,
    /// Every site's value at all positions.
    all: Readings,
}

impl BaseRun for ReferenceBase {
    fn ids(&self) -> &[u32] {
        &self.ids
    }
}

/// What was read so far: every further token is a whole pass over all of them.
#[derive(Default)]
pub struct ReferenceCache {
    ids: Vec<u32>,
}

impl ReferenceEngine {
    pub fn new(config: Config, weights: Weights) -> Self {
        ReferenceEngine { config, weights }
    }

    /// The residual stream after the last block, `[1, pos, d_model]`.
    fn pass(&self, ids: &[u32], hooks: &mut impl Hooks) -> Result<Tensor> {
        check_rows(&self.config, &[ids])?;
        let ids = Tensor::from_slice(ids, (1, ids.len()), &Device::Cpu)?;
        Ok(forward::resid_final(&self.config, &self.weights, &ids, hooks)?)
    }

    /// How one run ends, with its edits.
    fn run_to_end(&self, ids: &[u32], edits: &[Edit]) -> Result<Ends> {
        let mut hooks = Watched::new(&self.config, edits);
        let resid = self.pass(ids, &mut hooks)?;
        let (_, scale) = forward::centre_and_scale(&resid, self.config.ln_eps)?;
        let scale = hooks.at(Site::FinalScale, scale)?;
        let last = |values: Tensor| -> Result<Vec<f32>> { Ok(rows_of(&values.get(0)?.get(ids.len() - 1)?)?) };
        Ok(Ends { resid: Activation::rows(last(resid)?, self.config.d_model), scales: last(scale)? })
    }
}

impl Engine for ReferenceEngine {
    type Base = ReferenceBase;
    type Cache = ReferenceCache;

    fn config(&self) -> &Config {
        &self.config
    }

    fn dtype(&self) -> WeightDtype {
        self.weights.dtype()
    }

    fn threads(&self) -> usize {
        threads::count()
    }

    async fn parameter(&self, name: &str, rows: Range<usize>) -> Result<Vec<f32>> {
        self.weights.rows(name, rows)
    }

    async fn last_resid(&self, rows: &[&[u32]], edits: &[Vec<Edit>], control: &impl Control) -> Result<Activation> {
        check_rows(&self.config, rows)?;
        let mut ends = Vec::new();
        for (run, ids) in rows.iter().enumerate() {
            control.breathe().await?;
            ends.extend(self.run_to_end(ids, edits.get(run).map_or(&[], |edits| edits))?.resid.data);
        }
        Ok(Activation::rows(ends, self.config.d_model))
    }

    async fn neurons(
        &self,
        prompts: &[&[u32]],
        layers: &BTreeSet<usize>,
        to_end: bool,
        control: &impl Control,
        mut on_layer: impl FnMut(usize, &[f32]),
    ) -> Result<Activation> {
        let site = |layer| Site::Block(layer, BlockSite::MlpPost);
        let (mut by_layer, mut ends) = (vec![Vec::new(); self.config.n_layer], Vec::new());
        for prompt in prompts {
            control.breathe().await?;
            let mut hooks = Watched::new(&self.config, &[]);
            ends.extend(rows_of(&self.pass(prompt, &mut hooks)?)?);
            for &layer in layers.iter().filter(|&&layer| layer < self.config.n_layer) {
                by_layer[layer].extend_from_slice(&hooks.seen.at(site(layer))?.data);
            }
        }
        layers
            .iter()
            .filter_map(|&layer| Some((layer, by_layer.get(layer)?)))
            .for_each(|(layer, rows)| on_layer(layer, rows));
        Ok(Activation::rows(if to_end { ends } else { Vec::new() }, self.config.d_model))
    }

    async fn base(
        &self,
        ids: &[u32],
        _: Option<&ReferenceBase>,
        _: &SiteSet,
        control: &impl Control,
    ) -> Result<ReferenceBase> {
        control.breathe().await?;
        let mut hooks = Watched::new(&self.config, &[]);
        let resid = self.pass(ids, &mut hooks)?;
        let (_, scale) = forward::centre_and_scale(&resid, self.config.ln_eps)?;
        hooks.at(Site::FinalScale, scale)?;
        Ok(ReferenceBase { ids: ids.to_vec(), all: hooks.seen })
    }

    async fn read(&self, base: &ReferenceBase, sites: &SiteSet, from: usize, _: &impl Control) -> Result<Readings> {
        let mut found = Readings::default();
        for site in sites.iter() {
            check_site(&self.config, site)?;
            let all = base.all.at(site)?;
            if site.block_site() == Some(BlockSite::Pattern) {
                found.0.insert(site, all.clone());
            } else {
                let width = super::edit::width(site, &self.config);
                found.keep(site, all.data[from * width..].to_vec(), &self.config);
            }
        }
        Ok(found)
    }

    async fn resume(
        &self,
        base: &ReferenceBase,
        runs: &[Vec<Edit>],
        control: &impl Control,
        mut on_done: impl FnMut(&[usize], Ends),
    ) -> Result<()> {
        runs.iter().flatten().try_for_each(|edit| edit.check(&self.config, base.ids.len()))?;
        for (run, edits) in runs.iter().enumerate() {
            control.breathe().await?;
            on_done(&[run], self.run_to_end(&base.ids, edits)?);
        }
        Ok(())
    }

    async fn gradients(
        &self,
        base: &ReferenceBase,
        tokens: (u32, u32),
        (layer, first): (usize, usize),
        control: &impl Control,
    ) -> Result<Gradients> {
        control.breathe().await?;
        super::check_ids(&self.config, &[tokens.0, tokens.1])?;
        let n_pos = base.ids.len();
        let ids = Tensor::from_slice(&base.ids, (1, n_pos), &Device::Cpu)?;
        let mut zeros = Zeros::default();
        let logits = forward::logits(&self.config, &self.weights, &ids, &mut zeros)?.get(n_pos - 1)?;
        let difference = (logits.get(tokens.0 as usize)? - logits.get(tokens.1 as usize)?)?;
        let gradients = difference.backward()?;
        let by_layer = |site| -> Result<Vec<Vec<f32>>> {
            let layers = layer..self.config.n_layer;
            layers.map(|layer| zeros.gradient(&gradients, Site::Block(layer, site), first)).collect()
        };
        Ok(Gradients {
            first,
            layer,
            resid_pre: by_layer(BlockSite::ResidPre)?,
            resid_mid: by_layer(BlockSite::ResidMid)?,
            resid_post: by_layer(BlockSite::ResidPost)?,
            mlp_post: by_layer(BlockSite::MlpPost)?,
            z: by_layer(BlockSite::Z)?,
        })
    }

    fn cache(&self) -> ReferenceCache {
        ReferenceCache::default()
    }

    async fn extend(
        &self,
        cache: &mut ReferenceCache,
        ids: &[u32],
        edits: &[Edit],
        control: &impl Control,
    ) -> Result<Ends> {
        control.breathe().await?;
        let all = [&cache.ids, ids].concat();
        let end = self.run_to_end(&all, edits)?;
        cache.ids = all;
        Ok(end)
    }

    async fn unembed(&self, resid: &Activation, norm: FinalNorm<'_>, control: &impl Control) -> Result<Activation> {
        control.breathe().await?;
        let rows = resid.data.len() / self.config.d_model;
        let x = Tensor::from_slice(&resid.data, (rows, self.config.d_model), &Device::Cpu)?;
        let (centred, own) = forward::centre_and_scale(&x, self.config.ln_eps)?;
        let scale = match norm {
            FinalNorm::Own => own,
            FinalNorm::Frozen(scales) => Tensor::from_slice(scales, (rows, 1), &Device::Cpu)?,
        };
        let normed = forward::scale_and_shift(&self.weights.ln_f, &centred.broadcast_div(&scale)?)?;
        Ok(Activation::rows(rows_of(&forward::unembed(&self.weights, &normed)?)?, self.config.vocab_size))
    }
}

/// All of it follows from the parameters.
impl Products for ReferenceEngine {}

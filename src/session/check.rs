//! Whether a card computes what the processor does: drivers differ, and a wrong figure must not be shown.

use crate::engine::any::AnyEngine;
use crate::engine::edit::{Change, Edit, Part, Positions};
use crate::engine::site::{BlockSite, Site};
use crate::engine::{Control, Engine, FinalNorm, Products, SiteSet, TokenRows};
use crate::error::{Error, Result};

/// Of a figure's size, or of 1 where it is smaller: what different orders of adding up come to, ten times.
const TOLERANCE: f32 = 1e-3;
/// Tokens of the prompt that is run: some twenty rows, as people's prompts have.
const TOKENS: usize = 20;
/// Runs that are resumed at once, so that products of many rows are made too.
const RUNS: usize = 24;

/// Holds one engine against another, each kind of operation once.
///
/// # Errors
/// [`Error::Card`] naming the first operation whose figures differ; what either engine fails with.
pub async fn agree(ours: &AnyEngine, right: &AnyEngine, control: &impl Control) -> Result<()> {
    let config = ours.config();
    let ids: Vec<u32> = (0..TOKENS.min(config.n_ctx)).map(|at| (at * 37 % config.vocab_size) as u32).collect();
    let (last, tokens) = (config.n_layer - 1, (0, config.vocab_size as u32 - 1));
    let resid = Site::Block(last, BlockSite::ResidPost);
    let sites: SiteSet = [resid, Site::Block(last, BlockSite::MlpPost), Site::Block(0, BlockSite::Z), Site::FinalScale]
        .into_iter()
        .collect();
    let base = ours.base(&ids, None, &SiteSet::none(), control).await?;
    let right_base = right.base(&ids, None, &SiteSet::none(), control).await?;
    let read = ours.read(&base, &sites, 0, control).await?;
    let right_read = right.read(&right_base, &sites, 0, control).await?;
    for site in sites.iter() {
        same("a prompt's run", &read.at(site)?.data, &right_read.at(site)?.data)?;
    }
    control.breathe().await?;
    let rows = right_read.at(resid)?;
    let logits = ours.unembed(rows, FinalNorm::Own, control).await?;
    same("logits", &logits.data, &right.unembed(rows, FinalNorm::Own, control).await?.data)?;
    control.breathe().await?;
    let runs = runs(config.n_layer, config.d_mlp, config.n_head, ids.len());
    let (ends, right_ends) = (ours.ends(&base, &runs, control).await?, right.ends(&right_base, &runs, control).await?);
    same("patched runs", &ends.resid.data, &right_ends.resid.data)?;
    control.breathe().await?;
    let found = ours.gradients(&base, tokens, (0, 0), control).await?;
    let should = right.gradients(&right_base, tokens, (0, 0), control).await?;
    same("first estimates", &found.mlp_post.concat(), &should.mlp_post.concat())?;
    same("first estimates", &found.resid_pre.concat(), &should.resid_pre.concat())?;
    control.breathe().await?;
    let (mut cache, mut right_cache) = (ours.cache(), right.cache());
    let (start, one) = ids.split_at(ids.len() / 2);
    for part in [start, &one[..1.min(one.len())]].into_iter().filter(|part| !part.is_empty()) {
        let end = ours.extend(&mut cache, part, &[], control).await?;
        same(
            "a text that goes on",
            &end.resid.data,
            &right.extend(&mut right_cache, part, &[], control).await?.resid.data,
        )?;
    }
    let along = rows.row(0);
    let of = TokenRows::Unembedding;
    same("weights' products", &ours.token_products(of, along).await?, &right.token_products(of, along).await?)
}

/// Runs that are edited in every way: neurons and heads in different layers.
fn runs(n_layer: usize, d_mlp: usize, n_head: usize, n_pos: usize) -> Vec<Vec<Edit>> {
    let at = Positions::These(vec![n_pos / 2]);
    let edit = |run: usize| {
        let layer = run % n_layer;
        let (site, part) = match run % 3 {
            0 => (BlockSite::MlpPost, Part::Neuron(run * 17 % d_mlp)),
            1 => (BlockSite::Z, Part::Head(run % n_head)),
            _ => (BlockSite::V, Part::Head(run % n_head)),
        };
        Edit { site: Site::Block(layer, site), part, at: at.clone(), change: Change::Add(0.5) }
    };
    (0..RUNS).map(|run| vec![edit(run)]).collect()
}

fn same(what: &str, ours: &[f32], right: &[f32]) -> Result<()> {
    // what is no number agrees with nothing
    let agrees = |(ours, right): (&f32, &f32)| (ours - right).abs() <= TOLERANCE * right.abs().max(1.0);
    if ours.len() == right.len() && ours.iter().zip(right).all(agrees) {
        return Ok(());
    }
    Err(Error::Card(format!("It computes {what} otherwise than the processor does.")))
}

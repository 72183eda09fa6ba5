//! Direct logit attribution: what each component adds to the logit difference through the unembedding alone.

use crate::engine::site::{BlockSite, Site, SiteSet};
use crate::engine::{BaseRun, Control, Engine};
use crate::error::Result;
use crate::protocol::Attribution;

/// Every component's part of the logit difference at the last position, the final LayerNorm's scale frozen.
///
/// # Errors
/// What the engine fails with.
pub async fn attribute<E: Engine>(
    engine: &E,
    base: &E::Base,
    tokens: (u32, u32),
    control: &impl Control,
) -> Result<Attribution> {
    let config = engine.config();
    let direction = engine.direction(tokens).await?;
    let end = engine.end(base, control).await?;
    let scale = end.scales[0];
    let written = [BlockSite::AttnOut, BlockSite::MlpOut, BlockSite::Z];
    let sites = (0..config.n_layer).flat_map(|layer| written.map(|site| Site::Block(layer, site)));
    let sites: SiteSet = sites.chain([Site::Embed, Site::PosEmbed]).collect();
    let read = engine.read(base, &sites, base.ids().len() - 1, control).await?;
    let part = |site: Site| -> Result<f32> { Ok(direction.written(read.at(site)?.last_row(), scale)) };
    let (mut attn, mut mlp, mut heads) = (Vec::new(), Vec::new(), Vec::new());
    for layer in 0..config.n_layer {
        attn.push(part(Site::Block(layer, BlockSite::AttnOut))?);
        mlp.push(part(Site::Block(layer, BlockSite::MlpOut))?);
        let z = read.at(Site::Block(layer, BlockSite::Z))?;
        let bias = engine.value_bias(layer).await?;
        let writes = engine.head_writes(layer, &direction.along).await?;
        let each: Vec<f32> = z.last_row().iter().zip(&bias).zip(&writes).map(|((z, bias), w)| (z - bias) * w).collect();
        heads.push(each.chunks_exact(config.d_head()).map(|head| head.iter().sum::<f32>() / scale).collect());
    }
    Ok(Attribution {
        embed: part(Site::Embed)?,
        pos_embed: part(Site::PosEmbed)?,
        attn,
        mlp,
        heads,
        bias: direction.bias,
        total: direction.difference(&end.resid.data, scale),
    })
}

//! Named places in the model, spelled as TransformerLens spells them.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// A place whose value can be captured and edited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Site {
    /// Token embedding, `[batch, pos, d_model]`.
    Embed,
    /// Position embedding, `[batch, pos, d_model]`.
    PosEmbed,
    /// A place inside block `.0`.
    Block(usize, BlockSite),
    /// The final LayerNorm's scale, `sqrt(variance + eps)`, `[batch, pos, 1]`.
    FinalScale,
}

/// A place inside a block, in the order in which a run meets them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum BlockSite {
    /// Residual stream before the block, `[batch, pos, d_model]`.
    ResidPre,
    /// First LayerNorm's scale, `[batch, pos, 1]`.
    Ln1Scale,
    /// Queries, `[batch, pos, head, d_head]`.
    Q,
    /// Keys, `[batch, pos, head, d_head]`.
    K,
    /// Values, `[batch, pos, head, d_head]`.
    V,
    /// Attention's weights after the softmax, `[batch, head, query, key]`.
    Pattern,
    /// What each head reads, before `W_O`, `[batch, pos, head, d_head]`.
    Z,
    /// What attention writes, bias included, `[batch, pos, d_model]`.
    AttnOut,
    /// Residual stream between attention and MLP, `[batch, pos, d_model]`.
    ResidMid,
    /// Second LayerNorm's scale, `[batch, pos, 1]`.
    Ln2Scale,
    /// Neurons before GELU, `[batch, pos, d_mlp]`.
    MlpPre,
    /// Neurons after GELU, `[batch, pos, d_mlp]`.
    MlpPost,
    /// What the MLP writes, bias included, `[batch, pos, d_model]`.
    MlpOut,
    /// Residual stream after the block, `[batch, pos, d_model]`.
    ResidPost,
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Site::Embed => f.write_str("hook_embed"),
            Site::PosEmbed => f.write_str("hook_pos_embed"),
            Site::FinalScale => f.write_str("ln_final.hook_scale"),
            Site::Block(layer, site) => write!(f, "blocks.{layer}.{site}"),
        }
    }
}

impl BlockSite {
    /// In the order in which a run meets them.
    pub const ALL: [BlockSite; 14] = [
        BlockSite::ResidPre,
        BlockSite::Ln1Scale,
        BlockSite::Q,
        BlockSite::K,
        BlockSite::V,
        BlockSite::Pattern,
        BlockSite::Z,
        BlockSite::AttnOut,
        BlockSite::ResidMid,
        BlockSite::Ln2Scale,
        BlockSite::MlpPre,
        BlockSite::MlpPost,
        BlockSite::MlpOut,
        BlockSite::ResidPost,
    ];

    /// Its name inside the block.
    pub fn name(self) -> &'static str {
        match self {
            BlockSite::ResidPre => "hook_resid_pre",
            BlockSite::Ln1Scale => "ln1.hook_scale",
            BlockSite::Q => "attn.hook_q",
            BlockSite::K => "attn.hook_k",
            BlockSite::V => "attn.hook_v",
            BlockSite::Pattern => "attn.hook_pattern",
            BlockSite::Z => "attn.hook_z",
            BlockSite::AttnOut => "hook_attn_out",
            BlockSite::ResidMid => "hook_resid_mid",
            BlockSite::Ln2Scale => "ln2.hook_scale",
            BlockSite::MlpPre => "mlp.hook_pre",
            BlockSite::MlpPost => "mlp.hook_post",
            BlockSite::MlpOut => "hook_mlp_out",
            BlockSite::ResidPost => "hook_resid_post",
        }
    }
}

impl fmt::Display for BlockSite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Site {
    pub fn layer(self) -> Option<usize> {
        match self {
            Site::Block(layer, _) => Some(layer),
            Site::Embed | Site::PosEmbed | Site::FinalScale => None,
        }
    }

    pub fn block_site(self) -> Option<BlockSite> {
        match self {
            Site::Block(_, site) => Some(site),
            Site::Embed | Site::PosEmbed | Site::FinalScale => None,
        }
    }
}

impl FromStr for Site {
    type Err = Error;

    /// Reads what [`Site`]'s `Display` writes.
    fn from_str(name: &str) -> Result<Self> {
        let unknown = || Error::UnknownSite { name: name.to_owned() };
        match name {
            "hook_embed" => return Ok(Site::Embed),
            "hook_pos_embed" => return Ok(Site::PosEmbed),
            "ln_final.hook_scale" => return Ok(Site::FinalScale),
            _ => {}
        }
        let (layer, inner) = name.strip_prefix("blocks.").and_then(|rest| rest.split_once('.')).ok_or_else(unknown)?;
        let site = BlockSite::ALL.into_iter().find(|site| site.name() == inner).ok_or_else(unknown)?;
        Ok(Site::Block(layer.parse().map_err(|_| unknown())?, site))
    }
}

/// The sites that one run should keep.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SiteSet(BTreeSet<Site>);

impl SiteSet {
    /// Keeps nothing but the end of the residual stream.
    pub fn none() -> Self {
        SiteSet::default()
    }

    /// The residual stream before and after every attention and MLP: `2 * n_layer + 1` points, in order.
    pub fn residual_stream(n_layer: usize) -> Self {
        let inner =
            (0..n_layer).flat_map(|l| [Site::Block(l, BlockSite::ResidPre), Site::Block(l, BlockSite::ResidMid)]);
        inner.chain(n_layer.checked_sub(1).map(|l| Site::Block(l, BlockSite::ResidPost))).collect()
    }

    pub fn contains(&self, site: Site) -> bool {
        self.0.contains(&site)
    }

    /// In the order in which a run meets them.
    pub fn iter(&self) -> impl Iterator<Item = Site> + '_ {
        self.0.iter().copied()
    }
}

impl FromIterator<Site> for SiteSet {
    fn from_iter<I: IntoIterator<Item = Site>>(sites: I) -> Self {
        SiteSet(sites.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spells_sites_as_transformer_lens_does() {
        assert_eq!(Site::Block(31, BlockSite::MlpPost).to_string(), "blocks.31.mlp.hook_post");
        assert_eq!(Site::Block(0, BlockSite::ResidPre).to_string(), "blocks.0.hook_resid_pre");
        assert_eq!(Site::FinalScale.to_string(), "ln_final.hook_scale");
    }

    #[test]
    fn the_residual_stream_has_its_points_in_order() {
        let names: Vec<String> = SiteSet::residual_stream(2).iter().map(|site| site.to_string()).collect();
        assert_eq!(
            names,
            [
                "blocks.0.hook_resid_pre",
                "blocks.0.hook_resid_mid",
                "blocks.1.hook_resid_pre",
                "blocks.1.hook_resid_mid",
                "blocks.1.hook_resid_post"
            ]
        );
    }
}

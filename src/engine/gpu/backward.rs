//! The forward pass backwards on the card: how the logit difference of two tokens changes with every activation. As
//! [`crate::engine::cpu::backward`], in which the formulas stand.

use super::GpuEngine;
use super::base::GpuBase;
use super::buffers::Buffer;
use super::kernels::attention::Heads;
use super::kernels::product::Then;
use super::matrix::{padded, unpadded};
use super::stream::queries;
use super::weights::Linear;
use crate::engine::plan::Segment;
use crate::engine::{BaseRun, Control, Engine, Gradients};
use crate::error::Result;

/// Derivatives of one layer, on the card.
struct OfLayer {
    resid_pre: Buffer,
    resid_mid: Buffer,
    resid_post: Buffer,
    mlp_post: Buffer,
    z: Buffer,
}

/// Picks one site of a layer.
type SiteOf = fn(&OfLayer) -> &Buffer;

/// The positions that are followed: `rows` from `first` on.
struct Followed<'a> {
    base: &'a GpuBase,
    first: usize,
    rows: usize,
}

impl GpuEngine {
    pub(super) async fn backward(
        &self,
        base: &GpuBase,
        tokens: (u32, u32),
        (lowest, first): (usize, usize),
        control: &impl Control,
    ) -> Result<Gradients> {
        let rows = base.ids().len() - first;
        let followed = Followed { base, first, rows };
        let along = self.direction(tokens).await?.along;
        let mut g = self.first_derivative(&followed, &along);
        let mut layers = Vec::new();
        for layer in (lowest..self.config.n_layer).rev() {
            let resid_post = g;
            let (resid_mid, mlp_post) = self.mlp_backwards(layer, &followed, &resid_post)?;
            self.card.pace(control).await?;
            let (resid_pre, z) = self.attention_backwards(layer, &followed, &resid_mid)?;
            self.card.pace(control).await?;
            g = resid_pre.clone();
            layers.push(OfLayer { resid_pre, resid_mid, resid_post, mlp_post, z });
        }
        layers.reverse();
        self.gradients_of(&layers, lowest, first, rows).await
    }

    /// By the residual stream after the last block: only its last position counts.
    fn first_derivative(&self, followed: &Followed<'_>, along: &[f32]) -> Buffer {
        let (rows, stride) = (followed.rows, padded(self.config.d_model));
        let mut g_out = vec![0.0; (rows - 1) * self.config.d_model];
        g_out.extend_from_slice(along);
        let zeros = self.card.upload(&vec![0; rows * stride]);
        let ones = self.card.upload_floats(&vec![1.0; stride]);
        let x = self.followed_rows(&followed.base.resid_final, followed);
        let g = self.activation(rows);
        self.card.norm_backwards(&self.config, &ones, (&x, rows), (&self.rows(&g_out), &zeros), &g);
        g
    }

    /// From the derivative at `resid_post` to those at `resid_mid` and at `mlp.hook_post`.
    fn mlp_backwards(&self, layer: usize, followed: &Followed<'_>, g: &Buffer) -> Result<(Buffer, Buffer)> {
        let (weights, width, rows) = (&self.weights.blocks[layer], padded(self.config.d_mlp), followed.rows);
        let x = self.followed_rows(&followed.base.resid_mid[layer], followed);
        let post = self.backwards(&weights.mlp_c_proj, g, rows);
        let pre = self.card.room(rows * width);
        let normed = self.norm_rows(&weights.ln_2, &x, rows).1;
        self.card.product(&normed, rows, &weights.c_fc, Then::default(), &pre)?;
        let slopes = self.card.room(rows * width);
        self.card.slope(self.config.variant.activation_function, &pre, &post, rows * width, &slopes);
        let g_out = self.backwards(&weights.c_fc, &slopes, rows);
        let out = self.activation(rows);
        self.card.norm_backwards(&self.config, &weights.ln_2.weight, (&x, rows), (&g_out, g), &out);
        Ok((out, post))
    }

    /// From the derivative at `resid_mid` to those at `resid_pre` and at `attn.hook_z`.
    fn attention_backwards(&self, layer: usize, followed: &Followed<'_>, g: &Buffer) -> Result<(Buffer, Buffer)> {
        let (weights, base, rows) = (&self.weights.blocks[layer], followed.base, followed.rows);
        let width = padded(3 * self.config.d_model);
        let x = self.followed_rows(&base.resid_pre[layer], followed);
        let z = self.backwards(&weights.attn_c_proj, g, rows);
        let qkv = self.card.room(rows * width);
        let normed = self.norm_rows(&weights.ln_1, &x, rows).1;
        self.card.product(&normed, rows, &weights.c_attn, Then::default(), &qkv)?;
        let segment = Segment { run: 0, rows: 0..rows, first: followed.first };
        let heads = Heads {
            config: &self.config,
            queries: &self.card.upload(&queries(&[segment], 0, false)),
            n_query: rows,
            past: &base.qkv[layer],
            own: &qkv,
            n_key: base.ids().len(),
            scale: self.config.attention_scale(layer),
        };
        let pattern = self.card.room(heads.pattern_len());
        self.card.pattern(&heads, &pattern);
        let g_qkv = self.card.room(rows * width);
        self.card.attention_backwards(&heads, followed.first, &pattern, &z, &g_qkv);
        let g_out = self.backwards(&weights.c_attn, &g_qkv, rows);
        let out = self.activation(rows);
        self.card.norm_backwards(&self.config, &weights.ln_1.weight, (&x, rows), (&g_out, g), &out);
        Ok((out, z))
    }

    /// The derivative by the input of `x W + b`, from that by its output: `g Wᵀ`.
    fn backwards(&self, layer: &Linear, g: &Buffer, rows: usize) -> Buffer {
        let n_in = layer.weight.rows;
        let out = self.card.room(rows * padded(n_in));
        self.card.transposed(g, rows, &layer.weight, 0..n_in, &out);
        out
    }

    fn followed_rows(&self, x: &Buffer, followed: &Followed<'_>) -> Buffer {
        self.rows_of(x, followed.first..followed.first + followed.rows)
    }

    /// All layers' derivatives in the host's memory.
    async fn gradients_of(&self, layers: &[OfLayer], layer: usize, first: usize, rows: usize) -> Result<Gradients> {
        let (d, m) = (self.config.d_model, self.config.d_mlp);
        let sites: [(SiteOf, usize); 5] = [
            (|layer| &layer.resid_pre, d),
            (|layer| &layer.resid_mid, d),
            (|layer| &layer.resid_post, d),
            (|layer| &layer.mlp_post, m),
            (|layer| &layer.z, d),
        ];
        let parts: Vec<(&Buffer, usize, usize)> = sites
            .iter()
            .flat_map(|(site, width)| layers.iter().map(move |layer| (site(layer), 0, rows * padded(*width))))
            .collect();
        let mut values = self.card.read(&parts).await?.into_iter();
        let mut by_layer = |width: usize| -> Vec<Vec<f32>> {
            values.by_ref().take(layers.len()).map(|values| unpadded(&values, width)).collect()
        };
        Ok(Gradients {
            first,
            layer,
            resid_pre: by_layer(d),
            resid_mid: by_layer(d),
            resid_post: by_layer(d),
            mlp_post: by_layer(m),
            z: by_layer(d),
        })
    }
}

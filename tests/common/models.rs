//! Random models of random shapes, and random edits of their runs.

use std::collections::HashMap;

use candle_core::{DType, Device, Tensor};
use peartree::engine::edit::{Change, Edit, Part, Positions};
use peartree::engine::site::{BlockSite, Site};
use peartree::model::f16_bits::LIFT;
use peartree::model::weights::parameters;
use peartree::model::{Activation, Config, Variant, WeightDtype, Weights};
use proptest::prelude::*;

/// A small generator of our own: proptest's values shrink, weights needn't.
pub struct Lcg(pub u64);

impl Lcg {
    /// From -0.5 to 0.5.
    pub fn unit(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 40) as f32 / (1 << 24) as f32 - 0.5
    }
}

/// A model's shape, and the length of a prompt for it.
pub fn any_shape() -> impl Strategy<Value = (Config, usize)> {
    let activations = prop::sample::select(vec![Activation::GeluNew, Activation::Gelu, Activation::Silu]);
    let variant =
        (any::<[bool; 3]>(), activations).prop_map(|([tied, by_layer, scaled], activation_function)| Variant {
            activation_function,
            scale_attn_weights: scaled,
            scale_attn_by_inverse_layer_idx: by_layer,
            tie_word_embeddings: tied,
        });
    (1..4usize, 1..4usize, 2..7usize, 3..30usize, 2..12usize, 5..70usize, variant).prop_map(
        |(n_layer, n_head, d_head, d_mlp, n_pos, vocab_size, variant)| {
            let (d_model, n_ctx) = (n_head * d_head, 16);
            let config = Config {
                n_layer,
                n_head,
                d_model,
                d_mlp,
                n_ctx,
                vocab_size,
                ln_eps: 1e-5,
                bos_token_id: None,
                variant,
            };
            (config, n_pos)
        },
    )
}

pub fn weights(config: &Config, seed: u64, dtype: WeightDtype) -> Weights {
    let mut rng = Lcg(seed);
    let tensor = |(name, shape): (String, Vec<usize>)| {
        let gain = if name.contains("ln_") && name.ends_with("weight") { 1.0 } else { 0.0 };
        let (held, lift) = match dtype.of_parameter(&shape) {
            WeightDtype::F16 => (DType::F16, LIFT),
            WeightDtype::F32 => (DType::F32, 1.0),
        };
        let values: Vec<f32> = (0..shape.iter().product()).map(|_| (gain + rng.unit()) * lift).collect();
        (name, Tensor::from_vec(values, shape, &Device::Cpu).unwrap().to_dtype(held).unwrap())
    };
    let mut tensors: HashMap<_, _> = parameters(config).map(tensor).collect();
    Weights::from_tensors(config, &mut tensors).unwrap()
}

/// A few changes of a run of `n_pos` positions.
///
/// A residual vector all of one value has no variance, and LayerNorm makes noise of it on either side: no edit sets one, and
/// no two edits set both of its parts.
pub fn any_edits(config: &Config, n_pos: usize) -> impl Strategy<Value = Vec<Edit>> + use<> {
    let sets =
        |edits: &[Edit], site| edits.iter().any(|edit| edit.site == site && matches!(edit.change, Change::Set(_)));
    prop::collection::vec(any_edit(config, n_pos), 0..4)
        .prop_filter("the embedding and its position set", move |edits| {
            !(sets(edits, Site::Embed) && sets(edits, Site::PosEmbed))
        })
}

/// Any change of any site that leaves a residual vector its variance.
fn any_edit(config: &Config, n_pos: usize) -> impl Strategy<Value = Edit> + use<> {
    let config = config.clone();
    let sites: Vec<Site> = (0..config.n_layer)
        .flat_map(|layer| BlockSite::ALL.into_iter().map(move |site| Site::Block(layer, site)))
        .chain([Site::Embed, Site::PosEmbed, Site::FinalScale])
        .collect();
    let positions = prop_oneof![
        Just(Positions::All),
        prop::collection::btree_set(0..n_pos, 1..=n_pos).prop_map(|set| Positions::These(set.into_iter().collect())),
    ];
    (prop::sample::select(sites), any::<usize>(), any::<bool>(), positions, 0..4usize, -1.5f32..1.5, any::<u64>())
        .prop_map(move |(site, index, is_whole, at, kind, value, seed)| {
            use BlockSite::{K, MlpPost, MlpPre, Pattern, Q, V, Z};
            let part = match site.block_site() {
                Some(MlpPre | MlpPost) if !is_whole => Part::Neuron(index % config.d_mlp),
                Some(Q | K | V | Z | Pattern) if !is_whole => Part::Head(index % config.n_head),
                _ => Part::Whole,
            };
            let is_scale = matches!(site.block_site(), Some(BlockSite::Ln1Scale | BlockSite::Ln2Scale))
                || site == Site::FinalScale;
            // a LayerNorm's scale is above 0
            let value = if is_scale { value.abs() + 0.5 } else { value };
            let place = Edit { site, part, at, change: Change::Set(value) };
            let would_be_flat =
                matches!(site.block_site(), Some(BlockSite::ResidPre | BlockSite::ResidMid | BlockSite::ResidPost));
            let change = match (kind, &place.at) {
                (0, _) if would_be_flat => Change::Add(value),
                (0, _) => Change::Set(value),
                (1, _) => Change::Add(value),
                (2, _) => Change::Scale(value),
                (_, Positions::These(these)) if !is_scale && site.block_site() != Some(Pattern) => {
                    let mut rng = Lcg(seed);
                    Change::Rows((0..these.len() * place.columns(&config).len()).map(|_| rng.unit()).collect())
                }
                _ if would_be_flat => Change::Add(value),
                _ => Change::Set(value),
            };
            Edit { change, ..place }
        })
}

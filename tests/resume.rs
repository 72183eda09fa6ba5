//! Resumed runs against the slow reference: the whole forward pass with a hook, on random models and random edits.

mod common;

use std::collections::HashMap;

use candle_core::{DType, Device, Tensor};
use common::assert_close;
use peartree::engine::cpu::forward::{self, Hooks};
use peartree::engine::edit::{Change, Edit, Part, Positions, width};
use peartree::engine::site::{BlockSite, Site};
use peartree::engine::{CpuEngine, Engine, SiteSet, Unhurried, complete};
use peartree::model::f16_bits::LIFT;
use peartree::model::weights::parameters;
use peartree::model::{Config, WeightDtype, Weights};
use proptest::prelude::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn config() -> Config {
    Config {
        n_layer: 3,
        n_head: 2,
        d_model: 12,
        d_mlp: 20,
        n_ctx: 16,
        vocab_size: 30,
        ln_eps: 1e-5,
        bos_token_id: None,
        variant: Default::default(),
    }
}

/// A small generator of our own: proptest's values shrink, weights needn't.
struct Lcg(u64);

impl Lcg {
    fn unit(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 40) as f32 / (1 << 24) as f32 - 0.5
    }
}

fn weights(config: &Config, seed: u64, dtype: WeightDtype) -> Weights {
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

/// The reference: replaces values as a run meets them.
struct Naive<'a> {
    config: &'a Config,
    edits: &'a [Edit],
}

impl Hooks for Naive<'_> {
    fn at(&mut self, site: Site, value: Tensor) -> candle_core::Result<Tensor> {
        let shape = value.dims().to_vec();
        let mut data: Vec<f32> = value.flatten_all()?.to_vec1()?;
        for edit in self.edits.iter().filter(|edit| edit.site == site) {
            if site.block_site() == Some(BlockSite::Pattern) {
                let n_pos = shape[3];
                for (index, row) in data.chunks_exact_mut(n_pos).enumerate() {
                    let (head, query) = (index / n_pos, index % n_pos);
                    if edit.part == Part::Whole || edit.part == Part::Head(head) {
                        edit.apply(query, 0..query + 1, row);
                    }
                }
            } else {
                for (pos, row) in data.chunks_exact_mut(width(site, self.config)).enumerate() {
                    edit.apply(pos, edit.columns(self.config), row);
                }
            }
        }
        Tensor::from_vec(data, shape, &Device::Cpu)
    }
}

fn naive(config: &Config, weights: &Weights, ids: &[u32], edits: &[Edit]) -> Vec<f32> {
    let input = Tensor::from_slice(ids, (1, ids.len()), &Device::Cpu).unwrap();
    let logits = forward::logits(config, weights, &input, &mut Naive { config, edits }).unwrap();
    logits.get(ids.len() - 1).unwrap().to_vec1().unwrap()
}

fn any_edit(n_pos: usize) -> impl Strategy<Value = Edit> {
    let config = config();
    let sites: Vec<Site> = (0..config.n_layer)
        .flat_map(|layer| BlockSite::ALL.into_iter().map(move |site| Site::Block(layer, site)))
        .chain([Site::Embed, Site::PosEmbed, Site::FinalScale])
        .collect();
    let positions = prop_oneof![
        Just(Positions::All),
        prop::collection::btree_set(0..n_pos, 1..=n_pos).prop_map(|set| Positions::These(set.into_iter().collect())),
    ];
    (prop::sample::select(sites), 0..20usize, any::<bool>(), positions, 0..4usize, -1.5f32..1.5, any::<u64>()).prop_map(
        move |(site, index, is_whole, at, kind, value, seed)| {
            use BlockSite::{K, MlpPost, MlpPre, Pattern, Q, V, Z};
            let part = match site.block_site() {
                Some(MlpPre | MlpPost) if !is_whole => Part::Neuron(index),
                Some(Q | K | V | Z | Pattern) if !is_whole => Part::Head(index % 2),
                _ => Part::Whole,
            };
            let is_scale = matches!(site.block_site(), Some(BlockSite::Ln1Scale | BlockSite::Ln2Scale))
                || site == Site::FinalScale;
            // a LayerNorm's scale is above 0
            let value = if is_scale { value.abs() + 0.5 } else { value };
            let place = Edit { site, part, at, change: Change::Set(value) };
            // a residual vector all of one value has no variance, and LayerNorm makes noise of it on either side
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
        },
    )
}

fn cases() -> ProptestConfig {
    // in the browser there is nowhere to keep failures, and each case is slower
    let few = cfg!(target_arch = "wasm32");
    ProptestConfig { cases: if few { 48 } else { 400 }, failure_persistence: None, ..ProptestConfig::default() }
}

/// Every run of a batch ends as the slow reference does.
#[test]
fn any_edits_of_any_sites_end_as_the_hooked_run() {
    let runs = prop::collection::vec(prop::collection::vec(any_edit(7), 0..4), 1..6);
    let mut runner = proptest::test_runner::TestRunner::new(cases());
    let dtypes = prop::sample::select(vec![WeightDtype::F32, WeightDtype::F16]);
    let inputs = (any::<u64>(), dtypes, prop::collection::vec(0u32..30, 7), runs);
    let result = runner.run(&inputs, |(seed, dtype, ids, runs)| {
        let (config, weights) = (config(), weights(&config(), seed, dtype));
        let engine = CpuEngine::new(config.clone(), weights.clone());
        let base = complete(engine.base(&ids, &Unhurried)).unwrap();
        let ends = complete(engine.resume(&base, &runs, &Unhurried)).unwrap();
        let logits = complete(engine.unembed(&ends.resid, ends.norm(), &Unhurried)).unwrap();
        let mut differences = vec![f32::NAN; runs.len()];
        complete(engine.sweep(&base, &runs, (3, 8), &Unhurried, |places, found| {
            for (&place, &difference) in places.iter().zip(found) {
                differences[place] = difference;
            }
        }))
        .unwrap();
        for (run, edits) in runs.iter().enumerate() {
            let slow = naive(&config, &weights, &ids, edits);
            for (ours, slow) in logits.row(run).iter().zip(&slow) {
                prop_assert!((ours - slow).abs() <= 1e-4 * slow.abs().max(1.0), "{ours}, hooked {slow}: {edits:?}");
            }
            let slow = slow[3] - slow[8];
            prop_assert!((differences[run] - slow).abs() <= 1e-4 * slow.abs().max(1.0), "{} {slow}", differences[run]);
        }
        Ok(())
    });
    result.unwrap();
}

/// A run's every site, captured, is what the readable forward pass has there.
#[test]
fn every_site_is_the_forward_passes() {
    struct All(Vec<(Site, Vec<usize>, Vec<f32>)>);
    impl Hooks for All {
        fn at(&mut self, site: Site, value: Tensor) -> candle_core::Result<Tensor> {
            self.0.push((site, value.dims().to_vec(), value.flatten_all()?.to_vec1()?));
            Ok(value)
        }
    }
    let (config, weights) = (config(), weights(&config(), 5, WeightDtype::F32));
    let rows: [Vec<u32>; 2] = [(0..9).map(|i| i * 7 % 30).collect(), (0..9).map(|i| i * 11 % 30).collect()];
    let input = Tensor::from_vec(rows.concat(), (2, 9), &Device::Cpu).unwrap();
    let mut all = All(Vec::new());
    forward::logits(&config, &weights, &input, &mut all).unwrap();
    let engine = CpuEngine::new(config, weights);
    let sites: SiteSet = all.0.iter().map(|(site, ..)| *site).collect();
    assert_eq!(sites.iter().count(), 3 * BlockSite::ALL.len() + 3);
    let run = complete(engine.run(&[&rows[0], &rows[1]], &sites, &Unhurried)).unwrap();
    let base = complete(engine.base(&rows[0], &Unhurried)).unwrap();
    for (site, shape, values) in &all.0 {
        let kept = &run.captured[site];
        assert_eq!(kept.shape, *shape, "{site}");
        assert_close(&site.to_string(), &kept.data, values);
        let alone = complete(engine.base_value(&base, *site, &Unhurried)).unwrap();
        assert_close(&site.to_string(), &alone.data, &values[..values.len() / 2]);
    }
}

/// Derivatives by hand against candle's, through a zero added at every site.
#[test]
fn gradients_are_candles() {
    use candle_core::Var;
    struct Zeros(HashMap<Site, Var>);
    impl Hooks for Zeros {
        fn at(&mut self, site: Site, value: Tensor) -> candle_core::Result<Tensor> {
            let zero = Var::zeros(value.dims(), value.dtype(), &Device::Cpu)?;
            let changed = (value + zero.as_tensor())?;
            self.0.insert(site, zero);
            Ok(changed)
        }
    }
    let (config, weights) = (config(), weights(&config(), 11, WeightDtype::F32));
    let ids: Vec<u32> = (0..8).map(|i| i * 13 % 30).collect();
    let input = Tensor::from_slice(&ids, (1, 8), &Device::Cpu).unwrap();
    let mut zeros = Zeros(HashMap::new());
    let logits = forward::logits(&config, &weights, &input, &mut zeros).unwrap().get(7).unwrap();
    let difference = (logits.get(3).unwrap() - logits.get(8).unwrap()).unwrap();
    let grads = difference.backward().unwrap();
    let engine = CpuEngine::new(config.clone(), weights);
    let base = complete(engine.base(&ids, &Unhurried)).unwrap();
    for first in [0, 3] {
        let ours = complete(engine.gradients(&base, (3, 8), (1, first), &Unhurried)).unwrap();
        for layer in 1..config.n_layer {
            let sites = [
                (BlockSite::ResidPre, &ours.resid_pre),
                (BlockSite::ResidMid, &ours.resid_mid),
                (BlockSite::ResidPost, &ours.resid_post),
                (BlockSite::MlpPost, &ours.mlp_post),
                (BlockSite::Z, &ours.z),
            ];
            for (site, found) in sites {
                let theirs = grads.get(zeros.0[&Site::Block(layer, site)].as_tensor()).unwrap();
                let theirs: Vec<f32> =
                    theirs.narrow(1, first, 8 - first).unwrap().flatten_all().unwrap().to_vec1().unwrap();
                assert_close(&format!("{site} of layer {layer}"), &found[layer - 1], &theirs);
            }
        }
    }
}

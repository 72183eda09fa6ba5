//! Every operation of an engine, held against another engine's.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use peartree::engine::edit::Edit;
use peartree::engine::extremes::{Extremes, Spread};
use peartree::engine::products::Block;
use peartree::engine::site::{BlockSite, Site, SiteSet};
use peartree::engine::{BaseRun, Engine, FinalNorm, Gradients, Products, TokenRows, Unhurried, complete};
use peartree::model::{Config, WeightDtype};
use proptest::prelude::*;

use super::models::{Lcg, any_edits, any_shape};

/// The largest difference of each operation, of a figure's size, or of 1 where it is smaller.
pub struct Differences {
    tolerance: f64,
    largest: RefCell<BTreeMap<&'static str, f64>>,
}

impl Default for Differences {
    /// As the engines on the processor must agree.
    fn default() -> Self {
        Differences::within(1e-4)
    }
}

impl Differences {
    pub fn within(tolerance: f64) -> Self {
        Differences { tolerance, largest: RefCell::default() }
    }

    #[track_caller]
    pub fn note(&self, operation: &'static str, ours: &[f32], right: &[f32], about: &dyn std::fmt::Debug) {
        let right: Vec<f64> = right.iter().map(|&value| f64::from(value)).collect();
        self.note_f64(operation, ours, &right, about);
    }

    #[track_caller]
    pub fn note_f64(&self, operation: &'static str, ours: &[f32], right: &[f64], about: &dyn std::fmt::Debug) {
        assert_eq!(ours.len(), right.len(), "{operation}: lengths, {about:?}");
        let mut seen = self.largest.borrow_mut();
        let largest = seen.entry(operation).or_default();
        for (&ours, &right) in ours.iter().zip(right) {
            let difference = (f64::from(ours) - right).abs() / right.abs().max(1.0);
            assert!(difference <= self.tolerance, "{operation}: {ours}, should be {right}: {about:?}");
            *largest = largest.max(difference);
        }
    }

    pub fn print(&self, engine: &str) {
        println!("{engine}: largest difference of each operation, as a share of the figure or of 1");
        for (operation, largest) in self.largest.borrow().iter() {
            println!("  {operation:<18} {largest:.1e}");
        }
    }
}

pub fn cases() -> ProptestConfig {
    // in the browser there is nowhere to keep failures, and each case is slower
    let few = cfg!(target_arch = "wasm32");
    ProptestConfig { cases: if few { 32 } else { 300 }, failure_persistence: None, ..ProptestConfig::default() }
}

pub fn all_sites(config: &Config) -> SiteSet {
    let blocks = (0..config.n_layer).flat_map(|layer| BlockSite::ALL.map(|site| Site::Block(layer, site)));
    blocks.chain([Site::Embed, Site::PosEmbed, Site::FinalScale]).collect()
}

/// Runs of one prompt: what can be read of it, and how it goes on with edits.
pub fn runs<A: Engine, B: Engine>(ours: &A, right: &B, ids: &[u32], edited: &[Vec<Edit>], seen: &Differences) {
    let config = ours.config();
    let sites = all_sites(config);
    // half of the sites are kept, the others worked out again
    let keep = sites.iter().enumerate().filter(|(place, _)| place % 2 == 0).map(|(_, site)| site).collect();
    let base = complete(ours.base(ids, None, &keep, &Unhurried)).unwrap();
    let right_base = complete(right.base(ids, None, &SiteSet::none(), &Unhurried)).unwrap();
    assert_eq!(base.ids(), ids);
    for from in [0, ids.len() / 2, ids.len() - 1] {
        let found = complete(ours.read(&base, &sites, from, &Unhurried)).unwrap();
        let should = complete(right.read(&right_base, &sites, from, &Unhurried)).unwrap();
        for site in sites.iter() {
            let (found, should) = (found.at(site).unwrap(), should.at(site).unwrap());
            assert_eq!(found.shape, should.shape, "{site}");
            seen.note("read", &found.data, &should.data, &site);
        }
    }
    // one that begins alike
    let other: Vec<u32> = ids.iter().enumerate().map(|(pos, &id)| if pos < ids.len() / 2 { id } else { 0 }).collect();
    let found = complete(ours.base(&other, Some(&base), &SiteSet::none(), &Unhurried)).unwrap();
    let should = complete(right.base(&other, None, &SiteSet::none(), &Unhurried)).unwrap();
    let found = complete(ours.read(&found, &sites, 0, &Unhurried)).unwrap();
    let should = complete(right.read(&should, &sites, 0, &Unhurried)).unwrap();
    for site in sites.iter() {
        seen.note("base like another", &found.at(site).unwrap().data, &should.at(site).unwrap().data, &site);
    }
    let beyond = Site::Block(config.n_layer, BlockSite::Z);
    assert!(complete(ours.read(&base, &[beyond].into_iter().collect(), 0, &Unhurried)).is_err());
    let (end, should) =
        (complete(ours.end(&base, &Unhurried)).unwrap(), complete(right.end(&right_base, &Unhurried)).unwrap());
    seen.note("end", &end.resid.data, &should.resid.data, &ids);
    seen.note("end", &end.scales, &should.scales, &ids);

    let tokens = (0, config.vocab_size as u32 - 1);
    let ends = complete(ours.ends(&base, edited, &Unhurried)).unwrap();
    let should = complete(right.ends(&right_base, edited, &Unhurried)).unwrap();
    seen.note("resume", &ends.resid.data, &should.resid.data, &edited);
    seen.note("resume", &ends.scales, &should.scales, &edited);
    let swept = |found: &mut Vec<f32>, places: &[usize], differences: &[f32]| {
        places.iter().zip(differences).for_each(|(&place, &difference)| found[place] = difference);
    };
    let (mut found, mut should) = (vec![f32::NAN; edited.len()], vec![f32::NAN; edited.len()]);
    complete(ours.sweep(&base, edited, tokens, &Unhurried, |places, d| swept(&mut found, places, d))).unwrap();
    complete(right.sweep(&right_base, edited, tokens, &Unhurried, |places, d| swept(&mut should, places, d))).unwrap();
    seen.note("sweep", &found, &should, &edited);

    let rows = vec![ids; edited.len()];
    let found = complete(ours.last_resid(&rows, edited, &Unhurried)).unwrap();
    let should = complete(right.last_resid(&rows, edited, &Unhurried)).unwrap();
    seen.note("last_resid", &found.data, &should.data, &edited);

    for first in [0, ids.len() - 1] {
        let layer = first.min(config.n_layer - 1);
        let found = complete(ours.gradients(&base, tokens, (layer, first), &Unhurried)).unwrap();
        let should = complete(right.gradients(&right_base, tokens, (layer, first), &Unhurried)).unwrap();
        for (found, should) in by_site(&found).zip(by_site(&should)) {
            seen.note("gradients", &found, &should, &first);
        }
    }

    // a few tokens, then one at a time, the same edits at each step
    let (mut cache, mut right_cache) = (ours.cache(), right.cache());
    let edits = edited.first().map_or(&[][..], |edits| edits);
    let (start, rest) = ids.split_at(ids.len() / 2 + 1);
    for part in std::iter::once(start).chain(rest.chunks(1)) {
        let found = complete(ours.extend(&mut cache, part, edits, &Unhurried)).unwrap();
        let should = complete(right.extend(&mut right_cache, part, edits, &Unhurried)).unwrap();
        seen.note("extend", &found.resid.data, &should.resid.data, &edits);
        seen.note("extend", &found.scales, &should.scales, &edits);
    }
}

fn by_site(gradients: &Gradients) -> impl Iterator<Item = Vec<f32>> + '_ {
    let all = [&gradients.resid_pre, &gradients.resid_mid, &gradients.resid_post, &gradients.mlp_post, &gradients.z];
    all.into_iter().flatten().cloned()
}

/// Many prompts' neurons, and what rows of the residual stream become.
pub fn unembedding<A: Engine, B: Engine>(ours: &A, right: &B, ids: &[u32], seen: &Differences) {
    let config = ours.config();
    let layers: BTreeSet<usize> = (0..config.n_layer).step_by(2).collect();
    let prompts = [ids, &ids[..1], &ids[ids.len() / 2..]];
    let (mut found, mut should) = (Vec::new(), Vec::new());
    let resid =
        complete(ours.neurons(&prompts, &layers, true, &Unhurried, |_, rows| found.extend_from_slice(rows))).unwrap();
    let right_resid =
        complete(right.neurons(&prompts, &layers, true, &Unhurried, |_, rows| should.extend_from_slice(rows))).unwrap();
    seen.note("neurons", &found, &should, &prompts);
    seen.note("neurons", &resid.data, &right_resid.data, &prompts);

    let resid = right_resid;
    let rows = resid.data.len() / config.d_model;
    let scales: Vec<f32> = (0..rows).map(|row| 0.5 + row as f32 / 8.0).collect();
    let tokens: Vec<u32> = (0..config.vocab_size as u32).step_by(3).collect();
    for norm in [FinalNorm::Own, FinalNorm::Frozen(&scales)] {
        let found = complete(ours.unembed(&resid, norm, &Unhurried)).unwrap();
        let should = complete(right.unembed(&resid, norm, &Unhurried)).unwrap();
        assert_eq!(found.shape, [rows, config.vocab_size]);
        seen.note("unembed", &found.data, &should.data, &rows);
        let few = complete(ours.unembed_tokens(&resid, norm, &tokens)).unwrap();
        let some = should.data.chunks_exact(config.vocab_size);
        let some: Vec<f32> = some.flat_map(|row| tokens.iter().map(|&id| row[id as usize])).collect();
        seen.note("unembed_tokens", &few.data, &some, &rows);
        let found = complete(ours.unembed_topk(&resid, norm, 3, &Unhurried)).unwrap();
        let should = complete(right.unembed_topk(&resid, norm, 3, &Unhurried)).unwrap();
        for (found, should) in found.concat().iter().zip(should.concat()) {
            let (ours, right) = ([found.logit, found.logprob], [should.logit, should.logprob]);
            seen.note("unembed_topk", &ours, &right, &(found.id, should.id));
        }
    }
    let found = complete(ours.likeliest_among(&resid, &tokens, &Unhurried)).unwrap();
    assert_eq!(found, complete(right.likeliest_among(&resid, &tokens, &Unhurried)).unwrap());
    let targets: Vec<u32> = (1..rows as u32).map(|id| id % config.vocab_size as u32).collect();
    let found = complete(ours.logprobs(&resid, &targets, &Unhurried)).unwrap();
    seen.note("logprobs", &found, &complete(right.logprobs(&resid, &targets, &Unhurried)).unwrap(), &targets);
}

/// What weights are by themselves.
pub fn products<A: Products, B: Products>(ours: &A, right: &B, seen: &Differences) {
    let config = ours.config();
    let (d_model, vocab, last) = (config.d_model, config.vocab_size, config.n_layer - 1);
    let mut rng = Lcg(7);
    let along: Vec<f32> = (0..d_model).map(|_| rng.unit()).collect();
    let tokens: Vec<u32> = (0..vocab as u32).rev().step_by(2).collect();
    let neuron = config.d_mlp / 2;

    let (found, should) = (complete(ours.direction((1, 0))).unwrap(), complete(right.direction((1, 0))).unwrap());
    seen.note("direction", &found.along, &should.along, &"along");
    seen.note("direction", &[found.bias], &[should.bias], &"bias");
    macro_rules! same {
        ($what:literal, $engine:ident => $call:expr) => {{
            let found = {
                let $engine = ours;
                complete($call).unwrap()
            };
            let should = {
                let $engine = right;
                complete($call).unwrap()
            };
            seen.note($what, &found, &should, &$what);
        }};
    }
    same!("neuron_writes", engine => engine.neuron_writes(last, &along));
    same!("head_writes", engine => engine.head_writes(last, &along));
    same!("value_bias", engine => engine.value_bias(last));
    same!("output_weights", engine => engine.output_weights(last, 1..neuron + 1));
    same!("final_weight", engine => engine.final_weight());
    let (found, should) =
        (complete(ours.input_weights(0, neuron)).unwrap(), complete(right.input_weights(0, neuron)).unwrap());
    seen.note("input_weights", &found.raw, &should.raw, &neuron);
    seen.note("input_weights", &found.folded, &should.folded, &neuron);
    seen.note("input_weights", &[found.bias, found.folded_bias], &[should.bias, should.folded_bias], &neuron);
    assert!(complete(ours.input_weights(0, config.d_mlp)).is_err());
    for of in [TokenRows::Embedding, TokenRows::Unembedding] {
        same!("token_rows", engine => engine.token_rows(of, &tokens));
        same!("token_products", engine => engine.token_products(of, &along));
        let mean = |values: Vec<f64>| values.into_iter().map(|value| value as f32).collect::<Vec<_>>();
        let found = mean(complete(ours.mean_row(of)).unwrap());
        seen.note("mean_row", &found, &mean(complete(right.mean_row(of)).unwrap()), &of);
        let vectors: Vec<f32> = (0..5 * d_model).map(|_| rng.unit()).collect();
        let block = Block::new(3, &vectors, &[0.5, 0.0, -0.25, 1.0, 0.125], d_model);
        same!("project", engine => engine.project(of, &block, 1..vocab));
        projected(ours, right, of, &block, 0..vocab, seen);
    }
}

/// What stands out of a block's products, and how they spread.
fn projected<A: Products, B: Products>(
    ours: &A,
    right: &B,
    of: TokenRows,
    block: &Block,
    tokens: Range<usize>,
    seen: &Differences,
) {
    let empty = |rows| Extremes::new(2, vec![Spread::new(0.1, 0.5); rows]);
    let mut found = (empty(tokens.len()), empty(block.rows));
    let mut should = found.clone();
    complete(ours.project_topk(of, block, tokens.clone(), &mut found.0, &mut found.1)).unwrap();
    complete(right.project_topk(of, block, tokens, &mut should.0, &mut should.1)).unwrap();
    for (found, should) in [(found.0, should.0), (found.1, should.1)] {
        let values = |rows: &Extremes| rows.entries().iter().map(|entry| entry.value).collect::<Vec<_>>();
        seen.note("project_topk", &values(&found), &values(&should), &of);
        for (found, should) in found.spreads().iter().zip(should.spreads()) {
            seen.note_f64("project_topk", &[found.squares as f32], &[should.squares], &of);
            assert_eq!(found.counts.iter().sum::<u32>(), should.counts.iter().sum::<u32>());
        }
    }
}

/// A model's shape, a prompt, several runs' edits, its weights' seed and type.
pub fn inputs() -> impl Strategy<Value = (Config, Vec<u32>, Vec<Vec<Edit>>, u64, WeightDtype)> {
    any_shape().prop_flat_map(|(config, n_pos)| {
        let runs = prop::collection::vec(any_edits(&config, n_pos), 1..6);
        let ids = prop::collection::vec(0..config.vocab_size as u32, n_pos);
        let dtypes = prop::sample::select(vec![WeightDtype::F32, WeightDtype::F16]);
        (Just(config), ids, runs, any::<u64>(), dtypes)
    })
}

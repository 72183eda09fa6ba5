//! Every operation of every engine, on random shapes, variants and edits: the processor's against the reference engine,
//! and that against plain passes in f64. The largest difference of each operation is printed
//! (`cargo test --test conformance -- --nocapture`).

mod common;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::pin::Pin;
use std::rc::Rc;

use common::models::{Lcg, any_edits, any_shape, weights};
use common::plain::Plain;
use peartree::engine::cpu::CpuEngine;
use peartree::engine::edit::{Change, Edit, Part, Positions};
use peartree::engine::extremes::{Extremes, Spread};
use peartree::engine::products::Block;
use peartree::engine::reference::ReferenceEngine;
use peartree::engine::remote::{Host, Line, RemoteEngine};
use peartree::engine::site::{BlockSite, Site, SiteSet};
use peartree::engine::{Activation, BaseRun, Engine, FinalNorm, Gradients, Products, TokenRows, Unhurried, complete};
use peartree::error::Result;
use peartree::model::{Config, Variant, WeightDtype};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// Of a figure's size, or of 1 where it is smaller.
const TOLERANCE: f64 = 1e-4;

/// The largest difference of each operation.
#[derive(Default)]
struct Differences(RefCell<BTreeMap<&'static str, f64>>);

impl Differences {
    #[track_caller]
    fn note(&self, operation: &'static str, ours: &[f32], right: &[f32], about: &dyn std::fmt::Debug) {
        let right: Vec<f64> = right.iter().map(|&value| f64::from(value)).collect();
        self.note_f64(operation, ours, &right, about);
    }

    #[track_caller]
    fn note_f64(&self, operation: &'static str, ours: &[f32], right: &[f64], about: &dyn std::fmt::Debug) {
        assert_eq!(ours.len(), right.len(), "{operation}: lengths, {about:?}");
        let mut seen = self.0.borrow_mut();
        let largest = seen.entry(operation).or_default();
        for (&ours, &right) in ours.iter().zip(right) {
            let difference = (f64::from(ours) - right).abs() / right.abs().max(1.0);
            assert!(difference <= TOLERANCE, "{operation}: {ours}, should be {right}: {about:?}");
            *largest = largest.max(difference);
        }
    }

    fn print(&self, engine: &str) {
        println!("{engine}: largest difference of each operation, as a share of the figure or of 1");
        for (operation, largest) in self.0.borrow().iter() {
            println!("  {operation:<18} {largest:.1e}");
        }
    }
}

fn cases() -> ProptestConfig {
    // in the browser there is nowhere to keep failures, and each case is slower
    let few = cfg!(target_arch = "wasm32");
    ProptestConfig { cases: if few { 32 } else { 300 }, failure_persistence: None, ..ProptestConfig::default() }
}

fn all_sites(config: &Config) -> SiteSet {
    let blocks = (0..config.n_layer).flat_map(|layer| BlockSite::ALL.map(|site| Site::Block(layer, site)));
    blocks.chain([Site::Embed, Site::PosEmbed, Site::FinalScale]).collect()
}

/// Runs of one prompt: what can be read of it, and how it goes on with edits.
fn runs<A: Engine, B: Engine>(ours: &A, right: &B, ids: &[u32], edited: &[Vec<Edit>], seen: &Differences) {
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
fn unembedding<A: Engine, B: Engine>(ours: &A, right: &B, ids: &[u32], seen: &Differences) {
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
fn products<A: Products, B: Products>(ours: &A, right: &B, seen: &Differences) {
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
fn inputs() -> impl Strategy<Value = (Config, Vec<u32>, Vec<Vec<Edit>>, u64, WeightDtype)> {
    any_shape().prop_flat_map(|(config, n_pos)| {
        let runs = prop::collection::vec(any_edits(&config, n_pos), 1..6);
        let ids = prop::collection::vec(0..config.vocab_size as u32, n_pos);
        let dtypes = prop::sample::select(vec![WeightDtype::F32, WeightDtype::F16]);
        (Just(config), ids, runs, any::<u64>(), dtypes)
    })
}

#[test]
fn the_processors_engine_is_the_reference() {
    let seen = Differences::default();
    let checked = TestRunner::new(cases()).run(&inputs(), |(config, ids, edited, seed, dtype)| {
        let weights = weights(&config, seed, dtype);
        let ours = CpuEngine::new(config.clone(), weights.clone());
        let right = ReferenceEngine::new(config, weights);
        runs(&ours, &right, &ids, &edited, &seen);
        unembedding(&ours, &right, &ids, &seen);
        products(&ours, &right, &seen);
        Ok(())
    });
    seen.print("cpu, against reference");
    checked.unwrap();
}

/// The way to a host in this program.
struct Here<E: Engine>(Host<E>);

impl<E: Engine + Products + 'static> Line for Here<E> {
    fn step(&self, word: Vec<u8>) -> Pin<Box<dyn Future<Output = Result<Vec<u8>>> + '_>> {
        Box::pin(async move { Ok(self.0.step(&word).await) })
    }

    fn tell(&self, word: Vec<u8>) {
        assert!(complete(async { Ok(self.0.step(&word).await) }).unwrap().is_empty());
    }
}

#[test]
fn an_engine_in_another_program_is_that_engine() {
    let seen = Differences::default();
    let few = ProptestConfig { cases: cases().cases / 4, ..cases() };
    let checked = TestRunner::new(few).run(&inputs(), |(config, ids, edited, seed, dtype)| {
        let weights = weights(&config, seed, dtype);
        let host = Rc::new(Here(Host::new(CpuEngine::new(config.clone(), weights.clone()))));
        let ours = RemoteEngine::new(config.clone(), dtype, host);
        let right = CpuEngine::new(config, weights);
        runs(&ours, &right, &ids, &edited, &seen);
        unembedding(&ours, &right, &ids, &seen);
        products(&ours, &right, &seen);
        Ok(())
    });
    seen.print("cpu in another program, against cpu");
    checked.unwrap();
}

/// The card's engine, on whatever card there is: on a machine without one, the processor pretends to be it. In a module of its
/// own, for a browser has its tests in `tests/e2e/webgpu.test.mjs`.
#[cfg(not(target_arch = "wasm32"))]
mod card {
    use peartree::engine::gpu::device::{Choice, Device, Extent};
    use peartree::engine::gpu::{Card, GpuEngine};

    use super::*;

    fn is_the_reference(extent: Extent, cases: u32) {
        let card = Rc::new(Card::new(pollster::block_on(Device::open(Choice::Any, extent)).unwrap()));
        let seen = Differences::default();
        let few = ProptestConfig { cases, ..super::cases() };
        let checked = TestRunner::new(few).run(&inputs(), |(config, ids, edited, seed, dtype)| {
            let weights = weights(&config, seed, dtype);
            let ours = GpuEngine::new(card.clone(), config.clone(), &weights).unwrap();
            let right = ReferenceEngine::new(config, weights);
            runs(&ours, &right, &ids, &edited, &seen);
            unembedding(&ours, &right, &ids, &seen);
            products(&ours, &right, &seen);
            Ok(())
        });
        seen.print(&format!("gpu ({}), against reference", card.device.name()));
        checked.unwrap();
    }

    /// A shape like GPT-2's, only smaller, on a card of its own.
    fn engine() -> GpuEngine {
        let config = Config {
            n_layer: 6,
            n_head: 4,
            d_model: 32,
            d_mlp: 128,
            n_ctx: 64,
            vocab_size: 100,
            ln_eps: 1e-5,
            bos_token_id: None,
            variant: Variant::default(),
        };
        let card = Rc::new(Card::new(pollster::block_on(Device::open(Choice::Any, Extent::Least)).unwrap()));
        GpuEngine::new(card, config.clone(), &weights(&config, 3, WeightDtype::F32)).unwrap()
    }

    /// What a visit does again and again: a prompt's run, a sweep of a layer's neurons, a few tokens written on.
    fn work(engine: &GpuEngine, ids: &[u32]) {
        let base = complete(engine.base(ids, None, &SiteSet::none(), &Unhurried)).unwrap();
        let neuron = |neuron| Edit {
            site: Site::Block(1, BlockSite::MlpPost),
            part: Part::Neuron(neuron),
            at: Positions::These(vec![ids.len() - 1]),
            change: Change::Set(1.5),
        };
        let runs: Vec<Vec<Edit>> = (0..128).map(|at| vec![neuron(at)]).collect();
        complete(engine.sweep(&base, &runs, (1, 2), &Unhurried, |_, _| ())).unwrap();
        let mut cache = engine.cache();
        for part in [ids, &ids[..1], &ids[..1]] {
            let end = complete(engine.extend(&mut cache, part, &[], &Unhurried)).unwrap();
            complete(engine.unembed_topk(&end.resid, end.norm(), 5, &Unhurried)).unwrap();
        }
    }

    #[test]
    #[ignore = "needs a graphics card, or mesa-vulkan-drivers"]
    fn in_the_steady_state_nothing_is_made_and_little_comes_back() {
        let engine = engine();
        let ids: Vec<u32> = (0..20).collect();
        (0..3).for_each(|_| work(&engine, &ids));
        let before = engine.counts();
        work(&engine, &ids);
        let after = engine.counts();
        println!("{before:?}\n{after:?}");
        assert_eq!(after.buffers, before.buffers, "buffers");
        assert_eq!(after.pipelines, before.pipelines, "pipelines");
        assert_eq!(after.bind_groups, before.bind_groups, "bind groups");
    }

    #[test]
    #[ignore = "needs a graphics card, or mesa-vulkan-drivers"]
    fn a_pass_takes_at_most_eight_dispatches_a_layer_and_a_run_of_a_sweep_brings_back_four_bytes() {
        let engine = engine();
        let ids: Vec<u32> = (0..20).collect();
        let (layers, tokens) = (engine.config().n_layer as u64, (1, 2));
        let before = engine.counts();
        let base = complete(engine.base(&ids, None, &SiteSet::none(), &Unhurried)).unwrap();
        complete(engine.end(&base, &Unhurried)).unwrap();
        let dispatches = engine.counts().dispatches - before.dispatches;
        // the embedding's two, and the final LayerNorm
        assert!(dispatches <= 8 * layers + 3, "{dispatches}");
        let run = |by| Edit {
            site: Site::Block(1, BlockSite::ResidPre),
            part: Part::Whole,
            at: Positions::All,
            change: Change::Add(by as f32 / 100.0),
        };
        // what is read once for all runs: the site that is edited, the direction that is measured
        let one = |runs: &[Vec<Edit>]| {
            let before = engine.counts();
            complete(engine.sweep(&base, runs, tokens, &Unhurried, |_, _| ())).unwrap();
            engine.counts().read_bytes - before.read_bytes
        };
        let (few, many) = (one(&[vec![run(1)]]), one(&(1..=101).map(|by| vec![run(by)]).collect::<Vec<_>>()));
        assert_eq!(many - few, 400);
    }

    #[test]
    #[ignore = "needs a graphics card, or mesa-vulkan-drivers"]
    fn is_the_reference_with_all_that_there_is() {
        is_the_reference(Extent::Own, 150);
    }

    #[test]
    #[ignore = "needs a graphics card, or mesa-vulkan-drivers"]
    fn is_the_reference_within_webgpus_defaults() {
        is_the_reference(Extent::Least, 50);
    }

    #[test]
    #[ignore = "needs a graphics card, or mesa-vulkan-drivers"]
    fn is_the_reference_where_the_tokens_rows_lie_in_pieces_and_attention_goes_in_steps() {
        let config = Config {
            n_layer: 1,
            n_head: 2,
            d_model: 6,
            d_mlp: 11,
            n_ctx: 16,
            vocab_size: 200,
            ln_eps: 1e-5,
            bos_token_id: None,
            variant: Variant::default(),
        };
        for dtype in [WeightDtype::F32, WeightDtype::F16] {
            let weights = weights(&config, 5, dtype);
            // 48 rows of the tokens' matrix, of 8 numbers each; the blocks' matrices are smaller
            let extent = Extent::Bindings(48 * 8 * dtype.bytes());
            let card = Rc::new(Card::new(pollster::block_on(Device::open(Choice::Any, extent)).unwrap()));
            let ours = GpuEngine::new(card, config.clone(), &weights).unwrap();
            let right = ReferenceEngine::new(config.clone(), weights);
            let seen = Differences::default();
            let ids: Vec<u32> = (0..16).map(|at| at * 37 % 200).collect();
            // runs that begin at the embedding, so that attention has more queries than it weighs at once
            let edit = |by| Edit { site: Site::Embed, part: Part::Whole, at: Positions::All, change: Change::Add(by) };
            let edited: Vec<Vec<Edit>> = (0..4).map(|run| vec![edit(run as f32 / 4.0 - 0.375)]).collect();
            runs(&ours, &right, &ids, &edited, &seen);
            unembedding(&ours, &right, &ids, &seen);
            products(&ours, &right, &seen);
        }
    }
}

/// Sites that the plain pass shows its hook.
const PLAIN: [BlockSite; 8] = {
    use BlockSite::{AttnOut, MlpOut, MlpPost, MlpPre, ResidMid, ResidPre, Z};
    [ResidPre, Z, AttnOut, ResidMid, MlpPre, MlpPost, MlpOut, MlpOut]
};

#[test]
fn the_reference_is_a_plain_pass_in_f64() {
    let seen = Differences::default();
    let site =
        (0..Plain::LAYERS, prop::sample::select(PLAIN.to_vec())).prop_map(|(layer, site)| Site::Block(layer, site));
    let inputs = (prop::collection::vec(0..Plain::VOCAB as u32, 7), site, 0..7usize, -1.5f32..1.5);
    let checked = TestRunner::new(cases()).run(&inputs, |(ids, site, pos, by)| {
        let plain = Plain::new(&[]);
        let model = plain.load(WeightDtype::F32).unwrap();
        let engine = ReferenceEngine::new(model.config.clone(), model.weights);
        let base = complete(engine.base(&ids, None, &SiteSet::none(), &Unhurried)).unwrap();
        let read = complete(engine.read(&base, &[site].into_iter().collect(), 0, &Unhurried)).unwrap();
        seen.note_f64("read", &read.at(site).unwrap().data, &plain.value(&ids, site), &site);
        let edit = Edit { site, part: Part::Whole, at: Positions::These(vec![pos]), change: Change::Add(by) };
        let end = complete(engine.ends(&base, &[vec![edit]], &Unhurried)).unwrap();
        let logits = complete(engine.unembed(&end.resid, end.norm(), &Unhurried)).unwrap();
        let changed = |by: f64, entry: Option<usize>| {
            plain.run(&ids, &mut |at, values| {
                let width = values.len() / ids.len();
                let changed = values[pos * width..(pos + 1) * width].iter_mut().enumerate();
                let changed = changed.filter(|(place, _)| at == site && entry.is_none_or(|entry| entry == *place));
                changed.for_each(|(_, value)| *value += by);
            })
        };
        let last = (ids.len() - 1) * Plain::VOCAB;
        seen.note_f64("resume", &logits.data, &changed(f64::from(by), None).logits[last..], &site);
        let Activation { data: plain_logits, .. } = &logits;
        prop_assert_eq!(plain_logits.len(), Plain::VOCAB);
        if let Site::Block(layer, BlockSite::MlpPost) = site {
            let gradients = complete(engine.gradients(&base, (3, 8), (0, 0), &Unhurried)).unwrap();
            let at = |by: f64| {
                let logits = &changed(by, Some(5)).logits[last..];
                logits[3] - logits[8]
            };
            let slope = (at(1e-5) - at(-1e-5)) / 2e-5;
            seen.note_f64("gradients", &[gradients.mlp_post[layer][pos * Plain::M + 5]], &[slope], &site);
        }
        Ok(())
    });
    seen.print("reference, against f64");
    checked.unwrap();
}

//! The graphics card's engine, on whatever card there is: on a machine without one, the processor pretends to be it
//! (`cargo test --test card -- --ignored --nocapture`). A browser has its tests in `tests/e2e/webgpu.test.mjs`.

mod common;

use std::rc::Rc;

use common::models::weights;
use common::operations::{Differences, inputs, products, runs, unembedding};
use peartree::engine::edit::{Change, Edit, Part, Positions};
use peartree::engine::gpu::device::{Choice, Device, Extent};
use peartree::engine::gpu::{Card, GpuEngine};
use peartree::engine::reference::ReferenceEngine;
use peartree::engine::site::{BlockSite, Site, SiteSet};
use peartree::engine::{Engine, Unhurried, complete};
use peartree::model::{Config, Variant, WeightDtype};
use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};

/// A card adds up in another order, and its exponential is its own.
const TOLERANCE: f64 = 1e-3;

/// The same cases every time: of two numbers a residual stream may have so little variance that whatever is added up in
/// another order differs by more.
fn is_the_reference(extent: Extent, cases: u32) {
    let card = Rc::new(Card::new(pollster::block_on(Device::open(Choice::Any, extent)).unwrap()));
    let seen = Differences::within(TOLERANCE);
    let few = ProptestConfig { cases, ..common::operations::cases() };
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let checked = TestRunner::new_with_rng(few, rng).run(&inputs(), |(config, ids, edited, seed, dtype)| {
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
        let seen = Differences::within(TOLERANCE);
        let ids: Vec<u32> = (0..16).map(|at| at * 37 % 200).collect();
        // runs that begin at the embedding, so that attention has more queries than it weighs at once
        let edit = |by| Edit { site: Site::Embed, part: Part::Whole, at: Positions::All, change: Change::Add(by) };
        let edited: Vec<Vec<Edit>> = (0..4).map(|run| vec![edit(run as f32 / 4.0 - 0.375)]).collect();
        runs(&ours, &right, &ids, &edited, &seen);
        unembedding(&ours, &right, &ids, &seen);
        products(&ours, &right, &seen);
    }
}

//! Every operation of every engine, on random shapes, variants and edits: the processor's against the reference engine,
//! and that against plain passes in f64. The largest difference of each operation is printed
//! (`cargo test --test conformance -- --nocapture`). The graphics card's are in `card.rs`.

mod common;

use std::pin::Pin;
use std::rc::Rc;

use common::models::weights;
use common::operations::{Differences, cases, inputs, products, runs, unembedding};
use common::plain::Plain;
use peartree::engine::cpu::CpuEngine;
use peartree::engine::edit::{Change, Edit, Part, Positions};
use peartree::engine::reference::ReferenceEngine;
use peartree::engine::remote::{Host, Line, RemoteEngine};
use peartree::engine::site::{BlockSite, Site, SiteSet};
use peartree::engine::{Activation, Engine, Products, Unhurried, complete};
use peartree::error::Result;
use peartree::model::WeightDtype;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

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

//! The benchmark's tasks do what they say: their outcomes are those of the ordinary requests.

mod common;

use peartree::analysis::bench::bench;
use peartree::engine::cpu::CpuEngine;
use peartree::engine::edit::{Change, Edit, Part, Positions};
use peartree::engine::site::{BlockSite, Site};
use peartree::engine::{Engine, FinalNorm, SiteSet, Unhurried, complete};
use peartree::protocol::{Bench, BenchTask, SweepOptions};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const IDS: [u32; 6] = [1, 5, 9, 2, 7, 30];

fn done(engine: &CpuEngine, task: &BenchTask) -> Bench {
    complete(bench(engine, task, &Unhurried)).unwrap()
}

fn engine() -> CpuEngine {
    let model = common::model();
    CpuEngine::new(model.config, model.weights)
}

fn logits(engine: &CpuEngine, ids: &[u32]) -> Vec<f32> {
    let resid = complete(engine.last_resid(&[ids], &[], &Unhurried)).unwrap();
    complete(engine.unembed(&resid, FinalNorm::Own, &Unhurried)).unwrap().data
}

fn likeliest(logits: &[f32]) -> u32 {
    (0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b])).unwrap() as u32
}

#[test]
fn prefill_batch_and_decode_agree_with_plain_passes() {
    let engine = engine();
    let right = logits(&engine, &IDS);
    let Bench::Logits(found) = done(&engine, &BenchTask::Prefill { ids: IDS.to_vec() }) else { panic!() };
    assert_eq!(found.0, right);

    let rows = vec![IDS.to_vec(), IDS.iter().rev().copied().collect()];
    let Bench::Batch(found) = done(&engine, &BenchTask::Batch { rows: rows.clone() }) else { panic!() };
    assert_eq!(found, rows.iter().map(|row| likeliest(&logits(&engine, row))).collect::<Vec<_>>());

    let Bench::Decoded(found) = done(&engine, &BenchTask::Decode { ids: IDS.to_vec(), n: 4 }) else { panic!() };
    let mut ids = IDS.to_vec();
    for token in &found.tokens {
        assert_eq!(*token, likeliest(&logits(&engine, &ids)));
        ids.push(*token);
    }
    assert_eq!((found.tokens.len(), found.steps), (5, 4));
}

#[test]
fn a_whole_pass_with_an_edit_ends_as_a_resumed_one() {
    let engine = engine();
    let edits: Vec<Vec<Edit>> = (0..5)
        .map(|neuron| {
            let (site, at) = (Site::Block(1, BlockSite::MlpPost), Positions::These(vec![IDS.len() - 1]));
            vec![Edit { site, part: Part::Neuron(neuron), at, change: Change::Set(0.0) }]
        })
        .collect();
    let whole = complete(engine.last_resid(&[&IDS[..]; 5], &edits, &Unhurried)).unwrap();
    let base = complete(engine.base(&IDS, None, &SiteSet::none(), &Unhurried)).unwrap();
    let resumed = complete(engine.ends(&base, &edits, &Unhurried)).unwrap();
    common::assert_close("whole and resumed", &whole.data, &resumed.resid.data);
}

#[test]
fn every_task_is_timed_and_wild_sizes_are_refused() {
    let engine = engine();
    let Bench::Table(table) = done(&engine, &BenchTask::Table {}) else { panic!() };
    let names: Vec<&str> = table.rows.iter().map(|row| row.task.as_str()).collect();
    assert_eq!(names[2..], ["decode", "batch32", "sweep32", "tail32", "capture"]);
    assert!(table.rows.iter().all(|row| row.ms >= 0.0 && row.gflops.is_finite() && row.gbytes.is_finite()));
    let wild = BenchTask::Sweep(SweepOptions { b: 1_000_000, reps: 1 });
    let error = complete(bench(&engine, &wild, &Unhurried)).unwrap_err();
    assert_eq!(error.code(), "bad_option");
}

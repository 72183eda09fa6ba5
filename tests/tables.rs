//! Table files: what goes in comes out, and nothing in a file can do harm.

mod common;

use common::{ask, model, session};
use peartree::analysis::congruence::table::Making;
use peartree::analysis::tables::{self, Table, checkpoint};
use peartree::engine::cpu::CpuEngine;
use peartree::engine::extremes::{Entry, Extremes, Spread};
use peartree::engine::{Unhurried, complete};
use peartree::protocol::{Answer, Bytes, Convention, Request, TableTask, TablesOptions};
use proptest::prelude::*;

fn engine() -> CpuEngine {
    let model = model();
    CpuEngine::new(model.config, model.weights)
}

fn table() -> Table {
    let engine = engine();
    let hash = complete(tables::model_hash(&engine, &Unhurried)).unwrap();
    let mut making = complete(Making::new(&engine, Convention::Notebook, 4, hash, &Unhurried)).unwrap();
    while !complete(making.step(&engine)).unwrap() {}
    making.finish().unwrap()
}

fn assert_same(found: &Extremes, wanted: &Extremes) {
    for (a, b) in found.entries().iter().zip(wanted.entries()) {
        assert!(a.id == b.id && (a.value - b.value).abs() < 1e-4, "{a:?} {b:?}");
    }
    for (a, b) in found.spreads().iter().zip(wanted.spreads()) {
        assert_eq!((a.mean, a.width, a.counts), (b.mean, b.width, b.counts));
        assert!((a.deviation() - b.deviation()).abs() < 1e-6);
    }
    assert_eq!(found.spreads().len(), wanted.spreads().len());
}

#[test]
fn what_is_written_is_read_again() {
    let table = table();
    let found = tables::read(&tables::write(&table).unwrap()).unwrap();
    assert_eq!(found.about, table.about);
    assert_same(&found.neurons, &table.neurons);
    assert_same(&found.tokens, &table.tokens);
}

/// Each tensor of a table, and of one that is being made, has its hash.
#[test]
fn a_flipped_bit_is_seen_and_its_tensor_named() {
    let engine = engine();
    let mut making = complete(Making::new(&engine, Convention::Raw, 4, "hash".into(), &Unhurried)).unwrap();
    complete(making.step(&engine)).unwrap();
    for (file, is_table) in [(tables::write(&table()).unwrap(), true), (checkpoint::write(&making), false)] {
        let data = 8 + u64::from_le_bytes(*file.first_chunk().unwrap()) as usize;
        for at in (data..file.len()).step_by((file.len() - data) / 60 + 1).chain([file.len() - 1]) {
            let mut damaged = file.clone();
            damaged[at] ^= 1 << (at % 8);
            let error = match is_table {
                true => tables::read(&damaged).map(drop),
                false => complete(checkpoint::resume(&engine, &damaged, "hash")).map(drop),
            };
            let error = error.expect_err("went unseen").to_string();
            assert!(error.contains("is damaged (its hash"), "byte {at}: {error}");
        }
    }
}

#[test]
fn values_that_span_much_are_kept_whole() {
    let mut table = table();
    let spreads = table.neurons.spreads().to_vec();
    let mut entries = table.neurons.entries().to_vec();
    for (at, value) in [(0, 4.0e4), (1, 3.0e4), (2, 77.125), (3, 1.0e-3)] {
        entries[at].value = value;
    }
    table.neurons = Extremes::from_parts(4, spreads, entries).unwrap();
    let found = tables::read(&tables::write(&table).unwrap()).unwrap();
    assert_eq!(found.neurons.largest(0), table.neurons.largest(0));
    assert_same(&found.neurons, &table.neurons);
}

/// GPT-2 Large: the sizes, worked out on the format with a row of each kind.
#[test]
fn gpt2_larges_table_stays_under_48_megabytes() {
    let (n_layer, d_mlp, vocab, k) = (36, 5120, 50257, 16);
    let rows = |n: usize, len: usize| {
        let entries: Vec<Entry> = (0..2 * k).map(|at| Entry { value: 1.0 - at as f32 / 10.0, id: at as u32 }).collect();
        let mut sides = entries.clone();
        sides[k..].reverse();
        let mut spread = Spread::new(0.0, 1.0);
        spread.counts[8] = len as u32;
        Extremes::from_parts(k, vec![spread; n], sides.repeat(n)).unwrap()
    };
    let about = tables::About { model: "0".repeat(64), convention: Convention::Raw, n_layer, d_mlp, vocab };
    let neurons = rows(n_layer * d_mlp, vocab);
    let table = Table { about, neurons, tokens: rows(vocab, n_layer * d_mlp) };
    let bytes = tables::write(&table).unwrap().len();
    assert!(bytes < 48_000_000, "{bytes}");
    assert_eq!(bytes / 100_000, (184_320 * 188 + 50_257 * 252) / 100_000);
}

#[test]
fn another_models_table_is_refused_with_both_hashes() {
    let session = session();
    let mut table = table();
    let open = |table: &Table| ask(&session, Request::Table(TableTask::Open(Bytes(tables::write(table).unwrap()))));
    assert!(open(&table).is_ok());
    table.about.model = "f".repeat(64);
    let error = open(&table).unwrap_err();
    assert_eq!(error.code(), "bad_table");
    assert!(error.to_string().contains("another model") && error.to_string().contains("ffffffffffff"), "{error}");
    table.about.n_layer = 2;
    table.about.d_mlp = 512;
    assert!(open(&table).is_err());
}

#[test]
fn a_session_makes_tables_in_pieces_and_goes_on_with_them() {
    let whole = match ask(&session(), Request::Tables(TablesOptions { top_k: 16, convention: Convention::Raw })) {
        Ok(Answer::TableFile(file)) => file,
        other => panic!("{other:?}"),
    };
    let task = |session: &_, task| ask(session, Request::Table(task)).unwrap();
    let first = session();
    let Answer::TableState(start) = task(&first, TableTask::Look(Convention::Raw)) else { panic!() };
    let work_on = |model: &str, products| {
        let model = model.to_owned();
        Request::Table(TableTask::Work { convention: Convention::Raw, milliseconds: 0, model, products })
    };
    let work = || work_on("model-p", start.products);
    for stale in [work_on("another", start.products), work_on("model-p", start.products + 1.0)] {
        assert!(ask(&first, stale).is_err(), "asked of the model before");
    }
    assert_eq!(task(&first, TableTask::Look(Convention::Raw)), Answer::TableState(start.clone()));
    let Answer::TableState(state) = ask(&first, work()).unwrap() else { panic!() };
    assert!(!state.is_ready && state.done > 0.0 && state.done < 1.0);
    let Answer::Bytes(kept) = task(&first, TableTask::Checkpoint(Convention::Raw)) else { panic!() };
    let second = session();
    let Answer::TableState(resumed) = task(&second, TableTask::Resume(kept)) else { panic!() };
    assert_eq!(resumed, state);
    while !matches!(ask(&second, work()).unwrap(), Answer::TableState(state) if state.is_ready) {}
    let Answer::TableFile(file) = task(&second, TableTask::File(Convention::Raw)) else { panic!() };
    assert_eq!(file, whole);
    let Answer::TableState(dropped) = task(&first, TableTask::Drop(Convention::Raw)) else { panic!() };
    assert_eq!(dropped.done, 0.0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn damaged_files_are_refused_or_read_but_never_panic(at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<prop::sample::Index>()) {
        static FILE: std::sync::OnceLock<(Vec<u8>, Vec<u8>)> = std::sync::OnceLock::new();
        let (file, kept) = FILE.get_or_init(|| {
            let engine = engine();
            let mut making = complete(Making::new(&engine, Convention::Raw, 4, "hash".into(), &Unhurried)).unwrap();
            complete(making.step(&engine)).unwrap();
            (tables::write(&table()).unwrap(), checkpoint::write(&making))
        });
        // the header's bytes as often as all others together
        let place = |len: usize| if byte % 2 == 0 { at.index(len.min(3000)) } else { at.index(len) };
        let mut damaged = file.clone();
        damaged[place(file.len())] ^= byte.max(1);
        if let Ok(table) = tables::read(&damaged) {
            prop_assert!(table.neurons.entries().iter().all(|entry| (entry.id as usize) < table.about.vocab));
        }
        prop_assert!(tables::read(&file[..cut.index(file.len())]).is_err());
        let engine = engine();
        let mut damaged = kept.clone();
        damaged[place(kept.len())] ^= byte.max(1);
        if let Ok(mut making) = complete(checkpoint::resume(&engine, &damaged, "hash")) {
            while let Ok(false) = complete(making.step(&engine)) {}
            let _ = making.finish();
        }
        prop_assert!(complete(checkpoint::resume(&engine, &kept[..cut.index(kept.len())], "hash")).is_err());
    }
}

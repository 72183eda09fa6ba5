//! Congruence against TransformerLens's figures, and tables against products multiplied out one by one.

mod common;

use common::{ask, assert_close, model, session};
use peartree::analysis::congruence::column::column;
use peartree::analysis::congruence::row::output_row;
use peartree::analysis::congruence::search::search;
use peartree::analysis::congruence::table::Making;
use peartree::analysis::tables::{self, Table, checkpoint};
use peartree::engine::cpu::CpuEngine;
use peartree::engine::extremes::Extremes;
use peartree::engine::{Unhurried, complete};
use peartree::protocol::{
    Answer, Congruence, CongruenceOptions, Convention, Hubs, HubsOptions, NeuronTokens, Profile, ProfileOptions,
    Request, SearchKind, SearchOptions, TokenArgument,
};
use safetensors::SafeTensors;
use serde_json::Value;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const D_MLP: usize = 256;
const NEURONS: usize = 4 * D_MLP;
const VOCAB: usize = 1257;

/// The oracle's names of the conventions.
const NAMES: [(Convention, &str); 3] =
    [(Convention::Notebook, "embed"), (Convention::Raw, "raw"), (Convention::Unembed, "unembed")];

fn engine() -> CpuEngine {
    let model = model();
    CpuEngine::new(model.config, model.weights)
}

fn making(engine: &CpuEngine, convention: Convention, k: usize) -> Making {
    complete(Making::new(engine, convention, k, "hash".into(), &Unhurried)).unwrap()
}

fn table(engine: &CpuEngine, convention: Convention, k: usize) -> Table {
    let mut making = making(engine, convention, k);
    while !complete(making.step(engine)).unwrap() {}
    making.finish().unwrap()
}

struct Oracle {
    json: Value,
    arrays: SafeTensors<'static>,
}

fn oracle() -> Oracle {
    Oracle {
        json: serde_json::from_slice(include_bytes!("fixtures/model-p/congruence.json")).unwrap(),
        arrays: SafeTensors::deserialize(include_bytes!("fixtures/model-p/congruence.safetensors")).unwrap(),
    }
}

impl Oracle {
    fn words(&self, key: &str) -> Vec<[u8; 4]> {
        self.arrays.tensor(key).unwrap().data().as_chunks::<4>().0.to_vec()
    }

    fn values(&self, key: &str) -> Vec<f32> {
        self.words(key).into_iter().map(f32::from_le_bytes).collect()
    }

    fn ids(&self, key: &str) -> Vec<u32> {
        self.words(key).into_iter().map(u32::from_le_bytes).collect()
    }

    fn rows(&self, key: &str) -> Vec<Vec<f64>> {
        let number = |value: &Value| value.as_f64().unwrap_or(f64::NAN);
        let rows = self.json[key].as_array().unwrap().iter();
        rows.map(|row| row.as_array().unwrap().iter().map(number).collect()).collect()
    }
}

/// Values by rank; ids where the neighbours' values leave no doubt.
#[track_caller]
fn assert_ranked(what: &str, rows: &Extremes, ids: &[u32], values: &[f32], k: usize) {
    for (row, (ids, values)) in ids.chunks_exact(k).zip(values.chunks_exact(k)).enumerate() {
        let ours = &rows.largest(row)[..k];
        let found: Vec<f32> = ours.iter().map(|entry| entry.value).collect();
        assert_close(&format!("{what}, row {row}"), &found, values);
        for at in 0..k - 1 {
            let clear = |a: usize, b: usize| values[a] - values[b] > 1e-4;
            if clear(at, at + 1) && (at == 0 || clear(at - 1, at)) {
                assert_eq!(ours[at].id, ids[at], "{what}, row {row}, rank {at}");
            }
        }
    }
}

#[test]
fn tables_are_the_oracles_in_all_three_conventions() {
    let (engine, oracle) = (engine(), oracle());
    for (convention, name) in NAMES {
        let table = table(&engine, convention, 16);
        let check = |side: &str, rows: &Extremes| {
            let key = |what: &str| format!("{name}_{side}_top10_{what}");
            assert_ranked(&key(""), rows, &oracle.ids(&key("ids")), &oracle.values(&key("values")), 10);
        };
        check("neuron", &table.neurons);
        check("token", &table.tokens);
    }
}

#[test]
fn a_row_and_a_column_are_the_oracles() {
    let (engine, oracle) = (engine(), oracle());
    for (convention, name) in NAMES {
        let row = complete(output_row(&engine, convention, 2, 137)).unwrap();
        assert_close(&format!("{name} row"), &row, &oracle.values(&format!("{name}_row")));
        let column = complete(column(&engine, convention, &[259], &Unhurried)).unwrap();
        assert_close(&format!("{name} column"), &column, &oracle.values(&format!("{name}_column")));
    }
}

#[test]
fn searches_are_the_oracles() {
    let (engine, oracle) = (engine(), oracle());
    for (convention, name) in NAMES {
        let table = table(&engine, convention, 2);
        let exclusive = search(&table, SearchKind::Exclusive);
        assert_eq!(exclusive.len(), VOCAB);
        for (pair, row) in exclusive.iter().zip(oracle.rows(&format!("{name}_token_search_top20"))) {
            assert!((f64::from(pair.token_gap) - row[6]).abs() < 1e-4, "{name}: {pair:?}, {row:?}");
        }
        assert_eq!((exclusive[0].token, exclusive[0].neuron), first(&oracle, name));
        let mutual = search(&table, SearchKind::Mutual);
        assert_eq!(mutual.len() as u64, oracle.json[format!("{name}_mutual_count")].as_u64().unwrap());
        for (pair, row) in mutual.iter().zip(oracle.rows(&format!("{name}_mutual_top20"))) {
            assert_eq!((pair.neuron, pair.token), (row[0] as usize, row[1] as usize), "{name}");
            assert!((f64::from(pair.score) - row[3]).abs() < 1e-4, "{name}: {pair:?}, {row:?}");
        }
    }
}

fn first(oracle: &Oracle, name: &str) -> (usize, usize) {
    let row = &oracle.rows(&format!("{name}_token_search_top20"))[0];
    (row[0] as usize, row[2] as usize)
}

/// All products, one column at a time, in f64: `[neuron][token]`.
fn products(engine: &CpuEngine, convention: Convention) -> Vec<Vec<f64>> {
    let mut rows = vec![Vec::new(); NEURONS];
    for token in 0..VOCAB as u32 {
        let column = complete(column(engine, convention, &[token], &Unhurried)).unwrap();
        rows.iter_mut().zip(column).for_each(|(row, value)| row.push(f64::from(value)));
    }
    rows
}

#[test]
fn both_ends_means_deviations_and_histograms_are_those_of_all_products() {
    let engine = engine();
    let by_neuron = products(&engine, Convention::Unembed);
    let by_token: Vec<Vec<f64>> = (0..VOCAB).map(|token| by_neuron.iter().map(|row| row[token]).collect()).collect();
    let table = table(&engine, Convention::Unembed, 5);
    for (rows, all) in [(&table.neurons, by_neuron), (&table.tokens, by_token)] {
        for (row, products) in all.iter().enumerate() {
            let mut sorted = products.clone();
            sorted.sort_by(f64::total_cmp);
            for (at, entry) in rows.smallest(row).iter().enumerate() {
                assert!((f64::from(entry.value) - sorted[at]).abs() < 1e-5);
                assert!((products[entry.id as usize] - sorted[at]).abs() < 1e-5);
            }
            for (at, entry) in rows.largest(row).iter().enumerate() {
                assert!((f64::from(entry.value) - sorted[sorted.len() - 1 - at]).abs() < 1e-5);
            }
            let spread = &rows.spreads()[row];
            let n = products.len() as f64;
            let mean = products.iter().sum::<f64>() / n;
            let sd = (products.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n).sqrt();
            assert!((f64::from(spread.mean) - mean).abs() < 1e-5, "{} {mean}", spread.mean);
            assert!((f64::from(spread.deviation()) - sd).abs() < 1e-5 + 1e-4 * sd, "{} {sd}", spread.deviation());
            // the width is an estimate, but of the right size
            assert!((0.2..1.0).contains(&(f64::from(spread.width) / sd)), "{} {sd}", spread.width);
            let mut counts = [0i64; 16];
            let mut near_an_edge = 0;
            for x in products {
                let place = (x - f64::from(spread.mean)) / f64::from(spread.width) + 8.0;
                counts[place.clamp(0.0, 15.0) as usize] += 1;
                near_an_edge += i64::from((place - place.round()).abs() < 1e-3);
            }
            let moved: i64 = counts.iter().zip(spread.counts).map(|(a, b)| (a - i64::from(b)).abs()).sum();
            assert!(moved <= 2 * near_an_edge, "{counts:?} {:?}", spread.counts);
        }
    }
}

#[test]
fn a_table_that_was_left_and_gone_on_with_has_the_same_bits() {
    let engine = engine();
    let hash = complete(tables::model_hash(&engine, &Unhurried)).unwrap();
    let whole = table(&engine, Convention::Notebook, 4);
    for steps in [0, 1, 3, 4, 5] {
        let mut making = complete(Making::new(&engine, Convention::Notebook, 4, hash.clone(), &Unhurried)).unwrap();
        for _ in 0..steps {
            complete(making.step(&engine)).unwrap();
        }
        let kept = checkpoint::write(&making);
        let mut making = complete(checkpoint::resume(&engine, &kept, &hash)).unwrap();
        while !complete(making.step(&engine)).unwrap() {}
        let table = making.finish().unwrap();
        assert_eq!((table.neurons, table.tokens), (whole.neurons.clone(), whole.tokens.clone()), "{steps} steps");
    }
    let mut making = making(&engine, Convention::Notebook, 4);
    complete(making.step(&engine)).unwrap();
    assert!(complete(checkpoint::resume(&engine, &checkpoint::write(&making), &hash)).is_err(), "its hash");
}

#[cfg(not(target_arch = "wasm32"))]
#[test]
fn one_thread_and_three_give_the_same_bits() {
    let engine = engine();
    let with = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| table(&engine, Convention::Raw, 8))
    };
    assert_eq!(with(1), with(3));
}

fn congruence(options: CongruenceOptions) -> Congruence {
    match ask(&session(), Request::Congruence(CongruenceOptions { top: 10, ..options })).unwrap() {
        Answer::Congruence(answer) => answer,
        other => panic!("{other:?}"),
    }
}

fn neuron(options: CongruenceOptions) -> NeuronTokens {
    match congruence(CongruenceOptions { neuron: Some("2:137".into()), ..options }) {
        Congruence::Neuron(answer) => answer,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_neuron_is_asked_for_its_tokens_and_a_token_for_its_neurons() {
    let oracle = oracle();
    let found = neuron(CongruenceOptions::default());
    assert_eq!(found.top[0].id, oracle.ids("embed_neuron_top10_ids")[(2 * D_MLP + 137) * 10]);
    assert_eq!((found.top.len(), found.bottom.len()), (10, 10));
    assert!(found.bottom[0].value <= found.bottom[9].value && found.bottom[9].value < 0.0);
    let all = neuron(CongruenceOptions { all: true, ..Default::default() });
    assert_eq!((all.top.len(), all.bottom.len()), (VOCAB, VOCAB));
    assert_eq!(all.top[VOCAB - 1].id, all.bottom[0].id);
    let token = CongruenceOptions { token: Some(TokenArgument::Text(" an".into())), ..Default::default() };
    let Congruence::Token(neurons) = congruence(token) else { panic!() };
    let best = oracle.ids("embed_token_top10_ids")[259 * 10] as usize;
    assert_eq!((neurons.len(), neurons[0].layer * D_MLP + neurons[0].neuron), (10, best));
}

#[test]
fn a_set_of_tokens_is_summed_or_averaged() {
    let set: Vec<TokenArgument> = [" an", "#20", " a"].map(|text| TokenArgument::Text(text.into())).to_vec();
    let set = |mean: bool| CongruenceOptions { tokens: set.clone(), mean, ..Default::default() };
    let found = neuron(set(false)).set.unwrap();
    let sum: f32 = found.tokens.iter().map(|token| token.value).sum();
    assert_eq!((found.tokens.len(), found.sum, found.mean), (3, sum, sum / 3.0));
    let all = |mean: bool| match congruence(CongruenceOptions { all: true, ..set(mean) }) {
        Congruence::Token(neurons) => neurons,
        other => panic!("{other:?}"),
    };
    let (sums, means) = (all(false), all(true));
    assert_eq!(sums.len(), NEURONS);
    let ours = sums.iter().find(|n| (n.layer, n.neuron) == (2, 137)).unwrap();
    assert!((ours.value - sum).abs() < 1e-5);
    assert!((sums[0].value - 3.0 * means[0].value).abs() < 1e-5);
}

#[test]
fn what_is_no_neuron_or_no_question_is_refused_in_words() {
    let session = session();
    let refused = |options: CongruenceOptions| ask(&session, Request::Congruence(options)).unwrap_err();
    for neuron in ["4:0", "0:256", "2", "x:1", "-1:3", "2:137:4", ""] {
        let error = refused(CongruenceOptions { neuron: Some(neuron.into()), ..Default::default() });
        assert_eq!(error.code(), "bad_option", "{neuron}");
        assert!(error.to_string().contains("from 0 to 3"), "{error}");
    }
    assert_eq!(refused(CongruenceOptions::default()).code(), "bad_option");
    for k in [0, 1, 65] {
        assert!(complete(Making::new(&engine(), Convention::Raw, k, String::new(), &Unhurried)).is_err());
    }
}

#[test]
fn hubs_count_whose_best_they_are() {
    let session = session();
    let Answer::Hubs(Hubs { token_hubs, neuron_hubs, tokens, neurons }) =
        ask(&session, Request::Hubs(HubsOptions { convention: Convention::Notebook, top: VOCAB })).unwrap()
    else {
        panic!()
    };
    let sum: u32 = tokens.iter().map(|hub| hub.best_of).sum();
    assert_eq!((tokens.len(), sum as usize), (VOCAB, NEURONS));
    assert_eq!(neurons.iter().map(|hub| hub.best_of).sum::<u32>() as usize, VOCAB);
    assert!((token_hubs.mean - NEURONS as f32 / VOCAB as f32).abs() < 1e-6 && neuron_hubs.skew > 0.0);
    assert!(tokens.windows(2).all(|pair| pair[0].best_of >= pair[1].best_of));
    let oracle = oracle();
    let tops = oracle.ids("embed_neuron_top10_ids");
    let best = tokens[0].id;
    assert_eq!(tops.chunks_exact(10).filter(|top| top[0] == best).count() as u32, tokens[0].best_of);
}

#[test]
fn a_neurons_profile_has_what_it_writes_and_reads() {
    let session = session();
    let profile = |convention: Convention| -> Profile {
        match ask(&session, Request::Profile(ProfileOptions { layer: 2, neuron: 137, convention })).unwrap() {
            Answer::Profile(profile) => profile,
            other => panic!("{other:?}"),
        }
    };
    let found = profile(Convention::Notebook);
    assert_close("output", &found.output.0, &oracle().values("embed_row"));
    assert_eq!((found.input.0.len(), found.neighbours.len()), (VOCAB, 10));
    assert!(found.neighbours.windows(2).all(|pair| pair[0].value >= pair[1].value));
    assert!(found.neighbours.iter().all(|n| n.value.abs() <= 1.0001 && (n.layer, n.neuron) != (2, 137)));
    assert!(found.norm > 0.0);
    assert_ne!(found.input, profile(Convention::Raw).input);
}

#[test]
fn a_search_through_the_session_names_tokens_and_neurons() {
    let session = session();
    let options = SearchOptions { kind: SearchKind::Mutual, convention: Convention::Notebook, top: 3 };
    let Answer::Pairs(pairs) = ask(&session, Request::Search(options)).unwrap() else { panic!() };
    let oracle = oracle();
    assert_eq!(pairs.len(), 3);
    for (pair, row) in pairs.iter().zip(oracle.json["embed_mutual_top20"].as_array().unwrap()) {
        assert_eq!((pair.layer * D_MLP + pair.neuron) as u64, row[0].as_u64().unwrap());
        assert_eq!(pair.token.replace(' ', "Ġ"), row[2].as_str().unwrap());
        assert!((pair.score - pair.token_gap * pair.neuron_gap).abs() < 1e-6);
    }
}

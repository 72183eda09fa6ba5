//! Neurons on real text: the oracle's curves and examples, and that any division of the documents adds up to one run.

mod common;

use std::rc::Rc;

use common::{corpus, model, session};
use peartree::analysis::corpus::plan::{Plan, Shards};
use peartree::analysis::corpus::{Findings, Pass, folder};
use peartree::documents::{Documents, Memory, Source};
use peartree::engine::cpu::CpuEngine;
use peartree::engine::site::BlockSite;
use peartree::engine::{Control, Engine, Site, SiteSet, Unhurried, complete};
use peartree::error::{Error, Result};
use peartree::protocol::{Bins, CorpusAnswer, CorpusOptions, LayersArgument, StudyAnswer};
use peartree::session::AnySession;
#[cfg(not(target_arch = "wasm32"))]
use proptest::prelude::*;
use safetensors::SafeTensors;
use serde_json::Value;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const STUDIES: &[u8] = include_bytes!("fixtures/model-p/studies.json");
const ACTIVATIONS: &[u8] = include_bytes!("fixtures/model-p/studies.safetensors");

fn options() -> CorpusOptions {
    let studies: Value = serde_json::from_slice(STUDIES).unwrap();
    let pair = |study: &Value| format!("{}:{}:#{}", study["layer"], study["neuron"], study["token_id"]);
    CorpusOptions {
        neurons: studies["studies"].as_array().unwrap().iter().map(pair).collect(),
        layers: Some(LayersArgument::Words("all".into())),
        ..CorpusOptions::default()
    }
}

fn source(documents: &[String]) -> Rc<dyn Source> {
    Rc::new(Memory::new("corpus.json", serde_json::to_vec(documents).unwrap()))
}

fn plan(session: &AnySession, options: &CorpusOptions) -> Result<Plan> {
    complete(Plan::new(&session.subject(), options, vec![("corpus.json".into(), 1)]))
}

/// A pass over some shards, up to so many steps.
fn pass(
    session: &AnySession,
    documents: &[String],
    options: &CorpusOptions,
    shards: Shards,
    before: Option<Findings>,
    steps: usize,
) -> Result<Findings> {
    let plan = plan(session, options)?;
    let mut pass = Pass::new(session.subject(), Documents::new([source(documents)]), (plan, shards), before)?;
    for _ in 0..steps {
        if !complete(pass.step(&Unhurried))? {
            return Ok(pass.finish());
        }
    }
    Ok(pass.findings().clone())
}

fn whole(session: &AnySession, documents: &[String], options: &CorpusOptions) -> Findings {
    pass(session, documents, options, Shards::all(), None, usize::MAX).unwrap()
}

fn array<T>(name: &str, from: fn([u8; 4]) -> T) -> Vec<T> {
    let arrays = SafeTensors::deserialize(ACTIVATIONS).unwrap();
    arrays.tensor(name).unwrap().data().as_chunks::<4>().0.iter().map(|&bytes| from(bytes)).collect()
}

/// Examples are the oracle's, in its order; where values are closer than f32 can tell, any order will do.
fn assert_same_examples(ours: &[(f32, u64)], oracle: &[(f32, u64)]) {
    assert_eq!(ours.len(), oracle.len());
    for (at, (&(a, place), &(b, _))) in ours.iter().zip(oracle).enumerate() {
        assert!((a - b).abs() < 1e-4, "example {at}: ours {a}, the oracle's {b}");
        assert!(
            oracle.iter().any(|&(b, there)| there == place && (a - b).abs() < 1e-4)
                || (a - oracle.last().unwrap().0).abs() < 1e-4
        );
    }
}

#[test]
fn curves_and_examples_are_the_oracles() {
    let oracle: Value = serde_json::from_slice(STUDIES).unwrap();
    let session = session();
    let findings = whole(&session, &corpus(), &options());
    let argmax = array("argmax", u32::from_le_bytes);
    for bins in [Bins::Notebook, Bins::Floor] {
        let CorpusAnswer { documents, positions, studies, .. } = session.corpus_answer(&findings, bins);
        assert_eq!((documents, positions as usize), (200, argmax.len()));
        for (study, oracle) in studies.iter().zip(oracle["studies"].as_array().unwrap()) {
            let number = |key: &str| oracle[key].as_u64().unwrap();
            assert_eq!(study.occurrences, number("occurrences"));
            assert_eq!(study.top_predictions, number("top_predictions"));
            assert!((study.mean - oracle["mean_act"].as_f64().unwrap()).abs() < 1e-5);
            assert!((f64::from(study.max.unwrap()) - oracle["max_act"].as_f64().unwrap()).abs() < 1e-4);
            let activations = array(&format!("act_{}_{}", study.layer, study.neuron), f32::from_le_bytes);
            match bins {
                Bins::Notebook => {
                    let ours: Vec<(i64, u64, u64)> =
                        study.bins.iter().map(|b| (b.bin.into(), b.count, b.top)).collect();
                    let row =
                        |row: &Value| (row[0].as_i64().unwrap(), row[2].as_u64().unwrap(), row[3].as_u64().unwrap());
                    let theirs: Vec<_> = oracle["bins"].as_array().unwrap().iter().map(row).collect();
                    assert_eq!(ours, theirs);
                }
                Bins::Floor => {
                    for bin in &study.bins {
                        let is_in = |a: &f32| (f64::from(*a) / 0.2).floor() as i32 == bin.bin;
                        assert_eq!(bin.count, activations.iter().filter(|a| is_in(a)).count() as u64);
                        assert!(bin.low <= bin.top as f64 / bin.count as f64 && bin.high <= 1.0);
                    }
                }
            }
            let is_top: Vec<bool> = argmax.iter().map(|&id| id == study.id).collect();
            let exact = auc(&activations, &is_top);
            assert!((study.auc.unwrap() - exact).abs() < 1e-5, "{:?}, not {exact}", study.auc);
            let rows = |key: &str| oracle[key].as_array().unwrap().clone();
            let place = |row: &Value| {
                (row[0].as_f64().unwrap() as f32, 1000 * row[1].as_u64().unwrap() + row[2].as_u64().unwrap_or(0))
            };
            let top: Vec<_> = study.top.iter().map(|e| (e.value, 1000 * e.document + u64::from(e.position))).collect();
            assert_same_examples(&top, &rows("top20").iter().map(place).collect::<Vec<_>>());
            let top: Vec<_> = study.top_documents.iter().map(|e| (e.value, 1000 * e.document)).collect();
            assert_same_examples(&top, &rows("top20_docs").iter().map(place).collect::<Vec<_>>());
            for (ours, theirs) in study.top.iter().zip(rows("top20")) {
                assert_eq!(ours.token.replace(' ', "Ġ"), theirs[3].as_str().unwrap());
            }
            check_neuron(&findings, &session, study, &activations);
        }
    }
}

/// By counting every pair.
fn auc(activations: &[f32], is_top: &[bool]) -> f64 {
    let (mut won, mut n) = (0.0, 0.0);
    for (a, _) in activations.iter().zip(is_top).filter(|(_, is)| **is) {
        for (b, _) in activations.iter().zip(is_top).filter(|(_, is)| !**is) {
            n += 1.0;
            won += if a > b {
                1.0
            } else if a == b {
                0.5
            } else {
                0.0
            };
        }
    }
    won / n
}

/// The pass over whole layers says the same of the neuron.
fn check_neuron(findings: &Findings, session: &AnySession, study: &StudyAnswer, activations: &[f32]) {
    let texts = session.token_texts();
    let neuron = findings.neuron(study.layer, study.neuron, &|id| texts[id as usize].clone()).unwrap();
    assert_eq!(neuron.top_documents, study.top_documents);
    assert!((neuron.mean - study.mean).abs() < 1e-6);
    let fired = activations.iter().filter(|&&a| a > 0.0).count() as f64 / activations.len() as f64;
    assert!((neuron.firing_rate - fired).abs() < 2.0 / activations.len() as f64);
    for bin in &neuron.histogram {
        let within = |a: &f32| bin.from.is_none_or(|from| from <= *a) && bin.to.is_none_or(|to| *a < to);
        let count = activations.iter().filter(|a| within(a)).count() as i64;
        // the oracle's last bits are others
        assert!((count - bin.count as i64).abs() <= 2, "{bin:?}: {count}");
    }
    assert_eq!(neuron.histogram.iter().map(|bin| bin.count).sum::<u64>(), activations.len() as u64);
    for example in &neuron.top_documents {
        let at = (example.position - example.context.from) as usize;
        assert_eq!(example.context.values[at], example.value.max(0.0));
        assert_eq!(example.context.tokens[at], example.token);
    }
}

/// The bytes of everything that a folder holds.
fn bytes(findings: &Findings) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    folder::write(findings, Bins::Floor, &["a".into()], |name, bytes| {
        files.push((name.to_owned(), bytes.to_vec()));
        Ok(())
    })
    .unwrap();
    files
}

fn read(files: &[(String, Vec<u8>)]) -> Findings {
    let file = |name: &str| Ok(files.iter().find(|(file, _)| file == name).unwrap().1.clone());
    folder::read(file).unwrap().0
}

#[test]
fn seven_uneven_shards_in_any_order_are_one_run_bit_for_bit() {
    let session = session();
    let documents: Vec<String> = corpus().into_iter().take(150).collect();
    for pack in [false, true] {
        let options = CorpusOptions { pack, top: 7, ..options() };
        let one = bytes(&whole(&session, &documents, &options));
        let shard = |i| pass(&session, &documents, &options, Shards::one(i, 7), None, usize::MAX).unwrap();
        // by way of their folders, as the command line does it
        let shards: Vec<Findings> = (0..7).map(|i| read(&bytes(&shard(i)))).collect();
        for order in [[0, 1, 2, 3, 4, 5, 6], [6, 2, 4, 0, 5, 1, 3], [3, 6, 5, 4, 1, 2, 0]] {
            let mut merged = shards[order[0]].clone();
            order[1..].iter().for_each(|&i| merged.merge(shards[i].clone()).unwrap());
            merged.settle();
            assert!(bytes(&merged) == one, "shards in the order {order:?} differ from one run");
        }
        let twice = shards[0].clone().merge(shards[0].clone());
        assert!(matches!(twice, Err(Error::Merge(_))));
    }
}

#[cfg(not(target_arch = "wasm32"))]
proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Texts that are cut into words come to the very tokens of the whole.
    #[test]
    fn words_are_tokens_bounds(text in "([a-z]{0,6}|[ \\n\\t\u{a0}]{1,3}|['’é.,!<|>0-9]{1,3}|<\\|endoftext\\|>|'s|\u{2003}|日本){0,40}") {
        let tokenizer = peartree::model::Tokenizer::from_json(common::TOKENIZER).unwrap();
        prop_assert_eq!(tokenizer.encode_long(&text).unwrap(), tokenizer.encode(&text).unwrap());
    }

    /// Any number of shards, any of them stopped and gone on with from its bytes.
    #[test]
    fn any_split_is_one_run(n in 1u64..12, stop in 0usize..6, order in any::<u64>(), take in 1usize..120, pack: bool) {
        let session = session();
        let documents: Vec<String> = corpus().into_iter().take(take).collect();
        let options = CorpusOptions { pack, top: 5, share: 0.8, seed: 3, ..options() };
        let one = bytes(&whole(&session, &documents, &options));
        let mut shards: Vec<Findings> = (0..n).map(|i| {
            let part = pass(&session, &documents, &options, Shards::one(i, n), None, stop).unwrap();
            let part = Findings::from_bytes(&part.to_bytes().unwrap()).unwrap();
            pass(&session, &documents, &options, Shards::one(i, n), Some(part), usize::MAX).unwrap()
        }).collect();
        shards.rotate_left((order % n) as usize);
        if order % 2 == 0 { shards.reverse(); }
        let mut merged = shards.pop().unwrap();
        for shard in shards { merged.merge(shard).unwrap(); }
        merged.settle();
        prop_assert!(bytes(&merged) == one);
    }
}

#[test]
fn packed_rows_fill_the_context_and_keep_documents_apart() {
    let session = session();
    let cut = whole(&session, &corpus(), &options());
    let packed = whole(&session, &corpus(), &CorpusOptions { pack: true, ..options() });
    // every document fits into this model's context, so packing only changes what stands before it
    assert_eq!((cut.documents, cut.positions), (packed.documents, packed.positions));
    assert_eq!(cut.studies[0].occurrences, packed.studies[0].occurrences);
    let long = vec!["The lemon was ripe. I picked an apple.\n".repeat(200)];
    let n_tokens = whole(&session, &long, &CorpusOptions { pack: true, ..options() }).positions;
    let n_ctx = model().config.n_ctx as u64;
    assert_eq!(whole(&session, &long, &options()).positions, n_ctx);
    assert!(n_tokens > 10 * n_ctx, "{n_tokens}");
}

#[test]
fn a_sample_is_drawn_by_its_seed() {
    let session = session();
    let sample = |share, seed| whole(&session, &corpus(), &CorpusOptions { share, seed, ..options() });
    let half = sample(0.5, 1);
    assert!((70..130).contains(&half.documents), "{}", half.documents);
    assert_eq!(half, sample(0.5, 1));
    assert_ne!(half.positions, sample(0.5, 2).positions);
}

#[test]
fn what_cannot_be_asked_is_refused() {
    let session = session();
    let refused = |change: fn(&mut CorpusOptions)| {
        let mut options = options();
        change(&mut options);
        plan(&session, &options).is_err()
    };
    assert!(refused(|o| o.neurons = vec!["4:0:#1".into()]));
    assert!(refused(|o| o.neurons = vec!["0:256:#1".into()]));
    assert!(refused(|o| o.neurons = vec!["0:1".into()]));
    assert!(refused(|o| o.neurons = vec!["0:1:nosuchtoken".into()]));
    assert!(refused(|o| o.layers = Some(LayersArgument::One(4))));
    assert!(refused(|o| o.layers = Some(LayersArgument::Words("1-4".into()))));
    assert!(refused(|o| o.layers = Some(LayersArgument::Words("first".into()))));
    assert!(refused(|o| o.layers = Some(LayersArgument::Many(vec![0, 4]))));
    assert!(refused(|o| o.top = 0));
    assert!(refused(|o| o.share = 0.0));
    assert!(refused(|o| o.share = f64::NAN));
    assert!(refused(|o| (o.neurons, o.layers) = (Vec::new(), None)));
}

#[test]
fn layers_are_chosen_by_number_and_range() {
    let session = session();
    let chosen = |layers| {
        let options = CorpusOptions { layers: Some(layers), ..options() };
        plan(&session, &options).unwrap().layers.into_iter().collect::<Vec<_>>()
    };
    assert_eq!(chosen(LayersArgument::One(2)), [2]);
    assert_eq!(chosen(LayersArgument::Many(vec![3, 0])), [0, 3]);
    assert_eq!(chosen(LayersArgument::Words("0-1, 3".into())), [0, 1, 3]);
    assert_eq!(chosen(LayersArgument::Words("all".into())), [0, 1, 2, 3]);
}

/// One document longer than a piece, a group and the context: its later pieces are counted nowhere, the next
/// document's are.
#[test]
fn a_document_of_many_pieces_is_cut_and_the_next_one_is_whole() {
    let session = session();
    let long = "The lemon was ripe. I picked an apple.\n".repeat(9000);
    assert!(long.len() > 4 * (1 << 16));
    let next = "I picked a pear.".to_owned();
    let both = whole(&session, &[long.clone(), next.clone()], &options());
    let alone = whole(&session, &[next], &options());
    assert_eq!(both.positions, model().config.n_ctx as u64 + alone.positions);
    assert_eq!(both.documents, 2);
}

/// One bit in every so many bytes is turned over: each damaged part is refused, and named.
#[test]
fn no_flipped_bit_of_a_checkpoint_or_folder_goes_unseen() {
    let session = session();
    let some: Vec<String> = corpus().into_iter().take(40).collect();
    let findings = whole(&session, &some, &CorpusOptions { top: 2, ..options() });
    let kept = findings.to_bytes().unwrap();
    let places = |len: usize| {
        (0..300).chain((300..len).step_by(len / 400 + 1)).chain(len.saturating_sub(50)..len).filter(move |&at| at < len)
    };
    for at in places(kept.len()) {
        let mut damaged = kept.clone();
        damaged[at] ^= 1 << (at % 8);
        let error = Findings::from_bytes(&damaged).expect_err("went unseen");
        assert_eq!(error.code(), "bad_checkpoint", "byte {at}");
        assert!(at < 8 || error.to_string().contains("damaged: "), "byte {at}: {error}");
    }
    assert!(Findings::from_bytes(&[&kept[..], b"x"].concat()).is_err());
    let files = bytes(&findings);
    let with = |name: &str, changed: &[u8]| {
        let file = |file: &str| {
            Ok(if file == name {
                changed.to_vec()
            } else {
                files.iter().find(|(other, _)| other == file).unwrap().1.clone()
            })
        };
        folder::read(file)
    };
    for (name, good) in &files {
        assert!(with(name, good).is_ok());
        for at in places(good.len()) {
            let mut damaged = good.clone();
            damaged[at] ^= 1 << (at % 8);
            let error = with(name, &damaged).err().unwrap_or_else(|| panic!("byte {at} of {name} went unseen"));
            assert!(error.to_string().contains(name.as_str()) || at < 16, "byte {at} of {name}: {error}");
        }
    }
    // a record in another's place, and a file of another run
    let (name, layer) = files.iter().find(|(name, _)| name.starts_with("layer-")).unwrap();
    let mut swapped = layer.clone();
    swapped.rotate_left(folder::record_bytes(2));
    assert!(with(name, &swapped).unwrap_err().to_string().contains("at neuron 0"));
    let other = bytes(&whole(&session, &some[1..], &CorpusOptions { top: 2, ..options() }));
    for (name, other) in other.iter().filter(|(name, _)| name != folder::INDEX && name != folder::TOKENS) {
        assert!(with(name, other).is_err(), "another run's {name} was taken");
    }
    let old = with(folder::INDEX, b"{\"format\":1,\"plan\":{}}").unwrap_err().to_string();
    assert!(old.contains("earlier version"), "{old}");
}

#[test]
fn damaged_checkpoints_are_refused() {
    let session = session();
    let good = pass(&session, &corpus(), &options(), Shards::all(), None, 2).unwrap();
    let bytes = good.to_bytes().unwrap();
    for cut in [0, 4, 9, bytes.len() / 2, bytes.len() - 1] {
        assert_eq!(Findings::from_bytes(&bytes[..cut]).unwrap_err().code(), "bad_checkpoint");
    }
    let other = CorpusOptions { pack: true, ..options() };
    assert!(matches!(pass(&session, &corpus(), &other, Shards::all(), Some(good), 1), Err(Error::Checkpoint)));
}

/// Runs of different lengths, one under the other, against each by itself.
#[test]
fn ragged_rows_are_each_its_own_run() {
    let model = model();
    let engine = CpuEngine::new(model.config.clone(), model.weights);
    let ids: Vec<u32> = (0..100).map(|i| i * 7 % model.config.vocab_size as u32).collect();
    let rows = [&ids[..5], &ids[5..6], &ids[6..90]];
    let mut seen = Vec::new();
    let resid = complete(engine.neurons(&rows, &[1].into(), true, &Unhurried, |layer, neurons| {
        assert_eq!(layer, 1);
        seen.extend_from_slice(neurons);
    }))
    .unwrap();
    let (mut alone, mut ends) = (Vec::new(), Vec::new());
    for row in rows {
        let site = Site::Block(1, BlockSite::MlpPost);
        let resid = Site::Block(model.config.n_layer - 1, BlockSite::ResidPost);
        let base = complete(engine.base(row, None, &SiteSet::none(), &Unhurried)).unwrap();
        let read = complete(engine.read(&base, &[site, resid].into_iter().collect(), 0, &Unhurried)).unwrap();
        alone.extend_from_slice(&read.at(site).unwrap().data);
        ends.extend_from_slice(&read.at(resid).unwrap().data);
    }
    common::assert_close("neurons", &seen, &alone);
    common::assert_close("residual stream", &resid.data, &ends);
    // the likeliest token among a few is the likeliest of all, or none
    let tops = complete(engine.unembed_topk(&resid, peartree::engine::FinalNorm::Own, 1, &Unhurried)).unwrap();
    let wanted: Vec<u32> = tops.iter().step_by(3).map(|top| top[0].id).collect();
    let found = complete(engine.likeliest_among(&resid, &wanted, &Unhurried)).unwrap();
    let right: Vec<_> = tops.iter().map(|top| Some(top[0].id).filter(|id| wanted.contains(id))).collect();
    assert_eq!(found, right);
    assert!(right.iter().any(Option::is_none) && right.iter().any(Option::is_some));
}

/// Stops at every so manieth breath.
struct Stop(std::cell::Cell<usize>, usize);

impl Control for Stop {
    async fn breathe(&self) -> Result<()> {
        self.0.set(self.0.get() + 1);
        if self.0.get().is_multiple_of(self.1) { Err(Error::Cancelled) } else { Ok(()) }
    }
}

#[test]
fn a_pass_that_is_stopped_anywhere_goes_on_to_the_same_end() {
    let session = session();
    let (documents, options) = (corpus(), CorpusOptions { top: 3, ..options() });
    let plan = plan(&session, &options).unwrap();
    let one = bytes(&whole(&session, &documents, &options));
    // more than there are documents: reading up to where it was must not be all it comes to
    let stop = Stop(std::cell::Cell::new(0), 271);
    let (mut before, mut stops) = (None, 0);
    let end = loop {
        let documents = Documents::new([source(&documents)]);
        let mut pass = Pass::new(session.subject(), documents, (plan.clone(), Shards::all()), before.take()).unwrap();
        let stopped = loop {
            match complete(pass.step(&stop)) {
                Ok(true) => {}
                Ok(false) => break false,
                Err(error) => {
                    assert!(matches!(error, Error::Cancelled));
                    break true;
                }
            }
        };
        let findings = pass.finish();
        if !stopped {
            break findings;
        }
        stops += 1;
        before = Some(Findings::from_bytes(&findings.to_bytes().unwrap()).unwrap());
    };
    assert!(stops > 3 && bytes(&end) == one, "after {stops} stops");
}

//! Models from a hub that fails in every way a hub can, kept where a crash may come at any moment: what loads is
//! always the right model, and what has come is never asked for again.

mod common;
#[path = "common/hub.rs"]
mod hub;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use candle_core::Tensor;
use common::parts::{Parts, half, halves, pickled_halves, zipped};
use common::{CONFIG, TOKENIZER, WEIGHTS, ask};
use hub::{COMMIT, Clockwork, Fault, Hub, PICKLE, WEIGHTS as WEIGHTS_NAME};
use peartree::engine::{Control, Unhurried};
use peartree::error::{Error, Result, StoreError};
use peartree::model::{Sink, Tensors};
use peartree::protocol::{
    Answer, HubPlace, Place, PredictOptions, Progress, Prompt, Request, Room, Source, Stage, WeightDtype,
};
use peartree::session::{AnySession, AnySink};
use peartree::store::Store;
use peartree::store::address::{Site, hex};
use peartree::store::direct::Direct;
use peartree::store::line::Terms;
use peartree::store::memory::{Memory, MemoryFile};
use peartree::store::storage::{Storage, StoredFile};
use peartree::store::watch::Watch;
use peartree::store::wire::Trouble;
use proptest::prelude::*;
use serde_json::{Map, json};
use sha2::{Digest, Sha256};

const REPO: &str = "org/model-p";

fn terms() -> Terms {
    Terms { piece_bytes: 200_000, probe_bytes: 4096, journal_bytes: 10_000, ..Terms::default() }
}

fn hub() -> Hub {
    Hub::new(CONFIG, Some(TOKENIZER), WEIGHTS, hex(&Sha256::digest(WEIGHTS)))
}

fn source(revision: Option<&str>, token: Option<&str>) -> Source {
    let (revision, token) = (revision.map(str::to_owned), token.map(str::to_owned));
    let place = HubPlace { host: Some("https://hub.example".into()), repo: REPO.into(), revision, token };
    Source { name: REPO.into(), place: Place::Hub(place), threads: None, dtype: None, engine: None }
}

/// A store over these, and a way to use it.
struct Bench<S> {
    store: Store<Hub, S, Clockwork>,
    progress: RefCell<Vec<Progress>>,
}

fn bench<S: Storage>(hub: &Hub, storage: S, clock: &Clockwork) -> Bench<S> {
    let store = Store { wire: hub.clone(), storage, device: clock.clone(), terms: terms() };
    Bench { store, progress: RefCell::default() }
}

impl<S: Storage> Bench<S> {
    /// Loads the model as the worker does.
    async fn try_load(&self, source: &Source, control: &impl Control) -> Result<AnySession> {
        let on_progress = |progress| self.progress.borrow_mut().push(progress);
        let watch = Watch { control, on_progress: &on_progress };
        let site = Site::of(&source.place)?.expect("a hub");
        let held = self.store.fetch(source, &site, &watch).await?;
        let model =
            self.store.build(&held, source.dtype.unwrap_or_default(), AnySink::Cpu(Tensors::new()), &watch).await?;
        Ok(AnySession::of(source.name.clone(), model)?.from_origin(Some(held.manifest.origin())))
    }

    fn load(&self) -> Result<AnySession> {
        self.store.device.run(self.try_load(&source(None, None), &Unhurried))
    }

    fn failure(&self) -> StoreError {
        match self.load() {
            Err(Error::Store(error)) => error,
            Err(other) => panic!("failed for another reason: {other}"),
            Ok(_) => panic!("nothing failed"),
        }
    }

    fn kept(&self) -> peartree::protocol::Kept {
        self.store.device.run(self.store.kept()).unwrap()
    }
}

fn logits(session: &AnySession) -> Vec<f32> {
    let prompt = Prompt::Ids(vec![1, 2, 3, 4, 5]);
    match ask(session, Request::Predict(PredictOptions { prompt, top: usize::MAX, no_bos: false })).unwrap() {
        Answer::Prediction(prediction) => prediction.top.iter().map(|candidate| candidate.logit).collect(),
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn assert_right(session: &AnySession) {
    assert_eq!(logits(session), logits(&common::session()));
    assert_eq!(session.info().origin.unwrap().sha256, hex(&Sha256::digest(WEIGHTS)));
}

#[test]
fn loads_from_a_hub_and_then_without_one() {
    let (hub, memory, clock) = (hub(), Memory::default(), Clockwork::default());
    let first = bench(&hub, memory.clone(), &clock);
    let session = first.load().unwrap();
    assert_right(&session);
    let origin = session.info().origin.unwrap();
    assert_eq!((origin.commit.as_deref(), origin.revision.as_deref()), (Some(COMMIT), Some("main")));
    assert!(origin.attested);
    assert!(hub.sent.borrow().iter().all(|&times| times == 1), "every byte came once");
    // after the first file, every address names the commit
    let asked = hub.asked.take();
    assert!(asked[0].ends_with("/org/model-p/resolve/main/config.json"));
    assert!(asked[1..].iter().all(|url| url.contains(COMMIT)), "{asked:?}");
    assert!(asked.len() <= 7 + WEIGHTS.len().div_ceil(terms().piece_bytes as usize) + 2, "{asked:?}");

    let second = bench(&hub, memory, &clock);
    assert_right(&second.load().unwrap());
    assert!(hub.asked.borrow().is_empty(), "the second load asks nobody");
    assert!(second.progress.borrow().iter().all(|progress| progress.stage == Stage::Reading));
    // so does one that names what was asked for, or the commit
    for revision in ["main", COMMIT] {
        clock.run(second.try_load(&source(Some(revision), None), &Unhurried)).unwrap();
        assert!(hub.asked.borrow().is_empty(), "{revision}");
    }
}

#[test]
fn progress_counts_every_byte_up() {
    let (hub, clock) = (hub(), Clockwork::default());
    let bench = bench(&hub, Memory::default(), &clock);
    bench.load().unwrap();
    let progress = bench.progress.take();
    let of = |stage| progress.iter().filter(|p| p.stage == stage).map(|p| p.done).collect::<Vec<_>>();
    for stage in [Stage::Downloading, Stage::Reading] {
        let done = of(stage);
        assert!(done.is_sorted() && done.last() == Some(&(WEIGHTS.len() as f64)), "{stage:?}: {done:?}");
    }
}

fn fault() -> impl Strategy<Value = Fault> {
    let after = 0..250_000u64;
    prop_oneof![
        after.clone().prop_map(Fault::Break),
        after.clone().prop_map(Fault::Stall),
        after.prop_map(Fault::End),
        Just(Fault::Busy(429, Some(3))),
        Just(Fault::Busy(429, None)),
        Just(Fault::Busy(503, None)),
        Just(Fault::Busy(500, None)),
        Just(Fault::Trouble(Trouble::Unreachable)),
        Just(Fault::Trouble(Trouble::Offline)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn through_any_faults_comes_the_right_model_and_no_byte_twice(
        faults in prop::collection::vec(fault(), 25), seed: u64
    ) {
        let (hub, clock) = (hub(), Clockwork::seeded(seed));
        hub.fail(faults);
        let mut bench = bench(&hub, Memory::default(), &clock);
        // 25 troubles may come in a row for one piece: that so many end a download has a test of its own
        (bench.store.terms.troubles, bench.store.terms.first_troubles) = (26, 26);
        assert_right(&bench.load().unwrap());
        prop_assert!(hub.sent.borrow().iter().all(|&times| times == 1));
    }

    #[test]
    fn without_ranges_too(faults in prop::collection::vec(fault(), 5), seed: u64, refuses: bool) {
        let (hub, clock) = (hub(), Clockwork::seeded(seed));
        hub.has_ranges.set(refuses);
        hub.refuses_ranges.set(refuses);
        hub.fail(faults);
        let mut bench = bench(&hub, Memory::default(), &clock);
        bench.store.terms.first_troubles = 6;
        assert_right(&bench.load().unwrap());
    }
}

#[test]
fn one_answer_is_enough_where_there_are_no_ranges() {
    let (hub, clock) = (hub(), Clockwork::default());
    hub.has_ranges.set(false);
    assert_right(&bench(&hub, Memory::default(), &clock).load().unwrap());
    assert!(hub.sent.borrow().iter().all(|&times| times == 1));
}

/// Storage that fails from its `left`-th change on, of which only half is made.
#[derive(Clone)]
struct Mortal {
    memory: Memory,
    left: Rc<Cell<u64>>,
}

struct MortalFile(MemoryFile, Rc<Cell<u64>>);

/// Whether a change is still made whole; at the moment of the crash, half.
enum Change {
    Whole,
    Half,
    None,
}

fn change(left: &Cell<u64>) -> Change {
    left.set(left.get().saturating_sub(1));
    match left.get() {
        0 => Change::None,
        1 => Change::Half,
        _ => Change::Whole,
    }
}

fn crash<T>() -> Result<T> {
    Err(StoreError::Storage { act: "written", why: "the power went".into() }.into())
}

impl Storage for Mortal {
    type File = MortalFile;

    async fn open(&self, folder: &str, name: &str) -> Result<MortalFile> {
        Ok(MortalFile(self.memory.open(folder, name).await?, self.left.clone()))
    }
    async fn read(&self, folder: &str, name: &str) -> Result<Option<Vec<u8>>> {
        self.memory.read(folder, name).await
    }
    async fn remove(&self, folder: &str, name: &str) -> Result<()> {
        if let Change::Whole = change(&self.left) { self.memory.remove(folder, name).await } else { crash() }
    }
    async fn folders(&self) -> Result<Vec<String>> {
        self.memory.folders().await
    }
    async fn delete(&self, folder: &str) -> Result<()> {
        if let Change::Whole = change(&self.left) { self.memory.delete(folder).await } else { crash() }
    }
}

impl StoredFile for MortalFile {
    async fn size(&self) -> Result<u64> {
        self.0.size().await
    }
    async fn read_at(&self, at: u64, into: &mut [u8]) -> Result<()> {
        self.0.read_at(at, into).await
    }
    async fn write_at(&self, at: u64, bytes: &[u8]) -> Result<()> {
        match change(&self.1) {
            Change::Whole => self.0.write_at(at, bytes).await,
            Change::Half => self.0.write_at(at, &bytes[..bytes.len() / 2]).await.and_then(|()| crash()),
            Change::None => crash(),
        }
    }
    async fn flush(&self) -> Result<()> {
        Ok(())
    }
    async fn truncate(&self, len: u64) -> Result<()> {
        if let Change::Whole = change(&self.1) { self.0.truncate(len).await } else { crash() }
    }
}

/// What one download changes on the storage.
fn changes() -> u64 {
    let left = Rc::new(Cell::new(u64::MAX));
    let mortal = Mortal { memory: Memory::default(), left: left.clone() };
    bench(&hub(), mortal, &Clockwork::default()).load().unwrap();
    u64::MAX - left.get()
}

#[test]
fn a_crash_at_any_change_leaves_no_wrong_model_and_loses_next_to_nothing() {
    let all = changes();
    // every change near both ends, where files begin and the manifest is made, and some of the many between
    let moments = (2..60).chain((60..all - 60).step_by(37)).chain(all - 60..all + 2);
    for left in moments {
        let (hub, memory, clock) = (hub(), Memory::default(), Clockwork::default());
        let mortal = Mortal { memory: memory.clone(), left: Rc::new(Cell::new(left)) };
        let crashed = bench(&hub, mortal, &clock).load();
        let after = memory.snapshot();
        drop(crashed);

        let again = bench(&hub, after, &clock);
        for model in again.kept().models.iter().filter(|model| model.whole) {
            assert_eq!(model.sha256.as_deref(), Some(hex(&Sha256::digest(WEIGHTS)).as_str()), "change {left}");
        }
        assert_right(&again.load().unwrap());
        let twice = hub.sent_bytes() - WEIGHTS.len() as u64;
        // what each of the pieces in flight had not noted, and the header that came before the journal
        let most = 4 * (terms().journal_bytes + hub::CHUNK) + 2 * terms().probe_bytes + 20_000;
        assert!(twice <= most, "change {left} of {all}: {twice} bytes came twice");
    }
}

/// Says that the work is no longer wanted, after so many looks.
struct Impatient(Cell<u32>);

impl Control for Impatient {
    async fn breathe(&self) -> Result<()> {
        self.0.set(self.0.get().saturating_sub(1));
        if self.0.get() == 0 { Err(Error::Cancelled) } else { Ok(()) }
    }
}

#[test]
fn a_pause_keeps_every_byte() {
    let (hub, memory, clock) = (hub(), Memory::default(), Clockwork::default());
    for looks in [20, 60, 120, 200] {
        let stopped = bench(&hub, memory.clone(), &clock);
        let result = clock.run(stopped.try_load(&source(None, None), &Impatient(Cell::new(looks))));
        assert!(matches!(result, Err(Error::Cancelled)));
        let kept = stopped.kept().models;
        assert!(kept.iter().all(|model| !model.whole), "half a model is not a whole one");
    }
    assert_right(&bench(&hub, memory, &clock).load().unwrap());
    // but for the header, which is looked at before anything is written down
    assert!(hub.sent.borrow()[30_000..].iter().all(|&times| times == 1), "no byte came twice");
}

#[test]
fn a_second_tab_waits_and_downloads_nothing() {
    let (hub, memory, clock) = (hub(), Memory::default(), Clockwork::default());
    let (one, two) = (bench(&hub, memory.clone(), &clock), bench(&hub, memory, &clock));
    let source = source(None, None);
    let both = async {
        futures_util::future::join(one.try_load(&source, &Unhurried), two.try_load(&source, &Unhurried)).await
    };
    let (first, second) = clock.run(both);
    assert_right(&first.unwrap());
    assert_right(&second.unwrap());
    assert!(hub.sent.borrow().iter().all(|&times| times == 1));
    let waited = |bench: &Bench<Memory>| bench.progress.borrow().iter().any(|p| p.stage == Stage::Waiting);
    assert!(waited(&one) != waited(&two), "one of them waited, and said so");
}

#[test]
fn a_wrong_hash_deletes_the_file() {
    for tells_hash in [true, false] {
        let (hub, clock) = (hub(), Clockwork::default());
        hub.tells_hash.set(tells_hash);
        let mut changed = WEIGHTS.to_vec();
        let at = changed.len() / 2;
        changed[at] ^= 1;
        hub.files.borrow_mut().insert(hub::WEIGHTS, changed);
        let bench = bench(&hub, Memory::default(), &clock);
        assert!(matches!(bench.failure(), StoreError::WrongHash { .. }));
        assert_eq!(bench.kept().models, []);
        hub.files.borrow_mut().insert(hub::WEIGHTS, WEIGHTS.to_vec());
        assert_right(&bench.load().unwrap());
    }
}

#[test]
fn a_hub_without_hashes_is_taken_at_its_word_and_that_is_said() {
    let (hub, clock) = (hub(), Clockwork::default());
    hub.sha256.replace("unknown".into());
    let session = bench(&hub, Memory::default(), &clock).load().unwrap();
    assert_right(&session);
    assert!(!session.info().origin.unwrap().attested);
}

#[test]
fn a_file_that_changes_is_begun_again_and_not_mixed() {
    let (hub, clock) = (hub(), Clockwork::default());
    hub.fail([Fault::Break(90_000), Fault::Break(40_000), Fault::Etag]);
    assert_right(&bench(&hub, Memory::default(), &clock).load().unwrap());
    // one that never stops changing is given up
    let (hub, clock) = (self::hub(), Clockwork::default());
    hub.fail((0..200).map(|_| Fault::Etag));
    assert!(matches!(bench(&hub, Memory::default(), &clock).failure(), StoreError::Changing { .. }));
}

#[test]
fn a_wrong_length_is_refused() {
    let (hub, clock) = (hub(), Clockwork::default());
    hub.fail([Fault::Total(WEIGHTS.len() as u64 - 1)]);
    let message = bench(&hub, Memory::default(), &clock).load().err().unwrap().to_string();
    assert!(message.contains("is cut short") || message.contains("bytes long"), "{message}");
    // said later than with the first answer
    let (hub, clock) = (self::hub(), Clockwork::default());
    hub.fail([Fault::Break(5000), Fault::Break(50_000), Fault::Break(5000), Fault::Total(17)]);
    assert!(matches!(bench(&hub, Memory::default(), &clock).failure(), StoreError::WrongLength { .. }));
}

#[test]
fn every_failure_says_what_happened_and_what_to_do() {
    type Check = fn(&StoreError) -> bool;
    let cases: [(&str, Vec<Fault>, Check); 10] = [
        ("403", vec![Fault::Status(403)], |e| matches!(e, StoreError::NeedsToken { .. })),
        ("401", vec![Fault::Status(401)], |e| matches!(e, StoreError::NeedsToken { .. })),
        ("404", vec![Fault::Status(404)], |e| matches!(e, StoreError::NotThere { .. })),
        ("teapot", vec![Fault::Status(418)], |e| matches!(e, StoreError::BadAnswer { status: 418, .. })),
        ("page", vec![Fault::Page], |e| matches!(e, StoreError::PageInstead { .. })),
        ("offline", vec![Fault::Trouble(Trouble::Offline); 3], |e| matches!(e, StoreError::Offline { .. })),
        ("no host", vec![Fault::Trouble(Trouble::Unreachable); 3], |e| matches!(e, StoreError::Unreachable { .. })),
        ("cors", vec![Fault::Trouble(Trouble::CrossOrigin); 6], |e| matches!(e, StoreError::CrossOrigin { .. })),
        ("silent", vec![Fault::Trouble(Trouble::Silent); 6], |e| matches!(e, StoreError::Silent { .. })),
        ("busy", vec![Fault::Busy(503, None); 12], |e| matches!(e, StoreError::GaveUp { .. })),
    ];
    for (what, faults, is_right) in cases {
        let (hub, clock) = (hub(), Clockwork::default());
        hub.fail(faults);
        let bench = bench(&hub, Memory::default(), &clock);
        let error = bench.failure();
        assert!(is_right(&error), "{what}: {error:?}");
        // nothing of it is lasting
        assert_right(&bench.load().unwrap());
    }
}

#[test]
fn a_server_that_asks_for_time_is_given_it() {
    let (hub, clock) = (hub(), Clockwork::default());
    hub.fail([Fault::Busy(429, Some(60))]);
    bench(&hub, Memory::default(), &clock).load().unwrap();
    let waited = Duration::from_millis(peartree::store::storage::Device::now_ms(&clock));
    assert!(waited >= Duration::from_secs(60), "{waited:?}");
}

#[test]
fn no_model_is_begun_that_has_no_room() {
    let (hub, clock) = (hub(), Clockwork::default());
    clock.room.set(Room { used: 0, quota: Some(WEIGHTS.len() as u64 / 2), persisted: false, transient: false });
    let bench = bench(&hub, Memory::default(), &clock);
    let error = bench.failure();
    assert!(matches!(error, StoreError::NoRoom { .. }), "{error:?}");
    assert!(hub.sent_bytes() < 30_000, "only the header was fetched");
}

#[test]
fn room_that_runs_out_half_way_leaves_half_a_model_to_go_on_with() {
    let (hub, memory, clock) = (hub(), Memory::default(), Clockwork::default());
    memory.limit(Some(700_000));
    let bench = bench(&hub, memory.clone(), &clock);
    assert!(matches!(bench.failure(), StoreError::RoomRanOut { .. }));
    let kept = bench.kept().models;
    assert!(kept.len() == 1 && !kept[0].whole && kept[0].bytes_here > 100_000, "{kept:?}");
    memory.limit(None);
    assert_right(&bench.load().unwrap());
}

#[test]
fn verify_finds_a_flipped_bit_and_deletes() {
    let (hub, memory, clock) = (hub(), Memory::default(), Clockwork::default());
    let bench = bench(&hub, memory.clone(), &clock);
    bench.load().unwrap();
    let key = bench.kept().models[0].key.clone();
    let verify = || {
        let watch = Watch { control: &Unhurried, on_progress: &|_| () };
        clock.run(bench.store.verify(&key, &watch))
    };
    assert!(verify().unwrap().whole);
    clock.run(async {
        let file = memory.open(&key, hub::WEIGHTS).await.unwrap();
        let mut byte = [0];
        file.read_at(777_777, &mut byte).await.unwrap();
        file.write_at(777_777, &[byte[0] ^ 0x10]).await.unwrap();
    });
    assert!(matches!(verify(), Err(Error::Store(StoreError::WrongHash { .. }))));
    assert_eq!(bench.kept().models, []);
    assert!(matches!(verify(), Err(Error::Store(StoreError::NotKept { .. }))));
    assert_right(&bench.load().unwrap());
}

#[test]
fn a_changed_small_file_or_a_lost_end_is_found_when_loading() {
    for (name, len) in [("config.json", 20), (hub::WEIGHTS, 1_000_000)] {
        let (hub, memory, clock) = (hub(), Memory::default(), Clockwork::default());
        let bench = bench(&hub, memory.clone(), &clock);
        bench.load().unwrap();
        let key = bench.kept().models[0].key.clone();
        clock.run(async { memory.open(&key, name).await.unwrap().truncate(len).await.unwrap() });
        assert!(matches!(bench.failure(), StoreError::Damaged { .. }), "{name}");
        assert_right(&bench.load().unwrap());
    }
}

#[test]
fn describes_before_and_after() {
    let (hub, clock) = (hub(), Clockwork::default());
    let bench = bench(&hub, Memory::default(), &clock);
    let source = source(None, None);
    let describe = || {
        let site = Site::of(&source.place).unwrap().unwrap();
        let watch = Watch { control: &Unhurried, on_progress: &|_| () };
        clock.run(bench.store.describe(&source, &site, &watch)).unwrap()
    };
    let before = describe();
    assert_eq!((before.kept, before.bytes_here, before.file_dtype.as_str()), (false, 0, "f32"));
    assert_eq!(before.commit.as_deref(), Some(COMMIT));
    assert!(before.has_tokenizer && before.bytes > WEIGHTS.len() as u64 && before.memory.iter().all(|need| need.fits));
    assert!(hub.sent_bytes() < 30_000, "only the header was fetched");
    assert_eq!(bench.kept().models, [], "nothing is kept of it");
    bench.load().unwrap();
    hub.asked.take();
    let after = describe();
    assert!(after.kept && after.bytes_here == after.bytes && hub.asked.borrow().is_empty());
    assert_eq!((after.config, after.bytes, after.parameters), (before.config, before.bytes, before.parameters));
}

#[test]
fn another_model_is_refused_by_its_header() {
    let (hub, clock) = (hub(), Clockwork::default());
    let config = String::from_utf8(CONFIG.to_vec()).unwrap().replace("\"n_layer\": 4", "\"n_layer\": 5");
    let layers = config.replace("\"n_layer\":4", "\"n_layer\":5");
    assert_ne!(layers.as_bytes(), CONFIG);
    hub.files.borrow_mut().insert("config.json", layers.into_bytes());
    assert!(matches!(bench(&hub, Memory::default(), &clock).load(), Err(Error::Weights(_))));
    assert!(hub.sent_bytes() < 30_000, "only the header was fetched");
}

#[test]
fn a_model_without_a_tokenizer_reads_ids() {
    let hub = Hub::new(CONFIG, None, WEIGHTS, hex(&Sha256::digest(WEIGHTS)));
    let session = bench(&hub, Memory::default(), &Clockwork::default()).load().unwrap();
    assert!(!session.info().has_tokenizer);
    assert_right(&session);
}

#[test]
fn a_token_goes_to_the_hub_and_is_kept_nowhere() {
    let (hub, memory, clock) = (hub(), Memory::default(), Clockwork::default());
    let bench = bench(&hub, memory.clone(), &clock);
    let source = source(None, Some("hf_secret"));
    clock.run(bench.try_load(&source, &Unhurried)).unwrap();
    assert_eq!(hub.tokens.borrow().iter().collect::<Vec<_>>(), ["hf_secret"]);
    assert!(hub.asked.borrow().iter().all(|url| !url.contains("secret")));
    assert!(!format!("{source:?}").contains("secret"));
    let key = bench.kept().models[0].key.clone();
    for name in ["manifest.json", "config.json", "tokenizer.json"] {
        let bytes = clock.run(memory.read(&key, name)).unwrap().unwrap();
        assert!(!String::from_utf8_lossy(&bytes).contains("secret"), "{name}");
    }
    // refused with a token: it is the token that is wrong
    hub.fail([Fault::Status(403)]);
    clock.run(memory.delete(&key)).unwrap();
    let refused = clock.run(bench.try_load(&source, &Unhurried)).err().unwrap();
    assert!(matches!(refused, Error::Store(StoreError::TokenRefused { .. })), "{refused}");
}

/// The hub's model as PyTorch writes it, with the tokenizer's older files and a word of what begins a text.
fn older_hub() -> (Hub, Vec<u8>) {
    let file = zipped();
    let hash = hex(&Sha256::digest(&file));
    let hub = Hub::new(CONFIG, None, &file, hash);
    let tokenizer: serde_json::Value = serde_json::from_slice(TOKENIZER).unwrap();
    let line = |merge: &serde_json::Value| match merge {
        serde_json::Value::Array(pair) => format!("{} {}\n", pair[0].as_str().unwrap(), pair[1].as_str().unwrap()),
        other => format!("{}\n", other.as_str().unwrap()),
    };
    let merges: String = tokenizer["model"]["merges"].as_array().unwrap().iter().map(line).collect();
    let mut vocab = tokenizer["model"]["vocab"].clone();
    vocab["<|endoftext|>"] = serde_json::json!(1256);
    let mut files = hub.files.borrow_mut();
    files.remove(WEIGHTS_NAME);
    files.insert(PICKLE, file.clone());
    files.insert("vocab.json", vocab.to_string().into_bytes());
    files.insert("merges.txt", merges.into_bytes());
    files.insert("tokenizer_config.json", "{\"bos_token\": \"Ġapple\"}".as_bytes().to_vec());
    drop(files);
    (hub, file)
}

#[test]
fn a_hub_with_older_files_is_loaded_kept_checked_and_described() {
    let ((hub, file), memory, clock) = (older_hub(), Memory::default(), Clockwork::default());
    let first = bench(&hub, memory.clone(), &clock);
    let site = Site::of(&source(None, None).place).unwrap().unwrap();
    let watch = Watch { control: &Unhurried, on_progress: &|_| () };
    let before = clock.run(first.store.describe(&source(None, None), &site, &watch)).unwrap();
    assert_eq!((before.has_tokenizer, before.file_dtype.as_str(), before.kept), (true, "f32", false));
    assert!(hub.sent_bytes() < file.len() as u64 / 4, "only the table of contents was fetched");
    hub.sent.borrow_mut().fill(0);

    let session = first.load().unwrap();
    assert_eq!(logits(&session), logits(&common::session()));
    assert_eq!(session.info().bos.unwrap().token, " apple");
    assert!(hub.sent.borrow().iter().all(|&times| times == 1), "every byte came once");
    let origin = session.info().origin.unwrap();
    assert_eq!((origin.sha256, origin.attested), (hex(&Sha256::digest(&file)), true));

    hub.asked.take();
    let second = bench(&hub, memory, &clock);
    assert_eq!(logits(&second.load().unwrap()), logits(&session));
    let key = second.kept().models[0].key.clone();
    clock.run(second.store.verify(&key, &watch)).unwrap();
    assert!(hub.asked.borrow().is_empty(), "what is kept asks nobody");
}

#[test]
fn a_broken_download_of_an_older_file_goes_on() {
    let ((hub, file), memory, clock) = (older_hub(), Memory::default(), Clockwork::default());
    // past the table of contents, and some of the numbers
    hub.fail(std::iter::repeat_n(Fault::Break(u64::MAX), 8));
    hub.fail([Fault::Break(9000), Fault::End(20_000), Fault::Busy(503, None)]);
    hub.fail(std::iter::repeat_n(Fault::Trouble(Trouble::Unreachable), 40));
    assert!(bench(&hub, memory.clone(), &clock).load().is_err());
    hub.faults.borrow_mut().clear();
    let before = hub.sent_bytes();
    let session = bench(&hub, memory, &clock).load().unwrap();
    assert_eq!(logits(&session), logits(&common::session()));
    assert!(before > 200_000 && hub.sent_bytes() < file.len() as u64 + 20_000, "{before}, {}", hub.sent_bytes());
}

#[test]
fn a_hub_without_weights_says_what_lies_there() {
    let hub = hub();
    hub.files.borrow_mut().remove(WEIGHTS_NAME);
    hub.files.borrow_mut().insert("adapter_model.bin", Vec::new());
    let bench = bench(&hub, Memory::default(), &Clockwork::default());
    let error = bench.load().err().unwrap();
    assert!(matches!(&error, Error::NoWeights(what) if what.contains("adapter_model.bin, an adapter")), "{error}");
    assert_eq!(bench.kept().models, []);
}

const INDEX: &str = "model.safetensors.index.json";

fn hub_in_parts() -> Hub {
    let (parts, index) = halves();
    Hub::in_parts(CONFIG, TOKENIZER, (INDEX, &index), &parts)
}

#[test]
fn weights_in_parts_are_described_loaded_kept_checked_and_forgotten_as_one() {
    let (hub, memory, clock) = (hub_in_parts(), Memory::default(), Clockwork::default());
    // safetensors come before what PyTorch writes
    hub.files.borrow_mut().insert(PICKLE, b"never asked for".to_vec());
    let first = bench(&hub, memory.clone(), &clock);
    let site = Site::of(&source(None, None).place).unwrap().unwrap();
    let watch = Watch { control: &Unhurried, on_progress: &|_| () };
    let before = clock.run(first.store.describe(&source(None, None), &site, &watch)).unwrap();
    assert!(hub.sent_bytes() < 30_000, "only the headers were fetched");
    let (parts, _) = halves();
    let names: Vec<&str> = before.files.iter().map(|file| file.name.as_str()).collect();
    assert_eq!(names, ["config.json", "tokenizer.json", INDEX, parts[0].0, parts[1].0]);
    hub.sent.borrow_mut().fill(0);

    let session = first.load().unwrap();
    assert_eq!(logits(&session), logits(&common::session()));
    assert!(hub.sent.borrow().iter().all(|&times| times == 1), "every byte came once");
    let hashes: String = parts.iter().map(|(_, bytes)| format!("{}\n", hex(&Sha256::digest(bytes)))).collect();
    let origin = session.info().origin.unwrap();
    assert_eq!((origin.sha256, origin.attested), (hex(&Sha256::digest(hashes)), true));
    let totals: Vec<_> = first.progress.borrow().iter().map(|progress| progress.total).collect();
    let all = (parts[0].1.len() + parts[1].1.len()) as f64;
    assert!(totals.contains(&Some(all)), "progress counts both files");

    hub.asked.take();
    let second = bench(&hub, memory.clone(), &clock);
    assert_eq!(logits(&second.load().unwrap()), logits(&session));
    let kept = second.kept().models.remove(0);
    assert_eq!((kept.whole, kept.bytes, kept.bytes_here), (true, Some(before.bytes), before.bytes));
    clock.run(second.store.verify(&kept.key, &watch)).unwrap();
    assert!(hub.asked.borrow().is_empty(), "what is kept asks nobody");
    clock.run(second.store.forget(&kept.key, &watch)).unwrap();
    assert!(clock.run(memory.read(&kept.key, parts[1].0)).unwrap().is_none(), "nothing of it stays");
}

/// The names of a model's weights, as they came.
#[derive(Default)]
struct Order(Vec<String>);

impl Sink for Order {
    fn put(&mut self, name: &str, _: Tensor) -> Result<()> {
        self.0.push(name.to_owned());
        Ok(())
    }
}

#[test]
fn the_embedding_of_a_model_in_parts_waits_for_a_head_only_where_one_comes() {
    for with_head in [false, true] {
        // the embedding is the last of what comes first
        let [second, first] = [half(0), half(1)];
        let second = if with_head { Parts::of(&second).with_tied_head().file() } else { second };
        let parts = [("model-00001-of-00002.safetensors", first), ("model-00002-of-00002.safetensors", second)];
        let map = parts
            .iter()
            .flat_map(|(file, bytes)| Parts::of(bytes).names().into_iter().map(move |name| (name, json!(file))));
        let index = json!({ "weight_map": map.collect::<Map<_, _>>() }).to_string().into_bytes();
        let hub = Hub::in_parts(CONFIG, TOKENIZER, (INDEX, &index), &parts);
        let bench = bench(&hub, Memory::default(), &Clockwork::default());
        let watch = Watch { control: &Unhurried, on_progress: &|_| () };
        let kept = bench.store.device.run(async {
            let site = Site::of(&source(None, None).place)?.expect("a hub");
            let held = bench.store.fetch(&source(None, None), &site, &watch).await?;
            bench.store.build(&held, WeightDtype::F32, Order::default(), &watch).await
        });
        let folder = Place::Folder { url: "https://site.example/mine/".into() };
        let direct = Direct::of(&folder, &hub, &watch).unwrap();
        let direct = bench.store.device.run(direct.load(WeightDtype::F32, Order::default()));
        for model in [kept.unwrap(), direct.unwrap()] {
            let names = model.weights.0;
            let place = if with_head { names.len() - 1 } else { names.len() / 2 - 1 };
            assert_eq!(names.iter().position(|name| name == "wte.weight"), Some(place));
            assert!(model.config.variant.tie_word_embeddings && model.notes.is_empty());
        }
    }
}

#[test]
fn pytorchs_files_in_parts_are_downloaded_checked_and_kept_as_one() {
    let (parts, index) = pickled_halves();
    let index_name = "pytorch_model.bin.index.json";
    let (hub, memory, clock) =
        (Hub::in_parts(CONFIG, TOKENIZER, (index_name, &index), &parts), Memory::default(), Clockwork::default());
    let first = bench(&hub, memory.clone(), &clock);
    assert_eq!(logits(&first.load().unwrap()), logits(&common::session()));
    let kept = first.kept().models.remove(0);
    assert!(kept.whole, "{kept:?}");
    hub.asked.take();
    let second = bench(&hub, memory.clone(), &clock);
    assert_eq!(logits(&second.load().unwrap()), logits(&common::session()));
    assert!(hub.asked.borrow().is_empty(), "what is kept asks nobody");
    // a byte of the second file is another on the device
    let file = clock.run(memory.open(&kept.key, parts[1].0)).unwrap();
    clock.run(file.write_at(parts[1].1.len() as u64 / 2, &[0xa5, 0x5a])).unwrap();
    drop(file);
    let watch = Watch { control: &Unhurried, on_progress: &|_| () };
    let error = clock.run(second.store.verify(&kept.key, &watch)).unwrap_err();
    assert!(matches!(&error, Error::Store(StoreError::WrongHash { what, .. }) if what == parts[1].0), "{error}");
}

#[test]
fn a_download_that_breaks_in_the_second_part_goes_on_there() {
    let (hub, memory, clock) = (hub_in_parts(), Memory::default(), Clockwork::default());
    let (parts, _) = halves();
    let first_bytes = parts[0].1.len() as u64;
    // both headers, the first part whole, some of the second
    let pieces = first_bytes.div_ceil(200_000);
    hub.fail(std::iter::repeat_n(Fault::Break(u64::MAX), 2 + pieces as usize));
    hub.fail([Fault::Break(30_000)]);
    hub.fail(std::iter::repeat_n(Fault::Trouble(Trouble::Unreachable), 60));
    assert!(bench(&hub, memory.clone(), &clock).load().is_err());
    hub.faults.borrow_mut().clear();
    let here = hub.sent_bytes();
    assert!(here > first_bytes + 20_000, "{here} of {first_bytes} and more");
    let second = bench(&hub, memory, &clock);
    let noted = second.kept().models[0].clone();
    assert!(!noted.whole && noted.bytes_here > first_bytes, "{noted:?}");
    assert_eq!(logits(&second.load().unwrap()), logits(&common::session()));
    assert!(hub.sent.borrow().iter().all(|&times| times == 1), "no byte came twice");
}

#[test]
fn a_damaged_part_is_named() {
    let (parts, _) = halves();
    let name = parts[1].0;
    let (hub, memory, clock) = (hub_in_parts(), Memory::default(), Clockwork::default());
    let first = bench(&hub, memory.clone(), &clock);
    first.load().unwrap();
    let key = first.kept().models[0].key.clone();
    let file = clock.run(memory.open(&key, name)).unwrap();
    clock.run(file.write_at(parts[1].1.len() as u64 - 3, &[1])).unwrap();
    drop(file);
    let watch = Watch { control: &Unhurried, on_progress: &|_| () };
    let error = clock.run(first.store.verify(&key, &watch)).unwrap_err();
    assert!(matches!(&error, Error::Store(StoreError::WrongHash { what, .. }) if what == name), "{error}");
    assert_eq!(first.kept().models, []);
    // and one that the hub hasn't at all
    hub.files.borrow_mut().remove(name);
    assert!(matches!(first.failure(), StoreError::NotThere { what, .. } if what == name));
}

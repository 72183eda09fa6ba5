//! What this program writes and reads again: a pass's checkpoints, tables, published folders. Damaged, and forged: with
//! the hashes that what they say should have.

use std::rc::Rc;

use peartree::analysis::congruence::table::Making;
use peartree::analysis::corpus::plan::{Plan, Shards};
use peartree::analysis::corpus::{Findings, Pass, folder};
use peartree::analysis::tables::{self, checkpoint};
use peartree::documents::{Documents, Memory, Source};
use peartree::engine::cpu::CpuEngine;
use peartree::engine::{Unhurried, complete};
use peartree::error::{Error, Result};
use peartree::protocol::{
    Bins, Bytes, Convention, CorpusOptions, HubsOptions, LayersArgument, Request, SearchKind, SearchOptions, TableTask,
};
use peartree::session::AnySession;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::chance::Chance;
use crate::common::{ask, corpus, model, session};
use crate::watch::{Watch, each};

fn texts() -> Documents {
    let some: Vec<String> = corpus().into_iter().take(20).collect();
    Documents::new([Rc::new(Memory::new("a.json", serde_json::to_vec(&some).unwrap())) as Rc<dyn Source>])
}

fn plan(session: &AnySession) -> Plan {
    let options = CorpusOptions {
        neurons: vec!["2:92: an".into()],
        layers: Some(LayersArgument::One(1)),
        top: 2,
        ..CorpusOptions::default()
    };
    complete(Plan::new(&session.subject(), &options, vec![("a.json".into(), 1)])).unwrap()
}

fn findings(session: &AnySession) -> Findings {
    let mut pass = Pass::new(session.subject(), texts(), (plan(session), Shards::all()), None).unwrap();
    complete(pass.step(&Unhurried)).unwrap();
    pass.findings().clone()
}

/// All that is ever asked of findings.
fn use_findings(found: &Findings, session: &AnySession) -> Result<()> {
    let text = |id: u32| format!("#{id}");
    for bins in [Bins::Notebook, Bins::Floor] {
        found.answer(bins, &text);
    }
    for neuron in [0, 1, 255, 256, usize::MAX] {
        found.neuron(1, neuron, &text);
    }
    found.to_bytes()?;
    let mut merged = found.clone();
    merged.merge(found.clone()).err();
    let mut others = found.clone();
    others.shards = Shards { of: found.shards.of, which: [u64::MAX - 1].into() };
    merged.merge(others).err();
    merged.settle();
    merged.answer(Bins::Floor, &text);
    folder::write(&merged, Bins::Floor, &[], |_, _| Ok(()))?;
    // to go on from there, if it is of the plan that is asked for
    let (plan, shards) = (plan(session), found.shards.clone());
    let mut pass = Pass::new(session.subject(), texts(), (plan, shards), Some(found.clone()))?;
    while complete(pass.step(&Unhurried))? {}
    pass.finish();
    Ok(())
}

/// A checkpoint's parts.
fn taken_apart(mut bytes: &[u8]) -> (Vec<u8>, Vec<Vec<u8>>) {
    let magic = bytes[..8].to_vec();
    bytes = &bytes[8..];
    let mut parts = Vec::new();
    while let Some((len, rest)) = bytes.split_first_chunk::<8>() {
        let (part, rest) = rest[32..].split_at(u64::from_le_bytes(*len) as usize);
        parts.push(part.to_vec());
        bytes = rest;
    }
    (magic, parts)
}

fn put_together(magic: &[u8], parts: &[Vec<u8>]) -> Vec<u8> {
    let part = |part: &Vec<u8>| [&(part.len() as u64).to_le_bytes()[..], &Sha256::digest(part), part].concat();
    [magic, &parts.iter().flat_map(part).collect::<Vec<u8>>()].concat()
}

/// Numbers that a file may give where another belongs.
const NUMBERS: [u64; 7] = [0, 1, 2, 63, 1 << 32, 1 << 58, u64::MAX];

/// Findings of which some numbers are others.
fn misstated(chance: &mut Chance, good: &Findings) -> Findings {
    let mut found = good.clone();
    for _ in 0..=chance.below(2) {
        let number = *chance.pick(&NUMBERS);
        match chance.below(12) {
            0 => found.documents = number,
            1 => found.positions = number,
            2 => found.groups = number,
            3 => found.batches = number as usize,
            4 => found.shards.of = number,
            5 => found.shards.which = [number].into(),
            6 => found.plan.model.n_layer = number as usize,
            7 => found.plan.model.d_mlp = number as usize,
            8 => found.plan.top = number as usize,
            9 => found.plan.seed = number,
            10 => found.studies[0].occurrences = number,
            _ => found.layers.values_mut().for_each(|layer| layer.histogram.fill(number)),
        }
    }
    found
}

#[test]
fn mutated_checkpoints_end_in_an_error_or_work() {
    let session = session();
    let good = findings(&session);
    use_findings(&good, &session).unwrap();
    let bytes = good.to_bytes().unwrap();
    let (magic, parts) = taken_apart(&bytes);
    each("checkpoints", |watch, chance, what| {
        let how = chance.below(4);
        let is_forged = how > 0;
        let file = match how {
            0 => chance.damage(&bytes),
            1 => misstated(chance, &good).to_bytes().unwrap(),
            _ => {
                let mut parts = parts.clone();
                // the counts are the shortest, and say the most
                let at = if chance.once_in(2) { 0 } else { chance.below(parts.len()) };
                parts[at] = chance.damage(&parts[at]);
                put_together(&magic, &parts)
            }
        };
        let result = watch.tried(what, file.len(), || use_findings(&Findings::from_bytes(&file)?, &session));
        let is_typed = matches!(
            result,
            Ok(())
                | Err(Error::Checkpoint | Error::DamagedCheckpoint { .. } | Error::BadOption { .. } | Error::Merge(_))
        );
        assert!(is_typed, "{what}: {result:?}");
        assert!(file == bytes || is_forged || result.is_err(), "{what}: damaged, and nothing was said");
    });
}

/// Gives a table's tensors the hashes that they have; nothing where it is no file of tensors any more.
fn with_hashes(file: &[u8]) -> Option<Vec<u8>> {
    let (len, rest) = file.split_first_chunk::<8>()?;
    let (header, data) = rest.split_at_checked(usize::try_from(u64::from_le_bytes(*len)).ok()?)?;
    let mut header: Value = serde_json::from_slice(header).ok()?;
    let mut hashes = Vec::new();
    for (name, entry) in header.as_object()? {
        let at = |i: usize| usize::try_from(entry.get("data_offsets")?.get(i)?.as_u64()?).ok();
        if let (Some(start), Some(end)) = (at(0), at(1)) {
            hashes.push((format!("sha256.{name}"), hex(data.get(start..end)?)));
        }
    }
    let metadata = header.get_mut("__metadata__")?.as_object_mut()?;
    metadata.extend(hashes.into_iter().map(|(key, hash)| (key, hash.into())));
    let header = header.to_string().into_bytes();
    Some([&(header.len() as u64).to_le_bytes(), &header[..], data].concat())
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Damages a file of tensors in its header or its data.
fn damaged_tensors(chance: &mut Chance, file: &[u8]) -> Vec<u8> {
    let end = 8 + u64::from_le_bytes(*file.first_chunk().unwrap()) as usize;
    let damaged = match chance.below(3) {
        0 => {
            let header: Value = serde_json::from_slice(&file[8..end]).unwrap();
            let header = chance.change(&header).to_string().into_bytes();
            [&(header.len() as u64).to_le_bytes(), &header[..], &file[end..]].concat()
        }
        1 => [&file[..end], &chance.damage(&file[end..])].concat(),
        _ => chance.damage(file),
    };
    let forged = if chance.once_in(4) { None } else { with_hashes(&damaged) };
    forged.unwrap_or(damaged)
}

fn is_typed_of_tables(result: &Result<()>) -> bool {
    matches!(result, Ok(()) | Err(Error::Table(_) | Error::BadOption { .. }))
}

#[test]
fn mutated_tables_end_in_an_error_or_work() {
    let loaded = model();
    let engine = CpuEngine::new(loaded.config, loaded.weights);
    let hash = complete(tables::model_hash(&engine, &Unhurried)).unwrap();
    let mut making = complete(Making::new(&engine, Convention::Raw, 4, hash.clone(), &Unhurried)).unwrap();
    complete(making.step(&engine)).unwrap();
    let kept = checkpoint::write(&making);
    while !complete(making.step(&engine)).unwrap() {}
    let whole = tables::write(&making.finish().unwrap()).unwrap();
    let session = session();
    let open = |file: &[u8]| -> Result<()> {
        tables::read(file)?;
        ask(&session, Request::Table(TableTask::Open(Bytes(file.to_vec()))))?;
        for kind in [SearchKind::Mutual, SearchKind::Exclusive] {
            let options = SearchOptions { kind, convention: Convention::Raw, top: 20 };
            ask(&session, Request::Search(options))?;
        }
        ask(&session, Request::Hubs(HubsOptions { convention: Convention::Raw, top: 20 })).map(drop)
    };
    let go_on = |file: &[u8]| -> Result<()> {
        let mut making = complete(checkpoint::resume(&engine, file, &hash))?;
        checkpoint::write(&making);
        while !complete(making.step(&engine))? {}
        making.finish().map(drop)
    };
    open(&whole).unwrap();
    assert_eq!(with_hashes(&whole).map(|file| open(&file).is_ok()), Some(true));
    each("tables", |watch, chance, what| {
        let is_whole = chance.once_in(2);
        let file = damaged_tensors(chance, if is_whole { &whole } else { &kept });
        let result = watch.tried(what, file.len(), || if is_whole { open(&file) } else { go_on(&file) });
        assert!(is_typed_of_tables(&result), "{what}: {result:?}");
    });
}

type Files = Vec<(String, Vec<u8>)>;

fn written(findings: &Findings) -> Files {
    let mut files = Vec::new();
    folder::write(findings, Bins::Floor, &["a".into(), "b".into()], |name, bytes| {
        files.push((name.to_owned(), bytes.to_vec()));
        Ok(())
    })
    .unwrap();
    files
}

fn file<'a>(files: &'a mut Files, name: &str) -> &'a mut Vec<u8> {
    &mut files.iter_mut().find(|(other, _)| other == name).unwrap().1
}

/// What an index says, without its hash.
fn said(index: &[u8]) -> Value {
    serde_json::from_slice::<Value>(index).unwrap()["index"].take()
}

/// Gives a folder of files, of which any were changed, and an index the hashes that they have.
fn sealed(files: &mut Files, mut index: Value) {
    for name in [folder::PAIRS, folder::TOKENS] {
        let hash = hex(file(files, name));
        if let Some(hashes) = index.get_mut("sha256").and_then(Value::as_object_mut) {
            hashes.insert(name.to_owned(), hash.into());
        }
    }
    let text = index.to_string();
    *file(files, folder::INDEX) =
        format!("{{\"format\":2,\"sha256\":\"{}\",\"index\":{text}}}", hex(text.as_bytes())).into_bytes();
    let Ok(index) = serde_json::from_str::<folder::Index>(&text) else { return };
    let answer = (&index.plan, &index.shards, index.answer.documents, index.answer.positions);
    let seal = Sha256::digest(serde_json::to_vec(&answer).unwrap());
    let records = file(files, "layer-01.bin").chunks_exact_mut(folder::record_bytes(2)).enumerate();
    for (neuron, record) in records {
        let (said, hash) = record.split_at_mut(folder::record_bytes(2) - 32);
        let place = [1, neuron as u32].map(u32::to_le_bytes);
        let sealed = Sha256::new().chain_update(seal).chain_update(place.as_flattened()).chain_update(said).finalize();
        hash.copy_from_slice(&sealed);
    }
}

/// Where an index has a number.
const PLACES: [&str; 10] = [
    "/plan/model/n_layer",
    "/plan/model/d_mlp",
    "/plan/top",
    "/shards/of",
    "/record_bytes",
    "/answer/documents",
    "/answer/positions",
    "/groups",
    "/plan/seed",
    "/plan/pairs/0/layer",
];

/// A folder of which a part is damaged, and whether the hashes are made to fit.
fn damaged_folder(chance: &mut Chance, good: &Files) -> (Files, bool) {
    let mut files = good.clone();
    let mut index = said(file(&mut files, folder::INDEX));
    let is_forged = !chance.once_in(4);
    match chance.below(4) {
        0 => index = chance.change(&index),
        1 => {
            // any number that the index says
            if let Some(place) = index.pointer_mut(chance.pick::<&str>(&PLACES)) {
                *place = (*chance.pick(&NUMBERS)).into();
            }
        }
        _ => {
            let at = chance.below(files.len());
            files[at].1 = chance.damage(&files[at].1);
        }
    }
    if is_forged {
        sealed(&mut files, index);
    }
    (files, is_forged)
}

/// Reads a folder neuron by neuron, as the page does it, and whole.
fn read_folder(session: &AnySession, files: &Files) -> Result<()> {
    let bytes = |name: &str| {
        let found = files.iter().find(|(other, _)| other == name).map(|(_, bytes)| bytes.clone());
        found.ok_or_else(|| Error::Merge(format!("{name} is missing.")))
    };
    let index = folder::parse_index(&bytes(folder::INDEX)?)?;
    let seal = folder::Seal::of(&index)?;
    let layer = bytes("layer-01.bin")?;
    for (neuron, record) in layer.chunks(index.record_bytes).enumerate().take(3) {
        if let Ok(record) = seal.open((1, neuron), record, index.plan.top) {
            record.answer((1, neuron), index.answer.positions, &|id| format!("#{id}"));
        }
    }
    let (findings, _) = folder::read(bytes)?;
    use_findings(&findings, session)
}

#[test]
fn mutated_folders_end_in_an_error_or_work() {
    let session = session();
    let good = written(&findings(&session));
    read_folder(&session, &good).unwrap();
    let mut again = good.clone();
    let index = said(file(&mut again, folder::INDEX));
    sealed(&mut again, index);
    read_folder(&session, &again).unwrap();
    each("published folders", |watch, chance, what| {
        let (files, is_forged) = damaged_folder(chance, &good);
        let bytes = files.iter().map(|(_, file)| file.len()).sum();
        let result = watch.tried(what, bytes, || read_folder(&session, &files));
        let is_typed = matches!(result, Ok(()) | Err(Error::Merge(_) | Error::Checkpoint | Error::BadOption { .. }));
        assert!(is_typed, "{what}: {result:?}");
        assert!(files == good || is_forged || result.is_err(), "{what}: damaged, and nothing was said");
    });
}

#[test]
fn every_number_of_an_index_may_be_any() {
    let session = session();
    let good = written(&findings(&session));
    let mut watch = Watch::new("numbers of an index");
    for place in PLACES {
        for number in NUMBERS {
            let mut files = good.clone();
            let mut index = said(file(&mut files, folder::INDEX));
            *index.pointer_mut(place).unwrap() = number.into();
            sealed(&mut files, index);
            let bytes = files.iter().map(|(_, file)| file.len()).sum();
            let _ = watch.tried(&format!("{place} = {number}"), bytes, || read_folder(&session, &files));
        }
    }
}

//! PyTorch's files: a zip with a pickle in it.

use peartree::engine::complete;
use peartree::error::{Error, Result};
use peartree::model::pytorch::{self, Bytes};
use peartree::model::{ModelLoader, WeightDtype};

use crate::common::CONFIG;
use crate::common::parts::{pickled, zip, zipped};
use crate::models::use_model;
use crate::watch::{Watch, each};

struct InMemory<'a>(&'a [u8]);

impl Bytes for InMemory<'_> {
    async fn read_at(&self, at: u64, into: &mut [u8]) -> Result<()> {
        let at = usize::try_from(at).unwrap_or(usize::MAX);
        let bytes = at.checked_add(into.len()).and_then(|end| self.0.get(at..end));
        into.copy_from_slice(bytes.ok_or_else(|| Error::Weights("is cut short.".into()))?);
        Ok(())
    }
}

fn try_pickle(watch: &mut Watch, what: &str, file: &[u8]) {
    let load = || -> Result<()> {
        let contents = complete(pytorch::contents(&InMemory(file), file.len() as u64))?;
        let mut loader = ModelLoader::new(CONFIG, None, None, WeightDtype::F32)?;
        loader.begin("pytorch_model.bin", file.len() as u64, Some(contents), false)?;
        loader.push(file)?;
        use_model(loader.finish()?.in_order()?)
    };
    let result = watch.tried(what, file.len(), load);
    let is_typed = matches!(result, Ok(()) | Err(Error::Weights(_) | Error::WeightsIn { .. }));
    assert!(is_typed, "{what}: {result:?}");
}

#[test]
fn mutated_pickles_end_in_an_error_or_work() {
    let (pickle, storages) = pickled();
    let data: Vec<_> = storages.into_iter().map(|(key, bytes)| (format!("archive/data/{key}"), bytes)).collect();
    let file = |pickle: Vec<u8>| {
        zip(&[("archive/data.pkl".to_owned(), pickle)].into_iter().chain(data.iter().cloned()).collect::<Vec<_>>())
    };
    let whole = zipped();
    // the pickle's instructions alone, in any order
    let ops = b"\x80\x02}(XKMJ)]t\x85\x86\x87dsuaecRbQqrhj0125N\x88\x8a\x93\x94.";
    each("pytorch_model.bin", |watch, chance, what| {
        let damaged = match chance.below(4) {
            0 => file(chance.damage(&pickle)),
            1 => chance.damage(&whole),
            2 => {
                // in the table of contents, at the zip's end
                let mut table = whole.clone();
                let at = table.len() - 1 - chance.below(4000);
                table[at] = chance.below(256) as u8;
                table
            }
            _ => file((0..chance.below(400)).map(|_| *chance.pick(ops)).collect()),
        };
        try_pickle(watch, what, &damaged);
    });
}

/// Values without end, in each other, in themselves, and copied from each other.
#[test]
fn pickles_that_do_harm_take_no_memory() {
    let mut watch = Watch::new("harmful pickles");
    let wrapped = |pickle: Vec<u8>| zip(&[("archive/data.pkl".to_owned(), pickle)]);
    let deep = [b"\x80\x02)".to_vec(), vec![0x85; 4 << 20], b".".to_vec()].concat();
    let many = [b"\x80\x02".to_vec(), vec![b'}'; 4 << 20], b".".to_vec()].concat();
    let again = [b"\x80\x02]q\0".to_vec(), b"h\0a".repeat(1 << 20), b".".to_vec()].concat();
    let text = [&b"\x80\x02X\0\0\x10\0"[..], &[b'a'; 1 << 20], b"q\0", &b"h\0h\0\x93".repeat(50_000), b"."].concat();
    for pickle in [deep, many, again, text] {
        try_pickle(&mut watch, "a harmful pickle", &wrapped(pickle));
    }
}

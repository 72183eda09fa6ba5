//! Files cut into blocks, for storage that knows whole entries only, as a browser's caches do.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::rc::Rc;

use super::storage::{Storage, StoredFile};
use crate::error::{Result, StoreError};

/// Named entries, each written and read whole.
#[allow(async_fn_in_trait)] // futures stay on the thread that made them
pub trait Entries {
    async fn put(&self, path: &str, bytes: &[u8]) -> Result<()>;
    async fn get(&self, path: &str) -> Result<Option<Vec<u8>>>;
    async fn delete(&self, path: &str) -> Result<()>;
    async fn paths(&self) -> Result<Vec<String>>;
}

/// Bytes of one entry. A download in pieces has as many blocks in memory as it has pieces in flight.
const BLOCK_BYTES: u64 = 4 << 20;

/// Storage over entries named `folder/file/block`.
pub struct Blocks<E> {
    entries: Rc<E>,
    block_bytes: u64,
}

pub struct BlocksFile<E> {
    entries: Rc<E>,
    /// `folder/file/`.
    prefix: String,
    block_bytes: u64,
    len: Cell<u64>,
    /// Blocks that are being filled, or have changed since they were put.
    changed: RefCell<BTreeMap<u64, Vec<u8>>>,
    /// The block read last, for who reads in order.
    last_read: RefCell<Option<(u64, Vec<u8>)>>,
}

impl<E: Entries> Blocks<E> {
    pub fn new(entries: E) -> Self {
        Blocks { entries: Rc::new(entries), block_bytes: BLOCK_BYTES }
    }

    async fn delete_from(&self, prefix: &str) -> Result<()> {
        for path in self.entries.paths().await?.iter().filter(|path| path.starts_with(prefix)) {
            self.entries.delete(path).await?;
        }
        Ok(())
    }
}

/// The number of the block that an entry of `prefix` holds.
fn number(path: &str, prefix: &str) -> Option<u64> {
    path.strip_prefix(prefix)?.parse().ok()
}

impl<E: Entries> Storage for Blocks<E> {
    type File = BlocksFile<E>;

    async fn open(&self, folder: &str, name: &str) -> Result<BlocksFile<E>> {
        let prefix = format!("{folder}/{name}/");
        let last = self.entries.paths().await?.iter().filter_map(|path| number(path, &prefix)).max();
        let len = match last {
            None => 0,
            Some(last) => {
                let block = self.entries.get(&format!("{prefix}{last}")).await?.unwrap_or_default();
                last * self.block_bytes + block.len() as u64
            }
        };
        let (entries, block_bytes) = (self.entries.clone(), self.block_bytes);
        let (changed, last_read) = (RefCell::default(), RefCell::default());
        Ok(BlocksFile { entries, prefix, block_bytes, len: Cell::new(len), changed, last_read })
    }

    async fn read(&self, folder: &str, name: &str) -> Result<Option<Vec<u8>>> {
        let prefix = format!("{folder}/{name}/");
        if !self.entries.paths().await?.iter().any(|path| path.starts_with(&prefix)) {
            return Ok(None);
        }
        let file = self.open(folder, name).await?;
        let mut bytes = vec![0; usize::try_from(file.len.get()).unwrap_or(usize::MAX)];
        file.read_at(0, &mut bytes).await?;
        Ok(Some(bytes))
    }

    async fn remove(&self, folder: &str, name: &str) -> Result<()> {
        self.delete_from(&format!("{folder}/{name}/")).await
    }

    async fn folders(&self) -> Result<Vec<String>> {
        let paths = self.entries.paths().await?;
        let folders: BTreeSet<&str> = paths.iter().filter_map(|path| Some(path.split_once('/')?.0)).collect();
        Ok(folders.into_iter().map(str::to_owned).collect())
    }

    async fn delete(&self, folder: &str) -> Result<()> {
        self.delete_from(&format!("{folder}/")).await
    }
}

impl<E: Entries> BlocksFile<E> {
    fn path(&self, block: u64) -> String {
        format!("{}{block}", self.prefix)
    }

    /// The blocks that a range touches, with the part of each.
    fn parts(&self, at: u64, len: usize) -> impl Iterator<Item = (u64, Range<usize>)> + use<E> {
        let (size, end) = (self.block_bytes, at + len as u64);
        (at / size..end.div_ceil(size)).map(move |block| {
            let start = block * size;
            (block, (at.max(start) - start) as usize..(end.min(start + size) - start) as usize)
        })
    }

    async fn put(&self, block: u64, bytes: &[u8]) -> Result<()> {
        if self.last_read.borrow().as_ref().is_some_and(|(read, _)| *read == block) {
            self.last_read.take();
        }
        self.entries.put(&self.path(block), bytes).await
    }
}

impl<E: Entries> StoredFile for BlocksFile<E> {
    async fn len(&self) -> Result<u64> {
        Ok(self.len.get())
    }

    async fn read_at(&self, at: u64, into: &mut [u8]) -> Result<()> {
        if at + into.len() as u64 > self.len.get() {
            return Err(StoreError::Storage { act: "read", why: "it ends too early".into() }.into());
        }
        let mut done = 0;
        for (block, part) in self.parts(at, into.len()) {
            let is_at_hand = self.changed.borrow().contains_key(&block)
                || self.last_read.borrow().as_ref().is_some_and(|(last, _)| *last == block);
            if !is_at_hand {
                let bytes = self.entries.get(&self.path(block)).await?.unwrap_or_default();
                self.last_read.replace(Some((block, bytes)));
            }
            let (changed, last_read) = (self.changed.borrow(), self.last_read.borrow());
            let bytes = changed.get(&block).or_else(|| last_read.as_ref().map(|(_, bytes)| bytes));
            let there = bytes.and_then(|bytes| bytes.get(part.start..part.end.min(bytes.len()))).unwrap_or_default();
            let target = &mut into[done..done + part.len()];
            // a hole reads as zeros
            target.fill(0);
            target[..there.len()].copy_from_slice(there);
            done += part.len();
        }
        Ok(())
    }

    async fn write_at(&self, at: u64, bytes: &[u8]) -> Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        let mut done = 0;
        for (block, part) in self.parts(at, bytes.len()) {
            let is_new = !self.changed.borrow().contains_key(&block);
            if is_new {
                let old = self.entries.get(&self.path(block)).await?.unwrap_or_default();
                self.changed.borrow_mut().entry(block).or_insert(old);
            }
            let from = &bytes[done..done + part.len()];
            done += part.len();
            let full = {
                let mut changed = self.changed.borrow_mut();
                let content = changed.entry(block).or_default();
                if content.len() < part.end {
                    content.resize(part.end, 0);
                }
                content[part.clone()].copy_from_slice(from);
                // filled to its end: nothing more is to be expected
                if part.end as u64 == self.block_bytes { changed.remove(&block) } else { None }
            };
            self.len.set(self.len.get().max(block * self.block_bytes + part.end as u64));
            if let Some(full) = full {
                self.put(block, &full).await?;
            }
        }
        Ok(())
    }

    async fn flush(&self) -> Result<()> {
        let changed: Vec<(u64, Vec<u8>)> =
            self.changed.borrow().iter().map(|(block, bytes)| (*block, bytes.clone())).collect();
        for (block, bytes) in changed {
            self.put(block, &bytes).await?;
        }
        Ok(())
    }

    async fn truncate(&self, len: u64) -> Result<()> {
        if len >= self.len.get() {
            return Ok(());
        }
        self.flush().await?;
        let (whole, rest) = (len / self.block_bytes, (len % self.block_bytes) as usize);
        for path in self.entries.paths().await? {
            if number(&path, &self.prefix).is_some_and(|block| block > whole || (block == whole && rest == 0)) {
                self.entries.delete(&path).await?;
            }
        }
        self.last_read.take();
        self.changed.take();
        if rest > 0 {
            let mut bytes = self.entries.get(&self.path(whole)).await?.unwrap_or_default();
            bytes.resize(rest, 0);
            self.put(whole, &bytes).await?;
        }
        self.len.set(len);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::complete;
    use proptest::prelude::*;

    #[derive(Default)]
    struct Shelf(RefCell<BTreeMap<String, Vec<u8>>>);

    impl Entries for Shelf {
        async fn put(&self, path: &str, bytes: &[u8]) -> Result<()> {
            self.0.borrow_mut().insert(path.into(), bytes.into());
            Ok(())
        }
        async fn get(&self, path: &str) -> Result<Option<Vec<u8>>> {
            Ok(self.0.borrow().get(path).cloned())
        }
        async fn delete(&self, path: &str) -> Result<()> {
            self.0.borrow_mut().remove(path);
            Ok(())
        }
        async fn paths(&self) -> Result<Vec<String>> {
            Ok(self.0.borrow().keys().cloned().collect())
        }
    }

    fn small() -> Blocks<Shelf> {
        Blocks { block_bytes: 10, ..Blocks::new(Shelf::default()) }
    }

    #[derive(Debug, Clone)]
    enum Act {
        Write(u64, Vec<u8>),
        Truncate(u64),
        Flush,
        Reopen,
    }

    fn act() -> impl Strategy<Value = Act> {
        prop_oneof![
            4 => (0u64..60, prop::collection::vec(any::<u8>(), 0..35)).prop_map(|(at, bytes)| Act::Write(at, bytes)),
            1 => (0u64..60).prop_map(Act::Truncate),
            1 => Just(Act::Flush),
            1 => Just(Act::Reopen),
        ]
    }

    proptest! {
        #[test]
        fn is_a_file_like_any_other(acts in prop::collection::vec(act(), 0..25)) {
            let blocks = small();
            complete(async {
                let mut expected: Vec<u8> = Vec::new();
                let mut file = blocks.open("a", "b").await?;
                for act in acts {
                    match act {
                        Act::Write(at, bytes) => {
                            if !bytes.is_empty() {
                                let end = at as usize + bytes.len();
                                expected.resize(expected.len().max(end), 0);
                                expected[at as usize..end].copy_from_slice(&bytes);
                            }
                            file.write_at(at, &bytes).await?;
                        }
                        Act::Truncate(len) => {
                            expected.truncate(len as usize);
                            file.truncate(len).await?;
                        }
                        Act::Flush => file.flush().await?,
                        Act::Reopen => {
                            file.flush().await?;
                            file = blocks.open("a", "b").await?;
                        }
                    }
                    let mut bytes = vec![1; expected.len()];
                    file.read_at(0, &mut bytes).await?;
                    assert_eq!((file.len().await?, bytes), (expected.len() as u64, expected.clone()));
                }
                Ok(())
            }).unwrap();
        }
    }

    #[test]
    fn folders_are_listed_and_deleted_alone() {
        let blocks = small();
        complete(async {
            blocks.write("a", "x", b"0123456789abc").await?;
            blocks.write("a", "y", b"1").await?;
            blocks.write("ab", "x", b"2").await?;
            assert_eq!(blocks.folders().await?, ["a", "ab"]);
            assert_eq!(blocks.read("a", "x").await?.as_deref(), Some(&b"0123456789abc"[..]));
            blocks.remove("a", "x").await?;
            assert_eq!((blocks.read("a", "x").await?, blocks.read("a", "y").await?), (None, Some(b"1".to_vec())));
            blocks.delete("a").await?;
            assert_eq!(blocks.folders().await?, ["ab"]);
            Ok(())
        })
        .unwrap();
    }
}

//! A hub, a device and a clock for tests: everything that goes wrong does so when it is told to, and time passes only
//! while nobody can do anything else.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::future::poll_fn;
use std::ops::Range;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use peartree::error::Result;
use peartree::protocol::Room;
use peartree::store::address::hex;
use peartree::store::storage::Device;
use peartree::store::wire::{Ask, Body, Head, Trouble, Wire};
use sha2::{Digest, Sha256};

pub const COMMIT: &str = "607a30d783dfa663caf39e06633721c8d4cfcd7e";

/// What happens to one request for the weights.
#[derive(Debug, Clone, PartialEq)]
pub enum Fault {
    /// The connection breaks after so many bytes of the answer.
    Break(u64),
    /// After so many bytes nothing comes any more.
    Stall(u64),
    /// The answer ends after so many bytes as if that were all.
    End(u64),
    Busy(u16, Option<u64>),
    Trouble(Trouble),
    Status(u16),
    /// A page for people.
    Page,
    /// Another ETag.
    Etag,
    /// Another length of the whole file.
    Total(u64),
}

/// A server with one model. What it says of itself can be changed.
#[derive(Clone)]
pub struct Hub(Rc<Served>);

pub struct Served {
    pub files: RefCell<BTreeMap<&'static str, Vec<u8>>>,
    /// One for each request for the weights, from the next one on.
    pub faults: RefCell<VecDeque<Fault>>,
    pub has_ranges: Cell<bool>,
    /// Ranges are refused before they are asked for.
    pub refuses_ranges: Cell<bool>,
    /// The hash stands in the answer's head; else only in the metadata.
    pub tells_hash: Cell<bool>,
    pub sha256: RefCell<String>,
    pub commit: RefCell<Option<&'static str>>,
    /// How often each byte of the weights was sent.
    pub sent: RefCell<Vec<u8>>,
    /// Every address asked for.
    pub asked: RefCell<Vec<String>>,
    pub tokens: RefCell<BTreeSet<String>>,
    /// Where the first byte of each file of weights is counted, in [`Served::sent`].
    starts: RefCell<BTreeMap<&'static str, usize>>,
    etag: Cell<u32>,
}

impl std::ops::Deref for Hub {
    type Target = Served;
    fn deref(&self) -> &Served {
        &self.0
    }
}

pub const WEIGHTS: &str = "model.safetensors";
pub const PICKLE: &str = "pytorch_model.bin";
fn is_weights(name: &str) -> bool {
    name.ends_with(".safetensors") || name.ends_with(".bin")
}

/// Bytes of one chunk of an answer.
pub const CHUNK: u64 = 3000;

impl Hub {
    pub fn new(config: &[u8], tokenizer: Option<&[u8]>, weights: &[u8], sha256: String) -> Hub {
        let mut files = BTreeMap::from([("config.json", config.to_vec()), (WEIGHTS, weights.to_vec())]);
        files.extend(tokenizer.map(|json| ("tokenizer.json", json.to_vec())));
        Hub(Rc::new(Served {
            sent: RefCell::new(vec![0; weights.len()]),
            files: RefCell::new(files),
            faults: RefCell::default(),
            has_ranges: Cell::new(true),
            refuses_ranges: Cell::new(false),
            tells_hash: Cell::new(false),
            sha256: RefCell::new(sha256),
            commit: RefCell::new(Some(COMMIT)),
            asked: RefCell::default(),
            tokens: RefCell::default(),
            starts: RefCell::default(),
            etag: Cell::new(1),
        }))
    }

    /// A model in parts, with the file that says which.
    pub fn in_parts(
        config: &[u8],
        tokenizer: &[u8],
        index: (&'static str, &[u8]),
        parts: &[(&'static str, Vec<u8>)],
    ) -> Hub {
        let hub = Hub::new(config, Some(tokenizer), &[], String::new());
        let mut files = hub.files.borrow_mut();
        files.remove(WEIGHTS);
        files.insert(index.0, index.1.to_vec());
        for (name, bytes) in parts {
            hub.starts.borrow_mut().insert(name, hub.sent.borrow().len());
            hub.sent.borrow_mut().extend(std::iter::repeat_n(0, bytes.len()));
            files.insert(name, bytes.clone());
        }
        drop(files);
        hub
    }

    pub fn fail(&self, faults: impl IntoIterator<Item = Fault>) {
        self.faults.borrow_mut().extend(faults);
    }

    /// Bytes of the weights that were sent so far.
    pub fn sent_bytes(&self) -> u64 {
        self.sent.borrow().iter().map(|&times| u64::from(times)).sum()
    }

    fn answer(&self, ask: &Ask<'_>) -> std::result::Result<(Head, Answer), Trouble> {
        self.asked.borrow_mut().push(ask.url.to_owned());
        self.tokens.borrow_mut().extend(ask.token.map(str::to_owned));
        if ask.url.contains("/api/models/") {
            let bytes = self.metadata();
            return Ok(self.plain(200, &[], bytes));
        }
        let name = ask.url.rsplit('/').next().unwrap_or_default();
        let Some(bytes) = self.files.borrow().get(name).cloned() else { return Ok(self.plain(404, &[], Vec::new())) };
        if !is_weights(name) {
            return Ok(self.plain(200, &[("content-type", "application/json".into())], bytes));
        }
        let fault = self.faults.borrow_mut().pop_front();
        let retry =
            |seconds: Option<u64>| seconds.map(|s| ("retry-after", s.to_string())).into_iter().collect::<Vec<_>>();
        match &fault {
            Some(Fault::Busy(status, seconds)) => return Ok(self.plain(*status, &retry(*seconds), Vec::new())),
            Some(Fault::Status(status)) => return Ok(self.plain(*status, &[], Vec::new())),
            Some(Fault::Trouble(trouble)) => return Err(trouble.clone()),
            Some(Fault::Page) => {
                return Ok(self.plain(200, &[("content-type", "text/html".into())], b"<html>".to_vec()));
            }
            _ if ask.range.is_some() && self.refuses_ranges.get() => return Err(Trouble::CrossOrigin),
            Some(Fault::Etag) => self.etag.set(self.etag.get() + 1),
            _ => {}
        }
        let len = bytes.len() as u64;
        let asked = ask.range.clone().filter(|_| self.has_ranges.get());
        let range = asked.clone().map_or(0..len, |range| range.start..range.end.min(len));
        let total = if let Some(Fault::Total(total)) = fault { total } else { len };
        let mut headers = vec![
            ("content-type", "application/octet-stream".to_owned()),
            ("content-length", (range.end - range.start).to_string()),
            ("etag", format!("\"{}\"", self.etag.get())),
        ];
        if asked.is_some() {
            headers.push(("content-range", format!("bytes {}-{}/{total}", range.start, range.end - 1)));
        }
        if self.tells_hash.get() {
            headers.push(("x-linked-etag", format!("\"{}\"", self.sha256.borrow())));
        }
        let cut = match fault {
            Some(Fault::Break(after)) => Some((after, Err(Trouble::Broken))),
            Some(Fault::End(after)) => Some((after, Ok(None))),
            Some(Fault::Stall(after)) => Some((after, Err(Trouble::Stalled))),
            _ => None,
        };
        let mut answer = self.plain(if asked.is_some() { 206 } else { 200 }, &headers, bytes);
        answer.1.range = range;
        answer.1.cut = cut;
        answer.1.counted = Some(self.starts.borrow().get(name).copied().unwrap_or(0));
        Ok(answer)
    }

    fn plain(&self, status: u16, headers: &[(&str, String)], bytes: Vec<u8>) -> (Head, Answer) {
        let commit = self.commit.borrow().map(|commit| commit.to_owned());
        let header = |name: &str| match name {
            "x-repo-commit" => commit.clone(),
            name => headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone()),
        };
        let range = 0..bytes.len() as u64;
        (Head::read(status, header), Answer { hub: self.clone(), bytes, range, cut: None, counted: None, came: 0 })
    }

    fn metadata(&self) -> Vec<u8> {
        let files = self.files.borrow();
        let line = |(name, bytes): (&&str, &Vec<u8>)| {
            if !is_weights(name) {
                return format!(r#"{{"rfilename":"{name}"}}"#);
            }
            let told = self.sha256.borrow().clone();
            let sha256 = if told.is_empty() { hex(&Sha256::digest(bytes)) } else { told };
            let size = bytes.len();
            format!(r#"{{"rfilename":"{name}","size":{size},"lfs":{{"sha256":"{sha256}","size":{size}}}}}"#)
        };
        let lines: Vec<String> = files.iter().map(line).collect();
        format!(r#"{{"siblings":[{}]}}"#, lines.join(",")).into_bytes()
    }
}

impl Wire for Hub {
    type Body = Answer;

    async fn get(&self, ask: &Ask<'_>) -> std::result::Result<(Head, Answer), Trouble> {
        step().await;
        self.answer(ask)
    }
}

type Ending = std::result::Result<Option<Vec<u8>>, Trouble>;

/// An answer on its way.
pub struct Answer {
    hub: Hub,
    bytes: Vec<u8>,
    range: Range<u64>,
    /// After so many bytes, this instead of more.
    cut: Option<(u64, Ending)>,
    /// From where on.
    counted: Option<usize>,
    came: u64,
}

impl Body for Answer {
    async fn next(&mut self) -> std::result::Result<Option<Vec<u8>>, Trouble> {
        step().await;
        let left = self.cut.as_ref().map_or(u64::MAX, |(after, _)| after - self.came);
        if left == 0 {
            match self.cut.take() {
                Some((_, Err(Trouble::Stalled))) => std::future::pending().await,
                Some((_, end)) => return end,
                None => {}
            }
        }
        let take = (self.range.end - self.range.start).min(CHUNK).min(left);
        if take == 0 {
            return Ok(None);
        }
        let range = self.range.start as usize..(self.range.start + take) as usize;
        if let Some(start) = self.counted {
            let sent = &mut self.hub.sent.borrow_mut()[start + range.start..start + range.end];
            sent.iter_mut().for_each(|times| *times = times.saturating_add(1));
        }
        self.range.start += take;
        self.came += take;
        Ok(Some(self.bytes[range].to_vec()))
    }
}

/// Lets others run first.
async fn step() {
    let mut waited = false;
    poll_fn(|context| {
        if std::mem::replace(&mut waited, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// A device whose clock goes only when everything waits. Clones share it.
#[derive(Clone, Default)]
pub struct Clockwork(Rc<Works>);

#[derive(Default)]
pub struct Works {
    now_ms: Cell<u64>,
    timers: RefCell<Vec<(u64, Waker)>>,
    seed: Cell<u64>,
    pub room: Cell<Room>,
    locks: RefCell<BTreeSet<String>>,
}

impl std::ops::Deref for Clockwork {
    type Target = Works;
    fn deref(&self) -> &Works {
        &self.0
    }
}

/// A lock that is held.
pub struct Lock(Clockwork, String);

impl Drop for Lock {
    fn drop(&mut self) {
        self.0.locks.borrow_mut().remove(&self.1);
    }
}

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Clockwork {
    pub fn seeded(seed: u64) -> Self {
        let clock = Clockwork::default();
        clock.seed.set(seed);
        clock
    }

    /// Runs a future to its end; the clock goes on whenever it can do nothing else.
    pub fn run<T>(&self, future: impl Future<Output = T>) -> T {
        let flag = Arc::new(Flag(AtomicBool::new(false)));
        let waker = Waker::from(flag.clone());
        let mut future = pin!(future);
        loop {
            if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                return value;
            }
            if !flag.0.swap(false, Ordering::Relaxed) {
                self.go_on();
            }
        }
    }

    fn go_on(&self) {
        let next = self.timers.borrow().iter().map(|(at, _)| *at).min().expect("everything waits for something");
        self.now_ms.set(next.max(self.now_ms.get()));
        let (due, later) = self.timers.take().into_iter().partition(|(at, _)| *at <= next);
        self.timers.replace(later);
        let due: Vec<(u64, Waker)> = due;
        due.into_iter().for_each(|(_, waker)| waker.wake());
    }
}

impl Device for Clockwork {
    type Lock = Lock;

    async fn sleep(&self, duration: Duration) {
        let until = self.now_ms.get() + duration.as_millis() as u64;
        poll_fn(|context| {
            if self.now_ms.get() >= until {
                return Poll::Ready(());
            }
            self.timers.borrow_mut().push((until, context.waker().clone()));
            Poll::Pending
        })
        .await;
    }

    fn now_ms(&self) -> u64 {
        self.now_ms.get()
    }

    fn chance(&self) -> f64 {
        let next = self.seed.get().wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        self.seed.set(next);
        (next >> 11) as f64 / (1u64 << 53) as f64
    }

    async fn room(&self) -> Room {
        self.room.get()
    }

    async fn lock(&self, name: &str, on_wait: impl FnOnce()) -> Result<Lock> {
        if self.locks.borrow().contains(name) {
            on_wait();
        }
        while !self.locks.borrow_mut().insert(name.to_owned()) {
            self.sleep(Duration::from_millis(10)).await;
        }
        Ok(Lock(self.clone(), name.to_owned()))
    }
}

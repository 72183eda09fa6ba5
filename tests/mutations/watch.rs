//! Watches what an input does: whether anything panics, how long it takes, and how much memory it holds at its most.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{LazyLock, Mutex, MutexGuard, Once, PoisonError};
use std::time::{Duration, Instant};

use peartree::error::Result;
use peartree::model::Tokenizer;

use crate::chance::{Chance, inputs, seed};
use crate::memory::most_held;

/// No input may take longer of the processor …
const LONGEST: Duration = Duration::from_secs(20);
/// … nor, however busy the machine is, by the clock.
const LONGEST_BY_CLOCK: Duration = Duration::from_secs(180);
/// What any file may take of memory, and for each of its bytes.
const ROOM_BYTES: usize = 64 << 20;
const ROOM_SHARE: usize = 3;

/// Panics so far, those that were caught too.
static PANICS: AtomicUsize = AtomicUsize::new(0);
/// The input that is being tried, and since when.
static NOW: Mutex<Option<(Instant, String)>> = Mutex::new(None);
static ALONE: Mutex<()> = Mutex::new(());

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One test at a time, since memory and panics are counted for all of them.
pub struct Watch {
    kind: &'static str,
    n: usize,
    /// Inputs that were read to their end, damaged or not.
    n_read: usize,
    slowest: (Duration, String),
    /// The most memory beyond the input's own bytes, of how long an input, and which.
    largest: (usize, usize, String),
    _alone: MutexGuard<'static, ()>,
}

impl Watch {
    pub fn new(kind: &'static str) -> Self {
        static ONCE: Once = Once::new();
        let alone = locked(&ALONE);
        ONCE.call_once(|| {
            count_panics();
            std::thread::spawn(guard_time);
        });
        Watch { kind, n: 0, n_read: 0, slowest: Default::default(), largest: Default::default(), _alone: alone }
    }

    /// Lets `run` at an input of so many bytes.
    #[track_caller]
    pub fn tried<T>(&mut self, what: &str, bytes: usize, run: impl FnOnce() -> Result<T>) -> Result<T> {
        let (start, panics) = (worked(), PANICS.load(Ordering::Relaxed));
        *locked(&NOW) = Some((Instant::now(), format!("{}, {what}", self.kind)));
        let (result, held) = most_held(|| catch_unwind(AssertUnwindSafe(run)));
        *locked(&NOW) = None;
        let (took, kind) = (worked().saturating_sub(start), self.kind);
        let Ok(result) = result else { panic!("{kind}, {what}: a panic") };
        assert_eq!(PANICS.load(Ordering::Relaxed), panics, "{kind}, {what}: a panic, which was caught");
        assert!(took < LONGEST, "{kind}, {what}: {took:?}");
        assert!(held <= ROOM_SHARE * bytes + ROOM_BYTES, "{kind}, {what}: {held} bytes of memory for {bytes}");
        self.n += 1;
        self.n_read += usize::from(result.is_ok());
        if took > self.slowest.0 {
            self.slowest = (took, what.to_owned());
        }
        if held.saturating_sub(bytes) > self.largest.0.saturating_sub(self.largest.1) {
            self.largest = (held, bytes, what.to_owned());
        }
        result
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let ((held, bytes, of), (took, slow)) = (&self.largest, &self.slowest);
        println!(
            "{:20} {:6} inputs, {:6} of them read; slowest {:4} ms ({slow}); most memory {:.1} MB for {:.1} MB ({of})",
            self.kind,
            self.n,
            self.n_read,
            took.as_millis(),
            *held as f64 / 1e6,
            *bytes as f64 / 1e6
        );
    }
}

/// Tries a kind's share of all inputs, each with chances of its own.
pub fn each(kind: &'static str, mut one: impl FnMut(&mut Watch, &mut Chance, &str)) {
    let mut watch = Watch::new(kind);
    for number in 0..inputs(kind) {
        one(&mut watch, &mut Chance::of(kind, number), &format!("input {number} of seed {}", seed()));
    }
}

/// How long this thread has had a processor; where the system doesn't tell, the time.
pub fn worked() -> Duration {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanoseconds = told.and_then(|told| told.split(' ').next()?.parse().ok());
    nanoseconds.map_or_else(|| START.elapsed(), Duration::from_nanos)
}

/// What the library catches is counted too.
fn count_panics() {
    // it sets a hook of its own at its first use, which leaves out what is caught: this one comes before that
    let _ = Tokenizer::from_json(b"");
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        PANICS.fetch_add(1, Ordering::Relaxed);
        usual(panic);
    }));
}

/// Ends the run where an input never comes to its end, and says which.
fn guard_time() {
    loop {
        std::thread::sleep(Duration::from_millis(500));
        if let Some((since, what)) = &*locked(&NOW)
            && since.elapsed() > LONGEST_BY_CLOCK
        {
            eprintln!("{what}: still at it after {LONGEST_BY_CLOCK:?}");
            std::process::abort();
        }
    }
}

//! Fork and join for threads that the operating system of this program, a browser, starts and ends as it likes.
//!
//! One thread leads; helpers come when they are ready and stay. The leader opens a job, whoever is there takes pieces of
//! it by number, and the leader leaves only when all pieces are done and every helper has let go. A job takes tens of
//! microseconds, so helpers wait for the next with open eyes for a moment before they sleep.

use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};

/// Looks for the next job before sleeping: about as long as the leader computes alone between two jobs.
const LOOKS: u32 = 20_000;

type Piece<'a> = &'a (dyn Fn(usize) + Sync);

/// The threads of one program.
pub struct Team {
    job: UnsafeCell<Option<Job>>,
    /// Somebody leads, from before the job is written until everybody has let go of it.
    led: AtomicBool,
    /// The job may be taken part in.
    open: AtomicBool,
    /// The next piece that nobody has.
    next: AtomicUsize,
    /// Helpers that are looking at the job, or at whether there is one.
    inside: AtomicU32,
    /// Counts jobs.
    round: AtomicU32,
    /// Helpers that there are.
    helpers: AtomicU32,
    /// Helpers that may take part.
    wanted: AtomicU32,
    asleep: AtomicU32,
    bed: Mutex<()>,
    bell: Condvar,
}

#[derive(Clone, Copy)]
struct Job {
    /// Lives as long as the job is open.
    piece: Piece<'static>,
    pieces: usize,
}

// SAFETY: `job` is written by the leader while `open` is false and nobody is inside, and read only by those who are
// inside and have seen `open`; the piece itself is `Sync`
unsafe impl Sync for Team {}

impl Default for Team {
    fn default() -> Self {
        Self::new()
    }
}

impl Team {
    pub const fn new() -> Self {
        Team {
            job: UnsafeCell::new(None),
            led: AtomicBool::new(false),
            open: AtomicBool::new(false),
            next: AtomicUsize::new(0),
            inside: AtomicU32::new(0),
            round: AtomicU32::new(0),
            helpers: AtomicU32::new(0),
            wanted: AtomicU32::new(0),
            asleep: AtomicU32::new(0),
            bed: Mutex::new(()),
            bell: Condvar::new(),
        }
    }

    /// How many helpers may take part from now on, of those that there are.
    pub fn want(&self, helpers: u32) {
        self.wanted.store(helpers, Ordering::SeqCst);
    }

    /// Threads that compute: the leader and its helpers.
    pub fn threads(&self) -> u32 {
        1 + self.helpers.load(Ordering::SeqCst).min(self.wanted.load(Ordering::SeqCst))
    }

    /// Calls `piece(0), …, piece(pieces - 1)`, each once. Only one thread may lead; inside a piece this works alone.
    pub fn run(&self, pieces: usize, piece: Piece<'_>) {
        if pieces < 2 || self.threads() < 2 || self.led.swap(true, Ordering::SeqCst) {
            return (0..pieces).for_each(piece);
        }
        // SAFETY: only the lifetime changes; `close` makes sure that nobody uses it after this call
        let piece: Piece<'static> = unsafe { std::mem::transmute(piece) };
        // SAFETY: the last job is closed and nobody is inside
        unsafe { *self.job.get() = Some(Job { piece, pieces }) };
        self.next.store(0, Ordering::SeqCst);
        self.open.store(true, Ordering::SeqCst);
        self.round.fetch_add(1, Ordering::SeqCst);
        if self.asleep.load(Ordering::SeqCst) > 0 {
            let _bed = self.bed.lock().unwrap_or_else(PoisonError::into_inner);
            self.bell.notify_all();
        }
        // closes the job also where a piece panics, so that no helper is left with what no longer lives
        let close = Close(self);
        self.take_part(Job { piece, pieces });
        drop(close);
    }

    fn take_part(&self, job: Job) {
        loop {
            let piece = self.next.fetch_add(1, Ordering::Relaxed);
            if piece >= job.pieces {
                return;
            }
            (job.piece)(piece);
        }
    }

    /// A helper's life: never returns, unless `go_on` says so after a job.
    pub fn help(&self, go_on: impl Fn() -> bool) {
        let index = self.helpers.fetch_add(1, Ordering::SeqCst);
        let mut seen = 0;
        loop {
            seen = self.wait(seen);
            if index < self.wanted.load(Ordering::SeqCst) {
                self.inside.fetch_add(1, Ordering::SeqCst);
                if self.open.load(Ordering::SeqCst) {
                    // SAFETY: inside an open job; the leader waits until nobody is
                    if let Some(job) = unsafe { *self.job.get() } {
                        self.take_part(job);
                    }
                }
                self.inside.fetch_sub(1, Ordering::SeqCst);
            }
            if !go_on() {
                self.helpers.fetch_sub(1, Ordering::SeqCst);
                return;
            }
        }
    }

    /// Waits for another round than `seen`.
    fn wait(&self, seen: u32) -> u32 {
        for _ in 0..LOOKS {
            let round = self.round.load(Ordering::SeqCst);
            if round != seen {
                return round;
            }
            std::hint::spin_loop();
        }
        let mut bed = self.bed.lock().unwrap_or_else(PoisonError::into_inner);
        // announced before the last look, so that either this sees the new round or the leader sees a sleeper
        self.asleep.fetch_add(1, Ordering::SeqCst);
        let round = loop {
            let round = self.round.load(Ordering::SeqCst);
            if round != seen {
                break round;
            }
            bed = self.bell.wait(bed).unwrap_or_else(PoisonError::into_inner);
        };
        self.asleep.fetch_sub(1, Ordering::SeqCst);
        round
    }
}

/// Ends a job.
struct Close<'a>(&'a Team);

impl Drop for Close<'_> {
    fn drop(&mut self) {
        // pieces that are left belong to nobody any more
        self.0.next.store(usize::MAX / 2, Ordering::SeqCst);
        self.0.open.store(false, Ordering::SeqCst);
        while self.0.inside.load(Ordering::SeqCst) != 0 {
            std::hint::spin_loop();
        }
        // not before: a helper still at its piece would take itself for a leader
        self.0.led.store(false, Ordering::SeqCst);
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use super::*;

    #[test]
    fn every_piece_is_done_once_whoever_helps() {
        let team = Team::new();
        let stop = AtomicBool::new(false);
        team.want(3);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| team.help(|| !stop.load(Ordering::SeqCst)));
            }
            for round in 0..2000 {
                let done: Vec<AtomicU32> = (0..round % 17).map(|_| AtomicU32::new(0)).collect();
                team.run(done.len(), &|piece| {
                    done[piece].fetch_add(1, Ordering::SeqCst);
                    // inside a piece there is nobody to help
                    team.run(2, &|_| {});
                });
                assert!(done.iter().all(|done| done.load(Ordering::SeqCst) == 1));
                if round == 1000 {
                    // long enough for all to fall asleep
                    std::thread::sleep(std::time::Duration::from_millis(50));
                }
            }
            stop.store(true, Ordering::SeqCst);
            // those who sleep must hear of it, and those who come late
            while team.threads() > 1 || team.round.load(Ordering::SeqCst) == 0 {
                team.run(2, &|_| {});
            }
        });
        assert_eq!(team.threads(), 1);
    }
}

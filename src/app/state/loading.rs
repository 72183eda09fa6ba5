//! The loading of a model, apart from the model that answers meanwhile.

use super::figure::is_cancelled;
use crate::protocol::{Event, Failure, Progress, RequestId, Source, Stage, Unit};

#[derive(Clone, PartialEq)]
pub enum Loading {
    /// The page opens; its first model is about to be asked for.
    Beginning,
    Idle,
    Working(Box<Load>),
    /// Stopped by a person, to be gone on with: what has come of it is kept.
    Paused(Box<Load>),
    /// With what was to be loaded, unless it came from files, which have to be picked again.
    Failed(Failure, Option<Box<Source>>),
}

/// One model on its way.
#[derive(Clone, PartialEq)]
pub struct Load {
    pub source: Source,
    pub id: RequestId,
    pub progress: Option<Progress>,
    pub pace: Pace,
}

impl Load {
    pub fn new(source: Source, id: RequestId) -> Self {
        Load { source, id, progress: None, pace: Pace::default() }
    }

    /// Whether it can be paused: bytes from a hub are kept as they come, others would have to come again.
    pub fn is_kept(&self) -> bool {
        self.source.place.is_kept()
    }
}

impl Loading {
    /// Takes what happened to request `id` at `now_ms`.
    pub fn hear(&mut self, id: RequestId, event: Event, now_ms: f64) {
        match self {
            Loading::Working(load) if load.id == id => match event {
                Event::Progress(progress) => {
                    load.pace.take(&progress, now_ms);
                    load.progress = Some(progress);
                }
                Event::Done(_) => *self = Loading::Idle,
                // a newer load has taken its place, and says so by its own events
                Event::Failed(failure) if is_cancelled(&failure) => *self = Loading::Idle,
                Event::Failed(failure) => {
                    let source = load.is_kept().then(|| Box::new(load.source.clone()));
                    *self = Loading::Failed(failure, source);
                }
                Event::Generated(_) | Event::Partial(_) | Event::Read(_) => {}
            },
            // the last word of one that was paused, or replaced
            _ => {}
        }
    }

    pub fn pause(&mut self) {
        if let Loading::Working(load) = self {
            load.pace = Pace::default();
            *self = Loading::Paused(load.clone());
        }
    }
}

/// How fast bytes come, smoothed over some seconds, so that it can be read.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Pace {
    /// When so many bytes were there, in milliseconds.
    last: Option<(f64, f64)>,
    pub bytes_per_second: Option<f64>,
}

/// What came longer ago than this counts little.
const MEMORY_S: f64 = 4.0;
/// Two reports nearer than this say little about the pace.
const LEAST_S: f64 = 0.2;

impl Pace {
    fn take(&mut self, progress: &Progress, now_ms: f64) {
        if progress.stage != Stage::Downloading || progress.unit != Unit::Bytes {
            *self = Pace::default();
            return;
        }
        // the first report counts what was here before; a smaller one is of another file
        let Some((then_ms, before)) = self.last.filter(|(_, before)| *before <= progress.done) else {
            *self = Pace { last: Some((now_ms, progress.done)), ..Pace::default() };
            return;
        };
        let elapsed_s = (now_ms - then_ms) / 1000.0;
        if elapsed_s < LEAST_S {
            return;
        }
        let now = (progress.done - before) / elapsed_s;
        let weight = (-elapsed_s / MEMORY_S).exp();
        self.bytes_per_second =
            Some(self.bytes_per_second.map_or(now, |before| weight * before + (1.0 - weight) * now));
        self.last = Some((now_ms, progress.done));
    }

    /// Seconds until all is there, if it goes on like this.
    pub fn seconds_left(&self, progress: &Progress) -> Option<f64> {
        let left = progress.total? - progress.done;
        self.bytes_per_second.filter(|pace| *pace > 0.0).map(|pace| left.max(0.0) / pace)
    }
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    fn progress(done: f64, stage: Stage) -> Progress {
        Progress { what: "model.safetensors".into(), done, total: Some(100e6), unit: Unit::Bytes, stage }
    }

    #[test]
    fn the_pace_leaves_out_what_was_here_before() {
        let mut pace = Pace::default();
        pace.take(&progress(40e6, Stage::Downloading), 1000.0);
        assert_eq!(pace.bytes_per_second, None);
        for second in 1..=20 {
            pace.take(&progress(40e6 + 2e6 * f64::from(second), Stage::Downloading), 1000.0 * f64::from(1 + second));
        }
        let found = pace.bytes_per_second.expect("twenty reports");
        assert!((found - 2e6).abs() < 1.0, "{found}");
        assert_eq!(pace.seconds_left(&progress(80e6, Stage::Downloading)), Some(20e6 / found));
        pace.take(&progress(10e6, Stage::Checking), 30_000.0);
        assert_eq!(pace, Pace::default());
    }
}

//! Who hears how far a request is.

use std::cell::Cell;

use super::storage::Device;
use crate::protocol::{Progress, Stage, Unit};

/// A request's control and its listener.
pub struct Watch<'a, C> {
    pub control: &'a C,
    pub on_progress: &'a dyn Fn(Progress),
}

/// Between two reports of a meter.
const PAUSE_MS: u64 = 80;

/// Reports bytes, but not each chunk.
pub struct Meter<'a, D> {
    device: &'a D,
    on_progress: &'a dyn Fn(Progress),
    stage: Stage,
    what: &'a str,
    total: u64,
    last_ms: Cell<u64>,
}

impl<'a, D: Device> Meter<'a, D> {
    pub fn new<C>(watch: &Watch<'a, C>, device: &'a D, stage: Stage, what: &'a str, total: u64) -> Self {
        Meter { device, on_progress: watch.on_progress, stage, what, total, last_ms: Cell::new(0) }
    }

    pub fn tell(&self, done: u64) {
        let now_ms = self.device.now_ms();
        if done < self.total && now_ms.saturating_sub(self.last_ms.get()) < PAUSE_MS {
            return;
        }
        self.last_ms.set(now_ms);
        (self.on_progress)(Progress {
            what: self.what.to_owned(),
            done: done as f64,
            total: Some(self.total as f64),
            unit: Unit::Bytes,
            stage: self.stage,
        });
    }
}

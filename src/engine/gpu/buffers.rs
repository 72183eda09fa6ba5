//! Memory of the card: buffers that are used again, so that in the steady state none are made.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use wgpu::BufferUsages;

use super::device::Device;

/// Free memory that is kept for the next ones.
const KEPT_BYTES: u64 = 512 << 20;
/// Sizes are rounded up to this share of themselves: work that differs a little takes the same buffers.
const STEPS: u64 = 8;
const LEAST: u64 = 256;

/// What a buffer is for: only buffers of one kind take each other's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Kernels write and read it.
    Scratch,
    /// The host writes it once for what is about to be submitted.
    Upload,
    /// The host reads it.
    Download,
}

impl Kind {
    fn usages(self) -> BufferUsages {
        match self {
            Kind::Scratch => BufferUsages::STORAGE | BufferUsages::COPY_SRC | BufferUsages::COPY_DST,
            Kind::Upload => BufferUsages::STORAGE | BufferUsages::COPY_SRC | BufferUsages::COPY_DST,
            Kind::Download => BufferUsages::MAP_READ | BufferUsages::COPY_DST,
        }
    }
}

/// Some memory of the card. The last handle gives it back.
#[derive(Clone)]
pub struct Buffer(Rc<Lent>);

struct Lent {
    own: Owned,
    kind: Kind,
    /// Where it goes back to; one that stays for good has nowhere to.
    free: Option<Rc<Free>>,
}

/// A buffer, and a number that tells it from all others there have been.
#[derive(Clone)]
struct Owned {
    buffer: wgpu::Buffer,
    id: u64,
}

impl Buffer {
    pub fn raw(&self) -> &wgpu::Buffer {
        &self.0.own.buffer
    }

    pub fn id(&self) -> u64 {
        self.0.own.id
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(free) = &self.free {
            free.take_back(self.kind, self.own.clone());
        }
    }
}

/// Buffers that nobody has.
#[derive(Default)]
struct Free {
    /// Lent in the order of their numbers, so that the same work gets the same buffers, and its bind groups are there.
    by_size: RefCell<HashMap<(Kind, u64), BTreeMap<u64, Owned>>>,
    /// What was written for work that isn't submitted yet must not be written again before it is.
    written: RefCell<Vec<Owned>>,
    bytes: Cell<u64>,
}

impl Free {
    fn take_back(&self, kind: Kind, own: Owned) {
        if kind == Kind::Upload {
            self.written.borrow_mut().push(own);
        } else {
            self.put(kind, own);
        }
    }

    fn put(&self, kind: Kind, own: Owned) {
        let size = own.buffer.size();
        self.bytes.set(self.bytes.get() + size);
        self.by_size.borrow_mut().entry((kind, size)).or_default().insert(own.id, own);
    }

    fn take(&self, kind: Kind, size: u64) -> Option<Owned> {
        let (_, own) = self.by_size.borrow_mut().get_mut(&(kind, size))?.pop_first()?;
        self.bytes.set(self.bytes.get() - size);
        Some(own)
    }
}

/// Lends buffers.
#[derive(Default)]
pub struct Pool {
    free: Rc<Free>,
    made: Cell<u64>,
}

impl Pool {
    /// Room for at least so many bytes.
    pub fn lend(&self, device: &Device, kind: Kind, bytes: u64) -> Buffer {
        let size = rounded(bytes);
        let own = self.free.take(kind, size).unwrap_or_else(|| self.make(device, kind.usages(), size));
        Buffer(Rc::new(Lent { own, kind, free: Some(self.free.clone()) }))
    }

    /// Exactly so much room, for good: a model's weights.
    pub fn keep(&self, device: &Device, bytes: u64) -> Buffer {
        let own = self.make(device, Kind::Scratch.usages(), bytes.next_multiple_of(4).max(16));
        Buffer(Rc::new(Lent { own, kind: Kind::Scratch, free: None }))
    }

    /// How many buffers there have been.
    pub fn made(&self) -> u64 {
        self.made.get()
    }

    /// After a submission: what was written for it is free again. True if buffers were given up, which nothing must name
    /// any longer.
    pub fn settle(&self) -> bool {
        for own in self.free.written.take() {
            self.free.put(Kind::Upload, own);
        }
        let is_much = self.free.bytes.get() > KEPT_BYTES;
        if is_much {
            self.free.by_size.take();
            self.free.bytes.set(0);
        }
        is_much
    }

    fn make(&self, device: &Device, usage: BufferUsages, size: u64) -> Owned {
        self.made.set(self.made.get() + 1);
        let descriptor = wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: false };
        Owned { buffer: device.device.create_buffer(&descriptor), id: self.made.get() }
    }
}

/// The next size of which there are buffers.
fn rounded(bytes: u64) -> u64 {
    let bytes = bytes.max(LEAST);
    let step = (bytes.next_power_of_two() / STEPS).max(LEAST);
    bytes.next_multiple_of(step)
}

#[cfg(test)]
mod tests {
    use super::rounded;

    #[test]
    fn sizes_are_rounded_up_by_less_than_a_quarter() {
        for bytes in [1, 256, 257, 1000, 4096, 5000, 1 << 20, (1 << 20) + 1, 77_777_777] {
            let size = rounded(bytes);
            assert!(size >= bytes && size.is_multiple_of(256), "{bytes}: {size}");
            assert!(bytes < 4096 || size - bytes < bytes / 4, "{bytes}: {size}");
        }
    }
}

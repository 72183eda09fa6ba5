//! What the card is to do next: dispatches are written down one after the other and handed over many at a time, in one open
//! pass. Pipelines and bind groups are made once; dispatches' numbers lie in one buffer that is bound at offsets.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::rc::Rc;

use futures_channel::oneshot;
use web_time::{Duration, Instant};

use super::buffers::{Buffer, Kind, Pool};
use super::device::Device;
use super::kernels::{Kernel, source};
use crate::engine::Control;
use crate::error::{Error, Result};

/// A dispatch's numbers start at a multiple of this: WebGPU's largest alignment.
const SLOT: usize = 256;
/// Dispatches of one submission.
const SLOTS: usize = 1024;
/// What a submission should take: the display isn't held up, and who cancels waits no longer.
const PIECE: Duration = Duration::from_millis(40);
/// Multiply-adds a second that are expected of a device at first.
const FIRST_RATE: f64 = 2e11;
const FIRST_RATE_OF_SOFTWARE: f64 = 1e9;

/// A kernel, bound and sized.
pub struct Call<'a> {
    pub kernel: &'static Kernel,
    /// What its source leaves open.
    pub consts: &'a [(&'static str, u32)],
    pub buffers: &'a [&'a Buffer],
    /// Its `Params`, word for word.
    pub params: &'a [u32],
    pub groups: (u32, u32),
    /// Multiply-adds, roughly.
    pub work: u64,
}

struct Pipeline {
    pipeline: wgpu::ComputePipeline,
    layout: wgpu::BindGroupLayout,
}

/// A kernel's name, and what its source's constants are.
type PipelineKey = (&'static str, Vec<u32>);

enum Step {
    Dispatch { pipeline: Rc<Pipeline>, group: wgpu::BindGroup, slot: u32, groups: (u32, u32) },
    Copy { from: Buffer, to: Buffer, at: u64, to_at: u64, bytes: u64 },
}

/// What was made and done, for those who count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    pub buffers: u64,
    pub pipelines: u64,
    pub bind_groups: u64,
    pub dispatches: u64,
    pub submissions: u64,
    pub read_bytes: u64,
}

/// The card with its pool and its tape.
pub struct Card {
    pub device: Device,
    pool: Pool,
    pipelines: RefCell<HashMap<PipelineKey, Rc<Pipeline>>>,
    groups: RefCell<HashMap<Vec<u64>, wgpu::BindGroup>>,
    steps: RefCell<Vec<Step>>,
    numbers: RefCell<Vec<u8>>,
    uniform: wgpu::Buffer,
    work: Cell<u64>,
    rate: Cell<f64>,
    counts: Cell<Counts>,
    /// The submission before the last: there are never more than two on their way.
    under_way: RefCell<Option<Fence>>,
}

/// A submission, and how one learns that it is done.
struct Fence {
    index: wgpu::SubmissionIndex,
    done: oneshot::Receiver<()>,
    work: u64,
    submitted: Instant,
}

impl Card {
    pub fn new(device: Device) -> Self {
        let descriptor = wgpu::BufferDescriptor {
            label: Some("numbers"),
            size: (SLOTS * SLOT) as u64,
            usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        };
        let uniform = device.device.create_buffer(&descriptor);
        let rate = if device.is_software() { FIRST_RATE_OF_SOFTWARE } else { FIRST_RATE };
        Card {
            device,
            pool: Pool::default(),
            pipelines: RefCell::default(),
            groups: RefCell::default(),
            steps: RefCell::default(),
            numbers: RefCell::default(),
            uniform,
            work: Cell::new(0),
            rate: Cell::new(rate),
            counts: Cell::default(),
            under_way: RefCell::default(),
        }
    }

    pub fn counts(&self) -> Counts {
        Counts { buffers: self.pool.made(), ..self.counts.get() }
    }

    /// Multiply-adds that should make one submission.
    pub fn piece(&self) -> u64 {
        (self.rate.get() * PIECE.as_secs_f64()) as u64
    }

    /// Room for so many floats.
    pub fn room(&self, floats: usize) -> Buffer {
        self.pool.lend(&self.device, Kind::Scratch, 4 * floats as u64)
    }

    /// Words for the next dispatches to read.
    pub fn upload(&self, words: &[u32]) -> Buffer {
        let buffer = self.pool.lend(&self.device, Kind::Upload, 4 * words.len() as u64);
        self.device.queue.write_buffer(buffer.raw(), 0, &little_endian(words));
        buffer
    }

    pub fn upload_floats(&self, floats: &[f32]) -> Buffer {
        self.upload(&floats.iter().map(|x| x.to_bits()).collect::<Vec<_>>())
    }

    /// Puts floats into a buffer, in order with the dispatches.
    pub fn fill_next(&self, buffer: &Buffer, floats: &[f32]) {
        self.copy((&self.upload_floats(floats), 0), (buffer, 0), 4 * floats.len() as u64);
    }

    /// Room for good, to be filled by [`Card::fill`].
    pub fn keep(&self, bytes: u64) -> Buffer {
        self.pool.keep(&self.device, bytes)
    }

    pub fn fill(&self, buffer: &Buffer, at: u64, bytes: &[u8]) {
        self.device.queue.write_buffer(buffer.raw(), at, bytes);
    }

    /// Writes a dispatch down.
    pub fn run(&self, call: &Call<'_>) {
        if call.groups.0 == 0 || call.groups.1 == 0 {
            return;
        }
        if self.numbers.borrow().len() == SLOTS * SLOT {
            self.submit();
        }
        let pipeline = self.pipeline(call);
        let group = self.group(call, &pipeline);
        let mut numbers = self.numbers.borrow_mut();
        let slot = numbers.len() as u32;
        numbers.extend(little_endian(call.params));
        numbers.resize(slot as usize + SLOT, 0);
        self.steps.borrow_mut().push(Step::Dispatch { pipeline, group, slot, groups: call.groups });
        self.work.set(self.work.get() + call.work);
        self.count(|counts| counts.dispatches += 1);
    }

    /// Writes down that bytes are copied from one buffer to another.
    pub fn copy(&self, (from, at): (&Buffer, u64), (to, to_at): (&Buffer, u64), bytes: u64) {
        let (from, to) = (from.clone(), to.clone());
        self.steps.borrow_mut().push(Step::Copy { from, to, at, to_at, bytes });
    }

    /// Between two dispatches: hands over what makes a piece, waits while too much is under way, and lets the surroundings run.
    ///
    /// # Errors
    /// [`Error::Card`], or from `control`.
    pub async fn pace(&self, control: &impl Control) -> Result<()> {
        if self.work.get() < self.piece() {
            return Ok(());
        }
        let fence = self.submit();
        let before = self.under_way.replace(fence);
        if let Some(before) = before {
            self.wait(before).await?;
        }
        control.breathe().await
    }

    /// The floats in the first `len` places of each buffer, once all that was written down is done.
    ///
    /// # Errors
    /// [`Error::Card`].
    pub async fn read(&self, parts: &[(&Buffer, usize, usize)]) -> Result<Vec<Vec<f32>>> {
        let floats: usize = parts.iter().map(|(_, _, len)| len).sum();
        let all = self.pool.lend(&self.device, Kind::Download, 4 * floats as u64);
        let mut to = 0;
        for &(buffer, at, len) in parts {
            self.copy((buffer, 4 * at as u64), (&all, to), 4 * len as u64);
            to += 4 * len as u64;
        }
        self.count(|counts| counts.read_bytes += to);
        self.submit();
        let (send, mapped) = oneshot::channel();
        // who no longer waits needs no answer
        all.raw().map_async(wgpu::MapMode::Read, 0..to, move |result| drop(send.send(result)));
        self.poll(None)?;
        let result = mapped.await;
        self.device.check()?;
        match result {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(Error::Card(error.to_string())),
            Err(oneshot::Canceled) => return Err(Error::Card("It answers no more.".into())),
        }
        let bytes = all.raw().get_mapped_range(0..to).map_err(|error| Error::Card(error.to_string()))?;
        let (floats, _) = bytes.as_chunks::<4>();
        let mut floats = floats.iter().map(|&bytes| f32::from_le_bytes(bytes));
        let found = parts.iter().map(|&(_, _, len)| floats.by_ref().take(len).collect()).collect();
        drop(bytes);
        all.raw().unmap();
        Ok(found)
    }

    /// Hands over what was written down; nothing if that is nothing.
    fn submit(&self) -> Option<Fence> {
        let steps = self.steps.take();
        if steps.is_empty() {
            return None;
        }
        let numbers = self.numbers.take();
        self.device.queue.write_buffer(&self.uniform, 0, &numbers);
        let mut encoder = self.device.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        for run in steps.chunk_by(|a, b| matches!(a, Step::Copy { .. }) == matches!(b, Step::Copy { .. })) {
            if let [Step::Copy { .. }, ..] = run {
                for step in run {
                    if let Step::Copy { from, to, at, to_at, bytes } = step {
                        encoder.copy_buffer_to_buffer(from.raw(), *at, to.raw(), *to_at, *bytes);
                    }
                }
                continue;
            }
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            for step in run {
                if let Step::Dispatch { pipeline, group, slot, groups } = step {
                    pass.set_pipeline(&pipeline.pipeline);
                    pass.set_bind_group(0, group, &[*slot]);
                    pass.dispatch_workgroups(groups.0, groups.1, 1);
                }
            }
        }
        let index = self.device.queue.submit([encoder.finish()]);
        let (send, done) = oneshot::channel();
        // nobody may be waiting
        self.device.queue.on_submitted_work_done(move || send.send(()).unwrap_or_default());
        self.count(|counts| counts.submissions += 1);
        drop(steps);
        if self.pool.settle() {
            // they name buffers that are no more
            self.groups.borrow_mut().clear();
        }
        Some(Fence { index, done, work: self.work.take(), submitted: Instant::now() })
    }

    /// Until a submission is done; learns from how long it took.
    async fn wait(&self, fence: Fence) -> Result<()> {
        self.poll(Some(fence.index))?;
        if fence.done.await.is_err() {
            self.device.check()?;
            return Err(Error::Card("It answers no more.".into()));
        }
        let seconds = fence.submitted.elapsed().as_secs_f64().max(1e-4);
        // half of the last, half of what was known: one slow piece is no slow card
        let rate = (fence.work as f64 / seconds).max(1e8);
        self.rate.set((self.rate.get() * rate).sqrt());
        self.device.check()
    }

    /// Natively nothing happens unless one looks; a browser looks by itself.
    fn poll(&self, submission_index: Option<wgpu::SubmissionIndex>) -> Result<()> {
        let waiting = wgpu::PollType::Wait { submission_index, timeout: None };
        match self.device.device.poll(waiting) {
            Ok(_) => Ok(()),
            Err(error) => {
                self.device.check()?;
                Err(Error::Card(error.to_string()))
            }
        }
    }

    fn pipeline(&self, call: &Call<'_>) -> Rc<Pipeline> {
        let key = (call.kernel.name, call.consts.iter().map(|(_, value)| *value).collect());
        match self.pipelines.borrow_mut().entry(key) {
            Entry::Occupied(known) => known.get().clone(),
            Entry::Vacant(place) => {
                self.count(|counts| counts.pipelines += 1);
                place.insert(Rc::new(self.make_pipeline(call))).clone()
            }
        }
    }

    fn make_pipeline(&self, call: &Call<'_>) -> Pipeline {
        let (device, kernel) = (&self.device.device, call.kernel);
        let entry = |binding: usize, ty, dynamic| wgpu::BindGroupLayoutEntry {
            binding: binding as u32,
            visibility: wgpu::ShaderStages::COMPUTE,
            ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset: dynamic, min_binding_size: None },
            count: None,
        };
        let storage = kernel.access.bytes().enumerate().map(|(binding, access)| {
            entry(binding, wgpu::BufferBindingType::Storage { read_only: access == b'r' }, false)
        });
        let numbers = entry(kernel.access.len(), wgpu::BufferBindingType::Uniform, true);
        let entries: Vec<_> = storage.chain([numbers]).collect();
        let layout = device
            .create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: Some(kernel.name), entries: &entries });
        let whole = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: Some(kernel.name),
            bind_group_layouts: &[Some(&layout)],
            immediate_size: 0,
        });
        let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some(kernel.name),
            source: wgpu::ShaderSource::Wgsl(source(kernel, call.consts).into()),
        });
        let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(kernel.name),
            layout: Some(&whole),
            module: &module,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions {
                constants: &[],
                // every kernel writes what it reads there
                zero_initialize_workgroup_memory: false,
            },
            cache: None,
        });
        Pipeline { pipeline, layout }
    }

    fn group(&self, call: &Call<'_>, pipeline: &Pipeline) -> wgpu::BindGroup {
        // kernels of the same accesses have the same layout, but each its own object
        let layout = std::ptr::from_ref(pipeline) as u64;
        let key: Vec<u64> = [layout].into_iter().chain(call.buffers.iter().map(|buffer| buffer.id())).collect();
        match self.groups.borrow_mut().entry(key) {
            Entry::Occupied(known) => known.get().clone(),
            Entry::Vacant(place) => {
                self.count(|counts| counts.bind_groups += 1);
                place.insert(self.make_group(call, pipeline)).clone()
            }
        }
    }

    fn make_group(&self, call: &Call<'_>, pipeline: &Pipeline) -> wgpu::BindGroup {
        let storage = call.buffers.iter().enumerate().map(|(binding, buffer)| wgpu::BindGroupEntry {
            binding: binding as u32,
            resource: buffer.raw().as_entire_binding(),
        });
        let size = std::num::NonZeroU64::new(SLOT as u64);
        let numbers = wgpu::BufferBinding { buffer: &self.uniform, offset: 0, size };
        let numbers = wgpu::BindGroupEntry {
            binding: call.buffers.len() as u32,
            resource: wgpu::BindingResource::Buffer(numbers),
        };
        let entries: Vec<_> = storage.chain([numbers]).collect();
        self.device.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(call.kernel.name),
            layout: &pipeline.layout,
            entries: &entries,
        })
    }

    fn count(&self, add: impl FnOnce(&mut Counts)) {
        let mut counts = self.counts.get();
        add(&mut counts);
        self.counts.set(counts);
    }
}

fn little_endian(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

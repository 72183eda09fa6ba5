//! The graphics card: an adapter, its device and queue, and what went wrong with them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wgpu::{Backends, DeviceType, Features, Limits};

use crate::error::{Error, Result};

/// Which adapter is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Choice {
    /// A real card.
    #[default]
    Hardware,
    /// Also one that the processor pretends to be: for tests, it is slower than the CPU engine.
    Any,
}

/// What is asked of a device beyond what every one has. Tests withhold it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Extent {
    /// The adapter's own limits.
    #[default]
    Own,
    /// WebGPU's defaults, as the least of browsers gives them.
    Least,
    /// The defaults, and no more than so many bytes of a buffer seen at once: as if all matrices were too large.
    Bindings(u64),
}

/// An open device.
pub struct Device {
    pub device: wgpu::Device,
    pub queue: wgpu::Queue,
    name: String,
    largest_binding: u64,
    is_software: bool,
    trouble: Trouble,
}

/// The first thing that went wrong, in the device's own words.
#[derive(Clone, Default)]
struct Trouble(Arc<Mutex<Option<String>>>);

impl Trouble {
    fn lock(&self) -> MutexGuard<'_, Option<String>> {
        // a sentence is whole whoever broke down while holding it
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, what: String) {
        self.lock().get_or_insert(what);
    }
}

impl Device {
    /// # Errors
    /// [`Error::NoCard`] where there is none of the wanted kind.
    pub async fn open(choice: Choice, extent: Extent) -> Result<Self> {
        let backends = Backends::VULKAN | Backends::METAL | Backends::DX12 | Backends::BROWSER_WEBGPU;
        let descriptor =
            wgpu::InstanceDescriptor { backends, ..wgpu::InstanceDescriptor::new_without_display_handle() };
        let instance = wgpu::Instance::new(descriptor);
        let options = wgpu::RequestAdapterOptions {
            power_preference: wgpu::PowerPreference::HighPerformance,
            ..wgpu::RequestAdapterOptions::default()
        };
        let adapter = instance.request_adapter(&options).await.map_err(|error| Error::NoCard(plain(&error)))?;
        let info = adapter.get_info();
        let is_software = info.device_type == DeviceType::Cpu;
        if is_software && choice == Choice::Hardware {
            return Err(Error::NoCard(format!("The only one is {}, which is the processor itself.", info.name)));
        }
        let limits = match extent {
            Extent::Own => adapter.limits(),
            Extent::Least | Extent::Bindings(_) => Limits::default(),
        };
        let bindings = limits.max_storage_buffer_binding_size.min(limits.max_buffer_size);
        let largest_binding = match extent {
            Extent::Bindings(bytes) => bytes.min(bindings),
            Extent::Own | Extent::Least => bindings,
        };
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("peartree"),
            required_features: Features::empty(),
            required_limits: limits,
            ..wgpu::DeviceDescriptor::default()
        };
        let (device, queue) =
            adapter.request_device(&descriptor).await.map_err(|error| Error::NoCard(plain(&error)))?;
        let trouble = Trouble::default();
        let uncaptured = trouble.clone();
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| uncaptured.note(plain(&error))));
        let lost = trouble.clone();
        device.set_device_lost_callback(move |_, why| lost.note(format!("It was lost. {why}")));
        Ok(Device { device, queue, name: info.name, largest_binding, is_software, trouble })
    }

    /// As its maker calls it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it is the processor that computes.
    pub fn is_software(&self) -> bool {
        self.is_software
    }

    /// # Errors
    /// [`Error::Card`] with what went wrong, once something did.
    pub fn check(&self) -> Result<()> {
        match &*self.trouble.lock() {
            Some(what) => Err(Error::Card(what.clone())),
            None => Ok(()),
        }
    }

    /// Largest part of a buffer that a kernel can see, in bytes.
    pub fn largest_binding(&self) -> u64 {
        self.largest_binding
    }
}

/// What an error says, in one line.
fn plain(error: &impl std::fmt::Display) -> String {
    error.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
}

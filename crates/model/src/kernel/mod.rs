//! The kernel's state, and what each call does to it.
//!
//! The modules are named after the C files they specify, so that the two can be read side by side.
//! A call becomes a [`Task`]: a list of [`Section`]s, each of which the kernel does under its
//! locks without letting anybody in between. [`Kernel::call`] does a task in one go; whoever
//! interleaves tasks ([`Kernel::step`]) sees what another thread could see.

mod call;
mod dma_buf;
mod dmabuf_mmap;
mod files;
mod iommufd;
mod iommufd_device;
mod pci;
mod section;
mod symmetry;
mod vfio_pci_config;
mod vfio_pci_core;
mod vfio_pci_dmabuf;

pub use call::Call;
pub use dma_buf::{Attachment, AttachmentId, ImporterKind, OnInvalidate, Segment, Tally};
pub use dmabuf_mmap::{BufferVma, BufferVmaId};
pub use files::{DeviceFile, FileId, Vma, VmaId};
pub use iommufd::{Area, Memory, Pages, PagesId, Space};
pub use iommufd_device::Target;
pub use pci::Function;
pub use section::{Progress, Section, Task};
pub use symmetry::Exchange;
pub use vfio_pci_core::CpuTarget;
pub use vfio_pci_dmabuf::{Export, ExportId, Range};

use crate::abilities::Abilities;
use crate::hardware::Hardware;
use crate::op::{CONTEXT_OF_SPACE, PAGE, RAM_IOVA, SPACES};
use crate::profile::Profile;
use crate::rule::{Rule, RuleSet};
use barkeep_pci::layout::{Layout, LayoutError};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// Something that is part of a kernel but not of its state: two kernels that differ only in it
/// are equal.
#[derive(Clone, Debug, Default)]
struct Apart<T>(T);

impl<T> PartialEq for Apart<T> {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl<T> Eq for Apart<T> {}

impl<T> Hash for Apart<T> {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

/// What never changes.
#[derive(Debug)]
struct Facts {
    hardware: Hardware,
    layouts: Vec<Layout>,
    /// Config space, filled up with zeros to 256 bytes.
    images: Vec<[u8; 256]>,
    profile: Profile,
}

/// Objects by small numbers; the lowest free number is used again, so that the same state has
/// the same numbers however it came about.
pub(crate) type Slab<T> = Vec<Option<T>>;

fn put<T>(slab: &mut Slab<T>, value: T) -> usize {
    match slab.iter().position(Option::is_none) {
        Some(free) => {
            slab[free] = Some(value);
            free
        }
        None => {
            slab.push(Some(value));
            slab.len() - 1
        }
    }
}

fn take<T>(slab: &mut Slab<T>, at: usize) -> Option<T> {
    let value = slab.get_mut(at)?.take();
    while slab.last().is_some_and(Option::is_none) {
        slab.pop();
    }
    value
}

fn get<T>(slab: &Slab<T>, at: usize) -> Option<&T> {
    slab.get(at)?.as_ref()
}

fn get_mut<T>(slab: &mut Slab<T>, at: usize) -> Option<&mut T> {
    slab.get_mut(at)?.as_mut()
}

/// A kernel with devices bound to vfio-pci.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Kernel {
    functions: Vec<Function>,
    files: Slab<DeviceFile>,
    vmas: Slab<Vma>,
    buffer_vmas: Slab<BufferVma>,
    exports: Slab<Export>,
    attachments: Slab<Attachment>,
    pages: Slab<Pages>,
    spaces: Vec<Space>,
    facts: Apart<Arc<Facts>>,
    abilities: Apart<Abilities>,
    plant: Apart<Option<Rule>>,
    reached: Apart<RuleSet>,
}

impl Kernel {
    /// A kernel that has just booted on this machine: every device bound to vfio-pci, none
    /// open, [`SPACES`] address spaces with one page of RAM in each, and one more for probes.
    ///
    /// # Errors
    /// A device's config space is none a function can have.
    pub fn new(hardware: &Hardware, profile: Profile) -> Result<Self, LayoutError> {
        let layouts: Vec<Layout> =
            hardware.devices.iter().map(|device| device.layout()).collect::<Result<_, _>>()?;
        let image = |device: &crate::hardware::Device| {
            let bytes = device.image();
            std::array::from_fn(|at| bytes.get(at).copied().unwrap_or(0))
        };
        let images = hardware.devices.iter().map(image).collect();
        let functions = hardware.devices.iter().map(Function::new).collect();
        let facts = Apart(Arc::new(Facts { hardware: hardware.clone(), layouts, images, profile }));
        let mut kernel = Self {
            functions,
            files: Slab::new(),
            vmas: Slab::new(),
            buffer_vmas: Slab::new(),
            exports: Slab::new(),
            attachments: Slab::new(),
            pages: Slab::new(),
            spaces: CONTEXT_OF_SPACE.iter().map(|&context| Space::new(context)).collect(),
            facts,
            abilities: Apart(Abilities::default()),
            plant: Apart(None),
            reached: Apart(RuleSet::default()),
        };
        for space in 0..SPACES {
            // Nothing can be in its way in a space that is new.
            let _ = kernel.map_memory(space, Memory::Ram, 0, PAGE, RAM_IOVA);
        }
        // No device is ever attached to it: what it says is what an importer meets.
        kernel.spaces.push(Space::new(0));
        Ok(kernel)
    }

    /// The same kernel with one error in it: it does not do what `rule` says.
    #[must_use]
    pub fn with_planted(mut self, rule: Rule) -> Self {
        self.plant = Apart(Some(rule));
        self
    }

    /// The same kernel, able to do this much.
    #[must_use]
    pub fn with_abilities(mut self, able: Abilities) -> Self {
        self.abilities = Apart(able);
        self
    }

    /// What it can do beside what its version says.
    #[must_use]
    pub fn abilities(&self) -> Abilities {
        self.abilities.0
    }

    /// The rules that decided something so far.
    #[must_use]
    pub fn reached(&self) -> RuleSet {
        self.reached.0
    }

    /// The version that is specified.
    #[must_use]
    pub fn profile(&self) -> Profile {
        self.facts.0.profile
    }

    /// The machine.
    #[must_use]
    pub fn hardware(&self) -> &Hardware {
        &self.facts.0.hardware
    }

    /// What a device's config space says.
    #[must_use]
    pub fn layout(&self, device: usize) -> &Layout {
        &self.facts.0.layouts[device]
    }

    fn image(&self, device: usize) -> &[u8; 256] {
        &self.facts.0.images[device]
    }

    /// The devices' state.
    #[must_use]
    pub fn functions(&self) -> &[Function] {
        &self.functions
    }

    /// The address spaces; the last one is for probes.
    #[must_use]
    pub fn spaces(&self) -> &[Space] {
        &self.spaces
    }

    /// A dma-buf.
    #[must_use]
    pub fn export(&self, id: ExportId) -> Option<&Export> {
        get(&self.exports, id.0)
    }

    /// How many objects of each sort there are: files, mappings of BARs, dma-bufs, attachments,
    /// pages, mappings of dma-bufs. What is left at the end has leaked.
    #[must_use]
    pub fn census(&self) -> [usize; 6] {
        fn count<T>(slab: &Slab<T>) -> usize {
            slab.iter().flatten().count()
        }
        [
            count(&self.files),
            count(&self.vmas),
            count(&self.exports),
            count(&self.attachments),
            count(&self.pages),
            count(&self.buffer_vmas),
        ]
    }

    /// Whether a rule is followed, which it is unless it is the planted error. Asking marks it
    /// as reached, so it is asked only where it decides something.
    fn follows(&mut self, rule: Rule) -> bool {
        self.reached.0.insert(rule);
        self.plant.0 != Some(rule)
    }
}

//! Both processes on the specification: what each holds, what it can do next, and what the kernel
//! has to answer.
//!
//! What the specification does not know is a process. Two things follow from one, and are made of
//! its calls here: a process that ends gives up everything it holds (`exit_files`, `exit_mmap`;
//! what the order is makes no difference to what is left), and an iommufd context lasts until
//! its descriptor *and* every device bound to it are closed (`iommufd_device_bind` takes a
//! reference; the last one goes to `iommufd_fops_release`, which unmaps everything).

mod exporter;
mod importer;
mod look;

use crate::step::{ImporterStep as I, Side, Step};
use crate::window::{IOVA, LENGTH, Window};
use barkeep_model::hardware::Hardware;
use barkeep_model::kernel::{Call, ExportId, FileId, VmaId};
use barkeep_model::{Errno, Kernel, Profile};
use barkeep_pci::write::ConfigWrite;

/// Context and space of the importer, of the specification's.
const IMPORTER: (u8, usize) = (0, 0);
const EXPORTER_CONTEXT: u8 = 1;
/// Of whoever opens the device once nobody has it.
const OTHER_CONTEXT: u8 = 2;

const COMMAND: u16 = 4;
const MEMORY: u16 = 2;
const MASTER: u16 = 4;

/// What a system call gives.
pub type Answer = Result<u64, Errno>;

/// What became of a DMA.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fate {
    /// The data is there.
    Landed,
    /// The IOMMU lets it get nowhere, and says so in the kernel's log (unless that is full).
    Faulted,
    /// It is gone, and nothing says so: the target does not answer, or the engine is shut.
    Away,
}

/// Who reads the BAR.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reader {
    /// The exporter, through its device file.
    Region,
    /// The exporter, through its mapping.
    Mapping,
    /// Somebody who opens the device, which nobody has any longer.
    Other,
}

/// What has to be seen after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Expected {
    /// What the step answers.
    pub answer: Answer,
    /// What becomes of a DMA to [`IOVA`]; none while it is in flight, or nobody can command one.
    pub dma: Option<Fate>,
    /// Who can read the BAR, and whether it answers. None if there was no DMA to look for.
    pub read: Option<(Reader, Result<(), Errno>)>,
    /// What a map at [`PROBE_IOVA`] says, while the importer can ask.
    pub attach: Option<Result<(), Errno>>,
}

/// What the exporter holds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Exporter {
    buffer: bool,
    bar: Option<VmaId>,
    device: Option<FileId>,
    context: bool,
}

/// What the importer holds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Importer {
    /// The dma-buf is in the socket.
    unreceived: bool,
    buffer: bool,
    device: Option<FileId>,
    context: bool,
}

/// A DMA that the importer commands without waiting: at most one in an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Flight {
    /// None yet.
    Ahead,
    /// Commanded, and not carried out.
    Under,
    /// It is over.
    Over,
}

/// What a process holds, as far as it makes a difference what it can do next, and what can be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Holdings {
    /// Of the exporter.
    #[allow(missing_docs, reason = "descriptors and a mapping, by their names")]
    Exporter { buffer: bool, bar: bool, device: bool, context: bool },
    /// Of the importer.
    #[allow(missing_docs, reason = "descriptors by their names, then what became of the dma-buf")]
    Importer {
        unreceived: bool,
        buffer: bool,
        device: bool,
        context: bool,
        attached: bool,
        mapped: bool,
        dead: bool,
    },
}

/// Both processes and the kernel.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Spec {
    window: Window,
    kernel: Kernel,
    export: ExportId,
    exporter: Exporter,
    importer: Importer,
    flight: Flight,
}

/// The specification cannot be used for these devices.
#[derive(Debug, thiserror::Error)]
pub enum SpecError {
    /// A config space it cannot have.
    #[error("a device is none a machine can have")]
    Layout(#[from] barkeep_pci::layout::LayoutError),
    /// By the specification, the two processes do not even come to hold what they are to give up.
    #[error("the processes cannot be set up: {0} answers {1:?}")]
    SetUp(&'static str, Option<Answer>),
}

impl Spec {
    /// Both processes set up, the dma-buf in the socket.
    ///
    /// # Errors
    /// See [`SpecError`].
    pub fn new(hardware: &Hardware, window: Window, profile: Profile) -> Result<Self, SpecError> {
        Self::on(Kernel::new(hardware, profile)?, window)
    }

    /// The same on a kernel of the specification's, on which nothing was done yet.
    ///
    /// # Errors
    /// By this kernel the set-up cannot be done.
    pub fn on(mut kernel: Kernel, window: Window) -> Result<Self, SpecError> {
        let mut call = |what, call: &Call| match kernel.call(call) {
            Some(Ok(number)) => Ok(number),
            other => Err(SpecError::SetUp(what, other)),
        };
        let file =
            FileId::of(call("open", &Call::Open { device: window.target, context: EXPORTER_CONTEXT })?);
        let vma = call("mmap", &Call::MapBar { file, bar: window.bar, offset: 0, size: LENGTH })?;
        let ranges = vec![(0, LENGTH)];
        let export = call("export", &Call::Export { file, region: window.bar.into(), ranges, flags: 0 })?;
        let engine = FileId::of(call("open", &Call::Open { device: window.engine, context: IMPORTER.0 })?);
        call("attach", &Call::Attach { file: engine, space: IMPORTER.1 })?;
        let master = ConfigWrite::word(COMMAND, MEMORY | MASTER);
        call("COMMAND", &Call::ConfigWrite { file: engine, write: master })?;
        let export = ExportId::of(export);
        // The reference in the socket.
        kernel.hold_export(export);
        Ok(Self {
            window,
            kernel,
            export,
            exporter: Exporter { buffer: true, bar: Some(VmaId::of(vma)), device: Some(file), context: true },
            importer: Importer { unreceived: true, buffer: false, device: Some(engine), context: true },
            flight: Flight::Ahead,
        })
    }

    /// Whether a process holds anything. One that does not has nothing left to do, and ends.
    #[must_use]
    pub fn is_alive(&self, side: Side) -> bool {
        match side {
            Side::Exporter => {
                let Exporter { buffer, bar, device, context } = &self.exporter;
                *buffer || bar.is_some() || device.is_some() || *context
            }
            Side::Importer => {
                let Importer { unreceived, buffer, device, context } = &self.importer;
                *unreceived || *buffer || device.is_some() || *context
            }
        }
    }

    /// What a process holds.
    #[must_use]
    pub fn holdings(&self, side: Side) -> Holdings {
        match side {
            Side::Exporter => {
                let Exporter { buffer, bar, device, context } = self.exporter;
                Holdings::Exporter { buffer, bar: bar.is_some(), device: device.is_some(), context }
            }
            Side::Importer => {
                let Importer { unreceived, buffer, device, context } = self.importer;
                Holdings::Importer {
                    unreceived,
                    buffer,
                    device: device.is_some(),
                    context,
                    attached: self.is_attached(),
                    mapped: self.is_mapped(),
                    dead: self.kernel.has_dead(IMPORTER.1),
                }
            }
        }
    }

    /// The one commanded DMA.
    #[must_use]
    pub fn flight(&self) -> Flight {
        self.flight
    }

    /// Whether a step is one the process has the means for.
    #[must_use]
    pub fn is_possible(&self, step: Step) -> bool {
        match step {
            Step::Exporter(step) => self.exporter_can(step),
            Step::Importer(step) => self.importer_can(step),
        }
    }

    fn is_attached(&self) -> bool {
        self.kernel.functions()[self.window.engine].space.is_some()
    }

    fn is_mapped(&self) -> bool {
        self.kernel.spaces()[IMPORTER.1].areas.iter().any(|area| area.iova == IOVA)
    }

    /// Does a step, and then everything that is done to look at what came of it.
    pub fn step(&mut self, step: Step) -> Expected {
        let answer = match step {
            Step::Exporter(step) => self.exporter_step(step),
            Step::Importer(step) => self.importer_step(step),
        };
        if step == Step::Importer(I::StartDma) {
            self.flight = Flight::Under;
            return Expected { answer, dma: None, read: None, attach: None };
        }
        self.look(answer)
    }

    fn call(&mut self, call: &Call) -> Answer {
        // A call that never comes back is none of these processes'; a real one that does not is
        // told by the conductor.
        self.kernel.call(call).unwrap_or(Err(Errno::EBUSY))
    }
}

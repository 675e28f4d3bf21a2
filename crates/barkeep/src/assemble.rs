//! Puts a VM's devices together: opens them, exports what may be exported, gives their windows
//! to the slots. The same in every lane; what a device is, a lane's [`Supply`] says.

use crate::cli::{DeviceOption, P2p};
use crate::exit::{Exit, UsageExt, wrong};
use barkeep_export::{
    Administrator, Errno, FaultSource, Importer, Importers, IoSpace, Passthrough, RawDevice, Seconds, Window,
    WindowId, result_number,
};
use barkeep_journal::{Actor, DeviceAddress, Event, Journal, Kind};
use barkeep_pci::windows::{self, exportable};
use barkeep_platform::map::{MMIO32, MMIO64};
use barkeep_platform::{Board, BoardError, BoardParts, Ram};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// What is to be done just before a device is closed.
pub type BeforeClose = Box<dyn Fn() + Send + Sync>;

/// Where a lane's devices, I/O address space and memory slots come from.
pub trait Supply {
    /// A device of this lane.
    type Device: RawDevice + 'static;

    /// The I/O address space all devices share.
    fn space(&self) -> Arc<dyn IoSpace>;

    /// The guest's memory slots.
    fn slots(&self) -> Arc<dyn Importer>;

    /// Opens a device into the I/O address space.
    ///
    /// # Errors
    /// It is not there, or cannot be had.
    fn open(&self, option: &DeviceOption) -> anyhow::Result<Arc<Self::Device>>;

    /// Exports a window as a dma-buf and gives it to the I/O address space.
    ///
    /// # Errors
    /// See [`ExportError`].
    fn export(
        &self,
        device: &Self::Device,
        id: WindowId,
        window: &windows::Window,
    ) -> Result<(), ExportError>;

    /// Gives the memory of a window to the slots.
    ///
    /// # Errors
    /// It cannot be mapped.
    fn back(&self, device: &Self::Device, id: WindowId, window: &windows::Window) -> anyhow::Result<()>;

    /// Who administers the machine the devices are of.
    fn administrator(&self) -> Arc<dyn Administrator>;

    /// Who starts second processes.
    fn seconds(&self) -> Arc<dyn Seconds>;

    /// Who has importing devices attach, where the scenario wants that; none is simulated.
    fn importers(&self) -> Option<Arc<dyn Importers>>;

    /// Lets time pass, as it goes in this lane.
    fn sleep(&self) -> Arc<dyn Fn(Duration) + Send + Sync>;

    /// Makes the device known to whoever else has to know it, and gives what makes them let go
    /// of it.
    ///
    /// # Errors
    /// They do not take it.
    fn introduce(&self, device: &Arc<Self::Device>, journal: &Journal) -> anyhow::Result<BeforeClose>;
}

/// Why a window is not exported.
#[derive(Debug)]
pub struct ExportError {
    /// Nothing can be exported here, this window or any other: without the feature nothing this
    /// VM is for works.
    pub none_at_all: bool,
    /// The errno.
    pub errno: Errno,
    /// In words.
    pub error: anyhow::Error,
}

/// The devices of a VM, and those beside it that an administrator may act on.
#[derive(Clone, Copy)]
pub struct Named<'a> {
    /// In the VM, in the order of its numbers.
    pub devices: &'a [DeviceOption],
    /// Not in the VM.
    pub others: &'a [DeviceOption],
}

impl Named<'_> {
    fn others(&self) -> BTreeMap<String, DeviceAddress> {
        self.others.iter().map(|other| (other.name.clone(), other.address)).collect()
    }
}

/// Puts it together. `supply` has the slots of `ram` already.
///
/// # Errors
/// A device is not there or not bound, the kernel lacks a feature.
pub fn assemble(
    supply: &impl Supply,
    ram: Arc<Ram>,
    named: Named<'_>,
    p2p: P2p,
    faults: Option<Box<dyn FaultSource>>,
    journal: &Journal,
) -> anyhow::Result<Board> {
    let (space, slots) = (supply.space(), supply.slots());
    map_ram(&ram, &*space, journal)?;
    let mut functions = Vec::new();
    for (index, option) in named.devices.iter().enumerate() {
        let function = open(supply, index as u16, option, p2p, journal)?;
        functions.push((option.name.clone(), Arc::new(function)));
    }
    let parts = BoardParts {
        journal: journal.clone(),
        ram,
        space,
        slots,
        devices: functions,
        faults,
        administrator: supply.administrator(),
        others: named.others(),
        sleep: supply.sleep(),
        seconds: supply.seconds(),
        importers: supply.importers(),
    };
    Board::new(parts).map_err(|error| match error {
        BoardError::Windows(_) => wrong(Exit::Usage, error.to_string()),
        BoardError::OutageWords(_) => error.into(),
    })
}

/// For the devices' DMA; RAM that no device can have is not mapped.
fn map_ram(ram: &Ram, space: &dyn IoSpace, journal: &Journal) -> anyhow::Result<()> {
    let Some(file) = ram.file() else { return Ok(()) };
    for range in ram.ranges() {
        let event = Event::new(Kind::RamMap, Actor::Vmm).range(range.start, range.size);
        let step = journal.begin(event);
        let result = space.map_ram(file, range.file_offset, range.size, range.start);
        journal.end(step, result_number(result));
        result.usage("cannot map guest memory for DMA; is the memory-lock limit (ulimit -l) high enough?")?;
    }
    Ok(())
}

fn open(
    supply: &impl Supply,
    index: u16,
    option: &DeviceOption,
    p2p: P2p,
    journal: &Journal,
) -> anyhow::Result<Passthrough> {
    let device = supply.open(option)?;
    let layout = device.layout();
    let text = format!("{} {:04x}:{:04x}", option.name, layout.vendor, layout.device);
    journal.emit(Event::new(Kind::DeviceOpen, Actor::Vmm).device(option.address).text(text));
    let found = windows_of(supply, index, &device, p2p, journal)?;
    for (number, window) in (0..).zip(&found) {
        let pci = windows::Window { bar: window.bar, offset: window.offset, size: window.size };
        supply.back(&device, WindowId { device: index, window: number }, &pci)?;
    }
    let before_close = supply.introduce(&device, journal)?;
    let holes = vec![MMIO32, MMIO64];
    let mut passthrough = Passthrough::new(device, found, holes).usage("cannot read a device's registers")?;
    passthrough.before_close(before_close);
    Ok(passthrough)
}

/// Exports what may be exported of every BAR; what may not stays with the VMM.
fn windows_of<S: Supply>(
    supply: &S,
    index: u16,
    device: &S::Device,
    p2p: P2p,
    journal: &Journal,
) -> anyhow::Result<Vec<Window>> {
    let page = rustix::param::page_size() as u64;
    let mut found = Vec::new();
    for bar in device.layout().bars.iter().flatten() {
        for window in exportable(bar, device.layout().msix.as_ref(), page).windows {
            let id = WindowId { device: index, window: found.len() as u16 };
            let shared = p2p != P2p::Off && export(supply, id, device, &window, p2p, journal)?;
            let windows::Window { bar, offset, size } = window;
            found.push(Window { bar, offset, size, p2p: shared });
        }
    }
    Ok(found)
}

/// Whether the window is exported now.
fn export<S: Supply>(
    supply: &S,
    id: WindowId,
    device: &S::Device,
    window: &windows::Window,
    p2p: P2p,
    journal: &Journal,
) -> anyhow::Result<bool> {
    let about = |kind| {
        let event = Event::new(kind, Actor::Vmm).device(device.address()).bar(window.bar);
        event.range(window.offset, window.size)
    };
    let step = journal.begin(about(Kind::BarExport));
    let result = supply.export(device, id, window);
    let errno = result.as_ref().err().map_or(0, |refused| -refused.errno.raw_os_error());
    journal.end(step, errno);
    let Err(ExportError { none_at_all, errno: _, error }) = result else {
        return Ok(true);
    };
    if none_at_all {
        return Err(error).usage("no peer-to-peer DMA on this kernel");
    }
    if p2p == P2p::Required {
        return Err(error).usage("--p2p required");
    }
    eprintln!("barkeep: {error}: peers cannot reach it (--p2p required would refuse)");
    journal.emit(about(Kind::Degraded).text(format!("not exported: {error}")));
    Ok(false)
}

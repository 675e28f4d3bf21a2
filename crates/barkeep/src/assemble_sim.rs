//! Simulated devices: for real vCPUs (lane `kvm`) and for simulated ones (lane `model`).

use crate::assemble::{BeforeClose, ExportError, Supply};
use crate::cli::DeviceOption;
use crate::exit::UsageExt;
use crate::leftovers;
use anyhow::Context;
use barkeep_export::{
    Administrator, Backing, Errno, FaultSource, Importer, Importers, IoSpace, RawDevice, Seconds, WindowId,
};
use barkeep_journal::Journal;
use barkeep_pci::windows::Window;
use barkeep_platform::Board;
use barkeep_sim::guest::{self, Mapping};
use barkeep_sim::{
    Named, Reach, SimAdministrator, SimDevice, SimFaults, SimHost, SimSeconds, SimSpace, parts,
};
use barkeep_vmm::Slots;
use std::sync::Arc;
use std::time::Duration;

/// Memory slots that take a window of a simulated device.
pub trait TakeWindow: Importer + 'static {
    /// Takes it, as memory or as registers.
    ///
    /// # Errors
    /// The errno of the mapping.
    fn take(&self, host: &Arc<SimHost>, number: usize, id: WindowId, window: &Window) -> Result<(), Errno>;
}

/// A real vCPU needs host memory.
impl TakeWindow for Slots {
    fn take(&self, host: &Arc<SimHost>, number: usize, id: WindowId, window: &Window) -> Result<(), Errno> {
        match host.view_window(number, window)? {
            Reach::Mapped(address) => self.add_window(id, address, window.size, Backing::Memory),
            Reach::Trapped => self.add_trapped(id, window.size),
        }
        Ok(())
    }
}

/// A simulated vCPU asks at every access.
impl TakeWindow for guest::Slots {
    fn take(&self, host: &Arc<SimHost>, number: usize, id: WindowId, window: &Window) -> Result<(), Errno> {
        match host.map_window(number, window)? {
            Reach::Mapped(vma) => {
                let host = Arc::clone(host);
                self.add_window(id, Arc::new(Mapping { host, vma }), window.size);
            }
            Reach::Trapped => self.add_trapped(id, window.size),
        }
        Ok(())
    }
}

/// The supply of lanes `kvm` and `model`.
pub struct SimSupply<S> {
    host: Arc<SimHost>,
    slots: Arc<S>,
}

impl<S> SimSupply<S> {
    /// The devices of `host`, and their windows into `slots`.
    pub fn new(host: &Arc<SimHost>, slots: &Arc<S>) -> Self {
        Self { host: Arc::clone(host), slots: Arc::clone(slots) }
    }
}

/// The devices as the command line would name real ones.
pub fn options(devices: &[Named]) -> Vec<DeviceOption> {
    let option = |(number, named): (usize, &Named)| DeviceOption {
        name: named.name.clone(),
        address: parts::address(number),
        fd: None,
    };
    devices.iter().enumerate().map(option).collect()
}

/// Gives a VM back that was killed, as its kernel does: after its files the I/O address space, and then
/// the second process looks what it has left of it.
pub fn bury(board: &Board, host: &SimHost) {
    if board.is_killed() {
        host.close_context();
        board.second_outlives();
    }
}

/// The simulated IOMMU's records.
pub fn faults(host: &Arc<SimHost>) -> Option<Box<dyn FaultSource>> {
    Some(Box::new(SimFaults(Arc::clone(host))))
}

impl<S: TakeWindow> Supply for SimSupply<S> {
    type Device = SimDevice;

    fn space(&self) -> Arc<dyn IoSpace> {
        Arc::new(SimSpace(Arc::clone(&self.host)))
    }

    fn slots(&self) -> Arc<dyn Importer> {
        self.slots.clone()
    }

    fn open(&self, option: &DeviceOption) -> anyhow::Result<Arc<SimDevice>> {
        let opened = SimDevice::open(&self.host, parts::number(option.address));
        opened.map(Arc::new).with_context(|| format!("cannot open the simulated device {}", option.name))
    }

    fn export(&self, device: &SimDevice, id: WindowId, window: &Window) -> Result<(), ExportError> {
        let refused = |errno: Errno| {
            let error = anyhow::Error::new(errno).context(format!("cannot export BAR {}", window.bar));
            ExportError { none_at_all: false, errno, error }
        };
        device.export(id, window).map_err(refused)
    }

    fn back(&self, device: &SimDevice, id: WindowId, window: &Window) -> anyhow::Result<()> {
        let taken = self.slots.take(&self.host, parts::number(device.address()), id, window);
        taken.usage(format!("cannot map {:#x} bytes of a simulated BAR", window.size))
    }

    fn administrator(&self) -> Arc<dyn Administrator> {
        Arc::new(SimAdministrator(Arc::clone(&self.host)))
    }

    fn seconds(&self) -> Arc<dyn Seconds> {
        Arc::new(SimSeconds(Arc::clone(&self.host)))
    }

    fn importers(&self) -> Option<Arc<dyn Importers>> {
        None
    }

    fn sleep(&self) -> Arc<dyn Fn(Duration) + Send + Sync> {
        let host = Arc::clone(&self.host);
        Arc::new(move |time| host.sleep(time))
    }

    /// Nobody else holds a simulated device file.
    fn introduce(&self, _: &Arc<SimDevice>, _: &Journal) -> anyhow::Result<BeforeClose> {
        Ok(Box::new(|| ()))
    }
}

/// Journals what the simulated kernel still has of a VM that was taken apart.
pub fn count_leftovers(host: &SimHost, journal: &Journal) {
    for (name, left) in host.left() {
        leftovers::tell(journal, name, left);
    }
}

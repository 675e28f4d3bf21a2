//! Devices by VFIO, slots by KVM.

use crate::assemble::{BeforeClose, ExportError, Supply};
use crate::cli::DeviceOption;
use crate::exit::UsageExt;
use crate::importer::ModuleImporters;
use crate::second::VfioSeconds;
use anyhow::Context;
use barkeep_export::{
    Administrator, Errno, FaultSource, Importer, Importers, IoSpace, RawDevice, Seconds, WindowId,
};
use barkeep_journal::{Actor, DeviceAddress, Event, Journal, Kind};
use barkeep_pci::windows::Window;
use barkeep_vfio::{Device, DeviceError, FaultLog, Signals, Space, Sysfs};
use barkeep_vmm::{KvmVfio, Shell, Slots};
use std::fs::File;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The supply of lanes `lab` and `host`.
pub struct VfioSupply {
    space: Arc<Space>,
    slots: Arc<Slots>,
    kvm_vfio: Arc<KvmVfio>,
    signals: Mutex<Vec<(DeviceAddress, Signals)>>,
    /// Whether importing devices beside the VM are to attach.
    imports: bool,
}

impl VfioSupply {
    /// Devices go into `space`, and their windows into the slots of `shell`; with `imports` importing devices
    /// beside the VM can attach to them.
    ///
    /// # Errors
    /// KVM was built without VFIO support.
    pub fn new(space: Space, shell: &Shell, imports: bool) -> anyhow::Result<Self> {
        let kvm_vfio = Arc::new(KvmVfio::new(shell.vm()).context("KVM makes no VFIO device")?);
        let slots = Arc::clone(shell.slots());
        Ok(Self { space: Arc::new(space), slots, kvm_vfio, signals: Mutex::default(), imports })
    }

    /// What the kernel tells of the devices that were opened.
    pub fn into_signals(self) -> Vec<(DeviceAddress, Signals)> {
        self.signals.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Supply for VfioSupply {
    type Device = Device;

    fn space(&self) -> Arc<dyn IoSpace> {
        self.space.clone()
    }

    fn slots(&self) -> Arc<dyn Importer> {
        self.slots.clone()
    }

    fn open(&self, option: &DeviceOption) -> anyhow::Result<Arc<Device>> {
        let device = match option.fd {
            Some(fd) => Device::of_descriptor(fd, option.address, &self.space),
            None => Device::open(option.address, &self.space),
        };
        let device = device.usage("cannot pass a device through")?;
        device.held_by_kvm(Box::new(|file| match KvmVfio::of_another_vm(file) {
            Ok(vm) => Ok(Box::new(vm)),
            Err(error) => Err(Errno::from_raw_os_error(error.errno())),
        }));
        let signals = device.signals().try_clone().context("cannot duplicate an event")?;
        self.signals.lock().unwrap_or_else(PoisonError::into_inner).push((option.address, signals));
        Ok(Arc::new(device))
    }

    fn export(&self, device: &Device, id: WindowId, window: &Window) -> Result<(), ExportError> {
        let refused = |error: DeviceError| ExportError {
            none_at_all: matches!(error, DeviceError::NoExport(..)),
            errno: error.errno(),
            error: error.into(),
        };
        let file = device.export(window).map_err(refused)?;
        self.space.add_buffer(id, file, window.size);
        Ok(())
    }

    fn back(&self, device: &Device, id: WindowId, window: &Window) -> anyhow::Result<()> {
        // One that peers are not to reach is not exported.
        let buffer = self.space.buffer(id).ok();
        let (host, of) = device.map(window, buffer.as_ref()).usage("cannot pass a device through")?;
        self.slots.add_window(id, host, window.size, of);
        Ok(())
    }

    fn administrator(&self) -> Arc<dyn Administrator> {
        Arc::new(Sysfs)
    }

    fn seconds(&self) -> Arc<dyn Seconds> {
        Arc::new(VfioSeconds(Arc::clone(&self.space)))
    }

    fn importers(&self) -> Option<Arc<dyn Importers>> {
        let of_module = || Arc::new(ModuleImporters(Arc::clone(&self.space))) as Arc<dyn Importers>;
        self.imports.then(of_module)
    }

    fn sleep(&self) -> Arc<dyn Fn(Duration) + Send + Sync> {
        Arc::new(std::thread::sleep)
    }

    /// KVM's VFIO device holds the device file open.
    fn introduce(&self, device: &Arc<Device>, journal: &Journal) -> anyhow::Result<BeforeClose> {
        let added =
            device.with_file(|file| self.kvm_vfio.add(file).map_err(|e| Errno::from_raw_os_error(e.errno())));
        added.context("KVM does not take the device file")?;
        let (kvm_vfio, journal, device) = (Arc::clone(&self.kvm_vfio), journal.clone(), Arc::clone(device));
        Ok(Box::new(move || {
            let removed = device
                .with_file(|file| kvm_vfio.remove(file).map_err(|e| Errno::from_raw_os_error(e.errno())));
            if let Err(errno) = removed {
                let event = Event::new(Kind::Degraded, Actor::Vmm).device(device.address());
                journal.emit(event.result(-errno.raw_os_error()).text("KVM keeps the device file"));
            }
        }))
    }
}

/// The kernel's log of what the IOMMU refused, and what wakes whoever waits for more; without it, says
/// so and goes on.
pub fn open_fault_log(journal: &Journal) -> Option<(Box<dyn FaultSource>, File)> {
    match FaultLog::open().and_then(|log| Ok((log.waker()?, log))) {
        Ok((waker, log)) => Some((Box::new(log), waker)),
        Err(error) => {
            let text = format!("IOMMU faults cannot be seen: /dev/kmsg: {error}");
            eprintln!("barkeep: {text}");
            journal.emit(Event::new(Kind::Degraded, Actor::Vmm).text(text));
            None
        }
    }
}

//! `drivers/pci/pci.c` and the hardware below it: power states, resets, what decodes.

use super::files::FileId;
use super::vfio_pci_dmabuf::ExportId;
use super::{Kernel, Section, Task};
use crate::errno::Errno;
use crate::hardware::{BusReset, Device, ResetMethod};
use crate::rule::Rule;
use barkeep_pci::header;

/// Power state 3.
pub(super) const D3HOT: u8 = 3;
/// What the kernel waits in a function level reset before it looks (`pcie_flr`, PCI Express Base
/// 6.6.2), nanoseconds.
const FLR_WAIT: u64 = 100_000_000;
/// Into D3hot and out again (`pci_pm_reset`), 10 ms each.
const PM_WAIT: u64 = 20_000_000;
/// A secondary bus reset of a port that is quick (`pci_bridge_wait_for_secondary_bus`).
const BUS_WAIT: u64 = 100_000_000;
/// One whose link does not come back.
const BUS_FAILS_WAIT: u64 = 1_050_000_000;

/// Whether a device is in the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Presence {
    /// Bound to vfio-pci.
    There,
    /// Removed through sysfs, and somebody still has it open.
    Going,
    /// Gone, until the bus is scanned again.
    Gone,
}

/// One function: `struct pci_dev` and `struct vfio_pci_core_device`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Function {
    /// COMMAND of the hardware. A virtual function's memory bit is always 0.
    pub command: u16,
    /// `current_state`: 0 to 3.
    pub power: u8,
    /// There are reset methods; `reset_method` in sysfs takes them out.
    pub resettable: bool,
    /// Whether it is there.
    pub presence: Presence,
    /// The file it is open by; the character device lets one be.
    pub file: Option<FileId>,
    /// The iommufd context it is bound to.
    pub context: Option<u8>,
    /// The space its file was attached to.
    pub space: Option<usize>,
    /// COMMAND as last written: vfio's shadow, by which it decides.
    pub shadow_command: u16,
    /// The BAR registers as last written.
    pub shadow_bars: [u32; 6],
    /// `pm_runtime_engaged`.
    pub low_power: bool,
    /// It leaves low power by itself when it is woken up.
    pub wakes: bool,
    /// `reset_works`: a reset succeeded at open.
    pub reset_works: bool,
    /// `pm_save`: COMMAND as it was before D3hot, where leaving D3hot loses it.
    pub saved_command: Option<u16>,
    /// `memory_lock` is held for writing.
    pub memory_lock: bool,
    /// The PCI core's device lock is held: a reset is going on.
    pub device_lock: bool,
    /// `vdev->dmabufs`, in its order.
    pub exports: Vec<ExportId>,
}

impl Function {
    pub(super) fn new(device: &Device) -> Self {
        Self {
            command: 0,
            power: 0,
            resettable: !device.reset_methods.is_empty(),
            presence: Presence::There,
            file: None,
            context: None,
            space: None,
            shadow_command: 0,
            shadow_bars: [0; 6],
            low_power: false,
            wakes: false,
            reset_works: false,
            saved_command: None,
            memory_lock: false,
            device_lock: false,
            exports: Vec::new(),
        }
    }
}

impl Kernel {
    pub(super) fn device(&self, device: usize) -> &Device {
        &self.facts.0.hardware.devices[device]
    }

    /// Whether the function itself answers memory accesses at this moment.
    #[must_use]
    pub fn decodes(&self, device: usize) -> bool {
        let function = &self.functions[device];
        let on = self.device(device).virtual_function || function.command & header::COMMAND_MEMORY != 0;
        on && function.power == 0 && !self.is_suspended(device) && function.presence != Presence::Gone
    }

    /// Whether the kernel has suspended the function: in low power, between two accesses through
    /// its file. One that is being removed is kept awake (`device_release_driver`).
    pub(super) fn suspends(&self, device: usize) -> bool {
        self.functions[device].low_power && !self.is_leaving(device)
    }

    fn is_suspended(&self, device: usize) -> bool {
        self.suspends(device) && self.layout(device).pm.is_some()
    }

    /// Whether the function may do DMA.
    #[must_use]
    pub fn masters(&self, device: usize) -> bool {
        let function = &self.functions[device];
        function.command & header::COMMAND_MASTER != 0 && function.power == 0 && !self.is_suspended(device)
    }

    /// Whether a device was removed and is still open.
    #[must_use]
    pub fn is_leaving(&self, device: usize) -> bool {
        self.functions[device].presence == Presence::Going
    }

    /// Whether a device was removed and nobody has it open.
    #[must_use]
    pub fn is_gone(&self, device: usize) -> bool {
        self.functions[device].presence == Presence::Gone
    }

    /// Whether somebody has the PCI core's device lock: another reset, or a removal that waits.
    pub(super) fn device_locked(&self, device: usize) -> bool {
        self.functions[device].device_lock || self.is_leaving(device)
    }

    /// What a write to COMMAND leaves there.
    pub(super) fn set_command(&mut self, device: usize, value: u16) {
        let mut writable = header::COMMAND_IO
            | header::COMMAND_MEMORY
            | header::COMMAND_MASTER
            | header::COMMAND_INTX_DISABLE;
        if self.device(device).virtual_function {
            // A real one has no I/O bit either; the emulated ones do.
            writable &= !header::COMMAND_MEMORY;
        }
        self.functions[device].command = value & writable;
    }

    /// `pci_set_power_state`: true if the function came out of D3hot and lost its state.
    pub(super) fn set_power_state(&mut self, device: usize, state: u8) -> bool {
        let now = self.functions[device].power;
        let Some(pm) = self.layout(device).pm else {
            return false;
        };
        if state == 0 {
            self.functions[device].power = 0;
            let lost = now == D3HOT && !pm.no_soft_reset;
            if lost && !self.device(device).wakes_whole {
                // D0 uninitialized: the kernel gives the BARs back (`pci_restore_bars`), not COMMAND.
                self.functions[device].command = 0;
            }
            return lost;
        }
        // Once low, only deeper (`pci_set_low_power_state`).
        if state > now && self.supports(device, state) {
            self.functions[device].power = state;
        }
        false
    }

    /// Whether the function can be put into a power state (PMC bits 9 and 10; `PCI_DEV_FLAGS_NO_D3`).
    fn supports(&self, device: usize, state: u8) -> bool {
        let Some(pm) = self.layout(device).pm else {
            return false;
        };
        let pmc = self.image(device)[usize::from(pm.offset) + 3];
        match state {
            1 => pmc & 1 << 1 != 0,
            2 => pmc & 1 << 2 != 0,
            _ => !self.device(device).no_d3,
        }
    }

    /// `pci_try_reset_function`.
    pub(super) fn try_reset_function(&mut self, device: usize, report: bool, task: &mut Task) {
        let done = |result| Section::ResetDone { device, report, result };
        if !self.functions[device].resettable && self.follows(Rule::ResetWithoutMethod) {
            task.next(&[done(Err(Errno::ENOTTY))]);
            return;
        }
        if self.device_locked(device) && self.follows(Rule::ResetContended) {
            task.next(&[done(Err(Errno::EAGAIN))]);
            return;
        }
        self.functions[device].device_lock = true;
        self.save_and_disable(device);
        let (result, time) = self.reset_hardware(device);
        task.next(&[Section::Sleep(time), done(result)]);
    }

    /// `pci_dev_save_and_disable`: wakes the function up, and it stays awake.
    fn save_and_disable(&mut self, device: usize) {
        if self.functions[device].power != 0 && self.follows(Rule::ResetWakesUp) {
            self.set_power_state(device, 0);
        }
    }

    /// Whether a reset of the function succeeds.
    pub(super) fn reset_succeeds(&mut self, device: usize) -> bool {
        self.reset_hardware(device).0.is_ok()
    }

    /// Nanoseconds that a reset at open or close takes.
    pub(super) fn reset_time(&mut self, device: usize) -> u64 {
        if self.functions[device].resettable { self.reset_hardware(device).1 } else { 0 }
    }

    /// Nanoseconds of a hot reset.
    pub(super) fn bus_time(&self, device: usize) -> u64 {
        match self.device(device).bus_reset {
            BusReset::Fails => BUS_FAILS_WAIT,
            BusReset::Works | BusReset::RootBus | BusReset::NotAllOurs => BUS_WAIT,
        }
    }

    /// Whether the next reset of the function will fail.
    pub(super) fn reset_will_fail(&mut self, device: usize) -> bool {
        !self.functions[device].resettable || !self.reset_succeeds(device)
    }

    /// What the first method that works comes to, and how long it takes.
    fn reset_hardware(&mut self, device: usize) -> (Result<(), Errno>, u64) {
        let Device { ref reset_methods, extra_reset_ns, reset_fails, bus_reset, .. } = *self.device(device);
        let Some(method) = reset_methods.first() else {
            return (Err(Errno::ENOTTY), 0);
        };
        let (time, fails) = match method {
            ResetMethod::DeviceSpecific | ResetMethod::Acpi => (0, false),
            ResetMethod::Flr | ResetMethod::AfFlr => (FLR_WAIT, false),
            ResetMethod::Pm => (PM_WAIT, false),
            ResetMethod::Bus | ResetMethod::CxlBus if bus_reset == BusReset::Works => (BUS_WAIT, false),
            ResetMethod::Bus | ResetMethod::CxlBus => (BUS_FAILS_WAIT, true),
        };
        let result = if fails || reset_fails { Err(Errno::ENOTTY) } else { Ok(()) };
        (result, time + extra_reset_ns)
    }

    /// `pci_dev_restore`, `pci_dev_unlock`. The config space is as it was before.
    pub(super) fn reset_done(&mut self, device: usize) {
        self.functions[device].device_lock = false;
    }

    /// `reset_store`: 1 into sysfs `reset`. vfio-pci has no `reset_prepare`, so nothing is revoked.
    pub(super) fn sysfs_reset(&mut self, device: usize) -> Task {
        if self.is_gone(device) || self.device(device).reset_methods.is_empty() {
            // The attribute is there only for a device that had a method when it was found.
            return Task::done(Err(Errno::ENOENT));
        }
        if !self.follows(Rule::SysfsResetUnseen) {
            let sections = [
                Section::Move { device, revoked: true, at: 0 },
                Section::TryReset { device, report: true },
                Section::MoveBackIfEnabled(device),
            ];
            return Task::of(&super::call::locked(device, &sections));
        }
        self.wake_up(device);
        Task::of(&[Section::TryReset { device, report: true }, Section::SleepAgain(device)])
    }

    /// `reset_method_store`.
    pub(super) fn set_reset_methods(&mut self, device: usize, present: bool) -> Result<u64, Errno> {
        if self.functions[device].presence == Presence::Gone || self.device(device).reset_methods.is_empty() {
            return Err(Errno::ENOENT);
        }
        self.functions[device].resettable = present;
        Ok(0)
    }

    /// `remove_store` as far as vfio lets it come: no new open, and the rest waits for the last
    /// file (`vfio_unregister_group_dev`).
    pub(super) fn remove(&mut self, device: usize) -> Result<u64, Errno> {
        if self.functions[device].presence != Presence::There {
            return Err(Errno::ENOENT);
        }
        self.wake_up(device);
        let function = &mut self.functions[device];
        let open = function.file.is_some();
        function.presence = if open { Presence::Going } else { Presence::Gone };
        if open && !self.follows(Rule::RemovedStaysLive) {
            for id in self.functions[device].exports.clone() {
                self.set_revoked(id, true);
                self.invalidate_mappings(id, Rule::ToldOfRevoke);
            }
        }
        Ok(0)
    }

    /// A scan of the bus, and a bind to vfio-pci.
    pub(super) fn rescan(&mut self, device: usize) -> Result<u64, Errno> {
        if self.functions[device].presence != Presence::Gone {
            return Err(Errno::ENOENT);
        }
        let fresh = Function::new(self.device(device));
        self.functions[device] = fresh;
        Ok(0)
    }
}

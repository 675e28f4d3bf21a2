//! The guest's machine is reset: what becomes of the devices the VMM still has.

use crate::board::Board;
use crate::firmware::{self, FirmwareError};
use barkeep_export::{Cause, Errno, Function, LowPower};
use barkeep_journal::{Actor, Event, Kind};
use barkeep_pci::header;
use barkeep_pci::write::{Bytes, ConfigWrite};

/// Who writes.
const VMM: (Actor, u16) = (Actor::Vmm, 0);
/// COMMAND of a function that neither answers nor masters the bus.
const QUIET: ConfigWrite = ConfigWrite { offset: header::COMMAND, bytes: Bytes::Two([0; 2]) };

impl Board {
    /// Brings every device that is not closed to where it was at the start: quiet, reset, its BARs where
    /// firmware puts them, decoding. All of it goes through the driver, for each step may revoke. No
    /// vCPU may run.
    ///
    /// # Errors
    /// See [`FirmwareError`]. What a single device refuses is in the journal.
    pub fn reboot(&self) -> Result<(), FirmwareError> {
        // First of all, and of all of them: a device that masters no bus writes into no other's BAR, and
        // into no RAM that the guest will take for its own.
        self.each(|device| {
            self.wake(device);
            let _ = self.put(device, &QUIET);
        });
        self.each(|device| {
            // A device without a reset says so, and keeps what it has.
            let _ = self.reset(device);
            self.power_up(device);
        });
        firmware::set_up(&self.functions(), &|device, write| {
            let device = device as u16;
            let quiet = *write == QUIET && !self.decodes(device);
            if self.is_open(device) && !quiet {
                // A device that cannot be set up is the guest's to find out; the others are.
                let _ = self.put(device, write);
            }
            Ok(())
        })
    }

    fn each(&self, act: impl Fn(u16)) {
        (0..self.driver.devices()).filter(|device| self.is_open(*device)).for_each(act);
    }

    fn is_open(&self, device: u16) -> bool {
        !self.driver.keeper(device).closed()
    }

    fn decodes(&self, device: u16) -> bool {
        self.driver.keeper(device).found().is_some_and(|found| found.decode)
    }

    fn wake(&self, device: u16) {
        if self.driver.keeper(device).found().is_some_and(|found| found.low_power) {
            // Its own failures are in the journal.
            let _ = self.low_power(device, LowPower::Exit);
        }
    }

    /// A reset has done it, where there was one.
    fn power_up(&self, device: u16) {
        let asleep = self.driver.keeper(device).found().is_some_and(|found| found.power != 0);
        if let Some(pm) = self.function(device).layout().pm.as_ref().filter(|_| asleep) {
            let _ = self.put(device, &ConfigWrite::word(pm.offset + header::PM_PMCSR, 0));
        }
    }

    /// A write that failed is told, and the mappings are looked at anew, as for a guest's.
    fn put(&self, device: u16, write: &ConfigWrite) -> Result<(), Errno> {
        let function = self.function(device);
        self.driver.write(device, &**function, write, VMM).inspect_err(|errno| {
            let event = Event::new(Kind::Degraded, Actor::Vmm).device(function.address());
            let event = event.range(write.offset.into(), write.bytes.as_slice().len() as u64);
            self.journal.emit(event.result(-errno.raw_os_error()).text("a config write failed"));
            // Its own failures are in the journal.
            let _ = self.driver.handle(device, Cause::SUSPECT, VMM);
        })
    }
}

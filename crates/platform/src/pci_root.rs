//! Config space: ECAM and mechanism #1 in front of a host bridge and the passed-through
//! functions, each on a device number of its own on bus 0.

use crate::interrupts::Interrupts;
use crate::map;
use barkeep_export::{Cause, Driver, Errno, Function};
use barkeep_journal::{Actor, Event, Journal, Kind};
use barkeep_pci::emulated::HostBridge;
use barkeep_pci::header;
use barkeep_pci::write::ConfigWrite;
use barkeep_planted::{Fault, is_planted};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// The PCI root complex of a VM.
pub struct PciRoot {
    bridge: Mutex<HostBridge>,
    functions: Vec<Arc<dyn Function>>,
    interrupts: Vec<Arc<Interrupts>>,
    driver: Arc<Driver>,
    journal: Journal,
    /// CONFIG_ADDRESS of mechanism #1.
    address: AtomicU32,
}

/// What an address names.
enum Target {
    Bridge,
    Function(usize),
    Nobody,
}

impl PciRoot {
    /// A root with the functions, and their interrupts, in the order of the driver's devices.
    pub fn new(
        functions: Vec<Arc<dyn Function>>,
        interrupts: Vec<Arc<Interrupts>>,
        driver: Arc<Driver>,
        journal: Journal,
    ) -> Self {
        let bridge = Mutex::new(HostBridge::default());
        Self { bridge, functions, interrupts, driver, journal, address: AtomicU32::new(0) }
    }

    /// The interrupts of a passed-through function.
    pub fn interrupts(&self, device: usize) -> &Arc<Interrupts> {
        &self.interrupts[device]
    }

    /// The bridge, the address port and the functions' interrupt registers are as after power-on.
    pub fn reset(&self) {
        self.interrupts.iter().for_each(|interrupts| interrupts.reset());
        *self.bridge.lock().unwrap_or_else(PoisonError::into_inner) = HostBridge::default();
        self.address.store(0, Ordering::Relaxed);
    }

    /// The guest's device number of a passed-through function.
    pub fn slot(device: u16) -> u8 {
        device as u8 + 1
    }

    /// Guest physical address of a register of a passed-through function.
    pub fn ecam_address(device: u16, register: u16) -> u64 {
        map::ECAM.start + (u64::from(Self::slot(device)) << 15) + u64::from(register)
    }

    /// The passed-through function whose config space is at an address.
    pub fn function_at(&self, address: u64) -> Option<u16> {
        let offset = map::ECAM.contains(&address).then(|| address - map::ECAM.start)?;
        match self.target(offset >> 12) {
            Target::Function(device) => Some(device as u16),
            Target::Bridge | Target::Nobody => None,
        }
    }

    /// The passed-through function whose config space an access to a port would go to.
    pub fn function_at_port(&self, port: u16) -> Option<u16> {
        let address = self.address.load(Ordering::Relaxed);
        let selects = map::PCI_CONFIG_DATA.contains(&port) && address >> 31 == 1;
        match self.target(u64::from(address >> 8 & 0xffff)) {
            Target::Function(device) if selects => Some(device as u16),
            Target::Function(_) | Target::Bridge | Target::Nobody => None,
        }
    }

    /// Reads through the ECAM window; `offset` counts from its start.
    pub fn ecam_read(&self, offset: u64, bytes: &mut [u8]) {
        self.read(offset >> 12, (offset & 0xfff) as u16, bytes);
    }

    /// Writes through the ECAM window.
    pub fn ecam_write(&self, offset: u64, bytes: &[u8], vcpu: u16) {
        self.write(offset >> 12, (offset & 0xfff) as u16, bytes, vcpu);
    }

    /// Mechanism #1: reads the address port, or the register it names.
    pub fn port_read(&self, port: u16, bytes: &mut [u8]) {
        let address = self.address.load(Ordering::Relaxed);
        if map::PCI_CONFIG_ADDRESS.contains(&port) {
            let at = usize::from(port - map::PCI_CONFIG_ADDRESS.start);
            copy_padded(&address.to_le_bytes()[at..], bytes);
        } else if address >> 31 == 1 {
            let register = (address & 0xfc) as u16 + (port - map::PCI_CONFIG_DATA.start);
            self.read(u64::from(address >> 8 & 0xffff), register, bytes);
        } else {
            bytes.fill(0xff);
        }
    }

    /// Mechanism #1: writes the address port, or the register it names.
    pub fn port_write(&self, port: u16, bytes: &[u8], vcpu: u16) {
        if port == map::PCI_CONFIG_ADDRESS.start && bytes.len() == 4 {
            let address = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
            self.address.store(address, Ordering::Relaxed);
        } else if map::PCI_CONFIG_DATA.contains(&port) {
            let address = self.address.load(Ordering::Relaxed);
            if address >> 31 == 1 {
                let register = (address & 0xfc) as u16 + (port - map::PCI_CONFIG_DATA.start);
                self.write(u64::from(address >> 8 & 0xffff), register, bytes, vcpu);
            }
        }
    }

    fn target(&self, bdf: u64) -> Target {
        let (bus, device, function) = (bdf >> 8, (bdf >> 3 & 0x1f) as usize, bdf & 7);
        match (bus, device, function) {
            (0, 0, 0) => Target::Bridge,
            (0, 1.., 0) if device <= self.functions.len() => Target::Function(device - 1),
            _ => Target::Nobody,
        }
    }

    fn read(&self, bdf: u64, register: u16, bytes: &mut [u8]) {
        bytes.fill(0xff);
        if !whole(register, bytes.len()) {
            return;
        }
        match self.target(bdf) {
            Target::Bridge => {
                let bridge = self.bridge.lock().unwrap_or_else(PoisonError::into_inner);
                let value = bridge.read(register, bytes.len() as u8);
                copy_padded(&value.to_le_bytes(), bytes);
            }
            Target::Function(device) => {
                // A function in reset gives no answer; nobody waits for its 100 ms.
                if self.driver.resetting(device as u16) || register >= self.functions[device].config_size() {
                    return;
                }
                match self.functions[device].config_read(register, bytes) {
                    Ok(()) => self.interrupts[device].config_read(register, bytes),
                    Err(_) => bytes.fill(0xff),
                }
            }
            Target::Nobody => {}
        }
    }

    fn write(&self, bdf: u64, register: u16, bytes: &[u8], vcpu: u16) {
        if !whole(register, bytes.len()) {
            return;
        }
        match self.target(bdf) {
            Target::Bridge => {
                let mut value = [0; 4];
                value[..bytes.len()].copy_from_slice(bytes);
                let mut bridge = self.bridge.lock().unwrap_or_else(PoisonError::into_inner);
                bridge.write(register, bytes.len() as u8, u32::from_le_bytes(value));
            }
            Target::Function(device) => {
                if let Some(write) = ConfigWrite::new(register, bytes) {
                    self.function_write(device, &write, vcpu);
                }
            }
            Target::Nobody => {}
        }
    }

    fn function_write(&self, device: usize, write: &ConfigWrite, vcpu: u16) {
        let astray = is_planted(Fault::WrongFunction) && write.offset == header::COMMAND;
        let device = if astray { 0 } else { device };
        if write.offset >= self.functions[device].config_size() {
            // Nobody is there; vfio-pci would say EFAULT.
            return;
        }
        // The interrupt registers are the guest's alone; what else is in the dword goes on.
        let Some(write) = self.interrupts[device].config_write(write) else {
            return;
        };
        let function = &self.functions[device];
        let result = self.driver.write(device as u16, &**function, &write, (Actor::Vcpu, vcpu));
        if let Err(errno) = result {
            self.failed(device, &write, errno);
        }
        // What could not be turned on while the function was in D3hot can be in D0.
        self.interrupts[device].try_again();
    }

    /// A config write that failed leaves the kernel's idea of the registers half done: the
    /// mappings are looked at anew.
    fn failed(&self, device: usize, write: &ConfigWrite, errno: Errno) {
        if errno == Errno::NODEV {
            // Closed, which the journal has: writes to nobody vanish, and a guest that goes on
            // writing does not fill the journal.
            return;
        }
        let function = &self.functions[device];
        let event = Event::new(Kind::Degraded, Actor::Vmm)
            .device(function.address())
            .range(write.offset.into(), write.bytes.as_slice().len() as u64)
            .result(-errno.raw_os_error())
            .text("a config write failed");
        self.journal.emit(event);
        // Its own failures are in the journal.
        let _ = self.driver.handle(device as u16, Cause::SUSPECT, (Actor::Vmm, 0));
    }
}

/// Whether an access of 1, 2 or 4 bytes stays inside its dword, as config requests do.
fn whole(register: u16, len: usize) -> bool {
    matches!(len, 1 | 2 | 4) && usize::from(register & 3) + len <= 4
}

fn copy_padded(from: &[u8], to: &mut [u8]) {
    for (n, byte) in to.iter_mut().enumerate() {
        *byte = from.get(n).copied().unwrap_or(0xff);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accesses_across_a_dword_are_no_config_requests() {
        assert!(whole(0, 4) && whole(2, 2) && whole(3, 1));
        assert!(!whole(1, 4) && !whole(3, 2) && !whole(0, 8) && !whole(0, 3));
    }
}

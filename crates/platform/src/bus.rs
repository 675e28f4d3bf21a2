//! Where an exit of a vCPU goes: config space, serial port, the probe's doorbell, a port for power, or a
//! BAR that has no slot at this moment.

use crate::console::{Console, Ends};
use crate::interrupts::Interrupts;
use crate::map;
use crate::pci_root::PciRoot;
use crate::power::{PANIC_EVENTS, Wish};
use barkeep_export::{Answer, Cause, Driver, Errno, Function, Phase, WindowId};
use barkeep_journal::Actor;
use barkeep_planted::{Fault, is_planted};
use barkeep_probe::mailbox::{DOORBELL_EXCEPTION, DOORBELL_NEXT, DOORBELL_PANIC, DOORBELL_PORT};
use std::sync::Arc;

/// What a vCPU does after an exit was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// Back into the guest.
    Resume,
    /// This vCPU is done.
    Stop,
    /// The guest asks something of its machine.
    Asks(Wish),
    /// The guest gave up.
    GuestEnd(&'static str),
}

/// The VMM's end of the probe's doorbell.
pub trait Doorbell: Send + Sync {
    /// A vCPU rings: its last reply is in its mailbox. Puts the next command there and gives
    /// true, or false once there will be none.
    fn ring(&self, vcpu: usize) -> bool;
}

/// One passed-through function with what the VMM keeps of it.
struct Seat {
    function: Arc<dyn Function>,
    interrupts: Arc<Interrupts>,
}

/// Everything behind the vCPUs' exits.
pub struct Bus {
    root: PciRoot,
    seats: Vec<Seat>,
    driver: Arc<Driver>,
    doorbell: Option<Arc<dyn Doorbell>>,
    console: Console,
}

/// A place in a BAR.
struct Place {
    device: usize,
    bar: u8,
    offset: u64,
}

impl Bus {
    /// A bus with the functions in the order of the driver's devices.
    pub fn new(
        root: PciRoot,
        functions: Vec<Arc<dyn Function>>,
        driver: Arc<Driver>,
        doorbell: Option<Arc<dyn Doorbell>>,
        console: Ends,
    ) -> Self {
        let seat = |(device, function)| Seat { function, interrupts: Arc::clone(root.interrupts(device)) };
        let (seats, console) = (functions.into_iter().enumerate().map(seat).collect(), Console::new(console));
        Self { root, seats, driver, doorbell, console }
    }

    /// The serial port, for whoever types.
    pub fn console(&self) -> &Console {
        &self.console
    }

    /// The device whose config space is at a guest physical address.
    pub fn config_device(&self, address: u64) -> Option<u16> {
        self.root.function_at(address)
    }

    /// The device whose config space is at a port.
    pub fn config_device_at_port(&self, port: u16) -> Option<u16> {
        self.root.function_at_port(port)
    }

    /// The device that has a BAR at a guest physical address.
    pub fn bar_device(&self, address: u64) -> Option<u16> {
        self.place(address).map(|place| place.device as u16)
    }

    /// A read at a guest physical address without memory.
    pub fn mmio_read(&self, address: u64, bytes: &mut [u8]) {
        bytes.fill(0xff);
        if map::ECAM.contains(&address) {
            self.root.ecam_read(address - map::ECAM.start, bytes);
        } else if let Some(place) = self.place(address) {
            self.bar_read(&place, bytes);
        }
    }

    /// A write at a guest physical address without memory.
    pub fn mmio_write(&self, address: u64, bytes: &[u8], vcpu: u16) {
        if map::ECAM.contains(&address) {
            self.root.ecam_write(address - map::ECAM.start, bytes, vcpu);
        } else if let Some(place) = self.place(address) {
            self.bar_write(&place, bytes);
        }
    }

    /// What the VMM itself emulates of the functions is as after power-on.
    pub fn reset(&self) {
        self.root.reset();
    }

    /// A read from an I/O port.
    pub fn port_read(&self, port: u16, bytes: &mut [u8]) {
        bytes.fill(0xff);
        if map::SERIAL.contains(&port) && bytes.len() == 1 {
            bytes[0] = self.console.read((port - map::SERIAL.start) as u8);
        } else if port == map::PANIC_PORT && bytes.len() == 1 {
            bytes[0] = PANIC_EVENTS;
        } else if map::PCI_CONFIG_ADDRESS.contains(&port) || map::PCI_CONFIG_DATA.contains(&port) {
            self.root.port_read(port, bytes);
        }
    }

    /// A write to an I/O port. Rings of the probe's doorbell wait here for its next command.
    pub fn port_write(&self, port: u16, bytes: &[u8], vcpu: u16) -> Flow {
        if port == DOORBELL_PORT {
            return self.ring(bytes, vcpu);
        }
        if map::SERIAL.contains(&port) && bytes.len() == 1 {
            self.console.write((port - map::SERIAL.start) as u8, bytes[0]);
        } else if let Some(wish) = self.wish(port, bytes) {
            return Flow::Asks(wish);
        } else if map::PCI_CONFIG_ADDRESS.contains(&port) || map::PCI_CONFIG_DATA.contains(&port) {
            self.root.port_write(port, bytes, vcpu);
        }
        Flow::Resume
    }

    /// The probe asks for nothing, and what it writes anywhere is a test.
    fn wish(&self, port: u16, bytes: &[u8]) -> Option<Wish> {
        match (&self.doorbell, bytes) {
            (None, [value]) => Wish::of(port, *value),
            _ => None,
        }
    }

    fn ring(&self, bytes: &[u8], vcpu: u16) -> Flow {
        let (Some(doorbell), &[a, b, c, d]) = (&self.doorbell, bytes) else {
            return Flow::Resume;
        };
        match u32::from_le_bytes([a, b, c, d]) {
            DOORBELL_NEXT if doorbell.ring(usize::from(vcpu)) => Flow::Resume,
            DOORBELL_NEXT => Flow::Stop,
            // The reply that follows tells of it.
            DOORBELL_EXCEPTION => Flow::Resume,
            DOORBELL_PANIC => Flow::GuestEnd("the probe met an exception outside of a command"),
            _ => Flow::Resume,
        }
    }

    /// Who answers; where nobody does, who would if it decoded.
    fn place(&self, address: u64) -> Option<Place> {
        for (device, seat) in self.seats.iter().enumerate() {
            if let Some((bar, offset)) = seat.function.decodes_at(address) {
                return Some(Place { device, bar, offset });
            }
        }
        for (device, seat) in self.seats.iter().enumerate() {
            for bar in seat.function.layout().bars.iter().flatten() {
                let start = seat.function.bar_address(bar.index);
                if let Some(offset) = start.and_then(|start| address.checked_sub(start))
                    && offset < bar.size
                {
                    return Some(Place { device, bar: bar.index, offset });
                }
            }
        }
        None
    }

    /// The exported window a place lies in.
    fn window(&self, place: &Place) -> Option<WindowId> {
        let windows = self.seats[place.device].function.windows();
        let inside = |w: &barkeep_export::Window| {
            w.bar == place.bar && (w.offset..w.offset + w.size).contains(&place.offset)
        };
        let window = windows.iter().position(inside)?;
        Some(WindowId { device: place.device as u16, window: window as u16 })
    }

    /// Whether the device itself is to be asked. Where nobody would answer, asking would at
    /// best be refused (EIO) and at worst wait for the end of a reset.
    fn ask_device(&self, place: &Place) -> bool {
        match self.window(place) {
            Some(id) => self.driver.answer(id) == Answer::AskDevice,
            None => !self.driver.resetting(place.device as u16),
        }
    }

    /// A device refused an access. Where its window is believed live, somebody else has taken
    /// it away: a KVM without hardware paging shows that by an exit, and not by EFAULT. A
    /// window that is not, or no longer, is the answer itself.
    fn refused(&self, place: &Place, errno: Errno) {
        let device = place.device as u16;
        let live = self.window(place).is_some_and(|id| self.driver.outage(id).phase() == Phase::Live);
        if errno == Errno::IO && live && !self.driver.busy(device) {
            // Its own failures are in the journal.
            let _ = self.driver.handle(device, Cause::SUSPECT, (Actor::Vmm, 0));
        }
    }

    fn bar_read(&self, place: &Place, bytes: &mut [u8]) {
        let seat = &self.seats[place.device];
        if !self.ask_device(place) {
            if is_planted(Fault::ZerosInAnOutage) {
                bytes.fill(0);
            }
            return;
        }
        if seat.interrupts.covers(place.bar, place.offset) {
            seat.interrupts.read(place.bar, place.offset, bytes);
        } else if let Err(errno) = seat.function.region_read(place.bar, place.offset, bytes) {
            bytes.fill(0xff);
            self.refused(place, errno);
        }
    }

    fn bar_write(&self, place: &Place, bytes: &[u8]) {
        let seat = &self.seats[place.device];
        if !self.ask_device(place) {
            return;
        }
        if seat.interrupts.covers(place.bar, place.offset) {
            seat.interrupts.write(place.bar, place.offset, bytes);
        } else if let Err(errno) = seat.function.region_write(place.bar, place.offset, bytes) {
            // A function that does not decode takes no writes: they vanish, as PCI says.
            self.refused(place, errno);
        }
    }
}

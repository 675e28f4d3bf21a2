//! INTx: the one pin a function interrupts by while neither MSI nor MSI-X is on, a level.
//!
//! The host masks the function when it interrupts (VFIO's "automasked" interrupt) and signals one eventfd;
//! KVM raises the pin of the guest's I/O interrupt controller. When the guest ends the interrupt there, KVM
//! lowers it and signals the other eventfd, by which the host unmasks: if the function still wants something,
//! it begins again (`KVM_IRQFD_FLAG_RESAMPLE`). All of that goes on in the kernel.
//!
//! The guest's Interrupt Disable, the status bit and the line register are vfio-pci's: it masks for the
//! first, shows the second, and keeps the third (`vfio_basic_config_write`, `vfio_basic_config_read`).

use super::Routes;
use barkeep_export::{Errno, RawDevice};
use barkeep_pci::header;
use vmm_sys_util::eventfd::{EFD_CLOEXEC, EFD_NONBLOCK, EventFd};

/// The first GSI that pins of PCI slots go to: those below are a PC's own.
const FIRST: u32 = 16;
/// How many there are of them: the rest of the I/O interrupt controller's pins.
const COUNT: u32 = 8;

/// The GSI that pin A to D (0 to 3) of a slot on the root bus is wired to, as the guest's ACPI tables say.
/// The eight functions of most guests have one each.
#[must_use]
pub fn gsi(slot: u8, pin: u8) -> u32 {
    FIRST + (u32::from(slot) + u32::from(pin)) % COUNT
}

/// A function's pin.
pub(super) struct Intx {
    /// 0 to 3; `None` where the function has none.
    pin: Option<u8>,
    slot: u8,
    on: Option<Line>,
}

/// Both ways of it, while it is on.
struct Line {
    raise: EventFd,
    unmask: EventFd,
    gsi: u32,
}

impl Intx {
    /// Off. A register that cannot be read is none.
    pub fn of(device: &dyn RawDevice, slot: u8) -> Self {
        let mut pin = [0];
        let read = device.config_read(header::INTERRUPT_PIN, &mut pin);
        let pin = read.ok().and_then(|()| pin[0].checked_sub(1)).filter(|pin| *pin < 4);
        Self { pin, slot, on: None }
    }

    /// Where it would go.
    pub fn gsi(&self, routes: &dyn Routes) -> Option<u32> {
        self.pin.filter(|_| routes.has_pins()).map(|pin| gsi(self.slot, pin))
    }

    /// Whether it is on.
    pub fn is_on(&self) -> bool {
        self.on.is_some()
    }

    /// KVM first: a signal that nobody takes would leave the function masked for good.
    ///
    /// # Errors
    /// The errno of `KVM_IRQFD` or of the device's; EMFILE. It is off then.
    pub fn turn_on(&mut self, device: &dyn RawDevice, routes: &dyn Routes, gsi: u32) -> Result<(), Errno> {
        let event = || {
            let made = EventFd::new(EFD_CLOEXEC | EFD_NONBLOCK);
            made.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::MFILE))
        };
        let line = Line { raise: event()?, unmask: event()?, gsi };
        routes.attach_level(gsi, &line.raise, &line.unmask)?;
        if let Err(errno) = device.set_intx(Some((&line.raise, &line.unmask))) {
            // Half of it may be there.
            let _ = device.set_intx(None);
            let _ = routes.detach(gsi, &line.raise);
            return Err(errno);
        }
        self.on = Some(line);
        Ok(())
    }

    /// The device first: what it signals until then still arrives. KVM lowers the pin with the last who
    /// could have raised it.
    ///
    /// # Errors
    /// The errno of the device's, or of `KVM_IRQFD`. It is off all the same.
    pub fn turn_off(&mut self, device: &dyn RawDevice, routes: &dyn Routes) -> Result<(), Errno> {
        let Some(Line { raise, unmask: _, gsi }) = self.on.take() else { return Ok(()) };
        let silenced = device.set_intx(None);
        routes.detach(gsi, &raise)?;
        match silenced {
            // Given up, and with it everything that signals.
            Err(Errno::NODEV) => Ok(()),
            result => result,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_slots_have_a_pin_of_the_controller_each() {
        let mut gsis: Vec<u32> = (1..=8).map(|slot| gsi(slot, 0)).collect();
        assert_eq!((gsi(1, 0), gsi(1, 3), gsi(31, 3)), (17, 20, 18));
        gsis.sort_unstable();
        assert_eq!(gsis, (16..24).collect::<Vec<_>>());
    }
}

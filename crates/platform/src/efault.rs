//! What a vCPU does when the memory behind a slot is not there: the access ends in EFAULT, and
//! nothing says which slot it was, nor where.

use barkeep_export::{Cause, Driver};
use barkeep_journal::{Actor, Event, Journal, Kind, SeenBy};

/// EFAULT this often in a row: no event under way explains it any more.
const EXPLAINED: u64 = 2;

/// One vCPU's EFAULTs in a row.
#[derive(Clone, Copy, Debug, Default)]
pub struct Efaults {
    in_a_row: u64,
}

impl Efaults {
    /// The vCPU got on: what comes next is another affair.
    pub fn over(&mut self) {
        self.in_a_row = 0;
    }

    /// It met EFAULT; gives whether to [`suspect_all`] before the access is tried again. With
    /// an event under way the slot is on its way out: running again meets an MMIO exit or the
    /// slot come back. Without one somebody else has revoked.
    #[must_use]
    pub fn met(&mut self, vcpu: u16, driver: &Driver, journal: &Journal) -> bool {
        self.in_a_row += 1;
        let event = Event::new(Kind::VcpuFault, Actor::Vcpu)
            .index(vcpu)
            .seen_by(SeenBy::KvmFault)
            .value(self.in_a_row);
        journal.emit(event);
        !any_busy(driver) || self.in_a_row > EXPLAINED
    }
}

/// Whether an event of any device is being handled.
pub fn any_busy(driver: &Driver) -> bool {
    (0..driver.devices()).any(|device| driver.busy(device))
}

/// Looks at every device anew. Waits for an event of a device to be over, which is what is
/// wanted once running again did not help: never a busy loop.
pub fn suspect_all(vcpu: u16, driver: &Driver) {
    for device in 0..driver.devices() {
        // Its own failures are in the journal.
        let _ = driver.handle(device, Cause::SUSPECT, (Actor::Vcpu, vcpu));
    }
}

//! The end of the machine.

use crate::outcome::PID_1_SAYS;
use rustix::system::{RebootCommand, reboot};
use std::time::Duration;

/// Switches the machine off.
pub(super) fn off() -> ! {
    // Without ACPI there is no switch; QEMU, told not to reboot, ends on the attempt.
    for command in [RebootCommand::PowerOff, RebootCommand::Restart] {
        if let Err(error) = reboot(command) {
            eprintln!("{PID_1_SAYS} cannot switch the machine off: {error}");
        }
    }
    // PID 1 must not return; outside, the grace period ends this.
    loop {
        std::thread::sleep(Duration::from_secs(1));
    }
}

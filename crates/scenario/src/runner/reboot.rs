//! The guest reboots.

use super::{RunError, Runner};

impl Runner<'_, '_> {
    /// Whatever the vCPUs are at ends where it is, and nobody hears of it any more. What the VMM and
    /// others do meanwhile goes on.
    pub(super) fn reboot(&mut self) -> Result<(), RunError> {
        self.world.reboot()?;
        self.hammering.forget();
        self.watching.clear();
        self.writing.clear();
        self.written.forget();
        self.cut_short();
        Ok(())
    }
}

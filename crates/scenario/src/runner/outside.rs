//! What an administrator does to the devices.

use super::{RunError, Runner};
use crate::deed::journalled;
use barkeep_journal::{Actor, Event, Kind};

impl Runner<'_, '_> {
    pub(super) fn reset_methods(&mut self, name: &str, present: bool) -> Result<bool, RunError> {
        let address = self.host_address(name)?;
        let text = if present { "default reset methods" } else { "no reset methods" };
        let event = Event::new(Kind::Administer, Actor::Observer).device(address).text(text);
        let administrator = self.world.board().administrator();
        let result = journalled(self.world, event, || administrator.reset_methods(address, present));
        Ok(self.expect_errno("reset methods", "ok", result))
    }
}

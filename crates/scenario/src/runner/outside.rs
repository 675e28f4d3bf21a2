//! What others do to the devices: an administrator, who else holds a device file.

use super::{RunError, Runner};
use crate::language::{Hold, Unseen};
use crate::unseen;
use barkeep_export::{Errno, Holder, result_number};
use barkeep_journal::{Actor, DeviceAddress, Event, Kind, Trigger};

impl Runner<'_, '_> {
    pub(super) fn reset_methods(&mut self, name: &str, present: bool) -> Result<bool, RunError> {
        let address = self.host_address(name)?;
        let text = if present { "default reset methods" } else { "no reset methods" };
        let event = Event::new(Kind::Administer, Actor::Observer).device(address).text(text);
        let result =
            self.administers(event, || self.world.board().administrator().reset_methods(address, present));
        Ok(self.expect_errno("reset methods", "ok", result))
    }

    pub(super) fn sysfs_reset(&mut self, name: &str, expect: &str) -> Result<bool, RunError> {
        let address = self.host_address(name)?;
        let event = Event::new(Kind::Administer, Actor::Observer).device(address);
        let event = event.trigger(Trigger::SysfsReset).text("reset");
        let result = self.administers(event, || self.world.board().administrator().reset(address));
        Ok(self.expect_errno("sysfs reset", expect, result))
    }

    fn administers(&self, event: Event, act: impl FnOnce() -> Result<(), Errno>) -> Result<(), Errno> {
        let step = self.world.board().journal().begin(event);
        let result = act();
        self.world.board().journal().end(step, result_number(result));
        result
    }

    /// Of a device of this machine, in the VM or not.
    pub(super) fn host_address(&self, name: &str) -> Result<DeviceAddress, RunError> {
        self.world.board().host_address(name).ok_or_else(|| RunError::NotHere(name.to_owned()))
    }

    /// The kernel's loopback test: it signals, and has no error to tell of.
    pub(super) fn signal_error(&mut self, name: &str, expect: &str) -> Result<bool, RunError> {
        let device = self.device(name)?;
        let event = Event::new(Kind::Administer, Actor::Observer).device(device.address);
        let function = self.world.board().function(device.index);
        let result = self.administers(event.text("error interrupt"), || function.device().signal_error());
        Ok(self.expect_errno("error interrupt", expect, result))
    }

    pub(super) fn hold(&mut self, name: &str, what: Hold) -> Result<bool, RunError> {
        let by = match what {
            Hold::Duplicate => Holder::Duplicate,
            Hold::Mapping => Holder::Mapping,
            Hold::Passed => Holder::Passed,
            Hold::Kvm => Holder::Kvm,
        };
        let result = self.world.board().hold(self.device(name)?.index, by);
        Ok(self.expect_errno("hold", "ok", result))
    }

    pub(super) fn unseen(
        &mut self,
        name: &str,
        what: Unseen,
        bar: Option<u8>,
        offset: u64,
    ) -> Result<Result<(), Errno>, RunError> {
        let (device, board) = (self.device(name)?, self.world.board());
        let trigger = match what {
            Unseen::DecodeOff => Trigger::DecodeOff,
            Unseen::DecodeOn => Trigger::DecodeOn,
            Unseen::D3hot => Trigger::D3hot,
            Unseen::D0 => Trigger::D0,
            Unseen::Flr => Trigger::Flr,
            Unseen::DeviceReset => Trigger::DeviceReset,
            Unseen::HotReset => Trigger::HotReset,
            // The board tells of it itself.
            Unseen::Unmap => {
                return Ok(board.unmap_unseen(device.index, bar.unwrap_or_default(), offset));
            }
        };
        let event = Event::new(Kind::Trigger, Actor::Observer).device(device.address).trigger(trigger);
        let step = board.journal().begin(event);
        let result = unseen::happens(&**board.function(device.index).device(), what);
        board.journal().end(step, result_number(result));
        Ok(result)
    }
}

//! What a deed has to wait for.

use super::{Act, Deed};
use crate::world::World;
use barkeep_journal::DeviceAddress;

/// What it is. Where there is one thread, the end of it would never come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Obstacle {
    Nothing,
    /// A call under way that holds a lock of the device.
    Call(DeviceAddress),
    /// That, or an event of the device.
    Event(u16),
    /// The same of any device.
    AnyEvent,
}

impl Deed {
    /// What it would have to wait for.
    pub fn obstacle(&self) -> Obstacle {
        match self.act {
            Act::DeviceReset(device)
            | Act::LowPower(device, _)
            | Act::Close(device)
            | Act::Release(device)
            | Act::Suspect(device) => Obstacle::Event(device),
            // Its members are not asked for: it is put off for any.
            Act::HotReset(_) | Act::KillVmm => Obstacle::AnyEvent,
            // Past the driver: its event does not stop them, only the kernel's call.
            Act::Hold(..)
            | Act::LetGo(..)
            | Act::SignalError(_)
            | Act::SysfsReset(_)
            | Act::InjectError(..)
            | Act::Unseen(..)
            | Act::UnseenUnmap { .. } => self.on.map_or(Obstacle::Nothing, Obstacle::Call),
            // It is there to see what an importer is told in the middle; and what a second process or an
            // importing device does is somebody else's, and waits for nobody here.
            Act::Attach { .. } | Act::Second(_) | Act::Importer(_) => Obstacle::Nothing,
        }
    }
}

impl Obstacle {
    /// Whether it is there at this moment.
    pub fn stands(self, world: &dyn World) -> bool {
        let driver = world.board().driver();
        let locked = |device| world.alone().is_some_and(|alone| alone.locked(device));
        let busy = |device: u16| driver.busy(device) || locked(driver.address(device));
        match self {
            Self::Nothing => false,
            Self::Call(device) => locked(device),
            Self::Event(device) => busy(device),
            Self::AnyEvent => (0..driver.devices()).any(busy),
        }
    }
}

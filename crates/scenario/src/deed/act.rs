//! What each deed is, done.

use super::{Act, Step, Told};
use crate::language::{Severity, Unseen};
use crate::unseen;
use crate::world::World;
use barkeep_export::{Errno, LowPower, PcieError, result_number};
use barkeep_journal::{Actor, DeviceAddress, Event, Kind, Trigger};
use std::borrow::Cow;

/// What it is called, and its errno.
type CameTo = (Cow<'static, str>, Result<(), Errno>);

impl Act {
    /// Does it; `None` if there is no errno to be had. `on` is where its device is, if it has one.
    pub(super) fn carry_out(self, on: Option<DeviceAddress>, world: &dyn World) -> Option<CameTo> {
        let board = world.board();
        let (what, result) = match self {
            Self::Close(device) => {
                board.close(device);
                return None;
            }
            Self::Release(device) => {
                board.release(device);
                return None;
            }
            Self::Suspect(device) => {
                board.suspect(device);
                return None;
            }
            Self::LetGo(device, holding, by) => {
                board.let_go(device, holding, by);
                return None;
            }
            Self::KillVmm => {
                world.kill_vmm();
                return None;
            }
            Self::Attach { attach, place } => {
                return Some((format!("attach {place}").into(), attach.carry_out(world)));
            }
            Self::Second(step) => second(step, world),
            Self::Importer(told) => importer(told, world),
            Self::DeviceReset(device) => ("device reset", board.reset(device)),
            Self::HotReset(device) => ("hot reset", board.hot_reset(device)),
            Self::LowPower(device, which) => (low_power(which), board.low_power(device, which)),
            Self::Hold(device, holding, by) => ("hold", board.hold(device, holding, by)),
            Self::SignalError(device) => ("error interrupt", signal_error(device, on, world)),
            Self::SysfsReset(on) => ("sysfs reset", sysfs_reset(on, world)),
            Self::InjectError(on, severity) => ("injected error", inject_error(on, severity, world)),
            Self::Unseen(device, what) => ("unseen", unseen(device, what, on, world)),
            // The board tells of it itself.
            Self::UnseenUnmap { device, bar, offset } => ("unseen", board.unmap_unseen(device, bar, offset)),
        };
        Some((what.into(), result))
    }
}

fn second(step: Step, world: &dyn World) -> (&'static str, Result<(), Errno>) {
    let board = world.board();
    match step {
        Step::Import => ("import", board.second_import()),
        Step::Unmap => ("unmap", board.second_unmap()),
        Step::Drop => ("drop", board.second_drop()),
        Step::End(how) => ("end of the second process", board.end_second(how)),
    }
}

fn importer(told: Told, world: &dyn World) -> (&'static str, Result<(), Errno>) {
    let board = world.board();
    match told {
        Told::Map => ("the importer's map", board.importer_map()),
        Told::Use => ("the importer's use", board.importer_use()),
        Told::Unmap => ("the importer's unmap", board.importer_unmap()),
        Told::Pin => ("the importer's pin", board.importer_pin()),
        Told::Unpin => ("the importer's unpin", board.importer_unpin()),
        Told::Detach => ("the importer's detach", board.detach_importer()),
    }
}

fn low_power(which: LowPower) -> &'static str {
    match which {
        LowPower::Entry { .. } => "low power",
        LowPower::Exit => "out of low power",
    }
}

/// The kernel's loopback test: it signals, and has no error to tell of.
fn signal_error(device: u16, on: Option<DeviceAddress>, world: &dyn World) -> Result<(), Errno> {
    let function = world.board().function(device);
    let event = about(Kind::Administer, on).text("error interrupt");
    journalled(world, event, || function.device().signal_error())
}

fn sysfs_reset(on: DeviceAddress, world: &dyn World) -> Result<(), Errno> {
    let event = about(Kind::Administer, Some(on)).trigger(Trigger::SysfsReset).text("reset");
    journalled(world, event, || world.board().administrator().reset(on))
}

/// The kernel goes on about it when the write has returned.
fn inject_error(on: DeviceAddress, severity: Severity, world: &dyn World) -> Result<(), Errno> {
    let event = about(Kind::Administer, Some(on)).text(format!("{} error", severity.name()));
    let error = match severity {
        Severity::Nonfatal => PcieError::CompletionTimeout,
        Severity::Fatal => PcieError::DataLinkProtocol,
    };
    journalled(world, event, || world.board().administrator().inject_error(on, error))
}

fn unseen(device: u16, what: Unseen, on: Option<DeviceAddress>, world: &dyn World) -> Result<(), Errno> {
    let function = world.board().function(device);
    let event = about(Kind::Trigger, on).trigger(trigger(what));
    journalled(world, event, || unseen::happens(&**function.device(), what))
}

/// Does something with a device, past the VMM, with its begin and end in the journal.
pub(crate) fn journalled(
    world: &dyn World,
    event: Event,
    act: impl FnOnce() -> Result<(), Errno>,
) -> Result<(), Errno> {
    let step = world.board().journal().begin(event);
    let result = act();
    world.board().journal().end(step, result_number(result));
    result
}

fn about(kind: Kind, on: Option<DeviceAddress>) -> Event {
    let event = Event::new(kind, Actor::Observer);
    match on {
        Some(on) => event.device(on),
        None => event,
    }
}

fn trigger(what: Unseen) -> Trigger {
    match what {
        Unseen::DecodeOff => Trigger::DecodeOff,
        Unseen::DecodeOn => Trigger::DecodeOn,
        Unseen::D3hot => Trigger::D3hot,
        Unseen::D0 => Trigger::D0,
        Unseen::Flr => Trigger::Flr,
        Unseen::DeviceReset => Trigger::DeviceReset,
        Unseen::HotReset => Trigger::HotReset,
        Unseen::Unmap => Trigger::Unmap,
    }
}

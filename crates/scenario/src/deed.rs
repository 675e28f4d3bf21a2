//! What the VMM or others do, with every name in it found: it needs no runner any more, and can be
//! carried out by any thread, at any time.

use crate::attach::Attach;
use crate::expectation::expect_errno;
use crate::language::{Action, Hold, Second, Unseen};
use crate::runner::{RunError, Runner};
use crate::unseen;
use crate::world::World;
use barkeep_export::{Errno, Holder, LowPower, SecondEnd, result_number};
use barkeep_journal::{Actor, DeviceAddress, Event, Kind, Trigger};
use barkeep_platform::Holding;

/// One of them.
pub(crate) struct Deed {
    act: Act,
    /// What is expected of its errno.
    expect: String,
    /// Where the device it acts on is, if it acts on one.
    on: Option<DeviceAddress>,
}

enum Act {
    DeviceReset(u16),
    HotReset(u16),
    LowPower(u16, LowPower),
    Close(u16),
    Release(u16),
    Suspect(u16),
    Hold(u16, Holding, Holder),
    LetGo(u16, Option<Holding>, Option<Holder>),
    Second(Step),
    KillVmm,
    SignalError(u16),
    SysfsReset(DeviceAddress),
    Unseen(u16, Unseen),
    UnseenUnmap { device: u16, bar: u8, offset: u64 },
    Attach { attach: Attach, place: String },
}

/// What a second process does that needs no guest.
#[derive(Clone, Copy)]
enum Step {
    Import,
    Unmap,
    Drop,
    End(SecondEnd),
}

impl Deed {
    /// The one an action is; `None` if it is something else.
    ///
    /// # Errors
    /// It names what is not there.
    pub fn of(action: &Action, runner: &Runner<'_, '_>) -> Result<Option<Self>, RunError> {
        let named = |name: &str| runner.device(name);
        let ok = || "ok".to_owned();
        let (act, expect, on) = match action {
            Action::DeviceReset { device, expect } => {
                let on = named(device)?;
                (Act::DeviceReset(on.index), expect.clone(), Some(on.address))
            }
            Action::HotReset { device, expect } => {
                let on = named(device)?;
                (Act::HotReset(on.index), expect.clone(), Some(on.address))
            }
            Action::LowPowerEntry { device, wakes, expect } => {
                let on = named(device)?;
                (Act::LowPower(on.index, LowPower::Entry { wakes: *wakes }), expect.clone(), Some(on.address))
            }
            Action::LowPowerExit { device, expect } => {
                let on = named(device)?;
                (Act::LowPower(on.index, LowPower::Exit), expect.clone(), Some(on.address))
            }
            Action::Close { device } => {
                let on = named(device)?;
                (Act::Close(on.index), ok(), Some(on.address))
            }
            Action::Release { device } => {
                let on = named(device)?;
                (Act::Release(on.index), ok(), Some(on.address))
            }
            Action::Suspect { device } => {
                let on = named(device)?;
                (Act::Suspect(on.index), ok(), Some(on.address))
            }
            Action::Hold { device, what, bar, offset, expect } => {
                let on = named(device)?;
                let holding = held(runner, on.index, device, (*bar, *offset))?.unwrap_or(Holding::File);
                (Act::Hold(on.index, holding, holder(*what)), expect.clone(), Some(on.address))
            }
            Action::LetGo { device, what, bar, offset } => {
                let on = named(device)?;
                let holding = held(runner, on.index, device, (*bar, *offset))?;
                (Act::LetGo(on.index, holding, what.map(holder)), ok(), Some(on.address))
            }
            Action::Second { what, of: _, engine: _, expect } => match step_of(*what) {
                Some(step) => (Act::Second(step), expect.clone(), None),
                None => return Ok(None),
            },
            Action::KillVmm => (Act::KillVmm, ok(), None),
            Action::SignalError { device, expect } => {
                let on = named(device)?;
                (Act::SignalError(on.index), expect.clone(), Some(on.address))
            }
            Action::SysfsReset { device, expect } => {
                let on = runner.host_address(device)?;
                (Act::SysfsReset(on), expect.clone(), Some(on))
            }
            Action::Unseen { device, what: Unseen::Unmap, bar, offset, expect } => {
                let on = named(device)?;
                let (device, bar) = (on.index, bar.unwrap_or_default());
                (Act::UnseenUnmap { device, bar, offset: *offset }, expect.clone(), Some(on.address))
            }
            Action::Unseen { device, what, bar: _, offset: _, expect } => {
                let on = named(device)?;
                (Act::Unseen(on.index, *what), expect.clone(), Some(on.address))
            }
            Action::Attach { to, after, background: false, expect } => {
                let spot = runner.window(to)?;
                let attach = Attach::now(spot, after.longest());
                (Act::Attach { attach, place: to.to_string() }, expect.clone(), Some(spot.device.address))
            }
            _ => return Ok(None),
        };
        Ok(Some(Self { act, expect, on }))
    }

    /// Does it; whether it went as expected.
    pub fn carry_out(self, world: &dyn World) -> bool {
        let Self { act, expect, on } = self;
        let board = world.board();
        let (what, result) = match act {
            Act::Close(device) => {
                board.close(device);
                return true;
            }
            Act::Release(device) => {
                board.release(device);
                return true;
            }
            Act::Suspect(device) => {
                board.suspect(device);
                return true;
            }
            Act::LetGo(device, holding, by) => {
                board.let_go(device, holding, by);
                return true;
            }
            Act::KillVmm => {
                world.kill_vmm();
                return true;
            }
            Act::Second(Step::Import) => ("import".to_owned(), board.second_import()),
            Act::Second(Step::Unmap) => ("unmap".to_owned(), board.second_unmap()),
            Act::Second(Step::Drop) => ("drop".to_owned(), board.second_drop()),
            Act::Second(Step::End(how)) => ("end of the second process".to_owned(), board.end_second(how)),
            Act::DeviceReset(device) => ("device reset".to_owned(), board.reset(device)),
            Act::HotReset(device) => ("hot reset".to_owned(), board.hot_reset(device)),
            Act::LowPower(device, which @ LowPower::Entry { .. }) => {
                ("low power".to_owned(), board.low_power(device, which))
            }
            Act::LowPower(device, LowPower::Exit) => {
                ("out of low power".to_owned(), board.low_power(device, LowPower::Exit))
            }
            Act::Hold(device, holding, by) => ("hold".to_owned(), board.hold(device, holding, by)),
            // The kernel's loopback test: it signals, and has no error to tell of.
            Act::SignalError(device) => {
                let function = board.function(device);
                let event = about(Kind::Administer, on);
                let event = event.text("error interrupt");
                let result = journalled(world, event, || function.device().signal_error());
                ("error interrupt".to_owned(), result)
            }
            Act::SysfsReset(on) => {
                let event = about(Kind::Administer, Some(on));
                let event = event.trigger(Trigger::SysfsReset).text("reset");
                let result = journalled(world, event, || board.administrator().reset(on));
                ("sysfs reset".to_owned(), result)
            }
            Act::Unseen(device, what) => {
                let event = about(Kind::Trigger, on);
                let event = event.trigger(trigger(what));
                let function = board.function(device);
                let result = journalled(world, event, || unseen::happens(&**function.device(), what));
                ("unseen".to_owned(), result)
            }
            // The board tells of it itself.
            Act::UnseenUnmap { device, bar, offset } => {
                ("unseen".to_owned(), board.unmap_unseen(device, bar, offset))
            }
            Act::Attach { attach, place } => (format!("attach {place}"), attach.carry_out(world)),
        };
        expect_errno(world, &what, &expect, result)
    }

    /// What it would have to wait for.
    pub fn obstacle(&self) -> Obstacle {
        match self.act {
            Act::DeviceReset(device)
            | Act::LowPower(device, _)
            | Act::Close(device)
            | Act::Release(device)
            | Act::Suspect(device) => Obstacle::Event(device),
            // Its members are not asked for: it is put off for any.
            Act::HotReset(_) => Obstacle::AnyEvent,
            // Past the driver: its event does not stop them, only the kernel's call.
            Act::Hold(..)
            | Act::LetGo(..)
            | Act::SignalError(_)
            | Act::SysfsReset(_)
            | Act::Unseen(..)
            | Act::UnseenUnmap { .. } => self.on.map_or(Obstacle::Nothing, Obstacle::Call),
            // It is there to see what an importer is told in the middle.
            Act::Attach { .. } => Obstacle::Nothing,
            // It is somebody else's, and waits for nobody here.
            Act::Second(_) => Obstacle::Nothing,
            Act::KillVmm => Obstacle::AnyEvent,
        }
    }
}

/// What a deed has to wait for. Where there is one thread, that would never come.
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

/// What is held, where it is a window's dma-buf.
fn held(
    runner: &Runner<'_, '_>,
    device: u16,
    name: &str,
    (bar, offset): (Option<u8>, u64),
) -> Result<Option<Holding>, RunError> {
    let Some(bar) = bar else { return Ok(None) };
    let window = runner.world.board().window(device, bar, offset);
    let no_window = || RunError::NoWindow(format!("{name}:{bar}+{offset:#x}"));
    window.map(|id| Some(Holding::Buffer(id))).ok_or_else(no_window)
}

fn step_of(what: Second) -> Option<Step> {
    match what {
        Second::Import => Some(Step::Import),
        Second::Unmap => Some(Step::Unmap),
        Second::Drop => Some(Step::Drop),
        Second::End => Some(Step::End(SecondEnd::Exit)),
        Second::Kill => Some(Step::End(SecondEnd::Kill)),
        Second::Start | Second::Dma | Second::DmaStart | Second::DmaFinish => None,
    }
}

fn holder(what: Hold) -> Holder {
    match what {
        Hold::Duplicate => Holder::Duplicate,
        Hold::Mapping => Holder::Mapping,
        Hold::Passed => Holder::Passed,
        Hold::Kvm => Holder::Kvm,
        Hold::Inherited => Holder::Inherited,
        Hold::Reopened => Holder::Reopened,
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

//! What the VMM or others do, with every name in it found: it needs no runner any more, and can be
//! carried out by any thread, at any time.

mod act;
mod obstacle;

use crate::attach::Attach;
use crate::expectation::expect_errno;
use crate::language::{Action, Hold, Importing, Second, Severity, Unseen};
use crate::runner::{RunError, Runner};
use crate::world::World;
pub(crate) use act::journalled;
use barkeep_export::{Holder, LowPower, SecondEnd};
use barkeep_journal::DeviceAddress;
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
    Importer(Told),
    KillVmm,
    SignalError(u16),
    SysfsReset(DeviceAddress),
    InjectError(DeviceAddress, Severity),
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

/// What an importing device's driver is told that needs no guest.
#[derive(Clone, Copy)]
enum Told {
    Map,
    Use,
    Unmap,
    Pin,
    Unpin,
    Detach,
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
            Action::Importer { what, of: _, engine: _, hold: _, expect } => match told_of(*what) {
                Some(told) => (Act::Importer(told), expect.clone(), None),
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
            Action::InjectError { device, severity, expect } => {
                let on = runner.host_address(device)?;
                (Act::InjectError(on, *severity), expect.clone(), Some(on))
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
        let came_to = act.carry_out(on, world);
        came_to.is_none_or(|(what, result)| expect_errno(world, &what, &expect, result))
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

fn told_of(what: Importing) -> Option<Told> {
    match what {
        Importing::Map => Some(Told::Map),
        Importing::Use => Some(Told::Use),
        Importing::Unmap => Some(Told::Unmap),
        Importing::Pin => Some(Told::Pin),
        Importing::Unpin => Some(Told::Unpin),
        Importing::Detach => Some(Told::Detach),
        Importing::Attach | Importing::Dma | Importing::DmaStart | Importing::DmaFinish => None,
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

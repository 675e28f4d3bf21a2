//! Which *sometimes* marks an event shows, beside what the world was before it.

use crate::errno::{ENODEV, OK};
use crate::mark::{Mark, Marks};
use crate::outages::EndedBy;
use crate::world::{Device, P2p, Slot, Steps, World};
use barkeep_journal::{Actor, DeviceAddress, Event, Kind, Phase, Trigger};

/// How the death of a process by SIGKILL is told.
pub(crate) const KILLED: &str = "SIGKILL";

/// What is remembered for marks alone.
#[derive(Default)]
pub(crate) struct Sometimes {
    /// Devices with a window whose CPU access is away, the longest away first.
    away: Vec<DeviceAddress>,
}

impl Sometimes {
    /// Entries of memory it holds.
    pub fn footprint(&self) -> usize {
        self.away.len()
    }

    /// A device is given up: it is not away, but gone.
    pub fn closed(&mut self, event: &Event) {
        self.away.retain(|away| Some(*away) != event.device);
    }

    /// CPU access to a window goes, or is back.
    pub fn outage(&mut self, world: &World, event: &Event, marks: &mut Marks) {
        let Some(address) = event.device else { return };
        let place = self.away.iter().position(|away| *away == address);
        match (event.phase, place) {
            // For good: of every run, the end.
            (Phase::Begin, None) if matches!(event.trigger, Trigger::Close | Trigger::Remove) => {}
            (Phase::Begin, None) => {
                if !self.away.is_empty() {
                    marks.hit(Mark::OutagesOverlapped);
                }
                if self.away.len() < crate::world::DEVICES {
                    self.away.push(address);
                }
            }
            (Phase::End, Some(place)) if is_last(world, event) => {
                if place > 0 {
                    marks.hit(Mark::RestoredOutOfOrder);
                }
                self.away.remove(place);
            }
            (Phase::Begin | Phase::End, _) | (Phase::Point, _) => {}
        }
    }
}

/// Whether no other window of the device is away.
fn is_last(world: &World, event: &Event) -> bool {
    let this = |bar, address| (Some(bar), Some(address)) == (event.bar, event.address);
    world.device(event).is_some_and(|device| {
        device.windows.iter().all(|window| window.outage.is_none() || this(window.bar, window.address))
    })
}

/// A DMA was seen not to have arrived that such an event may have met.
pub(crate) fn dma_met(trigger: Trigger, marks: &mut Marks) {
    marks.hit(Mark::DmaInFlight);
    if let Some(mark) = Mark::under_dma(trigger) {
        marks.hit(mark);
    }
}

/// Access has come back.
pub(crate) fn came_back(ended_by: EndedBy, marks: &mut Marks) {
    match ended_by {
        EndedBy::Notice => marks.hit(Mark::UnannouncedRevoke),
        EndedBy::Vmm | EndedBy::Guest => {}
    }
}

/// Something is let through, or was.
pub(crate) fn trigger(world: &World, event: &Event, marks: &mut Marks) {
    match event.phase {
        Phase::Begin => {
            if raced(&world.steps, event) {
                marks.hit(Mark::CloseRacedReset);
            }
            if revokes_imported(world, event) {
                marks.hit(Mark::SecondImporterRevoked);
            }
        }
        Phase::End => let_through(world, event, marks),
        Phase::Point => {}
    }
}

fn let_through(world: &World, event: &Event, marks: &mut Marks) {
    let done = event.result == Some(OK);
    match event.trigger {
        Trigger::DeviceReset | Trigger::SysfsReset if !done => marks.hit(Mark::ResetFailed),
        Trigger::HotReset if !done => marks.hit(Mark::ResetFailed),
        Trigger::HotReset => {
            let others = |begin: &Event| begin.trigger == Trigger::HotReset && begin.device != event.device;
            if world.steps.open().any(|begin| begin.kind == Kind::Trigger && others(begin)) {
                marks.hit(Mark::HotResetTookSibling);
            }
        }
        Trigger::LowPowerEntry if done => marks.hit(Mark::LowPower),
        Trigger::Remove if done => marks.hit(Mark::DeviceGone),
        Trigger::Close if done && is_held(world, event) => marks.hit(Mark::HeldThroughClose),
        _ => {}
    }
}

fn is_held(world: &World, event: &Event) -> bool {
    world.device(event).is_some_and(|device| device.holders > 0)
}

/// An action begins, of the scenario's line or beside it.
pub(crate) fn action(world: &World, event: &Event, marks: &mut Marks) {
    if event.phase != Phase::Begin || event.actor == Actor::Lab {
        return;
    }
    if raced(&world.steps, event) {
        marks.hit(Mark::CloseRacedReset);
    }
}

/// What closing and resetting have to do with each other, of one device.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Race {
    Closes,
    Resets,
}

impl Race {
    fn of(trigger: Trigger) -> Option<Self> {
        match trigger {
            Trigger::Close | Trigger::Remove => Some(Self::Closes),
            Trigger::Flr
            | Trigger::AfFlr
            | Trigger::DeviceReset
            | Trigger::HotReset
            | Trigger::SysfsReset => Some(Self::Resets),
            Trigger::None
            | Trigger::DecodeOff
            | Trigger::DecodeOn
            | Trigger::D3hot
            | Trigger::D0
            | Trigger::BarMove
            | Trigger::Suspect
            | Trigger::Start
            | Trigger::LowPowerEntry
            | Trigger::LowPowerExit
            | Trigger::Unmap => None,
        }
    }
}

/// Whether a close begins while a reset of the same device is under way, or the other way round.
/// Asked for is enough (an action that names what it does): the keeper lets one in at a time.
fn raced(steps: &Steps, event: &Event) -> bool {
    let Some(this) = Race::of(event.trigger).filter(|_| event.device.is_some()) else { return false };
    steps.open().any(|begin| {
        matches!(begin.kind, Kind::Trigger | Kind::Action | Kind::Administer)
            && begin.device == event.device
            && Race::of(begin.trigger).is_some_and(|other| other != this)
    })
}

fn revokes_imported(world: &World, event: &Event) -> bool {
    crate::revokes(event.trigger) && world.device(event).is_some_and(|device| device.imported > 0)
}

/// Something was seen to land: a CPU access or a DMA, in a window that has stayed live since the other
/// was.
pub(crate) fn both_ways(world: &World, event: &Event, marks: &mut Marks) {
    let (Some(device), Some(bar)) = (world.device(event), event.bar) else { return };
    if let Some(way) = world.seen_landing(device, event)
        && device.windows_of(bar).any(|window| window.both_ways_with(way))
    {
        marks.hit(Mark::BothWaysLive);
    }
}

/// A map or an attach was answered.
pub(crate) fn refused(world: &World, event: &Event, marks: &mut Marks) {
    let open = world.device(event).is_some_and(|device| !device.closed);
    if open && event.result == Some(ENODEV) {
        marks.hit(Mark::MapMetEnodev);
    }
}

/// An event is over.
pub(crate) fn settled(world: &World, event: &Event, marks: &mut Marks) {
    let Some(device) = world.device(event) else { return };
    if device.reset_failed && event.value == Some(1) && is_back(device) {
        marks.hit(Mark::BackAfterFailedReset);
    }
}

fn is_back(device: &Device) -> bool {
    let mut p2p = device.windows.iter().filter(|window| device.is_p2p(window)).peekable();
    let slots = device.windows.iter().all(|window| matches!(window.slot, Slot::Never | Slot::In));
    p2p.peek().is_some() && slots && p2p.all(|window| matches!(window.p2p, P2p::Live(_)))
}

//! What the journal has said so far, as far as the invariants need it. No event is kept: the
//! size of it goes with the devices, windows and steps under way, not with the run, and each
//! of these has an end. What is beyond that is told ([`Beyond`]), for it is not judged.
//!
//! # When an observation was made
//!
//! An event is written after what it tells of, and a thread may lose the CPU in between. "The
//! access came after the revoke" is therefore *not* shown by the order of two lines. It is
//! shown by something that was written before the access was made: the begin of the step the
//! observation ends, or the begin of the scenario's action it is made in.
//! [`World::observed_from`] is that moment; what cannot be decided by it is counted, never
//! guessed.

mod by_address;
mod device;
mod dma;
mod exports;
mod importing;
mod ram;
mod second;
mod steps;
mod window;

use crate::errno::OK;
use barkeep_journal::{Actor, Event, Kind, Phase, SeenBy, Trigger};
pub(crate) use by_address::ByAddress;
pub(crate) use by_address::DEVICES;
pub(crate) use device::{Device, Found, is_nowhere};
pub(crate) use dma::{Dma, Dmas};
pub(crate) use exports::Exports;
pub(crate) use importing::Debt;
use importing::Importing;
use ram::Ram;
use second::Second;
use std::fmt;
pub(crate) use steps::Steps;
pub(crate) use window::{Away, Landing, Outage, P2p, Slot, Window};

/// A place in the order of events. Not `seq`: that is what a journal claims.
pub(crate) type Tick = u64;

/// Something there is no more room for: it is not followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Beyond {
    Device,
    Window,
    Engine,
    Ram,
    Step,
}

impl fmt::Display for Beyond {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device => write!(f, "more than {} devices", by_address::DEVICES),
            Self::Window => write!(f, "more than {} windows of one device", device::WINDOWS),
            Self::Engine => write!(f, "more than {} engines of DMA", by_address::DEVICES),
            Self::Ram => write!(f, "more than {} ranges of guest RAM", ram::RANGES),
            Self::Step => write!(f, "more than {} steps under way at once", steps::STEPS),
        }
    }
}

#[derive(Default)]
pub(crate) struct World {
    /// The event being looked at.
    pub tick: Tick,
    pub devices: ByAddress<Device>,
    pub steps: Steps,
    pub dmas: Dmas,
    pub second: Second,
    pub importing: Importing,
    pub ram: Ram,
    pub run_ended: bool,
    /// Place and time of the last event.
    pub last: (u64, u64),
}

impl World {
    /// The device an event is about, if anything is known of it.
    pub fn device(&self, event: &Event) -> Option<&Device> {
        self.devices.get(event.device?)
    }

    /// A moment the observation an event tells of was certainly made after.
    pub fn observed_from(&self, event: &Event) -> Tick {
        if event.phase == Phase::End {
            return self.steps.begun(event).unwrap_or(0);
        }
        match (self.steps.latest_action(), event.actor) {
            // Looks when it likes and tells when it is asked, whatever the scenario is at.
            (_, Actor::Observer) if self.steps.scenario => 0,
            (Some(began), _) => began,
            // Nothing says that it took time.
            (None, _) => self.tick,
        }
    }

    /// Takes an event in, once every invariant has looked at it beside what was before. Gives
    /// what there was no room for.
    pub fn absorb(&mut self, event: &Event) -> Option<Beyond> {
        self.last = (event.seq, event.time_ns);
        // Before the step that an event ends is forgotten; nothing else asks for it here.
        let observed_from = match event.kind {
            Kind::Revoked | Kind::Landed => self.observed_from(event),
            _ => self.tick,
        };
        let beyond = self.take_in(event, observed_from);
        self.follow_second(event, observed_from);
        self.follow_importing(event);
        let followed = self.steps.absorb(event, self.tick);
        self.tick += 1;
        beyond.or(if followed { None } else { Some(Beyond::Step) })
    }

    /// Entries of memory it holds.
    pub fn footprint(&self) -> usize {
        let of_device = |device: &Device| 1 + device.windows.len() + device.exports.len();
        let devices: usize = self.devices.values().map(of_device).sum();
        devices + self.dmas.len() + self.ram.len() + self.steps.open().count()
    }

    /// By which way something that landed in a BAR came, if it came since both ways are live.
    pub fn seen_landing(&self, device: &Device, event: &Event) -> Option<Landing> {
        self.landing(device, event, self.observed_from(event))
    }

    fn landing(&self, device: &Device, event: &Event, made: Tick) -> Option<Landing> {
        match event.text.as_str() {
            // The VMM's own look needs no slot.
            "cpu" if event.seen_by == SeenBy::RegionRead => None,
            "cpu" => {
                let live = |window: &Window| matches!(window.p2p, P2p::Live(since) if since < made);
                device.windows_of(event.bar?).all(live).then_some(Landing::Cpu)
            }
            "dma" => {
                let since = |dma: &Dma| match dma.target(device)?.p2p {
                    P2p::Live(since) => Some(since),
                    P2p::Never | P2p::Unsure | P2p::Dead(_) | P2p::Remaking(_) => None,
                };
                let in_this_life = |dma: &Dma| since(dma).is_some_and(|since| since < dma.since);
                self.dmas.that_can_be(event, device).any(in_this_life).then_some(Landing::Dma)
            }
            _ => None,
        }
    }

    fn seen_at_bar(&mut self, event: &Event, observed_from: Tick) {
        let Some(device) = event.device.and_then(|address| self.devices.get(address)) else { return };
        let way = match event.kind {
            Kind::Landed => self.landing(device, event, observed_from),
            _ => None,
        };
        // What a DMA of another space brought is none of these.
        if event.text == "dma" {
            self.dmas.settle_at(event, device);
        }
        if let (Some(way), Some(address), Some(bar)) = (way, event.device, event.bar)
            && let Some(device) = self.devices.get_mut(address)
        {
            device.windows.iter_mut().filter(|w| w.bar == bar).for_each(|window| window.landed(way));
        }
    }

    /// What the second process does, and what happens to the device of its window.
    fn follow_second(&mut self, event: &Event, observed_from: Tick) {
        if !self.second.concerns(event) {
            return;
        }
        let before = self.second.imports();
        if event.actor == Actor::Importer {
            let begun = self.steps.begin_event(event);
            self.second.absorb(event, begun, self.tick);
        }
        if let Some(device) = event.device.and_then(|address| self.devices.get(address)) {
            self.second.happened(event, device, self.tick, observed_from);
        }
        let after = self.second.imports();
        if before != after {
            for (address, imported) in [(before, 0), (after, 1)] {
                if let Some(device) = address.and_then(|address| self.devices.get_mut(address)) {
                    device.imported = imported;
                }
            }
        }
    }

    /// What the importing device does, and what happens to the device of its window.
    fn follow_importing(&mut self, event: &Event) {
        if !self.importing.concerns(event) {
            return;
        }
        if event.actor == Actor::ImporterDriver {
            let begun = self.steps.begin_event(event);
            self.importing.absorb(event, begun, self.tick);
        }
        self.importing.exporter(event);
    }

    /// The kernel has taken all it held: nothing of it is under way any more.
    fn vmm_died(&mut self) {
        self.steps.keep(|begin| begin.actor == Actor::Lab);
        let tick = self.tick;
        self.devices.values_mut().for_each(|device| device.vmm_died(tick));
        self.second.vmm_died(tick);
    }

    fn take_in(&mut self, event: &Event, observed_from: Tick) -> Option<Beyond> {
        let room = |there: bool, beyond: Beyond| if there { None } else { Some(beyond) };
        match event.kind {
            Kind::RunStart => self.run_ended = false,
            Kind::RunEnd => self.run_ended = true,
            // In a space of the second process's own, or of the importing device's.
            Kind::DmaStart if matches!(event.actor, Actor::Importer | Actor::ImporterDriver) => {}
            Kind::DmaStart => return room(self.dmas.start(event, self.tick), Beyond::Engine),
            Kind::Process if is_vmm_killed(event) => self.vmm_died(),
            Kind::Landed | Kind::NotLanded => self.seen_at_bar(event, observed_from),
            Kind::Faulted => self.dmas.settle_of(event),
            Kind::DeviceOpen
            | Kind::DeviceClose
            | Kind::BarExport
            | Kind::DmabufClose
            | Kind::P2pMap
            | Kind::P2pUnmap
            | Kind::SlotAdd
            | Kind::SlotRemove
            | Kind::Trigger
            | Kind::FindOut
            | Kind::Expect
            | Kind::Outage
            | Kind::Hold
            | Kind::DeviceError
            | Kind::Revoked => {
                let Some(device) = self.devices.get_or_insert(event.device?, Device::default) else {
                    return Some(Beyond::Device);
                };
                if event.phase == Phase::Begin
                    && let Some(only) = taken_away(event)
                {
                    self.dmas.revoked_under(device, only, event.trigger);
                }
                return room(device.absorb(event, self.tick, observed_from), Beyond::Window);
            }
            Kind::RamMap if event.phase != Phase::Begin && event.result == Some(OK) => {
                let (address, size) = event.address.zip(event.size)?;
                return room(self.ram.map(address, size), Beyond::Ram);
            }
            Kind::Action if is_reboot(event) => self.dmas.rebooted(),
            Kind::RamMap
            | Kind::Administer
            | Kind::Request
            | Kind::Interrupts
            | Kind::Live
            | Kind::AttachProbe
            | Kind::Answered
            | Kind::VcpuFault
            | Kind::VcpuInternalError
            | Kind::AccessCount
            | Kind::Action
            | Kind::Expectation
            | Kind::Mark
            | Kind::Degraded
            | Kind::Leftover
            | Kind::Control
            | Kind::KernelLog
            | Kind::Continuation
            | Kind::Process
            | Kind::ProcessStep
            | Kind::ImporterStep
            | Kind::ImporterEvent
            | Kind::KernelStep
            | Kind::KernelTrace
            | Kind::Lost => {}
        }
        None
    }
}

/// Whether an event says that the VMM's process was ended by SIGKILL.
pub(crate) fn is_vmm_killed(event: &Event) -> bool {
    (event.kind, event.phase, event.actor) == (Kind::Process, Phase::End, Actor::Vmm)
        && event.text == "SIGKILL"
}

/// Whether the guest's reboot begins: an action of that name.
fn is_reboot(event: &Event) -> bool {
    event.phase == Phase::Begin && event.text.split_whitespace().next() == Some("reboot")
}

/// Whether the begin of a step takes peers' mappings of its device away: all (`None`), or that at
/// an address.
fn taken_away(event: &Event) -> Option<Option<u64>> {
    match (event.kind, event.trigger) {
        (Kind::Trigger, trigger) if revokes(trigger) => Some(None),
        (Kind::Trigger, Trigger::Unmap) => Some(Some(event.address?)),
        // Nothing was revoked before: a BAR that moves takes its mappings along.
        (Kind::P2pUnmap, Trigger::BarMove) => Some(Some(event.address?)),
        _ => None,
    }
}

/// Whether an event of this name makes every iommufd mapping of its device dead.
///
/// A hot reset has an event for each of its members that this VM has.
pub fn revokes(trigger: Trigger) -> bool {
    match trigger {
        Trigger::Flr
        | Trigger::AfFlr
        | Trigger::DecodeOff
        | Trigger::D3hot
        | Trigger::DeviceReset
        | Trigger::HotReset
        | Trigger::LowPowerEntry
        | Trigger::Close
        | Trigger::Remove => true,
        Trigger::None
        | Trigger::DecodeOn
        | Trigger::D0
        | Trigger::BarMove
        | Trigger::LowPowerExit
        | Trigger::SysfsReset
        // Of one window, which the event names.
        | Trigger::Unmap
        | Trigger::Suspect
        | Trigger::Start => false,
    }
}

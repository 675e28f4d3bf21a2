//! What the journal has said so far, as far as the invariants need it. No event is kept: the
//! size of it goes with the devices, windows and steps under way, not with the run.
//!
//! # When an observation was made
//!
//! An event is written after what it tells of, and a thread may lose the CPU in between. "The
//! access came after the revoke" is therefore *not* shown by the order of two lines. It is
//! shown by something that was written before the access was made: the begin of the step the
//! observation ends, or the begin of the scenario's action it is made in.
//! [`World::observed_from`] is that moment; what cannot be decided by it is counted, never
//! guessed.

mod device;
mod dma;
mod steps;
mod window;

use crate::errno::OK;
use barkeep_journal::{Actor, DeviceAddress, Event, Kind, Phase, Trigger};
pub(crate) use device::Device;
pub(crate) use dma::Dmas;
use std::collections::BTreeMap;
pub(crate) use steps::Steps;
pub(crate) use window::{P2p, Slot, Window};

/// A place in the order of events. Not `seq`: that is what a journal claims.
pub(crate) type Tick = u64;

#[derive(Default)]
pub(crate) struct World {
    /// The event being looked at.
    pub tick: Tick,
    pub devices: BTreeMap<DeviceAddress, Device>,
    pub steps: Steps,
    pub dmas: Dmas,
    /// Guest RAM in the I/O address space: IOVA and size.
    pub ram: Vec<(u64, u64)>,
    pub run_ended: bool,
    /// Place and time of the last event.
    pub last: (u64, u64),
}

impl World {
    /// The device an event is about, if anything is known of it.
    pub fn device(&self, event: &Event) -> Option<&Device> {
        self.devices.get(&event.device?)
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

    /// Whether guest RAM was mapped anywhere in a range.
    pub fn ram_overlaps(&self, address: u64, size: u64) -> bool {
        let (start, end) = (address, address.saturating_add(size));
        self.ram.iter().any(|&(ram, size)| ram < end && start < ram.saturating_add(size))
    }

    /// Takes an event in, once every invariant has looked at it beside what was before.
    pub fn absorb(&mut self, event: &Event) {
        let observed_from = self.observed_from(event);
        self.last = (event.seq, event.time_ns);
        self.steps.absorb(event, self.tick);
        match event.kind {
            Kind::RunStart => self.run_ended = false,
            Kind::RunEnd => self.run_ended = true,
            Kind::DmaStart => self.dmas.start(event, self.tick),
            Kind::Landed | Kind::NotLanded => {
                if event.text != "cpu" {
                    self.dmas.settle_at(event, &self.devices);
                }
            }
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
            | Kind::Revoked => {
                if let Some(address) = event.device {
                    self.devices.entry(address).or_default().absorb(event, self.tick, observed_from);
                }
            }
            Kind::RamMap if event.phase != Phase::Begin && event.result == Some(OK) => {
                self.ram.extend(event.address.zip(event.size));
            }
            Kind::RamMap
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
            | Kind::KernelLog
            | Kind::Continuation
            | Kind::Lost => {}
        }
        self.tick += 1;
    }
}

/// Whether an event of this name makes every iommufd mapping of its device dead.
///
/// A hot reset does so to siblings too, which the journal does not name.
pub fn revokes(trigger: Trigger) -> bool {
    match trigger {
        Trigger::Flr
        | Trigger::AfFlr
        | Trigger::DecodeOff
        | Trigger::D3hot
        | Trigger::DeviceReset
        | Trigger::HotReset
        | Trigger::Close => true,
        Trigger::None
        | Trigger::DecodeOn
        | Trigger::D0
        | Trigger::BarMove
        | Trigger::Suspect
        | Trigger::Start => false,
    }
}

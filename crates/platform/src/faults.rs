//! The IOMMU's fault records, followed: a peer's DMA that faults at a window believed live is how a
//! revoke nobody announced shows, where no CPU touches the window.

use crate::board::Board;
use barkeep_export::{Cause, Fault, FaultSource, Mapping};
use barkeep_journal::{Actor, Event, Journal, Kind, SeenBy};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Records waiting for whoever wants to see them, at the most: nobody may ever ask.
const KEPT: usize = 4096;

/// How long after an event of a device is over a fault at one of its windows may still be of before:
/// the interrupt and the log take their time. Without it a peer that goes on while its window is
/// away would make the VMM suspect, map anew, and by that fault again, without end.
const LATE_NS: u64 = 10_000_000;

/// Where the records come from, and those nobody has asked for yet.
pub(crate) struct Faults(Mutex<Inbox>);

struct Inbox {
    source: Box<dyn FaultSource>,
    /// With whether the journal has it.
    arrived: Vec<(Fault, bool)>,
}

impl Faults {
    pub(crate) fn new(source: Box<dyn FaultSource>) -> Self {
        Self(Mutex::new(Inbox { source, arrived: Vec::new() }))
    }

    fn lock(&self) -> MutexGuard<'_, Inbox> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Board {
    /// Whether fault records get lost where many come at once.
    pub fn faults_get_lost(&self) -> bool {
        self.faults.as_ref().is_none_or(|faults| faults.lock().source.loses())
    }

    /// The IOMMU's fault records since the last call, each of them in the journal; `None` where
    /// they cannot be read.
    pub fn faults(&self) -> Option<Vec<Fault>> {
        self.notice_faults();
        let arrived = std::mem::take(&mut self.faults.as_ref()?.lock().arrived);
        let told = |(fault, told): (Fault, bool)| {
            if !told {
                tell(&self.journal, &fault);
            }
            fault
        };
        Some(arrived.into_iter().map(told).collect())
    }

    /// Reads the records that are there. A fault of a device of this VM at a window that is
    /// believed live makes that window's device suspect: it is looked at, and mapped anew.
    pub fn notice_faults(&self) {
        let Some(faults) = &self.faults else { return };
        let mut suspects = Vec::new();
        {
            let mut inbox = faults.lock();
            let records = inbox.source.take();
            let exact = inbox.source.keeps_our_time();
            for fault in records {
                let seen_at = if exact { fault.time_ns } else { self.journal.now().saturating_sub(LATE_NS) };
                let suspect = self.suspect_of(&fault, seen_at);
                if suspect.is_some() {
                    // Before the suspicion, whose reason it is.
                    tell(&self.journal, &fault);
                }
                suspects.extend(suspect);
                if inbox.arrived.len() < KEPT {
                    inbox.arrived.push((fault, suspect.is_some()));
                }
            }
        }
        suspects.sort_unstable();
        suspects.dedup();
        for device in suspects {
            // Its own failures are in the journal.
            let _ = self.driver.handle(device, Cause::SUSPECT, (Actor::Vmm, 0));
        }
    }

    /// The device whose window a fault was at, if the window is believed live, was when the fault was
    /// seen, and no event of the device is under way.
    fn suspect_of(&self, fault: &Fault, seen_at: u64) -> Option<u16> {
        let ours = |n: u16| self.driver.address(n) == fault.requester;
        if !(0..self.driver.devices()).any(ours) {
            return None;
        }
        (0..self.driver.devices()).find(|&device| {
            !self.driver.busy(device)
                && self.driver.settled_at(device) < seen_at
                && self.driver.keeper(device).windows().iter().any(|state| match state.mapping {
                    Mapping::Live(at) => {
                        fault.iova.checked_sub(at).is_some_and(|in_it| in_it < state.window.size)
                    }
                    Mapping::Unwanted | Mapping::None | Mapping::Dead(_) | Mapping::Refused(_) => false,
                })
        })
    }
}

fn tell(journal: &Journal, fault: &Fault) {
    let event = Event::new(Kind::Faulted, Actor::Kernel).device(fault.requester).at(fault.time_ns);
    journal.emit(event.seen_by(SeenBy::IommuFault).text(fault.text.as_str()).address(fault.iova));
}

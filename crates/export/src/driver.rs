//! The driver loop: takes one step at a time from a device's keeper, journals its start,
//! performs it, journals its end.
//!
//! It runs on the thread that caused the event (a vCPU whose config write it is, as the
//! guest expects its write to be over when the instruction is). No lock is held while a step
//! is performed, so that a reset's 100 ms hold up nobody but that vCPU and whoever else
//! wants to *write* to the same device's config space.

mod handling;

use crate::contract::{Cause, Errno, Exporter, Function, Importer, Passage, Window, WindowId, result_number};
use crate::keeper::{Keeper, StepResult};
use crate::outage::{OutageWord, Phase};
use barkeep_journal as journal;
use barkeep_journal::{Actor, DeviceAddress, Journal};
use barkeep_pci::write::ConfigWrite;
use barkeep_planted::{Fault, is_planted};
use handling::{Handling, Run};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// What the driver acts on for one device.
#[derive(Clone)]
pub struct Parties {
    /// The device.
    pub exporter: Arc<dyn Exporter>,
    /// Guest memory slots.
    pub slots: Arc<dyn Importer>,
    /// The I/O address space.
    pub ioas: Arc<dyn Importer>,
}

/// Told of every change of an outage word: the window and the new word.
pub type OutageSink = Arc<dyn Fn(WindowId, u64) + Send + Sync>;

/// Lets time pass.
pub type Pause = Arc<dyn Fn() + Send + Sync>;

/// Where events pause.
#[derive(Clone, Default)]
struct Pauses {
    /// Between dropping mappings and making new ones.
    linger: Option<Pause>,
    /// Before every step, and after the last one.
    steps: Option<Pause>,
}

/// How a guest access to a window without a slot is to be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The function does not decode: reads give all ones, writes vanish.
    AllOnes,
    /// The function decodes: ask the device itself.
    AskDevice,
}

/// One window as the other vCPUs see it.
#[derive(Debug, Default)]
struct Pane {
    word: OutageWord,
    answered: AtomicU64,
}

/// One device: its keeper, and who is at work on it.
struct Station {
    address: DeviceAddress,
    index: u16,
    parties: Parties,
    panes: Vec<Pane>,
    /// `None` while a thread drives the device's keeper.
    keeper: Mutex<Option<Keeper>>,
    settled: Condvar,
    resetting: AtomicBool,
    /// When its last event was over, by the journal's clock.
    settled_at: AtomicU64,
}

/// The driver of all devices of a VM.
pub struct Driver {
    journal: Journal,
    stations: Vec<Station>,
    sink: OutageSink,
    pauses: Mutex<Pauses>,
}

impl Driver {
    /// A driver without devices.
    pub fn new(journal: Journal, sink: OutageSink) -> Self {
        Self { journal, stations: Vec::new(), sink, pauses: Mutex::default() }
    }

    /// Adds a device whose windows are not mapped yet; gives its index.
    pub fn add(&mut self, address: DeviceAddress, windows: &[Window], parties: Parties) -> u16 {
        let index = self.stations.len() as u16;
        self.stations.push(Station {
            address,
            index,
            parties,
            panes: windows.iter().map(|_| Pane::default()).collect(),
            keeper: Mutex::new(Some(Keeper::new(windows))),
            settled: Condvar::new(),
            resetting: AtomicBool::new(false),
            settled_at: AtomicU64::new(0),
        });
        index
    }

    /// Sees an event through, from the withdrawal of the slots to their return. Waits first
    /// for another event of the same device to be over. `actor` is who caused it.
    ///
    /// # Errors
    /// What the event itself came to (a write's or reset's errno); failures around it are in
    /// the journal.
    pub fn handle(&self, device: u16, cause: Cause, actor: (Actor, u16)) -> Result<(), Errno> {
        if is_planted(Fault::SuspectIgnored) && cause == Cause::SUSPECT && actor.0 == Actor::Vmm {
            return Ok(());
        }
        let station = &self.stations[usize::from(device)];
        let keeper = station.take();
        if cause.passage == Passage::Close && keeper.closed() {
            // Somebody else came first, while this one waited.
            station.put(keeper);
            return Ok(());
        }
        let result = self.take_on(station, keeper, cause, actor).finish();
        self.look_again();
        result
    }

    /// A BAR that has gone may have made room for another one, which has waited for it.
    fn look_again(&self) {
        for station in &self.stations {
            if station.parties.exporter.waits() {
                // Its own failures are in the journal. Nobody's room is lost by it: this ends.
                let _ = self.begin(station, Cause::SUSPECT, (Actor::Vmm, 0)).finish();
            }
        }
    }

    /// Sees a config write through: as an event if it is one, else past the keeper. It is this
    /// device's turn by then: what a write does depends on what the registers are, and another
    /// vCPU's write that is under way changes them. So a write that is no event waits too, and
    /// lets none begin.
    ///
    /// # Errors
    /// As [`Self::handle`]; the errno of the write.
    pub fn write(
        &self,
        device: u16,
        function: &dyn Function,
        write: &ConfigWrite,
        actor: (Actor, u16),
    ) -> Result<(), Errno> {
        let station = &self.stations[usize::from(device)];
        let keeper = station.take();
        match function.classify(write) {
            Some(cause) => {
                let result = self.take_on(station, keeper, cause, actor).finish();
                self.look_again();
                result
            }
            None => {
                let result = function.plain_write(write);
                station.put(keeper);
                result
            }
        }
    }

    /// Sees one event of several devices through: a hot reset, which the kernel does to all of its
    /// members in one call. All slots are withdrawn before it, and each device is then looked at
    /// for itself. `leader` is whose device file the call goes through.
    ///
    /// # Errors
    /// As [`Self::handle`].
    pub fn handle_together(
        &self,
        leader: u16,
        members: &[u16],
        cause: Cause,
        actor: (Actor, u16),
    ) -> Result<(), Errno> {
        let mut devices = members.to_vec();
        devices.push(leader);
        // In the order of their numbers: whoever else took two at once would do it in the same.
        devices.sort_unstable();
        devices.dedup();
        let mut events: Vec<Handling> = devices
            .iter()
            .map(|device| self.begin(&self.stations[usize::from(*device)], cause, actor))
            .collect();
        events.iter_mut().for_each(Handling::withdraw);
        events.iter().for_each(|event| event.run.breathe());
        let steps: Vec<journal::Step> =
            events.iter().map(|event| self.journal.begin(event.run.passing())).collect();
        let result = self.stations[usize::from(leader)].parties.exporter.let_through(&cause.passage);
        for (event, step) in events.iter_mut().zip(steps) {
            if event.run.station.index != leader {
                event.run.station.parties.exporter.reset_along();
            }
            self.journal.end(step, result_number(result));
            event.run.outcome = result;
            event.keeper.done(StepResult::Done(result));
        }
        for event in events {
            // The same for all of them.
            let _ = event.finish();
        }
        self.look_again();
        result
    }

    /// From now on every event pauses between dropping mappings and making new ones, by calling
    /// `pause`; `None` for no more. What happens meanwhile meets an outage that is over before
    /// anybody could see it otherwise.
    pub fn linger(&self, pause: Option<Pause>) {
        self.pauses().linger = pause;
    }

    /// From now on every event calls `pause` before each of its steps and after the last one, and it may
    /// let time pass: others meet the event between any two. `None` for no more.
    pub fn between_steps(&self, pause: Option<Pause>) {
        self.pauses().steps = pause;
    }

    fn pauses(&self) -> MutexGuard<'_, Pauses> {
        self.pauses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin<'a>(&'a self, station: &'a Station, cause: Cause, actor: (Actor, u16)) -> Handling<'a> {
        self.take_on(station, station.take(), cause, actor)
    }

    fn take_on<'a>(
        &'a self,
        station: &'a Station,
        mut keeper: Keeper,
        cause: Cause,
        actor: (Actor, u16),
    ) -> Handling<'a> {
        station.resetting.store(cause.resets, Ordering::Release);
        keeper.begin(cause);
        let pauses = self.pauses().clone();
        let run =
            Run { journal: &self.journal, sink: &self.sink, station, cause, actor, outcome: Ok(()), pauses };
        Handling { run, keeper }
    }

    /// How an access to a window that came out as an MMIO exit is to be answered, and that
    /// it was: counted for the journal.
    pub fn answer(&self, window: WindowId) -> Answer {
        let pane = &self.stations[usize::from(window.device)].panes[usize::from(window.window)];
        match pane.word.phase() {
            Phase::Live => Answer::AskDevice,
            Phase::Closing | Phase::Out | Phase::Opening => {
                pane.answered.fetch_add(1, Ordering::Relaxed);
                Answer::AllOnes
            }
        }
    }

    /// The outage word of a window.
    pub fn outage(&self, window: WindowId) -> &OutageWord {
        &self.stations[usize::from(window.device)].panes[usize::from(window.window)].word
    }

    /// Whether the device is held up by a reset: its config reads are then answered all
    /// ones, as a function in reset gives no answer, and nobody has to wait.
    pub fn resetting(&self, device: u16) -> bool {
        self.stations[usize::from(device)].resetting.load(Ordering::Acquire)
    }

    /// Whether an event of the device, or another write to it, is being handled.
    pub fn busy(&self, device: u16) -> bool {
        let station = &self.stations[usize::from(device)];
        station.keeper.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    /// When the device's last event was over, nanoseconds by the journal's clock.
    pub fn settled_at(&self, device: u16) -> u64 {
        self.stations[usize::from(device)].settled_at.load(Ordering::Acquire)
    }

    /// A copy of a device's keeper, `None` while an event of it is handled. Never waits.
    pub fn keeper_now(&self, device: u16) -> Option<Keeper> {
        let station = &self.stations[usize::from(device)];
        station.keeper.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A copy of a device's keeper, once settled.
    pub fn keeper(&self, device: u16) -> Keeper {
        self.stations[usize::from(device)].lock_settled().clone().expect("settled")
    }

    /// Devices there are.
    pub fn devices(&self) -> u16 {
        self.stations.len() as u16
    }

    /// The address of a device.
    pub fn address(&self, device: u16) -> DeviceAddress {
        self.stations[usize::from(device)].address
    }
}

impl Station {
    fn lock_settled(&self) -> MutexGuard<'_, Option<Keeper>> {
        let guard = self.keeper.lock().unwrap_or_else(PoisonError::into_inner);
        self.settled.wait_while(guard, |keeper| keeper.is_none()).unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Keeper {
        let mut keeper = self.lock_settled();
        let taken = if is_planted(Fault::NobodyWaits) { keeper.clone() } else { keeper.take() };
        taken.expect("settled")
    }

    fn put(&self, keeper: Keeper) {
        *self.keeper.lock().unwrap_or_else(PoisonError::into_inner) = Some(keeper);
        self.settled.notify_all();
    }

    fn id(&self, window: usize) -> WindowId {
        WindowId { device: self.index, window: window as u16 }
    }
}

#[cfg(test)]
#[path = "driver_test.rs"]
mod tests;

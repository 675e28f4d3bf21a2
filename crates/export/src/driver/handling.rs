//! One event of one device, from its first step to its last: each step's start in the journal, the
//! step, its end.

use super::{OutageSink, Parties, Pauses, Station};
use crate::contract::{Cause, Errno, Found, Passage, Window, result_number};
use crate::keeper::{Keeper, Mapping, Slot, Step, StepResult, WindowState};
use crate::outage::Phase;
use barkeep_journal as journal;
use barkeep_journal::{Actor, Event, Journal, Kind};
use barkeep_planted::{Fault, is_planted};
use std::sync::atomic::Ordering;

/// One event of one device, and the keeper that is at it.
pub(super) struct Handling<'a> {
    pub run: Run<'a>,
    pub keeper: Keeper,
}

impl Handling<'_> {
    /// All steps up to the event itself, which is left to the caller.
    pub fn withdraw(&mut self) {
        while let Some(step) = self.keeper.next_step()
            && step != Step::LetThrough
        {
            let result = self.run.perform(step, &self.keeper);
            self.keeper.done(result);
        }
    }

    /// All steps that are left; gives the device back, and what the event came to.
    pub fn finish(self) -> Result<(), Errno> {
        let Self { mut run, mut keeper } = self;
        while let Some(step) = keeper.next_step() {
            let result = run.perform(step, &keeper);
            keeper.done(result);
        }
        run.breathe();
        run.close_outages(&keeper);
        run.station.resetting.store(false, Ordering::Release);
        run.station.settled_at.store(run.journal.now(), Ordering::Release);
        run.station.put(keeper);
        run.outcome
    }
}

/// How the steps of an event are performed.
pub(super) struct Run<'a> {
    pub journal: &'a Journal,
    pub sink: &'a OutageSink,
    pub station: &'a Station,
    pub cause: Cause,
    pub actor: (Actor, u16),
    pub outcome: Result<(), Errno>,
    /// To linger is done once, before anything is mapped again.
    pub pauses: Pauses,
}

impl Run<'_> {
    fn perform(&mut self, step: Step, keeper: &Keeper) -> StepResult {
        self.breathe();
        let Parties { exporter, slots, ioas } = &self.station.parties;
        match step {
            Step::WithdrawSlot { window, address } => {
                self.open_outage(keeper, window, address);
                let event = self.slot(Kind::SlotRemove, keeper, window, address);
                let result = self.timed(event, || slots.unmap(self.station.id(window), address).map(drop));
                self.enter(window, Phase::Out);
                StepResult::Done(result)
            }
            Step::LetThrough => {
                let event = self.passing();
                self.outcome = self.timed(event, || exporter.let_through(&self.cause.passage));
                StepResult::Done(self.outcome)
            }
            Step::FindOut => {
                let step = self.journal.begin(self.named(Event::new(Kind::FindOut, Actor::Keeper)));
                let found = exporter.find_out();
                self.journal.end_with(step, |event| match &found {
                    Ok(found) => event.value(found_value(found, keeper)).result(0),
                    Err(errno) => event.result(-errno.raw_os_error()),
                });
                StepResult::Found(found)
            }
            Step::DropMapping { window, address } => {
                let step = self.journal.begin(self.about(Kind::P2pUnmap, keeper, window, address));
                let result = ioas.unmap(self.station.id(window), address);
                self.journal.end_with(step, |event| match result {
                    Ok(length) => event.range(address, length).result(0),
                    Err(errno) => event.result(-errno.raw_os_error()),
                });
                StepResult::Done(result.map(drop))
            }
            Step::MakeMapping { window, address } => {
                self.linger();
                let event = self.about(Kind::P2pMap, keeper, window, address);
                StepResult::Done(self.timed(event, || ioas.map(self.station.id(window), address)))
            }
            Step::PutBackSlot { window, address } => {
                self.linger();
                self.enter(window, Phase::Opening);
                let event = self.slot(Kind::SlotAdd, keeper, window, address);
                let result = self.timed(event, || slots.map(self.station.id(window), address));
                if result.is_ok() {
                    self.close_outage(keeper, window, address);
                }
                StepResult::Done(result)
            }
        }
    }

    fn linger(&mut self) {
        if let Some(pause) = self.pauses.linger.take() {
            pause();
        }
    }

    /// Between two steps.
    pub fn breathe(&self) {
        if let Some(pause) = &self.pauses.steps {
            pause();
        }
    }

    /// What is about to be let through.
    pub fn passing(&self) -> Event {
        let event = self.named(Event::new(Kind::Trigger, self.actor.0).index(self.actor.1));
        match self.cause.passage {
            Passage::ConfigWrite(write) => {
                let bytes = write.bytes.as_slice();
                let value = bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte));
                event.range(write.offset.into(), bytes.len() as u64).value(value)
            }
            Passage::DeviceReset
            | Passage::HotReset
            | Passage::LowPower(_)
            | Passage::Close
            | Passage::Nothing => event,
        }
    }

    fn timed(&self, event: Event, act: impl FnOnce() -> Result<(), Errno>) -> Result<(), Errno> {
        let step = self.journal.begin(event);
        let result = act();
        self.journal.end(step, result_number(result));
        result
    }

    fn named(&self, event: Event) -> Event {
        event.device(self.station.address).trigger(self.cause.trigger)
    }

    fn about(&self, kind: Kind, keeper: &Keeper, window: usize, address: u64) -> Event {
        let Window { bar, size, .. } = keeper.windows()[window].window;
        self.named(Event::new(kind, Actor::Keeper)).bar(bar).range(address, size)
    }

    fn slot(&self, kind: Kind, keeper: &Keeper, window: usize, address: u64) -> Event {
        let event = self.about(kind, keeper, window, address);
        match self.station.parties.slots.backing(self.station.id(window)).word() {
            Some(word) => event.text(word),
            None => event,
        }
    }

    fn enter(&self, window: usize, phase: Phase) -> u64 {
        let word = self.station.panes[window].word.enter(phase);
        (self.sink)(self.station.id(window), word);
        word
    }

    /// Journals the outage before the first sign of it can be seen.
    fn open_outage(&self, keeper: &Keeper, window: usize, address: u64) {
        let generation = self.station.panes[window].word.generation() + 1;
        let mut event = self.about(Kind::Outage, keeper, window, address).value(generation);
        event.phase = journal::Phase::Begin;
        self.journal.emit(event);
        self.enter(window, Phase::Closing);
    }

    /// Journals the end of the outage once nothing of it can be seen any more.
    fn close_outage(&self, keeper: &Keeper, window: usize, address: u64) {
        let pane = &self.station.panes[window];
        let generation = pane.word.generation();
        let answered = pane.answered.swap(0, Ordering::Relaxed);
        if answered > 0 {
            let event = self.about(Kind::Answered, keeper, window, address).value(answered);
            self.journal.emit(event);
        }
        let mut event = self.about(Kind::Outage, keeper, window, address).value(generation);
        event.phase = journal::Phase::End;
        self.journal.emit(event);
        if !is_planted(Fault::OutageWordStays) {
            self.enter(window, Phase::Live);
        }
    }

    /// After the last step: what did not come back although the function decodes is told,
    /// for a restore that failed must not pass for one that was not due.
    fn close_outages(&self, keeper: &Keeper) {
        let live = !keeper.closed() && keeper.found().is_some_and(Found::live);
        let belief = Event::new(Kind::Expect, Actor::Keeper).value(u64::from(live));
        self.journal.emit(self.named(belief));
        for (number, state) in keeper.windows().iter().enumerate() {
            let addresses = keeper.found().map_or(&[][..], |found| &found.addresses);
            let placed = addresses.get(number).copied().flatten().is_some();
            let (what, errno) = match (state.mapping, state.slot) {
                _ if !live => continue,
                // The guest's own doing: its BAR lies where none may be.
                // The guest's own doing, and said with what was found out.
                _ if !placed => continue,
                (Mapping::Refused(errno), _) => ("P2P mapping not restored", errno),
                (_, Slot::Failed(errno)) => ("memory slot not restored", errno),
                _ => continue,
            };
            let event = Event::new(Kind::Degraded, Actor::Keeper).bar(state.window.bar).text(what);
            self.journal.emit(self.named(event).result(-errno.raw_os_error()));
        }
        if self.cause.passage == Passage::Close {
            self.journal.emit(self.named(Event::new(Kind::DeviceClose, Actor::Keeper)));
        }
    }
}

/// As the journal has it: bit 0 decode, bits 8–9 the power state, bit 16 low power, bits 24–29 BARs that
/// decode and have no place.
fn found_value(found: &Found, keeper: &Keeper) -> u64 {
    let without = |(state, address): (&WindowState, &Option<u64>)| match address {
        None if found.live() => 1 << (24 + state.window.bar),
        None | Some(_) => 0,
    };
    let nowhere = keeper.windows().iter().zip(&found.addresses).map(without).fold(0, |all, bit| all | bit);
    nowhere | u64::from(found.low_power) << 16 | u64::from(found.power) << 8 | u64::from(found.decode)
}

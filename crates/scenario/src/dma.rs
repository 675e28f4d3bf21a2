//! A peer's DMA, from the command to what was seen of it.

mod judged;

use crate::engine::{Data, Doorbell, Ending, Engine, Order, words};
use crate::language::{Fate, Place};
use crate::runner::{DeviceRef, RunError, Runner, Spot};
use barkeep_export::Fault;
use barkeep_journal::{Actor, Event, Kind, SeenBy};
use barkeep_platform::map::SCRATCH;
use barkeep_probe::{Command, Reply};
use judged::{as_expected, should, told};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// Where a guest CPU copies what it finds in a BAR, a page behind edu's buffer.
const FOUND: u64 = SCRATCH.start + 0x1000;
/// Patterns of DMAs the scenario has none for: this and the DMA's number.
const NUMBERED: u32 = 0xda7a_0000;

/// A DMA that was prepared or commanded.
#[derive(Clone, Debug)]
pub(crate) struct Dma {
    engine: DeviceRef,
    /// Guest physical address of the engine's registers.
    registers: u64,
    to: Spot,
    order: Order,
    /// How many bytes the engine writes, which may be more than are looked at.
    reach: u64,
    data: Data,
    stage: Stage,
    /// Its data did not stand there already, which would prove nothing.
    fresh: bool,
    /// It may land or not.
    either: bool,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    /// One write is missing.
    Prepared(Doorbell),
    Commanded,
}

/// The DMAs of a run.
#[derive(Default)]
pub(crate) struct Dmas {
    engines: BTreeMap<u16, Engine>,
    /// The last one of each engine, until it is over.
    open: BTreeMap<u16, Dma>,
    /// Engines whose last DMA nobody can wait for, and why.
    unheard: BTreeMap<u16, String>,
    /// Those whose target could not be read when they were over.
    undecided: Vec<Dma>,
    /// Where data of an engine's own was last seen to stand: the next DMA's would be the same.
    standing: Vec<(Spot, u32)>,
    number: u32,
}

/// The DMA as a scenario has it.
#[derive(Clone, Copy)]
pub(crate) struct Wish<'a> {
    pub engine: &'a str,
    pub to: &'a Place,
    pub size: u64,
    pub pattern: Option<u32>,
}

impl Runner<'_, '_> {
    /// Gets the data into the engine, then commands it to the BAR and goes on.
    pub(crate) fn dma_start(&mut self, wish: Wish<'_>) -> Result<(), RunError> {
        let engine = self.device(wish.engine)?;
        let started = self.load(wish).and_then(|dma| self.command(dma));
        self.unless_deaf(engine, started)
    }

    /// All of it but the write that sets it going, which a watching vCPU makes.
    pub(crate) fn dma_prepare(&mut self, wish: Wish<'_>) -> Result<(), RunError> {
        let engine = self.device(wish.engine)?;
        let prepared = self.load(wish).and_then(|dma| self.prepare(dma));
        self.unless_deaf(engine, prepared)
    }

    fn command(&mut self, mut dma: Dma) -> Result<(), RunError> {
        dma.stage = Stage::Commanded;
        self.commanded(&dma);
        let cpu = self.cpu(0);
        self.engine(dma.engine)?.start(cpu, dma.registers, dma.order)?;
        self.dmas.open.insert(dma.engine.index, dma);
        Ok(())
    }

    fn prepare(&mut self, mut dma: Dma) -> Result<(), RunError> {
        let cpu = self.cpu(0);
        let doorbell = self.engine(dma.engine)?.prepare(cpu, dma.registers, dma.order)?;
        dma.stage = Stage::Prepared(doorbell);
        self.dmas.open.insert(dma.engine.index, dma);
        Ok(())
    }

    /// An engine that does not do what it is told is no end of the run: somebody else may have
    /// taken it away, and whoever asks what became of its DMA is told.
    fn unless_deaf(&mut self, engine: DeviceRef, result: Result<(), RunError>) -> Result<(), RunError> {
        match result {
            Err(error) if error.is_engine() => {
                let why = error.to_string();
                let event = Event::new(Kind::Degraded, Actor::Scenario).device(engine.address);
                self.world.board().journal().emit(event.text(format!("no DMA commanded: {why}")));
                self.dmas.unheard.insert(engine.index, why);
                Ok(())
            }
            result => result,
        }
    }

    /// The guest has rebooted: nobody waits for its DMAs any more, which may land all the same.
    pub(crate) fn cut_short(&mut self) {
        let Dmas { engines, open, unheard, undecided, standing: _, number: _ } = &mut self.dmas;
        // Their queues are not to be trusted.
        engines.clear();
        for (engine, dma) in std::mem::take(open) {
            unheard.insert(engine, "the guest has rebooted".to_owned());
            if let Stage::Commanded = dma.stage {
                undecided.push(Dma { either: true, ..dma });
            }
        }
    }

    /// The write that is missing of an engine's prepared DMA.
    pub(crate) fn doorbell(&self, engine: DeviceRef) -> Option<Doorbell> {
        match self.dmas.open.get(&engine.index)?.stage {
            Stage::Prepared(doorbell) => Some(doorbell),
            Stage::Commanded => None,
        }
    }

    /// Somebody who was to make that write has come back.
    pub(crate) fn rung(&mut self, engine: DeviceRef, rung: bool) -> Result<(), RunError> {
        let Some(mut dma) = self.dmas.open.remove(&engine.index) else { return Ok(()) };
        if rung {
            dma.stage = Stage::Commanded;
            self.commanded(&dma);
            self.dmas.open.insert(engine.index, dma);
        } else {
            self.engine(engine)?.forget();
            self.dmas.unheard.insert(engine.index, "nobody has set it going".to_owned());
        }
        Ok(())
    }

    fn load(&mut self, wish: Wish<'_>) -> Result<Dma, RunError> {
        let Wish { engine: name, to, size, pattern } = wish;
        let spot = self.spot(&Place::bar(name, 0))?;
        let (registers, engine) = (spot.address, spot.device);
        let to = self.spot(to)?;
        let order = Order { to: to.address, size };
        if self.dmas.open.remove(&engine.index).is_some() {
            self.expectation("an engine's DMA is looked at before it is given the next one", false);
        }
        self.dmas.number += 1;
        let numbered = NUMBERED | self.dmas.number & 0xffff;
        let cpu = self.cpu(0);
        if let Entry::Vacant(free) = self.dmas.engines.entry(engine.index) {
            let known = Engine::new(self.world, engine);
            free.insert(known.ok_or_else(|| RunError::NoEngine(name.to_owned()))?);
        }
        let kind = self.engine(engine)?;
        if pattern.is_some() && !kind.takes_patterns() {
            return Err(RunError::OwnData(name.to_owned()));
        }
        let reach = kind.reach(order);
        let data = kind.load(cpu, registers, order, pattern.unwrap_or(numbered))?;
        self.take_faults();
        self.dmas.unheard.remove(&engine.index);
        let stage = Stage::Commanded;
        let dma = Dma { engine, registers, to, order, reach, data, stage, fresh: true, either: false };
        let fresh = self.is_fresh(&dma)?;
        Ok(Dma { fresh, ..dma })
    }

    /// Of a device that has been loaded as an engine.
    fn engine(&mut self, device: DeviceRef) -> Result<&mut Engine, RunError> {
        let not_yet = RunError::Engine { device: device.address, what: "has not been loaded".to_owned() };
        self.dmas.engines.get_mut(&device.index).ok_or(not_yet)
    }

    fn commanded(&self, dma: &Dma) {
        let event = Event::new(Kind::DmaStart, Actor::Guest).device(dma.engine.address);
        let event = event.range(dma.to.address, dma.reach).value(dma.data.first().into());
        self.world.board().journal().emit(event);
    }

    fn is_fresh(&mut self, dma: &Dma) -> Result<bool, RunError> {
        Ok(match self.first_difference(dma)? {
            None => false,
            // Nobody answers; what was there last may be there still.
            Some(u32::MAX) => !self.dmas.standing.contains(&(dma.to, dma.data.first())),
            Some(found) => {
                self.seen_to_hold(dma.to, found);
                true
            }
        })
    }

    /// Waits for the DMA and writes what is seen of it: the data in the BAR, the IOMMU's
    /// fault records, what the engine says.
    pub(crate) fn dma_finish(&mut self, engine: &str, expect: Fate) -> Result<bool, RunError> {
        let engine = self.device(engine)?;
        let commanded = |dma: &Dma| matches!(dma.stage, Stage::Commanded);
        let either = expect == Fate::Either;
        let Some(dma) = self.dmas.open.remove(&engine.index).filter(commanded) else {
            return Ok(match self.dmas.unheard.remove(&engine.index) {
                Some(why) => self.expectation(&format!("the DMA {}: {why}", should(expect)), either),
                None => self.expectation("a DMA was commanded before its end is awaited", false),
            });
        };
        if !dma.fresh && !either {
            let what = format!("the data {:#010x} is not there before its DMA", dma.data.first());
            self.expectation(&what, false);
        }
        let dma = Dma { either, ..dma };
        let cpu = self.cpu(0);
        let ending = match self.engine(engine)?.finish(cpu, dma.registers) {
            Err(error) if error.is_engine() => Ending::Failed(error.to_string()),
            ending => ending?,
        };
        let faults = self.take_faults();
        let faulted = faults.as_ref().map(|faults| faults.iter().any(|fault| dma.met(fault)));
        let difference = self.first_difference(&dma)?;
        let what = told(expect, difference, faulted, &ending);
        let held = as_expected(expect, difference, faulted, &ending);
        match difference {
            // It may be an earlier one's.
            None if !dma.fresh => {}
            None => self.landed(&dma, true, dma.data.first()),
            // Nobody answers: whether the data is there shows when the BAR can be read.
            Some(u32::MAX) => self.dmas.undecided.push(dma),
            Some(found) => self.landed(&dma, false, found),
        }
        Ok(self.expectation(&what, held))
    }

    /// A place was read again: DMAs to it that were undecided are decided now.
    pub(crate) fn decide(&mut self, spot: Spot, found: u32) {
        self.seen_to_hold(spot, found);
        let (here, elsewhere): (Vec<Dma>, Vec<Dma>) =
            std::mem::take(&mut self.dmas.undecided).into_iter().partition(|dma| dma.to == spot);
        self.dmas.undecided = elsewhere;
        for dma in here {
            let arrived = found == dma.data.first();
            if dma.fresh || !arrived {
                self.landed(&dma, arrived, found);
            }
            if arrived && !dma.either {
                self.expectation("data of a DMA that faulted is not in the BAR afterwards", false);
            }
        }
    }

    /// A guest CPU has written a place. Whether that arrived is looked at where it matters.
    pub(crate) fn written_over(&mut self, spot: Spot, vcpu: usize) -> Result<(), RunError> {
        if self.dmas.standing.iter().any(|(standing, _)| *standing == spot) {
            let found = self.cpu(vcpu).read32(spot.address)?;
            if found != u32::MAX {
                self.seen_to_hold(spot, found);
            }
        }
        Ok(())
    }

    fn seen_to_hold(&mut self, spot: Spot, found: u32) {
        self.dmas.standing.retain(|(standing, data)| *standing != spot || *data == found);
    }

    fn landed(&mut self, dma: &Dma, landed: bool, found: u32) {
        let kind = if landed { Kind::Landed } else { Kind::NotLanded };
        let event = Event::new(kind, Actor::Guest).device(dma.to.device.address).bar(dma.to.bar);
        let event = event.range(dma.to.offset, dma.order.size).value(found.into());
        self.world.board().journal().emit(event.seen_by(SeenBy::GuestRead).text("dma"));
        if landed && let Data::Own(_) = dma.data {
            self.dmas.standing.push((dma.to, found));
        }
    }

    /// The first word at a DMA's target that is not its data.
    fn first_difference(&self, dma: &Dma) -> Result<Option<u32>, RunError> {
        let (cpu, Order { to: address, size: length }) = (self.cpu(0), dma.order);
        match &dma.data {
            &Data::Pattern(pattern) => {
                match cpu.call(Command::Verify { address, length, pattern, step: 0 })? {
                    Reply::Verified { mismatch } => Ok(mismatch.map(|m| m.first_value)),
                    other => Err(RunError::Confused(other)),
                }
            }
            Data::Own(expected) => {
                cpu.copy(address, FOUND, length)?;
                let found = words(cpu, FOUND, length)?;
                Ok(found
                    .into_iter()
                    .zip(expected)
                    .find(|(found, data)| found != *data)
                    .map(|(found, _)| found))
            }
        }
    }

    /// Takes the fault records that are there; each is in the journal.
    fn take_faults(&self) -> Option<Vec<Fault>> {
        self.world.board().faults()
    }
}

impl Dma {
    fn met(&self, fault: &Fault) -> bool {
        // The record gives the page; a DMA of less than a page may start inside it.
        let pages = self.to.address & !0xfff..self.to.address + self.reach;
        fault.requester == self.engine.address && pages.contains(&fault.iova)
    }
}

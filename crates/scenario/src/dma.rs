//! A peer's DMA, from the command to what was seen of it.

use crate::engine::{Data, Doorbell, Ending, Engine, Order, words};
use crate::language::{Fate, Place};
use crate::runner::{DeviceRef, RunError, Runner, Spot};
use barkeep_export::Fault;
use barkeep_journal::{Actor, Event, Kind, SeenBy};
use barkeep_platform::map::SCRATCH;
use barkeep_probe::{Command, Reply};
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
        let mut dma = self.load(wish)?;
        dma.stage = Stage::Commanded;
        self.commanded(&dma);
        let cpu = self.cpu(0);
        self.engine(dma.engine)?.start(cpu, dma.registers, dma.order)?;
        self.dmas.open.insert(dma.engine.index, dma);
        Ok(())
    }

    /// All of it but the write that sets it going, which a watching vCPU makes.
    pub(crate) fn dma_prepare(&mut self, wish: Wish<'_>) -> Result<(), RunError> {
        let mut dma = self.load(wish)?;
        let cpu = self.cpu(0);
        let doorbell = self.engine(dma.engine)?.prepare(cpu, dma.registers, dma.order)?;
        dma.stage = Stage::Prepared(doorbell);
        self.dmas.open.insert(dma.engine.index, dma);
        Ok(())
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
        let dma = Dma { engine, registers, to, order, reach, data, stage: Stage::Commanded };
        // Data that stands there already would prove nothing.
        if !self.is_fresh(&dma)? {
            let what = format!("the data {:#010x} is not there before its DMA", dma.data.first());
            self.expectation(&what, false);
        }
        Ok(dma)
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
        let Some(dma) = self.dmas.open.remove(&engine.index).filter(commanded) else {
            return Ok(self.expectation("a DMA was commanded before its end is awaited", false));
        };
        let cpu = self.cpu(0);
        let ending = self.engine(engine)?.finish(cpu, dma.registers)?;
        let faults = self.take_faults();
        let faulted = faults.as_ref().map(|faults| faults.iter().any(|fault| dma.met(fault)));
        let difference = self.first_difference(&dma)?;
        let what = dma.told(expect, difference, faulted, &ending);
        let held = as_expected(expect, difference, faulted, &ending);
        match difference {
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
            self.landed(&dma, arrived, found);
            if arrived {
                self.expectation("data of a DMA that faulted is not in the BAR afterwards", false);
            }
        }
    }

    /// A guest CPU has written a place. Whether that arrived is looked at where it matters.
    pub(crate) fn written_over(&mut self, spot: Spot) -> Result<(), RunError> {
        if self.dmas.standing.iter().any(|(standing, _)| *standing == spot) {
            let found = self.cpu(0).read32(spot.address)?;
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

    fn told(&self, expect: Fate, found: Option<u32>, faulted: Option<bool>, ending: &Ending) -> String {
        let fate = match expect {
            Fate::Lands => "should land",
            Fate::Faults => "should fault",
            Fate::Lost => "should be lost",
            Fate::Either => "may land or be lost",
        };
        let data = match found {
            None => "the data is there",
            Some(u32::MAX) => "the BAR does not answer",
            Some(_) => "the data is not there",
        };
        let records = match faulted {
            Some(true) => "a fault was recorded",
            Some(false) => "no fault was recorded",
            None => "fault records cannot be read here",
        };
        let said = match ending {
            Ending::Over => String::new(),
            Ending::Success => ", the engine says: success".to_owned(),
            Ending::Failed(status) => format!(", the engine says: {status}"),
            Ending::Silent => ", the engine says nothing".to_owned(),
        };
        format!("the DMA {fate}: {data}, {records}{said}")
    }
}

fn as_expected(expect: Fate, found: Option<u32>, faulted: Option<bool>, ending: &Ending) -> bool {
    let well = match ending {
        Ending::Over | Ending::Success => true,
        Ending::Failed(_) | Ending::Silent => false,
    };
    match expect {
        Fate::Lands => found.is_none() && faulted != Some(true) && well,
        Fate::Faults => found.is_some() && faulted == Some(true),
        Fate::Lost => found.is_some(),
        Fate::Either => true,
    }
}

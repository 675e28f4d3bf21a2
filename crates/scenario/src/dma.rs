//! A peer's DMA, from the command to what was seen of it.

use crate::language::{Fate, Place};
use crate::runner::{DeviceRef, RunError, Runner, Spot};
use barkeep_export::Fault;
use barkeep_journal::{Actor, Event, Kind, SeenBy};
use barkeep_platform::map::SCRATCH;
use barkeep_probe::command::EDU_BUFFER;
use barkeep_probe::{Command, DmaDirection, Reply};

/// edu needs 100 ms for each DMA; this is time enough for ten.
const PATIENCE_NS: u64 = 1_000_000_000;

/// A DMA that was commanded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dma {
    engine: DeviceRef,
    to: Spot,
    size: u64,
    pattern: u32,
}

impl Runner<'_, '_> {
    /// Gets the pattern into the engine's buffer, then commands it to the BAR and goes on.
    pub(crate) fn dma_start(
        &mut self,
        engine: &str,
        to: &Place,
        size: u64,
        pattern: u32,
    ) -> Result<(), RunError> {
        let engine_spot = self.spot(&Place { device: engine.to_owned(), bar: 0, offset: 0 })?;
        let (edu_bar, engine) = (engine_spot.address, engine_spot.device);
        let to = self.spot(to)?;
        let buffer = SCRATCH.start;
        self.call(0, Command::Fill { address: buffer, length: size, pattern, step: 0 })?;
        let inward = DmaDirection::FromMemory;
        self.call(
            0,
            Command::EduStart {
                edu_bar,
                source: buffer,
                destination: EDU_BUFFER,
                length: size,
                direction: inward,
            },
        )?;
        self.call(0, Command::EduWait { edu_bar, max_ns: PATIENCE_NS })?;
        self.take_faults();
        // A pattern that stands there already would prove nothing.
        let fresh = self.first_difference(to, size, pattern)?.is_some();
        if !fresh {
            self.expectation(&format!("the pattern {pattern:#010x} is not there before its DMA"), false);
        }
        let event = Event::new(Kind::DmaStart, Actor::Guest).device(engine.address);
        self.world.board().journal().emit(event.range(to.address, size).value(pattern.into()));
        let outward = DmaDirection::ToMemory;
        self.call(
            0,
            Command::EduStart {
                edu_bar,
                source: EDU_BUFFER,
                destination: to.address,
                length: size,
                direction: outward,
            },
        )?;
        self.dma = Some(Dma { engine, to, size, pattern });
        Ok(())
    }

    /// Waits for the DMA and writes what is seen of it: the data in the BAR, the IOMMU's
    /// fault records.
    pub(crate) fn dma_finish(&mut self, engine: &str, expect: Fate) -> Result<bool, RunError> {
        let edu_bar = self.spot(&Place { device: engine.to_owned(), bar: 0, offset: 0 })?.address;
        let Some(dma) = self.dma.take() else {
            return Ok(self.expectation("a DMA was commanded before its end is awaited", false));
        };
        self.call(0, Command::EduWait { edu_bar, max_ns: PATIENCE_NS })?;
        let faults = self.take_faults();
        let faulted = faults.as_ref().map(|faults| faults.iter().any(|fault| dma.met(fault)));
        let difference = self.first_difference(dma.to, dma.size, dma.pattern)?;
        match difference {
            None => self.landed(&dma, true, dma.pattern),
            // Nobody answers: whether the data is there shows when the BAR can be read.
            Some(u32::MAX) => self.undecided.push(dma),
            Some(found) => self.landed(&dma, false, found),
        }
        let data = match difference {
            None => "the data is there",
            Some(u32::MAX) => "the BAR does not answer",
            Some(_) => "the data is not there",
        };
        let held = match expect {
            Fate::Lands => difference.is_none() && faulted != Some(true),
            Fate::Faults => difference.is_some() && faulted == Some(true),
        };
        let records = match faulted {
            Some(true) => "a fault was recorded",
            Some(false) => "no fault was recorded",
            None => "fault records cannot be read here",
        };
        Ok(self.expectation(&format!("the DMA {}: {data}, {records}", fate(expect)), held))
    }

    /// A place was read again: DMAs to it that were undecided are decided now.
    pub(crate) fn decide(&mut self, spot: Spot, found: u32) {
        let (here, elsewhere) =
            std::mem::take(&mut self.undecided).into_iter().partition(|dma| dma.to == spot);
        self.undecided = elsewhere;
        let here: Vec<Dma> = here;
        for dma in here {
            let arrived = found == dma.pattern;
            self.landed(&dma, arrived, found);
            if arrived {
                self.expectation("data of a DMA that faulted is not in the BAR afterwards", false);
            }
        }
    }

    fn landed(&self, dma: &Dma, landed: bool, found: u32) {
        let kind = if landed { Kind::Landed } else { Kind::NotLanded };
        let event = Event::new(kind, Actor::Guest).device(dma.to.device.address).bar(dma.to.bar);
        let event = event.range(dma.to.offset, dma.size).value(found.into()).seen_by(SeenBy::GuestRead);
        self.world.board().journal().emit(event.text("dma"));
    }

    /// The first word at a place that is not the pattern.
    fn first_difference(&self, at: Spot, size: u64, pattern: u32) -> Result<Option<u32>, RunError> {
        let reply = self.call(0, Command::Verify { address: at.address, length: size, pattern, step: 0 })?;
        match reply {
            Reply::Verified { mismatch } => Ok(mismatch.map(|m| m.first_value)),
            other => Err(RunError::Confused(other)),
        }
    }

    /// Takes the fault records that are there and writes each to the journal.
    fn take_faults(&self) -> Option<Vec<Fault>> {
        let faults = self.world.board().faults()?;
        for fault in &faults {
            let event = Event::new(Kind::Faulted, Actor::Kernel).device(fault.requester).at(fault.time_ns);
            let event = event.seen_by(SeenBy::IommuFault).text(fault.text.as_str());
            self.world.board().journal().emit(event.address(fault.iova));
        }
        Some(faults)
    }
}

impl Dma {
    fn met(&self, fault: &Fault) -> bool {
        // The record gives the page; a DMA of less than a page may start inside it.
        let pages = self.to.address & !0xfff..self.to.address + self.size;
        fault.requester == self.engine.address && pages.contains(&fault.iova)
    }
}

fn fate(fate: Fate) -> &'static str {
    match fate {
        Fate::Lands => "should land",
        Fate::Faults => "should fault",
    }
}

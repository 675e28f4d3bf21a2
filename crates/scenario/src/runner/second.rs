//! The second process: its start, and the DMA of its engine, which a guest CPU looks for.

use super::{RunError, Runner};
use crate::language::{Place, Second};
use barkeep_export::{Errno, Fault, Function, SECOND_IOVA};
use barkeep_journal::{Actor, DeviceAddress, Event, Kind, SeenBy};
use std::time::Duration;

/// Words its DMAs bring: this and the DMA's number.
const NUMBERED: u32 = 0x5ec0_0000;
/// How long a DMA may take that nobody is left to ask after: more than edu's 100 ms.
const ENGINE_TAKES: Duration = Duration::from_millis(150);
const PAGE: u64 = 0x1000;

/// What is to be remembered of it.
#[derive(Default)]
pub(super) struct Neighbour {
    /// Where in a BAR its window is, and its DMAs go.
    of: Option<Place>,
    number: u32,
    flying: Option<Flying>,
}

/// A DMA that was commanded.
struct Flying {
    engine: DeviceAddress,
    to: Place,
    iova: u64,
    word: u32,
}

/// What was seen of one.
#[derive(Clone, Copy)]
struct Seen {
    landed: bool,
    /// `None` where fault records cannot be read.
    faulted: Option<bool>,
}

impl Seen {
    fn is(self, expect: &str) -> bool {
        let Self { landed, faulted } = self;
        match expect {
            "lands" => landed && faulted != Some(true),
            "faults" => !landed && faulted == Some(true),
            "lost" => !landed,
            _ => true,
        }
    }
}

impl Runner<'_, '_> {
    /// All that needs a guest CPU or what the runner remembers; the rest are deeds.
    pub(super) fn second(
        &mut self,
        what: Second,
        of: Option<&Place>,
        engine: Option<&str>,
        expect: &str,
    ) -> Result<bool, RunError> {
        match (what, of) {
            (Second::Start, Some(of)) => self.start_second(of, engine, expect),
            (Second::DmaStart, _) => {
                let result = self.second_dma_start()?;
                Ok(self.expect_errno("DMA of the second process", expect, result))
            }
            (Second::DmaFinish, _) => self.second_dma_finish(expect),
            (Second::Dma, _) => match self.second_dma_start()? {
                Ok(()) => self.second_dma_finish(expect),
                Err(errno) => {
                    let what = format!("the second process's DMA is commanded: {errno}");
                    Ok(self.expectation(&what, expect == "any" || expect == "either"))
                }
            },
            (Second::Start | Second::Import | Second::Unmap | Second::Drop, _)
            | (Second::End | Second::Kill, _) => unreachable!("it has no window, or is a deed"),
        }
    }

    fn start_second(&mut self, of: &Place, engine: Option<&str>, expect: &str) -> Result<bool, RunError> {
        let spot = self.window(of)?;
        let board = self.world.board();
        let window = board.window(spot.device.index, spot.bar, spot.offset);
        let window = window.ok_or_else(|| RunError::NoWindow(of.to_string()))?;
        let engine = engine.map(|name| self.host_address(name)).transpose()?;
        let result = board.start_second(window, engine);
        if result.is_ok() {
            self.neighbour.of = Some(of.clone());
        }
        Ok(self.expect_errno("start of the second process", expect, result))
    }

    fn second_dma_start(&mut self) -> Result<Result<(), Errno>, RunError> {
        let board = self.world.board();
        let (Some(to), Some(engine)) = (self.neighbour.of.clone(), board.second_engine()) else {
            return Ok(Err(Errno::SRCH));
        };
        let spot = self.spot(&to)?;
        self.neighbour.number += 1;
        let word = NUMBERED | self.neighbour.number & 0xffff;
        // Records of before are nobody's any more.
        board.faults();
        if self.cpu(0).read32(spot.address)? == word {
            self.expectation("the second process's data is not there before its DMA", false);
        }
        let id = board.window(spot.device.index, spot.bar, spot.offset);
        let id = id.ok_or_else(|| RunError::NoWindow(to.to_string()))?;
        let start = board.function(id.device).windows()[usize::from(id.window)].offset;
        let offset = spot.offset - start;
        let result = board.second_dma(offset, word);
        if result.is_ok() {
            self.neighbour.flying = Some(Flying { engine, to, iova: SECOND_IOVA + offset, word });
        }
        Ok(result)
    }

    fn second_dma_finish(&mut self, expect: &str) -> Result<bool, RunError> {
        let Some(Flying { engine, to, iova, word }) = self.neighbour.flying.take() else {
            let what = "the second process's DMA was commanded before its end is awaited";
            return Ok(self.expectation(what, expect == "any" || expect == "either"));
        };
        if self.world.board().second_dma_over().is_err() {
            // The process is gone, or its engine: nobody tells when it is over.
            self.world.pause(ENGINE_TAKES);
        }
        let ours = |fault: &Fault| fault.requester == engine && fault.iova / PAGE == iova / PAGE;
        let faulted = self.world.board().faults().map(|faults| faults.iter().any(ours));
        let spot = self.spot(&to)?;
        let found = self.cpu(0).read32(spot.address)?;
        let landed = found == word;
        if found != u32::MAX {
            let kind = if landed { Kind::Landed } else { Kind::NotLanded };
            let event = Event::new(kind, Actor::Guest).device(spot.device.address).bar(spot.bar);
            let event = event.range(spot.offset, 4).value(found.into()).seen_by(SeenBy::GuestRead);
            self.world.board().journal().emit(event.text("second"));
        }
        let data = match found {
            u32::MAX => "the BAR does not answer",
            _ if landed => "the data is there",
            _ => "the data is not there",
        };
        let records = match faulted {
            Some(true) => "a fault was recorded",
            Some(false) => "no fault was recorded",
            None => "fault records cannot be read here",
        };
        let what = format!("the second process's DMA: {expect} expected, {data}, {records}");
        Ok(self.expectation(&what, Seen { landed, faulted }.is(expect)))
    }
}

//! The DMA of somebody beside the VM, which a guest CPU looks for.

use super::{RunError, Runner};
use crate::language::Place;
use barkeep_export::{Errno, Fault, Function};
use barkeep_journal::{Actor, DeviceAddress, Event, Kind, SeenBy};
use std::time::Duration;

/// How long a DMA may take that nobody is left to ask after: more than edu's 100 ms.
const ENGINE_TAKES: Duration = Duration::from_millis(150);
const PAGE: u64 = 0x1000;

/// A DMA that was commanded.
pub(super) struct Flying {
    pub engine: DeviceAddress,
    pub to: Place,
    /// What the engine puts on the bus.
    pub address: u64,
    pub word: u32,
    pub whose: Whose,
}

/// Who has the engine.
#[derive(Clone, Copy)]
pub(super) enum Whose {
    Second,
    Importer,
}

impl Whose {
    /// The journal's text of what came of it.
    fn text(self) -> &'static str {
        match self {
            Self::Second => "second",
            Self::Importer => "importer",
        }
    }

    fn told(self) -> &'static str {
        match self {
            Self::Second => "the second process",
            Self::Importer => "the importer",
        }
    }
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
    /// Before one is commanded: looks whether what it brings is not there yet. Gives how far from the begin of its
    /// window it goes to.
    pub(super) fn before_flight(&self, to: &Place, word: u32, whose: Whose) -> Result<u64, RunError> {
        let spot = self.spot(to)?;
        let board = self.world.board();
        // Records of before are nobody's any more.
        board.faults();
        if self.cpu(0).read32(spot.address)? == word {
            let what = format!("{}'s data is not there before its DMA", whose.told());
            self.expectation(&what, false);
        }
        let id = board.window(spot.device.index, spot.bar, spot.offset);
        let id = id.ok_or_else(|| RunError::NoWindow(to.to_string()))?;
        let start = board.function(id.device).windows()[usize::from(id.window)].offset;
        Ok(spot.offset - start)
    }

    /// What became of one, whose engine has said that it is over.
    pub(super) fn flew(
        &self,
        flying: &Flying,
        over: Result<(), Errno>,
        expect: &str,
    ) -> Result<bool, RunError> {
        let Flying { engine, to, address, word, whose } = flying;
        if over.is_err() {
            // Whoever had the engine is gone, or the engine: nobody tells when it is over.
            self.world.pause(ENGINE_TAKES);
        }
        let ours = |fault: &Fault| fault.requester == *engine && fault.iova / PAGE == address / PAGE;
        let faulted = self.world.board().faults().map(|faults| faults.iter().any(ours));
        let spot = self.spot(to)?;
        let found = self.cpu(0).read32(spot.address)?;
        let landed = found == *word;
        if found != u32::MAX {
            let kind = if landed { Kind::Landed } else { Kind::NotLanded };
            let event = Event::new(kind, Actor::Guest).device(spot.device.address).bar(spot.bar);
            let event = event.range(spot.offset, 4).value(found.into()).seen_by(SeenBy::GuestRead);
            self.world.board().journal().emit(event.text(whose.text()));
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
        let what = format!("{}'s DMA: {expect} expected, {data}, {records}", whose.told());
        Ok(self.expectation(&what, Seen { landed, faulted }.is(expect)))
    }
}

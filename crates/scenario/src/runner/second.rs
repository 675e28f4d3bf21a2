//! The second process: its start, and the DMA of its engine, which a guest CPU looks for.

use super::flying::{Flying, Whose};
use super::{RunError, Runner};
use crate::language::{Place, Second};
use barkeep_export::{Errno, SECOND_IOVA};

/// Words its DMAs bring: this and the DMA's number.
const NUMBERED: u32 = 0x5ec0_0000;

/// What is to be remembered of it.
#[derive(Default)]
pub(super) struct Neighbour {
    /// Where in a BAR its window is, and its DMAs go.
    of: Option<Place>,
    number: u32,
    flying: Option<Flying>,
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
        self.neighbour.number += 1;
        let word = NUMBERED | self.neighbour.number & 0xffff;
        let offset = self.before_flight(&to, word, Whose::Second)?;
        let result = board.second_dma(offset, word);
        if result.is_ok() {
            let address = SECOND_IOVA + offset;
            self.neighbour.flying = Some(Flying { engine, to, address, word, whose: Whose::Second });
        }
        Ok(result)
    }

    fn second_dma_finish(&mut self, expect: &str) -> Result<bool, RunError> {
        let Some(flying) = self.neighbour.flying.take() else {
            let what = "the second process's DMA was commanded before its end is awaited";
            return Ok(self.expectation(what, expect == "any" || expect == "either"));
        };
        let over = self.world.board().second_dma_over();
        self.flew(&flying, over, expect)
    }
}

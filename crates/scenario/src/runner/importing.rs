//! An importing device beside the VM: its attachment, and its DMA, which a guest CPU looks for.

use super::flying::{Flying, Whose};
use super::{RunError, Runner};
use crate::language::{Importing, Place};
use barkeep_export::Errno;
use std::time::Duration;

/// Words its DMAs bring: this and the DMA's number.
const NUMBERED: u32 = 0x13b0_0000;

/// What is to be remembered of it.
#[derive(Default)]
pub(super) struct Importer {
    /// Where in a BAR its window is, and its DMAs go.
    of: Option<Place>,
    number: u32,
    flying: Option<Flying>,
}

impl Runner<'_, '_> {
    /// All that needs a guest CPU or what the runner remembers; the rest are deeds. `attach` is the window, the
    /// device, and for how long that holds on.
    pub(super) fn import(
        &mut self,
        what: Importing,
        attach: Option<(&Place, &str, Duration)>,
        expect: &str,
    ) -> Result<bool, RunError> {
        match (what, attach) {
            (Importing::Attach, Some((of, engine, hold))) => self.attach_importer(of, engine, hold, expect),
            (Importing::DmaStart, _) => {
                let result = self.importer_dma_start()?;
                Ok(self.expect_errno("the importer's DMA", expect, result))
            }
            (Importing::DmaFinish, _) => self.importer_dma_finish(expect),
            (Importing::Dma, _) => match self.importer_dma_start()? {
                Ok(()) => self.importer_dma_finish(expect),
                Err(errno) => {
                    let what = format!("the importer's DMA is commanded: {errno}");
                    Ok(self.expectation(&what, expect == "any" || expect == "either"))
                }
            },
            (Importing::Attach | Importing::Map | Importing::Use | Importing::Unmap, _)
            | (Importing::Pin | Importing::Unpin | Importing::Detach, _) => {
                unreachable!("it has no window, or is a deed")
            }
        }
    }

    fn attach_importer(
        &mut self,
        of: &Place,
        engine: &str,
        hold: Duration,
        expect: &str,
    ) -> Result<bool, RunError> {
        let spot = self.window(of)?;
        let board = self.world.board();
        let window = board.window(spot.device.index, spot.bar, spot.offset);
        let window = window.ok_or_else(|| RunError::NoWindow(of.to_string()))?;
        let result = board.attach_importer(window, self.host_address(engine)?, hold);
        if result.is_ok() {
            self.importer.of = Some(of.clone());
        }
        Ok(self.expect_errno("the importer's attach", expect, result))
    }

    fn importer_dma_start(&mut self) -> Result<Result<(), Errno>, RunError> {
        let (Some(to), Some((_, engine))) = (self.importer.of.clone(), self.world.board().importer()) else {
            return Ok(Err(Errno::SRCH));
        };
        self.importer.number += 1;
        let word = NUMBERED | self.importer.number & 0xffff;
        let offset = self.before_flight(&to, word, Whose::Importer)?;
        let address = self.world.board().importer_dma(offset, word);
        Ok(address.map(|address| {
            self.importer.flying = Some(Flying { engine, to, address, word, whose: Whose::Importer });
        }))
    }

    fn importer_dma_finish(&mut self, expect: &str) -> Result<bool, RunError> {
        let Some(flying) = self.importer.flying.take() else {
            let what = "the importer's DMA was commanded before its end is awaited";
            return Ok(self.expectation(what, expect == "any" || expect == "either"));
        };
        let over = self.world.board().importer_dma_over();
        self.flew(&flying, over, expect)
    }
}

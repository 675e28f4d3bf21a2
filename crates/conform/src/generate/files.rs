//! Device files, and what is asked of a device as a whole.

use super::Maker;
use barkeep_model::Op;
use barkeep_model::op::{CONTEXT_OF_SPACE, CONTEXTS, SPACES};

impl Maker<'_> {
    pub(super) fn open(&mut self) -> Option<Op> {
        let device = self.someone()?;
        // One that is open cannot be bound again: asked now and then.
        if self.expected.is_open(device) && !self.draw.once_in(6) {
            return None;
        }
        let file = self.register(|expected| &expected.files, false)?;
        let context = if self.draw.once_in(5) { self.draw.below(CONTEXTS as u32) as u8 } else { 0 };
        Some(Op::Open { device, context, file })
    }

    pub(super) fn attach(&mut self) -> Option<Op> {
        let file = self.file()?;
        let any = self.draw.below(SPACES as u32) as u8;
        let context =
            self.expected.device(file).map(|device| self.expected.devices[usize::from(device)].context);
        let first = CONTEXT_OF_SPACE.iter().position(|of| context == Some(*of)).unwrap_or(0) as u8;
        // Mostly one space for all, or no DMA ever meets a mapping.
        let space = if self.draw.once_in(3) { any } else { first };
        Some(Op::Attach { file, space })
    }

    pub(super) fn dup_file(&mut self) -> Option<Op> {
        let file = self.file()?;
        let to = self.register(|expected| &expected.files, false)?;
        Some(Op::DupFile { file, to })
    }

    pub(super) fn receive_file(&mut self) -> Option<Op> {
        if self.expected.sent_files.is_empty() && !self.draw.once_in(6) {
            return None;
        }
        let to = self.register(|expected| &expected.files, false)?;
        Some(Op::ReceiveFile { to })
    }

    pub(super) fn low_power_entry(&mut self) -> Option<Op> {
        let file = self.file()?;
        let wakes = self.draw.once_in(4);
        Some(Op::LowPowerEntry { file, wakes })
    }

    pub(super) fn low_power_exit(&mut self) -> Option<Op> {
        let file = self.file()?;
        let device = self.expected.device(file).map(|device| self.expected.devices[usize::from(device)]);
        let entered = device.is_some_and(|device| device.low_power);
        (entered || self.draw.once_in(4)).then_some(Op::LowPowerExit { file })
    }

    pub(super) fn reset_methods(&mut self) -> Option<Op> {
        let device = self.someone()?;
        let present = self.draw.once_in(3);
        Some(Op::ResetMethods { device, present })
    }

    pub(super) fn rescan(&mut self) -> Option<Op> {
        let removed = (0..self.expected.devices.len() as u8)
            .filter(|device| self.expected.devices[usize::from(*device)].removed)
            .collect::<Vec<_>>();
        let device = if self.draw.once_in(40) { self.someone() } else { self.draw.one_of(&removed) }?;
        Some(Op::Rescan { device })
    }
}

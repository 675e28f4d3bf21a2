//! Config space: the registers that revoke and restore.

use super::Maker;
use crate::registers::{self, COMMAND_BITS, Register};
use barkeep_model::Op;
use barkeep_pci::header;

/// Where no function has anything.
const BEYOND: u16 = header::EXTENDED_CONFIG_SIZE;

/// What is written.
type Write = (u16, u8, u32);

impl Maker<'_> {
    pub(super) fn config_write(&mut self) -> Option<Op> {
        let mut file = self.file()?;
        // An engine that may not do DMA shows nothing: mostly somebody else.
        if self.expected.device(file) == self.cast.engine && !self.draw.once_in(3) {
            file = self.file()?;
        }
        let device = self.expected.device(file).unwrap_or(self.cast.target);
        let register = self.draw.weighted(&[
            (8, Register::Command),
            (4, Register::Power),
            (4, Register::Control),
            (4, Register::AfControl),
            (1, Register::Bar),
        ])?;
        if self.draw.once_in(60) {
            return Some(Op::ConfigWrite { file, offset: BEYOND, width: 4, value: 0 });
        }
        let (offset, width, value) = match register {
            Register::Command => self.command(device),
            Register::Power => self.power(device)?,
            Register::Control => self.control(device)?,
            Register::AfControl => self.af_control(device)?,
            Register::Bar => self.bar_register(device),
        };
        Some(Op::ConfigWrite { file, offset, width, value })
    }

    fn command(&mut self, device: u8) -> Write {
        let at_open = registers::at_open(self.machine, device, header::COMMAND);
        let now = self.expected.devices[usize::from(device)].command.unwrap_or(at_open) & COMMAND_BITS;
        let value = match self.draw.below(10) {
            0..4 => now & !header::COMMAND_MEMORY,
            4..7 => now | header::COMMAND_MEMORY | header::COMMAND_MASTER,
            7 | 8 => now,
            _ => self.draw.word() as u16 & COMMAND_BITS,
        };
        (header::COMMAND, if self.draw.once_in(4) { 1 } else { 2 }, u32::from(value))
    }

    fn power(&mut self, device: u8) -> Option<Write> {
        let offset = registers::power(self.machine, device)?;
        let state = self.draw.weighted(&[(4, 3), (4, 0), (1, 1), (1, 2)])?;
        Some((offset, if self.draw.once_in(3) { 1 } else { 2 }, state))
    }

    fn control(&mut self, device: u8) -> Option<Write> {
        let offset = registers::control(self.machine, device)?;
        let kept = registers::at_open(self.machine, device, offset) & !header::PCIE_DEVCTL_FLR;
        let flr = kept | header::PCIE_DEVCTL_FLR;
        Some(match self.draw.below(10) {
            0..6 => (offset, 2, u32::from(flr)),
            6 | 7 => (offset + 1, 1, u32::from(flr >> 8)),
            8 => (offset, 2, u32::from(kept)),
            _ => (offset, 1, u32::from(kept & 0xff)),
        })
    }

    fn af_control(&mut self, device: u8) -> Option<Write> {
        let offset = registers::af_control(self.machine, device)?;
        let value = if self.draw.once_in(4) { 0 } else { header::AF_CTRL_FLR };
        Some((offset, 1, u32::from(value)))
    }

    /// As software that sizes a BAR writes it, or moves it, or puts it back.
    fn bar_register(&mut self, device: u8) -> Write {
        let offset = header::BAR0 + 4 * self.draw.below(header::BAR_COUNT as u32) as u16;
        let half = |offset| u32::from(registers::at_open(self.machine, device, offset));
        let at_open = half(offset) | half(offset + 2) << 16;
        let value = match self.draw.below(3) {
            0 => u32::MAX,
            1 => at_open,
            _ => self.draw.word(),
        };
        (offset, 4, value)
    }

    pub(super) fn config_read(&mut self) -> Option<Op> {
        let file = self.file()?;
        let device = self.expected.device(file).unwrap_or(self.cast.target);
        let bar = header::BAR0 + 4 * self.draw.below(header::BAR_COUNT as u32) as u16;
        let (offset, width, mask) = match self.draw.below(10) {
            0..3 => (header::COMMAND, 2, u32::from(COMMAND_BITS)),
            3..6 => (registers::power(self.machine, device)?, 2, u32::from(header::PM_PMCSR_STATE)),
            6 => (registers::control(self.machine, device)?, 2, u32::from(header::PCIE_DEVCTL_FLR)),
            7 => (header::VENDOR, 4, u32::MAX),
            8 => (bar, 4, u32::MAX),
            _ => (BEYOND, 4, u32::MAX),
        };
        Some(Op::ConfigRead { file, offset, width, mask })
    }
}

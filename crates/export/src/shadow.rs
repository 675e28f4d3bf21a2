//! What is remembered of a function's registers between events, and what it means: the part of
//! [`crate::Passthrough`] that does no I/O.

mod planted;

use crate::contract::{Cause, Errno, LowPower, Passage};
use barkeep_journal::Trigger;
use barkeep_pci::bars;
use barkeep_pci::header;
use barkeep_pci::layout::Layout;
use barkeep_pci::write::{ConfigWrite, Effect, Effects, Registers};
use barkeep_planted::{Fault, Progress, is_planted};
use std::ops::Range;

/// The registers that decide about a function's windows.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Shadow {
    /// COMMAND as last written and PMCSR as last read: what the kernel goes by.
    registers: Registers,
    /// COMMAND had memory decode on when it was read last.
    seen_on: bool,
    /// The six BAR registers as the guest reads them.
    bars: [u32; 6],
    /// This process has entered low power and not left it.
    low_power: bool,
    /// Of a planted fault; nothing in a build without.
    progress: Progress,
}

impl Shadow {
    /// Of a device that was just opened: COMMAND, PMCSR (0 without the capability) and the BAR
    /// registers as they read.
    pub fn new(layout: &Layout, command: u16, pmcsr: u16, bars: [u32; 6]) -> Self {
        let decodes = if layout.is_virtual_function { header::COMMAND_MEMORY } else { 0 };
        let registers = Registers { command: command | decodes, pmcsr };
        let seen_on = registers.command & header::COMMAND_MEMORY != 0;
        Self { registers, seen_on, bars, low_power: false, progress: Progress::default() }
    }

    /// The BAR registers as they were read last.
    pub fn bars(&self) -> &[u32; 6] {
        &self.bars
    }

    /// COMMAND as last written, PMCSR as last read.
    pub fn registers(&self) -> Registers {
        self.registers
    }

    /// COMMAND's memory bit was on when it was read last.
    pub fn seen_on(&self) -> bool {
        self.seen_on
    }

    /// What a config write would do to the mappings; `None` for nothing, and it need not go
    /// through the driver.
    ///
    /// Decode on is more than decode kept also where decode was last *written* on and then found
    /// off: somebody else has turned it off, the windows are away, and this write brings them back.
    pub fn classify(&self, layout: &Layout, write: &ConfigWrite) -> Option<Cause> {
        let mut before = self.registers;
        if !self.seen_on {
            before.command &= !header::COMMAND_MEMORY;
        }
        let effects = layout.classify(&before, write);
        let trigger = trigger(&effects, layout.memory_enabled(&self.registers))
            .filter(|trigger| !self.plant_misses(*trigger, write))?;
        Some(Cause {
            trigger,
            passage: Passage::ConfigWrite(*write),
            revokes: effects.revokes(),
            resets: effects.resets(),
        })
    }

    /// A write has succeeded; `bars` as they read now, if it touched any.
    pub fn wrote(&mut self, layout: &Layout, write: &ConfigWrite, bars: Option<[u32; 6]>) {
        self.registers = layout.after(&self.registers, write);
        if let Some(bars) = bars.filter(|_| !self.plant_keeps_bars()) {
            self.bars = bars;
        }
    }

    /// Whether a write changes what the BAR registers read.
    pub fn touches_bars(write: &ConfigWrite) -> bool {
        write.iter().any(|(offset, _)| (header::BAR0..header::BARS_END).contains(&offset))
    }

    /// `VFIO_DEVICE_RESET` or a hot reset came back: a reset wakes the function up and restores its config space.
    pub fn reset(&mut self) {
        self.registers.pmcsr &= !header::PM_PMCSR_STATE;
    }

    /// Low power was entered or left. An entry that fails was preceded by one.
    pub fn went(&mut self, which: LowPower, result: Result<(), Errno>) {
        self.low_power = match which {
            LowPower::Entry { .. } if is_planted(Fault::LowPowerForgotten) => false,
            LowPower::Entry { .. } => self.low_power || result.is_ok(),
            LowPower::Exit => self.low_power && result.is_err(),
        };
    }

    /// Whether this process has put the device into low power.
    pub fn low_power(&self) -> bool {
        self.low_power
    }

    /// Whether the function decodes memory, and its power state, by what was read and written
    /// last: the registers are not to be read.
    pub fn remembered(&self, layout: &Layout) -> (bool, u8) {
        let decode = layout.is_virtual_function || self.registers.command & header::COMMAND_MEMORY != 0;
        (decode, (self.registers.pmcsr & header::PM_PMCSR_STATE) as u8)
    }

    /// COMMAND and PMCSR were read; gives whether the function decodes memory, and its power
    /// state. The kernel decides by COMMAND as it was last *written*; the hardware's own bit must
    /// be set too, or nothing would answer.
    pub fn found(&mut self, layout: &Layout, command: u16, pmcsr: Option<u16>) -> (bool, u8) {
        if let Some(pmcsr) = pmcsr {
            self.registers.pmcsr = pmcsr;
        }
        self.seen_on = command & header::COMMAND_MEMORY != 0;
        if self.seen_on {
            self.progress.set(1);
        }
        let decode =
            layout.is_virtual_function || command & self.registers.command & header::COMMAND_MEMORY != 0;
        (decode, (self.registers.pmcsr & header::PM_PMCSR_STATE) as u8)
    }

    /// The address a BAR's registers give it, if all of it lies where BARs may be: in one of
    /// `holes`.
    pub fn placed(&self, layout: &Layout, index: u8, holes: &[Range<u64>]) -> Option<u64> {
        let bar = layout.bars[usize::from(index)].as_ref()?;
        let low = self.bars[usize::from(index)];
        let high = self.bars.get(usize::from(index) + 1).copied().unwrap_or(0);
        let base = bars::address(bar, low, high)?;
        let end = base.checked_add(bar.size)?;
        holes.iter().any(|hole| hole.start <= base && end <= hole.end).then_some(base)
    }
}

/// The journal's name for what a write does, `None` if it leaves mappings alone. The most
/// drastic effect names a write that has several.
fn trigger(effects: &Effects, decodes: bool) -> Option<Trigger> {
    let name = |effect| match effect {
        Effect::Flr => Some((5, Trigger::Flr)),
        Effect::AfFlr => Some((5, Trigger::AfFlr)),
        Effect::D3Hot => Some((4, Trigger::D3hot)),
        Effect::DecodeOff => Some((3, Trigger::DecodeOff)),
        Effect::DecodeOn => Some((2, Trigger::DecodeOn)),
        Effect::D0 | Effect::D1 | Effect::D2 | Effect::SoftReset => Some((2, Trigger::D0)),
        // Only a BAR that is decoded at this moment moves.
        Effect::BarWrite { .. } => decodes.then_some((1, Trigger::BarMove)),
        Effect::DecodeKept
        | Effect::DecodesAnyway
        | Effect::RomWrite
        | Effect::MsiControl
        | Effect::MsiMessage
        | Effect::MsiMask
        | Effect::MsixControl => None,
    };
    effects.iter().filter_map(name).max_by_key(|(weight, _)| *weight).map(|(_, trigger)| trigger)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ON: ConfigWrite =
        ConfigWrite { offset: header::COMMAND, bytes: barkeep_pci::write::Bytes::Two([6, 0]) };

    fn layout() -> Layout {
        let mut image = [0; 256];
        image[..4].copy_from_slice(&[0x34, 0x12, 0xe8, 0x11]);
        Layout::parse(&image, &[0x1000, 0, 0, 0, 0, 0]).unwrap()
    }

    fn on(shadow: &Shadow) -> Option<Trigger> {
        shadow.classify(&layout(), &ON).map(|cause| cause.trigger)
    }

    #[test]
    fn decode_on_after_somebody_else_turned_it_off_is_an_event() {
        let mut shadow = Shadow::new(&layout(), 6, 0, [0; 6]);
        assert_eq!(on(&shadow), None, "it is on");
        assert_eq!(shadow.found(&layout(), 4, None), (false, 0));
        assert_eq!(on(&shadow), Some(Trigger::DecodeOn));
        // And somebody else may turn it on again: what was written last was on all the time.
        assert_eq!(shadow.found(&layout(), 6, None), (true, 0));
        assert_eq!(on(&shadow), None);
    }
}

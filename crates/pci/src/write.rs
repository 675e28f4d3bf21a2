//! What vfio-pci does on a config write.
//!
//! # What the kernel looks at
//!
//! Read from `drivers/vfio/pci/vfio_pci_config.c`, Linux 7.3.4. A user's write is first cut up:
//! `vfio_pci_config_rw` and `vfio_pci_config_rw_single` take 4, 2 or 1 bytes at a time, naturally
//! aligned, never across a dword and never across the edge of a capability, in ascending order.
//! Each piece goes to the handler of the capability it lies in. With capabilities on dwords, as
//! PCI has them, that makes one byte per register decide, however the write was cut:
//!
//! | register | the byte that decides | what is done | handler |
//! |---|---|---|---|
//! | COMMAND | offset 4; bit 1 | clear: revoke, zap the mmaps. Then, bit set or not, restore if the function decodes | `vfio_basic_config_write`, which acts on pieces that *start* at 4 |
//! | COMMAND, high byte | offset 5 | INTx mask only; nothing is revoked or restored | the same |
//! | BAR0..5, ROM | 0x10..0x28, 0x30..0x34 | kept in a shadow, the hardware is not written; nothing is revoked | the same |
//! | PMCSR | capability + 4; bits 1:0 | 3: revoke. Then, whatever was written, restore if the function decodes | `vfio_pm_config_write`, which acts on pieces that *start* there, and `vfio_lock_and_set_power_state` |
//! | DEVCTL | PCIe capability + 9; bit 7 | with DEVCAP.FLR: revoke, reset, restore if the function decodes | `vfio_exp_config_write`: any piece in the capability after which the shadow holds the bit; it is cleared at once, so only a piece covering this byte sets it |
//! | AF control | AF capability + 4; bit 0 | with both AF FLR and TP: as DEVCTL | `vfio_af_config_write`, likewise |
//! | MSI | control, address, data | kept in a shadow; the interrupt itself is set up by ioctl. A piece that touches control *or ends before it* (ID and pointer) has the shadow's control written to the hardware: the VMM lets none of it through ([`crate::msi`]) | `vfio_msi_config_write` |
//! | MSI-X | anything | **dropped**: the capability has no write handler. The VMM emulates it | – |
//! | gaps between capabilities, vendor-specific capabilities, DVSEC | anything | goes to the hardware as it is | `vfio_raw_config_write` |
//! | other capabilities, the rest of extended config space | anything | nothing that revokes | – |
//!
//! "Restore if the function decodes" is `__vfio_pci_memory_enabled`: not in D3hot, and COMMAND's
//! memory bit *in the shadow* set or the function has none of its own (`no_command_memory`: a
//! virtual function). [`Layout::memory_enabled`] is the same predicate.
//!
//! # What follows from it
//!
//! - Clearing the memory bit revokes every time, also when it was clear: on a virtual function
//!   that is visible (revoked, live again in the same write); on others the second time finds
//!   nothing live.
//! - Setting the memory bit anew restores whatever had been revoked, e.g. by
//!   `VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY`; so does any PMCSR write that is not D3hot.
//! - D3hot may not stick: a function that must not enter it (`PCI_DEV_FLAGS_NO_D3`), one without a
//!   working PM capability, or a PF with VFs enabled (EBUSY, `vfio_pci_set_power_state`) is
//!   revoked and live again in the same write. Read PMCSR back and ask
//!   [`Layout::memory_enabled`]; the power state is the hardware's in such a read.
//! - A reset can be refused without a word (`pci_try_reset_function`: EAGAIN when somebody holds
//!   the device lock, ENOTTY when no method is left): revoked and restored, device state kept, and
//!   from D3hot still in D3hot.
//! - A write that *fails* leaves things half done: COMMAND revoked but its shadow bit still set;
//!   the FLR bit set in the shadow, so that the next write anywhere in the PCIe capability resets.
//!   After an errno from a config write, treat the device as suspect.
//! - Writes that go to the hardware raw can reset a device by means only its vendor knows. Nothing
//!   here can tell.

mod effects;
#[cfg(test)]
mod tests;

use std::fmt;

pub use effects::{Effect, Effects};

use crate::header;
use crate::layout::{Layout, PmCapability};

/// One write to a function's config space, as the guest made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConfigWrite {
    /// Offset of the first byte. Need not be aligned to the width.
    pub offset: u16,
    /// What is written, lowest offset first.
    pub bytes: Bytes,
}

/// The bytes of a config write: 1, 2 or 4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Bytes {
    /// An 8-bit write.
    One([u8; 1]),
    /// A 16-bit write.
    Two([u8; 2]),
    /// A 32-bit write.
    Four([u8; 4]),
}

impl Bytes {
    /// The bytes, lowest offset first.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        match self {
            Bytes::One(bytes) => bytes,
            Bytes::Two(bytes) => bytes,
            Bytes::Four(bytes) => bytes,
        }
    }
}

impl ConfigWrite {
    /// A write of `data`; `None` unless it has 1, 2 or 4 bytes.
    #[must_use]
    pub fn new(offset: u16, data: &[u8]) -> Option<ConfigWrite> {
        let bytes = match *data {
            [a] => Bytes::One([a]),
            [a, b] => Bytes::Two([a, b]),
            [a, b, c, d] => Bytes::Four([a, b, c, d]),
            _ => return None,
        };
        Some(ConfigWrite { offset, bytes })
    }

    /// An 8-bit write.
    #[must_use]
    pub fn byte(offset: u16, value: u8) -> ConfigWrite {
        let bytes = Bytes::One([value]);
        ConfigWrite { offset, bytes }
    }

    /// A 16-bit write.
    #[must_use]
    pub fn word(offset: u16, value: u16) -> ConfigWrite {
        let bytes = Bytes::Two(value.to_le_bytes());
        ConfigWrite { offset, bytes }
    }

    /// A 32-bit write.
    #[must_use]
    pub fn dword(offset: u16, value: u32) -> ConfigWrite {
        let bytes = Bytes::Four(value.to_le_bytes());
        ConfigWrite { offset, bytes }
    }

    /// Each byte with its offset, ascending. Bytes that would wrap around are not there.
    pub fn iter(&self) -> impl Iterator<Item = (u16, u8)> + '_ {
        (self.offset..=u16::MAX).zip(self.bytes.as_slice().iter().copied())
    }
}

impl fmt::Display for ConfigWrite {
    /// `0x04 <- 00 04`, bytes as they lie in config space.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#04x} <-", self.offset)?;
        for byte in self.bytes.as_slice() {
            write!(f, " {byte:02x}")?;
        }
        Ok(())
    }
}

/// The registers that decide whether a function decodes memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Registers {
    /// COMMAND **as last written**, starting from what it read at open: the kernel goes by its
    /// shadow, whose memory and I/O bits a read does not show (`vfio_basic_config_read` gives
    /// those of the hardware, and after a reset nobody told vfio of the two differ).
    /// [`Layout::after`] keeps it up to date. At open, set [`header::COMMAND_MEMORY`] on a virtual
    /// function (`vfio_config_init` does).
    pub command: u16,
    /// PMCSR: bits 1:0, the power state, are used. 0 without the capability. Here a read shows the
    /// truth, and reading it back after a write finds a power state that was refused.
    pub pmcsr: u16,
}

/// Power state 3.
const D3HOT: u16 = 3;

impl Registers {
    fn power_state(&self) -> u16 {
        self.pmcsr & header::PM_PMCSR_STATE
    }

    fn set_power_state(&mut self, state: u16) {
        self.pmcsr = self.pmcsr & !header::PM_PMCSR_STATE | state;
    }
}

impl Layout {
    /// Whether CPU access and peer-to-peer DMA are let through with these registers: the kernel's
    /// `__vfio_pci_memory_enabled`. It does not know of `LOW_POWER_ENTRY`; nor does the kernel.
    #[must_use]
    pub fn memory_enabled(&self, registers: &Registers) -> bool {
        let decodes = registers.command & header::COMMAND_MEMORY != 0;
        registers.power_state() < D3HOT && (self.is_virtual_function || decodes)
    }

    /// What vfio-pci does on `write`, in the order it does it, if the write succeeds.
    ///
    /// `before` are the registers before the write; they decide between [`Effect::DecodeOn`] and
    /// [`Effect::DecodeKept`], whether D0 means a [`Effect::SoftReset`], and whether the function
    /// decodes in the end. They never hide a revoke.
    #[must_use]
    pub fn classify(&self, before: &Registers, write: &ConfigWrite) -> Effects {
        self.run(*before, write).0
    }

    /// The registers after `write`, if it succeeds and the function does as it is told.
    #[must_use]
    pub fn after(&self, before: &Registers, write: &ConfigWrite) -> Registers {
        self.run(*before, write).1
    }

    fn run(&self, mut registers: Registers, write: &ConfigWrite) -> (Effects, Registers) {
        let mut effects = Effects::default();
        for (offset, value) in write.iter() {
            self.header_byte(&mut registers, offset, value, &mut effects);
            self.power_byte(&mut registers, offset, value, &mut effects);
            self.reset_byte(&mut registers, offset, value, &mut effects);
            self.interrupt_byte(offset, &mut effects);
        }
        effects.set_live(self.memory_enabled(&registers));
        (effects, registers)
    }

    fn header_byte(&self, now: &mut Registers, offset: u16, value: u8, effects: &mut Effects) {
        const COMMAND_HIGH: u16 = header::COMMAND + 1;
        match offset {
            header::COMMAND => {
                let on = u16::from(value) & header::COMMAND_MEMORY != 0;
                let was_on = now.command & header::COMMAND_MEMORY != 0;
                effects.push(match (on, was_on) {
                    (false, _) => Effect::DecodeOff,
                    (true, false) => Effect::DecodeOn,
                    (true, true) => Effect::DecodeKept,
                });
                now.command = now.command & 0xff00 | u16::from(value);
                if !on && self.memory_enabled(now) {
                    effects.push(Effect::DecodesAnyway);
                }
            }
            COMMAND_HIGH => now.command = now.command & 0x00ff | u16::from(value) << 8,
            header::BAR0..header::BARS_END => {
                let register = (offset - header::BAR0) / 4;
                if let Some(bar) = self.bar_of_register(register as u8) {
                    effects.push(Effect::BarWrite { index: bar.index });
                }
            }
            header::ROM..header::ROM_END => effects.push(Effect::RomWrite),
            _ => {}
        }
    }

    /// `vfio_pm_config_write`. Once in a lower state a function only goes deeper or to D0
    /// (`pci_set_low_power_state`).
    fn power_byte(&self, now: &mut Registers, offset: u16, value: u8, effects: &mut Effects) {
        let Some(pm) = self.pm.filter(|pm| offset == pm.offset + header::PM_PMCSR) else {
            return;
        };
        let PmCapability { no_soft_reset, .. } = pm;
        let state = u16::from(value) & header::PM_PMCSR_STATE;
        let was = now.power_state();
        effects.push(match state {
            0 => Effect::D0,
            1 => Effect::D1,
            2 => Effect::D2,
            _ => Effect::D3Hot,
        });
        if state == 0 && was == D3HOT && !no_soft_reset {
            effects.push(Effect::SoftReset);
        }
        if state == 0 || state > was {
            now.set_power_state(state);
        }
    }

    /// `vfio_exp_config_write` and `vfio_af_config_write`. `pci_dev_save_and_disable` wakes the
    /// function up first, so it ends in D0.
    fn reset_byte(&self, now: &mut Registers, offset: u16, value: u8, effects: &mut Effects) {
        const DEVCTL_HIGH: u16 = header::PCIE_DEVCTL + 1;
        const FLR: u8 = (header::PCIE_DEVCTL_FLR >> 8) as u8;
        let pcie = self.pcie.filter(|pcie| offset == pcie.offset + DEVCTL_HIGH);
        if pcie.is_some_and(|pcie| pcie.flr) && value & FLR != 0 {
            effects.push(Effect::Flr);
            now.set_power_state(0);
        }
        let af = self.af.filter(|af| offset == af.offset + header::AF_CTRL);
        if af.is_some_and(|af| af.flr) && value & header::AF_CTRL_FLR != 0 {
            effects.push(Effect::AfFlr);
            now.set_power_state(0);
        }
    }

    /// The bytes of MSI and MSI-X the VMM has to act on. Reserved and read-only ones have none:
    /// of MSI control only the low byte can be written, of MSI-X control only the high one.
    fn interrupt_byte(&self, offset: u16, effects: &mut Effects) {
        if let Some(msi) = self.msi {
            let message_end = header::MSI_ADDRESS + if msi.is_64bit { 10 } else { 6 };
            let mask = message_end + 2;
            match offset.checked_sub(msi.offset) {
                Some(header::MSI_CONTROL) => effects.push(Effect::MsiControl),
                Some(at) if (header::MSI_ADDRESS..message_end).contains(&at) => {
                    effects.push(Effect::MsiMessage);
                }
                Some(at) if msi.maskable && (mask..mask + 4).contains(&at) => {
                    effects.push(Effect::MsiMask);
                }
                _ => {}
            }
        }
        if let Some(msix) = self.msix
            && offset == msix.offset + header::MSIX_CONTROL + 1
        {
            effects.push(Effect::MsixControl);
        }
    }
}

//! The interrupt registers of a function as its guest sees them, both mechanisms.

use super::vectors::Wanted;
use barkeep_pci::layout::Layout;
use barkeep_pci::msi::{Mechanism, Message, Msi};
use barkeep_pci::msix::Msix;
use barkeep_pci::write::ConfigWrite;

/// Those it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Registers {
    pub msi: Option<Msi>,
    pub msix: Option<Msix>,
}

impl Registers {
    /// As after a reset.
    pub fn of(layout: &Layout) -> Self {
        Self { msi: layout.msi.map(Msi::new), msix: layout.msix.map(Msix::new) }
    }

    /// The same again.
    pub fn reset(&mut self) {
        self.msi.iter_mut().for_each(Msi::reset);
        self.msix.iter_mut().for_each(Msix::reset);
    }

    /// Puts them over what was read of config space; `pending` says of a vector whether its bit is set.
    pub fn show(&self, offset: u16, bytes: &mut [u8], pending: impl Fn(u16) -> bool) {
        if let Some(msi) = &self.msi {
            // Asking costs a system call for each vector, so only where it is read.
            let asked = (offset..).zip(&*bytes).any(|(at, _)| msi.is_pending_register(at));
            let vectors = if asked { 0..msi.vectors() } else { 0..0 };
            let bits = vectors.filter(|vector| pending(*vector)).fold(0, |bits, vector| bits | 1 << vector);
            msi.show(offset, bytes, bits);
        }
        if let Some(msix) = &self.msix {
            msix.show(offset, bytes);
        }
    }

    /// Takes what a guest writes to config space; says whether any of it was for them.
    pub fn write(&mut self, write: &ConfigWrite) -> bool {
        let msi = self.msi.as_mut().is_some_and(|msi| msi.write(write));
        let msix = self.msix.as_mut().is_some_and(|msix| msix.write(write));
        msi || msix
    }

    /// What of such a write is the device's: what lies beside the registers in the same dword.
    pub fn rest(&self, write: &ConfigWrite) -> Option<ConfigWrite> {
        let ours = |offset: u16| {
            let msi = self.msi.as_ref().is_some_and(|msi| msi.covers(offset));
            msi || self.msix.as_ref().is_some_and(|msix| msix.covers(offset))
        };
        let mut rest = write.iter().filter(|(offset, _)| !ours(*offset)).peekable();
        let first = rest.peek()?.0;
        // The registers take whole words at the begin or the end of a dword, so this is in one piece.
        ConfigWrite::new(first, &rest.map(|(_, value)| value).collect::<Vec<_>>())
    }

    /// What they come to. MSI-X is asked first: having both on is undefined (PCI Express Base 6.0,
    /// 6.1.4), and the kernel does one.
    pub fn wanted(&self) -> Wanted {
        if let Some(msix) = self.msix.as_ref().filter(|msix| msix.is_enabled()) {
            let open = |vector: &u16| !msix.is_masked(*vector);
            let message = |vector| (vector, msix.message(vector));
            return wanted(Mechanism::MsiX, msix.vectors(), (0..msix.vectors()).filter(open).map(message));
        }
        if let Some(msi) = self.msi.as_ref().filter(|msi| msi.is_enabled()) {
            let open = |vector: &u16| !msi.is_masked(*vector);
            let message = |vector| (vector, msi.message(vector));
            return wanted(Mechanism::Msi, msi.vectors(), (0..msi.vectors()).filter(open).map(message));
        }
        Wanted::default()
    }
}

fn wanted(mechanism: Mechanism, count: u16, messages: impl Iterator<Item = (u16, Message)>) -> Wanted {
    // One that is no interrupt goes nowhere: its vector is as good as masked.
    let open = messages.filter(|(_, message)| message.is_interrupt()).collect();
    Wanted { on: Some((mechanism, count)), open }
}

#[cfg(test)]
mod tests {
    use super::*;
    use barkeep_pci::layout::{Location, MsiCapability, MsixCapability};

    fn both() -> Registers {
        let msi = MsiCapability { offset: 0x50, is_64bit: false, maskable: false, vectors: 2 };
        let table = Location { bar: 0, offset: 0, size: 32 };
        let pba = Location { bar: 0, offset: 0x800, size: 8 };
        let msix = MsixCapability { offset: 0x70, table, pba };
        Registers { msi: Some(Msi::new(msi)), msix: Some(Msix::new(msix)) }
    }

    #[test]
    fn what_lies_beside_the_registers_is_the_devices() {
        let mut registers = both();
        for (write, rest) in [
            (ConfigWrite::dword(0x50, 0x0001_0203), None),
            (ConfigWrite::dword(0x70, 0x8000_0203), Some(ConfigWrite::word(0x70, 0x0203))),
            (ConfigWrite::dword(0x58, 0xaabb_0041), Some(ConfigWrite::word(0x5a, 0xaabb))),
            (ConfigWrite::dword(0x54, 0xfee0_0000), None),
            (ConfigWrite::word(0x72, 0x8000), None),
        ] {
            assert!(registers.write(&write));
            assert_eq!(registers.rest(&write), rest, "{write}");
        }
        assert!(!registers.write(&ConfigWrite::dword(0x74, 0)));
    }

    #[test]
    fn with_both_on_it_is_msix() {
        let mut registers = both();
        assert_eq!(registers.wanted(), Wanted::default());
        registers.write(&ConfigWrite::dword(0x54, 0xfee0_0000));
        registers.write(&ConfigWrite::byte(0x52, 0x11));
        let wanted = registers.wanted();
        assert_eq!((wanted.on, wanted.open.len()), (Some((Mechanism::Msi, 2)), 2));
        registers.write(&ConfigWrite::word(0x72, 0x8000));
        assert_eq!(registers.wanted(), Wanted { on: Some((Mechanism::MsiX, 2)), ..Wanted::default() });
        registers.reset();
        assert_eq!(registers, both());
    }

    #[test]
    fn a_message_that_is_no_interrupt_is_none() {
        let mut registers = both();
        registers.write(&ConfigWrite::dword(0x54, 0x1000_0000));
        registers.write(&ConfigWrite::byte(0x52, 1));
        assert_eq!(registers.wanted(), Wanted { on: Some((Mechanism::Msi, 1)), ..Wanted::default() });
    }
}

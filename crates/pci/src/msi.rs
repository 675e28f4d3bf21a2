//! The MSI capability as a guest sees it.
//!
//! vfio-pci has an idea of its own of these registers: its shadow takes address and data, shows an
//! enable bit only once MSI is on by ioctl, and its mask bits are the hardware's, which the host's
//! interrupt code writes too (`vfio_msi_config_write`, `init_pci_cap_msi_perm`). Worse, a write of ID and
//! pointer alone, which nothing can change, has the shadow's control go to the hardware (the handler
//! compares with `>=` where the register begins), and turns off what is on. So nothing a guest writes to
//! this capability goes any further: the guest's registers are these, and what they come to is
//! [`Msi::vectors`], [`Msi::message`] and [`Msi::is_masked`].

#[cfg(test)]
mod tests;

use crate::header;
use crate::layout::MsiCapability;
use crate::write::ConfigWrite;

/// A message-signalled interrupt: the memory write that is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Message {
    /// Where it goes; a multiple of 4.
    pub address: u64,
    /// What is written.
    pub data: u32,
}

impl Message {
    /// Whether a write there is an interrupt at all on x86: the 1 MiB from 0xfee00000 (Intel SDM,
    /// volume 3, 12.11.1). Anywhere else it would be plain DMA, which no VMM does for a device.
    #[must_use]
    pub fn is_interrupt(&self) -> bool {
        self.address >> 20 == 0xfee
    }
}

/// By which of the two a function signals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mechanism {
    /// Registers in config space, 1 to 32 vectors.
    Msi,
    /// A table in a BAR, 1 to 2048 vectors.
    MsiX,
}

impl Mechanism {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Msi => "MSI",
            Self::MsiX => "MSI-X",
        }
    }
}

/// Bytes of the image.
const MOST: usize = header::MSI_MOST_SIZE as usize;
/// MSI control: what a guest can write, enable and how many vectors. All in the low byte.
const CONTROL_WRITABLE: u8 = (header::MSI_CONTROL_ENABLE | header::MSI_CONTROL_VECTORS) as u8;
/// Where the control register is, as an index of the image.
const CONTROL: usize = header::MSI_CONTROL as usize;
/// Where the address is.
const ADDRESS: usize = header::MSI_ADDRESS as usize;

/// The registers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Msi {
    capability: MsiCapability,
    /// From the start of the capability; ID and pointer stay 0 and are not shown.
    image: [u8; MOST],
}

impl Msi {
    /// As after a reset: off.
    #[must_use]
    pub fn new(capability: MsiCapability) -> Self {
        let MsiCapability { offset: _, is_64bit, maskable, vectors } = capability;
        let mut control = (vectors.trailing_zeros() as u16) << header::MSI_CONTROL_MOST_SHIFT;
        control |= if is_64bit { header::MSI_CONTROL_64BIT } else { 0 };
        control |= if maskable { header::MSI_CONTROL_MASKABLE } else { 0 };
        let mut image = [0; MOST];
        image[CONTROL..CONTROL + 2].copy_from_slice(&control.to_le_bytes());
        Self { capability, image }
    }

    /// The same again.
    pub fn reset(&mut self) {
        *self = Self::new(self.capability);
    }

    /// Puts what a guest shall see of these registers over what was read at `offset` of config
    /// space. `pending` are the pending bits.
    pub fn show(&self, offset: u16, bytes: &mut [u8], pending: u32) {
        for (at, byte) in (offset..).zip(bytes) {
            match self.register(at) {
                Some(Register::Pending(n)) => *byte = pending.to_le_bytes()[n],
                Some(Register::Kept { at, writable: _ }) => *byte = self.image[at],
                Some(Register::Head) | None => {}
            }
        }
    }

    /// Takes what a guest writes; says whether any of it was for these registers.
    pub fn write(&mut self, write: &ConfigWrite) -> bool {
        let mut ours = false;
        for (offset, value) in write.iter() {
            match self.register(offset) {
                Some(Register::Kept { at, writable }) => {
                    self.image[at] = self.image[at] & !writable | value & writable;
                    ours = true;
                }
                Some(Register::Pending(_) | Register::Head) => ours = true,
                None => {}
            }
        }
        ours
    }

    /// Whether a byte of config space is one of these registers, or of the head before them: then a
    /// write of it must not reach the device.
    #[must_use]
    pub fn covers(&self, offset: u16) -> bool {
        self.register(offset).is_some()
    }

    /// Whether a byte of config space is one of the pending bits'.
    #[must_use]
    pub fn is_pending_register(&self, offset: u16) -> bool {
        matches!(self.register(offset), Some(Register::Pending(_)))
    }

    /// Whether it is on.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.control() & header::MSI_CONTROL_ENABLE != 0
    }

    /// How many vectors the guest has given the function: 1, 2, 4, 8, 16 or 32, and no more than
    /// it has.
    #[must_use]
    pub fn vectors(&self) -> u16 {
        let wanted = (self.control() & header::MSI_CONTROL_VECTORS) >> header::MSI_CONTROL_VECTORS_SHIFT;
        // 6 and 7 are reserved.
        (1 << wanted.min(5)).min(self.capability.vectors)
    }

    /// The message of a vector: all have the address, and each its number in the low bits of the
    /// data (PCI Express Base 6.0, 6.1.4.4).
    #[must_use]
    pub fn message(&self, vector: u16) -> Message {
        let high = if self.capability.is_64bit { self.dword(ADDRESS + 4) } else { 0 };
        let address = u64::from(high) << 32 | u64::from(self.dword(ADDRESS));
        let at = self.data();
        let data = u16::from_le_bytes([self.image[at], self.image[at + 1]]);
        let low = self.vectors() - 1;
        Message { address, data: u32::from(data & !low | vector & low) }
    }

    /// Whether a vector is masked: it becomes pending instead.
    #[must_use]
    pub fn is_masked(&self, vector: u16) -> bool {
        self.mask().is_some_and(|at| self.dword(at) >> vector & 1 != 0)
    }

    fn control(&self) -> u16 {
        u16::from_le_bytes([self.image[CONTROL], self.image[CONTROL + 1]])
    }

    fn dword(&self, at: usize) -> u32 {
        u32::from_le_bytes(std::array::from_fn(|byte| self.image[at + byte]))
    }

    fn data(&self) -> usize {
        if self.capability.is_64bit { ADDRESS + 8 } else { ADDRESS + 4 }
    }

    /// Two reserved bytes follow the data.
    fn mask(&self) -> Option<usize> {
        self.capability.maskable.then(|| self.data() + 4)
    }

    fn register(&self, offset: u16) -> Option<Register> {
        const CONTROL_HIGH: usize = CONTROL + 1;
        const ADDRESS_LOWEST: usize = ADDRESS;
        let at = usize::from(offset.checked_sub(self.capability.offset)?);
        let (data, mask) = (self.data(), self.mask());
        let kept = |writable| Some(Register::Kept { at, writable });
        match at {
            0..CONTROL => Some(Register::Head),
            CONTROL => kept(CONTROL_WRITABLE),
            CONTROL_HIGH => kept(0),
            // A message's address is a multiple of 4.
            ADDRESS_LOWEST => kept(0xfc),
            _ if (ADDRESS..data + 2).contains(&at) => kept(0xff),
            _ if mask.is_some_and(|mask| (mask..mask + 4).contains(&at)) => kept(0xff),
            _ => {
                let pending = mask? + 4;
                (pending..pending + 4).contains(&at).then(|| Register::Pending(at - pending))
            }
        }
    }
}

/// What a byte of the capability is.
enum Register {
    /// ID and pointer, which are the device's to show and nobody's to write.
    Head,
    /// In the image, and which of its bits can be written.
    Kept { at: usize, writable: u8 },
    /// A byte of the pending bits.
    Pending(usize),
}

//! Config images for the tests of this crate.

use crate::header;
use crate::layout::{Layout, LayoutError};

/// Builds a 4 KiB config image register by register.
#[derive(Clone)]
pub(crate) struct Image {
    pub(crate) bytes: Vec<u8>,
    pub(crate) sizes: [u64; 6],
    last: u16,
}

impl Image {
    /// 8086:1572, a network controller, no capabilities, no BARs.
    pub(crate) fn new() -> Image {
        let mut image = Image { bytes: vec![0; 4096], sizes: [0; 6], last: header::CAPABILITIES_POINTER };
        image.put(header::VENDOR, &[0x86, 0x80, 0x72, 0x15]);
        image.put(header::REVISION, &[0x02, 0x00, 0x00, 0x02]);
        image
    }

    pub(crate) fn put(&mut self, offset: u16, bytes: &[u8]) {
        self.bytes[usize::from(offset)..][..bytes.len()].copy_from_slice(bytes);
    }

    pub(crate) fn bar(mut self, index: u8, register: u32, size: u64) -> Image {
        self.put(header::BAR0 + 4 * u16::from(index), &register.to_le_bytes());
        self.sizes[usize::from(index)] = size;
        self
    }

    /// Links a capability at `offset`; `body` is what follows ID and next pointer.
    pub(crate) fn capability(mut self, id: u8, offset: u16, body: &[u8]) -> Image {
        let link = self.last;
        self.put(header::STATUS, &[header::STATUS_CAPABILITIES as u8, 0]);
        self.put(link, &[offset as u8]);
        self.put(offset, &[id, 0]);
        self.put(offset + 2, body);
        self.last = offset + 1;
        self
    }

    pub(crate) fn pm(self, offset: u16, pmcsr: u16) -> Image {
        let [low, high] = pmcsr.to_le_bytes();
        self.capability(header::CAPABILITY_PM, offset, &[3, 0, low, high, 0, 0])
    }

    pub(crate) fn pcie(self, offset: u16, devcap: u32) -> Image {
        let d = devcap.to_le_bytes();
        let body = [2, 0, d[0], d[1], d[2], d[3], 0x10, 0x28, 0, 0];
        self.capability(header::CAPABILITY_PCIE, offset, &body)
    }

    pub(crate) fn af(self, offset: u16, cap: u8) -> Image {
        self.capability(header::CAPABILITY_AF, offset, &[6, cap, 0, 0])
    }

    pub(crate) fn msi(self, offset: u16, control: u16) -> Image {
        self.capability(header::CAPABILITY_MSI, offset, &control.to_le_bytes())
    }

    pub(crate) fn msix(self, offset: u16, vectors: u16, table: u32, pba: u32) -> Image {
        let mut body = (vectors - 1).to_le_bytes().to_vec();
        body.extend(table.to_le_bytes());
        body.extend(pba.to_le_bytes());
        self.capability(header::CAPABILITY_MSIX, offset, &body)
    }

    pub(crate) fn parse(&self) -> Result<Layout, LayoutError> {
        Layout::parse(&self.bytes, &self.sizes)
    }

    /// What a modern network card has: all five capabilities, BAR 0 64-bit prefetchable, BAR 3
    /// with MSI-X.
    pub(crate) fn card() -> Layout {
        Image::new()
            .bar(0, 0x0c, 8 << 20)
            .bar(3, 0x0c, 0x8000)
            .pm(0x40, 0x0008)
            .msi(0x50, header::MSI_CONTROL_64BIT | header::MSI_CONTROL_MASKABLE)
            .msix(0x70, 129, 3, 0x1003)
            .pcie(0xa0, header::PCIE_DEVCAP_FLR)
            .af(0xe0, header::AF_CAP_FLR | header::AF_CAP_TP)
            .parse()
            .expect("a sound image")
    }
}

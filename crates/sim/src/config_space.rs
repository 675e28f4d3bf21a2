//! Config space of a simulated device, built register by register: the image vfio-pci would show
//! just after the open.

use barkeep_pci::header;
use barkeep_pci::layout::BarKind;

/// Where the first capability goes.
const FIRST_CAPABILITY: u16 = header::HEADER_SIZE;
/// PCI Express capability: version 2, endpoint (7.5.3.2).
const PCIE_ENDPOINT: u16 = 0x0002;
/// PMC: version 3 (7.5.2.1), D1 and D2 not supported.
const PM_VERSION: u16 = 3;

/// An image under construction.
pub(crate) struct ConfigSpace {
    bytes: [u8; header::CONFIG_SIZE as usize],
    /// Where the pointer to the next capability goes.
    link: u16,
    /// Where the next capability goes.
    free: u16,
}

impl ConfigSpace {
    /// An endpoint without BARs and capabilities. `class` is base class, sub-class and
    /// programming interface from high to low.
    pub fn new(vendor: u16, device: u16, class: u32) -> Self {
        let bytes = [0; header::CONFIG_SIZE as usize];
        let mut space = Self { bytes, link: header::CAPABILITIES_POINTER, free: FIRST_CAPABILITY };
        space.put(header::VENDOR, &vendor.to_le_bytes());
        space.put(header::DEVICE, &device.to_le_bytes());
        space.put(header::CLASS, &class.to_le_bytes()[..3]);
        space
    }

    /// The type bits of a BAR; the address is the guest's to write.
    pub fn bar(&mut self, index: u8, kind: BarKind, prefetchable: bool) {
        let width = match kind {
            BarKind::Memory32 => 0,
            BarKind::Memory64 => header::BAR_TYPE_64,
            BarKind::Io => header::BAR_IO,
        };
        let flags = if prefetchable { width | header::BAR_PREFETCHABLE } else { width };
        self.put(header::BAR0 + 4 * u16::from(index), &flags.to_le_bytes());
    }

    /// PCI Express, with or without DEVCAP.FLR.
    pub fn pcie(&mut self, flr: bool) {
        let devcap = if flr { header::PCIE_DEVCAP_FLR } else { 0 };
        let at = self.capability(header::CAPABILITY_PCIE, header::PCIE_SIZE);
        self.put(at + 2, &PCIE_ENDPOINT.to_le_bytes());
        self.put(at + header::PCIE_DEVCAP, &devcap.to_le_bytes());
    }

    /// Advanced Features, with FLR and TP.
    pub fn af(&mut self) {
        let at = self.capability(header::CAPABILITY_AF, header::AF_SIZE);
        self.put(at + 2, &[header::AF_SIZE as u8]);
        self.put(at + header::AF_CAP, &[header::AF_CAP_FLR | header::AF_CAP_TP]);
    }

    /// Power management.
    pub fn pm(&mut self, no_soft_reset: bool) {
        let pmcsr = if no_soft_reset { header::PM_PMCSR_NO_SOFT_RESET } else { 0 };
        let at = self.capability(header::CAPABILITY_PM, header::PM_SIZE);
        self.put(at + 2, &PM_VERSION.to_le_bytes());
        self.put(at + header::PM_PMCSR, &pmcsr.to_le_bytes());
    }

    /// MSI-X with so many vectors; table and pending bits in BAR `bar`, at multiples of 8.
    pub fn msix(&mut self, vectors: u16, bar: u8, table: u32, pending: u32) {
        let at = self.capability(header::CAPABILITY_MSIX, header::MSIX_SIZE);
        self.put(at + header::MSIX_CONTROL, &(vectors - 1).to_le_bytes());
        self.put(at + header::MSIX_TABLE, &(table | u32::from(bar)).to_le_bytes());
        self.put(at + header::MSIX_PBA, &(pending | u32::from(bar)).to_le_bytes());
    }

    /// The image.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Links a capability and gives its place.
    fn capability(&mut self, id: u8, size: u16) -> u16 {
        let at = self.free;
        self.put(header::STATUS, &header::STATUS_CAPABILITIES.to_le_bytes());
        self.put(self.link, &[at as u8]);
        self.put(at, &[id]);
        self.link = at + header::CAPABILITY_NEXT;
        self.free = (at + size).next_multiple_of(4);
        at
    }

    fn put(&mut self, offset: u16, bytes: &[u8]) {
        self.bytes[usize::from(offset)..][..bytes.len()].copy_from_slice(bytes);
    }
}

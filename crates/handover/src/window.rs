//! What is handed over: which BAR of which device, and where it is mapped.

use barkeep_model::hardware::Hardware;
use barkeep_pci::write::ConfigWrite;

/// Bytes of the window, from the start of the BAR.
pub const LENGTH: u64 = 0x1_0000;
/// The word that DMA goes to, in the window: not its first, nor of its first page.
pub const TARGET: u64 = 0x3040;
/// Where the importer maps it.
pub const IOVA: u64 = 0x4000_0000;
/// Where it maps it once more, only to learn whether that can be done.
pub const PROBE_IOVA: u64 = 0x5000_0000;

/// Device Control in the PCI Express capability, and FLR in it (PCI Express, 7.5.3.4).
const DEVICE_CONTROL: u16 = 8;
const INITIATE_FLR: u16 = 1 << 15;

/// Two devices, by their numbers in the hardware, and the BAR.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    /// The device whose BAR is exported.
    pub target: usize,
    /// The BAR: plain memory, that every reset keeps.
    pub bar: u8,
    /// The write that resets the device: FLR, and nothing else of Device Control set.
    pub flr: ConfigWrite,
    /// The device that does the DMA.
    pub engine: usize,
}

/// Not the devices this needs.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoWindow {
    /// Nothing to export.
    #[error("no device has a BAR that is plain memory of 64 KiB or more, and FLR; topology nvme-edu has")]
    NoTarget,
    /// Nothing that does DMA.
    #[error("no device is a DMA engine; topology nvme-edu has one")]
    NoEngine,
}

impl Window {
    /// The first of each that will do.
    ///
    /// # Errors
    /// There is none.
    pub fn of(hardware: &Hardware) -> Result<Self, NoWindow> {
        let targets = hardware.devices.iter().enumerate().filter_map(|(target, device)| {
            let bar = device.memory_bar.filter(|bar| device.bar_sizes[usize::from(*bar)] >= LENGTH)?;
            let pcie = device.layout().ok()?.pcie.filter(|pcie| pcie.flr)?;
            Some((target, bar, ConfigWrite::word(pcie.offset + DEVICE_CONTROL, INITIATE_FLR)))
        });
        let engine = hardware.devices.iter().position(|device| device.engine).ok_or(NoWindow::NoEngine)?;
        let mut targets = targets.filter(|(target, ..)| *target != engine);
        let (target, bar, flr) = targets.next().ok_or(NoWindow::NoTarget)?;
        Ok(Self { target, bar, flr, engine })
    }
}

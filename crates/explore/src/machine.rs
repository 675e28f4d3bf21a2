//! The machine that is explored: two devices, their kinds, and how a VMM has set them up.

use barkeep_export::Window;
use barkeep_model::hardware::{BusReset, Device, Hardware, ResetMethod};
use std::ops::Range;

/// Offset of the power management capability.
const PM: u16 = 0x40;
/// Offset of the PCI Express capability.
const PCIE: u16 = 0x50;
/// Offset of the Advanced Features capability.
const AF: u16 = 0x70;

/// PMCSR.
pub(crate) const PMCSR: u16 = PM + 4;
/// The byte of Device Control that has the FLR bit.
pub(crate) const DEVCTL: u16 = PCIE + 8;
/// AF control.
pub(crate) const AF_CONTROL: u16 = AF + 4;
/// The BAR that is exported: 64-bit memory, prefetchable.
pub(crate) const BAR: u8 = 2;
/// Bytes of it.
pub(crate) const BAR_SIZE: u64 = 16 << 20;
/// Flag bits of its register.
pub(crate) const BAR_FLAGS: u32 = 0x0c;
/// COMMAND with memory decode and bus mastering.
pub(crate) const ON: u16 = 6;
/// COMMAND with bus mastering only.
pub(crate) const OFF: u16 = 4;

/// Where a guest puts a device's BAR: at first, after it moved it, and while it finds out its
/// size, which is no place.
pub(crate) const PLACES: [[u64; 3]; 2] =
    [[0xc000_0000, 0xd000_0000, 0xff00_0000], [0xa000_0000, 0xb000_0000, 0xff00_0000]];
/// An IOVA nothing else uses, for another importer's mapping.
pub(crate) const ELSEWHERE: u64 = 0x4000_0000;

/// Where BARs may be.
pub(crate) const HOLE: Range<u64> = 0xa000_0000..0xe000_0000;

/// What the two devices are like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kind {
    /// The first one is a virtual function.
    pub(crate) virtual_function: bool,
    /// The first one cannot be put into D3hot.
    pub(crate) no_d3: bool,
    /// Both are reset together by a hot reset.
    pub(crate) one_set: bool,
    /// Windows of each device.
    pub(crate) windows: [usize; 2],
}

/// Each with one window, nothing in common.
pub(crate) const TWO_ALIKE: Kind =
    Kind { virtual_function: false, no_d3: false, one_set: false, windows: [1, 1] };

impl Kind {
    /// The machine.
    pub(crate) fn hardware(self) -> Hardware {
        Hardware { devices: vec![self.device(0), self.device(1)] }
    }

    fn device(self, number: usize) -> Device {
        let first = number == 0;
        let mut image = [0u8; 256];
        image[..4].copy_from_slice(&[0x36, 0x1b, 0x10, 0x00]);
        image[0x06] = 0x10;
        image[0x18] = BAR_FLAGS as u8;
        image[0x34] = PM as u8;
        // Power management with No_Soft_Reset; FLR in DEVCAP; AF with FLR and TP.
        image[0x40..0x48].copy_from_slice(&[0x01, PCIE as u8, 0x03, 0x00, 0x08, 0x00, 0x00, 0x00]);
        image[0x50..0x58].copy_from_slice(&[0x10, AF as u8, 0x02, 0x00, 0x00, 0x00, 0x00, 0x10]);
        image[0x70..0x76].copy_from_slice(&[0x13, 0x00, 0x06, 0x03, 0x00, 0x00]);
        Device {
            name: ["A", "B"][number].into(),
            config: Device::digits(&image),
            bar_sizes: [0, 0, BAR_SIZE, 0, 0, 0],
            bar_addresses: [0, 0, 0x40_0000_0000 + number as u64 * BAR_SIZE, 0, 0, 0],
            mappable: [false, false, true, false, false, false],
            virtual_function: self.virtual_function && first,
            reset_methods: vec![ResetMethod::Flr, ResetMethod::Pm],
            set: if self.one_set { 0 } else { number as u8 },
            bus_reset: if self.one_set { BusReset::Works } else { BusReset::RootBus },
            memory_bar: Some(BAR),
            watched: vec![],
            engine: false,
            no_d3: self.no_d3 && first,
            wakes_whole: false,
            extra_reset_ns: 0,
            reset_fails: false,
        }
    }

    /// The windows of a device: equal parts of its BAR.
    pub(crate) fn windows(self, device: usize) -> Vec<Window> {
        let count = self.windows[device] as u64;
        let size = BAR_SIZE / count.max(1);
        (0..count).map(|n| Window { bar: BAR, offset: n * size, size, p2p: true }).collect()
    }
}

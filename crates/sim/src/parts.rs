//! From options to the machine the specification runs on.

use crate::config_space::ConfigSpace;
use crate::options::{DmaOptions, Kind, MemoryOptions, Pm, REGISTERS_SIZE};
use barkeep_journal::DeviceAddress;
use barkeep_model::hardware::{BusReset, Device, Hardware, ResetMethod};
use barkeep_pci::header;
use barkeep_pci::layout::BarKind;
use std::time::Duration;

/// edu's ids, so that whoever looks for one finds it.
const EDU_IDS: (u16, u16) = (0x1234, 0x11e8);
/// The ids of a memory device: beside edu's, as nobody's.
const MEMORY_IDS: (u16, u16) = (0x1234, 0x11e9);
/// Memory controller, other (PCI Code and ID Assignment, 1.6).
const CLASS_MEMORY: u32 = 0x05_80_00;
/// Unassigned, as edu has it.
const CLASS_OTHER: u32 = 0xff_00_00;
/// Bytes of edu's BAR 0.
const EDU_BAR_SIZE: u64 = 1 << 20;
/// MSI-X vectors: a table of 256 bytes.
const VECTORS: u16 = 16;
/// Where the pending bits are, counted from the table: in its page.
const PENDING: u64 = 0x800;
/// Segment of all simulated devices. Linux numbers the machine's own from 0, and VMD's from
/// 0x10000, so it is no real device's.
const SEGMENT: u16 = 0xffff;
/// Apart from each other, so far that no BAR reaches its neighbour.
const HOST_ADDRESS_STEP: u64 = 1 << 40;

/// The most devices a VM can have: device numbers 1 to 31 of bus 0.
pub const MOST_DEVICES: usize = 31;

/// A simulated device with the name scenarios know it by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// The name.
    pub name: String,
    /// What it is.
    pub kind: Kind,
}

/// Where the simulated device of a number is said to be.
#[must_use]
pub fn address(number: usize) -> DeviceAddress {
    DeviceAddress { domain: SEGMENT, bus: 0, devfn: (number as u8 + 1) << 3 }
}

/// The number of the simulated device that is said to be there.
#[must_use]
pub fn number(address: DeviceAddress) -> usize {
    usize::from(address.devfn >> 3).saturating_sub(1)
}

/// What an access to the device's BAR ends at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Memory: BAR index and bytes.
    Memory { bar: u8, size: u64 },
    /// The registers of a DMA engine, BAR 0, and how long it takes.
    Engine { delay: Duration },
}

impl Kind {
    pub(crate) fn part(&self) -> Part {
        match self {
            Self::Memory(MemoryOptions { bar, size, .. }) => Part::Memory { bar: *bar, size: *size },
            Self::Dma(DmaOptions { delay }) => Part::Engine { delay: *delay },
        }
    }
}

/// The machine with these devices, each alone on its bus and in its IOMMU group but for those that
/// name the same bus.
#[must_use]
pub fn hardware(devices: &[Named]) -> Hardware {
    let device = |(number, named): (usize, &Named)| {
        let mut device = match &named.kind {
            Kind::Memory(options) => memory(options),
            Kind::Dma(DmaOptions { delay: _ }) => engine(),
        };
        device.name.clone_from(&named.name);
        device.set = set(devices, number) as u8;
        let start = HOST_ADDRESS_STEP * (number as u64 + 1);
        for (bar, size) in device.bar_sizes.into_iter().enumerate() {
            let apart = HOST_ADDRESS_STEP / 8 * bar as u64;
            device.bar_addresses[bar] = if size > 0 { start + apart } else { 0 };
        }
        device
    };
    Hardware { devices: devices.iter().enumerate().map(device).collect() }
}

/// The bus it names.
fn bus(named: &Named) -> Option<&str> {
    match &named.kind {
        Kind::Memory(options) => options.bus.as_deref(),
        Kind::Dma(DmaOptions { delay: _ }) => None,
    }
}

/// The first device of its bus; itself, where it names none.
fn set(devices: &[Named], number: usize) -> usize {
    let bus_of = |other: &Named| bus(other).is_some() && bus(other) == bus(&devices[number]);
    devices.iter().position(bus_of).unwrap_or(number)
}

/// The devices that a hot reset of that one takes, itself among them; none on the root bus.
#[must_use]
pub(crate) fn behind_one_port(hardware: &Hardware, number: usize) -> Vec<DeviceAddress> {
    let Device { bus_reset, set, .. } = hardware.devices[number];
    match bus_reset {
        BusReset::RootBus | BusReset::NotAllOurs => Vec::new(),
        BusReset::Works | BusReset::Fails => {
            let members = hardware.devices.iter().enumerate().filter(|(_, other)| other.set == set);
            members.map(|(member, _)| address(member)).collect()
        }
    }
}

fn memory(options: &MemoryOptions) -> Device {
    let MemoryOptions { size, bar, registers, flr, af, pm, msix, vf, reset_fails, reset_time, .. } = *options;
    let MemoryOptions { bus, bus_reset_fails, .. } = options;
    let mut space = ConfigSpace::new(MEMORY_IDS.0, MEMORY_IDS.1, CLASS_MEMORY);
    space.bar(bar, BarKind::Memory64, true);
    if registers {
        space.bar(0, BarKind::Memory64, false);
    }
    // Always there, as on every device of today: what `flr` is about is DEVCAP.
    space.pcie(flr);
    match pm {
        Pm::Off => {}
        Pm::SoftReset => space.pm(false),
        Pm::NoSoftReset => space.pm(true),
    }
    if af {
        space.af();
    }
    if msix {
        let table = size / 2;
        // The offset has 32 bits: a table further up does not exist.
        let table = table.min(1 << 31) as u32;
        space.msix(VECTORS, bar, table, table + PENDING as u32);
    }
    // In the kernel's order (`pci_reset_fn_methods`). `pci_pm_reset` is for functions that a
    // way through D3hot resets; on the root bus there is no bridge to reset the bus by, and one that
    // there is serves several functions.
    let methods = [(flr, ResetMethod::Flr), (af, ResetMethod::AfFlr), (pm == Pm::SoftReset, ResetMethod::Pm)];
    Device {
        bar_sizes: std::array::from_fn(|index| match index {
            0 if registers => REGISTERS_SIZE,
            _ if index == usize::from(bar) => size,
            _ => 0,
        }),
        mappable: std::array::from_fn(|index| index == usize::from(bar) || registers && index == 0),
        virtual_function: vf,
        reset_methods: methods.iter().filter(|(has, _)| *has).map(|(_, method)| *method).collect(),
        memory_bar: Some(bar),
        extra_reset_ns: reset_time.as_nanos() as u64,
        reset_fails,
        bus_reset: match (bus, bus_reset_fails) {
            (None, _) => BusReset::RootBus,
            (Some(_), false) => BusReset::Works,
            (Some(_), true) => BusReset::Fails,
        },
        ..plain(&space)
    }
}

/// As edu: no capability that resets it, no power management. It raises no interrupts, so that
/// there is none to be delivered.
fn engine() -> Device {
    let mut space = ConfigSpace::new(EDU_IDS.0, EDU_IDS.1, CLASS_OTHER);
    space.bar(0, BarKind::Memory32, false);
    Device {
        bar_sizes: [EDU_BAR_SIZE, 0, 0, 0, 0, 0],
        mappable: [true, false, false, false, false, false],
        engine: true,
        ..plain(&space)
    }
}

/// A device of which nothing is known but its config space.
fn plain(space: &ConfigSpace) -> Device {
    debug_assert_eq!(space.bytes().len(), usize::from(header::CONFIG_SIZE));
    Device {
        name: String::new(),
        config: Device::digits(space.bytes()),
        bar_sizes: [0; 6],
        bar_addresses: [0; 6],
        mappable: [false; 6],
        virtual_function: false,
        reset_methods: Vec::new(),
        set: 0,
        bus_reset: BusReset::RootBus,
        memory_bar: None,
        watched: Vec::new(),
        engine: false,
        no_d3: false,
        wakes_whole: false,
        extra_reset_ns: 0,
        reset_fails: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use barkeep_pci::windows::exportable;

    fn layout(options: MemoryOptions) -> barkeep_pci::layout::Layout {
        let named = Named { name: "a".into(), kind: Kind::Memory(options) };
        let layout = hardware(&[named]).devices[0].layout().unwrap();
        assert_eq!(layout.anomalies, []);
        layout
    }

    #[test]
    fn capabilities_are_those_asked_for() {
        let plain = layout(MemoryOptions::default());
        assert!(plain.pcie.unwrap().flr && plain.pm.unwrap().no_soft_reset);
        assert!(plain.af.is_none() && plain.msix.is_none());
        let bare = MemoryOptions { flr: false, pm: Pm::Off, af: true, ..MemoryOptions::default() };
        let bare = layout(bare);
        assert!(!bare.pcie.unwrap().flr && bare.pm.is_none() && bare.af.unwrap().flr);
        assert!(layout(MemoryOptions { vf: true, ..MemoryOptions::default() }).is_virtual_function);
    }

    #[test]
    fn an_msix_table_parts_the_bar_in_two_windows() {
        for size in [16 << 10, 16 << 20, 64 << 30] {
            let layout = layout(MemoryOptions { msix: true, size, ..MemoryOptions::default() });
            let parts = exportable(layout.bars[2].as_ref().unwrap(), layout.msix.as_ref(), 4096);
            let sizes: u64 = parts.windows.iter().map(|window| window.size).sum();
            assert_eq!((parts.windows.len(), sizes), (2, size - 4096), "{size:#x}");
        }
    }

    #[test]
    fn resets_are_those_the_kernel_would_find() {
        let methods = |options| memory(&options).reset_methods;
        let every = MemoryOptions { af: true, pm: Pm::SoftReset, ..MemoryOptions::default() };
        assert_eq!(methods(every.clone()), [ResetMethod::Flr, ResetMethod::AfFlr, ResetMethod::Pm]);
        let none = MemoryOptions { flr: false, ..MemoryOptions::default() };
        assert_eq!(methods(none), []);
    }

    #[test]
    fn functions_that_name_the_same_bus_are_reset_together() {
        let on = |name: &str, bus: Option<&str>| {
            let options = MemoryOptions { bus: bus.map(str::to_owned), ..MemoryOptions::default() };
            Named { name: name.to_owned(), kind: Kind::Memory(options) }
        };
        let engine = Named { name: "e".to_owned(), kind: Kind::Dma(DmaOptions::default()) };
        let devices = [on("a", None), on("b", Some("port")), engine, on("c", Some("port"))];
        let hardware = hardware(&devices);
        assert_eq!(hardware.devices.iter().map(|device| device.set).collect::<Vec<_>>(), [0, 1, 2, 1]);
        assert_eq!(behind_one_port(&hardware, 3), [address(1), address(3)]);
        assert_eq!(behind_one_port(&hardware, 0), []);
    }

    #[test]
    fn the_engine_is_edu_to_whoever_looks() {
        let named = Named { name: "e".into(), kind: Kind::Dma(DmaOptions::default()) };
        let layout = hardware(&[named]).devices[0].layout().unwrap();
        assert_eq!((layout.vendor, layout.device), EDU_IDS);
        assert_eq!(layout.bars[0].unwrap().size, EDU_BAR_SIZE);
    }
}

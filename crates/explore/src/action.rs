//! What the surroundings may do: guests, the VMM by itself, others who hold the same devices.

use crate::machine::{AF_CONTROL, BAR, BAR_FLAGS, DEVCTL, OFF, ON, PLACES, PMCSR};
use barkeep_export::LowPower;
use barkeep_pci::header;
use barkeep_pci::write::ConfigWrite;
use std::fmt;

/// A write to a function's config space that concerns its BAR.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Write {
    DecodeOff,
    DecodeOn,
    Flr,
    AfFlr,
    D3hot,
    D0,
    /// The BAR goes to one of its places.
    Move(u8),
}

impl Write {
    pub(crate) fn bytes(self, device: usize) -> ConfigWrite {
        match self {
            Self::DecodeOff => ConfigWrite::word(header::COMMAND, OFF),
            Self::DecodeOn => ConfigWrite::word(header::COMMAND, ON),
            Self::Flr => ConfigWrite::word(DEVCTL, header::PCIE_DEVCTL_FLR),
            Self::AfFlr => ConfigWrite::byte(AF_CONTROL, header::AF_CTRL_FLR),
            Self::D3hot => ConfigWrite::word(PMCSR, 3),
            Self::D0 => ConfigWrite::word(PMCSR, 0),
            Self::Move(place) => {
                let address = PLACES[device][usize::from(place)] as u32;
                ConfigWrite::dword(header::BAR0 + 4 * u16::from(BAR), address | BAR_FLAGS)
            }
        }
    }
}

/// One thing that may happen at any time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Action {
    /// The guest writes to config space.
    Guest(Write),
    /// The VMM calls `VFIO_DEVICE_RESET`, through the keeper.
    Reset,
    /// The VMM puts the device into low power or takes it out, through the keeper.
    LowPower(LowPower),
    /// The VMM suspects that something was revoked unseen.
    Suspect,
    /// The VMM closes the device for good.
    Close,
    /// The VMM closes a window's dma-buf.
    CloseBuffer(u8),
    /// Somebody else with the device's file: past the keeper.
    Outside(Outside),
    /// Another importer.
    Import(Import),
}

/// What somebody else does to a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Outside {
    Write(Write),
    Reset,
    HotReset,
    LowPowerEntry {
        wakes: bool,
    },
    LowPowerExit,
    SysfsReset,
    /// Takes the reset methods out, or puts them back.
    Methods {
        present: bool,
    },
    Remove,
    CloseFile,
}

/// What another importer does with a device's first dma-buf.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Import {
    /// `IOMMU_IOAS_MAP_FILE` into the other space.
    MapElsewhere,
    /// `IOMMU_IOAS_UNMAP` of that.
    UnmapElsewhere,
    /// `IOMMU_IOAS_COPY` of the VMM's mapping into the other space.
    CopyElsewhere,
    /// `IOMMU_IOAS_MAP_FILE` into the VMM's space, where the VMM's own mapping belongs.
    MapInTheWay,
    /// `dma_buf_map_attachment` of the general importer.
    MapAttachment,
    /// `dma_buf_unmap_attachment`.
    UnmapAttachment,
    /// `dma_buf_detach`.
    Detach,
}

impl Action {
    /// The words of a trace.
    pub(crate) fn words(self, device: usize) -> String {
        let name = ["A", "B"][device];
        match self {
            Self::Guest(write) => format!("the guest writes {write} of {name}"),
            Self::Reset => format!("the VMM resets {name} (VFIO_DEVICE_RESET)"),
            Self::LowPower(LowPower::Entry { wakes: false }) => format!("the VMM puts {name} into low power"),
            Self::LowPower(LowPower::Entry { wakes: true }) => {
                format!("the VMM puts {name} into low power until something wakes it")
            }
            Self::LowPower(LowPower::Exit) => format!("the VMM takes {name} out of low power"),
            Self::Suspect => format!("the VMM suspects {name}"),
            Self::Close => format!("the VMM closes {name}"),
            Self::CloseBuffer(window) => format!("the VMM closes the dma-buf of {name}'s window {window}"),
            Self::Outside(outside) => format!("unseen: {outside} of {name}"),
            Self::Import(import) => format!("another importer: {import} of {name}"),
        }
    }
}

impl fmt::Display for Write {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DecodeOff => "decode off",
            Self::DecodeOn => "decode on",
            Self::Flr => "FLR",
            Self::AfFlr => "AF FLR",
            Self::D3hot => "D3hot",
            Self::D0 => "D0",
            Self::Move(0) => "BAR back home",
            Self::Move(1) => "BAR to its other place",
            Self::Move(_) => "BAR to no place",
        })
    }
}

impl fmt::Display for Outside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Write(write) => return write.fmt(f),
            Self::Reset => "VFIO_DEVICE_RESET",
            Self::HotReset => "hot reset",
            Self::LowPowerEntry { wakes: false } => "LOW_POWER_ENTRY",
            Self::LowPowerEntry { wakes: true } => "LOW_POWER_ENTRY_WITH_WAKEUP",
            Self::LowPowerExit => "LOW_POWER_EXIT",
            Self::SysfsReset => "sysfs reset",
            Self::Methods { present: false } => "reset methods taken out",
            Self::Methods { present: true } => "reset methods put back",
            Self::Remove => "sysfs remove",
            Self::CloseFile => "close of the other reference",
        })
    }
}

impl fmt::Display for Import {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MapElsewhere => "MAP_FILE into another space",
            Self::UnmapElsewhere => "UNMAP in the other space",
            Self::CopyElsewhere => "COPY into another space",
            Self::MapInTheWay => "MAP_FILE where the VMM's mapping belongs",
            Self::MapAttachment => "map",
            Self::UnmapAttachment => "unmap",
            Self::Detach => "detach",
        })
    }
}

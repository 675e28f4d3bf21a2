//! Why the kernel does not bind a device to an iommufd: what its one errno means, in words.

use crate::sysfs::{self, PCI_DEVICES};
use barkeep_export::Errno;
use barkeep_journal::DeviceAddress;
use std::fmt;
use std::fs;
use std::path::Path;
use vfio_ioctls::VfioError;

/// Who has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken {
    /// EINVAL: a VFIO device's file is bound once, whoever has it open (`vfio_df_open`).
    Bound,
    /// EPERM: somebody else does DMA with the device's IOMMU group, a driver or another VM
    /// (`iommu_device_claim_dma_owner`). The group's other functions, each with its driver.
    Group(Vec<String>),
    /// Any other.
    Unknown,
}

impl Taken {
    /// What the kernel's answer means for this device.
    #[must_use]
    pub fn of(address: DeviceAddress, error: &VfioError) -> Self {
        let VfioError::VfioDeviceBindIommufd(error) = error else { return Self::Unknown };
        match Errno::from_raw_os_error(error.errno()) {
            Errno::INVAL => Self::Bound,
            Errno::PERM => Self::Group(others_of_group(address)),
            _ => Self::Unknown,
        }
    }
}

impl fmt::Display for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bound => f.write_str(
                "somebody has it already; `fuser -v /dev/vfio/devices/*` shows who has which (another VM?)",
            ),
            Self::Group(others) if others.is_empty() => {
                f.write_str("somebody else does DMA with it; is another VM's device in its IOMMU group?")
            }
            Self::Group(others) => write!(
                f,
                "somebody else does DMA with its IOMMU group, which has {}, too; no driver but vfio-pci and no other \
                 VM may have one of them (`barkeep doctor`)",
                others.join(", ")
            ),
            Self::Unknown => f.write_str("the kernel refuses it"),
        }
    }
}

/// The other functions of a function's IOMMU group, with their drivers, in the order of their addresses.
fn others_of_group(address: DeviceAddress) -> Vec<String> {
    let own = address.to_string();
    let group = Path::new(PCI_DEVICES).join(&own).join("iommu_group/devices");
    let entries = fs::read_dir(group).into_iter().flatten().flatten();
    let others = entries.filter(|entry| entry.file_name() != own.as_str());
    let mut told: Vec<_> = others
        .map(|entry| {
            let driver = sysfs::driver(&entry.path());
            format!("{} ({})", entry.file_name().to_string_lossy(), driver.as_deref().unwrap_or("no driver"))
        })
        .collect();
    told.sort();
    told
}

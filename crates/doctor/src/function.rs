//! One PCI function as sysfs shows it.

use crate::roots::{self, Roots};
use barkeep_journal::DeviceAddress;
use barkeep_pci::header;
use barkeep_pci::layout::{BarKind, Layout, LayoutError};
use barkeep_pci::windows::{self, Exportable};
use std::fs;
use std::path::PathBuf;

/// The driver that passes functions through.
pub const VFIO: &str = "vfio-pci";
/// Flags of a resource, `include/linux/ioport.h`.
const IORESOURCE_IO: u64 = 0x100;
const IORESOURCE_PREFETCH: u64 = 0x2000;
const IORESOURCE_MEM_64: u64 = 0x10_0000;

/// A function that is there.
#[derive(Clone, Debug)]
pub struct Function {
    /// Its address.
    pub address: DeviceAddress,
    /// Its folder below `bus/pci/devices`.
    pub folder: PathBuf,
}

/// One BAR, and what of it may be exported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BarWindows {
    /// 0 to 5.
    pub index: u8,
    /// What it decodes.
    pub kind: BarKind,
    /// Bytes.
    pub size: u64,
    /// Its parts.
    pub parts: Exportable,
}

/// Why the BARs of a function are not known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BarsError {
    /// Its config space is not what a function has that can be passed through.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// Only the standard header can be read, and the MSI-X table is told behind it.
    #[error(
        "only root reads more than 64 bytes of its config space, and there stands where its MSI-X table is"
    )]
    HeaderOnly,
    /// Nothing can be read.
    #[error("its config space cannot be read")]
    Unreadable,
}

impl Function {
    /// The function at an address, if it is there.
    #[must_use]
    pub fn find(roots: &Roots, address: DeviceAddress) -> Option<Self> {
        let folder = roots.pci_devices().join(address.to_string());
        folder.exists().then_some(Self { address, folder })
    }

    /// The driver that has it.
    #[must_use]
    pub fn driver(&self) -> Option<String> {
        roots::link(&self.folder.join("driver"))
    }

    /// Whether vfio-pci has it, or a variant driver made of that.
    #[must_use]
    pub fn is_passed_through(&self) -> bool {
        self.driver().is_some_and(|driver| driver == VFIO || driver.ends_with("-vfio-pci"))
    }

    /// The only driver that may have it, where there is such an order.
    #[must_use]
    pub fn driver_override(&self) -> Option<String> {
        // The kernel prints a null pointer.
        roots::text(&self.folder.join("driver_override")).filter(|name| !name.is_empty() && name != "(null)")
    }

    /// The name of its character device below `/dev/vfio/devices`, once vfio-pci has it. Without
    /// `CONFIG_VFIO_DEVICE_CDEV` the folder is there all the same, and has no device number.
    #[must_use]
    pub fn character_device(&self) -> Option<String> {
        let folder = self.folder.join("vfio-dev");
        roots::names(&folder).into_iter().find(|name| folder.join(name).join("dev").exists())
    }

    /// The number of its IOMMU group.
    #[must_use]
    pub fn group(&self) -> Option<String> {
        roots::link(&self.folder.join("iommu_group"))
    }

    /// Who else is in its group, in the order of the addresses.
    #[must_use]
    pub fn group_mates(&self) -> Vec<DeviceAddress> {
        let names = roots::names(&self.folder.join("iommu_group/devices"));
        let mut mates: Vec<DeviceAddress> = names.iter().filter_map(|name| name.parse().ok()).collect();
        mates.retain(|mate| *mate != self.address);
        mates.sort_by_key(|mate| mate.to_bits());
        mates
    }

    /// How the kernel would reset it, in the order it would try. A function that cannot be reset has
    /// no such file.
    #[must_use]
    pub fn reset_methods(&self) -> Vec<String> {
        let methods = roots::text(&self.folder.join("reset_method")).unwrap_or_default();
        methods.split_whitespace().map(str::to_owned).collect()
    }

    /// Vendor, device and class code, as numbers.
    #[must_use]
    pub fn identity(&self) -> (u64, u64, u64) {
        let id = |name| roots::number(&self.folder.join(name)).unwrap_or_default();
        (id("vendor"), id("device"), id("class"))
    }

    /// Whether it is virtual (SR-IOV).
    #[must_use]
    pub fn is_virtual(&self) -> bool {
        self.folder.join("physfn").exists()
    }

    /// The virtual functions it has now.
    #[must_use]
    pub fn virtual_functions(&self) -> Vec<DeviceAddress> {
        let links = roots::names(&self.folder).into_iter().filter(|name| name.starts_with("virtfn"));
        links.filter_map(|name| roots::link(&self.folder.join(name))?.parse().ok()).collect()
    }

    /// Whether it is a bridge: its header is not an endpoint's.
    #[must_use]
    pub fn is_bridge(&self) -> bool {
        let header_type = self.config().get(usize::from(header::HEADER_TYPE)).copied();
        header_type.is_some_and(|layout| layout & header::HEADER_TYPE_LAYOUT != 0)
    }

    /// Its config space, as far as it may be read: 64 bytes for all but root.
    #[must_use]
    pub fn config(&self) -> Vec<u8> {
        fs::read(self.folder.join("config")).unwrap_or_default()
    }

    /// Its BARs and their windows, as vfio-pci will show them. `page` is the page size, bytes.
    ///
    /// # Errors
    /// See [`BarsError`].
    pub fn bars(&self, page: u64) -> Result<Vec<BarWindows>, BarsError> {
        let mut config = self.config();
        match config.len() {
            0 => return Err(BarsError::Unreadable),
            length if length <= usize::from(header::HEADER_SIZE) => return Err(BarsError::HeaderOnly),
            _ => {}
        }
        let (vendor, device, _) = self.identity();
        put(&mut config, header::VENDOR, &(vendor as u16).to_le_bytes());
        put(&mut config, header::DEVICE, &(device as u16).to_le_bytes());
        let resources = self.resources();
        for (index, resource) in (0u16..).zip(&resources) {
            put(&mut config, header::BAR0 + 4 * index, &resource.register.to_le_bytes());
        }
        let layout = Layout::parse(&config, &std::array::from_fn(|index| resources[index].size))?;
        let of = |bar: &barkeep_pci::Bar| BarWindows {
            index: bar.index,
            kind: bar.kind,
            size: bar.size,
            parts: windows::exportable(bar, layout.msix.as_ref(), page),
        };
        Ok(layout.bars.iter().flatten().map(of).collect())
    }

    /// The first six lines of `resource`: begin, end (inclusive) and flags, all zeros where there is
    /// none.
    fn resources(&self) -> [Resource; header::BAR_COUNT] {
        let text = roots::text(&self.folder.join("resource")).unwrap_or_default();
        let mut lines = text.lines().map(Resource::parse);
        std::array::from_fn(|_| lines.next().flatten().unwrap_or_default())
    }
}

/// A BAR as the kernel has placed it.
#[derive(Clone, Copy, Default)]
struct Resource {
    /// Bytes.
    size: u64,
    /// What a guest reads in the register, but for the address. The registers themselves do not tell:
    /// those of a virtual function read zero. vfio-pci makes them of the same flags
    /// (`vfio_generate_bar_flags`).
    register: u32,
}

impl Resource {
    fn parse(line: &str) -> Option<Self> {
        let mut words =
            line.split_whitespace().map(|word| u64::from_str_radix(word.trim_start_matches("0x"), 16));
        let (start, end, flags) = (words.next()?.ok()?, words.next()?.ok()?, words.next()?.ok()?);
        if flags == 0 {
            return None;
        }
        let has = |flag: u64, bits: u32| if flags & flag != 0 { bits } else { 0 };
        let register = match flags & IORESOURCE_IO {
            0 => {
                has(IORESOURCE_MEM_64, header::BAR_TYPE_64)
                    | has(IORESOURCE_PREFETCH, header::BAR_PREFETCHABLE)
            }
            _ => header::BAR_IO,
        };
        Some(Self { size: end.checked_sub(start)?.checked_add(1)?, register })
    }
}

fn put(config: &mut [u8], offset: u16, bytes: &[u8]) {
    if let Some(place) = config.get_mut(usize::from(offset)..usize::from(offset) + bytes.len()) {
        place.copy_from_slice(bytes);
    }
}

//! What the machine is made of: facts that no operation changes. Written into every recording,
//! so that the specification runs on the same machine as the kernel did.

use barkeep_pci::layout::{Layout, LayoutError};
use serde::{Deserialize, Serialize};

/// The devices that are bound to vfio-pci.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hardware {
    /// In the order of their numbers.
    pub devices: Vec<Device>,
}

/// One device.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Device {
    /// What the topology calls it.
    pub name: String,
    /// The first 256 bytes of config space as vfio-pci shows them just after the open, as
    /// hexadecimal digits.
    pub config: String,
    /// Bytes of BARs 0 to 5, as VFIO's region info has them; 0 for none.
    pub bar_sizes: [u64; 6],
    /// Where the kernel put BARs 0 to 5 on the host (`resource` in sysfs); 0 for none.
    #[serde(default)]
    pub bar_addresses: [u64; 6],
    /// BARs whose region info has the mmap flag.
    pub mappable: [bool; 6],
    /// A virtual function: the kernel's `no_command_memory`.
    pub virtual_function: bool,
    /// The kernel's reset methods in their order, as `reset_method` in sysfs names them.
    pub reset_methods: Vec<ResetMethod>,
    /// Devices of the same number are reset together by a hot reset, and share an IOMMU group.
    pub set: u8,
    /// What a hot reset of the set comes to.
    pub bus_reset: BusReset,
    /// The BAR that is plain memory, kept through every reset.
    pub memory_bar: Option<u8>,
    /// Offsets in that BAR that are looked at after every operation.
    pub watched: Vec<u64>,
    /// BAR 0 is edu's: a DMA engine.
    pub engine: bool,
    /// The function cannot be put into D3hot: `PCI_DEV_FLAGS_NO_D3`, or a physical function with
    /// virtual ones enabled.
    pub no_d3: bool,
    /// COMMAND is what it was when the function comes out of D3hot, although its PMCSR promises no such thing
    /// (No_Soft_Reset is 0). Hardware comes back as after a reset (PCI Power Management 1.2, 5.4.1); QEMU's
    /// models up to 10.0 do not.
    #[serde(default)]
    pub wakes_whole: bool,
    /// The device really goes through a reset's 100 ms and more; nanoseconds on top of what the
    /// kernel waits anyway.
    #[serde(default)]
    pub extra_reset_ns: u64,
    /// The device's resets all fail with ENOTTY although there are methods.
    #[serde(default)]
    pub reset_fails: bool,
}

/// A way to reset a function (`pci_reset_fn_methods`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResetMethod {
    /// By the device's own quirk.
    DeviceSpecific,
    /// By an ACPI method.
    Acpi,
    /// `pcie_flr`.
    Flr,
    /// `pci_af_flr`.
    AfFlr,
    /// `pci_pm_reset`: D3hot and back.
    Pm,
    /// The bridge above resets its bus.
    Bus,
    /// As [`ResetMethod::Bus`], for CXL.
    CxlBus,
}

/// What `pci_reset_bus` can do for a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BusReset {
    /// On the root bus: there is no bridge to do it.
    RootBus,
    /// It works.
    Works,
    /// It is tried and the bus does not come back: ENOTTY.
    Fails,
    /// Some function on the bus is not bound to vfio-pci.
    NotAllOurs,
}

impl Device {
    /// What the config space says.
    ///
    /// # Errors
    /// It is none a function can have.
    pub fn layout(&self) -> Result<Layout, LayoutError> {
        let mut layout = Layout::parse(&self.image(), &self.bar_sizes)?;
        layout.is_virtual_function = self.virtual_function;
        Ok(layout)
    }

    /// The bytes of [`Self::config`]; digits that are none are left out.
    #[must_use]
    pub fn image(&self) -> Vec<u8> {
        let digits: Vec<u8> =
            self.config.chars().filter_map(|c| c.to_digit(16)).map(|digit| digit as u8).collect();
        digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect()
    }

    /// Writes bytes as [`Self::config`].
    #[must_use]
    pub fn digits(image: &[u8]) -> String {
        image.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

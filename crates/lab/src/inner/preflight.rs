//! Whether this kernel can do what the export path asks of it, found out before anything
//! fails for it.

use super::InnerError;
use crate::config::missing_options;
use flate2::read::GzDecoder;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

/// Names the options the kernel lacks.
pub(super) fn check() -> Result<(), InnerError> {
    let missing = match running_config() {
        Some(config) => missing_options(&config),
        None => Vec::new(),
    };
    // An option can be on and its device not there, and a kernel may keep its options secret.
    let missing = if missing.is_empty() { missing_nodes() } else { missing };
    match missing.join(", ") {
        none if none.is_empty() => Ok(()),
        options => Err(InnerError::Kernel(options)),
    }
}

fn running_config() -> Option<String> {
    let mut config = String::new();
    GzDecoder::new(File::open("/proc/config.gz").ok()?).read_to_string(&mut config).ok()?;
    Some(config)
}

fn missing_nodes() -> Vec<&'static str> {
    let nodes = [
        ("/dev/vfio", "CONFIG_VFIO (no /dev/vfio)"),
        ("/sys/bus/pci/drivers/vfio-pci", "CONFIG_VFIO_PCI (no driver vfio-pci)"),
        ("/dev/iommu", "CONFIG_IOMMUFD (no /dev/iommu)"),
        ("/dev/kvm", "CONFIG_KVM or CONFIG_KVM_AMD (no /dev/kvm)"),
    ];
    let mut missing: Vec<_> =
        nodes.iter().filter(|(node, _)| !Path::new(node).exists()).map(|(_, option)| *option).collect();
    let groups = fs::read_dir("/sys/kernel/iommu_groups").is_ok_and(|mut groups| groups.next().is_some());
    if !groups {
        missing.push("CONFIG_INTEL_IOMMU (no IOMMU groups)");
    }
    missing
}

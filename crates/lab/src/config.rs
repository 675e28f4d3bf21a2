//! The kernel configuration the export path needs.

/// The configuration the kernel under test is built from, merged over `tinyconfig`; for
/// kernels built elsewhere.
pub fn print_config() -> &'static str {
    include_str!("../../../guest-kernel/configs/plain.config")
}

/// The options without which BARs cannot be exported, imported and passed through.
pub fn required_options() -> &'static [&'static str] {
    &[
        "CONFIG_VFIO",
        "CONFIG_VFIO_DEVICE_CDEV",
        "CONFIG_VFIO_PCI",
        "CONFIG_VFIO_PCI_DMABUF",
        "CONFIG_IOMMUFD",
        "CONFIG_DMA_SHARED_BUFFER",
        "CONFIG_PCI_P2PDMA",
        "CONFIG_INTEL_IOMMU",
        "CONFIG_IRQ_REMAP",
        "CONFIG_KVM",
    ]
}

/// The options of [`required_options`] that `config`, the text of a `.config`, has not built
/// in. A module does not count: nothing inside loads it.
pub fn missing_options(config: &str) -> Vec<&'static str> {
    let has = |option: &str| {
        let on = |line: &str| line.strip_prefix(option).is_some_and(|rest| rest == "=y");
        config.lines().any(on)
    };
    required_options().iter().copied().filter(|option| !has(option)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_configuration_lacks_nothing() {
        assert_eq!(missing_options(print_config()), Vec::<&str>::new());
    }

    #[test]
    fn what_is_off_is_named() {
        let config = print_config().replace("CONFIG_IOMMUFD=y", "# CONFIG_IOMMUFD is not set");
        assert_eq!(missing_options(&config), ["CONFIG_IOMMUFD"]);
        let config = print_config().replace("CONFIG_KVM=y", "CONFIG_KVM=m");
        assert_eq!(missing_options(&config), ["CONFIG_KVM"]);
        assert_eq!(missing_options("").len(), required_options().len());
    }
}

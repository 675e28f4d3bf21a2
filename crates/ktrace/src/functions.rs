//! The kernel's functions on the way of a revoke.

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Function {
    /// What it is called in the journal: as in the kernel's sources.
    pub name: &'static str,
    /// Under which names the compiler may have left it, the likeliest first.
    pub symbols: &'static [&'static str],
    /// An argument that is worth telling: its name, and how tracefs fetches it.
    pub argument: Option<(&'static str, &'static str)>,
    /// Whether it returns 0 or a negative errno.
    pub returns_errno: bool,
}

const fn void(name: &'static str, symbols: &'static [&'static str]) -> Function {
    Function { name, symbols, argument: None, returns_errno: false }
}

const fn errno(name: &'static str, symbols: &'static [&'static str]) -> Function {
    Function { name, symbols, argument: None, returns_errno: true }
}

/// All that are traced, in the order of a revoke's way. The wait for importers that still use a dma-buf has no
/// function of its own but the first half of it, the fences: the rest of `vfio_pci_dma_buf_move` is the other half.
pub const FUNCTIONS: &[Function] = &[
    // drivers/vfio/pci: the lock, which first zaps what CPUs have mapped; the revoke, and its way back.
    void("vfio_pci_zap_and_down_write_memory_lock", &["vfio_pci_zap_and_down_write_memory_lock"]),
    Function {
        name: "vfio_pci_dma_buf_move",
        symbols: &["vfio_pci_dma_buf_move"],
        argument: Some(("revoked", "$arg2:u8")),
        returns_errno: false,
    },
    void("vfio_pci_dma_buf_cleanup", &["vfio_pci_dma_buf_cleanup"]),
    // drivers/dma-buf: importers are told, and waited for.
    void("dma_buf_invalidate_mappings", &["dma_buf_invalidate_mappings"]),
    void("dma_resv_wait_timeout", &["dma_resv_wait_timeout"]),
    // drivers/iommu/iommufd: the importer's answer to it, and how it comes again.
    void("iopt_revoke_notify", &["iopt_revoke_notify"]),
    errno("iommufd_ioas_unmap", &["iommufd_ioas_unmap"]),
    errno("iommufd_ioas_map_file", &["iommufd_ioas_map_file"]),
    errno("vfio_pci_dma_buf_iommufd_map", &["vfio_pci_dma_buf_iommufd_map"]),
    // drivers/pci: resets and power.
    errno("pci_try_reset_function", &["pci_try_reset_function"]),
    errno("pcie_flr", &["pcie_flr"]),
    errno("pci_af_flr", &["pci_af_flr"]),
    errno("pci_pm_reset", &["pci_pm_reset"]),
    errno("pci_dev_wait", &["pci_dev_wait"]),
    errno("pci_reset_bus", &["pci_reset_bus"]),
    errno("vfio_pci_set_power_state", &["vfio_pci_set_power_state"]),
    // A CPU of the host faults a page of the BAR in: the first access after a revoke.
    void("vfio_pci_mmap_huge_fault", &["vfio_pci_mmap_huge_fault"]),
    // The end of a device.
    void("vfio_pci_core_disable", &["vfio_pci_core_disable"]),
    // KVM: a memory slot is set, or withdrawn.
    errno("kvm_set_memory_region", &["kvm_set_memory_region", "kvm_set_memory_region.part.0"]),
    errno("kvm_set_memslot", &["kvm_set_memslot"]),
    // The IOMMU tells of faults (VT-d).
    void("dmar_fault", &["dmar_fault"]),
];

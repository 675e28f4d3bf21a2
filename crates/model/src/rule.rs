//! The rows of the semantics table: each is a decision of the kernel that user space can see.
//!
//! The specification asks for its rule wherever one decides ([`crate::Kernel::with_planted`]
//! makes it do otherwise), so the table in `docs/semantics.md`, which is printed from here, cannot
//! say what the specification does not do. Each rule also makes one planted error, and marks
//! that it was reached.

use crate::abilities::Abilities;
use std::fmt;

/// What a rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Area {
    /// `VFIO_DEVICE_FEATURE_DMA_BUF`.
    Export,
    /// Importers and the dma-buf core.
    Importers,
    /// What revokes, and what gives back.
    Triggers,
    /// Resets of one function.
    Resets,
    /// The hot reset.
    HotReset,
    /// `VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY` and `_EXIT`.
    LowPower,
    /// Open, close, removal, and who keeps what alive.
    Lifetimes,
    /// CPU access.
    Cpu,
    /// I/O address spaces.
    Spaces,
}

impl Area {
    /// As a heading.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Export => "Exporting",
            Self::Importers => "Importers",
            Self::Triggers => "What takes access away and gives it back",
            Self::Resets => "Resets of one function",
            Self::HotReset => "Hot reset",
            Self::LowPower => "Low power",
            Self::Lifetimes => "Open, close, removal",
            Self::Cpu => "CPU access",
            Self::Spaces => "I/O address spaces",
        }
    }
}

/// Where a rule can be seen deciding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reach {
    /// In the emulator, by one thread, on the devices of topology `conform`.
    Lab,
    /// Only by an importer inside the kernel that user space can drive.
    Importer,
    /// The same, on a kernel where it maps dma-bufs of one range only.
    OneRange,
    /// The same, on a kernel where it maps dma-bufs of several.
    ManyRanges,
    /// In the emulator, on a kernel whose dma-bufs have an mmap handler.
    Mmap,
    /// In the emulator, on a kernel whose dma-bufs have none.
    NoMmap,
    /// Only if two threads meet: the exhaustive exploration does.
    Interleaving,
    /// Only on a simulated device: no emulated one has what it takes.
    Simulated,
}

impl Reach {
    /// In a few words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Lab => "lab",
            Self::Importer => "an importer module",
            Self::OneRange => "an importer module, stock kernel",
            Self::ManyRanges => "an importer module, patched kernel",
            Self::Mmap => "lab, a kernel with mmap of dma-bufs",
            Self::NoMmap => "lab, stock kernel",
            Self::Interleaving => "two threads at once",
            Self::Simulated => "simulated devices only",
        }
    }
}

impl Reach {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Lab,
        Self::Mmap,
        Self::NoMmap,
        Self::Importer,
        Self::OneRange,
        Self::ManyRanges,
        Self::Simulated,
        Self::Interleaving,
    ];

    /// Whether the emulator can show it on a kernel that can do this much.
    #[must_use]
    pub fn is_within(self, able: Abilities) -> bool {
        match self {
            Self::Lab => true,
            Self::Importer => able.importer,
            Self::OneRange => able.importer && !able.ranges,
            Self::ManyRanges => able.importer && able.ranges,
            Self::Mmap => able.mmap,
            Self::NoMmap => !able.mmap,
            Self::Interleaving | Self::Simulated => false,
        }
    }
}

/// A set of rules.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct RuleSet(u128);

impl RuleSet {
    /// Adds one.
    pub fn insert(&mut self, rule: Rule) {
        self.0 |= 1 << rule as u32;
    }

    /// Adds all of another set.
    pub fn extend(&mut self, other: Self) {
        self.0 |= other.0;
    }

    /// Whether it is there.
    #[must_use]
    pub fn contains(self, rule: Rule) -> bool {
        self.0 & 1 << rule as u32 != 0
    }

    /// Those that are there, in the order of the table.
    pub fn iter(self) -> impl Iterator<Item = Rule> {
        Rule::ALL.into_iter().filter(move |rule| self.contains(*rule))
    }

    /// How many.
    #[must_use]
    pub fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

macro_rules! rules {
    ($($name:ident, $area:ident, $reach:ident, $when:literal, $then:literal, $source:literal;)+) => {
        /// A row of the table.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Rule {
            $(#[doc = concat!($when, ": ", $then)] $name,)+
        }

        impl Rule {
            /// All, in the order of the table.
            pub const ALL: [Self; [$(Self::$name),+].len()] = [$(Self::$name),+];

            /// What it is called.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)+ }
            }

            /// What it is about.
            #[must_use]
            pub fn area(self) -> Area {
                match self { $(Self::$name => Area::$area,)+ }
            }

            /// Where it can be seen.
            #[must_use]
            pub fn reach(self) -> Reach {
                match self { $(Self::$name => Reach::$reach,)+ }
            }

            /// When it applies.
            #[must_use]
            pub fn when(self) -> &'static str {
                match self { $(Self::$name => $when,)+ }
            }

            /// What happens then.
            #[must_use]
            pub fn then(self) -> &'static str {
                match self { $(Self::$name => $then,)+ }
            }

            /// The kernel function that decides.
            #[must_use]
            pub fn source(self) -> &'static str {
                match self { $(Self::$name => $source,)+ }
            }
        }
    };
}

rules! {
    ExportProbe, Export, Lab, "PROBE and GET", "0, no dma-buf", "vfio_check_feature";
    ExportSet, Export, Lab, "SET", "EINVAL", "vfio_check_feature";
    ExportFlags, Export, Lab, "no ranges, or flags set", "EINVAL", "vfio_pci_core_feature_dma_buf";
    ExportRegion, Export, Lab, "a region that is no BAR, or an empty one", "ENODEV", "vfio_pci_core_feature_dma_buf";
    ExportUnaligned, Export, Lab, "a range of no length, or not of whole pages", "EINVAL", "validate_dmabuf_input";
    ExportTooLarge, Export, Lab, "ranges that sum up to 2^63 bytes or more", "EINVAL", "validate_dmabuf_input";
    ExportIoBar, Export, Lab, "an I/O BAR", "EINVAL", "pcim_p2pdma_provider";
    ExportWraps, Export, Lab, "a range that wraps around the end of the address space", "EOVERFLOW", "vfio_pci_core_fill_phys_vec";
    ExportBeyond, Export, Lab, "a range beyond the BAR, also of a BAR below one page", "EINVAL", "vfio_pci_core_fill_phys_vec";
    BornRevoked, Export, Lab, "memory decode off, or D3hot", "a dma-buf that is revoked from the start", "vfio_pci_core_feature_dma_buf";
    ExportInLowPower, Export, Lab, "in low power, decode on", "a dma-buf that is live, while CPU access is SIGBUS", "vfio_pci_core_feature_dma_buf";
    BufferSize, Export, Lab, "lseek to the end of the dma-buf", "the sum of its ranges", "dma_buf_llseek";
    MmapOfBuffer, Export, NoMmap, "mmap of the dma-buf", "EINVAL", "dma_buf_mmap_internal";
    ReopenBuffer, Export, Lab, "open of /proc/self/fd/N of a dma-buf", "ENXIO", "no_open";

    NotPeer2peer, Importers, Importer, "attach without peer2peer", "EOPNOTSUPP, revoked or not", "vfio_pci_dma_buf_attach";
    AttachWhileRevoked, Importers, Importer, "attach while revoked", "ENODEV", "vfio_pci_dma_buf_attach";
    NotRevocable, Importers, Importer, "attach without invalidate_mappings, not revoked", "EOPNOTSUPP", "vfio_pci_dma_buf_attach";
    MapWhileRevoked, Importers, Importer, "map of an attachment while revoked", "ENODEV", "vfio_pci_dma_buf_map";
    SegmentsNearFourGib, Importers, Importer, "scatter list", "cut near 4 GiB; the importer's largest segment is not looked at", "fill_sg_entry";
    NotifiedBeforeCleared, Importers, Importer, "un-revoke", "importers are told first; one that maps from the notice meets ENODEV", "vfio_pci_dma_buf_move";
    RevokeWaits, Importers, Importer, "revoke while an importer holds a mapping", "waits for it, without an end", "vfio_pci_dma_buf_move";
    ToldOfRevoke, Importers, Importer, "revoke of what was live", "every importer is told, once", "dma_buf_invalidate_mappings";
    ToldOfReturn, Importers, Importer, "un-revoke", "every importer is told a second time", "dma_buf_invalidate_mappings";
    PinnedIsTold, Importers, Importer, "revoke or un-revoke while an importer has it pinned", "it is told all the same", "dma_buf_pin";
    RangesCollide, Importers, OneRange, "map of a dma-buf of several ranges, behind an IOMMU", "EADDRINUSE", "dma_buf_phys_vec_to_sgt";
    RangesJoined, Importers, ManyRanges, "map of a dma-buf of several ranges, behind an IOMMU", "one run of I/O addresses", "dma_buf_phys_vec_to_sgt";

    DecodeOff, Triggers, Lab, "COMMAND written, memory decode off", "revoked, also if it was off before", "vfio_basic_config_write";
    DecodeKept, Triggers, Lab, "COMMAND written, memory decode stays on", "nothing revoked; mappings stay", "vfio_basic_config_write";
    BackIfEnabled, Triggers, Lab, "after any of these, if decode is on by vfio's shadow and the function is not in D3hot", "live again", "__vfio_pci_memory_enabled";
    VirtualFunctionDecodes, Triggers, Lab, "decode off on a virtual function", "revoked and live again in the one write", "__vfio_pci_memory_enabled";
    D3hot, Triggers, Lab, "PMCSR written with D3hot", "revoked", "vfio_lock_and_set_power_state";
    D1D2, Triggers, Lab, "PMCSR written with D1 or D2", "nothing revoked", "vfio_lock_and_set_power_state";
    D0, Triggers, Lab, "PMCSR written with D0", "live again if decode is on", "vfio_lock_and_set_power_state";
    SoftResetRestored, Triggers, Lab, "D0 from D3hot without No_Soft_Reset", "config space is given back as it was before D3hot", "vfio_pci_set_power_state";
    Flr, Triggers, Lab, "FLR bit of DEVCTL, DEVCAP has FLR", "revoked, reset by the first method that works, live again if decode is on", "vfio_exp_config_write";
    AfFlr, Triggers, Simulated, "FLR bit of AF control, FLR and TP capable", "as the FLR bit of DEVCTL", "vfio_af_config_write";
    FlrWithoutCapability, Triggers, Lab, "FLR bit, not capable", "nothing", "vfio_exp_config_write";
    RevokeKills, Triggers, Lab, "revoke", "iommufd's mappings of the dma-buf are dead, for good", "iopt_revoke_notify";

    DeviceReset, Resets, Lab, "VFIO_DEVICE_RESET", "revoked, reset, live again if decode is on", "vfio_pci_ioctl_reset";
    ResetUnsupported, Resets, Lab, "VFIO_DEVICE_RESET, no reset worked at open", "EINVAL, nothing revoked", "vfio_pci_ioctl_reset";
    ResetWithoutMethod, Resets, Lab, "a reset after all methods were taken out", "ENOTTY", "pci_try_reset_function";
    FailedResetRevokes, Resets, Lab, "a reset that fails", "mappings are dead all the same", "vfio_pci_ioctl_reset";
    FlrResultIgnored, Resets, Lab, "an FLR bit whose reset fails", "the write succeeds", "vfio_exp_config_write";
    ResetWakesUp, Resets, Lab, "a reset of a function in D3hot", "ends in D0, live if decode is on", "pci_dev_save_and_disable";
    ResetContended, Resets, Lab, "a reset while somebody else resets or removes the function", "EAGAIN", "pci_try_reset_function";
    SysfsResetUnseen, Resets, Lab, "a reset through sysfs", "nothing revoked, mappings stay", "pci_reset_function";

    HotResetRootBus, HotReset, Lab, "a device on the root bus", "ENODEV, nothing revoked", "vfio_pci_ioctl_pci_hot_reset";
    HotResetNotAllOurs, HotReset, Simulated, "a function of the bus that is not bound to vfio-pci", "EINVAL, nothing revoked", "vfio_pci_dev_set_resettable";
    HotResetRevokesAll, HotReset, Lab, "every device of the set", "revoked; live again if open and decode is on", "vfio_pci_dev_set_hot_reset";
    HotResetNotOwned, HotReset, Simulated, "a device of the set that another context owns", "EINVAL; those before it are revoked already", "vfio_pci_dev_set_hot_reset";
    HotResetBusy, HotReset, Interleaving, "a device of the set that is held by another call", "EBUSY; those before it are revoked already", "vfio_pci_dev_set_hot_reset";
    HotResetContended, HotReset, Lab, "a device of the set that is being reset or removed through sysfs", "EAGAIN; all are revoked already", "pci_try_reset_bus";
    HotResetFails, HotReset, Lab, "the bus does not come back", "ENOTTY; all are revoked already", "pci_bridge_secondary_bus_reset";

    LowPowerEntry, LowPower, Lab, "LOW_POWER_ENTRY", "revoked", "vfio_pci_runtime_pm_entry";
    LowPowerTwice, LowPower, Lab, "LOW_POWER_ENTRY in low power", "EINVAL, after revoking", "vfio_pci_runtime_pm_entry";
    LowPowerExit, LowPower, Lab, "LOW_POWER_EXIT", "live again if decode is on", "vfio_pci_runtime_pm_exit";
    LowPowerNotLookedAt, LowPower, Lab, "COMMAND written with decode on, or PMCSR with D0 to D2, in low power", "live again", "__vfio_pci_memory_enabled";
    WakeUp, LowPower, Lab, "woken up after an entry with a wake-up eventfd", "out of low power, nothing un-revoked", "vfio_pci_core_runtime_resume";
    SuspendLeavesD3hot, LowPower, Lab, "suspended in low power while in D3hot", "D0 afterwards, still revoked", "vfio_pci_core_runtime_suspend";

    OpenTwice, Lifetimes, Lab, "a second bind while the device is open", "EINVAL", "vfio_df_open";
    ReopenFile, Lifetimes, Lab, "open of /proc/self/fd/N of a device file", "a new file, bound to nothing: EINVAL for all but the bind", "vfio_device_fops_unl_ioctl";
    GroupOfAnotherContext, Lifetimes, Lab, "bind while another device of the group is bound to another iommufd", "EPERM", "iommufd_device_bind";
    LastClose, Lifetimes, Lab, "the last reference to the device file goes", "revoked for ever; the dma-buf stays a file", "vfio_pci_dma_buf_cleanup";
    MmapKeepsOpen, Lifetimes, Lab, "close of the file while a BAR is mapped", "still open: P2P goes on until munmap", "vfio_device_fops_release";
    RemovedNotOpened, Lifetimes, Lab, "open after sysfs remove", "ENOENT", "vfio_device_del";
    RemovedStaysLive, Lifetimes, Lab, "sysfs remove while open", "nothing revoked until the last reference goes", "vfio_unregister_group_dev";
    MappingKeepsBuffer, Lifetimes, Lab, "the dma-buf's last descriptor closed while it is mapped", "the mapping stays, and can be revoked", "iopt_release_pages";

    Zap, Cpu, Lab, "whatever revokes", "the BARs' mmaps lose their pages", "vfio_pci_zap_bars";
    CpuWhileDisabled, Cpu, Lab, "access through an mmap, decode off or D3hot", "SIGBUS", "vfio_pci_vmf_insert_pfn";
    CpuInLowPower, Cpu, Lab, "access through an mmap in low power, decode on", "SIGBUS", "vfio_pci_vmf_insert_pfn";
    FaultsInAfresh, Cpu, Lab, "access through an mmap once access is back", "the same mapping works again", "vfio_pci_mmap_huge_fault";
    RegionWhileDisabled, Cpu, Lab, "read or write of a memory BAR through the file, decode off or D3hot", "EIO", "vfio_pci_core_do_io_rw";
    RegionBeyond, Cpu, Lab, "read or write beyond the BAR, or of none", "EINVAL", "vfio_pci_bar_rw";
    MmapUnmappable, Cpu, Lab, "mmap of an I/O BAR or of none", "EINVAL", "vfio_pci_core_mmap";
    MmapBeyond, Cpu, Lab, "mmap beyond the BAR", "EINVAL", "vfio_pci_core_mmap";
    BufferMmapBeyond, Cpu, Mmap, "mmap beyond the end of the dma-buf", "EINVAL", "dma_buf_mmap_internal";
    BufferMmap, Cpu, Mmap, "mmap of the dma-buf, also while revoked and after close", "0", "vfio_pci_dma_buf_mmap";
    BufferServed, Cpu, Mmap, "access through an mmap of the dma-buf while live, also after a revoke", "served", "vfio_pci_dma_buf_huge_fault";
    BufferRanges, Cpu, Mmap, "access through an mmap of a dma-buf of several ranges", "they lie end to end, in their order", "vfio_pci_dma_buf_pfn";
    BufferZap, Cpu, Mmap, "revoke", "the dma-buf's mmaps lose their pages", "vfio_pci_dma_buf_move";
    BufferWhileRevoked, Cpu, Mmap, "access through an mmap of the dma-buf while revoked", "SIGBUS, also where the region's mmap is served", "vfio_pci_dma_buf_huge_fault";
    BufferAfterClose, Cpu, Mmap, "access through an mmap of the dma-buf after the last close of the device file", "SIGBUS for good; the mapping stays, and keeps nothing open", "vfio_pci_dma_buf_get_vdev";

    SliceBeyond, Spaces, Lab, "MAP_FILE of a part beyond the dma-buf", "EINVAL, revoked or not", "iopt_alloc_dmabuf_pages";
    MapFileWhileRevoked, Spaces, Lab, "MAP_FILE while revoked", "ENODEV", "vfio_pci_dma_buf_attach";
    ManyRanges, Spaces, Lab, "MAP_FILE of a dma-buf of several ranges", "EOPNOTSUPP; ENODEV first if revoked", "vfio_pci_dma_buf_iommufd_map";
    ForeignBuffer, Spaces, Lab, "MAP_FILE of a dma-buf that is not vfio-pci's", "EOPNOTSUPP", "vfio_pci_dma_buf_iommufd_map";
    MemoryBeyond, Spaces, Lab, "MAP_FILE of memory beyond its end, in a space that devices use; a device attached to a space with such a mapping", "EINVAL", "memfd_pin_folios";
    MapUnaligned, Spaces, Lab, "MAP_FILE not of whole pages, in a space that devices use", "EINVAL", "iopt_check_iova";
    MapWraps, Spaces, Lab, "MAP_FILE that wraps around", "EOVERFLOW", "iopt_check_iova";
    ReservedIova, Spaces, Lab, "MAP_FILE where the IOMMU keeps the range, in a space that devices use", "EINVAL", "iopt_check_iova";
    IovaTaken, Spaces, Lab, "MAP_FILE where something is mapped", "EEXIST", "iopt_check_iova";
    DeadKeepsIova, Spaces, Lab, "MAP_FILE where a dead mapping is", "EEXIST", "iopt_check_iova";
    RevokedBetweenAttachAndFill, Spaces, Interleaving, "a revoke between the two halves of MAP_FILE", "0, and nothing is mapped", "iopt_area_fill_domains";
    DeadUnmapsInFull, Spaces, Lab, "UNMAP of a dead mapping", "0 and its full length", "iopt_unmap_iova_range";
    PartialUnmap, Spaces, Lab, "UNMAP of a part", "ENOENT; whole areas before it are gone", "iopt_unmap_iova_range";
    NothingToUnmap, Spaces, Lab, "UNMAP of nothing", "ENOENT", "iommufd_ioas_unmap";
    CopyOfDead, Spaces, Lab, "COPY of a dead mapping", "0, and nothing is mapped", "iopt_area_fill_domains";
    CopyShares, Spaces, Lab, "COPY of a mapping", "one revoke kills all copies", "iommufd_ioas_copy";
    CopyOfNothing, Spaces, Lab, "COPY of a range with a gap", "ENOENT", "iopt_get_pages";
    CopyAcrossContexts, Spaces, Lab, "COPY into a space of another iommufd", "ENOENT", "iommufd_get_ioas";
    AttachAcrossContexts, Spaces, Lab, "a device attached to a space of another iommufd", "ENOENT", "iommufd_get_object";
    AttachUnaligned, Spaces, Lab, "a device attached to a space with mappings not of whole pages, or where the IOMMU keeps the range", "EADDRINUSE", "iopt_table_add_domain";
    GroupInAnotherSpace, Spaces, Lab, "a device attached while its group is attached to another space", "EINVAL", "iommufd_hw_pagetable_attach";
    Faults, Spaces, Lab, "DMA to an IOVA with nothing there, or something dead", "a fault of the IOMMU; the data does not move", "iopt_area_unmap_domain_range";
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.name(), self.when(), self.then())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_what_was_put_in() {
        let mut set = RuleSet::default();
        assert!(set.is_empty());
        for rule in Rule::ALL.into_iter().step_by(3) {
            set.insert(rule);
        }
        assert!(set.iter().eq(Rule::ALL.into_iter().step_by(3)));
        assert_eq!(set.len(), Rule::ALL.len().div_ceil(3));
    }
}

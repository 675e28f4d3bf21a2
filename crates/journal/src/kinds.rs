//! The closed vocabularies of an event. Numbers are the binary record's, names the JSON
//! lines'; both are part of the journal's version (`docs/interfaces.md`).

/// An enum with a stable number and a stable name for each variant.
macro_rules! vocabulary {
    ($(#[$meta:meta])* $name:ident: $repr:ty { $($(#[$vmeta:meta])* $variant:ident = $number:literal, $text:literal;)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr($repr)]
        pub enum $name { $($(#[$vmeta])* $variant = $number,)+ }

        impl $name {
            /// Every variant, in the order of its number.
            pub const ALL: &[$name] = &[$($name::$variant),+];

            /// The name in JSON lines.
            pub const fn name(self) -> &'static str {
                match self { $($name::$variant => $text,)+ }
            }

            /// The variant of a record's number, `None` for one of a newer version.
            pub const fn from_number(number: $repr) -> Option<Self> {
                match number { $($number => Some($name::$variant),)+ _ => None }
            }

            /// The variant of a JSON line's name.
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($text => Some($name::$variant),)+ _ => None }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.name())
            }
        }
    };
}

vocabulary! {
    /// Where a run took place; stands beside every number.
    Lane: u8 {
        /// The kernel as an executable specification, in memory.
        Model = 1, "model";
        /// Real vCPUs, simulated devices.
        Kvm = 2, "kvm";
        /// A real kernel inside the full-system emulator.
        Lab = 3, "lab";
        /// Real hardware.
        Host = 4, "host";
    }
}

vocabulary! {
    /// What a run's nanoseconds are.
    Clock: u8 {
        /// Counted instructions, or what a simulation counts ([`crate::VirtualClock`]): exact,
        /// the same on every machine, not hardware time.
        Virtual = 1, "virtual";
        /// Wall-clock time of an emulated machine: neither exact nor hardware time.
        Emulated = 2, "emulated";
        /// `CLOCK_MONOTONIC` of real hardware.
        Hardware = 3, "hardware";
    }
}

vocabulary! {
    /// Whether an event has a duration. A `begin` without its `end` is a hang or a death.
    Phase: u8 {
        /// Something that has no duration worth telling.
        Point = 0, "point";
        /// A step starts. Written before the step, so that it survives its failure.
        Begin = 1, "begin";
        /// The step of the same number is over.
        End = 2, "end";
    }
}

vocabulary! {
    /// Who did it.
    Actor: u8 {
        /// The VMM's set-up and tear-down.
        Vmm = 1, "vmm";
        /// The keeper, through the driver loop.
        Keeper = 2, "keeper";
        /// A vCPU thread of the VMM; `index` is the vCPU.
        Vcpu = 3, "vcpu";
        /// The program inside the guest; `index` is the vCPU it ran on.
        Guest = 4, "guest";
        /// A thread that only looks.
        Observer = 5, "observer";
        /// The kernel, by its log and its own trace.
        Kernel = 6, "kernel";
        /// The scenario's runner.
        Scenario = 7, "scenario";
        /// The testbed around it all.
        Lab = 8, "lab";
        /// A device acting by itself (a DMA engine).
        Device = 9, "device";
        /// The process that exports a BAR and hands the dma-buf over.
        Exporter = 10, "exporter";
        /// The process that is handed a dma-buf and imports it.
        Importer = 11, "importer";
        /// The driver of an importing device: the test importer, in the kernel.
        ImporterDriver = 12, "importer_driver";
    }
}

vocabulary! {
    /// What the event says. `docs/interfaces.md` lists the fields each kind carries.
    Kind: u16 {
        /// First event of a run; `text` is Barkeep's version.
        RunStart = 1, "run_start";
        /// Last event of a run; `result` is the exit status.
        RunEnd = 2, "run_end";
        /// A VFIO device opened and bound; `text` is what it is.
        DeviceOpen = 10, "device_open";
        /// The last reference to a VFIO device file given up.
        DeviceClose = 11, "device_close";
        /// A window of a BAR exported as a dma-buf.
        BarExport = 12, "bar_export";
        /// A dma-buf file closed.
        DmabufClose = 13, "dmabuf_close";
        /// Guest RAM mapped into the I/O address space.
        RamMap = 14, "ram_map";
        /// `IOMMU_IOAS_MAP_FILE` of a dma-buf; `address` is the IOVA.
        P2pMap = 20, "p2p_map";
        /// `IOMMU_IOAS_UNMAP`; `size` is the length the kernel answered.
        P2pUnmap = 21, "p2p_unmap";
        /// A memory slot set over a BAR window; `address` is guest physical.
        SlotAdd = 22, "slot_add";
        /// A memory slot withdrawn.
        SlotRemove = 23, "slot_remove";
        /// An event that may revoke, let through to the device; `trigger` names it.
        Trigger = 30, "trigger";
        /// What the function's registers say afterwards: `value` bit 0 memory decode on,
        /// bits 8–9 the power state D0–D3, bit 16 that this process has put it into low power,
        /// bits 24–29 BARs with windows that decode where none may be, or where another was first.
        FindOut = 31, "find_out";
        /// The keeper's belief: `value` 1 live, 0 revoked. Not an observation.
        Expect = 32, "expect";
        /// Access to a window is away (`begin`) until it is back (`end`); `value` is its
        /// generation.
        Outage = 33, "outage";
        /// Something an administrator does with a device, past the VMM: begin and end of it. `trigger`
        /// names it where it has a name, `text` says it.
        Administer = 34, "administer";
        /// Somebody else holds the device file open, from `begin` to `end`; `text` is by what.
        Hold = 35, "hold";
        /// The kernel asks for the device back (`VFIO_PCI_REQ_IRQ_INDEX`).
        Request = 36, "request";
        /// The kernel tells of an error of the device (`VFIO_PCI_ERR_IRQ_INDEX`).
        DeviceError = 37, "device_error";
        /// A device's interrupts turned on, off, or by another number of vectors: `value` many, 0 for off;
        /// `text` is `MSI`, `MSI-X` or `INTx`.
        Interrupts = 38, "interrupts";
        /// Observed: access was revoked.
        Revoked = 40, "revoked";
        /// Observed: access is there.
        Live = 41, "live";
        /// Observed: an access carried its data; `value` is the data.
        Landed = 42, "landed";
        /// Observed: an access did not carry its data; `value` is what stood there.
        NotLanded = 43, "not_landed";
        /// Observed: an access met a fault; `address` is where.
        Faulted = 44, "faulted";
        /// An attach tried only to learn its errno.
        AttachProbe = 45, "attach_probe";
        /// A DMA commanded; `address` is its destination.
        DmaStart = 50, "dma_start";
        /// Guest accesses answered during an outage; `value` is their number.
        Answered = 51, "answered";
        /// `KVM_RUN` came back with EFAULT; `value` is how often in a row.
        VcpuFault = 52, "vcpu_fault";
        /// `KVM_EXIT_INTERNAL_ERROR`; `value` is how often in a row.
        VcpuInternalError = 53, "vcpu_internal_error";
        /// A guest's sum of accesses of one sort; `text` is the sort, `value` the number.
        AccessCount = 54, "access_count";
        /// One action of a scenario; `text` is the action.
        Action = 60, "action";
        /// An expectation and whether it held: `result` 0 held, 1 broken.
        Expectation = 61, "expectation";
        /// A *sometimes* mark was hit.
        Mark = 62, "mark";
        /// Something is off, missing or done otherwise; nothing is lost silently.
        Degraded = 63, "degraded";
        /// Resources counted at the end; `text` names them, `value` is what was left.
        Leftover = 64, "leftover";
        /// A command of the control socket, from its receipt to its answer; `text` is the command, at the end
        /// with what it came to.
        Control = 65, "control";
        /// A line of the kernel's log; `time` is the kernel's own.
        KernelLog = 70, "kernel_log";
        /// The rest of the text before it; never seen outside the reader.
        Continuation = 71, "continuation";
        /// A record lost (`value` many) or torn: the writer died or ran out of room.
        Lost = 72, "lost";
        /// A function of the kernel's, from its entry to its return; `text` is its name, `value` the thread's number.
        KernelStep = 73, "kernel_step";
        /// The kernel's functions are traced from here on: `text` names them. It costs the run time.
        KernelTrace = 74, "kernel_trace";
        /// A process of several, from its start to the moment it is gone; `text` says at the end how it
        /// went.
        Process = 80, "process";
        /// One step of such a process; `text` is the step.
        ProcessStep = 81, "process_step";
        /// Something the driver of an importing device is told to do; `text` is what. `value` at the end of one
        /// that gives an address is that: what the device puts on the bus for the window's first byte.
        ImporterStep = 82, "importer_step";
        /// Something that happened to its attachment, by its own record and stamp; `text` is what.
        ImporterEvent = 83, "importer_event";
    }
}

vocabulary! {
    /// What may revoke, and what may restore.
    Trigger: u8 {
        /// Not about a trigger.
        None = 0, "none";
        /// PCIe Function Level Reset by Device Control.
        Flr = 1, "flr";
        /// Advanced Features FLR.
        AfFlr = 2, "af_flr";
        /// COMMAND: memory decode off.
        DecodeOff = 3, "decode_off";
        /// COMMAND: memory decode on.
        DecodeOn = 4, "decode_on";
        /// PMCSR to D3hot.
        D3hot = 5, "d3hot";
        /// PMCSR to D0.
        D0 = 6, "d0";
        /// `VFIO_DEVICE_RESET`.
        DeviceReset = 7, "device_reset";
        /// `VFIO_DEVICE_PCI_HOT_RESET`.
        HotReset = 8, "hot_reset";
        /// The device file closed.
        Close = 9, "close";
        /// A BAR moved while decode was on.
        BarMove = 10, "bar_move";
        /// Something may have revoked unseen.
        Suspect = 11, "suspect";
        /// The first mapping, at start.
        Start = 12, "start";
        /// `VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY`.
        LowPowerEntry = 13, "low_power_entry";
        /// `VFIO_DEVICE_FEATURE_LOW_POWER_EXIT`.
        LowPowerExit = 14, "low_power_exit";
        /// Taken out of the machine: the device file is given up because the kernel asks for it.
        Remove = 15, "remove";
        /// A reset through sysfs, which vfio-pci is not told of.
        SysfsReset = 16, "sysfs_reset";
        /// A second holder of the iommufd context has unmapped a window.
        Unmap = 17, "unmap";
    }
}

vocabulary! {
    /// The observation behind a [`Kind::Revoked`], [`Kind::Live`], [`Kind::Landed`],
    /// [`Kind::NotLanded`] or [`Kind::Faulted`].
    SeenBy: u8 {
        /// Not an observation.
        None = 0, "none";
        /// The errno of a system call.
        Errno = 1, "errno";
        /// A CPU inside the guest read the BAR.
        GuestRead = 2, "guest_read";
        /// The VMM read guest RAM.
        RamRead = 3, "ram_read";
        /// A fault record of the IOMMU.
        IommuFault = 4, "iommu_fault";
        /// `KVM_RUN` returned EFAULT.
        KvmFault = 5, "kvm_fault";
        /// An MMIO exit where a live slot would have answered.
        MmioExit = 6, "mmio_exit";
        /// A config-space read.
        ConfigRead = 7, "config_read";
        /// A line of the kernel's log.
        KernelLog = 8, "kernel_log";
        /// The VMM read the BAR through its device file.
        RegionRead = 9, "region_read";
        /// An eventfd the kernel has signalled.
        Eventfd = 10, "eventfd";
        /// A CPU of the host read the BAR through a mapping of it.
        MappingRead = 11, "mapping_read";
        /// A probe on a function of the kernel's.
        Kprobe = 12, "kprobe";
        /// The record that the driver of an importing device keeps of its attachment.
        ImporterRecord = 13, "importer_record";
    }
}

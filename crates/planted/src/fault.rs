//! The faults.

use std::fmt;

/// What a fault breaks, as `barkeep-check` has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Breaks {
    /// Access lands where it must not.
    I1,
    /// An errno is not the specification's.
    I2,
    /// Access is not back.
    I3,
    /// Something leaks.
    I4,
    /// The guest kills, stalls or confuses the VMM.
    I7,
    /// None of the journal's own: what the storm expects at its end does not come about.
    Expectation,
}

impl Breaks {
    /// As a verdict has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::I1 => "I1",
            Self::I2 => "I2",
            Self::I3 => "I3",
            Self::I4 => "I4",
            Self::I7 => "I7",
            Self::Expectation => "expectation",
        }
    }
}

/// Where a storm has to run to find it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lane {
    /// In every lane: it is quickest in this one.
    Model,
    /// It is in what real vCPUs do, or needs threads that meet.
    Kvm,
    /// It is in what is done to real device files.
    Lab,
}

impl Lane {
    /// As the command line has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Kvm => "kvm",
            Self::Lab => "lab",
        }
    }
}

macro_rules! faults {
    ($($variant:ident, $name:literal, $breaks:ident, $storm:literal, $lane:ident, $order:expr, $what:literal;)+) => {
        /// A fault.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Fault {
            $(
                #[doc = concat!($what, ".\n\nBreaks ", stringify!($breaks), "; found by the storm `", $storm,
                    "`, lane ", stringify!($lane), ".")]
                $variant,
            )+
        }

        impl Fault {
            /// All.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// What [`crate::VARIABLE`] calls it.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// What is wrong.
            #[must_use]
            pub fn what(self) -> &'static str {
                match self { $(Self::$variant => $what,)+ }
            }

            /// What it breaks, as the storm sees it first.
            #[must_use]
            pub fn breaks(self) -> Breaks {
                match self { $(Self::$variant => Breaks::$breaks,)+ }
            }

            /// The storm that finds it.
            #[must_use]
            pub fn storm(self) -> &'static str {
                match self { $(Self::$variant => $storm,)+ }
            }

            /// The lane it finds it in.
            #[must_use]
            pub fn lane(self) -> Lane {
                match self { $(Self::$variant => Lane::$lane,)+ }
            }

            /// The actions it takes, in this order, where it takes three or more.
            #[must_use]
            pub fn order(self) -> Option<&'static str> {
                let order: &str = match self { $(Self::$variant => $order,)+ };
                Some(order).filter(|order| !order.is_empty())
            }
        }
    };
}

/// It shows with the first action or two.
const AT_ONCE: &str = "";

faults! {
    SlotBeforeDecode, "slot-before-decode", I1, "decode", Model, AT_ONCE,
        "keeper: a slot is put back although the registers say that the function does not decode";
    SlotsBeforeFindOut, "slots-before-find-out", I1, "decode", Model, AT_ONCE,
        "keeper: the slots are put back before the registers are asked";
    UnmapForgotten, "unmap-forgotten", I3, "flr", Model, AT_ONCE,
        "keeper: dead mappings are not unmapped, and what is mapped anew meets EEXIST";
    MapSkippedAfterReset, "map-skipped-after-reset", I3, "reset-fails", Model, AT_ONCE,
        "keeper: nothing is mapped after a VFIO_DEVICE_RESET that succeeded";
    RestoreSkippedAfterFailedReset, "restore-skipped-after-failed-reset", I3, "reset-fails", Model, AT_ONCE,
        "keeper: after a VFIO_DEVICE_RESET that failed nothing is put back";
    WindowLeftAfterRemoval, "window-left-after-removal", I4, "unplug", Model, AT_ONCE,
        "keeper: the peers' mappings of a device that the kernel wanted back are not unmapped";
    SecondWindowForgotten, "second-window-unmapped", I3, "everything", Model, AT_ONCE,
        "keeper: of a BAR with a hole for MSI-X only the first window is mapped again";
    MovedSlotStays, "moved-slot-stays", I3, "bar-move", Model, AT_ONCE,
        "keeper: the slot of a BAR that moved stays where it was";
    MovedIovaStays, "moved-iova-stays", I3, "bar-move", Model, AT_ONCE,
        "keeper: the peers' mapping of a BAR that moved stays where it was";
    SleepThenDecode, "sleep-then-decode", I3, "d3", Model,
        "D3hot, decode off, D0, decode on",
        "keeper: once a function was in D3hot with decode off, its mappings are never made again";
    ResetWhileOff, "reset-while-off", I3, "shuffle", Model, "decode off, FLR, decode on",
        "keeper: decode on maps nothing if there was an FLR while it was off";
    ResetAfterFailedReset, "reset-after-failed-reset", I3, "reset-fails", Model,
        "methods out, device reset, methods back, device reset",
        "keeper: a VFIO_DEVICE_RESET right after one that failed is taken for one that failed, too";
    ThirdResetInARow, "third-reset-in-a-row", I3, "flr", Model, "FLR, FLR, FLR",
        "keeper: the third FLR with no other event between maps nothing";
    SleepTwice, "sleep-twice", I3, "d3", Model, "D3hot, D3hot, D0",
        "keeper: a D3hot of a function in D3hot is taken for its D0, and the D0 then for nothing";

    FlrAmongOthers, "flr-among-others", Expectation, "flr", Model, AT_ONCE,
        "shadow: an FLR written together with other bits of Device Control is not taken for one";
    DecodeAmongOthers, "decode-among-others", Expectation, "decode", Model, AT_ONCE,
        "shadow: decode off together with another bit of COMMAND that changes is not taken for it";
    WakeRestoresNothing, "wake-restores-nothing", Expectation, "d3", Model, AT_ONCE,
        "shadow: D0 is nothing that brings access back";
    LowPowerForgotten, "low-power-forgotten", I3, "d3", Model, AT_ONCE,
        "shadow: that the device was put into low power is not remembered";
    MovedWhileOff, "moved-while-off", Expectation, "bar-move", Model, "decode off, BAR moved, decode on",
        "shadow: a BAR register written while decode is off is not read again";

    SuspectIgnored, "suspect-ignored", Expectation, "everything", Model, AT_ONCE,
        "driver: a suspicion that no vCPU has raised is not followed";
    NobodyWaits, "nobody-waits", I3, "shuffle", Model, AT_ONCE,
        "driver: an event does not wait for the one of the same device that is under way";
    OutageWordStays, "outage-word-stays", Expectation, "vcpus", Model, AT_ONCE,
        "driver: the outage word does not go back to live";
    SiblingForgotten, "sibling-forgotten", Expectation, "hot-reset", Model, AT_ONCE,
        "board: a hot reset is an event of the device it is asked of only";

    ZerosInAnOutage, "zeros-in-an-outage", Expectation, "decode", Model, AT_ONCE,
        "bus: a read inside an outage is answered zeros";
    WrongFunction, "wrong-function", Expectation, "hot-reset", Model, AT_ONCE,
        "PCI root: a write to COMMAND of any function goes to the first one";
    RequestUnheard, "request-unheard", Expectation, "unplug", Model, AT_ONCE,
        "board: the kernel's first request for a device back is not acted on";
    EfaultFatal, "efault-fatal", I7, "everything", Model, AT_ONCE,
        "vCPU: EFAULT ends it";

    BufferLeaked, "buffer-leaked", I4, "flr", Model, AT_ONCE,
        "VFIO, simulated devices: each exported dma-buf has a reference that nobody gives up";
    MappingLeftAtClose, "mapping-left-at-close", I2, "close-race", Lab, AT_ONCE,
        "VFIO: a closed device leaves a mapping of a BAR behind, which keeps its file open";
    KvmKeepsFile, "kvm-keeps-file", I2, "close-race", Lab, AT_ONCE,
        "VFIO: KVM's VFIO device is not told to let go of a file that is closed";

    SlotNotDeleted, "slot-not-deleted", Expectation, "vcpus", Kvm, AT_ONCE,
        "memory slots: a slot that is withdrawn is not deleted";
    BufferOfFirstWindow, "buffer-of-first-window", Expectation, "everything", Model, AT_ONCE,
        "I/O address space: every window of a device is mapped from the dma-buf of its first";

    KernelRevokeKillsNothing, "kernel-revoke-kills-nothing", I1, "everything", Model, AT_ONCE,
        "simulated kernel: mappings of a dma-buf stay live when it is revoked";
    KernelDecodeOffRevokesNothing, "kernel-decode-off-revokes-nothing", I2, "decode", Model, AT_ONCE,
        "simulated kernel: decode off revokes nothing";
    KernelFlrRevokesNothing, "kernel-flr-revokes-nothing", I1, "importers", Model, AT_ONCE,
        "simulated kernel: an FLR revokes nothing";
    KernelD3hotRevokesNothing, "kernel-d3hot-revokes-nothing", I2, "d3", Model, AT_ONCE,
        "simulated kernel: D3hot revokes nothing";
    KernelMapsRevoked, "kernel-maps-revoked", I2, "decode", Model, AT_ONCE,
        "simulated kernel: MAP_FILE of a revoked dma-buf succeeds";
    KernelNeverGivesBack, "kernel-never-gives-back", I3, "decode", Model, AT_ONCE,
        "simulated kernel: what was revoked is not live again when the function decodes";
    KernelDeadUnmapsNothing, "kernel-dead-unmaps-nothing", I2, "flr", Model, AT_ONCE,
        "simulated kernel: UNMAP of a dead mapping tells of no length";
    KernelCloseRevokesNothing, "kernel-close-revokes-nothing", I2, "close-race", Model, AT_ONCE,
        "simulated kernel: the last close revokes nothing";
}

impl Fault {
    /// By its name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|fault| fault.name() == name)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name(), self.what())
    }
}

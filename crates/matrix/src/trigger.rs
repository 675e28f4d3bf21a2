//! The rows: everything that may revoke, and what must not. What is said of each is said here once;
//! `docs/semantics.md` and the help print it.

use barkeep_scenario::nearest::{nearest, with_suggestion};
use std::fmt;
use std::str::FromStr;

/// Something that happens to a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trigger {
    /// PCIe Function Level Reset, written bare by the guest.
    Flr,
    /// Advanced Features FLR.
    AfFlr,
    /// COMMAND: memory decode off, and on again.
    DecodeOff,
    /// PMCSR: D3hot, and D0 again.
    D3hot,
    /// `VFIO_DEVICE_RESET`.
    DeviceReset,
    /// The same, and the bare FLR, where no reset method works.
    FailedReset,
    /// `VFIO_DEVICE_PCI_HOT_RESET`.
    HotReset,
    /// The same behind a port whose link does not come back.
    FailedHotReset,
    /// `VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY` and `_EXIT`.
    LowPower,
    /// Low power with a wake-up eventfd, ended by the device's waking up.
    LowPowerWake,
    /// A BAR moved while decode is on.
    BarMove,
    /// The device file closed by the VMM.
    Close,
    /// Removed through sysfs.
    Remove,
    /// The physical function's `sriov_numvfs` set to 0.
    SriovOff,
    /// A reset through sysfs.
    SysfsReset,
    /// The same, of the physical function of a virtual one.
    PfReset,
    /// A second holder of the device file turns memory decode off.
    UnseenDecode,
    /// A second holder resets the device.
    UnseenReset,
    /// A second holder hot-resets it.
    UnseenHotReset,
    /// A second holder of the iommufd context unmaps the window.
    UnseenUnmap,
    /// Closed by the VMM while a duplicate of the descriptor is held.
    HeldDuplicate,
    /// Closed while a BAR is mapped elsewhere.
    HeldMapping,
    /// Closed while a descriptor is on its way through a socket.
    HeldPassed,
    /// Closed while KVM's VFIO device of another VM has the file.
    HeldKvm,
}

/// What is said of a trigger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Words {
    /// On the command line and in tables.
    pub name: &'static str,
    /// What happens, in a few words.
    pub what: &'static str,
    /// What the kernel does.
    pub kernel: &'static str,
    /// What the guest and its devices see.
    pub guest: &'static str,
    /// What Barkeep does.
    pub barkeep: &'static str,
}

impl Trigger {
    /// All of them, in the order of the table.
    pub const ALL: [Self; 24] = [
        Self::Flr,
        Self::AfFlr,
        Self::DecodeOff,
        Self::D3hot,
        Self::DeviceReset,
        Self::FailedReset,
        Self::HotReset,
        Self::FailedHotReset,
        Self::LowPower,
        Self::LowPowerWake,
        Self::BarMove,
        Self::Close,
        Self::Remove,
        Self::SriovOff,
        Self::SysfsReset,
        Self::PfReset,
        Self::UnseenDecode,
        Self::UnseenReset,
        Self::UnseenHotReset,
        Self::UnseenUnmap,
        Self::HeldDuplicate,
        Self::HeldMapping,
        Self::HeldPassed,
        Self::HeldKvm,
    ];

    /// Its name.
    pub const fn name(self) -> &'static str {
        self.words().name
    }

    /// All names, in the order of the table.
    pub fn names() -> impl Iterator<Item = &'static str> {
        Self::ALL.into_iter().map(Self::name)
    }

    /// What is said of it.
    pub const fn words(self) -> Words {
        match self {
            Self::Flr => Words {
                name: "flr",
                what: "the guest writes the FLR bit of Device Control, decode untouched",
                kernel: "Inside the write: zaps the BARs' mmaps, revokes the dma-bufs, resets by the first \
                         method that works (100 ms for FLR, 60 s at the most), and makes the dma-bufs live \
                         again if decode is on. iommufd's mappings stay dead. Without DEVCAP.FLR the bit does \
                         nothing.",
                guest: "Its write takes as long as the reset. Meanwhile CPU reads give all ones and a peer's \
                        DMA faults; afterwards both work.",
                barkeep: "Withdraws the slots, lets the write through, reads COMMAND and PMCSR, unmaps what is \
                          dead, maps anew, puts the slots back.",
            },
            Self::AfFlr => Words {
                name: "af-flr",
                what: "the guest writes the FLR bit of the Advanced Features capability",
                kernel: "As for FLR, if the capability says FLR and TP.",
                guest: "As for FLR.",
                barkeep: "As for FLR.",
            },
            Self::DecodeOff => Words {
                name: "decode-off",
                what: "the guest turns memory decode off in COMMAND, and on again",
                kernel: "Off: zaps and revokes, also if it was off before. On: the dma-bufs are live again, the \
                         mappings stay dead. On a virtual function, which has no such bit, one write does \
                         both: revoked and live again.",
                guest: "All ones and faults until decode is on again. On a virtual function nothing but the \
                        moment it takes to map anew.",
                barkeep: "Off: withdraws the slots and unmaps. On: maps, then slots. COMMAND of a virtual \
                          function does not say that anything happened: each such write is taken as a revoke.",
            },
            Self::D3hot => Words {
                name: "d3hot",
                what: "the guest writes D3hot to PMCSR, and D0 again",
                kernel: "D3hot: zaps and revokes. D0: live again if decode is on; a function without \
                         No_Soft_Reset gets its config space back as it was before.",
                guest: "All ones and faults until D0. What the device's state was is the device's business.",
                barkeep: "As for decode. Where D3hot does not stick, what PMCSR says afterwards decides.",
            },
            Self::DeviceReset => Words {
                name: "device-reset",
                what: "the VMM calls VFIO_DEVICE_RESET",
                kernel: "Zaps, revokes, resets by the first method that works, live again if decode is on. A \
                         device that could not be reset when it was opened: EINVAL, and nothing is revoked.",
                guest: "All ones and faults for as long as the reset takes.",
                barkeep: "As for FLR; the errno is passed on.",
            },
            Self::FailedReset => Words {
                name: "failed-reset",
                what: "the same with all reset methods taken out, then the bare FLR bit where there is one",
                kernel: "Revokes before it finds out that it cannot reset: ENOTTY, and the mappings are dead all \
                         the same. A bare FLR's write even succeeds.",
                guest: "A short outage, and the device as it was.",
                barkeep: "Goes by what it finds afterwards, never by the result: maps anew.",
            },
            Self::HotReset => Words {
                name: "hot-reset",
                what: "the VMM resets the bus of a device (VFIO_DEVICE_PCI_HOT_RESET)",
                kernel: "Revokes every function of the bus's set, resets the bus, and makes those live again \
                         that are open and decode. On the root bus: ENODEV, and nothing is revoked.",
                guest: "All ones and faults at every device of the set for as long as it takes.",
                barkeep: "Takes the keepers of all members that are in the VM, withdraws all their slots, one \
                          call, then finds out and restores one after the other.",
            },
            Self::FailedHotReset => Words {
                name: "failed-hot-reset",
                what: "the same behind a port whose link does not come back",
                kernel: "Revokes all, waits a second for the link, gives ENOTTY; nothing was reset, and the \
                         dma-bufs are live again.",
                guest: "A second of all ones and faults.",
                barkeep: "As if it had worked: finds out and restores.",
            },
            Self::LowPower => Words {
                name: "low-power",
                what: "the VMM puts the device into low power, and takes it out",
                kernel: "Entry: zaps and revokes; the device may be suspended at run time. Exit: live again if \
                         decode is on. What is exported, or COMMAND written, in between is live while CPU \
                         access is SIGBUS: low power is not part of the decode check.",
                guest: "All ones and faults in between.",
                barkeep: "Goes by what it did itself, since COMMAND and PMCSR do not tell: maps nothing until \
                          the exit.",
            },
            Self::LowPowerWake => Words {
                name: "low-power-wake",
                what: "the same with a wake-up eventfd, and the device wakes up by itself",
                kernel: "On the first resume signals the eventfd and is out of low power: CPU access works \
                         again, and nothing is un-revoked.",
                guest: "All ones and faults until the VMM has answered the eventfd.",
                barkeep: "Calls LOW_POWER_EXIT for the eventfd, which un-revokes; then maps and puts slots back.",
            },
            Self::BarMove => Words {
                name: "bar-move",
                what: "the guest writes another address to a BAR while decode is on",
                kernel: "Nothing: the registers are vfio's own, the host's address stays.",
                guest: "The BAR answers at the new address, and all ones at the old one; a peer's DMA to the old \
                        address faults.",
                barkeep: "Moves slots and P2P mappings: away at the old address before the new one is mapped.",
            },
            Self::Close => Words {
                name: "close",
                what: "the VMM gives the device up",
                kernel: "With the last reference to the device file: revoked for ever. The dma-buf stays a file.",
                guest: "All ones and faults for ever; the other devices work on.",
                barkeep: "Withdraws slots, unmaps, gives up mmaps, KVM's file and the descriptor, in this order.",
            },
            Self::Remove => Words {
                name: "remove",
                what: "the administrator writes the device's sysfs `remove`",
                kernel: "Asks for the device by the request interrupt, again every 10 s, and waits. Nothing is \
                         revoked until the last reference goes.",
                guest: "Nothing until the VMM gives the device up; then all ones and faults for ever.",
                barkeep: "Closes as for close, at once or when it is told to.",
            },
            Self::SriovOff => Words {
                name: "sriov-off",
                what: "the administrator writes 0 to `sriov_numvfs` of the physical function",
                kernel: "Removes one virtual function after the other, each as for remove.",
                guest: "As for remove.",
                barkeep: "As for remove.",
            },
            Self::SysfsReset => Words {
                name: "sysfs-reset",
                what: "the administrator writes the device's sysfs `reset`",
                kernel: "Resets it without telling vfio-pci's dma-bufs: nothing is revoked, the mappings stay. A \
                         function in D3hot wakes up, and stays revoked.",
                guest: "Mappings work; what the device lost is lost, and its registers show it (an NVMe's CC reads \
                        0). An access during the reset meets the device's or the bus's own answer.",
                barkeep: "Nothing: nothing tells of it. The mappings are kept.",
            },
            Self::PfReset => Words {
                name: "pf-reset",
                what: "the same for the physical function under a virtual one",
                kernel: "Resets the physical function and restores SR-IOV; vfio-pci of the virtual functions is \
                         not told.",
                guest: "As for sysfs-reset.",
                barkeep: "As for sysfs-reset.",
            },
            Self::UnseenDecode => Words {
                name: "unseen-decode",
                what: "a second holder of the device file turns decode off, and on again",
                kernel: "As for decode-off. Nothing tells the VMM.",
                guest: "The first CPU access gets all ones late, after KVM_RUN has failed once; then all ones; a \
                        peer's DMA faults.",
                barkeep: "EFAULT makes all devices suspect: finds out, withdraws. It learns of decode on only \
                          from whoever tells it to look.",
            },
            Self::UnseenReset => Words {
                name: "unseen-reset",
                what: "a second holder of the device file resets the device",
                kernel: "As for device-reset. Nothing tells the VMM.",
                guest: "CPU access works again by itself. The first DMA of a peer is lost, the next lands.",
                barkeep: "Follows the IOMMU's fault records: one at a window believed live makes its device \
                          suspect, and it is mapped anew.",
            },
            Self::UnseenHotReset => Words {
                name: "unseen-hot-reset",
                what: "a second holder hot-resets the device",
                kernel: "As for hot-reset, or for failed-hot-reset. Nothing tells the VMM.",
                guest: "As for unseen-reset, at every device of the set.",
                barkeep: "As for unseen-reset.",
            },
            Self::UnseenUnmap => Words {
                name: "unseen-unmap",
                what: "a second holder of the iommufd context unmaps the window",
                kernel: "The IOVA is free; nothing is revoked.",
                guest: "CPU access never stops. The first DMA of a peer is lost, the next lands.",
                barkeep: "As for unseen-reset; the unmap it tries first finds nothing.",
            },
            Self::HeldDuplicate => Words {
                name: "held-duplicate",
                what: "close, while somebody holds a duplicate of the descriptor",
                kernel: "Nothing is revoked: the dma-buf is live until the last reference goes, and then revoked \
                         for ever.",
                guest: "As for close.",
                barkeep: "As for close: its own mappings go first, so that nothing depends on who holds what.",
            },
            Self::HeldMapping => Words {
                name: "held-mapping",
                what: "close, while somebody has a BAR mapped",
                kernel: "As for held-duplicate: a mapping keeps the file.",
                guest: "As for close.",
                barkeep: "As for held-duplicate.",
            },
            Self::HeldPassed => Words {
                name: "held-passed",
                what: "close, while a descriptor is on its way through a socket",
                kernel: "As for held-duplicate: what is in a socket's queue is open.",
                guest: "As for close.",
                barkeep: "As for held-duplicate.",
            },
            Self::HeldKvm => Words {
                name: "held-kvm",
                what: "close, while KVM's VFIO device of another VM has the file",
                kernel: "As for held-duplicate: KVM keeps a reference until FILE_DEL, which needs a descriptor of \
                         the file, or until its VM is gone.",
                guest: "As for close.",
                barkeep: "As for held-duplicate. Of its own KVM it takes the file back first, while it still has a \
                          descriptor to name it by; then go the mappings, and last the file.",
            },
        }
    }
}

impl fmt::Display for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// No such trigger.
#[derive(Debug, thiserror::Error)]
#[error("{}", with_suggestion(format!("no trigger `{name}`; `barkeep matrix --list` names them"), nearest(name, Trigger::names())))]
pub struct NoSuchTrigger {
    name: String,
}

impl FromStr for Trigger {
    type Err = NoSuchTrigger;

    fn from_str(name: &str) -> Result<Self, NoSuchTrigger> {
        Self::ALL
            .into_iter()
            .find(|known| known.name() == name)
            .ok_or_else(|| NoSuchTrigger { name: name.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_read_back() {
        for trigger in Trigger::ALL {
            assert_eq!(trigger.name().parse::<Trigger>().unwrap(), trigger);
        }
        let error = "flrr".parse::<Trigger>().unwrap_err().to_string();
        assert!(error.contains("did you mean `flr`"), "{error}");
    }
}

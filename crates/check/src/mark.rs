//! *Sometimes* marks: what must have happened at least once for a green storm to mean anything.

use barkeep_journal::Trigger;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;
use std::fmt;

/// Marks with their names and sentences, each once.
macro_rules! marks {
    ($($(#[$meta:meta])* $variant:ident = $name:literal, $sentence:literal;)+) => {
        /// Something that may happen in a run and is worth knowing of. Each is seen in the journal
        /// alone.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Mark { $(#[doc = $sentence] $variant,)+ }

        impl Mark {
            /// All of them, in the order they are told in.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// Its name in a storm file and in reports.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// What was seen where it is hit: one sentence without the full stop.
            pub const fn sentence(self) -> &'static str {
                match self { $(Self::$variant => $sentence,)+ }
            }

            /// The mark of a name.
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}

marks! {
    DmaInFlight = "dma-in-flight",
        "a DMA was commanded before its target was revoked and carried out after: it faulted, or its data did not land";
    FlrUnderDma = "flr-under-dma", "a DMA in flight met an FLR";
    AfFlrUnderDma = "af-flr-under-dma", "a DMA in flight met an AF FLR";
    DecodeOffUnderDma = "decode-off-under-dma", "a DMA in flight met memory decode going off";
    D3hotUnderDma = "d3hot-under-dma", "a DMA in flight met D3hot";
    DeviceResetUnderDma = "device-reset-under-dma", "a DMA in flight met VFIO_DEVICE_RESET";
    HotResetUnderDma = "hot-reset-under-dma", "a DMA in flight met a hot reset";
    LowPowerUnderDma = "low-power-under-dma", "a DMA in flight met low power";
    CloseUnderDma = "close-under-dma", "a DMA in flight met the close of its target";
    RemovalUnderDma = "removal-under-dma", "a DMA in flight met the removal of its target";
    BarMovedUnderDma = "bar-moved-under-dma", "a DMA in flight met a BAR that moved away from under it";
    RebootUnderDma = "reboot-under-dma", "a DMA was in flight when the guest rebooted, and met that";
    BothWaysLive = "both-ways-live",
        "CPU and a peer's DMA were both seen to land in one BAR while both ways to it were live";
    CpuMetOutage = "cpu-met-outage", "a CPU access was answered all ones inside an outage";
    EfaultMet = "efault-met", "KVM_RUN gave EFAULT: a CPU met a revoked page behind its slot";
    MapMetEnodev = "map-met-enodev", "a map or an attach of an open device's window was answered ENODEV";
    ResetFailed = "reset-failed", "a reset was answered with an errno";
    BackAfterFailedReset = "back-after-failed-reset", "both ways came back after a reset that failed";
    CloseRacedReset = "close-raced-reset",
        "a device was being closed while it was being reset, or the other way round";
    HotResetTookSibling = "hot-reset-took-sibling", "one hot reset took several devices of this VM";
    UnannouncedRevoke = "unannounced-revoke",
        "what somebody else revoked past the VMM was noticed and came back";
    LowPower = "low-power", "a device was put into low power";
    DeviceGone = "device-gone", "the kernel asked for a device back and was given it";
    HeldThroughClose = "held-through-close", "the VMM closed a device that somebody else held open";
    SecondImporterRevoked = "second-importer-revoked",
        "a window that another process had imported was revoked under it";
    ProcessKilled = "process-killed", "a process was ended by SIGKILL";
    OutagesOverlapped = "outages-overlapped", "windows of two devices were away at the same time";
    RestoredOutOfOrder = "restored-out-of-order", "a device came back before one that was away earlier";
}

impl Mark {
    /// The mark of a DMA in flight that met this trigger, beside [`Mark::DmaInFlight`].
    pub(crate) const fn under_dma(trigger: Trigger) -> Option<Self> {
        match trigger {
            Trigger::Flr => Some(Self::FlrUnderDma),
            Trigger::AfFlr => Some(Self::AfFlrUnderDma),
            Trigger::DecodeOff => Some(Self::DecodeOffUnderDma),
            Trigger::D3hot => Some(Self::D3hotUnderDma),
            Trigger::DeviceReset => Some(Self::DeviceResetUnderDma),
            Trigger::HotReset => Some(Self::HotResetUnderDma),
            Trigger::LowPowerEntry => Some(Self::LowPowerUnderDma),
            Trigger::Close => Some(Self::CloseUnderDma),
            Trigger::Remove => Some(Self::RemovalUnderDma),
            Trigger::BarMove => Some(Self::BarMovedUnderDma),
            Trigger::None
            | Trigger::DecodeOn
            | Trigger::D0
            | Trigger::Suspect
            | Trigger::Start
            | Trigger::LowPowerExit
            | Trigger::SysfsReset
            | Trigger::Unmap => None,
        }
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Serialize for Mark {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Mark {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Self::from_name(&name).ok_or_else(|| serde::de::Error::custom(format!("no mark is called `{name}`")))
    }
}

/// How often each mark was hit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marks([u64; Mark::ALL.len()]);

impl Default for Marks {
    fn default() -> Self {
        Self([0; Mark::ALL.len()])
    }
}

impl Marks {
    /// How often this one was hit.
    pub fn count(&self, mark: Mark) -> u64 {
        self.0[mark as usize]
    }

    /// Those that were hit, with how often.
    pub fn iter(&self) -> impl Iterator<Item = (Mark, u64)> {
        Mark::ALL.iter().map(|mark| (*mark, self.count(*mark))).filter(|(_, count)| *count > 0)
    }

    /// Whether none was.
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    pub(crate) fn hit(&mut self, mark: Mark) {
        self.add(mark, 1);
    }

    /// Takes those of another run in.
    pub(crate) fn merge(&mut self, other: &Self) {
        other.iter().for_each(|(mark, count)| self.add(mark, count));
    }

    fn add(&mut self, mark: Mark, count: u64) {
        let known = &mut self.0[mark as usize];
        *known = known.saturating_add(count);
    }
}

impl Serialize for Marks {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de> Deserialize<'de> for Marks {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut marks = Self::default();
        for (mark, count) in BTreeMap::<Mark, u64>::deserialize(deserializer)? {
            marks.add(mark, count);
        }
        Ok(marks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_marks_and_can_be_typed() {
        for (n, mark) in Mark::ALL.iter().enumerate() {
            assert_eq!((Mark::from_name(mark.name()), *mark as usize), (Some(*mark), n));
            assert!(mark.name().bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'));
            assert!(!mark.sentence().ends_with('.'));
        }
        assert_eq!(Mark::from_name("dma_in_flight"), None);
    }

    #[test]
    fn the_page_has_all_of_them() {
        let page = include_str!("../../../docs/interfaces.md");
        for mark in Mark::ALL {
            let row = format!("| `{mark}` | {} |\n", mark.sentence());
            assert!(page.contains(&row), "{row}");
        }
    }
}

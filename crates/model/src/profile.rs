//! Kernel versions. Everything in which they differ, as far as it is known, stands here and
//! nowhere else, each difference with its reason.

use crate::errno::Errno;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A version of the export path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Profile {
    /// The series of June 2024, before the merge: "vfio/pci: Allow MMIO regions to be exported
    /// through dma-buf", version 2.
    #[serde(rename = "dmabuf-v2")]
    DmabufV2,
    /// Linux 6.19, the first with the export, and with `IOMMU_IOAS_MAP_FILE` of a dma-buf.
    #[serde(rename = "6.19")]
    V6_19,
    /// Linux 7.0.
    #[serde(rename = "7.0")]
    V7_0,
    /// Linux 7.1.
    #[serde(rename = "7.1")]
    V7_1,
    /// Linux 7.2.
    #[serde(rename = "7.2")]
    V7_2,
    /// Linux 7.3.
    #[serde(rename = "7.3")]
    V7_3,
}

impl Profile {
    /// All, oldest first.
    pub const ALL: [Self; 6] = [Self::DmabufV2, Self::V6_19, Self::V7_0, Self::V7_1, Self::V7_2, Self::V7_3];

    /// The name the command line and recordings use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::DmabufV2 => "dmabuf-v2",
            Self::V6_19 => "6.19",
            Self::V7_0 => "7.0",
            Self::V7_1 => "7.1",
            Self::V7_2 => "7.2",
            Self::V7_3 => "7.3",
        }
    }

    /// The release it was held to by `barkeep conform`, `None` if it never was.
    #[must_use]
    pub fn checked(self) -> Option<&'static str> {
        match self {
            Self::V7_3 => Some("7.3.4"),
            Self::V7_2 => Some("7.2.12"),
            Self::DmabufV2 | Self::V6_19 | Self::V7_0 | Self::V7_1 => None,
        }
    }

    /// The profile of a release string such as `7.3.4`, `7.2-rc1`.
    #[must_use]
    pub fn of_release(release: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|profile| {
            release
                .strip_prefix(profile.name())
                .is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_digit()))
        })
    }

    /// A dma-buf of ranges from several BARs. Merged was one region, many ranges
    /// (`vfio_region_dma_range` lost its `region_index`).
    #[must_use]
    pub fn many_regions(self) -> bool {
        self == Self::DmabufV2
    }

    /// What an importer without peer2peer meets, and where: version 2 let it attach and refused
    /// the map.
    #[must_use]
    pub fn not_peer2peer(self) -> NotPeer2peer {
        match self {
            Self::DmabufV2 => NotPeer2peer::AtMap(Errno::EPERM),
            Self::V6_19 | Self::V7_0 | Self::V7_1 | Self::V7_2 | Self::V7_3 => {
                NotPeer2peer::AtAttach(Errno::EOPNOTSUPP)
            }
        }
    }

    /// Whether a revoked dma-buf refuses the attach. Version 2 had a check in map only.
    #[must_use]
    pub fn attach_refused_while_revoked(self) -> bool {
        self != Self::DmabufV2
    }

    /// What an importer that cannot invalidate meets. Version 2 did not ask; up to 7.0 the dma-buf
    /// core refused it before the exporter was asked; since 7.1 the exporter does
    /// (`dma_buf_attach_revocable`), last of its checks.
    #[must_use]
    pub fn not_revocable(self) -> NotRevocable {
        match self {
            Self::DmabufV2 => NotRevocable::LetIn,
            Self::V6_19 | Self::V7_0 => NotRevocable::AtCore(Errno::EINVAL),
            Self::V7_1 | Self::V7_2 | Self::V7_3 => NotRevocable::AtExporter(Errno::EOPNOTSUPP),
        }
    }

    /// Whether importers are told of an un-revoke before the dma-buf is live, so that one that maps
    /// from the notice is refused. Since 7.1; before, `revoked` was cleared first.
    #[must_use]
    pub fn notified_before_cleared(self) -> bool {
        match self {
            Self::DmabufV2 | Self::V6_19 | Self::V7_0 => false,
            Self::V7_1 | Self::V7_2 | Self::V7_3 => true,
        }
    }

    /// Whether a hot reset revokes each device as it takes it, so that a later one's refusal does
    /// not spare the earlier ones. Version 2 revoked when all were held.
    #[must_use]
    pub fn hot_reset_revokes_as_it_goes(self) -> bool {
        self != Self::DmabufV2
    }

    /// What the export of a region that is no BAR meets: `beyond` the BARs, or an empty one. Up to 7.0
    /// an empty BAR was found out last, by its missing peer-to-peer provider; since 7.1 a BAR has to
    /// be claimed (702809dabdec), and that is asked first.
    #[must_use]
    pub fn no_bar(self, beyond: bool) -> NoBar {
        match (self, beyond) {
            (Self::DmabufV2, _) => NoBar::First(Errno::EINVAL),
            (Self::V6_19 | Self::V7_0, false) => NoBar::Last(Errno::EINVAL),
            (Self::V6_19 | Self::V7_0, true) | (Self::V7_1 | Self::V7_2 | Self::V7_3, _) => {
                NoBar::First(Errno::ENODEV)
            }
        }
    }

    /// The longest entry of a scatter list, given what the importer's device can take. Version 2
    /// cut to the importer's largest segment (`populate_sgt`); merged was `fill_sg_entry`, which
    /// cuts near 4 GiB and does not look at the importer.
    #[must_use]
    pub fn longest_segment(self, importers: u64) -> u64 {
        const NEAR_4_GIB: u64 = 0xffff_f000;
        match self {
            Self::DmabufV2 => importers,
            Self::V6_19 | Self::V7_0 | Self::V7_1 | Self::V7_2 | Self::V7_3 => NEAR_4_GIB,
        }
    }

    /// Whether `mmap` of the dma-buf works. Version 2 had a handler; merged was none.
    #[must_use]
    pub fn mmap_of_dmabuf(self) -> bool {
        self == Self::DmabufV2
    }

    /// Whether iommufd imports dma-bufs at all.
    #[must_use]
    pub fn iommufd_imports(self) -> bool {
        match self {
            Self::DmabufV2 => false,
            Self::V6_19 | Self::V7_0 | Self::V7_1 | Self::V7_2 | Self::V7_3 => true,
        }
    }

    /// Whether a revoke waits until importers that hold a DMA mapping have let it go. A fix of 7.1
    /// (1a8a5227f229), so that access is really gone when the write is over.
    #[must_use]
    pub fn revoke_waits(self) -> bool {
        match self {
            Self::DmabufV2 | Self::V6_19 | Self::V7_0 => false,
            Self::V7_1 | Self::V7_2 | Self::V7_3 => true,
        }
    }
}

/// Where an importer without peer2peer is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotPeer2peer {
    /// `dma_buf_dynamic_attach` fails.
    AtAttach(Errno),
    /// The attach succeeds and `dma_buf_map_attachment` fails.
    AtMap(Errno),
}

/// Where an importer that cannot invalidate is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotRevocable {
    /// Nowhere.
    LetIn,
    /// By `dma_buf_dynamic_attach`, before the exporter is asked.
    AtCore(Errno),
    /// By the exporter, after peer2peer and revoked.
    AtExporter(Errno),
}

/// When an export notices that there is no BAR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoBar {
    /// Before the ranges are looked at.
    First(Errno),
    /// After them.
    Last(Errno),
}

impl NoBar {
    pub(crate) fn errno(self) -> Errno {
        match self {
            Self::First(errno) | Self::Last(errno) => errno,
        }
    }
}

/// No profile of that name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no profile `{0}`; there are dmabuf-v2, 6.19, 7.0, 7.1, 7.2, 7.3")]
pub struct NoProfile(String);

impl FromStr for Profile {
    type Err = NoProfile;

    fn from_str(text: &str) -> Result<Self, NoProfile> {
        Self::ALL.into_iter().find(|profile| profile.name() == text).ok_or_else(|| NoProfile(text.into()))
    }
}

impl fmt::Display for Profile {
    /// The name; of a profile never checked also that.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.checked() {
            Some(_) => f.write_str(self.name()),
            None => write!(f, "{} (never checked against its kernel)", self.name()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_find_their_profile() {
        assert_eq!(Profile::of_release("7.3.4"), Some(Profile::V7_3));
        assert_eq!(Profile::of_release("7.2-rc1"), Some(Profile::V7_2));
        assert_eq!(Profile::of_release("7.30.1"), None);
        assert_eq!(Profile::of_release("6.12.1"), None);
    }

    #[test]
    fn a_profile_never_checked_says_so() {
        assert_eq!(Profile::V7_3.to_string(), "7.3");
        assert!(Profile::V7_0.to_string().contains("never checked"));
        for profile in Profile::ALL {
            assert_eq!(profile.name().parse(), Ok(profile));
        }
        assert!("7.9".parse::<Profile>().unwrap_err().to_string().contains("7.9"));
    }
}

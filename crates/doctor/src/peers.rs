//! Which device's DMA can come to which device's BARs.
//!
//! A VM's importer is iommufd. It takes the physical address from vfio-pci
//! (`vfio_pci_dma_buf_iommufd_map`) and puts it into the IOMMU's tables: no distance, no list of host
//! bridges is asked (`pci_p2pdma_map_type` is for the DMA API, which other importers use: network and
//! graphics drivers). So the kernel refuses no pair. Whether a request then arrives is up to the hardware:
//! it has to come up to the IOMMU untranslated, which ACS redirection makes sure of below a switch, and the
//! root complex has to send it down again. That it does, the kernel knows of some machines; of others only
//! a DMA can tell.

use crate::function::Function;
use crate::roots::{self, Roots};
use crate::route::{Between, Place, between, is_redirected};
use barkeep_journal::DeviceAddress;
use serde::Serialize;

/// Whether it arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Reach {
    /// The kernel lists this hardware as one that sends peers' requests on.
    Yes,
    /// Nothing is in the way; only a DMA tells.
    Try,
    /// It may go to a wrong place.
    Astray,
    /// Something is in the way.
    No,
}

impl Reach {
    /// As the matrix has it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::Try => "try",
            Self::Astray => "astray",
            Self::No => "no",
        }
    }
}

/// DMA of one device into BARs of another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Peer {
    /// Whose DMA.
    pub from: String,
    /// Whose BARs.
    pub to: String,
    /// Whether it arrives.
    pub reach: Reach,
    /// What lies between them, and why it is so. One line.
    pub why: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cure: Option<String>,
    /// What the DMA API makes of the pair, for importers that use it: `direct`, `through host bridge`,
    /// `refused`, `unknown`.
    pub dma_api: &'static str,
}

/// A device of the matrix.
pub struct Station<'a> {
    /// The function.
    pub function: &'a Function,
    /// Whether some window of its BARs can be exported; `None`: not known.
    pub exports: Option<bool>,
}

/// Every ordered pair of these devices.
#[must_use]
pub fn matrix(roots: &Roots, stations: &[Station<'_>]) -> Vec<Peer> {
    let pairs = stations.iter().flat_map(|from| stations.iter().map(move |to| (from, to)));
    let others = pairs.filter(|(from, to)| from.function.address != to.function.address);
    others.map(|(from, to)| peer(roots, from, to)).collect()
}

fn peer(roots: &Roots, from: &Station<'_>, to: &Station<'_>) -> Peer {
    let places = (Place::of(&from.function.folder), Place::of(&to.function.folder));
    let (reach, why, cure, dma_api) = match &places {
        (Some(one), Some(other)) => {
            let route = Route::of(roots, one, other);
            let (reach, why, cure) = judge(from, to, &route);
            (reach, why, cure, route.dma_api())
        }
        _ => (Reach::Try, "where they are in the device tree cannot be read".to_owned(), None, "unknown"),
    };
    let name = |station: &Station<'_>| station.function.address.to_string();
    Peer { from: name(from), to: name(to), reach, why, cure, dma_api }
}

fn judge(from: &Station<'_>, to: &Station<'_>, route: &Route) -> (Reach, String, Option<String>) {
    for station in [from, to] {
        if station.function.group().is_none() {
            let why = format!("{} has no IOMMU group", station.function.address);
            return (Reach::No, why, Some("turn the IOMMU on: the row iommu".to_owned()));
        }
    }
    if to.exports == Some(false) {
        return (Reach::No, format!("{} has no window that can be exported", to.function.address), None);
    }
    let way = route.describe();
    if let (Some(false), Between::Bridge(bridge)) = (route.redirected, &route.between) {
        let why = format!(
            "{way}, without ACS redirection: an I/O address that is a bus address below {bridge} goes there \
             untranslated, all others through the IOMMU"
        );
        let cure = "boot with pci=config_acs (docs/hardware.md), or put one of them below another root port";
        return (Reach::Astray, why, Some(cure.to_owned()));
    }
    if route.redirected.is_none() {
        let why = format!("{way}, and whether that redirects (ACS) cannot be read");
        return (Reach::Try, why, Some("barkeep doctor as root".to_owned()));
    }
    match route.forwards {
        true => (Reach::Yes, format!("{way}, which the kernel lists as sending peers' requests on"), None),
        false => {
            let why = format!("{way}, of which the kernel does not know that it sends peers' requests on");
            (Reach::Try, why, Some("a DMA tells: barkeep run with both".to_owned()))
        }
    }
}

/// What lies between two devices, and what is known of it.
struct Route {
    between: Between,
    /// ACS sends peers' requests up to the root complex; `None` where that cannot be read.
    redirected: Option<bool>,
    /// The kernel knows the root complex for sending them down again.
    forwards: bool,
}

impl Route {
    fn of(roots: &Roots, one: &Place, other: &Place) -> Self {
        let between = between(one, other);
        let redirected = match between {
            Between::Bridge(_) => is_redirected(roots, one, other),
            // From different root ports all goes through the root complex.
            Between::HostBridge(_) | Between::HostBridges(..) => Some(true),
        };
        let same = !matches!(between, Between::HostBridges(..));
        let listed = |place: &Place| place.host_bridge_ids().is_some_and(|ids| is_listed(ids, same));
        let forwards = cpu_forwards(roots) || listed(one) && listed(other);
        Self { between, redirected, forwards }
    }

    fn describe(&self) -> String {
        match &self.between {
            Between::Bridge(bridge) => format!("both below {bridge}"),
            Between::HostBridge(name) => format!("through the root complex {}", short(name)),
            Between::HostBridges(one, other) => {
                format!("from root complex {} to {}", short(one), short(other))
            }
        }
    }

    /// As `calc_map_type_and_dist` has it.
    fn dma_api(&self) -> &'static str {
        match (self.redirected, self.forwards) {
            (Some(false), _) => "direct",
            (None, _) => "unknown",
            (Some(true), true) => "through host bridge",
            (Some(true), false) => "refused",
        }
    }
}

/// `pci0000:00` as people say it.
fn short(host_bridge: &str) -> &str {
    host_bridge.strip_prefix("pci").unwrap_or(host_bridge)
}

/// Any AMD processor from Zen on does (`cpu_supports_p2pdma`).
fn cpu_forwards(roots: &Roots) -> bool {
    let cpus = roots::text(&roots.proc.join("cpuinfo")).unwrap_or_default();
    let value = |key: &str| {
        let line = cpus.lines().find(|line| line.split(':').next().map(str::trim) == Some(key))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let family = value("cpu family").and_then(|family| family.parse().ok());
    value("vendor_id").as_deref() == Some("AuthenticAMD") && family.is_some_and(|family: u32| family >= 0x17)
}

const INTEL: u64 = 0x8086;
const NVIDIA: u64 = 0x10de;
const GOOGLE: u64 = 0x1ae0;

/// Whether the kernel's list has the host bridge; some only if both devices are below it. That is
/// `pci_p2pdma_whitelist` of Linux 7.3.4.
fn is_listed((vendor, device): (u64, u64), same: bool) -> bool {
    match (vendor, device) {
        (INTEL, 0x3c00 | 0x3c01 | 0x2f00 | 0x2f01) => same,
        (INTEL, 0x2020 | 0x2030..=0x2033 | 0x09a2) => true,
        (INTEL, 0x0b25 | 0x0cfe | 0x11fb | 0x1212 | 0x1216) => true,
        (INTEL, 0x4940 | 0x4942 | 0x4944 | 0x4946 | 0x4948) => true,
        (GOOGLE, _) => true,
        (NVIDIA, 0x2f95..=0x2f98) => true,
        _ => false,
    }
}

/// Endpoints in an IOMMU group whose driver does DMA of its own; with one of them nobody gets the
/// group (`iommu_device_claim_dma_owner`, EBUSY). Port drivers, pci-stub and vfio drivers leave it to
/// others (`driver_managed_dma`).
#[must_use]
pub fn live_group_mates(roots: &Roots, function: &Function) -> Vec<(DeviceAddress, String)> {
    let drivers = function.group_mates().into_iter().filter_map(|address| {
        let mate = Function::find(roots, address)?;
        let driver = mate.driver()?;
        let leaves_it = matches!(driver.as_str(), "pcieport" | "pci-stub") || mate.is_passed_through();
        (!leaves_it).then_some((address, driver))
    });
    drivers.collect()
}

#[cfg(test)]
#[path = "peers_test.rs"]
mod tests;

//! The bridges between two functions, by the place of each in the device tree.

use crate::roots::{self, Roots};
use barkeep_journal::DeviceAddress;
use std::fs;
use std::path::{Path, PathBuf};

/// Config space below this is PCI's; behind it are PCI Express's extended capabilities.
const EXTENDED: usize = 0x100;
/// Access Control Services (PCI Express 6.0, 7.7.11).
const CAPABILITY_ACS: u16 = 0x0d;
/// Offset of the control register in that.
const ACS_CONTROL: usize = 6;
/// P2P request redirect, P2P completion redirect, egress control: what `pci_bridge_has_acs_redir` looks at.
const ACS_REDIRECT: u16 = 1 << 2 | 1 << 3 | 1 << 5;

/// Where a function is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its host bridge, as `pci0000:00`.
    pub host_bridge: String,
    /// The folder of that.
    root: PathBuf,
    /// The bridges above it, from the root complex down.
    pub bridges: Vec<DeviceAddress>,
}

impl Place {
    /// Where the kernel has the function; `None` if its folder is no link into the device tree.
    #[must_use]
    pub fn of(folder: &Path) -> Option<Self> {
        let path = fs::canonicalize(folder).ok()?;
        let names: Vec<&str> = path.iter().filter_map(|name| name.to_str()).collect();
        let at = names.iter().position(|name| is_host_bridge(name))?;
        // The last one is the function itself.
        let (_, bridges) = names[at + 1..].split_last()?;
        let bridges = bridges.iter().filter_map(|name| name.parse().ok()).collect();
        let root = path.iter().take(at + 1).collect();
        Some(Self { host_bridge: names[at].to_owned(), root, bridges })
    }

    /// Vendor and device of what stands for the host bridge: the first function on its bus, if that is at
    /// 00.0 or a root port (`pci_host_bridge_dev`).
    #[must_use]
    pub fn host_bridge_ids(&self) -> Option<(u64, u64)> {
        let on_bus = roots::names(&self.root).into_iter().filter_map(|name| name.parse().ok());
        let first: DeviceAddress = on_bus.min_by_key(|address: &DeviceAddress| address.to_bits())?;
        let folder = self.root.join(first.to_string());
        let id = |name| roots::number(&folder.join(name));
        let is_bridge = id("class").is_some_and(|class| class >> 8 == 0x0604);
        (first.devfn == 0 || is_bridge).then_some((id("vendor")?, id("device")?))
    }
}

fn is_host_bridge(name: &str) -> bool {
    name.strip_prefix("pci").is_some_and(|rest| {
        rest.split_once(':').is_some_and(|(domain, bus)| {
            [domain, bus].iter().all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_hexdigit()))
        })
    })
}

/// What lies between two functions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Between {
    /// A bridge is above both; the lowest of them.
    Bridge(DeviceAddress),
    /// Only the host bridge is above both.
    HostBridge(String),
    /// Nothing of PCI is above both.
    HostBridges(String, String),
}

/// What lies between them.
#[must_use]
pub fn between(one: &Place, other: &Place) -> Between {
    if one.host_bridge != other.host_bridge {
        return Between::HostBridges(one.host_bridge.clone(), other.host_bridge.clone());
    }
    let shared = one.bridges.iter().zip(&other.bridges).take_while(|(a, b)| a == b);
    match shared.last() {
        Some((bridge, _)) => Between::Bridge(*bridge),
        None => Between::HostBridge(one.host_bridge.clone()),
    }
}

/// Whether some bridge on the way, from the lowest that is above both down to each, redirects requests
/// of peers upwards. `None`: it cannot be read, which needs root.
#[must_use]
pub fn is_redirected(roots: &Roots, one: &Place, other: &Place) -> Option<bool> {
    let shared = one.bridges.iter().zip(&other.bridges).take_while(|(a, b)| a == b).count();
    let from = shared.saturating_sub(1);
    let on_the_way = one.bridges.iter().skip(from).chain(other.bridges.iter().skip(shared));
    let mut redirected = false;
    for bridge in on_the_way {
        redirected |= redirects(roots, *bridge)?;
    }
    Some(redirected)
}

/// Whether a bridge's ACS control redirects.
fn redirects(roots: &Roots, bridge: DeviceAddress) -> Option<bool> {
    let config = fs::read(roots.pci_devices().join(bridge.to_string()).join("config")).ok()?;
    if config.len() <= 64 {
        return None;
    }
    Some(acs(&config).is_some_and(|control| control & ACS_REDIRECT != 0))
}

/// The ACS control register, if there is one.
fn acs(config: &[u8]) -> Option<u16> {
    let word = |at: usize| Some(u16::from_le_bytes([*config.get(at)?, *config.get(at + 1)?]));
    let mut at = EXTENDED;
    // Each has four bytes at least, so a list that does not loop has no more.
    for _ in 0..(4096 - EXTENDED) / 4 {
        let (id, next) = (word(at)?, usize::from(word(at + 2)? >> 4));
        match id {
            CAPABILITY_ACS => return word(at + ACS_CONTROL),
            _ if next < EXTENDED => return None,
            _ => at = next,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Tree;

    fn address(text: &str) -> DeviceAddress {
        text.parse().unwrap()
    }

    #[test]
    fn what_is_between_two_functions() {
        let tree = Tree::new();
        for place in [
            "pci0000:00/0000:00:03.0",
            "pci0000:00/0000:00:04.0/0000:01:00.0/0000:02:00.0/0000:03:00.0",
            "pci0000:00/0000:00:04.0/0000:01:00.0/0000:02:01.0/0000:04:00.0",
            "pci0000:80/0000:80:01.0/0000:81:00.0",
        ] {
            tree.function(place);
        }
        let place = |text: &str| Place::of(&tree.folder(text)).unwrap();
        let [alone, left, right, far] =
            ["0000:00:03.0", "0000:03:00.0", "0000:04:00.0", "0000:81:00.0"].map(place);
        assert_eq!(between(&alone, &left), Between::HostBridge("pci0000:00".into()));
        assert_eq!(between(&left, &right), Between::Bridge(address("0000:01:00.0")));
        assert_eq!(between(&far, &left), Between::HostBridges("pci0000:80".into(), "pci0000:00".into()));
        assert_eq!(left.bridges.len(), 3);
    }

    #[test]
    fn redirection_is_that_of_any_bridge_on_the_way() {
        let tree = Tree::new();
        tree.function("pci0000:00/0000:00:04.0/0000:01:00.0/0000:02:00.0/0000:03:00.0");
        tree.function("pci0000:00/0000:00:04.0/0000:01:00.0/0000:02:01.0/0000:04:00.0");
        let place = |text: &str| Place::of(&tree.folder(text)).unwrap();
        let (left, right) = (place("0000:03:00.0"), place("0000:04:00.0"));
        let looked = || is_redirected(&tree.roots(), &left, &right);
        let bridges = ["0000:00:04.0", "0000:01:00.0", "0000:02:00.0", "0000:02:01.0"];
        assert_eq!(looked(), None);
        for bridge in bridges {
            tree.config(bridge, &with_acs(0));
        }
        assert_eq!(looked(), Some(false));
        // Above the lowest bridge that both have: nobody's way.
        tree.config("0000:00:04.0", &with_acs(ACS_REDIRECT));
        assert_eq!(looked(), Some(false));
        for bridge in &bridges[1..] {
            tree.config(bridge, &with_acs(1 << 2));
            assert_eq!(looked(), Some(true), "{bridge}");
            tree.config(bridge, &with_acs(0));
        }
    }

    /// Another capability, and then ACS.
    fn with_acs(control: u16) -> Vec<u8> {
        let mut config = vec![0; 4096];
        config[0x100..0x104].copy_from_slice(&[0x01, 0x00, 0x01, 0x14]);
        config[0x140..0x144].copy_from_slice(&[0x0d, 0x00, 0x01, 0x00]);
        config[0x146..0x148].copy_from_slice(&control.to_le_bytes());
        config
    }

    #[test]
    fn a_capability_list_that_loops_ends() {
        let mut config = vec![0; 4096];
        config[0x100..0x104].copy_from_slice(&[0x01, 0x00, 0x01, 0x10]);
        assert_eq!(acs(&config), None);
        assert_eq!(acs(&config[..0x102]), None);
    }

    #[test]
    fn a_host_bridge_is_its_first_function() {
        let tree = Tree::new();
        tree.function("pci0000:00/0000:00:03.0");
        let place = Place::of(&tree.folder("0000:00:03.0")).unwrap();
        assert_eq!(place.host_bridge_ids(), None);
        tree.function("pci0000:00/0000:00:00.0");
        tree.write_in("0000:00:00.0", "vendor", "0x8086\n");
        tree.write_in("0000:00:00.0", "device", "0x29c0\n");
        assert_eq!(place.host_bridge_ids(), Some((0x8086, 0x29c0)));
    }
}

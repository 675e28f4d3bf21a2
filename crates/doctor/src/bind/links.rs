//! Network interfaces with a default route, and the hardware under them.

use super::holds::Use;
use crate::roots::{self, Roots};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The route is usable; it is there to refuse (`include/uapi/linux/route.h`).
const RTF_UP: u32 = 0x1;
const RTF_REJECT: u32 = 0x200;

/// The interface with a default route on that hardware, if none would be left without it.
pub(super) fn only_link(roots: &Roots, is_on_it: &dyn Fn(&PathBuf) -> bool) -> Option<Use> {
    let mut lost = None;
    for interface in with_default_route(roots) {
        let leaves = leaves(roots, &interface);
        // A bond of which one port stays goes on. What stands on no hardware leads nowhere by itself.
        let stays = leaves.iter().any(|leaf| !is_on_it(leaf) && !is_virtual(leaf));
        if stays {
            return None;
        }
        if leaves.iter().any(is_on_it) {
            lost = lost.or(Some(interface));
        }
    }
    lost.map(|interface| Use::OnlyLink { interface })
}

fn is_virtual(leaf: &Path) -> bool {
    leaf.iter().any(|part| part == "virtual")
}

/// By IPv4 or IPv6, in the main table.
fn with_default_route(roots: &Roots) -> BTreeSet<String> {
    let table = |name| roots::text(&roots.proc.join("net").join(name)).unwrap_or_default();
    let (four, six) = (table("route"), table("ipv6_route"));
    let four = four.lines().skip(1).filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (destination, mask) = (fields.get(1)?, fields.get(7)?);
        let flags = u32::from_str_radix(fields.get(3)?, 16).ok()?;
        let default = [destination, mask].iter().all(|field| field.bytes().all(|digit| digit == b'0'));
        (default && leads(flags)).then(|| fields[0].to_owned())
    });
    let six = six.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (destination, prefix, interface) = (fields.first()?, fields.get(1)?, fields.get(9)?);
        let flags = u32::from_str_radix(fields.get(8)?, 16).ok()?;
        let default = destination.bytes().all(|digit| digit == b'0') && *prefix == "00";
        (default && leads(flags) && *interface != "lo").then(|| (*interface).to_owned())
    });
    four.chain(six).collect()
}

fn leads(flags: u32) -> bool {
    flags & (RTF_UP | RTF_REJECT) == RTF_UP
}

/// Where in sysfs the interfaces are that this one stands on, itself if on none: ports of a bond or a
/// bridge, what a VLAN is on.
fn leaves(roots: &Roots, interface: &str) -> Vec<PathBuf> {
    let mut seen = BTreeSet::new();
    let mut open = vec![interface.to_owned()];
    let mut leaves = Vec::new();
    while let Some(name) = open.pop() {
        if !seen.insert(name.clone()) {
            continue;
        }
        let folder = roots.sys.join("class/net").join(&name);
        let lower: Vec<String> = roots::names(&folder)
            .iter()
            .filter_map(|name| name.strip_prefix("lower_"))
            .map(str::to_owned)
            .collect();
        if lower.is_empty() {
            leaves.extend(fs::canonicalize(folder));
        }
        open.extend(lower);
    }
    leaves
}

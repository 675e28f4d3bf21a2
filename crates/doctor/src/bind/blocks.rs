//! Filesystems and swap space, and the hardware under them.

use super::holds::Use;
use crate::roots::{self, Roots};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// What is mounted or swapped to on hardware that `is_on_it` knows by its path in sysfs.
pub(super) fn uses(roots: &Roots, is_on_it: &dyn Fn(&PathBuf) -> bool) -> Vec<Use> {
    let mut uses = Vec::new();
    for mount in mounts(roots) {
        let Some(block) = mount.block(roots) else { continue };
        if stands_on(&block, is_on_it) {
            let used = Use::Mounted { at: mount.at, device: name(&block) };
            // Bind mounts say the same again.
            if !uses.contains(&used) {
                uses.push(used);
            }
        }
    }
    for device in swaps(roots) {
        if block_of(roots, Path::new(&device)).is_some_and(|block| stands_on(&block, is_on_it)) {
            uses.push(Use::Swap { device });
        }
    }
    for block in btrfs(roots) {
        let device = name(&block);
        let known = |used: &Use| matches!(used, Use::Mounted { device: known, .. } if *known == device);
        if stands_on(&block, is_on_it) && !uses.iter().any(known) {
            uses.push(Use::Mounted { at: "btrfs".to_owned(), device });
        }
    }
    uses
}

struct Mount {
    /// `major:minor`; major 0 for a filesystem without a block device of its own, or of several.
    number: String,
    at: String,
    source: String,
}

impl Mount {
    /// Its block device's folder in sysfs.
    fn block(&self, roots: &Roots) -> Option<PathBuf> {
        if self.number.starts_with("0:") {
            return block_of(roots, Path::new(&self.source));
        }
        fs::canonicalize(roots.sys.join("dev/block").join(&self.number)).ok()
    }
}

/// `man 5 proc_pid_mountinfo`: the third field, the fifth, and the second after the dash.
fn mounts(roots: &Roots) -> Vec<Mount> {
    let text = roots::text(&roots.proc.join("self/mountinfo")).unwrap_or_default();
    let mount = |line: &str| {
        let (front, back) = line.split_once(" - ")?;
        let mut front = front.split_whitespace();
        let (number, at) = (front.nth(2)?, front.nth(1)?);
        let source = back.split_whitespace().nth(1)?;
        Some(Mount { number: number.to_owned(), at: at.to_owned(), source: source.to_owned() })
    };
    text.lines().filter_map(mount).collect()
}

/// The block devices that are swapped to; a file is on a filesystem, which is mounted.
fn swaps(roots: &Roots) -> Vec<String> {
    let text = roots::text(&roots.proc.join("swaps")).unwrap_or_default();
    let partition = |line: &str| {
        let mut words = line.split_whitespace();
        let device = words.next()?.to_owned();
        (words.next()? == "partition").then_some(device)
    };
    text.lines().skip(1).filter_map(partition).collect()
}

/// The block devices of mounted btrfs filesystems, of which a mount names one.
fn btrfs(roots: &Roots) -> Vec<PathBuf> {
    let all = roots.sys.join("fs/btrfs");
    let folders = roots::names(&all).into_iter().map(|name| all.join(name).join("devices"));
    let links =
        folders.flat_map(|folder| roots::names(&folder).into_iter().map(move |name| folder.join(name)));
    links.filter_map(|link| fs::canonicalize(link).ok()).collect()
}

/// The folder in sysfs of a device file's block device; `/dev/mapper/…` are links.
fn block_of(roots: &Roots, file: &Path) -> Option<PathBuf> {
    let place = roots.place(file)?;
    let file = fs::canonicalize(&place).unwrap_or(place);
    fs::canonicalize(roots.sys.join("class/block").join(file.file_name()?)).ok()
}

fn name(block: &Path) -> String {
    block.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Whether a block device, or one that it is made of, is on that hardware.
fn stands_on(block: &Path, is_on_it: &dyn Fn(&PathBuf) -> bool) -> bool {
    let mut seen = BTreeSet::new();
    let mut open = vec![block.to_owned()];
    while let Some(block) = open.pop() {
        if !seen.insert(block.clone()) {
            continue;
        }
        if is_on_it(&block) || controllers(&block).iter().any(is_on_it) {
            return true;
        }
        // A partition's disk, and what a mapped or joined device stands on.
        let disk = block.join("partition").exists().then(|| block.parent().map(Path::to_owned)).flatten();
        let slaves = block.join("slaves");
        let under =
            roots::names(&slaves).into_iter().filter_map(|name| fs::canonicalize(slaves.join(name)).ok());
        open.extend(under.chain(disk));
    }
    false
}

/// With native multipath an NVMe's disk is below its subsystem, not below a controller; the
/// subsystem has links to those.
fn controllers(block: &Path) -> Vec<PathBuf> {
    let below = |folder: &&Path| {
        folder.parent().and_then(Path::file_name).is_some_and(|name| name == "nvme-subsystem")
    };
    let Some(subsystem) = block.ancestors().find(below) else { return Vec::new() };
    let links = roots::names(subsystem).into_iter().filter(|name| name.starts_with("nvme"));
    links
        .filter_map(|name| fs::canonicalize(subsystem.join(name)).ok())
        .filter(|path| !path.starts_with(subsystem))
        .collect()
}

//! Counts what is left when everything should be gone, so that a leak is a number and not a
//! hope.

use crate::proc_status;
use barkeep_journal::{Actor, Event, Journal, Kind, Lane};
use std::fs;

/// What an open file can be that must not be left, and how `/proc/self/fd` shows it.
const KINDS: [(&str, &str); 4] = [
    ("device files", "/dev/vfio/devices/"),
    ("dma-buf files", "/dmabuf:"),
    ("iommufd files", "/dev/iommu"),
    ("KVM files", "anon_inode:kvm-v"),
];

/// Every dma-buf of the machine, and how many they are (drivers/dma-buf/dma-buf.c, CONFIG_DEBUG_FS).
const DMA_BUFS: &str = "/sys/kernel/debug/dma_buf/bufinfo";

/// What there was when the run began, which may be others'.
pub struct Before {
    dma_bufs: Option<u64>,
}

impl Before {
    /// To be asked before the run takes anything. Only in the lab is nobody else there to make
    /// and give up dma-bufs meanwhile.
    pub fn now(lane: Lane) -> Self {
        Self { dma_bufs: if lane == Lane::Lab { dma_bufs() } else { None } }
    }
}

/// How many dma-bufs the kernel has, whoever holds them; `None` if it does not say.
fn dma_bufs() -> Option<u64> {
    let text = fs::read_to_string(DMA_BUFS).ok()?;
    let total = text.lines().rev().find_map(|line| line.trim().strip_prefix("Total "))?;
    total.split_whitespace().next()?.parse().ok()
}

/// Journals how many files of each kind this process still has open, how much of its memory is still
/// pinned for DMA, and how many dma-bufs the kernel has that nobody has a file of.
pub fn count(journal: &Journal, before: &Before) {
    if let Some((before, now)) = before.dma_bufs.zip(dma_bufs()) {
        tell(journal, "dma-bufs in the kernel", now.saturating_sub(before));
    }
    let Some(links) = links(journal) else { return };
    for (name, mark) in KINDS {
        let left = links.iter().filter(|link| link.contains(mark)).count();
        tell(journal, name, left as u64);
    }
    // iommufd counts there what it maps.
    match proc_status::kib("VmPin") {
        Some(kib) => tell(journal, "KiB of memory pinned for DMA", kib),
        None => degraded(journal, "pinned memory cannot be counted: no VmPin in /proc/self/status".into()),
    }
}

/// Journals how many files this process has open of devices that are no longer in the machine,
/// or on their way out: none, once such a device was given up.
pub fn count_removed(journal: &Journal) {
    let Some(links) = links(journal) else { return };
    let gone = |link: &&String| link.contains("/dev/vfio/devices/") && link.ends_with(" (deleted)");
    tell(journal, "files of removed devices", links.iter().filter(gone).count() as u64);
}

/// Where this process's descriptors lead.
fn links(journal: &Journal) -> Option<Vec<String>> {
    match fs::read_dir("/proc/self/fd") {
        Ok(entries) => {
            let links = entries.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
            Some(links.map(|link| link.to_string_lossy().into_owned()).collect())
        }
        Err(error) => {
            degraded(journal, format!("open files cannot be counted: {error}"));
            None
        }
    }
}

fn degraded(journal: &Journal, text: String) {
    journal.emit(Event::new(Kind::Degraded, Actor::Vmm).text(text));
}

/// Journals a count.
pub fn tell(journal: &Journal, what: &str, left: u64) {
    journal.emit(Event::new(Kind::Leftover, Actor::Vmm).text(what).value(left));
}

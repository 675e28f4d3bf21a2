//! Counts what is left when everything should be gone, so that a leak is a number and not a
//! hope.

use barkeep_journal::{Actor, Event, Journal, Kind};
use std::fs;

/// What an open file can be that must not be left, and how `/proc/self/fd` shows it.
const KINDS: [(&str, &str); 4] = [
    ("device files", "/dev/vfio/devices/"),
    ("dma-buf files", "/dmabuf:"),
    ("iommufd files", "/dev/iommu"),
    ("KVM files", "anon_inode:kvm-v"),
];

/// Journals how many files of each kind this process still has open.
pub fn count_files(journal: &Journal) {
    let links: Vec<String> = match fs::read_dir("/proc/self/fd") {
        Ok(entries) => entries
            .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
            .map(|link| link.to_string_lossy().into_owned())
            .collect(),
        Err(error) => {
            let text = format!("open files cannot be counted: {error}");
            journal.emit(Event::new(Kind::Degraded, Actor::Vmm).text(text));
            return;
        }
    };
    for (name, mark) in KINDS {
        let left = links.iter().filter(|link| link.contains(mark)).count();
        tell(journal, name, left as u64);
    }
}

/// Journals a count.
pub fn tell(journal: &Journal, what: &str, left: u64) {
    journal.emit(Event::new(Kind::Leftover, Actor::Vmm).text(what).value(left));
}

//! What is left in the machine of a VMM that was killed: processes, open devices, dma-bufs, pinned memory.
//! For the inside of the lab only: there nobody else has any.

use anyhow::Context as _;
use barkeep_journal::{Actor, Event, Journal, Kind};
use barkeep_real::parts::{Context, Device};
use barkeep_real::{Place, places};
use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

/// How long what outlives the VMM may take to end: a second process gives its mapping up, a child lets a
/// device go that is reset then.
const LOOK: Duration = Duration::from_millis(10);
const LOOKS: u32 = 6_000;
const PID_1: u32 = 1;

/// The kernel's list of dma-bufs (`dma_buf_debug_show`); its last line counts them.
const BUFFERS: &str = "/sys/kernel/debug/dma_buf/bufinfo";
/// Pages pinned for DMA since the boot, and those let go of.
const PINNED: [&str; 2] = ["nr_foll_pin_acquired ", "nr_foll_pin_released "];

/// Counts what is left, in the journal and as one number. `named` are the machine's devices, as a run takes
/// them from `BARKEEP_DEVICES`; without, those of this process's.
///
/// # Errors
/// There is no iommufd to open devices with, or no `/proc`.
pub fn look(named: Option<&str>, journal: &Journal) -> anyhow::Result<u64> {
    let own = std::env::var(places::VARIABLE).unwrap_or_default();
    let counts = [
        ("processes of a killed VMM", Some(processes()?)),
        ("devices a killed VMM has open", Some(devices(named.unwrap_or(&own))?)),
        ("dma-bufs of a killed VMM", buffers()),
        ("pages a killed VMM has pinned", pinned()),
    ];
    let mut sum = 0;
    for (what, count) in counts {
        match count {
            Some(count) => journal.emit(Event::new(Kind::Leftover, Actor::Lab).text(what).value(count)),
            None => {
                let event = Event::new(Kind::Degraded, Actor::Lab);
                journal.emit(event.text(format!("{what}: this kernel does not count them")));
            }
        }
        sum += count.unwrap_or(0);
    }
    Ok(sum)
}

/// Waits until the processes are gone that the VMM had started; counts those that are not.
fn processes() -> anyhow::Result<u64> {
    let own = fs::read_link("/proc/self/exe").context("/proc")?;
    let mut left = 0;
    for _ in 0..LOOKS {
        left = others(&own)?;
        if left == 0 {
            break;
        }
        sleep(LOOK);
    }
    Ok(left)
}

/// Processes of this program but PID 1 and this one.
fn others(program: &Path) -> anyhow::Result<u64> {
    let us = [PID_1, std::process::id()];
    let entries = fs::read_dir("/proc").context("/proc")?;
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let others = pids.filter(|pid: &u32| !us.contains(pid));
    let ours = others.filter(|pid| fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe == program));
    Ok(ours.count() as u64)
}

/// Devices that cannot be opened: somebody else has them open. Opening resets them.
fn devices(named: &str) -> anyhow::Result<u64> {
    let mut left = 0;
    for place in Place::parse(named)? {
        let folder = format!("/sys/bus/pci/devices/{}/vfio-dev", place.address);
        if Path::new(&folder).exists() {
            let context = Context::new().map_err(|errno| anyhow::anyhow!("/dev/iommu: {errno}"))?;
            left += u64::from(Device::open(place.address, &context).is_err());
        }
    }
    Ok(left)
}

fn buffers() -> Option<u64> {
    objects(&fs::read_to_string(BUFFERS).ok()?)
}

fn objects(text: &str) -> Option<u64> {
    let line = text.lines().rev().find_map(|line| line.strip_prefix("Total "))?;
    line.strip_suffix(" bytes")?.split_once(" objects, ")?.0.parse().ok()
}

fn pinned() -> Option<u64> {
    difference(&fs::read_to_string("/proc/vmstat").ok()?)
}

fn difference(text: &str) -> Option<u64> {
    let count = |name: &str| text.lines().find_map(|line| line.strip_prefix(name))?.parse::<u64>().ok();
    let [acquired, released] = PINNED.map(count);
    acquired?.checked_sub(released?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dma_bufs_are_counted_by_the_last_line() {
        let one = "\nDma-buf Objects:\nsize    \tflags   \tmode    \n\tAttached Devices:\n\tiommu\n\
                   Total 1 devices attached\n\n\nTotal 2 objects, 16842752 bytes\n";
        assert_eq!(objects(one), Some(2));
        assert_eq!(objects("\nDma-buf Objects:\n\nTotal 0 objects, 0 bytes\n"), Some(0));
        assert_eq!(objects("Total 1 devices attached\n"), None);
    }

    #[test]
    fn pinned_is_what_was_not_let_go_of() {
        let text = "nr_written 5\nnr_foll_pin_acquired 70\nnr_foll_pin_released 66\npgpgin 1\n";
        assert_eq!(difference(text), Some(4));
        assert_eq!(difference("nr_written 5\n"), None);
    }

    #[test]
    fn this_process_is_none_of_the_others() {
        let own = fs::read_link("/proc/self/exe").unwrap();
        assert_eq!(others(&own).unwrap(), 0);
        let sleeper = Path::new("/bin/sleep").canonicalize().unwrap();
        let before = others(&sleeper).unwrap();
        let mut child = std::process::Command::new(&sleeper).arg("100").spawn().unwrap();
        assert!(others(&sleeper).unwrap() > before);
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

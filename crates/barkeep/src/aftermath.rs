//! What is left in the machine of a VMM that was killed: processes, devices that still do DMA, have another
//! driver or are open, dma-bufs, pinned memory.
//! For the inside of the lab only: there nobody else has any.

use anyhow::Context as _;
use barkeep_journal::{Actor, DeviceAddress, Event, Journal, Kind};
use barkeep_pci::header;
use barkeep_real::parts::{Context, Device};
use barkeep_real::{Place, places};
use barkeep_vfio::sysfs::{self, PCI_DEVICES};
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
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

/// The functions that vfio-pci has before a VMM starts: those that it may take. The machine's others, such as a
/// port, have their own drivers and do their own DMA.
pub struct Lent(Vec<DeviceAddress>);

impl Lent {
    /// Of the machine's devices, named as a run takes them from `BARKEEP_DEVICES`; without, those of this
    /// process's.
    ///
    /// # Errors
    /// They are not named as that has them.
    pub fn now(named: Option<&str>) -> anyhow::Result<Self> {
        let own = std::env::var(places::VARIABLE).unwrap_or_default();
        let addresses = Place::parse(named.unwrap_or(&own))?.into_iter().map(|place| place.address);
        Ok(Self(addresses.filter(|address| is_vfio(&folder(*address))).collect()))
    }

    /// How many of them that are still in the machine it holds for.
    fn count(&self, holds: impl Fn(&Path) -> bool) -> u64 {
        let folders = self.0.iter().map(|address| folder(*address));
        folders.filter(|folder| folder.exists() && holds(folder)).count() as u64
    }
}

fn folder(address: DeviceAddress) -> PathBuf {
    Path::new(PCI_DEVICES).join(address.to_string())
}

/// Counts what is left, in the journal and as one number.
///
/// # Errors
/// There is no iommufd to open devices with, or no `/proc`.
pub fn look(lent: &Lent, journal: &Journal) -> anyhow::Result<u64> {
    let counts = [
        ("processes of a killed VMM", Some(processes()?)),
        // Before they are opened, for that resets them.
        ("devices a killed VMM has left to do DMA", Some(lent.count(masters))),
        ("devices of a killed VMM with another driver", Some(lent.count(|folder| !is_vfio(folder)))),
        ("devices a killed VMM has open", Some(devices(lent)?)),
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
        left = others(&own)? + dying()?;
        if left == 0 {
            break;
        }
        sleep(LOOK);
    }
    Ok(left)
}

fn pids() -> anyhow::Result<impl Iterator<Item = u32>> {
    let entries = fs::read_dir("/proc").context("/proc")?;
    Ok(entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()))
}

/// Processes of this program but PID 1 and this one.
fn others(program: &Path) -> anyhow::Result<u64> {
    let us = [PID_1, std::process::id()];
    let others = pids()?.filter(|pid| !us.contains(pid));
    let ours = others.filter(|pid| fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe == program));
    Ok(ours.count() as u64)
}

/// Processes that end: of no program any more (`exit_mm`), and still with files to close (`exit_files`). A device
/// that is reset at its last close is theirs until then.
fn dying() -> anyhow::Result<u64> {
    let stats = pids()?.filter_map(|pid| fs::read_to_string(format!("/proc/{pid}/stat")).ok());
    Ok(stats.filter(|stat| is_dying(stat)).count() as u64)
}

/// By `/proc/PID/stat` (`do_task_stat`). A zombie has closed its files.
fn is_dying(stat: &str) -> bool {
    /// `PF_EXITING` of the kernel's `sched.h`.
    const EXITING: u64 = 0x4;
    let Some((_, fields)) = stat.rsplit_once(") ") else { return false };
    let fields: Vec<_> = fields.split(' ').collect();
    let exits = fields.get(6).and_then(|flags| flags.parse::<u64>().ok()).is_some_and(|f| f & EXITING != 0);
    exits && !matches!(fields.first(), Some(&("Z" | "X")))
}

/// Whether a function may do DMA: with the last reference to its file vfio-pci resets it and turns that off
/// (`vfio_pci_core_disable`). One whose config space cannot be read is told, too.
fn masters(folder: &Path) -> bool {
    let mut start = [0; header::COMMAND as usize + 2];
    let read = fs::File::open(folder.join("config")).and_then(|mut config| config.read_exact(&mut start));
    let command =
        u16::from_le_bytes([start[usize::from(header::COMMAND)], start[usize::from(header::COMMAND) + 1]]);
    read.is_err() || command & header::COMMAND_MASTER != 0
}

fn is_vfio(folder: &Path) -> bool {
    sysfs::driver(folder).is_some_and(|driver| driver == "vfio-pci")
}

/// Devices that cannot be opened: somebody else has them open. Opening resets them.
fn devices(lent: &Lent) -> anyhow::Result<u64> {
    let mut left = 0;
    for address in &lent.0 {
        if folder(*address).join("vfio-dev").exists() {
            let context = Context::new().map_err(|errno| anyhow::anyhow!("/dev/iommu: {errno}"))?;
            left += u64::from(Device::open(*address, &context).is_err());
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
    fn who_ends_is_there_until_it_is_a_zombie() {
        let stat = |state: &str, flags: u64| format!("77 (a) b) {state} 1 77 77 0 -1 {flags} 100 0 0 0\n");
        assert!(is_dying(&stat("R", 0x40_0104)) && is_dying(&stat("D", 0x4)));
        assert!(!is_dying(&stat("R", 0x40_0100)) && !is_dying(&stat("Z", 0x40_0104)));
        assert!(!is_dying("") && !is_dying("77 (a) Z"));
        let own = fs::read_to_string("/proc/self/stat").unwrap();
        assert!(!is_dying(&own), "{own}");
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

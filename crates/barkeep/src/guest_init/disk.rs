//! A disk read whole, by every CPU, and looked at.

use anyhow::{Context, bail};
use rustix::fs::{Mode, OFlags};
use rustix::thread::{CpuSet, sched_setaffinity};
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::thread;
use std::time::Duration;

/// Bytes of one request, and what its buffer's address is a multiple of.
const REQUEST: usize = 64 << 10;
const ALIGNMENT: usize = 4096;
/// How long a driver may take to find its disk.
const PATIENCE: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(20);

/// What was read.
struct Share {
    bytes: u64,
    first_wrong: Option<u64>,
}

/// Reads it, each CPU a share of its own: a driver with a queue for each CPU then uses all of them.
///
/// # Errors
/// There is no such disk; it cannot be read; it has not the content it ought to.
pub fn check(name: &str) -> anyhow::Result<()> {
    let folder = Path::new("/sys/block").join(name);
    wait_for(&folder)?;
    let queues = fs::read_dir(folder.join("mq")).map(Iterator::count).unwrap_or(0);
    let cpus = thread::available_parallelism().context("how many CPUs there are")?.get();
    let device = Path::new("/dev").join(name);
    let shares: Vec<anyhow::Result<Share>> = thread::scope(|scope| {
        let device = device.as_path();
        let readers: Vec<_> =
            (0..cpus).map(|cpu| scope.spawn(move || read_share(device, cpu, cpus))).collect();
        let joined = readers.into_iter().map(|reader| reader.join());
        joined.map(|share| share.unwrap_or_else(|_| bail!("a reader panicked"))).collect()
    });
    let shares = shares.into_iter().collect::<anyhow::Result<Vec<_>>>()?;
    let bytes: u64 = shares.iter().map(|share| share.bytes).sum();
    if let Some(at) = shares.iter().find_map(|share| share.first_wrong) {
        bail!("disk {name}: the content at {at} is not what was written there");
    }
    println!("guest: disk {name} has {bytes} bytes, all right, read by {cpus} CPUs through {queues} queues");
    Ok(())
}

fn wait_for(folder: &Path) -> anyhow::Result<()> {
    let mut waited = Duration::ZERO;
    while !folder.exists() {
        if waited > PATIENCE {
            bail!("{} does not come", folder.display());
        }
        thread::sleep(PAUSE);
        waited += PAUSE;
    }
    Ok(())
}

/// Every `cpus`th request, from the `cpu`th on, by that CPU, and past all caches.
fn read_share(device: &Path, cpu: usize, cpus: usize) -> anyhow::Result<Share> {
    let mut only = CpuSet::new();
    only.set(cpu);
    sched_setaffinity(None, &only).context("cannot stay on a CPU")?;
    let flags = OFlags::RDONLY | OFlags::DIRECT | OFlags::CLOEXEC;
    let what = || format!("cannot read {}", device.display());
    let file = File::from(rustix::fs::open(device, flags, Mode::empty()).with_context(what)?);
    let mut buffer = vec![0; REQUEST + ALIGNMENT];
    let start = buffer.as_ptr().align_offset(ALIGNMENT);
    let buffer = &mut buffer[start..start + REQUEST];
    let mut share = Share { bytes: 0, first_wrong: None };
    for request in (cpu as u64..).step_by(cpus) {
        let offset = request * REQUEST as u64;
        let read = file.read_at(buffer, offset).with_context(what)?;
        let wrong = barkeep_lab::disk::first_wrong(offset, &buffer[..read]);
        share.first_wrong = share.first_wrong.or(wrong);
        share.bytes += read as u64;
        if read < REQUEST {
            break;
        }
    }
    Ok(share)
}

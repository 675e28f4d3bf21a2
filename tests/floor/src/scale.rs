//! The floor of `barkeep lab -- exporter --scale`: the same calls, and nothing around them, over the same sizes,
//! ranges and importers. Prints the same tables without their last lines.
//!
//! `barkeep-floor scale`, in the laboratory with topology `exporter`, whose `ram` exports and whose `edu` imports.

use super::{COMMAND, address_of, now};
use anyhow::Context;
use iommufd_ioctls::IommuFd;
use std::fs::File;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use vfio_bindings::bindings::vfio::VFIO_PCI_CONFIG_REGION_INDEX;
use vfio_ioctls::{VfioDevice, VfioIommufd, VfioRegionDmaRange};
use vmm_sys_util::ioctl::ioctl_with_mut_ref;
use vmm_sys_util::{ioctl_iow_nr, ioctl_iowr_nr};

const PAGE: u64 = 4 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const BY_2_MIB: [u64; 5] = [1, 4, 16, 64, 256];
const BY_1_GIB: [u64; 4] = [2, 4, 8, 16];
const RANGES: [u64; 5] = [1, 4, 16, 64, 256];
const IMPORTERS: [u64; 5] = [1, 2, 4, 8, 16];
const SHARED: u64 = 16 * MIB;
/// The BAR of the device that exports.
const BAR: u32 = 2;
/// Of each; what is printed is the median.
const ROUNDS: usize = 5;

const DECODE: u16 = 2;
const EADDRINUSE: i32 = 98;

/// `struct bki_bind` (guest-kernel/importer/barkeep_importer.h).
#[repr(C)]
#[derive(Default)]
struct Bind {
    domain: u32,
    bus: u32,
    devfn: u32,
    dma_bits: u32,
    max_segment: u32,
    reserved: u32,
}

/// `struct bki_attach`.
#[repr(C)]
#[derive(Default)]
struct Attach {
    fd: i32,
    flags: u32,
    direction: u32,
    hold_ms: u32,
    id: u32,
    reserved: u32,
    size: u64,
}

/// `struct bki_map`.
#[repr(C)]
#[derive(Default)]
struct Map {
    id: u32,
    form: u32,
    segments: u32,
    reserved: u32,
}

/// `BKI_PEER2PEER`, `BKI_INVALIDATE`.
const PEER: u32 = 3;
const TYPE: u32 = b'K' as u32;

ioctl_iow_nr!(BKI_BIND, TYPE, 0xe0, Bind);
ioctl_iowr_nr!(BKI_ATTACH, TYPE, 0xe1, Attach);
ioctl_iowr_nr!(BKI_MAP, TYPE, 0xe3, Map);

/// Map, revoke and restore, nanoseconds.
type Times = [u64; 3];

pub fn run() -> anyhow::Result<()> {
    table("times 2 MiB", &BY_2_MIB, |count| once(&[(0, count * 2 * MIB)], 1))?;
    table("times 1 GiB", &BY_1_GIB, |count| once(&[(0, count * GIB)], 1))?;
    table("ranges of 4 KiB", &RANGES, |count| {
        let ranges: Vec<_> = (0..count).map(|n| (2 * n * PAGE, PAGE)).collect();
        once(&ranges, 1)
    })?;
    table("importers of 16 MiB", &IMPORTERS, |count| once(&[(0, SHARED)], count))
}

fn table(
    of: &str,
    counts: &[u64],
    once: impl Fn(u64) -> anyhow::Result<Option<Times>>,
) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{of:>20} {:>14} {:>14} {:>14}", "map, ns", "revoke, ns", "restore, ns")?;
    for &count in counts {
        let rounds: Option<Vec<Times>> = (0..ROUNDS).map(|_| once(count)).collect::<anyhow::Result<_>>()?;
        match rounds {
            None => writeln!(out, "{count:>20} {:>14}", "EADDRINUSE")?,
            Some(rounds) => {
                let [map, revoke, restore] = [0, 1, 2].map(|n| {
                    let mut column: Vec<u64> = rounds.iter().map(|times| times[n]).collect();
                    column.sort_unstable();
                    column[ROUNDS / 2]
                });
                writeln!(out, "{count:>20} {map:>14} {revoke:>14} {restore:>14}")?;
            }
        }
    }
    writeln!(out)?;
    Ok(())
}

/// `None` where this kernel cannot map several ranges.
fn once(ranges: &[(u64, u64)], importers: u64) -> anyhow::Result<Option<Times>> {
    let vfio = Arc::new(VfioIommufd::new(Arc::new(IommuFd::new()?), None, None)?);
    let cdev = VfioDevice::open_cdev(&Path::new("/sys/bus/pci/devices").join(address_of("ram")?))?;
    let file = cdev.try_clone()?;
    let device = VfioDevice::new_from_fd(cdev, vfio, true)?;
    let command = device.get_region_offset(VFIO_PCI_CONFIG_REGION_INDEX) + COMMAND;
    let decode = |on: bool| file.write_all_at(&if on { DECODE } else { 0 }.to_le_bytes(), command);
    decode(true)?;
    let ranges: Vec<_> =
        ranges.iter().map(|&(offset, length)| VfioRegionDmaRange { offset, length }).collect();
    let flags = rustix::fs::OFlags::RDWR | rustix::fs::OFlags::CLOEXEC;
    let buffer = device.export_dma_buf(BAR, &ranges, flags.bits())?.context("this kernel exports no BAR")?;
    let session = session(&address_of("edu")?)?;
    let mut maps = Vec::new();
    for _ in 0..importers {
        maps.push(Map { id: attach(&session, &buffer)?, ..Map::default() });
    }
    let begin = now();
    for map in &mut maps {
        // SAFETY: the struct is the ioctl's own, and holds no pointer.
        if unsafe { ioctl_with_mut_ref(&session, BKI_MAP(), map) } < 0 {
            let error = std::io::Error::last_os_error();
            anyhow::ensure!(error.raw_os_error() == Some(EADDRINUSE), "map: {error}");
            return Ok(None);
        }
    }
    let mapped = now();
    decode(false)?;
    let off = now();
    decode(true)?;
    let on = now();
    Ok(Some([mapped - begin, off - mapped, on - off]))
}

/// A session of the test importer's, with that device.
fn session(address: &str) -> anyhow::Result<File> {
    let node = File::options().read(true).write(true).open("/dev/barkeep-importer")?;
    let parts: Vec<u32> =
        address.split([':', '.']).map(|part| u32::from_str_radix(part, 16)).collect::<Result<_, _>>()?;
    let [domain, bus, device, function] = parts[..] else { anyhow::bail!("{address}") };
    let mut bind = Bind { domain, bus, devfn: device << 3 | function, dma_bits: 64, ..Bind::default() };
    // SAFETY: the struct is the ioctl's own, and holds no pointer.
    let bound = unsafe { ioctl_with_mut_ref(&node, BKI_BIND(), &mut bind) };
    anyhow::ensure!(bound == 0, "bind: {}", std::io::Error::last_os_error());
    Ok(node)
}

fn attach(session: &File, buffer: &File) -> anyhow::Result<u32> {
    let mut attach = Attach { fd: buffer.as_raw_fd(), flags: PEER, ..Attach::default() };
    // SAFETY: the struct is the ioctl's own, and holds no pointer.
    let attached = unsafe { ioctl_with_mut_ref(session, BKI_ATTACH(), &mut attach) };
    anyhow::ensure!(attached == 0, "attach: {}", std::io::Error::last_os_error());
    Ok(attach.id)
}

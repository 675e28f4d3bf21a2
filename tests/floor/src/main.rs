//! The floor: the least that brings both mappings of a device back after an FLR.
//!
//! It opens what Barkeep opens and sets up what Barkeep sets up (two devices in one I/O
//! address space, guest RAM, a virtual machine, the same windows at the same addresses), then
//! writes one FLR after the other and measures from the write's return to both memory slots
//! set again, with the same config reads and ioctls between as Barkeep and nothing around
//! them. What is printed is nanoseconds of `CLOCK_MONOTONIC`:
//!
//! ```text
//! whole 940730                      to both memory slots set again, the clock read at both ends only
//! mapped 70206                      of other rounds: to both windows mapped for peers again
//! parts 2450 2470 8586 … 941828     of other rounds: the clock read after every step
//! ```
//!
//! The parts are: two config reads, unmap and unmap, map and map, slot and slot, all of it.
//!
//! `barkeep-floor ROUNDS`, in the laboratory, where `BARKEEP_DEVICES` names `nvme` and `edu`. [`scale`] is another floor.
#![allow(
    unsafe_code,
    reason = "mmap and KVM's memory slots have no safe form; this program does nothing but map and measure"
)]

mod scale;

use anyhow::{Context, ensure};
use iommufd_bindings::iommufd::{
    iommu_ioas_map_file, iommu_ioas_unmap, iommufd_ioas_map_flags_IOMMU_IOAS_MAP_FIXED_IOVA,
    iommufd_ioas_map_flags_IOMMU_IOAS_MAP_READABLE, iommufd_ioas_map_flags_IOMMU_IOAS_MAP_WRITEABLE,
};
use iommufd_ioctls::IommuFd;
use kvm_bindings::{
    KVM_MAX_CPUID_ENTRIES, kvm_create_device, kvm_device_type_KVM_DEV_TYPE_VFIO, kvm_userspace_memory_region,
};
use kvm_ioctls::{Kvm, VmFd};
use rustix::mm::{MapFlags, ProtFlags, mmap};
use rustix::time::{ClockId, clock_gettime};
use std::fs::File;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use vfio_bindings::bindings::vfio::VFIO_PCI_CONFIG_REGION_INDEX;
use vfio_ioctls::{VfioDevice, VfioDeviceFd, VfioIommufd, VfioRegionDmaRange};

// Where Barkeep puts things for the scenario of scripts/bench-flr.toml.
const RAM: u64 = 64 << 20;
const KVM_TSS: usize = 0xfffb_d000;
/// BAR, bytes of it, guest physical address and IOVA. Of the NVMe's BAR 0 the pages without
/// its MSI-X table.
const NVME: [(u32, u64, u64); 2] = [(0, 0x2000, 0xc010_0000), (2, 16 << 20, 0x40_0000_0000)];
const EDU: [(u32, u64, u64); 1] = [(0, 1 << 20, 0xc000_0000)];

const COMMAND: u64 = 4;
const COMMAND_MEMORY_AND_MASTER: u16 = 6;
const CAPABILITIES: u64 = 0x34;
const CAPABILITY_PM: u8 = 1;
const CAPABILITY_PCIE: u8 = 0x10;
const PMCSR: u64 = 4;
const DEVICE_CONTROL: u64 = 8;
const INITIATE_FLR: u16 = 0x8000;

/// Between two FLRs: the scenario's `sleep`.
const PAUSE: Duration = Duration::from_millis(5);
/// Before the first: the kernel changes to the TSC as its clock at about 1.7 s of its time,
/// and reading the clock costs more before.
const SETTLE: Duration = Duration::from_secs(2);

/// Moments of [`Floor::restore`], the first and the last included.
const STEPS: usize = 9;
/// The moment at which both windows are mapped for peers.
const MAPPED: usize = 6;

/// One exported BAR and where it is mapped.
struct Window {
    dma_buf: File,
    size: u64,
    /// Guest physical address and IOVA.
    address: u64,
    slot: u32,
    host: u64,
}

struct Device {
    /// Holds the device in the I/O address space.
    _vfio: VfioDevice,
    file: File,
    config: u64,
    windows: Vec<Window>,
}

struct Floor {
    iommufd: Arc<IommuFd>,
    ioas: u32,
    vm: VmFd,
}

fn main() -> anyhow::Result<()> {
    let word = std::env::args().nth(1).context("usage: barkeep-floor ROUNDS | scale")?;
    if word == "scale" {
        return scale::run();
    }
    let rounds: usize = word.parse()?;
    // On a thread of its own, as Barkeep's vCPU 0 is.
    let thread = std::thread::Builder::new().name("vcpu0".into()).spawn(move || run(rounds))?;
    thread.join().map_err(|_| anyhow::anyhow!("the thread panicked"))?
}

fn run(rounds: usize) -> anyhow::Result<()> {
    let iommufd = Arc::new(IommuFd::new()?);
    let kvm = Kvm::new()?;
    let vm = kvm.create_vm()?;
    vm.set_tss_address(KVM_TSS)?;
    vm.create_irq_chip()?;
    let mut kvm_vfio = kvm_create_device { type_: kvm_device_type_KVM_DEV_TYPE_VFIO, fd: 0, flags: 0 };
    let kvm_vfio = VfioDeviceFd::new_from_kvm(vm.create_device(&mut kvm_vfio)?);
    let vfio = Arc::new(VfioIommufd::new(Arc::clone(&iommufd), None, Some(Arc::new(kvm_vfio)))?);
    let floor = Floor { iommufd, ioas: vfio.ioas().id(), vm };

    let ram = File::from(rustix::fs::memfd_create("guest-ram", rustix::fs::MemfdFlags::CLOEXEC)?);
    ram.set_len(RAM)?;
    floor.map_file(&ram, RAM, 0)?;
    floor.set_slot(0, 0, RAM, map(&ram, 0, RAM)?)?;
    let nvme = floor.open("nvme", &vfio, &NVME, 1)?;
    let edu = floor.open("edu", &vfio, &EDU, 3)?;

    // They are there, and do not run: Barkeep's wait outside of the guest too.
    let mut vcpus = Vec::new();
    for index in 0..2 {
        let vcpu = floor.vm.create_vcpu(index)?;
        vcpu.set_cpuid2(&kvm.get_supported_cpuid(KVM_MAX_CPUID_ENTRIES)?)?;
        vcpus.push(vcpu);
    }

    let pmcsr = nvme.capability(CAPABILITY_PM)? + PMCSR;
    let control = nvme.capability(CAPABILITY_PCIE)? + DEVICE_CONTROL;
    let mut lines = Vec::with_capacity(3 * rounds);
    std::thread::sleep(SETTLE);
    for round in 0..3 * rounds {
        floor.withdraw(&nvme)?;
        nvme.write16(control, INITIATE_FLR)?;
        let mut at = [0; STEPS];
        // Which rounds read the clock when is known at compile time: `restore` is there three
        // times, each with no more clock reads than it says.
        match round / rounds {
            0 => floor.restore(&nvme, pmcsr, |n| read_clock(&mut at, n, n == 0 || n == STEPS - 1))?,
            1 => floor.restore(&nvme, pmcsr, |n| read_clock(&mut at, n, n == 0 || n == MAPPED))?,
            _ => floor.restore(&nvme, pmcsr, |n| read_clock(&mut at, n, true))?,
        }
        lines.push((round / rounds, at));
        std::thread::sleep(PAUSE);
    }
    drop((vcpus, edu));

    let mut out = std::io::stdout().lock();
    for (kind, at) in lines {
        match kind {
            0 => writeln!(out, "whole {}", at[STEPS - 1] - at[0])?,
            1 => writeln!(out, "mapped {}", at[MAPPED] - at[0])?,
            _ => {
                let parts: Vec<String> = at.windows(2).map(|pair| (pair[1] - pair[0]).to_string()).collect();
                writeln!(out, "parts {} {}", parts.join(" "), at[STEPS - 1] - at[0])?;
            }
        }
    }
    Ok(())
}

#[inline(always)]
fn read_clock(at: &mut [u64; STEPS], n: usize, wanted: bool) {
    if wanted {
        at[n] = now();
    }
}

impl Floor {
    /// What is measured. Nothing else happens here; `reached` is told of every step.
    #[inline(always)]
    fn restore(&self, nvme: &Device, pmcsr: u64, mut reached: impl FnMut(usize)) -> anyhow::Result<()> {
        let [first, second] = &nvme.windows[..] else { anyhow::bail!("two windows") };
        reached(0);
        let command = nvme.read16(COMMAND)?;
        reached(1);
        let power = nvme.read16(pmcsr)?;
        reached(2);
        self.unmap(first)?;
        reached(3);
        self.unmap(second)?;
        reached(4);
        self.map_file(&first.dma_buf, first.size, first.address)?;
        reached(5);
        self.map_file(&second.dma_buf, second.size, second.address)?;
        reached(MAPPED);
        self.set_slot(first.slot, first.address, first.size, first.host)?;
        reached(7);
        self.set_slot(second.slot, second.address, second.size, second.host)?;
        reached(STEPS - 1);
        ensure!(command & 2 != 0 && power & 3 == 0, "not decoding after the FLR");
        Ok(())
    }

    fn withdraw(&self, device: &Device) -> anyhow::Result<()> {
        for window in &device.windows {
            self.set_slot(window.slot, window.address, 0, window.host)?;
        }
        Ok(())
    }

    /// Opens a device, turns it on, and maps its windows for both.
    fn open(
        &self,
        name: &str,
        vfio: &Arc<VfioIommufd>,
        windows: &[(u32, u64, u64)],
        first_slot: u32,
    ) -> anyhow::Result<Device> {
        let bdf = address_of(name)?;
        let cdev = VfioDevice::open_cdev(&Path::new("/sys/bus/pci/devices").join(bdf))?;
        let file = cdev.try_clone()?;
        let device = VfioDevice::new_from_fd(cdev, Arc::clone(vfio), true)?;
        let config = device.get_region_offset(VFIO_PCI_CONFIG_REGION_INDEX);
        file.write_all_at(&COMMAND_MEMORY_AND_MASTER.to_le_bytes(), config + COMMAND)?;
        let mut opened = Vec::new();
        for (n, &(bar, size, address)) in windows.iter().enumerate() {
            let flags = rustix::fs::OFlags::RDWR | rustix::fs::OFlags::CLOEXEC;
            let range = VfioRegionDmaRange { offset: 0, length: size };
            let exported = device.export_dma_buf(bar, &[range], flags.bits())?;
            let dma_buf = exported.context("this kernel exports no BAR")?;
            let host = map(&file, device.get_region_offset(bar), size)?;
            let window = Window { dma_buf, size, address, slot: first_slot + n as u32, host };
            self.map_file(&window.dma_buf, size, address)?;
            self.set_slot(window.slot, address, size, host)?;
            opened.push(window);
        }
        Ok(Device { _vfio: device, file, config, windows: opened })
    }

    fn map_file(&self, file: &File, length: u64, iova: u64) -> anyhow::Result<()> {
        let map = iommu_ioas_map_file {
            size: size_of::<iommu_ioas_map_file>() as u32,
            flags: iommufd_ioas_map_flags_IOMMU_IOAS_MAP_FIXED_IOVA
                | iommufd_ioas_map_flags_IOMMU_IOAS_MAP_READABLE
                | iommufd_ioas_map_flags_IOMMU_IOAS_MAP_WRITEABLE,
            ioas_id: self.ioas,
            fd: file.as_raw_fd(),
            start: 0,
            length,
            iova,
        };
        Ok(self.iommufd.map_iommu_ioas_file(&map)?)
    }

    fn unmap(&self, window: &Window) -> anyhow::Result<()> {
        let mut unmap = iommu_ioas_unmap {
            size: size_of::<iommu_ioas_unmap>() as u32,
            ioas_id: self.ioas,
            iova: window.address,
            length: window.size,
        };
        Ok(self.iommufd.unmap_iommu_ioas(&mut unmap)?)
    }

    /// Sets a memory slot; of size 0 it is none.
    fn set_slot(&self, slot: u32, guest: u64, size: u64, host: u64) -> anyhow::Result<()> {
        let region = kvm_userspace_memory_region {
            slot,
            flags: 0,
            guest_phys_addr: guest,
            memory_size: size,
            userspace_addr: host,
        };
        // SAFETY: `host` comes from `map`, whose mappings are never unmapped, and this process
        // keeps no reference into them.
        Ok(unsafe { self.vm.set_user_memory_region(region) }?)
    }
}

impl Device {
    fn read16(&self, offset: u64) -> anyhow::Result<u16> {
        let mut bytes = [0; 2];
        self.file.read_exact_at(&mut bytes, self.config + offset)?;
        Ok(u16::from_le_bytes(bytes))
    }

    fn write16(&self, offset: u64, value: u16) -> anyhow::Result<()> {
        Ok(self.file.write_all_at(&value.to_le_bytes(), self.config + offset)?)
    }

    /// Where a capability is in config space.
    fn capability(&self, id: u8) -> anyhow::Result<u64> {
        let mut at = self.read16(CAPABILITIES)? & 0xff;
        // There is room for no more than 48.
        for _ in 0..48 {
            let [found, next] = self.read16(at.into())?.to_le_bytes();
            if found == id {
                return Ok(at.into());
            }
            at = next.into();
        }
        anyhow::bail!("the device has no capability {id:#x}")
    }
}

/// Where a device of the topology is.
fn address_of(name: &str) -> anyhow::Result<String> {
    let named = std::env::var("BARKEEP_DEVICES").context("BARKEEP_DEVICES names no devices")?;
    let mut pairs = named.split_whitespace().filter_map(|pair| pair.split_once('='));
    let (_, bdf) = pairs.find(|(n, _)| *n == name).with_context(|| format!("there is no {name}"))?;
    Ok(bdf.to_owned())
}

/// Maps part of a file for a memory slot, for good.
fn map(file: &File, offset: u64, size: u64) -> anyhow::Result<u64> {
    let protection = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: a fresh mapping at an address of the kernel's choosing aliases nothing.
    let address =
        unsafe { mmap(std::ptr::null_mut(), size as usize, protection, MapFlags::SHARED, file, offset) }?;
    Ok(address as u64)
}

fn now() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

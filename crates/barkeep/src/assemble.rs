//! Puts a VM together: the I/O address space, the devices and their exports, the slots, the
//! driver. Takes it apart again.

use crate::cli::{DeviceOption, P2p};
use crate::exit::{Exit, UsageExt, wrong};
use anyhow::Context;
use barkeep_export::{Driver, Errno, Function, Parties, Window, WindowId};
use barkeep_journal::{Actor, Event, Journal, Kind};
use barkeep_pci::windows::exportable;
use barkeep_vfio::{Device, DeviceError, Passthrough, Space};
use barkeep_vmm::map::{MMIO32, MMIO64, OUTAGE_WORD_COUNT, OUTAGE_WORDS};
use barkeep_vmm::{Frame, KvmVfio, Ram, Shell};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use vm_memory::{Bytes, GuestAddress};

/// A VM that has not started.
pub struct Assembly {
    /// Guest memory.
    pub ram: Arc<Ram>,
    /// The I/O address space.
    pub space: Arc<Space>,
    /// The devices, in the order of the driver's numbers.
    pub functions: Vec<Arc<Passthrough>>,
    /// Their names.
    pub names: Vec<String>,
    /// The driver of their mappings.
    pub driver: Arc<Driver>,
    /// The rest of KVM's VM.
    pub frame: Frame,
    /// For each device the number of its first window, over all devices.
    pub first_window: Vec<u64>,
}

/// Puts it together.
///
/// # Errors
/// A device is not there or not bound, the kernel lacks a feature, KVM is not there.
pub fn assemble(
    devices: &[DeviceOption],
    memory: u64,
    p2p: P2p,
    journal: &Journal,
) -> anyhow::Result<Assembly> {
    let ram = Arc::new(Ram::new(memory).usage("no guest memory")?);
    let space = Arc::new(Space::new().usage("no I/O address space")?);
    map_ram(&ram, &space, journal)?;
    let mut shell = Shell::new(Arc::clone(&ram)).usage("no virtual machine")?;
    let kvm_vfio = Arc::new(KvmVfio::new(shell.vm()).context("KVM makes no VFIO device")?);
    let mut first_window = Vec::new();
    let mut functions = Vec::new();
    let mut count = 0;
    for (index, option) in devices.iter().enumerate() {
        let function = open(index as u16, option, p2p, &space, &mut shell, &kvm_vfio, journal)?;
        first_window.push(count);
        count += function.windows().len() as u64;
        functions.push(Arc::new(function));
    }
    if count > OUTAGE_WORD_COUNT {
        let what = format!("{count} windows of BARs; {OUTAGE_WORD_COUNT} are possible");
        return Err(wrong(Exit::Usage, what));
    }
    let (slots, frame) = shell.into_parts();
    let mut driver = Driver::new(journal.clone(), outage_sink(&ram, &first_window, count)?);
    for function in &functions {
        let parties = Parties { exporter: function.clone(), slots: slots.clone(), ioas: space.clone() };
        driver.add(function.address(), function.windows(), parties);
    }
    let names = devices.iter().map(|option| option.name.clone()).collect();
    Ok(Assembly { ram, space, functions, names, driver: Arc::new(driver), frame, first_window })
}

fn map_ram(ram: &Ram, space: &Space, journal: &Journal) -> anyhow::Result<()> {
    for range in ram.ranges() {
        let event = Event::new(Kind::RamMap, Actor::Vmm).range(range.start, range.size);
        let step = journal.begin(event);
        let result = space.map_ram(ram.file(), range.file_offset, range.size, range.start);
        journal.end(step, number(result));
        result.usage("cannot map guest memory for DMA; is the memory-lock limit (ulimit -l) high enough?")?;
    }
    Ok(())
}

/// Every change of an outage word goes to guest memory as well, where the probe reads it.
fn outage_sink(
    ram: &Arc<Ram>,
    first_window: &[u64],
    count: u64,
) -> anyhow::Result<barkeep_export::driver::OutageSink> {
    let store = |ram: &Ram, window: u64, word: u64| {
        ram.memory().store(word, GuestAddress(OUTAGE_WORDS + 8 * window), Ordering::Release)
    };
    for window in 0..count {
        let out = barkeep_export::OutageWord::default().get();
        store(ram, window, out).context("cannot write the outage words")?;
    }
    let (ram, first_window) = (Arc::clone(ram), first_window.to_vec());
    Ok(Arc::new(move |id: WindowId, word| {
        let window = first_window[usize::from(id.device)] + u64::from(id.window);
        // Inside RAM, as the first store has shown.
        let _ = store(&ram, window, word);
    }))
}

fn open(
    index: u16,
    option: &DeviceOption,
    p2p: P2p,
    space: &Arc<Space>,
    shell: &mut Shell,
    kvm_vfio: &Arc<KvmVfio>,
    journal: &Journal,
) -> anyhow::Result<Passthrough> {
    let device = Device::open(option.address, space).usage("cannot pass a device through")?;
    let layout = device.layout();
    let text = format!("{} {:04x}:{:04x}", option.name, layout.vendor, layout.device);
    journal.emit(Event::new(Kind::DeviceOpen, Actor::Vmm).device(option.address).text(text));
    let windows = export_windows(index, &device, p2p, space, journal)?;
    for (number, window) in windows.iter().enumerate() {
        let pci = barkeep_pci::windows::Window { bar: window.bar, offset: window.offset, size: window.size };
        let host = device.map(&pci).usage("cannot pass a device through")?;
        let id = WindowId { device: index, window: number as u16 };
        shell.slots().add_window(id, host, window.size);
    }
    let added = device.with_file(|file| kvm_vfio.add(file).map_err(|e| Errno::from_raw_os_error(e.errno())));
    added.context("KVM does not take the device file")?;
    let holes = vec![MMIO32, MMIO64];
    let mut passthrough =
        Passthrough::new(Arc::new(device), windows, holes).usage("cannot read a device's registers")?;
    let (kvm_vfio, journal) = (Arc::clone(kvm_vfio), journal.clone());
    passthrough.before_close(move |device| {
        let removed =
            device.with_file(|file| kvm_vfio.remove(file).map_err(|e| Errno::from_raw_os_error(e.errno())));
        if let Err(errno) = removed {
            let event = Event::new(Kind::Degraded, Actor::Vmm).device(device.address());
            journal.emit(event.result(-errno.raw_os_error()).text("KVM keeps the device file"));
        }
    });
    Ok(passthrough)
}

/// Exports what may be exported of every BAR; what may not stays with the VMM.
fn export_windows(
    index: u16,
    device: &Device,
    p2p: P2p,
    space: &Space,
    journal: &Journal,
) -> anyhow::Result<Vec<Window>> {
    let page = rustix::param::page_size() as u64;
    let mut windows = Vec::new();
    for bar in device.layout().bars.iter().flatten() {
        for window in exportable(bar, device.layout().msix.as_ref(), page).windows {
            let id = WindowId { device: index, window: windows.len() as u16 };
            let shared = p2p != P2p::Off && export(id, device, &window, p2p, space, journal)?;
            let barkeep_pci::windows::Window { bar, offset, size } = window;
            windows.push(Window { bar, offset, size, p2p: shared });
        }
    }
    Ok(windows)
}

/// Whether the window is exported now.
fn export(
    id: WindowId,
    device: &Device,
    window: &barkeep_pci::windows::Window,
    p2p: P2p,
    space: &Space,
    journal: &Journal,
) -> anyhow::Result<bool> {
    let about = |kind| {
        let event = Event::new(kind, Actor::Vmm).device(device.address()).bar(window.bar);
        event.range(window.offset, window.size)
    };
    let step = journal.begin(about(Kind::BarExport));
    let result = device.export(window);
    journal.end(step, result.as_ref().err().map_or(0, DeviceError::number));
    match result {
        Ok(file) => {
            space.add_buffer(id, file, window.size);
            Ok(true)
        }
        // Without the feature nothing this VM is for works: that is not a thing to fall back from.
        Err(error @ DeviceError::NoExport(..)) => Err(error).usage("no peer-to-peer DMA on this kernel"),
        Err(error) if p2p == P2p::Required => Err(error).usage("--p2p required"),
        Err(error) => {
            eprintln!("barkeep: {error}: peers cannot reach it (--p2p required would refuse)");
            journal.emit(about(Kind::Degraded).text(format!("not exported: {error}")));
            Ok(false)
        }
    }
}

/// 0, or a negative errno.
pub fn number(result: Result<(), Errno>) -> i32 {
    result.map_or_else(|errno| -errno.raw_os_error(), |()| 0)
}

//! Interrupts of real devices, as far as the guest's local interrupt controller: the machine of the
//! topology `nvme-edu`, whose guest is this program at the bus. `barkeep lab --share DIR -- exec
//! interrupts` runs it; it ends with status 0, or says what has not come.

use anyhow::{Context, ensure};
use barkeep_export::{Errno, Imported, Importer, IoSpace, Passthrough, SecondProcess, Seconds, WindowId};
use barkeep_journal::{Clock, DeviceAddress, Event, Journal, Kind, Lane, Tap};
use barkeep_pci::header;
use barkeep_platform::console::Ends;
use barkeep_platform::map::{MMIO32, MMIO64};
use barkeep_platform::pci_root::PciRoot;
use barkeep_platform::{Board, BoardParts, Bus, Pages, Ram};
use barkeep_vfio::inherited::device_of;
use barkeep_vfio::{Device, Sharing, Space, Sysfs, sysfs};
use barkeep_vmm::{Routing, Shell};
use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::IntoRawFd;
use std::sync::Arc;
use std::time::{Duration, Instant};
use vm_memory::{Bytes, GuestAddress};

/// The devices' numbers.
const NVME: u16 = 0;
const EDU: u16 = 1;
/// Bytes of the guest's memory.
const RAM: u64 = 16 << 20;
/// Where the admin queues and the answer of an Identify are.
const QUEUE: u64 = 0x10_0000;
const COMPLETIONS: u64 = 0x10_1000;
const ANSWER: u64 = 0x10_2000;

/// Nobody runs, so nobody needs memory.
struct NoSlots;

impl Importer for NoSlots {
    fn map(&self, _: WindowId, _: u64) -> Result<(), Errno> {
        Ok(())
    }

    fn unmap(&self, _: WindowId, _: u64) -> Result<u64, Errno> {
        Ok(0)
    }
}

/// Nobody starts any.
struct NoSeconds;

impl Seconds for NoSeconds {
    fn start(
        &self,
        _: WindowId,
        _: Imported,
        _: Option<DeviceAddress>,
    ) -> Result<Arc<dyn SecondProcess>, Errno> {
        Err(Errno::OPNOTSUPP)
    }
}

/// The guest: what it may touch.
struct Guest {
    board: Board,
    bus: Bus,
    apic: Box<dyn Fn() -> Vec<u8>>,
    tap: Tap<Vec<Event>>,
    /// Commands given to the NVMe since its controller was turned on.
    commands: std::cell::Cell<u32>,
}

fn main() -> anyhow::Result<()> {
    let guest = Guest::new()?;
    guest.edu()?;
    guest.nvme()?;
    guest.bus.reset();
    ensure!(guest.host().is_empty(), "vectors left after the guest's reset");
    guest.turn_msix_on();
    guest.open(0, 0x7a);
    guest.board.take_apart();
    ensure!(guest.host().is_empty(), "vectors left after the close");
    let told: Vec<_> = guest.tap.with(|kept| {
        let degraded = kept.iter().filter(|event| event.kind == Kind::Degraded);
        degraded.map(|event| event.text.clone()).collect()
    });
    ensure!(told.is_empty(), "{told:?}");
    println!("all interrupts came");
    Ok(())
}

/// A device by a descriptor that is open already.
fn handed_over(address: DeviceAddress, space: &Space) -> anyhow::Result<Device> {
    let folder = format!("{}/{address}/vfio-dev", sysfs::PCI_DEVICES);
    let entry = std::fs::read_dir(folder)?.next().context("a device that vfio-pci has")??;
    let node = std::path::Path::new("/dev/vfio/devices").join(entry.file_name());
    let fd = File::options().read(true).write(true).open(node)?.into_raw_fd();
    ensure!(device_of(fd) == Ok(address), "descriptor {fd} is {:?}, not {address}", device_of(fd));
    Ok(Device::of_descriptor(fd, address, space)?)
}

impl Guest {
    fn new() -> anyhow::Result<Self> {
        let (journal, tap) = Journal::typed(Lane::Lab, Clock::Emulated, Vec::new());
        // The devices' DMA goes to huge pages: iommufd and KVM take them as any others.
        std::fs::write("/proc/sys/vm/nr_hugepages", (RAM / Pages::Of2M.size()).to_string())?;
        let ram = Arc::new(Ram::of(RAM, Pages::Of2M)?);
        let shell = Shell::new(&ram)?;
        let vcpu = shell.vm().create_vcpu(0)?;
        // Spurious interrupt vector register: on (Intel SDM, volume 3, 12.9).
        let mut apic = vcpu.get_lapic()?;
        apic.regs[0xf1] = 1;
        vcpu.set_lapic(&apic)?;
        let space = Arc::new(Space::new(Sharing::Shared)?);
        let file = ram.file().context("a memfd")?;
        for range in ram.ranges() {
            space.map_ram(file, range.file_offset, range.size, range.start)?;
        }
        let mut devices = Vec::new();
        for named in std::env::var("BARKEEP_DEVICES")?.split_whitespace() {
            let (name, address) = named.split_once('=').context("a device without a name")?;
            let address: DeviceAddress = address.parse().map_err(|_| anyhow::anyhow!("{address}"))?;
            let device = match name {
                // As whoever starts a VMM without the right to open devices hands one over.
                "edu" => handed_over(address, &space)?,
                _ => Device::open(address, &space)?,
            };
            let device = Arc::new(device);
            let function = Passthrough::new(device, Vec::new(), vec![MMIO32, MMIO64])?;
            devices.push((name.to_owned(), Arc::new(function)));
        }
        let board = Board::new(BoardParts {
            journal,
            ram,
            space,
            slots: Arc::new(NoSlots),
            devices,
            faults: None,
            administrator: Arc::new(Sysfs),
            others: BTreeMap::new(),
            sleep: Arc::new(std::thread::sleep),
            seconds: Arc::new(NoSeconds),
            importers: None,
        })?;
        board.start()?;
        board.deliver_interrupts(Arc::new(Routing::new(Arc::clone(shell.vm()))));
        let bus = board.bus(None, Ends { output: Box::new(std::io::sink()), line: None });
        let apic = Box::new(move || {
            let apic = vcpu.get_lapic().unwrap_or_default();
            // The IRR: 8 words of 32 vectors, 16 bytes apart.
            let bit = |vector: &u8| {
                let byte = 0x200 + usize::from(vector / 32) * 16 + usize::from(vector % 32 / 8);
                apic.regs[byte].cast_unsigned() >> (vector % 8) & 1 != 0
            };
            (0..=255).filter(bit).collect()
        });
        Ok(Self { board, bus, apic, tap, commands: 0.into() })
    }

    /// One vector of MSI, by edu's own interrupt register.
    fn edu(&self) -> anyhow::Result<()> {
        let msi = self.board.function(EDU).device().layout().msi.context("edu has MSI")?;
        let raise = || self.write(EDU, 0, 0x60, 1);
        self.config(EDU, msi.offset + header::MSI_ADDRESS, 0xfee0_0000);
        self.config(EDU, msi.offset + header::MSI_ADDRESS + 4, 0);
        self.config(EDU, msi.offset + header::MSI_ADDRESS + 8, 0x51);
        self.config(EDU, msi.offset, u32::from(header::MSI_CONTROL_ENABLE) << 16);
        ensure!(self.host().len() == 1, "the host has not turned MSI on");
        raise();
        self.comes("edu's interrupt", &[0x51])?;
        self.config(EDU, msi.offset + header::MSI_ADDRESS + 8, 0x52);
        raise();
        self.comes("edu's, by another message", &[0x51, 0x52])?;
        self.config(EDU, msi.offset, 0);
        ensure!(self.host().is_empty(), "the host has not turned MSI off");
        self.write(EDU, 0, 0x64, 1);
        Ok(())
    }

    /// MSI-X, by the completions of an NVMe's admin commands.
    fn nvme(&self) -> anyhow::Result<()> {
        self.turn_msix_on();
        for vector in [0, 1, 5] {
            self.open(vector, 0x60 + vector as u32);
        }
        ensure!(self.host().len() == 3, "{} vectors at the host, not 3", self.host().len());
        self.start_controller()?;
        self.identify()?;
        self.comes("a completion", &[0x51, 0x52, 0x60])?;
        self.mask(0, true);
        self.identify()?;
        ensure!(self.pending() == 1, "the pending bit of a masked vector is {}", self.pending());
        self.open(0, 0x71);
        self.comes("what was pending", &[0x51, 0x52, 0x60, 0x71])?;
        ensure!(self.pending() == 0, "the pending bit is still there");
        self.reset()?;
        self.start_controller()?;
        self.entry(0, 8, 0x79);
        self.identify()?;
        self.comes("a completion after an FLR", &[0x51, 0x52, 0x60, 0x71, 0x79])
    }

    /// FLR: the host puts back what it had set up.
    fn reset(&self) -> anyhow::Result<()> {
        let device = self.board.function(NVME).device();
        let pcie = device.layout().pcie.context("an NVMe is a PCIe device")?;
        let control = pcie.offset + header::PCIE_DEVCTL;
        let address = PciRoot::ecam_address(NVME, control);
        self.bus.mmio_write(address, &header::PCIE_DEVCTL_FLR.to_le_bytes(), 0);
        let msix = device.layout().msix.context("an NVMe has MSI-X")?;
        let mut physical = [0; 2];
        device.config_read(msix.offset + header::MSIX_CONTROL, &mut physical)?;
        let on = u16::from_le_bytes(physical) & header::MSIX_CONTROL_ENABLE != 0;
        ensure!(on && self.host().len() == 3, "the host has not restored MSI-X");
        Ok(())
    }

    fn start_controller(&self) -> anyhow::Result<()> {
        let memory = self.board.ram().memory();
        memory.write_slice(&[0; 0x3000], GuestAddress(QUEUE))?;
        self.commands.set(0);
        // Queues of 16, where they are, then CC: entries of 64 and 16 bytes, on (NVMe Base 2.0, 3.1.3).
        for (register, value) in [
            (0x24, 0x000f_000f),
            (0x28, QUEUE as u32),
            (0x2c, 0),
            (0x30, COMPLETIONS as u32),
            (0x34, 0),
            (0x14, 0x0046_0001),
        ] {
            self.write(NVME, 0, register, value);
        }
        self.until("the NVMe is ready", || self.read(NVME, 0, 0x1c) & 1 != 0)
    }

    /// Identify the controller, and wait for the completion by looking.
    fn identify(&self) -> anyhow::Result<()> {
        let memory = self.board.ram().memory();
        let number = self.commands.get();
        self.commands.set(number + 1);
        let mut command = [0_u32; 16];
        command[0] = 0x06 | number << 16;
        command[6] = ANSWER as u32;
        command[10] = 1;
        for (at, word) in (0..).zip(command) {
            memory.write_obj(word, GuestAddress(QUEUE + u64::from(number) * 64 + at * 4))?;
        }
        self.write(NVME, 0, 0x1000, number + 1);
        let status = GuestAddress(COMPLETIONS + u64::from(number) * 16 + 12);
        let done = || memory.read_obj::<u32>(status).is_ok_and(|word| word >> 16 & 1 != 0);
        self.until("the NVMe completes a command", done)?;
        // Taken: else it would interrupt for this one again.
        self.write(NVME, 0, 0x1004, number + 1);
        Ok(())
    }

    fn turn_msix_on(&self) {
        let msix = self.board.function(NVME).device().layout().msix;
        let at = msix.map_or(0, |msix| msix.offset);
        self.config(NVME, at, u32::from(header::MSIX_CONTROL_ENABLE) << 16);
    }

    fn open(&self, vector: u64, data: u32) {
        self.entry(vector, 0, 0xfee0_0000);
        self.entry(vector, 4, 0);
        self.entry(vector, 8, data);
        self.mask(vector, false);
    }

    fn mask(&self, vector: u64, masked: bool) {
        self.entry(vector, 12, masked.into());
    }

    fn entry(&self, vector: u64, at: u64, value: u32) {
        if let Some(msix) = self.board.function(NVME).device().layout().msix {
            self.write(NVME, msix.table.bar, msix.table.offset + vector * 16 + at, value);
        }
    }

    fn pending(&self) -> u32 {
        let msix = self.board.function(NVME).device().layout().msix;
        msix.map_or(0, |msix| self.read(NVME, msix.pba.bar, msix.pba.offset))
    }

    fn config(&self, device: u16, register: u16, value: u32) {
        self.bus.mmio_write(PciRoot::ecam_address(device, register), &value.to_le_bytes(), 0);
    }

    fn write(&self, device: u16, bar: u8, offset: u64, value: u32) {
        let address = self.board.bar_address(device, bar, offset).unwrap_or(0);
        self.bus.mmio_write(address, &value.to_le_bytes(), 0);
    }

    fn read(&self, device: u16, bar: u8, offset: u64) -> u32 {
        let mut bytes = [0; 4];
        self.bus.mmio_read(self.board.bar_address(device, bar, offset).unwrap_or(0), &mut bytes);
        u32::from_le_bytes(bytes)
    }

    /// The vectors of vfio-pci that the host has handlers for.
    fn host(&self) -> Vec<String> {
        let all = std::fs::read_to_string("/proc/interrupts").unwrap_or_default();
        all.lines().filter(|line| line.contains("vfio-msi")).map(str::to_owned).collect()
    }

    fn comes(&self, what: &str, vectors: &[u8]) -> anyhow::Result<()> {
        let there = || format!("requested: {:x?}; at the host:\n{}", (self.apic)(), self.host().join("\n"));
        self.until(what, || (self.apic)() == vectors).with_context(there)
    }

    fn until(&self, what: &str, holds: impl Fn() -> bool) -> anyhow::Result<()> {
        let begin = Instant::now();
        while !holds() {
            ensure!(begin.elapsed() < Duration::from_secs(30), "never: {what}");
            std::thread::sleep(Duration::from_millis(1));
        }
        println!("{what}");
        Ok(())
    }
}

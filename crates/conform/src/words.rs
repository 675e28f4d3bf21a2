//! An operation in words a person understands.

use crate::machine::Machine;
use crate::possible::Possible;
use crate::registers::{self, Register};
use barkeep_model::op::Told;
use barkeep_model::{Op, Source};
use barkeep_pci::header;

/// Says what the operation at `index` does. Those before it tell which device a file is of.
#[must_use]
pub fn describe(ops: &[Op], index: usize, machine: &Machine) -> String {
    let mut possible = Possible::new(machine);
    ops.iter().take(index).for_each(|op| possible.note(op));
    ops.get(index).map_or_else(String::new, |op| Words { machine, possible: &possible }.of(op))
}

struct Words<'a> {
    machine: &'a Machine,
    possible: &'a Possible<'a>,
}

impl Words<'_> {
    fn of(&self, op: &Op) -> String {
        let name = |device: u8| self.machine.name(device);
        match *op {
            Op::Open { device, context, file } => {
                format!("open {} as file {file} and bind it to context {context}", name(device))
            }
            Op::Attach { file, space } => format!("attach {} to space {space}", self.file(file)),
            Op::Detach { file } => format!("detach {} from its space", self.file(file)),
            Op::DupFile { file, to } => format!("dup {} as file {to}", self.file(file)),
            Op::SendFile { file } => format!("send {} over a socket", self.file(file)),
            Op::ReceiveFile { to } => format!("receive a file as file {to}"),
            Op::ReopenFile { file } => format!("open {} anew through /proc", self.file(file)),
            Op::CloseFile { file } => format!("close {}", self.file(file)),
            Op::ConfigWrite { file, offset, width, value } => {
                format!("write {value:#x} to {} of {}", self.register(file, offset, width), self.file(file))
            }
            Op::ConfigRead { file, offset, width, mask } => {
                format!(
                    "read {} of {}, masked {mask:#x}",
                    self.register(file, offset, width),
                    self.file(file)
                )
            }
            Op::RegionRead { file, bar, offset } => {
                format!("read BAR {bar} of {} at {offset:#x} through the file", self.file(file))
            }
            Op::RegionWrite { file, bar, offset, value } => {
                format!(
                    "write {value:#x} to BAR {bar} of {} at {offset:#x} through the file",
                    self.file(file)
                )
            }
            Op::MapBar { file, bar, offset, size, map } => {
                format!(
                    "mmap {size:#x} bytes at {offset:#x} of BAR {bar} of {} as map {map}",
                    self.file(file)
                )
            }
            Op::UnmapBar { map } => format!("munmap map {map}"),
            Op::CpuRead { map, offset } => format!("a CPU reads map {map} at {offset:#x}"),
            Op::CpuWrite { map, offset, value } => {
                format!("a CPU writes {value:#x} to map {map} at {offset:#x}")
            }
            Op::Reset { file } => format!("VFIO_DEVICE_RESET of {}", self.file(file)),
            Op::HotReset { file } => format!("VFIO_DEVICE_PCI_HOT_RESET of {}", self.file(file)),
            Op::LowPowerEntry { file, wakes: false } => format!("LOW_POWER_ENTRY of {}", self.file(file)),
            Op::LowPowerEntry { file, wakes: true } => {
                format!("LOW_POWER_ENTRY_WITH_WAKEUP of {}", self.file(file))
            }
            Op::LowPowerExit { file } => format!("LOW_POWER_EXIT of {}", self.file(file)),
            Op::Export { file, region, ref ranges, flags, buffer } => {
                self.export(file, region, ranges, flags, buffer)
            }
            Op::ExportProbe { file } => format!("DMA_BUF with PROBE and GET of {}", self.file(file)),
            Op::ExportSet { file } => format!("DMA_BUF with SET of {}", self.file(file)),
            Op::DupBuffer { buffer, to } => format!("dup buffer {buffer} as buffer {to}"),
            Op::SendBuffer { buffer } => format!("send buffer {buffer} over a socket"),
            Op::ReceiveBuffer { to } => format!("receive a buffer as buffer {to}"),
            Op::ReopenBuffer { buffer } => format!("open buffer {buffer} anew through /proc"),
            Op::MapBuffer { buffer, offset, size, map } => {
                format!("mmap {size:#x} bytes at {offset:#x} of buffer {buffer} as map {map}")
            }
            Op::BufferSize { buffer } => format!("lseek to the end of buffer {buffer}"),
            Op::CloseBuffer { buffer } => format!("close buffer {buffer}"),
            Op::Map { space, source, start, length, iova } => {
                let of = self.source(source);
                format!("MAP_FILE of {length:#x} bytes at {start:#x} of {of} into space {space} at {iova:#x}")
            }
            Op::Unmap { space, iova, length } => {
                format!("UNMAP of {length:#x} bytes of space {space} at {iova:#x}")
            }
            Op::Copy { from, to, iova, length, to_iova } => {
                format!(
                    "COPY of {length:#x} bytes of space {from} at {iova:#x} to space {to} at {to_iova:#x}"
                )
            }
            Op::Dma { file, iova, value } => {
                format!("{} writes {value:#x} to {iova:#x} by DMA", self.file(file))
            }
            Op::Import { buffer, peer2peer, told, import } => {
                let peer2peer = if peer2peer { "" } else { ", without peer2peer" };
                let told = match told {
                    Told::Never => "cannot be told to let go",
                    Told::LetGo => "lets go when told",
                    Told::MapAgain => "maps again when told",
                    Told::Hold => "holds on for a while when told",
                };
                format!("attach the importer to buffer {buffer} as import {import}{peer2peer}; it {told}")
            }
            Op::ImportMap { import } => format!("import {import} maps"),
            Op::ImportUnmap { import } => format!("import {import} unmaps"),
            Op::ImportUse { import, offset } => format!("import {import} uses a byte at {offset:#x}"),
            Op::ImportPin { import, pinned: true } => format!("import {import} pins"),
            Op::ImportPin { import, pinned: false } => format!("import {import} unpins"),
            Op::ImportEnd { import } => format!("detach import {import}"),
            Op::SysfsReset { device } => format!("write 1 to {}'s reset in sysfs", name(device)),
            Op::ResetMethods { device, present: false } => format!("clear {}'s reset_method", name(device)),
            Op::ResetMethods { device, present: true } => {
                format!("put {}'s reset_method back", name(device))
            }
            Op::Remove { device } => format!("write 1 to {}'s remove in sysfs", name(device)),
            Op::Rescan { device } => format!("rescan the bus of {} and bind it", name(device)),
        }
    }

    /// The only device a file register can hold.
    fn only(&self, file: u8) -> Option<u8> {
        let mut devices = self.possible.devices(file);
        devices.next().filter(|_| devices.next().is_none())
    }

    fn file(&self, file: u8) -> String {
        match self.only(file) {
            Some(device) => format!("{} (file {file})", self.machine.name(device)),
            None => format!("file {file}"),
        }
    }

    fn source(&self, source: Source) -> String {
        match source {
            Source::Buffer(buffer) => format!("buffer {buffer}"),
            Source::Foreign => "udmabuf's dma-buf".to_owned(),
            Source::Memory => "a memfd".to_owned(),
        }
    }

    fn register(&self, file: u8, offset: u16, width: u8) -> String {
        let known = self.only(file).and_then(|device| registers::at(self.machine, device, offset, width));
        let name = match known {
            Some(Register::Command) => "COMMAND".to_owned(),
            Some(Register::Power) => "PMCSR".to_owned(),
            Some(Register::Control) => "DEVCTL".to_owned(),
            Some(Register::AfControl) => "AF control".to_owned(),
            Some(Register::Bar) => format!("BAR {}'s register", (offset - header::BAR0) / 4),
            None => "config space".to_owned(),
        };
        let plural = if width == 1 { "" } else { "s" };
        format!("{name} ({width} byte{plural} at {offset:#x})")
    }

    fn export(&self, file: u8, region: u32, ranges: &[(u64, u64)], flags: u32, buffer: u8) -> String {
        let parts: Vec<String> =
            ranges.iter().map(|(at, length)| format!("{length:#x} at {at:#x}")).collect();
        let parts = if parts.is_empty() { "nothing".to_owned() } else { parts.join(" and ") };
        let flags = if flags == 0 { String::new() } else { format!(", flags {flags:#x}") };
        format!("export {parts} of BAR {region} of {} as buffer {buffer}{flags}", self.file(file))
    }
}

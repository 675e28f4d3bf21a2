//! What the registers hold if all goes well: by this an episode finds arguments that mean
//! something. It is made of the operations alone and never of an answer, so it is wrong wherever
//! one fails, and nothing but the likelihood of arguments depends on it.

use crate::machine::Machine;
use barkeep_model::op::{BUFFERS, CONTEXT_OF_SPACE, FILES, IMPORTS, MAPS};
use barkeep_model::{Op, Source};
use std::collections::VecDeque;

/// The registers, after some operations.
#[derive(Debug)]
pub(crate) struct Expected {
    pub(crate) files: [Option<u8>; FILES],
    pub(crate) buffers: [Option<Buffer>; BUFFERS],
    pub(crate) maps: [Option<Window>; MAPS],
    /// What each attachment is of.
    pub(crate) imports: [Option<Window>; IMPORTS],
    /// Map registers that keep a device open.
    regions: [bool; MAPS],
    pub(crate) areas: Vec<Area>,
    pub(crate) sent_files: VecDeque<u8>,
    pub(crate) sent_buffers: VecDeque<Buffer>,
    pub(crate) devices: Vec<Device>,
}

/// A device.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Device {
    /// The context it is bound to while it is open.
    pub(crate) context: u8,
    /// The space it is attached to.
    pub(crate) space: Option<u8>,
    /// COMMAND as last written, `None` if it is as it was at the open.
    pub(crate) command: Option<u16>,
    /// Low power was entered.
    pub(crate) low_power: bool,
    /// Removed, and not yet back.
    pub(crate) removed: bool,
}

/// A part of a BAR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) device: u8,
    pub(crate) bar: u32,
    pub(crate) offset: u64,
    pub(crate) size: u64,
}

/// A dma-buf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Buffer {
    /// Its first range; the size is that of all.
    pub(crate) window: Window,
    /// Where its second range begins: in it, and in the BAR; and its bytes.
    pub(crate) second: Option<(u64, u64, u64)>,
}

/// A mapping in a space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Area {
    pub(crate) space: u8,
    pub(crate) iova: u64,
    pub(crate) length: u64,
    /// What is behind it, `None` for memory.
    pub(crate) window: Option<Window>,
}

impl Buffer {
    /// The part of the BAR behind a part of it that lies in one range.
    fn part(&self, offset: u64, size: u64) -> Window {
        let start = match self.second {
            Some((into, start, _)) if offset >= into => start.wrapping_add(offset - into),
            Some(_) | None => self.window.offset.wrapping_add(offset),
        };
        Window { offset: start, size, ..self.window }
    }
}

impl Area {
    pub(crate) fn overlaps(&self, space: u8, iova: u64, length: u64) -> bool {
        self.space == space
            && self.iova < iova.saturating_add(length)
            && iova < self.iova.saturating_add(self.length)
    }
}

impl Expected {
    pub(crate) fn new(machine: &Machine) -> Self {
        Self {
            files: [None; FILES],
            buffers: [None; BUFFERS],
            maps: [None; MAPS],
            imports: [None; IMPORTS],
            regions: [false; MAPS],
            areas: Vec::new(),
            sent_files: VecDeque::new(),
            sent_buffers: VecDeque::new(),
            devices: vec![Device::default(); machine.hardware().devices.len()],
        }
    }

    /// Whether anything keeps a device open.
    pub(crate) fn is_open(&self, device: u8) -> bool {
        self.files.contains(&Some(device))
            || self.sent_files.contains(&device)
            || self
                .maps
                .iter()
                .zip(self.regions)
                .any(|(window, region)| region && window.is_some_and(|window| window.device == device))
    }

    /// The device behind a file register.
    pub(crate) fn device(&self, file: u8) -> Option<u8> {
        self.files[usize::from(file)]
    }

    fn state(&mut self, file: u8) -> Option<&mut Device> {
        self.device(file).map(|device| &mut self.devices[usize::from(device)])
    }

    /// Takes note of an operation, as if it succeeded where it looks like it.
    pub(crate) fn note(&mut self, op: &Op) {
        match *op {
            Op::Open { device, context, file } => self.open(device, context, file),
            Op::Attach { file, space } => {
                if let Some(device) = self.state(file)
                    && device.context == CONTEXT_OF_SPACE[usize::from(space)]
                {
                    device.space = Some(space);
                }
            }
            Op::Detach { file } => _ = self.state(file).map(|device| device.space = None),
            Op::DupFile { file, to } => {
                let held = self.device(file);
                fill(&mut self.files, to, held);
            }
            Op::SendFile { file } => self.sent_files.extend(self.device(file)),
            Op::ReceiveFile { to } => {
                if self.files[usize::from(to)].is_none() {
                    self.files[usize::from(to)] = self.sent_files.pop_front();
                }
            }
            Op::CloseFile { file } => self.files[usize::from(file)] = None,
            Op::ConfigWrite { file, offset: 4, width, value } => {
                let high = |command: u16| if width == 1 { command & 0xff00 } else { 0 };
                if let Some(device) = self.state(file) {
                    device.command = Some(value as u16 | high(device.command.unwrap_or(0)));
                }
            }
            Op::MapBar { file, bar, offset, size, map } => {
                let window =
                    self.device(file).map(|device| Window { device, bar: u32::from(bar), offset, size });
                self.map_cpu(map, window, true);
            }
            Op::MapBuffer { buffer, offset, size, map } => {
                let window = self.buffers[usize::from(buffer)].map(|buffer| buffer.part(offset, size));
                self.map_cpu(map, window, false);
            }
            Op::Import { buffer, peer2peer: _, told: _, import } => {
                let window = self.buffers[usize::from(buffer)].map(|buffer| buffer.window);
                fill(&mut self.imports, import, window);
            }
            Op::ImportEnd { import } => self.imports[usize::from(import)] = None,
            Op::UnmapBar { map } => self.maps[usize::from(map)] = None,
            Op::LowPowerEntry { file, wakes: _ } => {
                _ = self.state(file).map(|device| device.low_power = true)
            }
            Op::LowPowerExit { file } => _ = self.state(file).map(|device| device.low_power = false),
            Op::Export { file, region, ref ranges, flags: _, buffer } => {
                let size = ranges.iter().fold(0_u64, |size, range| size.wrapping_add(range.1));
                let export = self.device(file).zip(ranges.first()).map(|(device, &(offset, _))| Buffer {
                    window: Window { device, bar: region, offset, size },
                    second: ranges.get(1).map(|&(offset, size)| (ranges[0].1, offset, size)),
                });
                fill(&mut self.buffers, buffer, export);
            }
            Op::DupBuffer { buffer, to } => {
                let held = self.buffers[usize::from(buffer)];
                fill(&mut self.buffers, to, held);
            }
            Op::SendBuffer { buffer } => self.sent_buffers.extend(self.buffers[usize::from(buffer)]),
            Op::ReceiveBuffer { to } => {
                if self.buffers[usize::from(to)].is_none() {
                    self.buffers[usize::from(to)] = self.sent_buffers.pop_front();
                }
            }
            Op::CloseBuffer { buffer } => self.buffers[usize::from(buffer)] = None,
            Op::Map { space, source, start, length, iova } => self.map(space, source, start, length, iova),
            Op::Unmap { space, iova, length } => {
                let end = iova.saturating_add(length);
                self.areas.retain(|area| {
                    area.space != space || area.iova < iova || area.iova.saturating_add(area.length) > end
                });
            }
            Op::Copy { from, to, iova, length, to_iova } => self.copy(from, to, iova, length, to_iova),
            Op::Remove { device } => self.devices[usize::from(device)].removed = true,
            Op::Rescan { device } => {
                if !self.is_open(device) {
                    self.devices[usize::from(device)].removed = false;
                }
            }
            Op::ConfigWrite { .. } | Op::ConfigRead { .. } => {}
            Op::RegionRead { .. } | Op::RegionWrite { .. } => {}
            Op::CpuRead { .. } | Op::CpuWrite { .. } | Op::Dma { .. } => {}
            Op::Reset { .. } | Op::HotReset { .. } => {}
            Op::SysfsReset { .. } | Op::ResetMethods { .. } => {}
            Op::ReopenFile { .. } | Op::ReopenBuffer { .. } => {}
            Op::ExportProbe { .. } | Op::ExportSet { .. } => {}
            Op::BufferSize { .. } => {}
            Op::ImportMap { .. } | Op::ImportUnmap { .. } => {}
            Op::ImportUse { .. } | Op::ImportPin { .. } => {}
        }
    }

    fn map_cpu(&mut self, map: u8, window: Option<Window>, region: bool) {
        if self.maps[usize::from(map)].is_none() {
            self.regions[usize::from(map)] = region;
        }
        fill(&mut self.maps, map, window);
    }

    fn open(&mut self, device: u8, context: u8, file: u8) {
        let is_open = self.is_open(device);
        let state = &mut self.devices[usize::from(device)];
        if !is_open && !state.removed && self.files[usize::from(file)].is_none() {
            *state = Device { context, ..Device::default() };
            self.files[usize::from(file)] = Some(device);
        }
    }

    fn map(&mut self, space: u8, source: Source, start: u64, length: u64, iova: u64) {
        let window = match source {
            Source::Buffer(buffer) => match self.buffers[usize::from(buffer)] {
                Some(Buffer { window, second: _ }) => {
                    Some(Window { offset: window.offset.wrapping_add(start), ..window })
                }
                None => return,
            },
            Source::Memory => None,
            Source::Foreign => return,
        };
        self.place(Area { space, iova, length, window });
    }

    fn copy(&mut self, from: u8, to: u8, iova: u64, length: u64, to_iova: u64) {
        let source = self.areas.iter().find(|area| area.overlaps(from, iova, length)).copied();
        if let Some(area) = source.filter(|area| area.iova <= iova) {
            let into =
                |window: Window| Window { offset: window.offset.wrapping_add(iova - area.iova), ..window };
            self.place(Area { space: to, iova: to_iova, length, window: area.window.map(into) });
        }
    }

    fn place(&mut self, area: Area) {
        let Area { space, iova, length, window: _ } = area;
        if length > 0 && !self.areas.iter().any(|other| other.overlaps(space, iova, length)) {
            self.areas.push(area);
        }
    }
}

/// Puts something into a register that is empty.
fn fill<T, const N: usize>(registers: &mut [Option<T>; N], register: u8, with: Option<T>) {
    let register = &mut registers[usize::from(register)];
    if register.is_none() {
        *register = with;
    }
}

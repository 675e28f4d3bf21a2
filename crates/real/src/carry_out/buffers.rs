//! dma-bufs, and the address spaces they are mapped into.

use super::nothing;
use crate::buffer::{Buffer, Origin};
use crate::device_file;
use crate::hands::{CpuMap, Done, Hands, Mapped};
use crate::sys::memory::Mapping;
use crate::sys::vfio;
use barkeep_model::Source;

impl Hands {
    pub(super) fn export(&mut self, file: u8, request: &vfio::Request<'_>, buffer: u8) -> Done {
        let file = self.files.get(file)?;
        let place = self.buffers.empty(buffer)?;
        let origin = Origin { device: file.device, bar: request.region as u8, ranges: request.ranges.into() };
        Some(vfio::export(&file.file, request).map(|exported| {
            *place = Some(Buffer::new(origin, exported));
            0
        }))
    }

    pub(super) fn duplicate_buffer(&mut self, buffer: u8, to: u8) -> Done {
        let copy = self.buffers.get(buffer)?.duplicate();
        let place = self.buffers.empty(to)?;
        Some(copy.map(|copy| {
            *place = Some(copy);
            0
        }))
    }

    pub(super) fn send_buffer(&mut self, buffer: u8) -> Done {
        let buffer = self.buffers.get(buffer)?;
        Some(nothing(self.buffer_post.send(buffer.file(), buffer.origin.clone())))
    }

    pub(super) fn receive_buffer(&mut self, to: u8) -> Done {
        let place = self.buffers.empty(to)?;
        Some(self.buffer_post.receive().map(|(origin, file)| {
            *place = Some(Buffer::new(origin, file));
            0
        }))
    }

    pub(super) fn reopen_buffer(&self, buffer: u8) -> Done {
        Some(device_file::reopen(self.buffers.get(buffer)?.file()).map(|_| 0))
    }

    pub(super) fn map_buffer(&mut self, buffer: u8, (offset, size): (u64, u64), map: u8) -> Done {
        let buffer = self.buffers.get(buffer)?;
        let origin = buffer.origin.clone();
        let place = self.maps.empty(map)?;
        Some(Mapping::new(buffer.file(), offset, size).map(|mapping| {
            *place = Some(CpuMap { of: Mapped::Buffer { origin, offset }, mapping });
            0
        }))
    }

    pub(super) fn map(&mut self, space: u8, source: Source, (start, length): (u64, u64), iova: u64) -> Done {
        let target = self.spaces.space(space)?;
        let (file, origin) = match source {
            Source::Buffer(buffer) => {
                let buffer = self.buffers.get(buffer)?;
                (buffer.file(), Some(buffer.origin.clone()))
            }
            Source::Foreign => (&self.foreign, None),
            Source::Memory => (&self.memory, None),
        };
        let mapped = target.map(file, start, length, iova);
        if let (Ok(()), Some(origin)) = (mapped, origin) {
            self.marks.mapped(space, iova, length, origin, start);
        }
        Some(nothing(mapped))
    }

    pub(super) fn copy(&mut self, from: (u8, u64), to: (u8, u64), length: u64) -> Done {
        let copied = self.spaces.copy(from, to, length)?;
        if copied.is_ok() {
            self.marks.copied(from, to);
        }
        Some(nothing(copied))
    }
}

//! Each operation, as the system calls it stands for.

mod buffers;
mod devices;
mod files;
mod imports;

pub(crate) use devices::DEFAULT;

use crate::engine;
use crate::hands::{Done, Hands, answer};
use crate::sys::vfio::{self, VFIO_DEVICE_FEATURE_LOW_POWER_EXIT};
use barkeep_model::{Answer, Errno, Op};

impl Hands {
    /// Carries an operation out.
    pub(crate) fn carry_out(&mut self, op: &Op) -> Answer {
        let answer = match self.sysfs_operation(op) {
            Some(answer) => answer,
            None => answer(self.call(op)),
        };
        self.settle();
        answer
    }

    fn call(&mut self, op: &Op) -> Done {
        match *op {
            Op::Open { device, context, file } => self.open(device, context, file),
            Op::Attach { file, space } => self.attach(file, space),
            Op::Detach { file } => self.with_file(file, vfio::detach),
            Op::DupFile { file, to } => self.duplicate_file(file, to),
            Op::SendFile { file } => self.send_file(file),
            Op::ReceiveFile { to } => self.receive_file(to),
            Op::ReopenFile { file } => self.reopen_file(file),
            Op::CloseFile { file } => self.files.take(file).map(|_| Ok(0)),

            Op::ConfigWrite { file, offset, width, value } => {
                Some(nothing(self.files.get(file)?.config_write(offset, width, value)))
            }
            Op::ConfigRead { file, offset, width, mask } => {
                let read = self.files.get(file)?.config_read(offset, width);
                Some(read.map(|value| u64::from(value & mask)))
            }
            Op::RegionRead { file, bar, offset } => {
                Some(self.files.get(file)?.region_read(bar, offset).map(u64::from))
            }
            Op::RegionWrite { file, bar, offset, value } => self.region_write(file, bar, offset, value),

            Op::MapBar { file, bar, offset, size, map } => self.map_bar(file, (bar, offset, size), map),
            Op::UnmapBar { map } => self.maps.take(map).map(|_| Ok(0)),
            Op::CpuRead { map, offset } => Some(self.maps.get(map)?.mapping.read(offset).map(u64::from)),
            Op::CpuWrite { map, offset, value } => self.cpu_write(map, offset, value),

            Op::Reset { file } => self.with_file(file, vfio::reset),
            Op::HotReset { file } => self.with_file(file, vfio::hot_reset),
            Op::LowPowerEntry { file, wakes } => self.low_power_entry(file, wakes),
            Op::LowPowerExit { file } => {
                self.with_file(file, |file| vfio::set_feature(file, VFIO_DEVICE_FEATURE_LOW_POWER_EXIT))
            }

            Op::Export { file, region, ref ranges, flags, buffer } => {
                self.export(file, &vfio::Request { region, flags, ranges }, buffer)
            }
            Op::ExportProbe { file } => self.with_file(file, vfio::probe_export),
            Op::ExportSet { file } => {
                let request = vfio::Request { region: 0, flags: 0, ranges: &[(0, barkeep_model::op::PAGE)] };
                self.with_file(file, |file| vfio::export_set(file, &request))
            }
            Op::DupBuffer { buffer, to } => self.duplicate_buffer(buffer, to),
            Op::SendBuffer { buffer } => self.send_buffer(buffer),
            Op::ReceiveBuffer { to } => self.receive_buffer(to),
            Op::ReopenBuffer { buffer } => self.reopen_buffer(buffer),
            Op::MapBuffer { buffer, offset, size, map } => self.map_buffer(buffer, (offset, size), map),
            Op::BufferSize { buffer } => Some(self.buffers.get(buffer)?.size()),
            Op::CloseBuffer { buffer } => self.buffers.take(buffer).map(|_| Ok(0)),

            Op::Map { space, source, start, length, iova } => self.map(space, source, (start, length), iova),
            Op::Unmap { space, iova, length } => Some(self.spaces.space(space)?.unmap(iova, length)),
            Op::Copy { from, to, iova, length, to_iova } => self.copy((from, iova), (to, to_iova), length),

            Op::Dma { file, iova, value } => self.dma(file, iova, value),

            Op::Import { .. } | Op::ImportMap { .. } | Op::ImportUnmap { .. } => self.import_operation(op),
            Op::ImportUse { .. } | Op::ImportPin { .. } | Op::ImportEnd { .. } => self.import_operation(op),

            Op::SysfsReset { .. } | Op::ResetMethods { .. } | Op::Remove { .. } | Op::Rescan { .. } => None,
        }
    }

    /// Those that go through sysfs: the kernel may hold them up for as long as something else is
    /// held, and what is held is ours to give up.
    fn sysfs_operation(&mut self, op: &Op) -> Option<Answer> {
        Some(match *op {
            Op::SysfsReset { device } => self.sysfs_reset(device),
            Op::ResetMethods { device, present } => self.reset_methods(device, present),
            Op::Remove { device } => answer(self.remove(device)),
            Op::Rescan { device } => self.rescan(device),
            _ => return None,
        })
    }

    fn dma(&mut self, file: u8, iova: u64, value: u32) -> Done {
        let engine = self.files.get(file)?;
        if !self.site(engine.device)?.facts.engine {
            return None;
        }
        self.marks.aimed(iova);
        Some(engine::copy(engine, &self.ram, iova, value))
    }
}

/// Of a call that gives no number.
fn nothing(result: Result<(), Errno>) -> Result<u64, Errno> {
    result.map(|()| 0)
}

//! Device files, and what is reached through them.

use super::nothing;
use crate::device_file::{self, DeviceFile};
use crate::hands::{CpuMap, Done, Hands, Mapped};
use crate::presence::look_until;
use crate::sys::vfio::{self, VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY};
use barkeep_model::Errno;
use std::fs::File;
use std::time::Duration;

/// Longest time from the end of a call until the device sleeps; one that cannot never does.
const FALLS_ASLEEP: Duration = Duration::from_millis(100);

impl Hands {
    pub(super) fn open(&mut self, device: u8, context: u8, file: u8) -> Done {
        let (site, context_file) = (self.sites.get(usize::from(device))?, self.spaces.context(context)?);
        // Before the open, which resets the device.
        let place = self.files.empty(file)?;
        Some(device_file::open(&site.folder, context_file).map(|file| {
            *place = Some(DeviceFile { device, context, file });
            0
        }))
    }

    pub(super) fn with_file(&self, file: u8, call: impl FnOnce(&File) -> Result<(), Errno>) -> Done {
        Some(nothing(call(&self.files.get(file)?.file)))
    }

    pub(super) fn attach(&self, file: u8, space: u8) -> Done {
        let file = self.files.get(file)?;
        let id = self.spaces.id_in(space, file.context)?;
        Some(nothing(vfio::attach(&file.file, id)))
    }

    pub(super) fn duplicate_file(&mut self, file: u8, to: u8) -> Done {
        let copy = self.files.get(file)?.duplicate();
        let place = self.files.empty(to)?;
        Some(copy.map(|copy| {
            *place = Some(copy);
            0
        }))
    }

    pub(super) fn send_file(&mut self, file: u8) -> Done {
        let DeviceFile { device, context, file } = self.files.get(file)?;
        Some(nothing(self.file_post.send(file, (*device, *context))))
    }

    pub(super) fn receive_file(&mut self, to: u8) -> Done {
        let place = self.files.empty(to)?;
        Some(self.file_post.receive().map(|((device, context), file)| {
            *place = Some(DeviceFile { device, context, file });
            0
        }))
    }

    pub(super) fn reopen_file(&self, file: u8) -> Done {
        let again = device_file::reopen(&self.files.get(file)?.file);
        Some(nothing(again.and_then(|again| vfio::device_info(&again))))
    }

    /// The kernel puts the device to sleep after the call, when it gets round to it. What comes
    /// next is to find it asleep each time.
    pub(super) fn low_power_entry(&self, file: u8, wakes: bool) -> Done {
        let file = self.files.get(file)?;
        let entered = match wakes {
            true => vfio::low_power_with_wakeup(&file.file, &self.wake_up),
            false => vfio::set_feature(&file.file, VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY),
        };
        let folder = &self.site(file.device)?.folder;
        look_until(FALLS_ASLEEP, || folder.is_asleep());
        Some(nothing(entered))
    }

    pub(super) fn region_write(&mut self, file: u8, bar: u8, offset: u64, value: u32) -> Done {
        let file = self.files.get(file)?;
        let written = file.region_write(bar, offset, value);
        self.marks.written(file.device, bar, offset);
        Some(nothing(written))
    }

    pub(super) fn map_bar(&mut self, file: u8, (bar, offset, size): (u8, u64, u64), map: u8) -> Done {
        let file = self.files.get(file)?;
        let device = file.device;
        let place = self.maps.empty(map)?;
        Some(file.map(bar, offset, size).map(|mapping| {
            *place = Some(CpuMap { of: Mapped::Bar { device, bar, offset }, mapping });
            0
        }))
    }

    pub(super) fn cpu_write(&mut self, map: u8, offset: u64, value: u32) -> Done {
        let map = self.maps.get(map)?;
        let written = map.mapping.write(offset, value);
        match &map.of {
            Mapped::Bar { device, bar, offset: start } => {
                self.marks.written(*device, *bar, start.wrapping_add(offset));
            }
            Mapped::Buffer { origin, offset: start } => {
                self.marks.written_in(origin, start.wrapping_add(offset));
            }
        }
        Some(nothing(written))
    }
}

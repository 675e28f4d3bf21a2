//! What the running kernel can do beside what its release says: tried, on devices that are put back.

use crate::device_file::{self, DeviceFile};
use crate::importer::{self, Form, Limits, Manner, Session};
use crate::places::Place;
use crate::spaces::Probe;
use crate::sys::memory::Mapping;
use crate::sys::vfio;
use crate::sysfs::Folder;
use barkeep_model::hardware::Hardware;
use barkeep_model::op::{LONGEST_SEGMENT, PAGE};
use barkeep_model::{Abilities, Errno};
use std::fs::File;

/// The first device that is bound to the test importer, taken; `None` if there is none.
///
/// # Errors
/// As [`Session::open`].
pub(crate) fn session(places: &[Place]) -> Result<Option<Session>, Errno> {
    let Some(place) = places.iter().find(|place| Folder::of(place.address).is_driven_by(importer::DRIVER))
    else {
        return Ok(None);
    };
    // So small that a kernel which cut to it would show.
    let limits = Limits { max_segment: LONGEST_SEGMENT as u32, ..Limits::NONE };
    Session::open(place.address, limits).map(Some)
}

/// What it can do. Places are those of the hardware.
///
/// # Errors
/// A dma-buf is there and can be neither mapped nor refused in a known way.
pub(crate) fn found(
    places: &[Place],
    hardware: &Hardware,
    probe: &Probe,
    session: Option<&Session>,
) -> Result<Abilities, Errno> {
    let mut able = Abilities { importer: session.is_some(), ..Abilities::default() };
    let Some(buffer) = two_ranges(places, hardware, probe)? else { return Ok(able) };
    able.mmap = match Mapping::new(&buffer, 0, PAGE) {
        Ok(_) => true,
        Err(Errno::EINVAL) => false,
        Err(errno) => return Err(errno),
    };
    if let Some(session) = session {
        able.ranges = match session.attach(&buffer, Manner::PEER)?.map(Form::Table) {
            Ok(_) => true,
            Err(Errno::EADDRINUSE) => false,
            Err(errno) => return Err(errno),
        };
    }
    Ok(able)
}

/// A dma-buf of two ranges, of the first device that has room for them. `None` if none has, or the kernel
/// exports nothing.
fn two_ranges(places: &[Place], hardware: &Hardware, probe: &Probe) -> Result<Option<Kept>, Errno> {
    for (place, device) in places.iter().zip(&hardware.devices) {
        let fits = |bar: &usize| device.mappable[*bar] && device.bar_sizes[*bar] >= 2 * PAGE;
        let Some(bar) = (0..device.bar_sizes.len()).find(fits) else { continue };
        let file = device_file::open(&Folder::of(place.address), probe.context())?;
        let device = DeviceFile { device: 0, context: 0, file };
        let ranges = [(0, PAGE), (PAGE, PAGE)];
        let request = vfio::Request { region: bar as u32, flags: 0, ranges: &ranges };
        let exported = vfio::export(&device.file, &request);
        return Ok(exported.ok().map(|buffer| Kept { buffer, _device: device }));
    }
    Ok(None)
}

/// A dma-buf, and the device without which it would be revoked.
struct Kept {
    buffer: File,
    _device: DeviceFile,
}

impl std::ops::Deref for Kept {
    type Target = File;

    fn deref(&self) -> &File {
        &self.buffer
    }
}

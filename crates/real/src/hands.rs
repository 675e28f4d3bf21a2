//! Everything the process holds, and may have left behind.

use crate::buffer::{Buffer, Origin};
use crate::device_file::DeviceFile;
use crate::errors;
use crate::importer::{Attachment, Session};
use crate::marks::Marks;
use crate::patience::Late;
use crate::places::Place;
use crate::post::Post;
use crate::presence::Presence;
use crate::registers::Registers;
use crate::spaces::{Probe, Spaces};
use crate::sys::iommufd;
use crate::sys::memory::Mapping;
use crate::sysfs::Folder;
use barkeep_model::hardware::{Device, Hardware};
use barkeep_model::op::{BUFFERS, FILES, IMPORTS, MAPS, PAGE, SOURCE_SIZE};
use barkeep_model::{Answer, Errno};
use rustix::event::{EventfdFlags, eventfd};
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};
use std::fs::File;
use std::os::fd::OwnedFd;

/// One device, and where it stands.
pub(crate) struct Site {
    pub(crate) folder: Folder,
    pub(crate) facts: Device,
    /// Offset of the power management capability.
    pub(crate) power: Option<u16>,
    pub(crate) presence: Presence,
    /// An operation took its reset methods.
    pub(crate) methods_taken: bool,
}

/// A mapping that a CPU has.
pub(crate) struct CpuMap {
    pub(crate) of: Mapped,
    pub(crate) mapping: Mapping,
}

/// What it is of, and where in that it begins.
pub(crate) enum Mapped {
    /// A BAR, by the device file: it keeps that open.
    Bar { device: u8, bar: u8, offset: u64 },
    /// A dma-buf, and nothing but that.
    Buffer { origin: Origin, offset: u64 },
}

/// All of it. One thread has it, and makes every call but those of [`Late`].
pub(crate) struct Hands {
    pub(crate) sites: Vec<Site>,
    /// Attachments and mappings first: a field is dropped before those below it, and a mapping keeps
    /// the device file open.
    pub(crate) imports: Registers<Attachment, IMPORTS>,
    pub(crate) maps: Registers<CpuMap, MAPS>,
    pub(crate) buffers: Registers<Buffer, BUFFERS>,
    pub(crate) files: Registers<DeviceFile, FILES>,
    /// Device files under way: device and context of each.
    pub(crate) file_post: Post<(u8, u8)>,
    pub(crate) buffer_post: Post<Origin>,
    /// The test importer, where there is a device for it.
    pub(crate) session: Option<Session>,
    pub(crate) spaces: Spaces,
    pub(crate) probe: Probe,
    /// What a device in low power is to signal when it wakes; nobody listens.
    pub(crate) wake_up: OwnedFd,
    /// The page every space maps.
    pub(crate) ram: File,
    /// `Source::Memory`.
    pub(crate) memory: File,
    /// `Source::Foreign`.
    pub(crate) foreign: File,
    pub(crate) marks: Marks,
    pub(crate) late: Late,
}

impl Hands {
    /// Empty ones, for devices nobody has open.
    pub(crate) fn new(
        places: &[Place],
        hardware: &Hardware,
        probe: Probe,
        session: Option<Session>,
    ) -> Result<Self, Errno> {
        let sites = places.iter().zip(&hardware.devices).map(|(place, facts)| Site {
            folder: Folder::of(place.address),
            facts: facts.clone(),
            power: facts.layout().ok().and_then(|layout| layout.pm).map(|pm| pm.offset),
            presence: Presence::There,
            methods_taken: false,
        });
        let ram = memory(c"ram", PAGE)?;
        let udmabuf = File::options().read(true).write(true).open("/dev/udmabuf");
        let udmabuf = udmabuf.map_err(|error| errors::of_io(&error))?;
        Ok(Self {
            sites: sites.collect(),
            imports: Registers::new(),
            maps: Registers::new(),
            buffers: Registers::new(),
            files: Registers::new(),
            file_post: Post::new()?,
            buffer_post: Post::new()?,
            session,
            spaces: Spaces::new(&ram)?,
            probe,
            wake_up: eventfd(0, EventfdFlags::CLOEXEC).map_err(errors::of_rustix)?,
            ram,
            memory: memory(c"memory", SOURCE_SIZE)?,
            foreign: iommufd::udmabuf(&udmabuf, &memory(c"foreign", SOURCE_SIZE)?, SOURCE_SIZE)?,
            marks: Marks::default(),
            late: Late::default(),
        })
    }

    pub(crate) fn site(&self, device: u8) -> Option<&Site> {
        self.sites.get(usize::from(device))
    }

    pub(crate) fn site_mut(&mut self, device: u8) -> Option<&mut Site> {
        self.sites.get_mut(usize::from(device))
    }

    /// Whether anything of ours keeps the device's file open.
    fn is_held(&self, device: u8) -> bool {
        self.files.full().any(|(_, file)| file.device == device)
            || self
                .maps
                .full()
                .any(|(_, map)| matches!(map.of, Mapped::Bar { device: of, .. } if of == device))
            || self.file_post.labels().any(|(sent, _)| *sent == device)
    }

    /// Waits for removals that nothing keeps from ending any more: what comes next is to find
    /// the same each time.
    pub(crate) fn settle(&mut self) {
        for number in 0..self.sites.len() as u8 {
            if self.is_held(number) {
                continue;
            }
            if let Some(site) = self.site_mut(number) {
                // A removal that does not end stays one that is under way.
                let _ = site.presence.settle();
            }
        }
    }

    /// A removal is under way: the kernel's lock over removals and rescans is held.
    pub(crate) fn is_removing(&self) -> bool {
        self.sites.iter().any(|site| matches!(site.presence, Presence::Leaving(_)))
    }
}

/// A memfd that cannot shrink, as udmabuf wants it.
pub(crate) fn memory(name: &std::ffi::CStr, size: u64) -> Result<File, Errno> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let file = File::from(memfd_create(name, flags).map_err(errors::of_rustix)?);
    ftruncate(&file, size).map_err(errors::of_rustix)?;
    fcntl_add_seals(&file, SealFlags::SHRINK).map_err(errors::of_rustix)?;
    Ok(file)
}

/// Of an operation that names an empty register, or is to fill a full one: nothing.
pub(crate) type Done = Option<Result<u64, Errno>>;

/// An operation that was not done is idle.
pub(crate) fn answer(done: Done) -> Answer {
    done.map_or(Answer::Idle, Answer::from)
}

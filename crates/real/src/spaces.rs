//! iommufd contexts, and the I/O address spaces in them.

use crate::buffer::Buffer;
use crate::errors;
use crate::sys::iommufd::{self, MAP_FLAGS};
use barkeep_model::Errno;
use barkeep_model::op::{CONTEXT_OF_SPACE, CONTEXTS, PAGE, RAM_IOVA};
use iommufd_bindings::iommufd::{iommu_ioas_alloc, iommu_ioas_map_file, iommu_ioas_unmap};
use iommufd_ioctls::{IommuFd, IommufdError};
use std::fs::File;
use std::os::fd::AsRawFd;

/// An id no object of a context has. A space of another context has no name in this one, and
/// ids are small numbers that each context counts by itself: its own id would name something
/// else here.
const NOBODY: u32 = 0x7fff_0000;

/// One address space: a context and the id in it.
#[derive(Clone, Copy)]
pub(crate) struct Space<'a> {
    context: &'a IommuFd,
    id: u32,
}

/// All of an episode's.
pub(crate) struct Spaces {
    contexts: Vec<IommuFd>,
    /// Ids, each in the context [`CONTEXT_OF_SPACE`] says.
    ids: Vec<u32>,
}

impl Spaces {
    /// Fresh ones, with the RAM page mapped.
    pub(crate) fn new(ram: &File) -> Result<Self, Errno> {
        let contexts = (0..CONTEXTS).map(|_| open()).collect::<Result<Vec<_>, _>>()?;
        let ids = CONTEXT_OF_SPACE.iter().map(|context| allocate(&contexts[usize::from(*context)]));
        let ids = ids.collect::<Result<Vec<_>, _>>()?;
        let spaces = Self { contexts, ids };
        for number in 0..CONTEXT_OF_SPACE.len() {
            if let Some(space) = spaces.space(number as u8) {
                space.map(ram, 0, PAGE, RAM_IOVA)?;
            }
        }
        Ok(spaces)
    }

    pub(crate) fn context(&self, number: u8) -> Option<&IommuFd> {
        self.contexts.get(usize::from(number))
    }

    pub(crate) fn space(&self, number: u8) -> Option<Space<'_>> {
        let id = *self.ids.get(usize::from(number))?;
        let context = &self.contexts[usize::from(*CONTEXT_OF_SPACE.get(usize::from(number))?)];
        Some(Space { context, id })
    }

    /// The id that names a space in a context; an id that names nothing if it is another's.
    pub(crate) fn id_in(&self, space: u8, context: u8) -> Option<u32> {
        let id = *self.ids.get(usize::from(space))?;
        let home = *CONTEXT_OF_SPACE.get(usize::from(space))?;
        Some(if home == context { id } else { NOBODY })
    }

    /// `IOMMU_IOAS_COPY`, asked for in the context of the space it is from.
    pub(crate) fn copy(
        &self,
        (from, iova): (u8, u64),
        (to, to_iova): (u8, u64),
        length: u64,
    ) -> Option<Result<(), Errno>> {
        let source = self.space(from)?;
        let target = self.id_in(to, *CONTEXT_OF_SPACE.get(usize::from(from))?)?;
        Some(iommufd::copy(source.context, (source.id, iova), (target, to_iova), length))
    }
}

impl Space<'_> {
    /// `IOMMU_IOAS_MAP_FILE`.
    pub(crate) fn map(&self, file: &File, start: u64, length: u64, iova: u64) -> Result<(), Errno> {
        let map = iommu_ioas_map_file {
            size: size_of::<iommu_ioas_map_file>() as u32,
            flags: MAP_FLAGS,
            ioas_id: self.id,
            fd: file.as_raw_fd(),
            start,
            length,
            iova,
        };
        self.context.map_iommu_ioas_file(&map).map_err(errno)
    }

    /// `IOMMU_IOAS_UNMAP`; gives the bytes that were unmapped.
    pub(crate) fn unmap(&self, iova: u64, length: u64) -> Result<u64, Errno> {
        let mut unmap =
            iommu_ioas_unmap { size: size_of::<iommu_ioas_unmap>() as u32, ioas_id: self.id, iova, length };
        self.context.unmap_iommu_ioas(&mut unmap).map_err(errno)?;
        Ok(unmap.length)
    }
}

/// A context of our own with one space that no device is ever attached to: a map there says
/// what the kernel would say to any importer, and moves nothing.
pub(crate) struct Probe {
    context: IommuFd,
    id: u32,
}

impl Probe {
    pub(crate) fn new() -> Result<Self, Errno> {
        let context = open()?;
        let id = allocate(&context)?;
        Ok(Self { context, id })
    }

    /// For binding devices that nobody else has open.
    pub(crate) fn context(&self) -> &IommuFd {
        &self.context
    }

    /// The one space.
    pub(crate) fn space(&self) -> Space<'_> {
        Space { context: &self.context, id: self.id }
    }

    /// What names it in its context.
    pub(crate) fn id(&self) -> u32 {
        self.id
    }

    /// Maps all of a dma-buf, and takes it away again if that worked.
    pub(crate) fn try_all_of(&self, buffer: &Buffer) -> Result<(), Errno> {
        let space = self.space();
        let size = buffer.size()?;
        space.map(buffer.file(), 0, size, 0)?;
        space.unmap(0, size).map(drop)
    }
}

fn open() -> Result<IommuFd, Errno> {
    IommuFd::new().map_err(errno)
}

fn allocate(context: &IommuFd) -> Result<u32, Errno> {
    let mut allocate = iommu_ioas_alloc { size: size_of::<iommu_ioas_alloc>() as u32, ..Default::default() };
    context.alloc_iommu_ioas(&mut allocate).map_err(errno)?;
    Ok(allocate.out_ioas_id)
}

fn errno(error: IommufdError) -> Errno {
    match error {
        IommufdError::OpenIommufd(error) => errors::of_io(&error),
        IommufdError::IommuIoasAlloc(error)
        | IommufdError::IommuIoasMapFile(error)
        | IommufdError::IommuIoasUnmap(error) => Errno::from_number(error.errno()),
        // Of calls that are not made here.
        _ => Errno::EPROTO,
    }
}

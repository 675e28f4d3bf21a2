//! A guest CPU's view of a BAR: host memory that a memory slot stands on, and whose pages go
//! when the kernel takes access away.
#![allow(unsafe_code, reason = "mmap has no safe form; nothing else in this crate is unsafe")]

use barkeep_export::Errno;
use rustix::mm::{MapFlags, ProtFlags, mmap, mmap_anonymous, munmap};
use std::fs::File;

/// Host addresses that show part of a BAR's memory, or nothing. Nothing in this process reads or
/// writes through them: an access while they show nothing would be SIGSEGV. They give memory
/// slots their host address.
#[derive(Debug)]
pub(crate) struct View {
    address: usize,
    size: usize,
    memory: File,
    offset: u64,
    shown: bool,
}

impl View {
    /// `size` bytes at `offset` of the memory, both whole pages; nothing is shown yet.
    ///
    /// # Errors
    /// The errno of `mmap`, or of duplicating the file.
    pub fn new(memory: &File, offset: u64, size: u64) -> Result<Self, Errno> {
        let memory = memory.try_clone().map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
        let size = usize::try_from(size).map_err(|_| Errno::NOMEM)?;
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
        // SAFETY: a fresh mapping at an address of the kernel's choosing aliases nothing.
        let address = unsafe { mmap_anonymous(std::ptr::null_mut(), size, ProtFlags::empty(), flags)? };
        Ok(Self { address: address as usize, size, memory, offset, shown: false })
    }

    /// Host virtual address, page-aligned; the same for as long as the view lives.
    pub fn address(&self) -> u64 {
        self.address as u64
    }

    /// Shows the memory, or takes every page away, also from vCPUs that run: the kernel tells
    /// KVM (MMU notifier), which drops its translations before this returns.
    ///
    /// # Errors
    /// The errno of `mmap`; the view is then as it was.
    pub fn show(&mut self, show: bool) -> Result<(), Errno> {
        if show == self.shown {
            return Ok(());
        }
        let at = self.address as *mut _;
        if show {
            let flags = MapFlags::SHARED | MapFlags::FIXED | MapFlags::NORESERVE;
            // SAFETY: replaces the pages `new` made and nothing else; no reference points there.
            unsafe {
                mmap(at, self.size, ProtFlags::READ | ProtFlags::WRITE, flags, &self.memory, self.offset)?
            };
        } else {
            let flags = MapFlags::PRIVATE | MapFlags::FIXED | MapFlags::NORESERVE;
            // SAFETY: as above. Not even reserved memory is left that an access could reach.
            unsafe { mmap_anonymous(at, self.size, ProtFlags::empty(), flags)? };
        }
        self.shown = show;
        Ok(())
    }
}

impl Drop for View {
    fn drop(&mut self) {
        // SAFETY: made by `new`, and whoever had its address (a memory slot) gave it up first:
        // the driver withdraws the slots before a device is closed.
        let _ = unsafe { munmap(self.address as *mut _, self.size) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bar_memory::BarMemory;

    /// Whether a load from the view would find the memory: by the mappings of this process.
    fn shows(view: &View) -> bool {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let line = maps.lines().find(|line| {
            let (start, end) = line.split_once(' ').unwrap().0.split_once('-').unwrap();
            let number = |text| u64::from_str_radix(text, 16).unwrap();
            (number(start)..number(end)).contains(&view.address())
        });
        let line = line.expect("the view is mapped");
        let (there, nothing) = (line.contains(" rw-s ") && line.contains("sim-bar"), line.contains(" ---p "));
        assert!(there != nothing, "{line}");
        there
    }

    #[test]
    fn pages_come_and_go() {
        let memory = BarMemory::new(0x4000).unwrap();
        let mut view = View::new(memory.file(), 0x1000, 0x1000).unwrap();
        assert!(!shows(&view));
        for _ in 0..2 {
            view.show(true).unwrap();
            assert!(shows(&view));
            view.show(false).unwrap();
            assert!(!shows(&view));
        }
    }

    #[test]
    fn sixty_four_gib_cost_nothing() {
        use std::os::unix::fs::MetadataExt;
        let memory = BarMemory::new(64 << 30).unwrap();
        memory.write((64 << 30) - 1, &[9]);
        let mut view = View::new(memory.file(), 0, 64 << 30).unwrap();
        view.show(true).unwrap();
        assert!(shows(&view));
        let mut last = [0];
        memory.read((64 << 30) - 1, &mut last);
        let metadata = memory.file().metadata().unwrap();
        assert_eq!((metadata.len(), last), (64 << 30, [9]));
        assert!(metadata.blocks() * 512 < 16 << 20, "{} blocks", metadata.blocks());
    }
}

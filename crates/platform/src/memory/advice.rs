//! What the kernel is told of guest memory.
#![allow(unsafe_code, reason = "madvise has no safe form")]

use rustix::mm::{Advice, madvise};
use vm_memory::mmap::MmapRegion;

/// Has memory be of huge pages, had when they are first touched, as far as the kernel has any: each small page costs
/// a guest an exit. Where it has none (`EINVAL`) the pages are small, and nothing else is different.
pub(super) fn huge_pages_if_there_are_any(memory: &MmapRegion) {
    // SAFETY: it is mapped for as long as it is borrowed, and its content stays what it is.
    let _ = unsafe { madvise(memory.as_ptr().cast(), memory.size(), Advice::LinuxHugepage) };
}

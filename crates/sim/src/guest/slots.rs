//! Memory slots: as KVM's, over whatever a window's memory is.

use crate::host::SimHost;
use barkeep_export::{Backing, Errno, Importer, WindowId};
use barkeep_model::kernel::VmaId;
use barkeep_planted::{Fault, is_planted};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

/// The memory of a window, as a mapping of it in the VMM's process reaches it.
pub trait WindowMemory: Send + Sync {
    /// Reads; `offset` counts from the window's start.
    ///
    /// # Errors
    /// EFAULT where there is no page behind the mapping: revoked.
    fn read(&self, offset: u64, bytes: &mut [u8]) -> Result<(), Errno>;

    /// Writes.
    ///
    /// # Errors
    /// As [`Self::read`].
    fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), Errno>;
}

/// A mapping of a simulated device's BAR.
pub struct Mapping {
    /// The kernel it is of.
    pub host: Arc<SimHost>,
    /// Which one.
    pub vma: VmaId,
}

impl WindowMemory for Mapping {
    fn read(&self, offset: u64, bytes: &mut [u8]) -> Result<(), Errno> {
        self.host.cpu_read(self.vma, offset, bytes)
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), Errno> {
        self.host.cpu_write(self.vma, offset, bytes)
    }
}

struct Behind {
    /// `None`: the window is no memory.
    memory: Option<Arc<dyn WindowMemory>>,
    size: u64,
    /// Where the slot is, if it is set.
    address: Option<u64>,
}

/// The memory slots of a VM.
pub struct Slots {
    ram: Vec<Range<u64>>,
    backings: RwLock<BTreeMap<WindowId, Behind>>,
    changes: AtomicU64,
}

const PAGE: u64 = 4096;

impl Slots {
    /// Those of RAM only.
    pub fn new(ram: &barkeep_platform::Ram) -> Self {
        let ram = ram.ranges().iter().map(|range| range.start..range.start + range.size).collect();
        Self { ram, backings: RwLock::default(), changes: AtomicU64::new(0) }
    }

    /// Names the memory of a window of `size` bytes.
    pub fn add_window(&self, window: WindowId, memory: Arc<dyn WindowMemory>, size: u64) {
        self.add(window, Behind { memory: Some(memory), size, address: None });
    }

    /// Names a window of `size` bytes that is no memory: every access is an MMIO exit.
    pub fn add_trapped(&self, window: WindowId, size: u64) {
        self.add(window, Behind { memory: None, size, address: None });
    }

    fn add(&self, window: WindowId, backing: Behind) {
        self.backings.write().unwrap_or_else(PoisonError::into_inner).insert(window, backing);
    }

    /// How often a slot was to be set or deleted.
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Relaxed)
    }

    /// What a slot has at an address: its memory, and where in it that is.
    pub fn find(&self, address: u64) -> Option<(Arc<dyn WindowMemory>, u64)> {
        let backings = self.backings.read().unwrap_or_else(PoisonError::into_inner);
        backings.values().find_map(|backing| {
            let offset = address.checked_sub(backing.address?)?;
            let memory = backing.memory.as_ref()?;
            (offset < backing.size).then(|| (Arc::clone(memory), offset))
        })
    }
}

/// `KVM_SET_USER_MEMORY_REGION`: `kvm_set_memory_region`.
impl Importer for Slots {
    fn map(&self, window: WindowId, address: u64) -> Result<(), Errno> {
        self.changes.fetch_add(1, Ordering::Relaxed);
        let mut backings = self.backings.write().unwrap_or_else(PoisonError::into_inner);
        let size = backings.get(&window).ok_or(Errno::NOENT)?.size;
        if !address.is_multiple_of(PAGE) || !size.is_multiple_of(PAGE) {
            return Err(Errno::INVAL);
        }
        let end = address.checked_add(size).ok_or(Errno::INVAL)?;
        let meets = |start: u64, other_end: u64| start < end && address < other_end;
        let others = backings.iter().filter(|(id, _)| **id != window);
        let set = others.filter_map(|(_, other)| Some((other.address?, other.address? + other.size)));
        let ram = self.ram.iter().map(|range| (range.start, range.end));
        if set.chain(ram).any(|(start, other_end)| meets(start, other_end)) {
            return Err(Errno::EXIST);
        }
        if let Some(backing) = backings.get_mut(&window) {
            backing.address = Some(address);
        }
        Ok(())
    }

    fn unmap(&self, window: WindowId, _address: u64) -> Result<u64, Errno> {
        self.changes.fetch_add(1, Ordering::Relaxed);
        let mut backings = self.backings.write().unwrap_or_else(PoisonError::into_inner);
        let backing = backings.get_mut(&window).ok_or(Errno::NOENT)?;
        if is_planted(Fault::SlotNotDeleted) {
            return Ok(backing.size);
        }
        // A slot that is not set cannot be deleted.
        backing.address.take().ok_or(Errno::INVAL)?;
        Ok(backing.size)
    }

    fn backing(&self, window: WindowId) -> Backing {
        let backings = self.backings.read().unwrap_or_else(PoisonError::into_inner);
        match backings.get(&window).is_some_and(|backing| backing.memory.is_none()) {
            true => Backing::Trapped,
            false => Backing::Memory,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use barkeep_platform::Ram;
    use barkeep_platform::map::MMIO32;

    struct Zeros;

    impl WindowMemory for Zeros {
        fn read(&self, _: u64, bytes: &mut [u8]) -> Result<(), Errno> {
            bytes.fill(0);
            Ok(())
        }

        fn write(&self, _: u64, _: &[u8]) -> Result<(), Errno> {
            Ok(())
        }
    }

    const FIRST: WindowId = WindowId { device: 0, window: 0 };
    const SECOND: WindowId = WindowId { device: 0, window: 1 };
    const AT: u64 = MMIO32.start;

    fn slots() -> Slots {
        let slots = Slots::new(&Ram::new(8 << 20).unwrap());
        slots.add_window(FIRST, Arc::new(Zeros), 2 * PAGE);
        slots.add_window(SECOND, Arc::new(Zeros), PAGE);
        slots
    }

    #[test]
    fn a_slot_is_found_where_it_is_set_and_only_while_it_is() {
        let slots = slots();
        slots.map(FIRST, AT).unwrap();
        let offset = |address| slots.find(address).map(|(_, offset)| offset);
        assert_eq!([AT, AT + 2 * PAGE - 1].map(offset), [Some(0), Some(2 * PAGE - 1)]);
        assert_eq!([AT - 1, AT + 2 * PAGE].map(offset), [None; 2]);
        assert_eq!(slots.unmap(FIRST, AT), Ok(2 * PAGE));
        assert_eq!(offset(AT), None);
        assert_eq!(slots.unmap(FIRST, AT), Err(Errno::INVAL));
    }

    #[test]
    fn slots_do_not_overlap_each_other_or_ram() {
        let slots = slots();
        slots.map(FIRST, AT).unwrap();
        assert_eq!(slots.map(SECOND, AT + PAGE), Err(Errno::EXIST));
        assert_eq!(slots.map(SECOND, 0x1000), Err(Errno::EXIST));
        assert_eq!(slots.map(SECOND, AT + 1), Err(Errno::INVAL));
        assert_eq!(slots.map(SECOND, AT + 2 * PAGE), Ok(()));
        assert_eq!(slots.map(WindowId { device: 1, window: 0 }, AT), Err(Errno::NOENT));
    }

    #[test]
    fn a_trapped_window_has_no_memory() {
        let slots = slots();
        let id = WindowId { device: 1, window: 0 };
        slots.add_trapped(id, PAGE);
        slots.map(id, AT).unwrap();
        assert!(slots.find(AT).is_none());
        assert_eq!(slots.unmap(id, AT), Ok(PAGE));
    }
}

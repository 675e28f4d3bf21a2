//! Guest memory slots: the importer that gives the guest's CPUs access to a window.
#![allow(
    unsafe_code,
    reason = "setting a memory slot hands host memory to the guest; KVM has no safe form of it"
)]

use barkeep_export::{Backing, Errno, Importer, WindowId};
use barkeep_planted::{Fault, is_planted};
use kvm_bindings::kvm_userspace_memory_region;
use kvm_ioctls::VmFd;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

/// What is behind a window.
#[derive(Clone, Copy, Debug)]
enum Behind {
    Memory { slot: u32, host: u64, size: u64, of: Backing },
    Trapped { size: u64 },
}

/// The memory slots of a VM. RAM has the first ones, for good; each window has one of its
/// own, set and deleted with its outages.
pub struct Slots {
    vm: Arc<VmFd>,
    next: AtomicU32,
    backings: RwLock<BTreeMap<WindowId, Behind>>,
}

impl Slots {
    /// The slots of `vm`, none set.
    pub fn new(vm: Arc<VmFd>) -> Self {
        Self { vm, next: AtomicU32::new(0), backings: RwLock::default() }
    }

    /// Sets a slot for good.
    ///
    /// # Errors
    /// The errno of `KVM_SET_USER_MEMORY_REGION`.
    pub fn add_ram(&self, guest: u64, host: u64, size: u64) -> Result<(), Errno> {
        self.set(self.number(), guest, host, size)
    }

    /// Names the host memory of a window, and what it is of: page-aligned, mapped for as long as any slot on
    /// it.
    pub fn add_window(&self, window: WindowId, host: u64, size: u64, of: Backing) {
        self.add(window, Behind::Memory { slot: self.number(), host, size, of });
    }

    /// Names a window that is no memory: it never gets a slot, and every access is an MMIO exit.
    pub fn add_trapped(&self, window: WindowId, size: u64) {
        self.add(window, Behind::Trapped { size });
    }

    fn add(&self, window: WindowId, backing: Behind) {
        self.backings.write().unwrap_or_else(PoisonError::into_inner).insert(window, backing);
    }

    fn number(&self) -> u32 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    fn behind(&self, window: WindowId) -> Result<Behind, Errno> {
        let backings = self.backings.read().unwrap_or_else(PoisonError::into_inner);
        backings.get(&window).copied().ok_or(Errno::NOENT)
    }

    fn set(&self, slot: u32, guest: u64, host: u64, size: u64) -> Result<(), Errno> {
        let region = kvm_userspace_memory_region {
            slot,
            flags: 0,
            guest_phys_addr: guest,
            memory_size: size,
            userspace_addr: host,
        };
        // SAFETY: `host` is RAM of this VM, mapped as long as the VM lives, or a window's
        // mapping, which is unmapped only after the driver has withdrawn its slot.
        let result = unsafe { self.vm.set_user_memory_region(region) };
        result.map_err(|e| Errno::from_raw_os_error(e.errno()))
    }
}

impl Importer for Slots {
    fn map(&self, window: WindowId, address: u64) -> Result<(), Errno> {
        match self.behind(window)? {
            Behind::Memory { slot, host, size, of: _ } => self.set(slot, address, host, size),
            Behind::Trapped { .. } => Ok(()),
        }
    }

    fn unmap(&self, window: WindowId, address: u64) -> Result<u64, Errno> {
        match self.behind(window)? {
            Behind::Memory { slot: _, host: _, size, of: _ } if is_planted(Fault::SlotNotDeleted) => Ok(size),
            Behind::Memory { slot, host, size, of: _ } => {
                // A slot of size 0 is none; KVM drops every translation it made from it.
                self.set(slot, address, host, 0)?;
                Ok(size)
            }
            Behind::Trapped { size } => Ok(size),
        }
    }

    fn backing(&self, window: WindowId) -> Backing {
        match self.behind(window) {
            Ok(Behind::Memory { of, .. }) => of,
            Ok(Behind::Trapped { .. }) => Backing::Trapped,
            // Nobody maps what was not named.
            Err(_) => Backing::Memory,
        }
    }
}

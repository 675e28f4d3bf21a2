//! CPU access to BARs through mappings: what vfio-pci's mmap is in the specification, and, where
//! a real vCPU is to use it, the host memory behind it.

use crate::host::{Holding, SimHost, State, errno};
use crate::view::View;
use barkeep_export::Errno;
use barkeep_model::kernel::{Call, VmaId};
use barkeep_pci::windows::Window;

/// A mapping of a window.
pub(crate) struct Map {
    pub device: usize,
    pub vma: VmaId,
    /// Host memory that real vCPUs reach it by.
    view: Option<View>,
}

/// How CPUs reach a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach<T> {
    /// Through memory.
    Mapped(T),
    /// It is registers: every access goes to the device.
    Trapped,
}

impl SimHost {
    /// Maps a window for CPUs that ask this host at every access.
    ///
    /// # Errors
    /// The errno of `mmap`.
    pub fn map_window(&self, device: usize, window: &Window) -> Result<Reach<VmaId>, Errno> {
        if !self.is_memory(device, window.bar) {
            return Ok(Reach::Trapped);
        }
        let vma = self.mmap(device, window)?;
        self.lock().maps.push(Map { device, vma, view: None });
        Ok(Reach::Mapped(vma))
    }

    /// Maps a window for real CPUs; gives its host address. The pages go and come as the kernel
    /// takes access away and lets it be had again, until the device is closed.
    ///
    /// # Errors
    /// The errno of `mmap`.
    pub fn view_window(&self, device: usize, window: &Window) -> Result<Reach<u64>, Errno> {
        let view = match &self.lock().holdings[device] {
            Holding::Memory { bar, memory } if *bar == window.bar => {
                View::new(memory.file(), window.offset, window.size)?
            }
            Holding::Memory { .. } | Holding::Engine(_) => return Ok(Reach::Trapped),
        };
        let address = view.address();
        let vma = self.mmap(device, window)?;
        let mut state = self.lock();
        state.maps.push(Map { device, vma, view: Some(view) });
        state.show_and_hide();
        Ok(Reach::Mapped(address))
    }

    fn is_memory(&self, device: usize, bar: u8) -> bool {
        matches!(&self.lock().holdings[device], Holding::Memory { bar: own, .. } if *own == bar)
    }

    fn mmap(&self, device: usize, window: &Window) -> Result<VmaId, Errno> {
        let file = self.lock().file(device)?;
        let Window { bar, offset, size } = *window;
        self.call(&Call::MapBar { file, bar, offset, size }).map(VmaId::of)
    }

    /// A CPU's load through a mapping; all ones where the function does not answer.
    ///
    /// # Errors
    /// EFAULT where it would be SIGBUS.
    pub fn cpu_read(&self, vma: VmaId, offset: u64, bytes: &mut [u8]) -> Result<(), Errno> {
        let mut state = self.lock_faultable(vma)?;
        state.operations.accesses += 1;
        let target = state.kernel.cpu_access(vma, offset).map_err(errno)?;
        state.read_target(target, bytes);
        Ok(())
    }

    /// A CPU's store through a mapping; lost where the function does not answer.
    ///
    /// # Errors
    /// EFAULT where it would be SIGBUS.
    pub fn cpu_write(&self, vma: VmaId, offset: u64, bytes: &[u8]) -> Result<(), Errno> {
        let mut state = self.lock_faultable(vma)?;
        state.operations.accesses += 1;
        let target = state.kernel.cpu_access(vma, offset).map_err(errno)?;
        state.write_target(target, bytes, self.now());
        Ok(())
    }

    /// A page that is not there is faulted in under the memory lock.
    fn lock_faultable(&self, vma: VmaId) -> Result<std::sync::MutexGuard<'_, State>, Errno> {
        self.lock_without(|kernel| {
            let Some(mapped) = kernel.vma(vma) else {
                return false;
            };
            let device = kernel.file(mapped.file).map(|file| file.device);
            !mapped.populated && device.is_some_and(|device| kernel.functions()[device].memory_lock)
        })
    }
}

impl State {
    /// Lets every view show what a CPU would find through its mapping now. A page that may be
    /// faulted in is, at once: a real CPU's fault cannot come here to ask.
    pub fn show_and_hide(&mut self) {
        for Map { device, vma, view } in &mut self.maps {
            let Some(view) = view else {
                continue;
            };
            // A fault would wait for the lock.
            let locked = self.kernel.functions()[*device].memory_lock;
            let populated = self.kernel.vma(*vma).is_some_and(|vma| vma.populated);
            let populated = populated || !locked && self.kernel.cpu_access(*vma, 0).is_ok();
            // Pages of a function that does not answer would read all ones: there is no such
            // memory, so an access ends in EFAULT.
            let shown = view.show(populated && self.kernel.decodes(*device));
            // Out of mappings (vm.max_map_count): what shows too much or too little is worse
            // than no simulation.
            assert!(shown.is_ok(), "a view of a BAR cannot be changed: {shown:?}");
        }
    }
}

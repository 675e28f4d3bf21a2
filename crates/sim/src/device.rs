//! A simulated device, opened: what VFIO's device file is to a VMM.

use crate::holders;
use crate::host::{CONTEXT, Holding, SPACE, SimHost, State, errno};
use crate::interrupts::Interrupts;
use crate::parts;
use barkeep_export::{Errno, Held, Holder, LowPower, RawDevice, VectorCount, WindowId};
use barkeep_journal::DeviceAddress;
use barkeep_model::kernel::{Call, CpuTarget, ExportId, FileId};
use barkeep_model::op::PAGE;
use barkeep_pci::header::MSIX_ENTRY_SIZE;
use barkeep_pci::layout::{BarKind, Layout};
use barkeep_pci::msi::Mechanism;
use barkeep_pci::windows::Window;
use barkeep_pci::write::ConfigWrite;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use vmm_sys_util::eventfd::EventFd;

/// A device of a [`SimHost`]; after [`RawDevice::close`] every access is ENODEV.
pub struct SimDevice {
    host: Arc<SimHost>,
    number: usize,
    layout: Layout,
    interrupts: Mutex<Interrupts>,
}

impl SimDevice {
    /// Opens the device of that number into the VM's I/O address space. Takes a reset's time.
    ///
    /// # Errors
    /// The errno of the open or the attach.
    pub fn open(host: &Arc<SimHost>, number: usize) -> Result<Self, Errno> {
        Self::open_into(host, number, CONTEXT, SPACE)
    }

    /// The same into one of the specification's I/O address spaces, which is of that context.
    pub(crate) fn open_into(
        host: &Arc<SimHost>,
        number: usize,
        context: u8,
        space: usize,
    ) -> Result<Self, Errno> {
        let file = host.call(&Call::Open { device: number, context }).map(FileId::of)?;
        if let Err(errno) = host.call(&Call::Attach { file, space }) {
            // Giving up a reference cannot fail.
            let _ = host.call(&Call::CloseFile { file });
            return Err(errno);
        }
        let mut state = host.lock();
        state.files[number] = Some(file);
        let layout = state.kernel.layout(number).clone();
        drop(state);
        Ok(Self { host: Arc::clone(host), number, layout, interrupts: Mutex::default() })
    }

    /// The device signals a vector, as if it had a reason; gives whether anybody is told.
    pub fn raise(&self, vector: u16) -> bool {
        self.interrupts().raise(vector)
    }

    fn interrupts(&self) -> MutexGuard<'_, Interrupts> {
        self.interrupts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Exports a window as a dma-buf of its own, and keeps it for the I/O address space.
    ///
    /// # Errors
    /// The errno of `VFIO_DEVICE_FEATURE_DMA_BUF`.
    pub fn export(&self, id: WindowId, window: &Window) -> Result<(), Errno> {
        let file = self.host.lock().file(self.number)?;
        let Window { bar, offset, size } = *window;
        let call = Call::Export { file, region: bar.into(), ranges: vec![(offset, size)], flags: 0 };
        let export = self.host.call(&call).map(ExportId::of)?;
        self.host.add_buffer(id, export, size);
        Ok(())
    }

    /// The lock, and the open file, once an access to a BAR would not have to wait for a reset
    /// (`vfio_pci_core_do_io_rw` takes the memory lock).
    fn lock_for_region(&self) -> Result<(MutexGuard<'_, State>, FileId), Errno> {
        let mut state = self.host.lock_without(|kernel| kernel.functions()[self.number].memory_lock)?;
        if matches!(state.holdings[self.number], Holding::Engine(_)) {
            // Whoever asks the engine finds done what is due.
            state.catch_up(self.host.now());
        }
        let file = state.file(self.number)?;
        Ok((state, file))
    }

    /// Where an access to a BAR through the device file ends.
    fn target(
        &self,
        state: &mut State,
        file: FileId,
        (bar, offset): (u8, u64),
        length: usize,
    ) -> Result<CpuTarget, Errno> {
        let size = self.layout.bars.get(usize::from(bar)).and_then(|bar| Some(bar.as_ref()?.size));
        let end = offset.checked_add(length as u64);
        let (Some(end), Some(size)) = (end, size) else {
            return Err(Errno::INVAL);
        };
        if end > size {
            return Err(Errno::INVAL);
        }
        state.operations.accesses += 1;
        state.kernel.region_access(file, bar, offset).map_err(errno)
    }
}

impl RawDevice for SimDevice {
    fn address(&self) -> DeviceAddress {
        parts::address(self.number)
    }

    fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Waits while the function is being reset (`pci_wait_cfg`).
    fn config_read(&self, offset: u16, bytes: &mut [u8]) -> Result<(), Errno> {
        let mut state = self.host.lock_without(|kernel| kernel.functions()[self.number].device_lock)?;
        let file = state.file(self.number)?;
        state.operations.config_reads += 1;
        state.kernel.config_read(file, offset, bytes).map_err(errno)
    }

    fn config_write(&self, offset: u16, bytes: &[u8]) -> Result<(), Errno> {
        let write = ConfigWrite::new(offset, bytes).ok_or(Errno::INVAL)?;
        let file = self.host.lock().file(self.number)?;
        self.host.call(&Call::ConfigWrite { file, write }).map(drop)
    }

    fn region_read(&self, bar: u8, offset: u64, bytes: &mut [u8]) -> Result<(), Errno> {
        let (mut state, file) = self.lock_for_region()?;
        let target = self.target(&mut state, file, (bar, offset), bytes.len())?;
        state.read_target(target, bytes);
        Ok(())
    }

    fn region_write(&self, bar: u8, offset: u64, bytes: &[u8]) -> Result<(), Errno> {
        let (mut state, file) = self.lock_for_region()?;
        let target = self.target(&mut state, file, (bar, offset), bytes.len())?;
        state.write_target(target, bytes, self.host.now());
        // A DMA may have been commanded: whoever carries it out has to know when.
        self.host.tell();
        Ok(())
    }

    fn reset(&self) -> Result<(), Errno> {
        let file = self.host.lock().file(self.number)?;
        self.host.call(&Call::Reset { file }).map(drop)
    }

    fn hot_reset(&self) -> Result<(), Errno> {
        let file = self.host.lock().file(self.number)?;
        self.host.call(&Call::HotReset { file }).map(drop)
    }

    /// On the root bus there are none (`VFIO_DEVICE_GET_PCI_HOT_RESET_INFO`).
    fn hot_reset_members(&self) -> Result<Vec<DeviceAddress>, Errno> {
        let members = parts::behind_one_port(self.host.lock().kernel.hardware(), self.number);
        if members.is_empty() { Err(Errno::NODEV) } else { Ok(members) }
    }

    /// Nobody is told of a wake-up: there is nobody to tell in a simulation that waits for nothing.
    fn low_power(&self, which: LowPower) -> Result<(), Errno> {
        let file = self.host.lock().file(self.number)?;
        let call = match which {
            LowPower::Entry { wakes } => Call::LowPowerEntry { file, wakes },
            LowPower::Exit => Call::LowPowerExit { file },
        };
        self.host.call(&call).map(drop)
    }

    /// A simulated device has no errors, and no interrupt for them.
    fn signal_error(&self) -> Result<(), Errno> {
        Err(Errno::INVAL)
    }

    fn vectors(&self, mechanism: Mechanism) -> VectorCount {
        let most = match mechanism {
            Mechanism::Msi => self.layout.msi.map_or(0, |msi| msi.vectors),
            Mechanism::MsiX => self.layout.msix.map_or(0, |msix| (msix.table.size / MSIX_ENTRY_SIZE) as u16),
        };
        VectorCount { most, grows: mechanism == Mechanism::MsiX }
    }

    /// Signals nobody ever: none of the simulated devices has anything to interrupt for, but
    /// [`Self::raise`].
    fn set_vectors(
        &self,
        mechanism: Mechanism,
        first: u16,
        events: &[Option<&EventFd>],
    ) -> Result<(), Errno> {
        self.host.lock().file(self.number)?;
        let most = self.vectors(mechanism).most;
        self.interrupts().set(mechanism, most, first, events)
    }

    fn disable_vectors(&self, mechanism: Mechanism) -> Result<(), Errno> {
        self.host.lock().file(self.number)?;
        self.interrupts().disable(mechanism)
    }

    fn take_request(&self) -> bool {
        std::mem::take(&mut self.host.lock().requests[self.number])
    }

    fn hold(&self, by: Holder) -> Result<Held, Errno> {
        let file = self.host.lock().file(self.number)?;
        let bar = self.layout.bars.iter().flatten().find(|bar| bar.kind != BarKind::Io && bar.size >= PAGE);
        holders::hold(&self.host, file, by, bar.map(|bar| bar.index))
    }

    /// Mappings first: each of them keeps the device file open, and the kernel takes access
    /// away with the last reference to it.
    fn close(&self) {
        let mut state = self.host.lock();
        let Some(file) = state.files[self.number].take() else {
            return;
        };
        let (own, others) =
            std::mem::take(&mut state.maps).into_iter().partition(|map| map.device == self.number);
        state.maps = others;
        drop(state);
        // With the file the kernel gives up its eventfds (`vfio_pci_core_disable`).
        *self.interrupts() = Interrupts::default();
        let own: Vec<crate::cpu::Map> = own;
        for map in own {
            // Neither can fail: both are there.
            let _ = self.host.call(&Call::UnmapBar { vma: map.vma });
        }
        let _ = self.host.call(&Call::CloseFile { file });
    }
}

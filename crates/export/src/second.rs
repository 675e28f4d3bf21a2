//! A second process beside the VMM, which imports a window of one of the VM's devices.

use crate::contract::{Errno, WindowId, result_number};
use barkeep_journal::{Actor, DeviceAddress, Event, Journal, Kind, SeenBy};
use std::sync::Arc;

/// Where the second process maps the window, in an I/O address space of its own: no window of the
/// VM is ever there (`platform::map`), and 128 GiB fit before the first could be.
pub const SECOND_IOVA: u64 = 0x20_0000_0000;

/// Starts second processes.
pub trait Seconds: Send + Sync {
    /// Starts one, which takes the window's dma-buf out of a socket; `imported` is that window. With `engine` it opens that
    /// device, which is nobody's, and attaches it to its I/O address space.
    ///
    /// # Errors
    /// ENOENT where the window has no dma-buf (any more); EINVAL where somebody has the engine open;
    /// the errno of what else cannot be had.
    fn start(
        &self,
        window: WindowId,
        imported: Imported,
        engine: Option<DeviceAddress>,
    ) -> Result<Arc<dyn SecondProcess>, Errno>;
}

/// What imports a window.
pub trait Importing {
    /// Maps all of the window at [`SECOND_IOVA`] (`IOMMU_IOAS_MAP_FILE`).
    ///
    /// # Errors
    /// ENODEV while revoked; EEXIST where it is mapped, dead or not; EBADF once the dma-buf was dropped.
    fn import(&self) -> Result<(), Errno>;

    /// Unmaps it; gives the bytes that were unmapped.
    ///
    /// # Errors
    /// ENOENT where nothing is mapped.
    fn unmap(&self) -> Result<u64, Errno>;

    /// Closes its descriptor of the dma-buf. What is mapped stays mapped.
    ///
    /// # Errors
    /// EBADF if it has none.
    fn drop_buffer(&self) -> Result<(), Errno>;
}

/// A second process that runs. Dropping it ends it by SIGKILL.
pub trait SecondProcess: Importing + Send + Sync {
    /// Has its engine write `word` to `iova`, and does not wait for it.
    ///
    /// # Errors
    /// EBADF without an engine; EIO where that does not decode.
    fn dma_start(&self, iova: u64, word: u32) -> Result<(), Errno>;

    /// Waits until it has.
    ///
    /// # Errors
    /// As [`Self::dma_start`]; EBUSY if it never ends.
    fn dma_finish(&self) -> Result<(), Errno>;

    /// Ends it, and waits until the kernel has taken away what it held.
    ///
    /// # Errors
    /// EIO if it had ended already, or ends otherwise.
    fn end(&self, how: SecondEnd) -> Result<(), Errno>;
}

/// How a second process ends. It closes nothing before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SecondEnd {
    /// It exits.
    Exit,
    /// SIGKILL.
    Kill,
}

/// The window that is imported, as the journal names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Imported {
    /// Whose BAR it is of.
    pub device: DeviceAddress,
    /// The BAR.
    pub bar: u8,
    /// Where the VM has it: guest physical address and IOVA.
    pub address: u64,
    /// Bytes.
    pub size: u64,
}

impl Imported {
    fn event(self, kind: Kind) -> Event {
        let Self { device, bar, address, size } = self;
        Event::new(kind, Actor::Importer).device(device).bar(bar).range(address, size)
    }

    /// Has the window mapped, and writes what the kernel said: an attach probe, and by it whether the
    /// window is revoked.
    ///
    /// # Errors
    /// Those of [`Importing::import`].
    pub fn import(self, journal: &Journal, importing: &dyn Importing) -> Result<(), Errno> {
        let step = journal.begin(self.event(Kind::AttachProbe));
        let result = importing.import();
        journal.end(step, result_number(result));
        let seen = match result {
            // What is in its way stands there only while it can be mapped.
            Ok(()) | Err(Errno::EXIST) => Some(Kind::Live),
            Err(Errno::NODEV) => Some(Kind::Revoked),
            Err(_) => None,
        };
        if let Some(kind) = seen {
            journal.emit(self.event(kind).seen_by(SeenBy::Errno).result(result_number(result)));
        }
        result
    }

    /// What a process does whose VMM is gone: it tries to map what it has a dma-buf of once more, unmaps
    /// what it had mapped, and closes the dma-buf.
    pub fn outlive(self, journal: &Journal, importing: &dyn Importing) {
        // What each came to is in the journal.
        let _ = self.import(journal, importing);
        let _ = step(journal, "i.unmap", || importing.unmap().map(drop));
        let _ = step(journal, "i.buffer", || importing.drop_buffer());
    }
}

/// A step of the second process, begun and ended in the journal.
///
/// # Errors
/// Its own.
pub fn step(journal: &Journal, name: &str, act: impl FnOnce() -> Result<(), Errno>) -> Result<(), Errno> {
    let step = journal.begin(Event::new(Kind::ProcessStep, Actor::Importer).text(name));
    let result = act();
    journal.end(step, result_number(result));
    result
}

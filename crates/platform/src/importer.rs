//! An importing device beside the VM, with a window of one of its devices: attached, asked and detached, with
//! all of it in the journal, and what its driver has recorded of it.

use crate::board::Board;
use barkeep_export::{
    DrivenImporter, Errno, Happened, Happening, Imported, Importers, WindowId, result_number,
};
use barkeep_journal::{Actor, DeviceAddress, Event, Journal, Kind, Phase, Precede, SeenBy};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Who can have one attach, and the one that is: one at a time.
pub(crate) struct Attached {
    importers: Arc<dyn Importers>,
    record: Arc<Record>,
}

/// Tells of what happened to the importer before the journal says that what made it happen is over: that is
/// what whoever judges it goes by.
pub(crate) struct Record {
    /// Without this record before it.
    journal: Journal,
    attachment: Mutex<Option<Arc<Attachment>>>,
}

struct Attachment {
    driver: Arc<dyn DrivenImporter>,
    window: Imported,
    engine: DeviceAddress,
    /// What its device puts on the bus for the window's first byte, as it was told last.
    address: Mutex<Option<u64>>,
    /// One who reads what happened at a time, until it is in the journal.
    reading: Mutex<()>,
}

impl Attached {
    /// None yet; and the journal that tells of it.
    pub(crate) fn none(importers: Arc<dyn Importers>, journal: &Journal) -> (Self, Journal) {
        let record = Arc::new(Record { journal: journal.clone(), attachment: Mutex::new(None) });
        let told = journal.clone().preceded_by(Arc::clone(&record) as Arc<dyn Precede>);
        (Self { importers, record }, told)
    }
}

impl Precede for Record {
    fn precede(&self, event: &Event, _: u64) {
        if event.phase == Phase::End && matches!(event.kind, Kind::Trigger | Kind::ImporterStep) {
            self.tell();
        }
    }
}

impl Record {
    fn attachment(&self) -> MutexGuard<'_, Option<Arc<Attachment>>> {
        self.attachment.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self) {
        let Some(attachment) = self.attachment().clone() else { return };
        let _one = attachment.reading.lock().unwrap_or_else(PoisonError::into_inner);
        match attachment.driver.happened() {
            Ok(all) => all.into_iter().for_each(|one| self.journal.emit(attachment.event(one))),
            Err(errno) => {
                let event = Event::new(Kind::Degraded, Actor::ImporterDriver);
                let text = "what happened to the importer cannot be read, and is not told";
                self.journal.emit(event.result(-errno.raw_os_error()).text(text));
            }
        }
    }
}

impl Attachment {
    fn about(&self, kind: Kind) -> Event {
        let Imported { device, bar, address, size } = self.window;
        Event::new(kind, Actor::ImporterDriver).device(device).bar(bar).range(address, size)
    }

    fn event(&self, happened: Happened) -> Event {
        let Happened { time_ns, what } = happened;
        let event = self.about(Kind::ImporterEvent).seen_by(SeenBy::ImporterRecord).at(time_ns);
        let event = event.text(what.name());
        match what {
            Happening::Mapped(result) => event.result(result_number(result)),
            Happening::Told | Happening::LetGo | Happening::Held | Happening::Unmapped => event,
        }
    }

    fn address(&self) -> MutexGuard<'_, Option<u64>> {
        self.address.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Board {
    /// Has an importing device attach to the dma-buf of a window; see [`Importers::attach`].
    ///
    /// # Errors
    /// EOPNOTSUPP where there is no such thing; EBUSY while one is attached; ENOENT without a dma-buf; those of
    /// [`Importers::attach`].
    pub fn attach_importer(
        &self,
        window: WindowId,
        engine: DeviceAddress,
        hold: Duration,
    ) -> Result<(), Errno> {
        let attached = self.attached()?;
        if attached.record.attachment().is_some() {
            return Err(Errno::BUSY);
        }
        let imported = self.imported(window).ok_or(Errno::NOENT)?;
        let Imported { device, bar, address, size } = imported;
        let event = Event::new(Kind::ImporterStep, Actor::ImporterDriver).device(device).bar(bar);
        let step = self.journal().begin(event.range(address, size).text("attach"));
        let result = attached.importers.attach(window, engine, hold);
        let (result, driver) = (result.as_ref().map(drop).map_err(|errno| *errno), result.ok());
        if let Some(driver) = driver {
            let (address, reading) = (Mutex::new(None), Mutex::new(()));
            let attachment = Attachment { driver, window: imported, engine, address, reading };
            *attached.record.attachment() = Some(Arc::new(attachment));
        }
        self.journal().end(step, result_number(result));
        result
    }

    /// What it is attached to, and the device that it is; `None` while none is.
    pub fn importer(&self) -> Option<(Imported, DeviceAddress)> {
        let attachment = self.attachment().ok()?;
        Some((attachment.window, attachment.engine))
    }

    /// Has it map the window.
    ///
    /// # Errors
    /// ESRCH while none is attached; those of [`DrivenImporter::map`].
    pub fn importer_map(&self) -> Result<(), Errno> {
        self.importer_addressed("map", |driver| driver.map())
    }

    /// Has it use the window as a memory region.
    ///
    /// # Errors
    /// ESRCH; those of [`DrivenImporter::fault_in`].
    pub fn importer_use(&self) -> Result<(), Errno> {
        self.importer_addressed("use", |driver| driver.fault_in())
    }

    /// Has it unmap the window.
    ///
    /// # Errors
    /// ESRCH; ENOLINK if it is not mapped.
    pub fn importer_unmap(&self) -> Result<(), Errno> {
        self.importer_step("unmap", |driver| driver.unmap())
    }

    /// Has it pin the window.
    ///
    /// # Errors
    /// ESRCH; those of [`DrivenImporter::pin`].
    pub fn importer_pin(&self) -> Result<(), Errno> {
        self.importer_step("pin", |driver| driver.pin())
    }

    /// Has it unpin the window.
    ///
    /// # Errors
    /// ESRCH; ENOLINK if it is not pinned.
    pub fn importer_unpin(&self) -> Result<(), Errno> {
        self.importer_step("unpin", |driver| driver.unpin())
    }

    /// Detaches it, mapped or not.
    ///
    /// # Errors
    /// ESRCH.
    pub fn detach_importer(&self) -> Result<(), Errno> {
        let attachment = self.attachment()?;
        let step = self.journal().begin(attachment.about(Kind::ImporterStep).text("detach"));
        if let Ok(attached) = self.attached() {
            // What happened up to here; nothing can be read of it afterwards.
            attached.record.tell();
            attached.record.attachment().take();
        }
        drop(attachment);
        self.journal().end(step, 0);
        Ok(())
    }

    /// Has its device write `word` that many bytes into the window, by the address that it was given last, live or
    /// dead, and goes on. Gives that address.
    ///
    /// # Errors
    /// ESRCH; EBADF if it was never given one; those of [`DrivenImporter::dma_start`].
    pub fn importer_dma(&self, offset: u64, word: u32) -> Result<u64, Errno> {
        let attachment = self.attachment()?;
        let address = attachment.address().ok_or(Errno::BADF)? + offset;
        let event = Event::new(Kind::DmaStart, Actor::ImporterDriver).device(attachment.engine);
        self.journal().emit(event.range(address, 4).value(word.into()));
        attachment.driver.dma_start(address, word).map(|()| address)
    }

    /// Waits until it has.
    ///
    /// # Errors
    /// ESRCH; those of [`DrivenImporter::dma_finish`].
    pub fn importer_dma_over(&self) -> Result<(), Errno> {
        self.attachment()?.driver.dma_finish()
    }

    /// A step that gives an address; and by its errno, whether the window is revoked.
    fn importer_addressed(
        &self,
        name: &str,
        act: impl FnOnce(&dyn DrivenImporter) -> Result<u64, Errno>,
    ) -> Result<(), Errno> {
        let attachment = self.attachment()?;
        let step = self.journal().begin(attachment.about(Kind::ImporterStep).text(name));
        let result = act(&*attachment.driver);
        if let Ok(address) = result {
            *attachment.address() = Some(address);
        }
        let (result, address) = (result.map(drop), result.ok());
        self.journal().end_with(step, |event| {
            let event = event.result(result_number(result));
            match address {
                Some(address) => event.value(address),
                None => event,
            }
        });
        let seen = match result {
            Ok(()) => Some(Kind::Live),
            Err(Errno::NODEV) => Some(Kind::Revoked),
            Err(_) => None,
        };
        if let Some(kind) = seen {
            let event = attachment.about(kind).seen_by(SeenBy::Errno);
            self.journal().emit(event.result(result_number(result)));
        }
        result
    }

    fn importer_step(
        &self,
        name: &str,
        act: impl FnOnce(&dyn DrivenImporter) -> Result<(), Errno>,
    ) -> Result<(), Errno> {
        let attachment = self.attachment()?;
        let step = self.journal().begin(attachment.about(Kind::ImporterStep).text(name));
        let result = act(&*attachment.driver);
        self.journal().end(step, result_number(result));
        result
    }

    fn attached(&self) -> Result<&Attached, Errno> {
        self.attached.as_ref().ok_or(Errno::OPNOTSUPP)
    }

    fn attachment(&self) -> Result<Arc<Attachment>, Errno> {
        self.attached()?.record.attachment().clone().ok_or(Errno::SRCH)
    }
}

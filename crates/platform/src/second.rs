//! A second process beside the VMM, which imports a window of one of its devices: begun, asked and ended,
//! with all of it in the journal.

use crate::board::Board;
use barkeep_export::second::step;
use barkeep_export::{
    Errno, Function, Imported, SECOND_IOVA, SecondEnd, SecondProcess, WindowId, result_number,
};
use barkeep_journal::{Actor, DeviceAddress, Event, Kind, Step};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// One at a time.
#[derive(Default)]
pub(crate) struct Beside(Mutex<Option<Neighbour>>);

struct Neighbour {
    process: Arc<dyn SecondProcess>,
    imported: Imported,
    engine: Option<DeviceAddress>,
    lifetime: Step,
}

impl Board {
    /// Starts a second process, which is given the dma-buf of a window, and with `engine` a device that
    /// is not in this VM.
    ///
    /// # Errors
    /// EBUSY while there is one; ENOENT without a dma-buf; see [`barkeep_export::Seconds::start`].
    pub fn start_second(&self, window: WindowId, engine: Option<DeviceAddress>) -> Result<(), Errno> {
        if self.beside().is_some() {
            return Err(Errno::BUSY);
        }
        let imported = self.imported(window).ok_or(Errno::NOENT)?;
        let lifetime = self.journal().begin(Event::new(Kind::Process, Actor::Importer).text("second"));
        let mut process = None;
        let started = step(self.journal(), "i.receive", || {
            process = Some(self.seconds().start(window, imported, engine)?);
            Ok(())
        });
        match process {
            Some(process) => *self.beside() = Some(Neighbour { process, imported, engine, lifetime }),
            None => self
                .journal()
                .end_with(lifetime, |event| event.text("not started").result(result_number(started))),
        }
        started
    }

    /// What it imports, at [`SECOND_IOVA`]; `None` while there is no second process.
    pub fn second_imports(&self) -> Option<Imported> {
        self.beside().as_ref().map(|neighbour| neighbour.imported)
    }

    /// The engine it has.
    pub fn second_engine(&self) -> Option<DeviceAddress> {
        self.beside().as_ref().and_then(|neighbour| neighbour.engine)
    }

    /// Has it map the window.
    ///
    /// # Errors
    /// ESRCH without a second process; see [`barkeep_export::Importing::import`].
    pub fn second_import(&self) -> Result<(), Errno> {
        let (process, imported) = self.second()?;
        imported.import(self.journal(), &*process)
    }

    /// Has it unmap the window.
    ///
    /// # Errors
    /// ESRCH; ENOENT where nothing is mapped.
    pub fn second_unmap(&self) -> Result<(), Errno> {
        let (process, _) = self.second()?;
        step(self.journal(), "i.unmap", || process.unmap().map(drop))
    }

    /// Has it close its descriptor of the dma-buf.
    ///
    /// # Errors
    /// ESRCH; EBADF if it has none.
    pub fn second_drop(&self) -> Result<(), Errno> {
        let (process, _) = self.second()?;
        step(self.journal(), "i.buffer", || process.drop_buffer())
    }

    /// Has its engine write `word` that many bytes into the window, and goes on.
    ///
    /// # Errors
    /// ESRCH; EBADF without an engine; EIO where that does not decode.
    pub fn second_dma(&self, offset: u64, word: u32) -> Result<(), Errno> {
        let (process, _) = self.second()?;
        let engine = self.second_engine().ok_or(Errno::BADF)?;
        let event = Event::new(Kind::DmaStart, Actor::Importer).device(engine);
        self.journal().emit(event.range(SECOND_IOVA + offset, 4).value(word.into()));
        step(self.journal(), "i.dma", || process.dma_start(SECOND_IOVA + offset, word))
    }

    /// Waits until it has.
    ///
    /// # Errors
    /// As [`Self::second_dma`]; EBUSY if that never ends.
    pub fn second_dma_over(&self) -> Result<(), Errno> {
        self.second()?.0.dma_finish()
    }

    /// Ends it.
    ///
    /// # Errors
    /// ESRCH without one; EIO if it ends otherwise.
    pub fn end_second(&self, how: SecondEnd) -> Result<(), Errno> {
        // Others find none from here on: what it is at it does not come to the end of.
        let neighbour = self.beside().take();
        let Neighbour { process, imported: _, engine: _, lifetime } = neighbour.ok_or(Errno::SRCH)?;
        let result = process.end(how);
        let text = match how {
            SecondEnd::Exit => "exit",
            SecondEnd::Kill => "SIGKILL",
        };
        self.journal().end_with(lifetime, |event| event.text(text).result(result_number(result)));
        result
    }

    /// What it does once its VMM is gone, where that is simulated: looks what has become of its mapping,
    /// and ends.
    pub fn second_outlives(&self) {
        if let Ok((process, imported)) = self.second() {
            imported.outlive(self.journal(), &*process);
            // It is there, and what it came to is in the journal.
            let _ = self.end_second(SecondEnd::Exit);
        }
    }

    fn second(&self) -> Result<(Arc<dyn SecondProcess>, Imported), Errno> {
        let beside = self.beside();
        let neighbour = beside.as_ref().ok_or(Errno::SRCH)?;
        Ok((Arc::clone(&neighbour.process), neighbour.imported))
    }

    pub(crate) fn imported(&self, id: WindowId) -> Option<Imported> {
        let function = self.function(id.device);
        let window = function.windows().get(usize::from(id.window))?;
        let address = self.bar_address(id.device, window.bar, window.offset)?;
        Some(Imported { device: function.address(), bar: window.bar, address, size: window.size })
    }

    /// Held only to look and to put: what the process does may take long.
    fn beside(&self) -> MutexGuard<'_, Option<Neighbour>> {
        self.beside.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! A second process of the simulated machine: an iommufd context and an I/O address space of its own,
//! a reference to a window's dma-buf, and perhaps an engine that no VM has.

use crate::device::SimDevice;
use crate::host::{SimHost, State};
use crate::parts;
use barkeep_export::{
    Errno, Imported, Importing, RawDevice, SECOND_IOVA, SecondEnd, SecondProcess, Seconds, WindowId,
};
use barkeep_journal::DeviceAddress;
use barkeep_model::kernel::{Call, ExportId};
use barkeep_model::op::RAM_IOVA;
use barkeep_pci::header;
use barkeep_probe::command::EDU_BUFFER;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The specification's context that no VM uses, and its space.
const CONTEXT: u8 = 1;
const SPACE: usize = 2;

// The engine's registers, in BAR 0 (QEMU, docs/specs/edu).
const SOURCE: u64 = 0x80;
const DESTINATION: u64 = 0x88;
const COUNT: u64 = 0x90;
const COMMAND: u64 = 0x98;
const START: u64 = 1;
const TO_BUS: u64 = 2;

/// How often a DMA under way is looked at, and for how long: an engine's `delay` may be 600 s.
const LOOK: Duration = Duration::from_millis(1);
const LOOKS: u32 = 601_000;

/// Starts second processes of a simulated machine: one at a time.
pub struct SimSeconds(pub Arc<SimHost>);

impl Seconds for SimSeconds {
    fn start(
        &self,
        window: WindowId,
        imported: Imported,
        engine: Option<DeviceAddress>,
    ) -> Result<Arc<dyn SecondProcess>, Errno> {
        let host = Arc::clone(&self.0);
        let buffer = host.buffer(window)?;
        {
            let mut state = host.lock();
            if std::mem::replace(&mut state.second.runs, true) {
                return Err(Errno::BUSY);
            }
            // What the socket gives it is a reference like any other.
            state.kernel.hold_export(buffer.export);
        }
        let held = Held { buffer: Some(buffer.export), engine: None, over: false };
        let process = SimSecond { host, size: imported.size, held: Mutex::new(held) };
        if let Some(address) = engine {
            let engine = process.open(address)?;
            process.held().engine = Some(Arc::new(engine));
        }
        Ok(Arc::new(process))
    }
}

/// What the machine knows of second processes.
#[derive(Default)]
pub(crate) struct Second {
    runs: bool,
    /// The page of RAM that its space has from the start: its engine's data goes through it.
    pub ram: [u8; 4],
}

impl State {
    /// A device's DMA from or to the second process's page.
    pub(crate) fn move_second(&mut self, at: u64, bytes: &mut [u8], to_bus: bool) {
        for (byte, at) in bytes.iter_mut().zip(at as usize..) {
            match self.second.ram.get_mut(at) {
                Some(stored) if to_bus => *stored = *byte,
                Some(stored) => *byte = *stored,
                // Nothing is ever put there.
                None if to_bus => {}
                None => *byte = 0,
            }
        }
    }
}

/// One. What it holds is looked at under a lock, and used outside of it: a call may let others go on, on
/// the same thread where there is one.
struct SimSecond {
    host: Arc<SimHost>,
    size: u64,
    held: Mutex<Held>,
}

struct Held {
    /// The dma-buf, as long as it has a descriptor of it.
    buffer: Option<ExportId>,
    engine: Option<Arc<SimDevice>>,
    over: bool,
}

impl SimSecond {
    fn open(&self, engine: DeviceAddress) -> Result<SimDevice, Errno> {
        let device = SimDevice::open_into(&self.host, parts::number(engine), CONTEXT, SPACE)?;
        let command = header::COMMAND_MEMORY | header::COMMAND_MASTER;
        device.config_write(header::COMMAND, &command.to_le_bytes())?;
        Ok(device)
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn engine(&self) -> Result<Arc<SimDevice>, Errno> {
        self.held().engine.clone().ok_or(Errno::BADF)
    }

    fn transfer(&self, source: u64, destination: u64, command: u64) -> Result<(), Errno> {
        let engine = self.engine()?;
        for (register, value) in
            [(SOURCE, source), (DESTINATION, destination), (COUNT, 4), (COMMAND, command)]
        {
            engine.region_write(0, register, &value.to_le_bytes())?;
        }
        Ok(())
    }

    /// What the kernel does at the end of a process: its descriptors are closed, and with the last of
    /// the context its address spaces go (`iommufd_fops_release`).
    fn exit(&self) {
        let (engine, first) = {
            let mut held = self.held();
            (held.engine.take(), !std::mem::replace(&mut held.over, true))
        };
        if let Some(engine) = engine {
            engine.close();
        }
        // All but what is not there: both may have been given up before.
        let _ = self.drop_buffer();
        let _ = self.unmap();
        if first {
            self.host.lock().second.runs = false;
        }
    }
}

impl Importing for SimSecond {
    fn import(&self) -> Result<(), Errno> {
        let export = self.held().buffer.ok_or(Errno::BADF)?;
        let call = Call::MapBuffer { space: SPACE, export, start: 0, length: self.size, iova: SECOND_IOVA };
        self.host.call(&call).map(drop)
    }

    fn unmap(&self) -> Result<u64, Errno> {
        self.host.call(&Call::Unmap { space: SPACE, iova: SECOND_IOVA, length: self.size })
    }

    fn drop_buffer(&self) -> Result<(), Errno> {
        let export = self.held().buffer.take().ok_or(Errno::BADF)?;
        self.host.call(&Call::CloseBuffer { export }).map(drop)
    }
}

impl SecondProcess for SimSecond {
    fn dma_start(&self, iova: u64, word: u32) -> Result<(), Errno> {
        self.engine()?;
        self.host.lock().second.ram = word.to_le_bytes();
        self.transfer(RAM_IOVA, EDU_BUFFER, START)?;
        self.dma_finish()?;
        self.transfer(EDU_BUFFER, iova, START | TO_BUS)
    }

    fn dma_finish(&self) -> Result<(), Errno> {
        let mut command = [0; 8];
        for _ in 0..LOOKS {
            self.engine()?.region_read(0, COMMAND, &mut command)?;
            if u64::from_le_bytes(command) & START == 0 {
                return Ok(());
            }
            self.host.sleep(LOOK);
        }
        Err(Errno::BUSY)
    }

    /// To the kernel it is the same how it came to its end.
    fn end(&self, _: SecondEnd) -> Result<(), Errno> {
        self.exit();
        Ok(())
    }
}

impl Drop for SimSecond {
    fn drop(&mut self) {
        self.exit();
    }
}

//! The process whose device does the DMA.

use super::Player;
use super::exporter::closed;
use crate::step::ImporterStep;
use crate::talk::Ask;
use crate::window::PROBE_IOVA;
use barkeep_model::Errno;
use barkeep_real::parts::{Context, Device, Ram, receive};
use std::fs::File;
use std::os::fd::OwnedFd;

const COMMAND: u16 = 4;
const MEMORY_AND_MASTER: u32 = 6;

/// What it holds.
pub(super) struct Importer {
    other: OwnedFd,
    context: Option<Context>,
    /// The engine's data goes through it; it stays mapped as long as the space is there.
    ram: Option<Ram>,
    device: Option<Device>,
    buffer: Option<File>,
    /// Where it maps the window.
    iova: u64,
    /// Bytes of the window.
    length: u64,
}

impl Importer {
    pub(super) fn new(other: OwnedFd) -> Self {
        Self { other, context: None, ram: None, device: None, buffer: None, iova: 0, length: 0 }
    }

    fn set_up(&mut self, address: Option<&str>, (iova, length): (u64, u64)) -> Result<(), Errno> {
        let context = Context::new()?;
        let ram = Ram::mapped_in(&context)?;
        self.device = match address {
            None => None,
            Some(address) => {
                let device = Device::open(address.parse().map_err(|_| Errno::EINVAL)?, &context)?;
                device.attach(&context)?;
                device.config_write(COMMAND, 2, MEMORY_AND_MASTER)?;
                Some(device)
            }
        };
        (self.iova, self.length) = (iova, length);
        self.context = Some(context);
        self.ram = Some(ram);
        Ok(())
    }

    fn step(&mut self, step: ImporterStep) -> Option<Result<u64, Errno>> {
        let done = match step {
            ImporterStep::Receive => receive(&self.other).map(|buffer| self.buffer = Some(buffer)),
            ImporterStep::Map => self.context.as_ref()?.map(self.buffer.as_ref()?, self.length, self.iova),
            ImporterStep::Unmap => return Some(self.context.as_ref()?.unmap(self.iova, self.length)),
            ImporterStep::CloseBuffer => closed(self.buffer.take()?),
            ImporterStep::Detach => self.device.as_ref()?.detach(),
            ImporterStep::CloseDevice => closed(self.device.take()?),
            ImporterStep::CloseContext => closed(self.context.take()?),
            // The first is asked for with its data; of the others see the exporter.
            ImporterStep::StartDma | ImporterStep::End(_) => return None,
        };
        Some(done.map(|()| 0))
    }

    fn attach(&self) -> Option<Result<u64, Errno>> {
        let context = self.context.as_ref()?;
        let mapped = context.map(self.buffer.as_ref()?, self.length, PROBE_IOVA);
        Some(mapped.and_then(|()| context.unmap(PROBE_IOVA, self.length)).map(|_| 0))
    }
}

impl Player for Importer {
    fn play(&mut self, ask: &Ask) -> Option<Result<u64, Errno>> {
        match ask {
            Ask::SetUpImporter { address, iova, length } => {
                Some(self.set_up(address.as_deref(), (*iova, *length)).map(|()| 0))
            }
            Ask::Importer(step) => self.step(*step),
            Ask::Dma(to, word) => {
                let device = self.device.as_ref()?;
                Some(device.dma(self.ram.as_ref()?, *to, *word).map(|()| 0))
            }
            Ask::StartDma(to, word) => {
                let device = self.device.as_ref()?;
                Some(device.start_dma(self.ram.as_ref()?, *to, *word).map(|()| 0))
            }
            Ask::FinishDma => Some(self.device.as_ref()?.finish_dma().map(|()| 0)),
            Ask::Attach => self.attach(),
            Ask::SetUpExporter { .. }
            | Ask::Exporter(_)
            | Ask::ReadRegion
            | Ask::ReadMapping
            | Ask::Outlives { .. }
            | Ask::Exit => None,
        }
    }
}

//! The process whose device does the DMA.

use super::Player;
use super::exporter::closed;
use crate::step::ImporterStep;
use crate::talk::Ask;
use crate::window::{IOVA, LENGTH, PROBE_IOVA, TARGET};
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
}

impl Importer {
    pub(super) fn new(other: OwnedFd) -> Self {
        Self { other, context: None, ram: None, device: None, buffer: None }
    }

    fn set_up(&mut self, address: &str) -> Result<(), Errno> {
        let context = Context::new()?;
        let ram = Ram::mapped_in(&context)?;
        let device = Device::open(address.parse().map_err(|_| Errno::EINVAL)?, &context)?;
        device.attach(&context)?;
        device.config_write(COMMAND, 2, MEMORY_AND_MASTER)?;
        self.context = Some(context);
        self.ram = Some(ram);
        self.device = Some(device);
        Ok(())
    }

    fn step(&mut self, step: ImporterStep) -> Option<Result<u64, Errno>> {
        let done = match step {
            ImporterStep::Receive => receive(&self.other).map(|buffer| self.buffer = Some(buffer)),
            ImporterStep::Map => self.context.as_ref()?.map(self.buffer.as_ref()?, LENGTH, IOVA),
            ImporterStep::Unmap => return Some(self.context.as_ref()?.unmap(IOVA, LENGTH)),
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
        let mapped = context.map(self.buffer.as_ref()?, LENGTH, PROBE_IOVA);
        Some(mapped.and_then(|()| context.unmap(PROBE_IOVA, LENGTH)).map(|_| 0))
    }
}

impl Player for Importer {
    fn play(&mut self, ask: &Ask) -> Option<Result<u64, Errno>> {
        match ask {
            Ask::SetUpImporter { address } => Some(self.set_up(address).map(|()| 0)),
            Ask::Importer(step) => self.step(*step),
            Ask::Dma(word) => {
                let device = self.device.as_ref()?;
                Some(device.dma(self.ram.as_ref()?, IOVA + TARGET, *word).map(|()| 0))
            }
            Ask::StartDma(word) => {
                let device = self.device.as_ref()?;
                Some(device.start_dma(self.ram.as_ref()?, IOVA + TARGET, *word).map(|()| 0))
            }
            Ask::FinishDma => Some(self.device.as_ref()?.finish_dma().map(|()| 0)),
            Ask::Attach => self.attach(),
            Ask::SetUpExporter { .. } | Ask::Exporter(_) | Ask::ReadRegion | Ask::ReadMapping => None,
        }
    }
}

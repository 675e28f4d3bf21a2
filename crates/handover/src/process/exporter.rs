//! The process whose device's BAR is exported.

use super::Player;
use crate::step::ExporterStep;
use crate::talk::Ask;
use crate::window::{LENGTH, TARGET};
use barkeep_model::Errno;
use barkeep_real::parts::{BarMapping, Context, Device, send};
use std::fs::File;
use std::os::fd::OwnedFd;

const COMMAND: u16 = 4;
const MEMORY: u32 = 2;

/// What it holds.
pub(super) struct Exporter {
    other: OwnedFd,
    bar: u8,
    flr: (u16, u16),
    context: Option<Context>,
    device: Option<Device>,
    mapping: Option<BarMapping>,
    buffer: Option<File>,
}

impl Exporter {
    pub(super) fn new(other: OwnedFd) -> Self {
        Self { other, bar: 0, flr: (0, 0), context: None, device: None, mapping: None, buffer: None }
    }

    fn set_up(&mut self, address: &str, bar: u8, flr: (u16, u16)) -> Result<(), Errno> {
        let context = Context::new()?;
        let device = Device::open(address.parse().map_err(|_| Errno::EINVAL)?, &context)?;
        let mapping = device.map_bar(bar, LENGTH)?;
        // A mapping has no page until somebody looks: what is to be seen is a zap of one.
        mapping.read(TARGET)?;
        let buffer = device.export(bar, LENGTH)?;
        send(&self.other, &buffer)?;
        (self.bar, self.flr) = (bar, flr);
        self.context = Some(context);
        self.device = Some(device);
        self.mapping = Some(mapping);
        self.buffer = Some(buffer);
        Ok(())
    }

    fn step(&mut self, step: ExporterStep) -> Option<Result<(), Errno>> {
        Some(match step {
            ExporterStep::CloseBuffer => closed(self.buffer.take()?),
            ExporterStep::UnmapBar => closed(self.mapping.take()?),
            ExporterStep::CloseDevice => closed(self.device.take()?),
            ExporterStep::CloseContext => closed(self.context.take()?),
            ExporterStep::Flr => self.device.as_ref()?.config_write(self.flr.0, 2, self.flr.1.into()),
            ExporterStep::DecodeOff => self.device.as_ref()?.config_write(COMMAND, 2, 0),
            ExporterStep::DecodeOn => self.device.as_ref()?.config_write(COMMAND, 2, MEMORY),
            // Neither is asked for: one is the end of what is asked, the other a signal.
            ExporterStep::End(_) => return None,
        })
    }
}

impl Player for Exporter {
    fn play(&mut self, ask: &Ask) -> Option<Result<u64, Errno>> {
        match ask {
            Ask::SetUpExporter { address, bar, flr } => Some(self.set_up(address, *bar, *flr).map(|()| 0)),
            Ask::Exporter(step) => self.step(*step).map(|done| done.map(|()| 0)),
            Ask::ReadRegion => Some(self.device.as_ref()?.region_read(self.bar, TARGET).map(u64::from)),
            Ask::ReadMapping => Some(self.mapping.as_ref()?.read(TARGET).map(u64::from)),
            Ask::SetUpImporter { .. }
            | Ask::Outlives { .. }
            | Ask::Exit
            | Ask::Importer(_)
            | Ask::Dma(..)
            | Ask::StartDma(..)
            | Ask::FinishDma
            | Ask::Attach => None,
        }
    }
}

/// Gives it up. What `close` and `munmap` have to say of it nobody acts on.
pub(super) fn closed<T>(held: T) -> Result<(), Errno> {
    drop(held);
    Ok(())
}

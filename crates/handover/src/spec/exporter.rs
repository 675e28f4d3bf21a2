//! The exporter's steps.

use super::{Answer, COMMAND, Exporter, MEMORY, Spec};
use crate::step::{End, ExporterStep as E};
use barkeep_model::Errno;
use barkeep_model::kernel::{Call, FileId};
use barkeep_pci::write::ConfigWrite;

impl Spec {
    pub(super) fn exporter_can(&self, step: E) -> bool {
        let Exporter { buffer, bar, device, context } = &self.exporter;
        match step {
            E::CloseBuffer => *buffer,
            E::UnmapBar => bar.is_some(),
            E::CloseDevice | E::Flr => device.is_some(),
            E::DecodeOff => device.is_some() && self.kernel.memory_enabled(self.window.target),
            E::DecodeOn => device.is_some() && !self.kernel.memory_enabled(self.window.target),
            E::CloseContext => *context,
            E::End(_) => self.is_alive(crate::step::Side::Exporter),
        }
    }

    pub(super) fn exporter_step(&mut self, step: E) -> Answer {
        match (step, self.exporter.device) {
            (E::CloseBuffer, _) => {
                self.exporter.buffer = false;
                self.call(&Call::CloseBuffer { export: self.export })
            }
            (E::UnmapBar, _) => match self.exporter.bar.take() {
                Some(vma) => self.call(&Call::UnmapBar { vma }),
                None => Err(Errno::EBADF),
            },
            (E::CloseDevice, Some(file)) => {
                self.exporter.device = None;
                self.call(&Call::CloseFile { file })
            }
            // No device is attached to a space of it.
            (E::CloseContext, _) => {
                self.exporter.context = false;
                Ok(0)
            }
            (E::Flr, Some(file)) => self.config_write(file, self.window.flr),
            (E::DecodeOff, Some(file)) => self.config_write(file, ConfigWrite::word(COMMAND, 0)),
            (E::DecodeOn, Some(file)) => self.config_write(file, ConfigWrite::word(COMMAND, MEMORY)),
            (E::End(End::Exit | End::Kill), _) => self.end_exporter(),
            (E::CloseDevice | E::Flr | E::DecodeOff | E::DecodeOn, None) => Err(Errno::EBADF),
        }
    }

    fn config_write(&mut self, file: FileId, write: ConfigWrite) -> Answer {
        self.call(&Call::ConfigWrite { file, write }).map(|_| 0)
    }

    fn end_exporter(&mut self) -> Answer {
        if self.exporter.bar.is_some() {
            self.exporter_step(E::UnmapBar)?;
        }
        if self.exporter.buffer {
            self.exporter_step(E::CloseBuffer)?;
        }
        if self.exporter.device.is_some() {
            self.exporter_step(E::CloseDevice)?;
        }
        self.exporter_step(E::CloseContext)
    }
}

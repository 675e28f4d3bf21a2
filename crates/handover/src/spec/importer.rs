//! The importer's steps.

use super::{Answer, Flight, IMPORTER, Importer, Spec};
use crate::step::{End, ImporterStep as I};
use crate::window::{IOVA, LENGTH};
use barkeep_model::Errno;
use barkeep_model::kernel::Call;

impl Spec {
    pub(super) fn importer_can(&self, step: I) -> bool {
        let Importer { unreceived, buffer, device, context } = &self.importer;
        match step {
            I::Receive => *unreceived,
            // Over a mapping that is dead, too: it keeps its place until it is unmapped.
            I::Map => *buffer && *context && (!self.is_mapped() || self.kernel.has_dead(IMPORTER.1)),
            I::StartDma => device.is_some() && self.is_mapped() && self.flight == Flight::Ahead,
            I::Unmap => *context && self.is_mapped(),
            I::CloseBuffer => *buffer,
            I::Detach => device.is_some() && self.is_attached(),
            I::CloseDevice => device.is_some(),
            I::CloseContext => *context,
            I::End(_) => self.is_alive(crate::step::Side::Importer),
        }
    }

    pub(super) fn importer_step(&mut self, step: I) -> Answer {
        match (step, self.importer.device) {
            (I::Receive, _) => {
                self.importer.unreceived = false;
                self.importer.buffer = true;
                Ok(0)
            }
            (I::Map, _) => self.map(IOVA),
            (I::StartDma, Some(_)) => Ok(0),
            (I::Unmap, _) => self.call(&Call::Unmap { space: IMPORTER.1, iova: IOVA, length: LENGTH }),
            (I::CloseBuffer, _) => {
                self.importer.buffer = false;
                self.call(&Call::CloseBuffer { export: self.export })
            }
            (I::Detach, Some(file)) => self.call(&Call::Detach { file }),
            (I::CloseDevice, Some(file)) => {
                self.importer.device = None;
                let closed = self.call(&Call::CloseFile { file });
                self.settle_context();
                closed
            }
            (I::CloseContext, _) => {
                self.importer.context = false;
                self.settle_context();
                Ok(0)
            }
            (I::End(End::Exit | End::Kill), _) => self.end_importer(),
            (I::StartDma | I::Detach | I::CloseDevice, None) => Err(Errno::EBADF),
        }
    }

    pub(super) fn map(&mut self, iova: u64) -> Answer {
        let Self { export, .. } = *self;
        self.call(&Call::MapBuffer { space: IMPORTER.1, export, start: 0, length: LENGTH, iova }).map(|_| 0)
    }

    fn end_importer(&mut self) -> Answer {
        if std::mem::take(&mut self.importer.unreceived) {
            // Nobody will ever receive it: the socket gives it up.
            self.call(&Call::CloseBuffer { export: self.export })?;
        }
        if self.importer.buffer {
            self.importer_step(I::CloseBuffer)?;
        }
        if self.importer.device.is_some() {
            self.importer_step(I::CloseDevice)?;
        }
        self.importer_step(I::CloseContext)
    }

    /// The importer's context ends with its last reference, and everything in it.
    fn settle_context(&mut self) {
        if self.importer.context || self.importer.device.is_some() {
            return;
        }
        let areas = self.kernel.spaces()[IMPORTER.1].areas.clone();
        for area in areas {
            // A whole area can always be unmapped.
            let _ = self.call(&Call::Unmap { space: IMPORTER.1, iova: area.iova, length: area.length });
        }
    }
}

//! What has to be seen after a step.

use super::{Answer, Expected, Fate, Flight, IMPORTER, OTHER_CONTEXT, Reader, Spec};
use crate::window::{IOVA, LENGTH, PROBE_IOVA, TARGET};
use barkeep_model::Errno;
use barkeep_model::kernel::{Call, CpuTarget, FileId, Target};
use barkeep_model::op::RAM_IOVA;

impl Spec {
    /// Everything that is done to look, in the order in which the conductor does it.
    pub(super) fn look(&mut self, answer: Answer) -> Expected {
        let dma = self.look_at_dma();
        let read = dma.map(|_| self.look_at_bar());
        Expected { answer, dma, read, attach: self.look_at_attach() }
    }

    /// A DMA that is commanded now, or was and ends now.
    fn look_at_dma(&mut self) -> Option<Fate> {
        let under_way = self.flight == Flight::Under;
        if !under_way && self.importer.device.is_none() {
            return None;
        }
        if under_way {
            self.flight = Flight::Over;
        }
        let engine = self.window.engine;
        if !self.kernel.masters(engine) {
            return Some(Fate::Away);
        }
        // Its data comes from RAM first; one in flight has it already.
        if !under_way && self.kernel.dma(engine, RAM_IOVA).is_none() {
            return Some(Fate::Faulted);
        }
        Some(match self.kernel.dma(engine, IOVA + TARGET) {
            Some(Target::Bar { answers: true, .. }) => Fate::Landed,
            Some(Target::Bar { answers: false, .. } | Target::Memory(..)) => Fate::Away,
            None => Fate::Faulted,
        })
    }

    fn look_at_bar(&mut self) -> (Reader, Result<(), Errno>) {
        let answers = |target| match target {
            CpuTarget::Bar { .. } => Ok(()),
            // All ones: nobody's data.
            CpuTarget::Nobody => Err(Errno::EIO),
        };
        let bar = self.window.bar;
        if let Some(file) = self.exporter.device {
            return (Reader::Region, self.kernel.region_access(file, bar, TARGET).and_then(answers));
        }
        if let Some(vma) = self.exporter.bar {
            return (Reader::Mapping, self.kernel.cpu_access(vma, TARGET).and_then(answers));
        }
        (Reader::Other, self.open_and_look())
    }

    fn open_and_look(&mut self) -> Result<(), Errno> {
        let opened = self.call(&Call::Open { device: self.window.target, context: OTHER_CONTEXT })?;
        let file = FileId::of(opened);
        let read = self.kernel.region_access(file, self.window.bar, TARGET).map(|_| ());
        self.call(&Call::CloseFile { file })?;
        read
    }

    fn look_at_attach(&mut self) -> Option<Result<(), Errno>> {
        if !self.importer.buffer || !self.importer.context {
            return None;
        }
        let mapped = self.map(PROBE_IOVA);
        let unmap = Call::Unmap { space: IMPORTER.1, iova: PROBE_IOVA, length: LENGTH };
        Some(mapped.and_then(|_| self.call(&unmap)).map(|_| ()))
    }
}

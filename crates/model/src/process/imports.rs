//! The test importer: attachments that are driven step by step, as `guest-kernel/importer` has them.

use super::{Done, Process};
use crate::errno::Errno;
use crate::kernel::{Attachment, AttachmentId, ImporterKind, OnInvalidate, Tally};
use crate::op::{Imported, LONGEST_SEGMENT, Op, Seen, Told};

/// An attachment, and what the importer counts of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Import {
    pub(super) id: AttachmentId,
    faults: u64,
}

impl Process {
    pub(super) fn import_op(&mut self, op: &Op) -> Done {
        if !self.kernel.abilities().importer {
            return None;
        }
        match *op {
            Op::Import { buffer, peer2peer, told, import } => {
                let export = self.buffer(buffer)?;
                Self::is_empty(&self.imports, import)?;
                let attached = self.kernel.attach_importer(export, kind(peer2peer, told));
                self.imports[usize::from(import)] = attached.ok().map(|id| Import { id, faults: 0 });
                Some(attached.map(|_| 0))
            }
            Op::ImportMap { import } => {
                let id = self.import(import)?.id;
                if self.is_mapped(id) {
                    return Some(Err(Errno::EEXIST));
                }
                Some(self.kernel.map_attachment(id).map(|segments| segments.len() as u64))
            }
            Op::ImportUnmap { import } => {
                let id = self.import(import)?.id;
                if !self.is_mapped(id) {
                    return Some(Err(Errno::ENOLINK));
                }
                self.kernel.unmap_attachment(id);
                Some(Ok(0))
            }
            Op::ImportUse { import, offset } => self.use_import(import, offset),
            Op::ImportPin { import, pinned } => {
                let id = self.import(import)?.id;
                Some(self.kernel.pin_attachment(id, pinned))
            }
            Op::ImportEnd { import } => {
                let Import { id, .. } = self.imports.get_mut(usize::from(import))?.take()?;
                let mut task = self.kernel.detach_importer(id);
                Some(self.kernel.finish(&mut task).unwrap_or(Ok(0)))
            }
            _ => None,
        }
    }

    /// `BKI_USE`: a mapping that is not there is made.
    fn use_import(&mut self, import: u8, offset: u64) -> Done {
        let id = self.import(import)?.id;
        let attachment = self.kernel.attachment(id)?;
        let size = self.kernel.export(attachment.export).map_or(0, |export| export.size());
        if attachment.kind.invalidate.is_none() || offset >= size {
            return Some(Err(Errno::EINVAL));
        }
        if attachment.mapped {
            return Some(Ok(0));
        }
        if let Some(import) = self.imports.get_mut(usize::from(import)).and_then(Option::as_mut) {
            import.faults += 1;
        }
        Some(self.kernel.map_attachment(id).map(|_| 1))
    }

    fn import(&self, register: u8) -> Option<Import> {
        *self.imports.get(usize::from(register))?
    }

    /// The attachment in a register.
    pub(super) fn attachment(&self, register: u8) -> Option<&Attachment> {
        self.kernel.attachment(self.import(register)?.id)
    }

    fn is_mapped(&self, id: AttachmentId) -> bool {
        self.kernel.attachment(id).is_some_and(|attachment| attachment.mapped)
    }

    pub(super) fn imported(&self, import: Import) -> Imported {
        let Some(attachment) = self.kernel.attachment(import.id) else { return Imported::default() };
        let Tally { notices, released, in_notice } = attachment.tally();
        Imported {
            mapped: attachment.mapped,
            notices,
            released,
            faults: import.faults,
            in_notice: Seen::outcome(in_notice.unwrap_or(Ok(()))),
        }
    }
}

fn kind(peer2peer: bool, told: Told) -> ImporterKind {
    let invalidate = match told {
        Told::Never => None,
        Told::LetGo => Some(OnInvalidate::Unmap),
        Told::MapAgain => Some(OnInvalidate::Remap),
        Told::Hold => Some(OnInvalidate::HoldForNow),
    };
    ImporterKind { peer2peer, invalidate, longest_segment: LONGEST_SEGMENT, translated: true }
}

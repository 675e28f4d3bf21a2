//! The test importer's attachments. Without the importer none of these is done.

use super::nothing;
use crate::hands::{Done, Hands};
use crate::importer::{Attachment, Form, Manner, WhenTold};
use barkeep_model::op::Told;
use barkeep_model::{Errno, Op};

/// How long one that holds on for a while does. The revoke waits that long.
const FOR_A_WHILE_MS: u32 = 20;

impl Hands {
    pub(super) fn import_operation(&mut self, op: &Op) -> Done {
        match *op {
            Op::Import { buffer, peer2peer, told, import } => self.import(buffer, peer2peer, told, import),
            Op::ImportMap { import } => Some(self.imports.get(import)?.map(Form::Table).map(u64::from)),
            Op::ImportUnmap { import } => Some(nothing(self.imports.get(import)?.unmap())),
            Op::ImportUse { import, offset } => {
                let used = self.imports.get(import)?.use_at(offset);
                Some(used.map(|(_address, faulted)| u64::from(faulted)))
            }
            Op::ImportPin { import, pinned } => {
                let attachment = self.imports.get(import)?;
                let pin: fn(&Attachment) -> Result<(), Errno> =
                    if pinned { Attachment::pin } else { Attachment::unpin };
                Some(nothing(pin(attachment)))
            }
            Op::ImportEnd { import } => self.imports.take(import).map(|_| Ok(0)),
            _ => None,
        }
    }

    fn import(&mut self, buffer: u8, peer2peer: bool, told: Told, import: u8) -> Done {
        let session = self.session.as_ref()?;
        let buffer = self.buffers.get(buffer)?.file();
        let place = self.imports.empty(import)?;
        let when_told = match told {
            Told::Never => None,
            Told::LetGo => Some(WhenTold::LetGo),
            Told::MapAgain => Some(WhenTold::MapAgain),
            Told::Hold => Some(WhenTold::Hold(FOR_A_WHILE_MS)),
        };
        let manner = Manner { peer2peer, when_told, ..Manner::default() };
        Some(session.attach(buffer, manner).map(|attachment| {
            *place = Some(attachment);
            0
        }))
    }
}

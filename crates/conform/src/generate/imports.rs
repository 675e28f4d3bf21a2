//! The test importer: attached, mapped, used, told.

use super::Maker;
use super::expected::Buffer;
use crate::kind::Kind;
use barkeep_model::op::{PAGE, Told};
use barkeep_model::{Abilities, Op};

/// Whether a kernel that can do this much has anything to say of a kind.
pub(super) fn can(able: Abilities, kind: Kind) -> bool {
    able.importer || !kind.is_import()
}

impl Maker<'_> {
    pub(super) fn import(&mut self) -> Option<Op> {
        let buffer = self.buffer()?;
        let import = self.register(|expected| &expected.imports, false)?;
        Some(self.import_as(buffer, import))
    }

    /// One that will do, mostly.
    fn import_as(&mut self, buffer: u8, import: u8) -> Op {
        let peer2peer = !self.draw.once_in(12);
        let ways = [(6, Told::LetGo), (4, Told::MapAgain), (4, Told::Hold), (1, Told::Never)];
        let told = self.draw.weighted(&ways).unwrap_or(Told::LetGo);
        Op::Import { buffer, peer2peer, told, import }
    }

    /// An attachment register that is full, mostly.
    pub(super) fn imported(&mut self) -> Option<u8> {
        self.register(|expected| &expected.imports, true)
    }

    pub(super) fn import_use(&mut self) -> Option<Op> {
        let import = self.imported()?;
        let size = self.expected.imports[usize::from(import)].map_or(PAGE, |window| window.size);
        let offset = match self.draw.below(10) {
            0..6 => 0,
            6 | 7 => size.wrapping_sub(1),
            8 => size,
            _ => u64::MAX,
        };
        Some(Op::ImportUse { import, offset })
    }

    pub(super) fn import_pin(&mut self) -> Option<Op> {
        let import = self.imported()?;
        Some(Op::ImportPin { import, pinned: !self.draw.once_in(3) })
    }

    /// Somebody imports, something happens to the device, it decodes again: who was told how often, and
    /// does a use map again?
    pub(super) fn imported_story(&mut self) {
        let Some(buffer) = self.buffer() else { return };
        let Some(Buffer { window, .. }) = self.expected.buffers[usize::from(buffer)] else { return };
        let Some(file) = self.file_of(window.device) else { return };
        let Some(import) = self.register(|expected| &expected.imports, false) else { return };
        let attach = self.import_as(buffer, import);
        self.push(attach);
        self.push(Op::ImportMap { import });
        if self.draw.once_in(4) {
            self.push(Op::ImportPin { import, pinned: true });
        }
        for op in self.events(window.device, file) {
            self.push(op);
        }
        self.push(Op::ImportUse { import, offset: 0 });
    }
}

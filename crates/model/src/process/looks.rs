//! What is true, seen by asking; in the order in which a real process asks, since asking wakes
//! devices up.

use super::Process;
use crate::errno::Errno;
use crate::kernel::{Call, ExportId, FileId};
use crate::op::{SPACES, Seen};

/// COMMAND.
const COMMAND: u16 = 4;
/// Memory and bus master.
const COMMAND_BITS: u16 = 0b110;
/// PMCSR in the power management capability, and the power state in it.
const PMCSR: u16 = 4;
const POWER_STATE: u16 = 0b11;

impl Process {
    pub(super) fn look(&mut self) -> Seen {
        let buffers = numbered(&self.buffers);
        let maps = numbered(&self.maps);
        let files = numbered(&self.files);
        let imports = numbered(&self.imports);
        Seen {
            buffers: buffers.into_iter().map(|(at, id)| (at, Seen::outcome(self.attach(id)))).collect(),
            maps: maps.into_iter().map(|(at, mapped)| (at, Seen::outcome(self.access(mapped, 0)))).collect(),
            registers: files.iter().map(|&(at, id)| (at, self.registers(id))).collect(),
            words: files.iter().filter_map(|&(at, id)| Some((at, self.words(id)?))).collect(),
            imports: imports.into_iter().map(|(at, import)| (at, self.imported(import))).collect(),
        }
    }

    /// What a map of all of a dma-buf into a space without devices says.
    fn attach(&mut self, export: ExportId) -> Result<(), Errno> {
        let length = self.kernel.export(export).map_or(0, |export| export.size());
        let space = SPACES;
        self.call(&Call::MapBuffer { space, export, start: 0, length, iova: 0 })?;
        self.call(&Call::Unmap { space, iova: 0, length }).map(|_| ())
    }

    fn registers(&mut self, file: FileId) -> u16 {
        let mut bytes = [0; 2];
        // An open file can be read.
        let _ = self.kernel.config_read(file, COMMAND, &mut bytes);
        let command = u16::from_le_bytes(bytes) & COMMAND_BITS;
        let device = self.kernel.file(file).map_or(0, |file| file.device);
        let power = match self.kernel.layout(device).pm {
            Some(pm) => {
                let _ = self.kernel.config_read(file, pm.offset + PMCSR, &mut bytes);
                u16::from_le_bytes(bytes) & POWER_STATE
            }
            None => 0,
        };
        command | power << 8
    }

    fn words(&mut self, file: FileId) -> Option<Vec<u64>> {
        let device = self.kernel.file(file)?.device;
        let facts = self.kernel.hardware().devices[device].clone();
        let bar = facts.memory_bar?;
        let word = |offset: &u64| {
            let target = self.kernel.region_access(file, bar, *offset);
            Seen::word(target.map(|target| self.word_at(target)))
        };
        Some(facts.watched.iter().map(word).collect())
    }
}

fn numbered<T: Copy>(registers: &[Option<T>]) -> Vec<(u8, T)> {
    registers.iter().enumerate().filter_map(|(at, id)| Some((at as u8, (*id)?))).collect()
}

//! The shadow's own among the faults of `barkeep-planted`. In a build without faults every answer here is a
//! constant.

use super::Shadow;
use barkeep_journal::Trigger;
use barkeep_pci::header;
use barkeep_pci::write::ConfigWrite;
use barkeep_planted::{Fault, is_planted};

impl Shadow {
    /// Whether a write passes for one that does nothing to the mappings.
    pub(super) fn plant_misses(&self, trigger: Trigger, write: &ConfigWrite) -> bool {
        match trigger {
            Trigger::Flr if is_planted(Fault::FlrAmongOthers) => {
                let bits: u32 = write.bytes.as_slice().iter().map(|byte| byte.count_ones()).sum();
                bits > 1
            }
            Trigger::DecodeOff if is_planted(Fault::DecodeAmongOthers) => {
                let command = write.iter().find(|(offset, _)| *offset == header::COMMAND);
                let (before, memory) = (self.registers.command as u8, header::COMMAND_MEMORY as u8);
                command.is_some_and(|(_, value)| (value ^ before) & !memory != 0)
            }
            Trigger::D0 => is_planted(Fault::WakeRestoresNothing),
            _ => false,
        }
    }

    /// Whether BAR registers that a write has changed are not read again. While the firmware places BARs
    /// decode is off as well: only later.
    pub(super) fn plant_keeps_bars(&self) -> bool {
        is_planted(Fault::MovedWhileOff) && self.progress.get() != 0 && !self.seen_on
    }
}

//! What follows at once: the other half of something, and a look at what it left.
//!
//! A mapping that should have died, or should not have, is seen only by a DMA through it or by
//! mapping there again, and only while the device decodes. Left to chance, that comes too rarely.

use super::Maker;
use crate::kind::Kind;
use crate::registers::{self, Register};
use barkeep_model::Op;
use barkeep_model::op::PAGE;
use barkeep_pci::header;

impl Maker<'_> {
    /// Lets something follow the operation just made, now and then.
    pub(super) fn follow(&mut self, op: &Op) {
        // What is rare is worth more.
        let always = matches!(op, Op::ResetMethods { .. } | Op::Remove { .. })
            || is_unaligned_map(op)
            || self.puts_to_forgetful_sleep(op);
        let other_half = if always || self.draw.once_in(3) { self.other_half(op) } else { None };
        let look_once_in = if other_half.is_some() { 2 } else { 3 };
        if let Some(other_half) = other_half {
            self.push(other_half);
        }
        if disturbs(Kind::of(op)) && self.draw.once_in(look_once_in) {
            self.look();
        }
    }

    /// Whether an operation writes D3hot to a function of which vfio-pci keeps the config space for its D0.
    fn puts_to_forgetful_sleep(&self, op: &Op) -> bool {
        let Op::ConfigWrite { file, offset, width, value } = *op else { return false };
        self.expected.device(file).is_some_and(|device| {
            value == u32::from(header::PM_PMCSR_STATE)
                && registers::at(self.machine, device, offset, width) == Some(Register::Power)
                && self.machine.layout(device).pm.is_some_and(|pm| !pm.no_soft_reset)
        })
    }

    /// Gives back what an operation takes, or meets what it made.
    fn other_half(&mut self, op: &Op) -> Option<Op> {
        match *op {
            Op::ConfigWrite { file, offset, width, value } => {
                let device = self.expected.device(file)?;
                let on = u32::from(header::COMMAND_MEMORY);
                let value = match registers::at(self.machine, device, offset, width)? {
                    Register::Command if value & on == 0 => value | on,
                    Register::Power if value == u32::from(header::PM_PMCSR_STATE) => {
                        if self.draw.once_in(3) {
                            return self.reset_of(device);
                        }
                        // What is written meanwhile is not what vfio-pci gives back.
                        if self.puts_to_forgetful_sleep(op) {
                            self.push(Op::ConfigWrite { file, offset: header::COMMAND, width: 2, value: 0 });
                        }
                        0
                    }
                    Register::Command | Register::Power => return None,
                    Register::Bar | Register::Control | Register::AfControl => return None,
                };
                Some(Op::ConfigWrite { file, offset, width, value })
            }
            Op::LowPowerEntry { file, wakes: _ } => Some(Op::LowPowerExit { file }),
            // A device that comes to a space which has what no IOMMU can map.
            Op::Map { space, .. } if is_unaligned_map(op) => {
                self.file().map(|file| Op::Attach { file, space })
            }
            // A reset that finds no way.
            Op::ResetMethods { device, present: false } => self.reset_of(device),
            // What a device that is leaving still does, and its end.
            Op::Remove { device } => match self.draw.below(4) {
                0 => self.file_of(device).map(|file| Op::CloseFile { file }),
                // The one that finds the bus held by the removal.
                1 => self.file_of(device).map(|file| Op::HotReset { file }),
                _ => self.reset_of(device),
            },
            _ => None,
        }
    }

    /// A file register with a device.
    pub(super) fn file_of(&self, device: u8) -> Option<u8> {
        self.expected.files.iter().position(|held| *held == Some(device)).map(|file| file as u8)
    }

    /// A reset of a device, by one of the three ways a file has.
    pub(super) fn reset_of(&mut self, device: u8) -> Option<Op> {
        let file = self.file_of(device)?;
        match self.draw.below(4) {
            0 => Some(Op::HotReset { file }),
            1 => self.flr(device, file),
            _ => Some(Op::Reset { file }),
        }
    }

    /// An FLR by config space, by whichever capability there is for it.
    pub(super) fn flr(&self, device: u8, file: u8) -> Option<Op> {
        if let Some(offset) = registers::af_control(self.machine, device) {
            return Some(Op::ConfigWrite { file, offset, width: 1, value: u32::from(header::AF_CTRL_FLR) });
        }
        let offset = registers::control(self.machine, device)?;
        let flr = registers::at_open(self.machine, device, offset) | header::PCIE_DEVCTL_FLR;
        Some(Op::ConfigWrite { file, offset, width: 2, value: u32::from(flr) })
    }

    /// Makes something that shows which mappings are alive.
    fn look(&mut self) {
        let importers = if self.machine.abilities().importer { 2 } else { 0 };
        let kind = self.draw.weighted(&[
            (5, Kind::Dma),
            (2, Kind::Map),
            (1, Kind::CpuRead),
            (1, Kind::Export),
            (importers, Kind::ImportUse),
        ]);
        if let Some(op) = kind.and_then(|kind| self.make(kind)) {
            self.push(op);
        }
    }
}

fn is_unaligned_map(op: &Op) -> bool {
    matches!(op, Op::Map { iova, length, .. } if !(iova | length).is_multiple_of(PAGE))
}

/// Whether a kind of operation can change what is mapped or can be.
fn disturbs(kind: Kind) -> bool {
    use Kind::*;
    match kind {
        ConfigWrite | Reset | HotReset | SysfsReset | LowPowerEntry | LowPowerExit | ResetMethods => true,
        CloseFile | UnmapBar | CloseBuffer | Remove | Rescan => true,
        Attach | Detach | Map | Unmap | Copy => true,
        Open | DupFile | SendFile | ReceiveFile | ReopenFile => false,
        ConfigRead | RegionRead | RegionWrite | MapBar | CpuRead | CpuWrite => false,
        Export | ExportProbe | ExportSet | DupBuffer | SendBuffer | ReceiveBuffer => false,
        ReopenBuffer | MapBuffer | BufferSize | Dma => false,
        Import | ImportMap | ImportUnmap | ImportUse | ImportPin => false,
        ImportEnd => true,
    }
}

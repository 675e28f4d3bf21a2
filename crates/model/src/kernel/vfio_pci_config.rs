//! `drivers/vfio/pci/vfio_pci_config.c`: what a config write does.

use super::call::locked;
use super::files::FileId;
use super::pci::D3HOT;
use super::{Kernel, Section, Task};
use crate::errno::Errno;
use crate::rule::Rule;
use barkeep_pci::header;
use barkeep_pci::write::{Bytes, ConfigWrite};
use smallvec::SmallVec;

/// DEVCTL's FLR bit, in its high byte.
const FLR_HIGH: u8 = (header::PCIE_DEVCTL_FLR >> 8) as u8;

impl Kernel {
    /// `__vfio_pci_memory_enabled`: by the shadow, not by the hardware, and without regard to low
    /// power.
    #[must_use]
    pub fn memory_enabled(&self, device: usize) -> bool {
        let function = &self.functions[device];
        let on = function.shadow_command & header::COMMAND_MEMORY != 0;
        function.power < D3HOT && (self.device(device).virtual_function || on)
    }

    /// `vfio_pci_config_rw`: cuts the write into pieces of 4, 2 or 1 bytes, naturally aligned.
    pub(super) fn config_write(&mut self, file: FileId, write: &ConfigWrite) -> Task {
        let device = match self.device_of(file) {
            Ok(device) => device,
            Err(errno) => return Task::done(Err(errno)),
        };
        if !inside_config(write.offset, write.bytes.as_slice().len()) {
            return Task::done(Err(Errno::EFAULT));
        }
        self.wake_up(device);
        let mut task = Task::done(Ok(write.bytes.as_slice().len() as u64));
        task.next(&[Section::SleepAgain(device)]);
        for piece in pieces(write).into_iter().rev() {
            task.next(&[Section::ConfigPiece { device, piece }]);
        }
        task
    }

    /// One piece goes to the handler of the capability it lies in.
    pub(super) fn config_piece(&mut self, device: usize, piece: &ConfigWrite, task: &mut Task) {
        let layout = self.layout(device);
        let (pm, pcie, af) = (layout.pm, layout.pcie, layout.af);
        if piece.offset < header::HEADER_SIZE {
            self.basic_config_write(device, piece, task);
        } else if pm.is_some_and(|pm| piece.offset == pm.offset + header::PM_PMCSR) {
            self.pm_config_write(device, piece, task);
        } else if let Some(pcie) = pcie
            && byte_at(piece, pcie.offset + header::PCIE_DEVCTL + 1).is_some_and(|byte| byte & FLR_HIGH != 0)
        {
            self.exp_config_write(device, pcie.flr, task);
        } else if let Some(af) = af
            && byte_at(piece, af.offset + header::AF_CTRL).is_some_and(|byte| byte & header::AF_CTRL_FLR != 0)
        {
            self.af_config_write(device, af.flr, task);
        }
    }

    /// `vfio_basic_config_write`.
    fn basic_config_write(&mut self, device: usize, piece: &ConfigWrite, task: &mut Task) {
        if piece.offset != header::COMMAND {
            self.write_shadow_bars(device, piece);
            return;
        }
        let memory = word(piece) & header::COMMAND_MEMORY != 0;
        let store = Section::StoreCommand { device, piece: *piece };
        let back = Section::MoveBackIfEnabled(device);
        let was_on = self.functions[device].shadow_command & header::COMMAND_MEMORY != 0;
        let kept = match (memory, was_on) {
            (false, _) => !self.follows(Rule::DecodeOff),
            (true, true) => self.follows(Rule::DecodeKept),
            (true, false) => true,
        };
        if kept {
            task.next(&locked(device, &[store, back]));
            return;
        }
        let inside = [Section::Zap(device), Section::Move { device, revoked: true, at: 0 }, store, back];
        task.next(&locked(device, &inside));
    }

    /// COMMAND goes to the hardware, and its memory and I/O bits into the shadow.
    pub(super) fn store_command(&mut self, device: usize, piece: &ConfigWrite) {
        let mut value = word(piece);
        if piece.bytes.as_slice().len() == 1 {
            value |= self.functions[device].command & 0xff00;
        }
        self.set_command(device, value);
        let bits = header::COMMAND_MEMORY | header::COMMAND_IO;
        let shadow = &mut self.functions[device].shadow_command;
        *shadow = *shadow & !bits | value & bits;
    }

    /// The BAR registers are virtual: the hardware's are not touched.
    fn write_shadow_bars(&mut self, device: usize, piece: &ConfigWrite) {
        for (offset, value) in piece.iter() {
            let Some(at) = offset.checked_sub(header::BAR0).filter(|at| *at < 24) else {
                continue;
            };
            let shift = 8 * (at % 4);
            let register = &mut self.functions[device].shadow_bars[usize::from(at / 4)];
            *register = *register & !(0xff << shift) | u32::from(value) << shift;
        }
    }

    /// `vfio_pm_config_write` and `vfio_lock_and_set_power_state`.
    fn pm_config_write(&mut self, device: usize, piece: &ConfigWrite, task: &mut Task) {
        let state = (word(piece) & header::PM_PMCSR_STATE) as u8;
        let set = Section::SetPowerState { device, state };
        let back = Section::MoveBackIfEnabled(device);
        if state >= D3HOT && self.follows(Rule::D3hot) {
            let inside = [Section::Zap(device), Section::Move { device, revoked: true, at: 0 }, set, back];
            task.next(&locked(device, &inside));
            return;
        }
        if state == 0 && !self.follows(Rule::D0) {
            task.next(&locked(device, &[set]));
            return;
        }
        if (1..D3HOT).contains(&state) && !self.follows(Rule::D1D2) {
            let inside = [Section::Move { device, revoked: true, at: 0 }, set];
            task.next(&locked(device, &inside));
            return;
        }
        task.next(&locked(device, &[set, back]));
    }

    /// `vfio_exp_config_write`.
    fn exp_config_write(&mut self, device: usize, capable: bool, task: &mut Task) {
        if !capable {
            self.flr_without_capability(device, task);
        } else if self.follows(Rule::Flr) {
            let reset = self.reset_inside_write(device);
            task.next(&reset);
        }
    }

    /// `vfio_af_config_write`.
    fn af_config_write(&mut self, device: usize, capable: bool, task: &mut Task) {
        if !capable {
            self.flr_without_capability(device, task);
        } else if self.follows(Rule::AfFlr) {
            let reset = self.reset_inside_write(device);
            task.next(&reset);
        }
    }

    /// The bit is cleared, and that is all.
    fn flr_without_capability(&mut self, device: usize, task: &mut Task) {
        if !self.follows(Rule::FlrWithoutCapability) {
            let revoke = [Section::Zap(device), Section::Move { device, revoked: true, at: 0 }];
            task.next(&locked(device, &revoke));
        }
    }

    /// What `vfio_exp_config_write` and `vfio_af_config_write` do alike. The reset's own result
    /// goes nowhere: the write succeeds.
    fn reset_inside_write(&mut self, device: usize) -> SmallVec<[Section; 8]> {
        let fails = self.reset_will_fail(device);
        let report = fails && !self.follows(Rule::FlrResultIgnored);
        let mut inside = SmallVec::<[Section; 8]>::new();
        inside.push(Section::Zap(device));
        if !fails || self.follows(Rule::FailedResetRevokes) {
            inside.push(Section::Move { device, revoked: true, at: 0 });
        }
        inside.push(Section::TryReset { device, report });
        inside.push(Section::MoveBackIfEnabled(device));
        locked(device, &inside)
    }

    /// Reads config space as far as it is specified: COMMAND, the BARs, PMCSR, the FLR bits (0);
    /// the rest is as the image has it.
    ///
    /// # Errors
    /// EBADF without such a file; EFAULT beyond the end.
    pub fn config_read(&mut self, file: FileId, offset: u16, bytes: &mut [u8]) -> Result<(), Errno> {
        let device = self.device_of(file)?;
        if !inside_config(offset, bytes.len()) {
            return Err(Errno::EFAULT);
        }
        self.wake_up(device);
        let mut image = *self.image(device);
        let function = &self.functions[device];
        let mut command = function.command & !header::COMMAND_INTX_DISABLE
            | function.shadow_command & header::COMMAND_INTX_DISABLE;
        if self.device(device).virtual_function {
            command |= function.shadow_command & header::COMMAND_MEMORY;
        }
        store(&mut image, header::COMMAND, &command.to_le_bytes());
        for bar in 0..6 {
            let value = self.virtual_bar(device, bar);
            store(&mut image, header::BAR0 + 4 * bar as u16, &value.to_le_bytes());
        }
        if let Some(pm) = self.layout(device).pm {
            let at = usize::from(pm.offset + header::PM_PMCSR);
            let power = self.functions[device].power;
            image[at] = image[at] & !(header::PM_PMCSR_STATE as u8) | power;
        }
        let start = usize::from(offset);
        for (n, byte) in bytes.iter_mut().enumerate() {
            *byte = image.get(start + n).copied().unwrap_or(0);
        }
        self.sleep_again(device);
        Ok(())
    }

    /// `vfio_bar_fixup`: the bits that count the size stick at 0, the type bits at their value.
    fn virtual_bar(&self, device: usize, register: usize) -> u32 {
        let layout = self.layout(device);
        let Some(bar) = layout.bar_of_register(register as u8) else {
            return 0;
        };
        let mask = !(bar.size - 1);
        let written = self.functions[device].shadow_bars[register];
        if usize::from(bar.index) != register {
            return written & (mask >> 32) as u32;
        }
        let flags = self.image(device)[usize::from(header::BAR0) + 4 * register];
        let kept = match bar.kind {
            barkeep_pci::BarKind::Io => header::BAR_IO_FLAGS,
            barkeep_pci::BarKind::Memory32 | barkeep_pci::BarKind::Memory64 => header::BAR_MEMORY_FLAGS,
        };
        written & mask as u32 | u32::from(flags) & kept
    }
}

/// `vfio_config_do_rw`: the size of an Express function's config space.
fn inside_config(offset: u16, size: usize) -> bool {
    usize::from(offset) + size <= usize::from(header::EXTENDED_CONFIG_SIZE)
}

/// The pieces of a write.
fn pieces(write: &ConfigWrite) -> Vec<ConfigWrite> {
    let bytes = write.bytes.as_slice();
    let mut pieces = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let offset = write.offset.wrapping_add(at as u16);
        let left = bytes.len() - at;
        let size = [4, 2, 1].into_iter().find(|size| offset.is_multiple_of(*size as u16) && *size <= left);
        let size = size.unwrap_or(1);
        let bytes = match bytes[at..at + size] {
            [a, b, c, d] => Bytes::Four([a, b, c, d]),
            [a, b] => Bytes::Two([a, b]),
            [a, ..] => Bytes::One([a]),
            [] => break,
        };
        pieces.push(ConfigWrite { offset, bytes });
        at += size;
    }
    pieces
}

/// The low 16 bits of a piece.
fn word(piece: &ConfigWrite) -> u16 {
    let bytes = piece.bytes.as_slice();
    let byte = |n: usize| u16::from(bytes.get(n).copied().unwrap_or(0));
    byte(0) | byte(1) << 8
}

fn byte_at(piece: &ConfigWrite, offset: u16) -> Option<u8> {
    piece.iter().find(|(at, _)| *at == offset).map(|(_, value)| value)
}

fn store(image: &mut [u8], offset: u16, bytes: &[u8]) {
    let start = usize::from(offset);
    image[start..start + bytes.len()].copy_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_is_cut_where_its_alignment_ends() {
        let cut = |offset, bytes: &[u8]| {
            let write = ConfigWrite::new(offset, bytes).unwrap();
            pieces(&write)
                .iter()
                .map(|piece| (piece.offset, piece.bytes.as_slice().len()))
                .collect::<Vec<_>>()
        };
        assert_eq!(cut(4, &[0; 4]), [(4, 4)]);
        assert_eq!(cut(6, &[0; 4]), [(6, 2), (8, 2)]);
        assert_eq!(cut(5, &[0; 4]), [(5, 1), (6, 2), (8, 1)]);
        assert_eq!(cut(3, &[0; 2]), [(3, 1), (4, 1)]);
    }
}

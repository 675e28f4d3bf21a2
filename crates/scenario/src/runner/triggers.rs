//! What a guest's driver writes to config space.

use super::{RunError, Runner};
use crate::language::{Action, Register};
use barkeep_export::Function;
use barkeep_pci::{bars, header};
use barkeep_platform::pci_root::PciRoot;
use barkeep_probe::{Command, Width};
use std::collections::BTreeMap;

/// What registers were last written, by device and offset.
#[derive(Default)]
pub(super) struct Written(BTreeMap<(u16, u16), u64>);

impl Written {
    /// What a register holds, by what was read of it. A function in a reset reads all ones: a
    /// driver then goes by what it has written itself, or by what firmware has left.
    fn holds(&self, device: u16, offset: u16, read: u64, width: Width) -> u64 {
        let ones = u64::MAX >> (64 - 8 * width.bytes());
        let left = || match offset {
            header::COMMAND => u64::from(header::COMMAND_MEMORY | header::COMMAND_MASTER),
            _ => 0,
        };
        if read == ones { self.0.get(&(device, offset)).copied().unwrap_or_else(left) } else { read }
    }

    /// Nobody knows any more.
    pub fn forget(&mut self) {
        self.0.clear();
    }
}

impl Register {
    /// What resets, and is never read back.
    fn reset_bit(self) -> u16 {
        match self {
            Self::DeviceControl => header::PCIE_DEVCTL_FLR,
            Self::AfControl => u16::from(header::AF_CTRL_FLR),
            Self::Command | Self::Pmcsr => 0,
        }
    }

    /// What a device has it by.
    fn capability(self) -> &'static str {
        match self {
            Self::Command => "COMMAND",
            Self::DeviceControl => "PCIe",
            Self::AfControl => "AF",
            Self::Pmcsr => "power management",
        }
    }
}

impl Runner<'_, '_> {
    pub(super) fn trigger(
        &mut self,
        action: &Action,
        name: &str,
        vcpu: usize,
        background: bool,
    ) -> Result<(), RunError> {
        let device = self.device(name)?;
        let (register, clear, set) = match *action {
            Action::Flr { .. } => (Register::DeviceControl, 0, header::PCIE_DEVCTL_FLR),
            Action::AfFlr { .. } => (Register::AfControl, 0, u16::from(header::AF_CTRL_FLR)),
            Action::DecodeOff { .. } => (Register::Command, header::COMMAND_MEMORY, 0),
            Action::DecodeOn { .. } => (Register::Command, 0, header::COMMAND_MEMORY),
            Action::D3hot { .. } => (Register::Pmcsr, 0, header::PM_PMCSR_STATE),
            Action::D0 { .. } => (Register::Pmcsr, header::PM_PMCSR_STATE, 0),
            Action::ConfigWrite { register, set, clear, .. } => (register, clear, set),
            _ => unreachable!("not a config write: {action}"),
        };
        let capability = register.capability();
        let missing =
            || RunError::NoCapability { device: name.into(), capability, action: action.to_string() };
        let layout = self.world.board().function(device.index).layout();
        let (offset, width) = match register {
            Register::Command => (header::COMMAND, Width::Two),
            Register::DeviceControl => {
                (layout.pcie.as_ref().ok_or_else(missing)?.offset + header::PCIE_DEVCTL, Width::Two)
            }
            // A register of one byte, and its neighbour is status.
            Register::AfControl => {
                (layout.af.as_ref().ok_or_else(missing)?.offset + header::AF_CTRL, Width::One)
            }
            Register::Pmcsr => {
                (layout.pm.as_ref().ok_or_else(missing)?.offset + header::PM_PMCSR, Width::Two)
            }
        };
        let address = PciRoot::ecam_address(device.index, offset);
        let read = self.cpu(vcpu).read(address, width)?;
        let before = self.written.holds(device.index, offset, read, width);
        let value = before & !u64::from(clear) | u64::from(set);
        let kept = value & !u64::from(register.reset_bit());
        self.written.0.insert((device.index, offset), kept);
        let write = Command::Write { address, width, value };
        if background {
            return self.write_behind(vcpu, write);
        }
        self.cpu(vcpu).call(write)?;
        self.join_background();
        Ok(())
    }

    /// Decode stays on, so the BAR is for a moment where the registers' halves say.
    pub(super) fn move_bar(&mut self, name: &str, bar: u8, vcpu: usize) -> Result<bool, RunError> {
        let device = self.device(name)?;
        let board = self.world.board();
        let no_window = || RunError::NoWindow(format!("{name}:{bar}"));
        let described = board.function(device.index).layout().bars.get(usize::from(bar));
        let described = described.copied().flatten().ok_or_else(no_window)?;
        let before = board.bar_address(device.index, bar, 0).ok_or_else(no_window)?;
        let place = board.free_place(device.index, bar);
        let place = place.ok_or_else(|| RunError::NoPlace { device: name.to_owned(), bar })?;
        let cpu = self.cpu(vcpu);
        let register = PciRoot::ecam_address(device.index, header::BAR0 + 4 * u16::from(bar));
        let (old, new) = (bars::registers(&described, before), bars::registers(&described, place));
        if old.0 != new.0 {
            cpu.write32(register, new.0)?;
        }
        if let Some(high) = new.1.filter(|_| old.1 != new.1) {
            cpu.write32(register + 4, high)?;
        }
        self.moved.insert((device.index, bar), before);
        self.join_background();
        let now = self.world.board().bar_address(device.index, bar, 0);
        let what = format!("{name}:{bar} moves from {before:#x} to {place:#x}");
        Ok(self.expectation(&what, now == Some(place)))
    }
}

//! What a guest's driver writes to config space.

use super::{RunError, Runner};
use crate::language::Action;
use barkeep_export::Function;
use barkeep_pci::{bars, header};
use barkeep_platform::pci_root::PciRoot;
use barkeep_probe::Width;

/// A register a scenario writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Register {
    Command,
    /// Device Control of the PCIe capability.
    DeviceControl,
    /// Control of the AF capability.
    AfControl,
    Pmcsr,
}

impl Runner<'_, '_> {
    pub(super) fn trigger(&mut self, action: &Action, name: &str, vcpu: usize) -> Result<(), RunError> {
        let device = self.device(name)?;
        let (register, clear, set, what) = match action {
            Action::Flr { .. } => (Register::DeviceControl, 0, header::PCIE_DEVCTL_FLR, "PCIe"),
            Action::AfFlr { .. } => (Register::AfControl, 0, u16::from(header::AF_CTRL_FLR), "AF"),
            Action::DecodeOff { .. } => (Register::Command, header::COMMAND_MEMORY, 0, "COMMAND"),
            Action::DecodeOn { .. } => (Register::Command, 0, header::COMMAND_MEMORY, "COMMAND"),
            Action::D3hot { .. } => (Register::Pmcsr, 0, header::PM_PMCSR_STATE, "power management"),
            Action::D0 { .. } => (Register::Pmcsr, header::PM_PMCSR_STATE, 0, "power management"),
            _ => unreachable!("not a config write: {action}"),
        };
        let missing =
            || RunError::NoCapability { device: name.into(), capability: what, action: action.to_string() };
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
        let (cpu, address) = (self.cpu(vcpu), PciRoot::ecam_address(device.index, offset));
        let before = cpu.read(address, width)?;
        cpu.write(address, width, before & !u64::from(clear) | u64::from(set))?;
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

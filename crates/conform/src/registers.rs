//! The registers of config space the specification knows, and the values it knows them with.
//! What any other register does, only the device knows.

use crate::machine::Machine;
use barkeep_pci::header;

/// A register operations write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Register {
    /// COMMAND, or its low byte.
    Command,
    /// A base address register.
    Bar,
    /// PMCSR, or its low byte.
    Power,
    /// DEVCTL, or one of its bytes.
    Control,
    /// AF control.
    AfControl,
}

/// COMMAND's bits that operations set.
pub(crate) const COMMAND_BITS: u16 = header::COMMAND_IO | header::COMMAND_MEMORY | header::COMMAND_MASTER;

/// Which register an access of `width` bytes at `offset` reaches, if it is one that is known.
pub(crate) fn at(machine: &Machine, device: u8, offset: u16, width: u8) -> Option<Register> {
    let reaches = |start: Option<u16>, widths: &[(u16, u8)]| {
        start.is_some_and(|start| {
            offset.checked_sub(start).is_some_and(|into| widths.contains(&(into, width)))
        })
    };
    const WHOLE_OR_LOW: &[(u16, u8)] = &[(0, 1), (0, 2)];
    if reaches(Some(header::COMMAND), WHOLE_OR_LOW) {
        Some(Register::Command)
    } else if (header::BAR0..header::BARS_END).contains(&offset) && offset.is_multiple_of(4) && width == 4 {
        Some(Register::Bar)
    } else if reaches(power(machine, device), WHOLE_OR_LOW) {
        Some(Register::Power)
    } else if reaches(control(machine, device), &[(0, 1), (0, 2), (1, 1)]) {
        Some(Register::Control)
    } else if reaches(af_control(machine, device), &[(0, 1)]) {
        Some(Register::AfControl)
    } else {
        None
    }
}

/// Where PMCSR is.
pub(crate) fn power(machine: &Machine, device: u8) -> Option<u16> {
    machine.layout(device).pm.map(|pm| pm.offset + header::PM_PMCSR)
}

/// Where DEVCTL is.
pub(crate) fn control(machine: &Machine, device: u8) -> Option<u16> {
    machine.layout(device).pcie.map(|pcie| pcie.offset + header::PCIE_DEVCTL)
}

/// Where AF control is.
pub(crate) fn af_control(machine: &Machine, device: u8) -> Option<u16> {
    machine.layout(device).af.map(|af| af.offset + header::AF_CTRL)
}

/// What a register of 2 bytes holds just after the open.
pub(crate) fn at_open(machine: &Machine, device: u8, offset: u16) -> u16 {
    let image = machine[device].image();
    let byte = |at: u16| image.get(usize::from(at)).copied().unwrap_or(0);
    u16::from_le_bytes([byte(offset), byte(offset + 1)])
}

/// Whether a write changes nothing but what the specification knows.
pub(crate) fn writes_only_known(machine: &Machine, device: u8, offset: u16, width: u8, value: u32) -> bool {
    let allowed = match at(machine, device, offset, width) {
        // Beyond what any function has.
        None => return offset >= header::EXTENDED_CONFIG_SIZE,
        Some(Register::Bar) => return true,
        Some(Register::Command) => COMMAND_BITS,
        Some(Register::Power) => header::PM_PMCSR_STATE,
        Some(Register::AfControl) => u16::from(header::AF_CTRL_FLR),
        Some(Register::Control) => return keeps_control(machine, device, offset, width, value),
    };
    value & !u32::from(allowed) == 0
}

/// Whether what a read gives, cut to `mask`, is known.
pub(crate) fn reads_only_known(machine: &Machine, device: u8, offset: u16, width: u8, mask: u32) -> bool {
    let known = match at(machine, device, offset, width) {
        Some(Register::Bar) => return true,
        Some(Register::Command) => COMMAND_BITS,
        Some(Register::Power) => header::PM_PMCSR_STATE,
        Some(Register::AfControl) => u16::from(header::AF_CTRL_FLR),
        Some(Register::Control) if control(machine, device) == Some(offset) => header::PCIE_DEVCTL_FLR,
        Some(Register::Control) => header::PCIE_DEVCTL_FLR >> 8,
        // Vendor and device.
        None if offset == header::VENDOR && width == 4 => return true,
        None => 0,
    };
    mask & !u32::from(known) == 0 || offset >= header::EXTENDED_CONFIG_SIZE
}

/// DEVCTL's other bits size the device's packets: they stay.
fn keeps_control(machine: &Machine, device: u8, offset: u16, width: u8, value: u32) -> bool {
    let start = control(machine, device).unwrap_or(offset);
    let kept = at_open(machine, device, start) & !header::PCIE_DEVCTL_FLR;
    let shift = 8 * u32::from(offset - start);
    let mask = if width == 1 { 0xff } else { 0xffff };
    let flr = u32::from(header::PCIE_DEVCTL_FLR) >> shift;
    value & !flr == u32::from(kept) >> shift & mask & !flr
}

//! I4: nothing leaks. Judged at the end of a run that got there: what was taken and not given
//! back, as the journal has it, and what was counted by other means (`leftover`).
//!
//! Guest RAM in the I/O address space is given up as a whole, without an event.

use crate::findings::Findings;
use crate::verdict::{Finding, Invariant::I4};
use crate::words::place;
use crate::world::{Device, Slot, World};
use barkeep_journal::{DeviceAddress, Event};

/// Something was counted at the end.
pub(crate) fn leftover(event: &Event, out: &mut Findings) {
    if let Some(count) = event.value.filter(|count| *count > 0) {
        let of = if event.device.is_some() { format!(" of {}", place(event)) } else { String::new() };
        out.add(I4, event, format!("{count} left of {}{of}", event.text));
    }
}

/// The run is over.
pub(crate) fn end(world: &World, out: &mut Findings) {
    if !world.run_ended {
        return;
    }
    let (seq, time_ns) = world.last;
    for (address, device) in world.devices.iter() {
        for what in kept(address, device) {
            let device = Some(address);
            out.push(Finding { invariant: I4, seq, time_ns, device, what, unfinished: false });
        }
    }
}

fn kept(address: DeviceAddress, device: &Device) -> Vec<String> {
    let mut kept = Vec::new();
    if device.open {
        kept.push(format!("{address} was opened and never closed"));
    }
    // Before the others, of which not all are listed.
    if device.exports.beyond() > 0 {
        let count = device.exports.beyond();
        kept.push(format!("{count} dma-bufs of further windows of {address} were never closed"));
    }
    for ((bar, offset, size), count) in device.exports.iter() {
        let of = format!("of BAR {bar} of {address}, {size:#x} bytes at {offset:#x}");
        kept.push(match count {
            1 => format!("the dma-buf {of}, was never closed"),
            _ => format!("{count} dma-bufs {of}, were never closed"),
        });
    }
    for window in &device.windows {
        let (bar, at) = (window.bar, window.address);
        if matches!(window.slot, Slot::In | Slot::Moving) {
            kept.push(format!("the memory slot of BAR {bar} of {address} at {at:#x} was never taken away"));
        }
        if window.mapped {
            kept.push(format!("the P2P mapping of BAR {bar} of {address} at {at:#x} was never taken away"));
        }
    }
    kept
}

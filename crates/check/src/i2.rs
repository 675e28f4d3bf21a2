//! I2: every errno is the specification's: ENODEV for attach or map while revoked, where
//! nothing earlier refuses.
//!
//! ENODEV from a map although the function decodes is not judged here: somebody else may have
//! revoked, and then it is right. That the window is not back is I3's.

use crate::errno::{
    EBADF, EEXIST, EINVAL, EMFILE, ENFILE, ENODEV, ENOENT, ENOMEM, ENOTTY, EOPNOTSUPP, EOVERFLOW, OK, words,
};
use crate::findings::Findings;
use crate::verdict::Invariant::I2;
use crate::words::place;
use crate::world::{Device, World};
use barkeep_journal::{Event, Kind, Trigger};

/// What importing gives: all that iommufd's MAP_FILE of a dma-buf is known to answer.
const MAP: [i32; 6] = [OK, ENODEV, EEXIST, EOPNOTSUPP, EINVAL, ENOMEM];
/// What may refuse before anybody looks whether the dma-buf is revoked.
const BEFORE_REVOKED: [i32; 2] = [EOPNOTSUPP, ENOMEM];
/// What `VFIO_DEVICE_FEATURE_DMA_BUF` gives.
const EXPORT: [i32; 9] = [OK, ENOTTY, EOPNOTSUPP, ENODEV, EINVAL, EOVERFLOW, ENOMEM, EMFILE, ENFILE];

/// A mapping was tried, to have it or only to learn its errno.
pub(crate) fn map_tried(world: &World, event: &Event, out: &mut Findings) {
    let (Some(device), Some(result)) = (world.device(event), event.result) else { return };
    if dmabuf_closed(device, event) {
        return;
    }
    if world.second.without_buffer(event) {
        if result != EBADF {
            let what = format!("{} without a dma-buf gave {}, not EBADF", event.kind, words(result));
            out.add(I2, event, what);
        }
        return;
    }
    let from = match event.kind {
        // The end of a step: nothing is known of it without its begin.
        Kind::P2pMap => world.steps.begun(event).unwrap_or(0),
        _ => world.observed_from(event),
    };
    if let Some(since) = device.revoked_since
        && result != ENODEV
        && !BEFORE_REVOKED.contains(&result)
    {
        if since < from {
            let what = format!(
                "{} of {} while it is revoked gave {}, not ENODEV",
                event.kind,
                place(event),
                words(result)
            );
            out.add(I2, event, what);
        } else {
            out.cannot_decide();
        }
    } else if !MAP.contains(&result) {
        out.add(I2, event, format!("{} of {} gave {}", event.kind, place(event), words(result)));
    } else if result == EEXIST && event.kind == Kind::P2pMap && !occupied(world, event) {
        let what = format!("p2p_map of {} gave EEXIST where nothing is mapped", place(event));
        out.add(I2, event, what);
    }
}

/// An importing device was told to map, or to use what may not be mapped any more.
pub(crate) fn imported(world: &World, event: &Event, out: &mut Findings) {
    let (Some(device), Some(OK), Some(begin)) =
        (world.device(event), event.result, world.steps.begin_event(event))
    else {
        return;
    };
    let from = world.steps.begun(event).unwrap_or(0);
    let certain = device.revoked_since.is_some_and(|since| since < from);
    if certain && matches!(begin.text.as_str(), "map" | "use" | "attach") {
        let what = format!("the importer's {} of {} while it is revoked gave 0", begin.text, place(event));
        out.add(I2, event, format!("{what}, not ENODEV"));
    }
}

/// Whether anything that was journaled stands where an event wants to map.
fn occupied(world: &World, event: &Event) -> bool {
    let (Some(address), Some(size)) = (event.address, event.size) else { return true };
    let mut windows = world.devices.values().flat_map(|device| &device.windows);
    world.ram.overlaps(address, size) || windows.any(|window| window.mapped && window.overlaps(address, size))
}

/// Whether there was a dma-buf for this and it has been closed: then its errno is another.
fn dmabuf_closed(device: &Device, event: &Event) -> bool {
    device.exports.once && device.exports.iter().all(|((bar, _, _), _)| Some(bar) != event.bar)
}

/// A mapping was taken away.
pub(crate) fn unmapped(world: &World, event: &Event, out: &mut Findings) {
    let (Some(device), Some(result)) = (world.device(event), event.result) else { return };
    let window = event.bar.zip(event.address).and_then(|(bar, address)| device.window(bar, address));
    let mapped = window.is_some_and(|window| window.mapped);
    let wanted = world.steps.begin_event(event).and_then(|begin| begin.size);
    let what = match result {
        OK if wanted.is_some() && event.size != wanted => format!(
            "p2p_unmap of {} took {:#x} bytes away, not {:#x}",
            place(event),
            event.size.unwrap_or(0),
            wanted.unwrap_or(0)
        ),
        ENOENT if mapped => format!("p2p_unmap of {} gave ENOENT although it was mapped", place(event)),
        OK | ENOENT => return,
        _ => format!("p2p_unmap of {} gave {}", place(event), words(result)),
    };
    out.add(I2, event, what);
}

/// An event was let through.
pub(crate) fn let_through(world: &World, event: &Event, out: &mut Findings) {
    let Some(result) = event.result.filter(|result| *result != OK) else { return };
    let closed = world.device(event).is_some_and(|device| device.closed);
    let right = match event.trigger {
        // A config write's result says nothing of the reset it may start.
        Trigger::Flr
        | Trigger::AfFlr
        | Trigger::DecodeOff
        | Trigger::DecodeOn
        | Trigger::D3hot
        | Trigger::D0
        | Trigger::BarMove => closed && result == ENODEV,
        // The reset's own result: whatever the device and its bus make of it.
        Trigger::DeviceReset | Trigger::HotReset => true,
        // A second entry, which has revoked; a kernel without runtime power management.
        Trigger::LowPowerEntry | Trigger::LowPowerExit => [EINVAL, ENOTTY].contains(&result),
        Trigger::Close | Trigger::Remove => false,
        // What somebody else did; and under the others nothing is let through.
        Trigger::SysfsReset | Trigger::Unmap | Trigger::None | Trigger::Suspect | Trigger::Start => true,
    };
    if !right {
        out.add(I2, event, format!("{} of {} gave {}", event.trigger, place(event), words(result)));
    }
}

/// The registers were read.
pub(crate) fn found_out(world: &World, event: &Event, out: &mut Findings) {
    let closed = world.device(event).is_some_and(|device| device.closed);
    match event.result {
        None | Some(OK) => {}
        Some(ENODEV) if closed => {}
        Some(result) => {
            out.add(I2, event, format!("reading the registers of {} gave {}", place(event), words(result)));
        }
    }
}

/// A window was exported.
pub(crate) fn exported(event: &Event, out: &mut Findings) {
    if let Some(result) = event.result.filter(|result| !EXPORT.contains(result)) {
        out.add(I2, event, format!("exporting {} gave {}", place(event), words(result)));
    }
}

//! I1: after a revoke no CPU access reaches the BAR until the function decodes again, and no
//! DMA until a new map has succeeded.
//!
//! Decided: an access that landed while the window's slot was certainly away or the function
//! certainly revoked; a DMA commanded after its mapping had certainly died and seen before a
//! new one was begun; a mapping or slot that went in although the registers had just said that
//! nothing answers, or before they were asked; a slot that went in before its mapping.
//!
//! Not decided, and therefore not judged: a DMA commanded before or during the event (it may
//! have landed before the revoke), or seen while the new mapping was being made; an access of
//! which only the end is known and that may have been made before (counted as undecided).
//! `landed` is believed:
//! whoever writes it must have made sure that the data is not that of an earlier access.

use crate::errno::OK;
use crate::findings::Findings;
use crate::verdict::Invariant::I1;
use crate::words::place;
use crate::world::{Debt, Device, Dma, P2p, Tick, World};
use barkeep_journal::{Event, SeenBy};

/// An access carried its data.
pub(crate) fn landed(world: &World, event: &Event, out: &mut Findings) {
    let (Some(device), Some(bar)) = (world.device(event), event.bar) else { return };
    match event.text.as_str() {
        "cpu" => cpu_landed(world, device, bar, event, out),
        "dma" => dma_landed(world, device, bar, event, out),
        "second" => second_landed(world, event, out),
        "importer" => importer_landed(world, event, out),
        _ => {}
    }
}

/// A revoke is over: an importing device that had the window mapped was told, and has it no more.
pub(crate) fn let_through(world: &World, event: &Event, out: &mut Findings) {
    let debt = world.device(event).and_then(|device| world.importing.owed(device, event));
    let what = match debt {
        None => return,
        Some(Debt::NotTold) => "an importer that had a window of it mapped was not told",
        Some(Debt::StillMapped) => "an importer has a window of it mapped still",
    };
    out.add(I1, event, format!("{} of {} is over, and {what}", event.trigger, place(event)));
}

fn cpu_landed(world: &World, device: &Device, bar: u8, event: &Event, out: &mut Findings) {
    // The VMM's own read does not need a slot, only a function that decodes.
    let away = if event.seen_by == SeenBy::RegionRead { None } else { all_out_since(device, bar) };
    let made = world.observed_from(event);
    let sure = |since: Option<Tick>| since.is_some_and(|since| since < made);
    let why = if sure(device.revoked_since) {
        "the function was revoked"
    } else if sure(away) {
        "its slot was away"
    } else {
        if device.revoked_since.or(away).is_some() {
            out.cannot_decide();
        }
        return;
    };
    out.add(I1, event, format!("a CPU access reached {} while {why}", place(event)));
}

/// By an address that an importing device had, and has no more.
fn importer_landed(world: &World, event: &Event, out: &mut Findings) {
    if let Some(seq) = world.importing.came_late(event) {
        let what = format!(
            "a DMA of the importer, commanded at seq {seq}, reached {} by an address of before",
            place(event)
        );
        out.add(I1, event, what);
    }
}

/// By the second process's own mapping, which nobody restores.
fn second_landed(world: &World, event: &Event, out: &mut Findings) {
    if let Some(seq) = world.second.came_late(event) {
        let what = format!(
            "a DMA of the second process, commanded at seq {seq}, reached {} after its mapping was revoked",
            place(event)
        );
        out.add(I1, event, what);
    }
}

/// Since when the slots of all windows of a BAR are certainly away.
fn all_out_since(device: &Device, bar: u8) -> Option<Tick> {
    let mut last = None;
    for window in device.windows_of(bar) {
        last = last.max(Some(window.out_since()?));
    }
    last
}

fn dma_landed(world: &World, device: &Device, bar: u8, event: &Event, out: &mut Findings) {
    let dmas = world.dmas.that_can_be(event, device);
    let late = |dma: &&Dma| {
        let target = dma.target(device).map(|window| window.p2p);
        matches!(target, Some(P2p::Dead(since)) if since < dma.since)
    };
    let Some(first) = dmas.clone().find(late) else {
        let nobodys = dmas.clone().next().is_none();
        if nobodys && device.windows_of(bar).any(|window| matches!(window.p2p, P2p::Dead(_))) {
            out.cannot_decide();
        }
        return;
    };
    if !dmas.clone().all(|dma| late(&dma)) {
        return out.cannot_decide();
    }
    let what = format!(
        "a DMA commanded at seq {} reached {} after its mapping was revoked and before it was made anew",
        first.seq,
        place(event)
    );
    out.add(I1, event, what);
}

/// A mapping or a slot went in, or was refused.
pub(crate) fn went_in(world: &World, event: &Event, out: &mut Findings) {
    let Some(device) = world.device(event).filter(|_| event.result == Some(OK)) else { return };
    if device.unsettled.is_some() && !device.asked {
        let what = format!("{} of {} succeeded before the registers were asked", event.kind, place(event));
        out.add(I1, event, what);
    }
    if let Some(found) = device.found.filter(|found| !found.live()) {
        let registers = if found.low_power {
            "the function is in low power".to_owned()
        } else if found.decode {
            format!("the function is in D{}", found.power)
        } else {
            "the function does not decode".to_owned()
        };
        out.add(I1, event, format!("{} of {} succeeded although {registers}", event.kind, place(event)));
    }
}

/// A mapping is about to be made: its slot must not be in yet, for a guest that sees its BAR
/// answer may start DMA to it at once.
pub(crate) fn map_begins(world: &World, event: &Event, out: &mut Findings) {
    let (Some(device), Some(bar), Some(address)) = (world.device(event), event.bar, event.address) else {
        return;
    };
    if device.window(bar, address).is_some_and(|window| window.put_in) {
        out.add(I1, event, format!("the slot of {} went in before its mapping was made", place(event)));
    }
}

//! I1: after a revoke no DMA reaches the BAR until a new map has succeeded, and no CPU access
//! through a slot goes to a function that is taken away.

use super::{Broken, broken, live, name};
use crate::action::{Action, Import};
use crate::happened::{Happened, What};
use crate::machine::{BAR_SIZE, ELSEWHERE, PLACES};
use crate::scene::Scene;
use crate::state::State;
use crate::station::Unseen;
use crate::thread::Work;
use barkeep_model::Kernel;
use barkeep_model::kernel::{ExportId, OnInvalidate, Section, Target, Task};
use std::sync::Arc;

pub(super) fn check(scene: &Scene, before: &State, happened: &Happened, after: &State) -> Result<(), Broken> {
    if !Arc::ptr_eq(&before.kernel, &after.kernel) {
        only_a_map_gives_access(before.kernel(), happened, after.kernel())?;
        nothing_revoked_is_reached(scene, after.kernel())?;
        no_entry_survives(scene, after.kernel())?;
        resets_have_revoked(after)?;
    }
    slots_lead_somewhere(scene, after)
}

/// Every IOVA at which a mapping begins, or a second window does.
fn addresses() -> impl Iterator<Item = u64> {
    let halves = |place: u64| [place, place + BAR_SIZE / 2];
    PLACES.into_iter().flat_map(|[home, away, _]| [home, away]).flat_map(halves).chain([ELSEWHERE])
}

/// Looks at what each device's DMA reaches before and after: where it reached nothing and does
/// now, a map's or a copy's last section must have been done.
fn only_a_map_gives_access(before: &Kernel, happened: &Happened, after: &Kernel) -> Result<(), Broken> {
    let maps = matches!(happened.what, What::Section(Section::Fill(_)))
        || happened.action == Some(Action::Import(Import::CopyElsewhere));
    if maps {
        return Ok(());
    }
    for master in 0..2 {
        for iova in addresses() {
            if before.translate(master, iova).is_none() && after.translate(master, iova).is_some() {
                let master = name(master);
                return broken(
                    "I1",
                    format!("DMA of {master} to {iova:#x} arrives again, and nobody has mapped"),
                );
            }
        }
    }
    Ok(())
}

/// Looks at what each device's DMA reaches: never a BAR whose dma-buf is revoked, or cut off from
/// a device that is closed. And at the general importer: it holds no mapping of a revoked dma-buf, but one that never lets go.
fn nothing_revoked_is_reached(scene: &Scene, kernel: &Kernel) -> Result<(), Broken> {
    let revoked = |device: usize, offset: u64| {
        let window =
            scene.windows[device].iter().position(|w| (w.offset..w.offset + w.size).contains(&offset));
        let export = |n: usize| kernel.export(scene.exports[device][n]);
        window.is_some_and(|n| export(n).is_none_or(|export| export.revoked || export.device.is_none()))
    };
    for master in 0..2 {
        for iova in addresses() {
            if let Some(Target::Bar { device, offset, .. }) = kernel.translate(master, iova)
                && revoked(device, offset)
            {
                let (master, device) = (name(master), name(device));
                return broken(
                    "I1",
                    format!("DMA of {master} to {iova:#x} reaches {device}, which is revoked"),
                );
            }
        }
    }
    if let Some((id, act)) = scene.importer
        && let Some(attachment) = kernel.attachment(id)
        && attachment.mapped
        && act != OnInvalidate::Hold
        && kernel.export(attachment.export).is_none_or(|export| export.revoked)
    {
        return broken("I1", "an importer of the general kind holds a mapping of a revoked dma-buf");
    }
    Ok(())
}

/// Looks at every reset that vfio has asked for and that is going on, of one function or of a set:
/// the dma-bufs of every function that is being reset are revoked. A reset through sysfs is not
/// vfio's.
fn resets_have_revoked(state: &State) -> Result<(), Broken> {
    for thread in (0..3).map(|thread| state.thread(thread)) {
        let devices = match (thread.task().and_then(Task::upcoming), &thread.work) {
            (Some(Section::ResetDone { device, result: Ok(()), .. }), Work::Event(..)) => {
                *device..*device + 1
            }
            (Some(Section::BusResetDone { result: Ok(()), .. }), _) => 0..2,
            _ => continue,
        };
        for device in devices {
            let exports = &state.kernel().functions()[device].exports;
            let is_live = |id: &ExportId| state.kernel().export(*id).is_some_and(|export| !export.revoked);
            if exports.iter().any(is_live) {
                let device = name(device);
                return broken("I1", format!("{device} is being reset by vfio, and a dma-buf of it is live"));
            }
        }
    }
    Ok(())
}

/// Looks at the page table entries of the BARs' mmaps: none is there while the function is taken
/// away, once whoever took it has released the memory lock.
fn no_entry_survives(scene: &Scene, kernel: &Kernel) -> Result<(), Broken> {
    for device in 0..2 {
        let function = &kernel.functions()[device];
        let away = !kernel.memory_enabled(device) || function.low_power;
        let populated = |id| kernel.vma(id).is_some_and(|vma| vma.populated);
        if away && !function.memory_lock && scene.vmas[device].iter().any(|id| populated(*id)) {
            return broken("I1", format!("a page table entry of {} outlived its revoke", name(device)));
        }
    }
    Ok(())
}

/// Looks at every slot that is in, in every state in which the keeper was told of all that
/// happened: the function behind it answers, the kernel lets the CPU at it, and the slot is where
/// the BAR is.
fn slots_lead_somewhere(scene: &Scene, state: &State) -> Result<(), Broken> {
    for device in 0..2 {
        let station = state.station(device);
        if station.unseen != Unseen::No {
            continue;
        }
        for (n, slot) in station.slots.iter().enumerate() {
            let Some(address) = *slot else { continue };
            let base = scene.base(state.kernel(), device);
            let right = base.is_some_and(|base| base + scene.windows[device][n].offset == address);
            // A BAR that is moving is moved by a write the keeper lets through: the slot is out.
            if !live(scene, state, device) || !right {
                let why = if right { "is taken away" } else { "is not there" };
                return broken(
                    "I1",
                    format!(
                        "the slot at {address:#x} leads to {}, which {why}; the keeper was told",
                        name(device)
                    ),
                );
            }
        }
    }
    Ok(())
}

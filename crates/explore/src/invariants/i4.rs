//! I4: nothing is left of a device that everybody has closed.

use super::{Broken, broken, name};
use crate::scene::Scene;
use crate::state::State;
use barkeep_model::op::{PAGE, RAM_IOVA, SPACES};

/// Looks at each device whose file nobody has open, whose dma-bufs nobody has open or mapped
/// elsewhere, and which no thread is concerned with: no file, no dma-buf and no mapping of it is
/// left in the kernel, its IOVAs are free and no slot is in. When that is so of both, the kernel
/// has nothing but the RAM every space began with.
pub(super) fn check(scene: &Scene, state: &State) -> Result<(), Broken> {
    let over = [0, 1].map(|device| is_over(scene, state, device));
    for device in (0..2).filter(|device| over[*device]) {
        if let Some(left) = left(scene, state, device) {
            return broken("I4", format!("{} is closed and {left} is left", name(device)));
        }
    }
    if over == [true, true] {
        let census = state.kernel().census();
        if census != [0, 0, 0, 0, SPACES, 0] {
            return broken(
                "I4",
                format!(
                    "all is closed and {census:?} files, mappings, dma-bufs, attachments, pages are left"
                ),
            );
        }
        let ram = |space: &barkeep_model::kernel::Space| {
            space.areas.iter().all(|area| (area.iova, area.length) == (RAM_IOVA, PAGE))
        };
        if !state.kernel().spaces().iter().all(ram) {
            return broken("I4", "all is closed and an IOVA is still taken");
        }
    }
    Ok(())
}

fn is_over(scene: &Scene, state: &State, device: usize) -> bool {
    let station = state.station(device);
    let concerned = (0..3).map(|n| state.thread(n)).any(|thread| thread.device == device && !thread.idle());
    let elsewhere = state.kernel().spaces()[crate::scene::OTHER_SPACE].areas.len() > 1;
    let imported = scene.importer.is_some_and(|(id, _)| state.kernel().attachment(id).is_some());
    !station.open
        && !station.shared
        && !station.busy
        && !concerned
        && !(device == 0 && (elsewhere || imported))
        && station.buffers == [false, false]
}

fn left(scene: &Scene, state: &State, device: usize) -> Option<&'static str> {
    let kernel = state.kernel();
    if state.station(device).slots != [None, None] {
        return Some("a slot");
    }
    if kernel.file(scene.files[device]).is_some() {
        return Some("its file");
    }
    let windows = scene.windows[device].len();
    if (0..windows).any(|n| kernel.vma(scene.vmas[device][n]).is_some()) {
        return Some("a mapping of its BAR");
    }
    if (0..windows).any(|n| kernel.export(scene.exports[device][n]).is_some()) {
        return Some("a dma-buf");
    }
    None
}

//! No deadlock.

use super::{Broken, broken};
use crate::scene::Scene;
use crate::state::State;
use barkeep_model::kernel::{OnInvalidate, Section};

/// Looks at a state in which no thread can go on: every thread has nothing to do. The one excuse
/// is an importer that never unmaps: the kernel waits for it without an end, and with it whoever
/// wants the same device.
pub(super) fn check(scene: &Scene, state: &State) -> Result<(), Broken> {
    let busy = (0..3).filter(|thread| !state.thread(*thread).idle()).count();
    if busy == 0 {
        return Ok(());
    }
    let holder = matches!(scene.importer, Some((_, OnInvalidate::Hold)));
    let waits_for_it = (0..3).any(|thread| {
        let upcoming = state.thread(thread).task().and_then(|task| task.upcoming());
        matches!(upcoming, Some(Section::WaitForImporters(_)))
    });
    if holder && waits_for_it {
        return Ok(());
    }
    broken("deadlock", format!("{busy} threads wait and none can go on"))
}

//! I3: once everything is over that the keeper was told of, both ways are back, or both away.

use super::{Broken, broken, live, name, peers_reach};
use crate::Scenario;
use crate::scene::Scene;
use crate::state::State;
use crate::station::Unseen;
use crate::thread::Work;
use barkeep_export::Mapping;

/// Looks at each device no thread of the VMM is concerned with and to which nothing happened
/// unseen. If the function is live and its BAR has a place: every window's slot is in, at the
/// right address; every peer's DMA to that address ends in the right BAR at the right offset. If
/// it is not: no slot is in.
pub(super) fn check(scene: &Scene, state: &State) -> Result<(), Broken> {
    for device in 0..2 {
        let station = state.station(device);
        let concerned = (0..3).map(|thread| state.thread(thread)).any(|thread| {
            thread.device == device
                && matches!(thread.work, Work::Event(..) | Work::Plain(..) | Work::Waiting(_))
        });
        // Something has woken a device that was to be woken: an eventfd tells the VMM, which leaves
        // low power then, and before it has nothing is over.
        let woken = station.shadow.low_power() && !state.kernel().functions()[device].low_power;
        if concerned || woken || station.busy || station.unseen != Unseen::No {
            continue;
        }
        let base = scene.base(state.kernel(), device).filter(|_| station.open && live(scene, state, device));
        for window in 0..scene.windows[device].len() {
            let offset = scene.windows[device][window].offset;
            let slot = station.slots[window];
            if slot != base.map(|base| base + offset) {
                let slot = slot.map_or("out".to_owned(), |at| format!("in at {at:#x}"));
                let wanted = base.map_or("out".to_owned(), |base| format!("in at {:#x}", base + offset));
                return broken(
                    "I3",
                    format!(
                        "all is over and the slot of {}'s window {window} is {slot}, not {wanted}",
                        name(device)
                    ),
                );
            }
            let Some(base) = base else { continue };
            let excused = !station.buffers[window] || is_loud(scene, station.kept.mapping(window));
            if !excused && !peers_reach(scene, state.kernel(), device, window, base) {
                return broken(
                    "I3",
                    format!("all is over and a peer's DMA does not reach {}'s window {window}", name(device)),
                );
            }
        }
    }
    Ok(())
}

/// A mapping that was refused because somebody else has the IOVA: the driver says so in the
/// journal, and that is all that can be done.
fn is_loud(scene: &Scene, mapping: Mapping) -> bool {
    scene.scenario == Scenario::InTheWay
        && match mapping {
            Mapping::Refused(errno) => {
                errno == barkeep_export::Errno::EXIST || errno == barkeep_export::Errno::BUSY
            }
            Mapping::Unwanted | Mapping::None | Mapping::Live(_) | Mapping::Dead(_) => false,
        }
}

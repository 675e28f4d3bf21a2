//! The keeper's order: slots first away and last back.

use super::{Broken, broken, live, name, peers_reach};
use crate::Scenario;
use crate::happened::{Happened, What};
use crate::scene::Scene;
use crate::state::State;
use crate::station::Unseen;
use barkeep_export::Step;

/// Looks at the moment in which an event is let through: no slot of the device is in. And at the
/// moment in which a slot is put back: the function is live, and peers reach the window already,
/// for a guest that sees its BAR answer may start a DMA at once. What happened unseen, or a
/// dma-buf that is closed, excuses the second.
pub(super) fn check(scene: &Scene, happened: &Happened, after: &State) -> Result<(), Broken> {
    let device = happened.device;
    let station = after.station(device);
    match happened.what {
        What::Entered(Some(Step::LetThrough)) if station.slots != [None, None] => {
            broken("order", format!("an event of {} was let through while a slot was in", name(device)))
        }
        What::Slot { window, address, put: true } if station.unseen != Unseen::Yes => {
            let base = address - scene.windows[device][window].offset;
            let excused = !station.buffers[window] || scene.scenario == Scenario::InTheWay;
            if !live(scene, after, device) {
                return broken("order", format!("a slot of {} was put in while it is away", name(device)));
            }
            if !excused && !peers_reach(scene, after.kernel(), device, window, base) {
                return broken("order", format!("a slot of {} was put in before its mapping", name(device)));
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

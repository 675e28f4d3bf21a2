//! I2: every errno is the one that is due.

use super::{Broken, broken, name};
use crate::Scenario;
use crate::happened::Happened;
use crate::scene::Scene;
use crate::state::State;
use crate::station::Unseen;
use barkeep_export::Step;
use barkeep_model::Errno;

/// Looks at what each of the keeper's steps came to. A keeper that was told of all that happened
/// maps only what is live and where nothing is, and drops only what is there: its maps and unmaps
/// succeed. Where something happened unseen a map may meet ENODEV, if the dma-buf is revoked.
pub(super) fn check(scene: &Scene, happened: &Happened, after: &State) -> Result<(), Broken> {
    let Some((step, Err(errno))) = happened.answer else {
        return Ok(());
    };
    let device = happened.device;
    let told = after.station(device).unseen != Unseen::Yes;
    let export = |window: usize| after.kernel().export(scene.exports[device][window]);
    let due = match step {
        // A slot comes and goes as the keeper says.
        Step::WithdrawSlot { .. } | Step::PutBackSlot { .. } => false,
        Step::LetThrough => match errno {
            // No reset, or one that somebody else is at, or that is not to be had any more.
            Errno::ENOTTY | Errno::EAGAIN | Errno::EINVAL => true,
            Errno::ENODEV => !after.station(device).open,
            _ => false,
        },
        Step::FindOut => false,
        Step::MakeMapping { window, address } => match errno {
            Errno::ENOENT => !after.station(device).buffers[window],
            Errno::ENODEV => !told && export(window).is_some_and(|export| export.revoked),
            Errno::EEXIST => in_the_way(scene) && something_at(after, address),
            _ => false,
        },
        // The other half of a map is still being made there.
        Step::DropMapping { .. } => in_the_way(scene) && errno == Errno::EBUSY,
    };
    if due { Ok(()) } else { broken("I2", format!("{errno} at {step:?} of {}", name(device))) }
}

fn in_the_way(scene: &Scene) -> bool {
    scene.scenario == Scenario::InTheWay
}

fn something_at(state: &State, iova: u64) -> bool {
    state.kernel().spaces()[crate::scene::SPACE].areas.iter().any(|area| area.iova == iova)
}

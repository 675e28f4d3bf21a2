//! How a run is disturbed: pauses between the VMM's own steps.

use crate::draw::Draw;
use crate::language::Perturb;
use crate::world::World;

/// Pauses have a stream of their own: what the scenario draws stays what it is without them.
const STREAM: u64 = 0x7061_7573_6573_2121;

/// Has every event pause between its steps, if that is asked for.
pub(crate) fn pauses(perturb: &Perturb, world: &dyn World, seed: u64) {
    let &Perturb { pauses, one_in, noise: _ } = perturb;
    if pauses.longest().is_zero() {
        return;
    }
    let mut draw = Draw::new(seed ^ STREAM);
    world.board().pauses(Box::new(move || {
        let is_one = draw.up_to(u64::from(one_in.max(1) - 1)) == 0;
        is_one.then(|| pauses.drawn(&mut draw).longest())
    }));
}

//! Who takes part in an episode. A storm in which everybody always acts meets the states of their
//! average again and again; with some left out each seed stresses another mix (Groce and others,
//! "Swarm Testing", ISSTA 2012).

use barkeep_scenario::draw::Draw;
use barkeep_scenario::language::{Move, Storm, StormActor, revokes};

/// One in so many episodes leaves nobody out.
const FULL_ONE_IN: u64 = 4;
/// An actor, or a move of one, is left out in one of so many of the others.
const OUT_ONE_IN: u64 = 4;
/// Tries to find a mix that revokes something, before all take part.
const TRIES: u32 = 8;

/// An actor that takes part, with the moves it has this time; none of weight zero.
pub struct Player<'a> {
    pub actor: &'a StormActor,
    pub moves: Vec<&'a Move>,
}

/// Those who take part. One of their moves revokes something.
pub fn players<'a>(storm: &'a Storm, draw: &mut Draw) -> Vec<Player<'a>> {
    if !one_in(FULL_ONE_IN, draw) {
        for _ in 0..TRIES {
            let some = some(storm, draw);
            if some.iter().any(Player::revokes) {
                return some;
            }
        }
    }
    all(storm)
}

fn all(storm: &Storm) -> Vec<Player<'_>> {
    let actors = storm.actors.iter().filter(|actor| actor.weight > 0);
    actors.map(Player::with_all_moves).collect()
}

fn some<'a>(storm: &'a Storm, draw: &mut Draw) -> Vec<Player<'a>> {
    let mut players = all(storm);
    players.retain(|_| !one_in(OUT_ONE_IN, draw));
    for player in &mut players {
        player.moves.retain(|_| !one_in(OUT_ONE_IN, draw));
    }
    players.retain(|player| !player.moves.is_empty());
    players
}

fn one_in(number: u64, draw: &mut Draw) -> bool {
    draw.up_to(number - 1) == 0
}

impl<'a> Player<'a> {
    fn with_all_moves(actor: &'a StormActor) -> Self {
        Self { actor, moves: actor.moves.iter().filter(|step| step.weight > 0).collect() }
    }

    fn revokes(&self) -> bool {
        self.moves.iter().any(|step| revokes(&step.actions) > 0)
    }

    /// Leaves only moves that revoke something.
    pub fn only_revoking(&mut self) {
        self.moves.retain(|step| revokes(&step.actions) > 0);
    }
}

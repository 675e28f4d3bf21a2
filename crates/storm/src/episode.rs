//! Of a storm and a seed, one plain scenario.

use crate::error::StormError;
use crate::swarm::{Player, players};
use barkeep_check::Mark;
use barkeep_scenario::draw::Draw;
use barkeep_scenario::language::{Action, MOVES_PER_RESET, Move, Purpose, Storm};
use barkeep_scenario::nearest::nearest;
use barkeep_scenario::units::Lapse;
use barkeep_scenario::{Scenario, language};

/// Set beside the seed: the runner draws its times from the seed itself.
const STREAM: u64 = 0x73_74_6f_72_6d;
/// The largest seed a scenario file can carry.
pub const LARGEST_SEED: u64 = i64::MAX as u64;

/// The episode of a seed: the storm's set-up, its actors' actions interleaved until its resets are
/// used up and every move that was begun is over, and one of its endings.
///
/// The same storm and seed give the same episode; its text reads back as the same.
///
/// # Errors
/// It is no storm, or no file could carry the seed.
pub fn episode(storm: &Scenario, seed: u64) -> Result<Scenario, StormError> {
    let table = table(storm)?;
    if seed > LARGEST_SEED {
        return Err(StormError::Seed(seed));
    }
    let mut draw = Draw::new(seed ^ STREAM);
    let mut actions = storm.actions.clone();
    Interleave::new(table, &mut draw).write(&mut actions);
    let ending = &table.endings[drawn(table.endings.iter().map(|ending| ending.weight), &mut draw)];
    if ending.within != Lapse::default() {
        actions.push(Action::Sleep { time: ending.within, vcpu: 0, purpose: Purpose::Itself });
    }
    actions.extend(ending.actions.iter().cloned());
    let Scenario { version, name, topology, seed: _, guest, simulated, perturb, storm: _, actions: _ } =
        storm;
    let episode = Scenario {
        version: *version,
        name: format!("{name} seed {seed}"),
        topology: topology.clone(),
        seed: Some(seed),
        guest: guest.clone(),
        simulated: simulated.clone(),
        perturb: *perturb,
        storm: None,
        actions,
    };
    episode.validate()?;
    Ok(episode)
}

/// The storm in a scenario that is one, and requires only marks that there are.
pub fn table(storm: &Scenario) -> Result<&Storm, StormError> {
    let table = storm.storm.as_ref().ok_or_else(|| StormError::NoStorm(storm.name.clone()))?;
    match table.require.iter().find(|name| Mark::from_name(name).is_none()) {
        None => Ok(table),
        Some(name) => Err(StormError::NoMark {
            storm: storm.name.clone(),
            name: name.clone(),
            nearest: nearest(name, Mark::ALL.iter().map(|mark| mark.name())),
        }),
    }
}

/// Which of several was drawn, each as often as its weight says.
fn drawn(weights: impl Iterator<Item = u32> + Clone, draw: &mut Draw) -> usize {
    let sum: u64 = weights.clone().map(u64::from).sum();
    let mut left = draw.up_to(sum.saturating_sub(1));
    for (number, weight) in weights.enumerate() {
        match left.checked_sub(weight.into()) {
            None => return number,
            Some(rest) => left = rest,
        }
    }
    0
}

/// Actors that take turns.
struct Interleave<'a, 'd> {
    players: Vec<Player<'a>>,
    /// What is left of the move that each of them is in.
    left: Vec<&'a [Action]>,
    resets: u64,
    draw: &'d mut Draw,
}

impl<'a, 'd> Interleave<'a, 'd> {
    fn new(storm: &'a Storm, draw: &'d mut Draw) -> Self {
        let players = players(storm, draw);
        Self { left: vec![&[]; players.len()], players, resets: storm.resets, draw }
    }

    /// One action after the other, each of whoever's turn it is.
    fn write(mut self, actions: &mut Vec<Action>) {
        let (mut planned, mut begun) = (0, 0);
        let most = self.resets.saturating_mul(MOVES_PER_RESET);
        loop {
            let more = planned < self.resets;
            let Some(turn) = self.turn(more) else { return };
            if self.left[turn].is_empty() {
                if begun == most {
                    self.only_revoking();
                }
                begun += 1;
                if self.players[turn].moves.is_empty() {
                    continue;
                }
                let moves = &self.players[turn].moves;
                let step: &'a Move = moves[drawn(moves.iter().map(|step| step.weight), self.draw)];
                planned += language::revokes(&step.actions);
                self.left[turn] = &step.actions;
            }
            if let Some((action, rest)) = self.left[turn].split_first() {
                actions.push(action.clone());
                self.left[turn] = rest;
            }
        }
    }

    /// Whose turn it is: of all, while moves are still begun, and then of those inside one.
    fn turn(&mut self, more: bool) -> Option<usize> {
        let weight = |(player, left): (&Player<'_>, &&[Action])| {
            let acts = !left.is_empty() || more && !player.moves.is_empty();
            if acts { player.actor.weight } else { 0 }
        };
        let weights: Vec<u32> = self.players.iter().zip(&self.left).map(weight).collect();
        let somebody = weights.iter().any(|weight| *weight > 0);
        somebody.then(|| drawn(weights.into_iter(), self.draw))
    }

    /// Too little was revoked so far: whoever cannot revoke begins nothing any more.
    fn only_revoking(&mut self) {
        self.players.iter_mut().for_each(Player::only_revoking);
    }
}

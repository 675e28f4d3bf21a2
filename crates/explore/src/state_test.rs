use super::*;
use crate::Scenario;
use crate::invariants::check_stuck;
use crate::pool::Pool;
use crate::search::go;
use crate::thread::{Turn, Work};
use barkeep_model::kernel::OnInvalidate;

/// A pseudo-random walk that is the same every time (xorshift64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}

/// The transition that does to the other device, on the other vCPU, what this one does.
fn mirrored(scene: &Scene, transition: u16) -> u16 {
    let cpu = |thread: usize| [1, 0, 2][thread];
    let Some(number) = usize::from(transition).checked_sub(3) else {
        return cpu(transition.into()) as u16;
    };
    let (thread, device, action) = scene.actions[number];
    let other = (cpu(thread), 1 - device, action);
    let at = scene.actions.iter().position(|known| *known == other).expect("both devices have it");
    at as u16 + 3
}

/// Whatever is done, and done to the other device instead: the fingerprints are the same, at
/// every step, although neither state is the other.
#[test]
fn which_device_is_which_makes_no_difference() {
    for scenario in [Scenario::Pair, Scenario::Moving, Scenario::Unseen, Scenario::Endings] {
        let (scene, first) = Scene::new(scenario, None);
        let pool = Pool::default();
        let mut dice = Dice(0x5eed);
        let mut apart = 0;
        for _ in 0..300 {
            let (mut one, mut two) = (first.clone(), first.clone());
            for _ in 0..80 {
                let transition = dice.below(3 + scene.actions.len()) as u16;
                let next = go(&scene, &pool, &one, transition);
                let other = go(&scene, &pool, &two, mirrored(&scene, transition));
                assert_eq!(next.is_some(), other.is_some(), "{scenario}: {transition}");
                let (Some((next, _)), Some((other, _))) = (next, other) else { continue };
                assert_eq!(next.print(&scene), other.print(&scene), "{scenario}: {transition}");
                apart += usize::from(next.kernel() != other.kernel());
                (one, two) = (next, other);
            }
        }
        assert!(apart > 500, "{scenario}: the walks went the same way {apart}");
    }
}

/// States of the same fingerprint have the same kernel and the same slots.
#[test]
fn what_differs_has_another_fingerprint() {
    let (scene, first) = Scene::new(Scenario::TwoWindows, None);
    let pool = Pool::default();
    let mut known = std::collections::BTreeMap::new();
    let (mut level, mut met_again) = (vec![first], 0);
    for _ in 0..6 {
        let mut next = Vec::new();
        for state in &level {
            for transition in 0..3 + scene.actions.len() as u16 {
                let Some((after, _)) = go(&scene, &pool, state, transition) else { continue };
                let seen = (after.kernel().clone(), [0, 1].map(|device| after.station(device).slots));
                match known.get(&after.print(&scene)) {
                    Some(same) => {
                        assert_eq!(*same, seen);
                        met_again += 1;
                    }
                    None => {
                        known.insert(after.print(&scene), seen);
                        next.push(after);
                    }
                }
            }
        }
        level = next;
    }
    assert!(known.len() > 100 && met_again > 20, "{} {met_again}", known.len());
}

/// A thread that waits for what never comes is found, unless it is an importer that never unmaps.
#[test]
fn a_deadlock_is_seen() {
    let (mut scene, first) = Scene::new(Scenario::Holder, None);
    let pool = Pool::default();
    let off = scene.actions.iter().position(|(_, device, _)| *device == 0).expect("A has actions");
    let (mut state, _) = go(&scene, &pool, &first, off as u16 + 3).expect("nothing is under way");
    while let Some((next, _)) = go(&scene, &pool, &state, 0) {
        state = next;
    }
    assert!(!state.thread(0).idle(), "the importer holds its mapping, so the revoke waits");
    assert_eq!(check_stuck(&scene, &state), Ok(()));
    let (id, _) = scene.importer.expect("there is one");
    scene.importer = Some((id, OnInvalidate::Unmap));
    assert!(check_stuck(&scene, &state).is_err());
    let waiting = Work::Waiting(Turn::Event(barkeep_export::Cause::SUSPECT));
    let mut draft = Draft::of(&scene, &pool, &first);
    draft.set_thread(1, Thread { device: 1, work: waiting });
    draft.station_mut(1).busy = true;
    assert!(check_stuck(&scene, &draft.finish().0).is_err());
}

//! The search: every state that can be reached with so many actions, those with fewer first, and
//! of those the ones with fewer steps.
//!
//! A state is seen once, when it is reached with the fewest actions, so a bound on actions cuts
//! off nothing that a shorter way would reach. What is stored of a state is its fingerprint and
//! how it was reached; the state itself lives only until its successors are known.

use crate::happened::Happened;
use crate::invariants::{self, Broken};
use crate::outcome::{Count, Outcome, Verdict};
use crate::pool::Pool;
use crate::print::{AsIs, Print};
use crate::scene::Scene;
use crate::state::State;
use crate::step;
use crate::trace;
use crate::{Mutant, Scenario};
use barkeep_model::{Kernel, Rule, RuleSet};
use rayon::prelude::*;
use std::collections::{BTreeMap, HashSet};
use std::time::Instant;

/// States whose successors are made at a time: enough for all cores, and few to keep at once.
const BATCH: usize = 1 << 13;
/// The transitions that are steps of threads; the ones above are actions.
const THREADS: usize = 3;

/// What to explore, and how far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exploration {
    /// The set-up, and what may happen.
    pub scenario: Scenario,
    /// How many actions at most.
    pub depth: usize,
    /// An error planted around the keeper.
    pub mutant: Option<Mutant>,
    /// An error planted in the specified kernel.
    pub planted: Option<Rule>,
}

impl Exploration {
    /// A scenario with nothing planted, to its own depth.
    #[must_use]
    pub fn of(scenario: Scenario) -> Self {
        Self { scenario, depth: scenario.depth(), mutant: None, planted: None }
    }

    /// A planted error, in the scenario in which it makes a difference.
    #[must_use]
    pub fn of_mutant(mutant: Mutant) -> Self {
        Self { mutant: Some(mutant), ..Self::of(mutant.scenario()) }
    }

    /// Explores.
    #[must_use]
    pub fn run(self) -> Outcome {
        let begun = Instant::now();
        let (scene, first) = self.scene();
        let (verdict, count) = Search::new(&scene, self.depth).run(first.clone());
        let verdict = match verdict {
            Found::Everything => Verdict::Holds { exhausted: true },
            Found::Bound => Verdict::Holds { exhausted: false },
            Found::Broken(broken, path) => {
                Verdict::Broken { broken, trace: trace::words(&scene, &first, &path) }
            }
        };
        Outcome { exploration: self, verdict, count, took: begun.elapsed() }
    }

    pub(crate) fn scene(self) -> (Scene, State) {
        let Some(rule) = self.planted else {
            return Scene::new(self.scenario, self.mutant);
        };
        let hardware = self.scenario.kind().hardware();
        let kernel = Kernel::new(&hardware, barkeep_model::Profile::V7_3).expect("functions can be so");
        Scene::on(kernel.with_planted(rule), self.scenario, self.mutant)
    }
}

/// What a search came to.
enum Found {
    /// No action leads anywhere new.
    Everything,
    /// The bound was met.
    Bound,
    /// Something that must not be, and the transitions that lead there.
    Broken(Broken, Vec<u16>),
}

/// How a state was reached.
#[derive(Clone, Copy)]
struct Link {
    parent: u32,
    transition: u16,
}

/// A state whose successors are not known yet.
struct Pending {
    number: u32,
    state: State,
}

/// A successor, and what is wrong with it.
struct Successor {
    transition: u16,
    print: Print,
    state: State,
    reached: RuleSet,
    wrong: Option<Broken>,
}

/// What became of a state.
struct Expanded {
    number: u32,
    successors: Vec<Successor>,
    wrong: Option<Broken>,
}

struct Search<'a> {
    scene: &'a Scene,
    depth: usize,
    seen: HashSet<Print, AsIs>,
    links: Vec<Link>,
    /// By actions, then by steps.
    pending: BTreeMap<(usize, usize), Vec<Pending>>,
    pool: Pool,
    transitions: u64,
    /// Rules of the specification that decided something.
    reached: RuleSet,
    /// Something new lies behind the bound.
    cut: bool,
}

impl<'a> Search<'a> {
    fn new(scene: &'a Scene, depth: usize) -> Self {
        Self {
            scene,
            depth,
            seen: HashSet::default(),
            links: Vec::new(),
            pending: BTreeMap::new(),
            pool: Pool::default(),
            transitions: 0,
            reached: RuleSet::default(),
            cut: false,
        }
    }

    fn run(mut self, first: State) -> (Found, Count) {
        if let Err(broken) = invariants::check_first(self.scene, &first) {
            return (Found::Broken(broken, Vec::new()), self.count());
        }
        self.add(first.print(self.scene), Link { parent: 0, transition: 0 }, first, (0, 0));
        while let Some(((actions, steps), level)) = self.pending.pop_first() {
            let mut level = level;
            while !level.is_empty() {
                let rest = level.split_off(level.len().min(BATCH));
                let batch = std::mem::replace(&mut level, rest);
                if let Some(found) = self.batch(batch, actions, steps) {
                    return (found, self.count());
                }
            }
        }
        let found = if self.cut { Found::Bound } else { Found::Everything };
        (found, self.count())
    }

    fn count(&self) -> Count {
        Count { states: self.seen.len() as u64, transitions: self.transitions, reached: self.reached }
    }

    /// Makes the successors of some states on all cores, and takes them in in their order: the
    /// same numbers every time.
    fn batch(&mut self, batch: Vec<Pending>, actions: usize, steps: usize) -> Option<Found> {
        let (scene, pool, last) = (self.scene, &self.pool, actions == self.depth);
        // Behind the bound it is only asked whether there is anything.
        let act = !last || !self.cut;
        let expanded: Vec<Expanded> =
            batch.into_par_iter().map(|pending| expand(scene, pool, pending, act)).collect();
        for Expanded { number, successors, wrong } in expanded {
            if let Some(broken) = wrong {
                return Some(Found::Broken(broken, self.path(number)));
            }
            for Successor { transition, print, state, reached, wrong } in successors {
                let is_action = usize::from(transition) >= THREADS;
                if is_action && last {
                    self.cut |= !self.seen.contains(&print);
                    continue;
                }
                self.transitions += 1;
                self.reached.extend(reached);
                if let Some(broken) = wrong {
                    let mut path = self.path(number);
                    path.push(transition);
                    return Some(Found::Broken(broken, path));
                }
                let link = Link { parent: number, transition };
                self.add(print, link, state, (actions + usize::from(is_action), steps + 1));
            }
        }
        None
    }

    fn add(&mut self, print: Print, link: Link, state: State, at: (usize, usize)) {
        if !self.seen.insert(print) {
            return;
        }
        let number = self.links.len() as u32;
        self.links.push(link);
        let State { kernel, stations, threads } = state;
        let state = State {
            kernel: self.pool.kernels.share(kernel),
            stations: stations.map(|station| self.pool.stations.share(station)),
            threads: threads.map(|thread| self.pool.threads.share(thread)),
        };
        self.pending.entry(at).or_default().push(Pending { number, state });
    }

    /// The transitions from the first state to this one.
    fn path(&self, mut number: u32) -> Vec<u16> {
        let mut path = Vec::new();
        while number != 0 {
            let Link { parent, transition } = self.links[number as usize];
            path.push(transition);
            number = parent;
        }
        path.reverse();
        path
    }
}

/// The successors of a state; with `act` also by actions.
fn expand(scene: &Scene, pool: &Pool, pending: Pending, act: bool) -> Expanded {
    let Pending { number, state } = pending;
    let mut successors = Vec::new();
    let actions = if act { scene.actions.len() } else { 0 };
    for transition in 0..THREADS + actions {
        let Some((after, happened)) = go(scene, pool, &state, transition as u16) else {
            continue;
        };
        let wrong = invariants::check(scene, &state, &happened, &after).err();
        let print = after.print(scene);
        let reached = happened.reached;
        successors.push(Successor { transition: transition as u16, print, state: after, reached, wrong });
    }
    let stuck = successors.iter().all(|successor| usize::from(successor.transition) >= THREADS);
    let wrong = if stuck { invariants::check_stuck(scene, &state).err() } else { None };
    Expanded { number, successors, wrong }
}

/// The transition of this number, if it can be.
pub(crate) fn go(scene: &Scene, pool: &Pool, state: &State, transition: u16) -> Option<(State, Happened)> {
    match usize::from(transition).checked_sub(THREADS) {
        None => step::step(scene, pool, state, transition.into()),
        Some(number) => step::act(scene, pool, state, number),
    }
}

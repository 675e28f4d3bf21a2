//! Which orders there are.
//!
//! Two processes with half a dozen steps each make millions of interleavings. But what a step
//! does can only depend on what both hold and on what the kernel has: orders that come to the
//! same state are the same from there on. So the states are searched instead, on the
//! specification, and the orders are walks through them, as few as are needed so that
//!
//! * quick: every step is taken with everything its own process can hold, and with everything the
//!   other can hold meanwhile, but not with every pair of the two;
//! * all: every step is taken in every state, and there after every other step that leads to that
//!   state. A state that is more to the real kernel than to the specification shows there: what
//!   comes next then depends on how it was come to.
//!
//! A [`Theme`] says which steps are among them; all of them at once would multiply states that
//! have nothing to do with each other.

use crate::graph::{Edge, Graph};
use crate::spec::{Flight, Holdings, Spec};
use crate::step::{End, ExporterStep as E, ImporterStep as I, Order, Side, Step};
use std::collections::{BTreeSet, HashMap};

/// What orders are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Theme {
    /// Each process gives up each thing it holds, in any order, or dies at any moment.
    Closing,
    /// The exporter resets its device or takes decode away while it lives.
    Revoking,
    /// A DMA is in flight while any one thing happens.
    InFlight,
}

impl Theme {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Closing, Self::Revoking, Self::InFlight];

    /// What it is about, as a heading.
    #[must_use]
    pub fn heading(self) -> &'static str {
        match self {
            Self::Closing => "each gives up what it holds, in any order, or dies",
            Self::Revoking => "the exporter revokes while it lives",
            Self::InFlight => "a DMA is in flight while one thing happens",
        }
    }

    fn has(self, step: Step, state: &Spec) -> bool {
        match self {
            Self::Closing => match step {
                Step::Exporter(E::Flr | E::DecodeOff | E::DecodeOn) | Step::Importer(I::StartDma) => false,
                // A process that has nothing but a detached device goes on with closing it.
                Step::Importer(I::Detach) => true,
                Step::Exporter(
                    E::CloseBuffer | E::UnmapBar | E::CloseDevice | E::CloseContext | E::End(_),
                )
                | Step::Importer(
                    I::Receive
                    | I::Map
                    | I::Unmap
                    | I::CloseBuffer
                    | I::CloseDevice
                    | I::CloseContext
                    | I::End(_),
                ) => true,
            },
            Self::Revoking => match step {
                Step::Exporter(E::Flr | E::DecodeOff | E::DecodeOn | E::UnmapBar | E::CloseDevice)
                | Step::Exporter(E::End(End::Kill))
                | Step::Importer(I::Receive | I::Map | I::Unmap | I::End(End::Kill)) => true,
                Step::Exporter(E::CloseBuffer | E::CloseContext | E::End(End::Exit))
                | Step::Importer(
                    I::StartDma
                    | I::CloseBuffer
                    | I::Detach
                    | I::CloseDevice
                    | I::CloseContext
                    | I::End(End::Exit),
                ) => false,
            },
            Self::InFlight => match (state.flight(), step) {
                (Flight::Ahead, Step::Importer(I::Receive | I::Map | I::StartDma)) => true,
                (Flight::Ahead, _) => false,
                (Flight::Under, Step::Importer(I::Receive | I::Map | I::StartDma)) => false,
                (Flight::Under, _) => true,
                (Flight::Over, step) => {
                    matches!(step, Step::Exporter(E::End(End::Kill)) | Step::Importer(I::End(End::Kill)))
                }
            },
        }
    }
}

impl Theme {
    fn shows(self, step: Step, state: &Spec, number: usize) -> Vec<Shown> {
        match self {
            Self::Closing => {
                let holdings = [Side::Exporter, Side::Importer].map(|side| state.holdings(side));
                holdings.into_iter().map(|held| Shown::With(step, held)).collect()
            }
            // Few enough.
            Self::Revoking | Self::InFlight => vec![Shown::In(step, number)],
        }
    }
}

/// What of a step in a state stands for others like it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Shown {
    /// The step with what one process holds, whatever the other does.
    With(Step, Holdings),
    /// The step in this state.
    In(Step, usize),
}

/// The states of a theme, and the steps between them.
#[must_use]
pub fn states(start: &Spec, theme: Theme) -> Graph<Step> {
    let mut numbers = HashMap::from([(start.clone(), 0)]);
    let mut states = vec![start.clone()];
    let mut shown: HashMap<Shown, usize> = HashMap::new();
    let mut edges: Vec<Vec<Edge<Step>>> = Vec::new();
    while edges.len() < states.len() {
        let state = states[edges.len()].clone();
        let mut out = Vec::new();
        for (step, _) in Step::ALL {
            if !state.is_possible(step) || !theme.has(step, &state) {
                continue;
            }
            let mut next = state.clone();
            next.step(step);
            let target = *numbers.entry(next.clone()).or_insert_with(|| {
                states.push(next);
                states.len() - 1
            });
            let shows = theme.shows(step, &state, edges.len()).into_iter().map(|what| {
                let number = shown.len();
                *shown.entry(what).or_insert(number)
            });
            out.push(Edge { label: step, target, shows: shows.collect() });
        }
        edges.push(out);
    }
    Graph { edges }
}

/// How much is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Every step with whatever either process holds.
    Quick,
    /// Every step in every state after every step that leads there.
    All,
}

/// The orders of all themes, each once, with the theme it is of.
#[must_use]
pub fn orders(start: &Spec, extent: Extent) -> Vec<(Theme, Order)> {
    let mut seen = BTreeSet::new();
    let mut orders = Vec::new();
    for theme in Theme::ALL {
        let graph = states(start, theme);
        let walks = match extent {
            Extent::Quick => graph.cover(),
            Extent::All => graph.pairs().cover(),
        };
        let walks = walks.into_iter().map(Order).filter(|order| seen.insert(order.clone()));
        orders.extend(walks.map(|order| (theme, order)));
    }
    orders
}

/// Whether an order can be carried out, and ends with both processes gone.
///
/// # Errors
/// See [`Impossible`].
pub fn check(start: &Spec, order: &Order) -> Result<(), Impossible> {
    let mut state = start.clone();
    for (at, step) in order.0.iter().enumerate() {
        if !state.is_possible(*step) {
            return Err(Impossible::Step(at + 1, *step));
        }
        state.step(*step);
    }
    match [Side::Exporter, Side::Importer].into_iter().find(|side| state.is_alive(*side)) {
        Some(Side::Exporter) => Err(Impossible::Lives("exporter", "e.exit")),
        Some(Side::Importer) => Err(Impossible::Lives("importer", "i.exit")),
        None => Ok(()),
    }
}

/// Why an order is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Impossible {
    /// A step for which the process lacks the means.
    #[error("step {0}, {1}, cannot be done: what it needs is not there, or is gone by then")]
    Step(usize, Step),
    /// A process holds something at the end.
    #[error("the {0} still holds something at the end; give it up, or add {1}")]
    Lives(&'static str, &'static str),
}

#[cfg(test)]
#[path = "orders_test.rs"]
mod tests;

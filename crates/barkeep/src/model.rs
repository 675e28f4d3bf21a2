//! Lane `model`: simulated vCPUs and devices, the kernel as a specification, on one thread and
//! in virtual time. The same command is the same bytes.

use crate::assemble::{self, Named};
use crate::assemble_sim::{self, SimSupply};
use crate::cli::RunOptions;
use crate::exit::{Exit, UsageExt};
use crate::inside::{self, Devices, Plan};
use crate::lines::Lines;
use crate::noise;
use crate::times;
use anyhow::Context;
use barkeep_journal::{Clock, Event, Header, Journal, Lane, Sink, VirtualClock};
use barkeep_platform::Ram;
use barkeep_sim::guest::{Guest, SimWorld, Slots, Timeline};
use barkeep_sim::{Operations, SimHost};
use std::sync::Arc;

/// The seed of a run that names none. Random times of the scenario are drawn from it, and in lane
/// model which of several vCPUs goes on.
pub const SEED: u64 = 1;

/// A run that is over.
pub struct Done<S> {
    /// How it ended.
    pub result: anyhow::Result<Exit>,
    /// What took its events.
    pub sink: S,
    /// What the simulated kernel was asked, if the VM came to its end.
    pub operations: Operations,
    /// What it took, nanoseconds of virtual time.
    pub took_ns: u64,
}

/// Until the run is over.
struct Lent<S>(Option<S>);

impl<S: Sink> Sink for Lent<S> {
    fn event(&mut self, event: &Event) {
        if let Some(sink) = &mut self.0 {
            sink.event(event);
        }
    }
}

/// Runs the scenario, as often as is asked for, and gives the verdict.
///
/// # Errors
/// What was typed is wrong, or results cannot be written.
pub fn run(options: &RunOptions) -> anyhow::Result<Exit> {
    // Before anything is made: what was typed may be wrong.
    let plan = inside::plan(options, Lane::Model)?;
    let seed = inside::seed(options, &plan.scenario);
    match options.times {
        None | Some(1) => written(&plan, options, seed),
        Some(times) => times::run(&plan, options, seed, times),
    }
}

/// Runs the scenario once and writes out all of it.
///
/// # Errors
/// Results cannot be written.
pub fn written(plan: &Plan, options: &RunOptions, seed: u64) -> anyhow::Result<Exit> {
    let lines =
        Lines::create(options, &plan.scenario, seed, Header { lane: Lane::Model, clock: Clock::Virtual })?;
    let done = once(plan, options, seed, lines)?;
    done.sink.verdict(&done.result)
}

/// Runs the scenario once, its events into `sink`.
///
/// # Errors
/// An error of this program: the sink is gone. How the run ends is in what it gives.
pub fn once<S: Sink + 'static>(
    plan: &Plan,
    options: &RunOptions,
    seed: u64,
    sink: S,
) -> anyhow::Result<Done<S>> {
    let clock = VirtualClock::new();
    let (journal, tap) = Journal::typed(Lane::Model, Clock::Virtual, Lent(Some(sink)));
    let mut operations = Operations::default();
    let result = timed(plan, options, seed, journal, &clock, &mut operations);
    let sink = tap.with(|lent| lent.0.take()).context("the journal has been written to its end")?;
    Ok(Done { result, sink, operations, took_ns: clock.now() })
}

/// Runs the scenario once, into a journal that is read elsewhere.
///
/// # Errors
/// How the run ends.
pub fn into(plan: &Plan, options: &RunOptions, seed: u64, journal: Journal) -> anyhow::Result<Exit> {
    timed(plan, options, seed, journal, &VirtualClock::new(), &mut Operations::default())
}

fn timed(
    plan: &Plan,
    options: &RunOptions,
    seed: u64,
    journal: Journal,
    clock: &VirtualClock,
    operations: &mut Operations,
) -> anyhow::Result<Exit> {
    let journal = journal.timed_by(clock.clone());
    inside::framed(&plan.scenario, &journal, || {
        let timeline = Arc::new(Timeline::new(clock.clone(), seed));
        with_guest(plan, options, seed, timeline, &journal, operations)
    })
}

fn with_guest(
    plan: &Plan,
    options: &RunOptions,
    seed: u64,
    timeline: Arc<Timeline>,
    journal: &Journal,
    operations: &mut Operations,
) -> anyhow::Result<Exit> {
    let Plan { scenario, devices: Devices::Simulated(devices), others, guest: None, live } = plan else {
        anyhow::bail!("lane model has simulated devices and vCPUs only");
    };
    if scenario.perturb.noise.is_some() {
        noise::tell(Lane::Model);
    }
    let host = SimHost::new(devices, timeline.clone()).usage("no simulated devices")?;
    timeline.set_host(&host);
    live.is(&host);
    let ram = Arc::new(Ram::new(options.memory(scenario)).usage("no guest memory")?);
    let slots = Arc::new(Slots::new(&ram));
    let supply = SimSupply::new(&host, &slots);
    let (named, faults) = (plan.in_vm(devices), assemble_sim::faults(&host));
    let named = Named { devices: &named, others };
    let board = Arc::new(assemble::assemble(&supply, ram, named, options.p2p, faults, journal)?);
    board.start().usage("cannot set the devices up")?;
    let guest = Guest::new(
        Arc::clone(&board),
        Arc::clone(&slots),
        options.vcpus(scenario),
        Box::new(std::io::stderr()),
    );
    let world = SimWorld::new(guest, timeline);
    let result = barkeep_scenario::run(scenario, &*world, seed);
    if board.is_killed() {
        board.abandon()
    } else {
        board.take_apart()
    }
    assemble_sim::bury(&board, &host);
    assemble_sim::count_leftovers(&host, journal);
    *operations = Operations { slots: slots.changes(), ..host.operations() };
    inside::verdict(result, &[])
}

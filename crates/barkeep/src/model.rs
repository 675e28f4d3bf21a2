//! Lane `model`: simulated vCPUs and devices, the kernel as a specification, on one thread and
//! in virtual time. The same command is the same bytes.

use crate::assemble;
use crate::assemble_sim::{self, SimSupply};
use crate::cli::RunOptions;
use crate::exit::{Exit, UsageExt};
use crate::inside::{self, Devices, Plan};
use crate::lines::Lines;
use anyhow::Context;
use barkeep_journal::{Clock, Event, Header, Journal, Lane, Sink, VirtualClock};
use barkeep_platform::Ram;
use barkeep_sim::SimHost;
use barkeep_sim::guest::{Guest, SimWorld, Slots, Timeline};
use std::sync::Arc;

/// Which of several vCPUs goes on is drawn from it.
const SEED: u64 = 1;

/// Until the run is over.
struct Written(Option<Lines>);

impl Sink for Written {
    fn event(&mut self, event: &Event) {
        if let Some(lines) = &mut self.0 {
            lines.event(event);
        }
    }
}

/// Runs the scenario and gives the verdict.
///
/// # Errors
/// What was typed is wrong, or results cannot be written.
pub fn run(options: &RunOptions) -> anyhow::Result<Exit> {
    // Before anything is made: what was typed may be wrong.
    let plan = inside::plan(options, Lane::Model)?;
    let lines = Lines::create(options, Header { lane: Lane::Model, clock: Clock::Virtual })?;
    let clock = VirtualClock::new();
    let (journal, tap) = Journal::typed(Lane::Model, Clock::Virtual, Written(Some(lines)));
    let journal = journal.timed_by(clock.clone());
    let result = inside::framed(&plan.scenario, &journal, || with_guest(&plan, options, clock, &journal));
    let lines = tap.with(|written| written.0.take()).context("the journal has been written to its end")?;
    lines.verdict(&result)
}

fn with_guest(
    plan: &Plan,
    options: &RunOptions,
    clock: VirtualClock,
    journal: &Journal,
) -> anyhow::Result<Exit> {
    let Plan { scenario, devices: Devices::Simulated(devices) } = plan else {
        anyhow::bail!("lane model has simulated devices only");
    };
    let timeline = Arc::new(Timeline::new(clock, SEED));
    let host = SimHost::new(devices, timeline.clone()).usage("no simulated devices")?;
    timeline.set_host(&host);
    let ram = Arc::new(Ram::new(options.memory(scenario)).usage("no guest memory")?);
    let slots = Arc::new(Slots::new(&ram));
    let supply = SimSupply::new(&host, &slots);
    let (named, faults) = (assemble_sim::options(devices), assemble_sim::faults(&host));
    let board = Arc::new(assemble::assemble(&supply, ram, &named, options.p2p, faults, journal)?);
    board.start().usage("cannot set the devices up")?;
    let guest = Guest::new(Arc::clone(&board), slots, options.vcpus(scenario), Box::new(std::io::stderr()));
    let world = SimWorld::new(guest, timeline);
    let result = barkeep_scenario::run(scenario, &*world);
    board.take_apart();
    assemble_sim::count_leftovers(&host, journal);
    inside::verdict(result, &[])
}

//! vCPUs that write and read a BAR all the time, judging every answer by the outage word.

use crate::language::Place;
use crate::runner::{RunError, Spot};
use crate::world::World;
use barkeep_journal::{Actor, Event, Kind};
use barkeep_platform::Board;
use barkeep_probe::{Command, HammerCounts, Reply};
use std::time::Duration;

/// What QEMU's NVMe controller memory buffer, and most memory, holds at first.
const RESET_VALUE: u32 = 0;

/// The vCPUs that hammer.
#[derive(Default)]
pub(crate) struct Hammering {
    vcpus: Vec<usize>,
}

impl Hammering {
    /// Sets a vCPU to it.
    pub fn start(
        &mut self,
        world: &dyn World,
        spot: Spot,
        at: &Place,
        vcpu: usize,
        pause: Duration,
    ) -> Result<(), RunError> {
        let word = world.board().outage_word(spot.device.index, spot.bar, spot.offset);
        let outage_word = word.ok_or_else(|| RunError::NoWindow(at.to_string()))?;
        world.board().set_stop_word(vcpu, 0);
        let command = Command::Hammer {
            page: spot.address,
            outage_word,
            stop_word: Board::stop_word(vcpu),
            pause_ns: pause.as_nanos() as u64,
            max_iterations: 0,
            reset_value: RESET_VALUE,
            seed: vcpu as u64 + 1,
        };
        world.send(vcpu, command)?;
        self.vcpus.push(vcpu);
        Ok(())
    }

    /// Ends it on all vCPUs; gives what was expected and whether it held.
    pub fn stop(&mut self, world: &dyn World, answered: u64) -> Result<Vec<(String, bool)>, RunError> {
        let vcpus = std::mem::take(&mut self.vcpus);
        Self::end(world, &vcpus, answered)
    }

    /// It has ended by itself, and how it went nobody knows.
    pub fn forget(&mut self) {
        self.vcpus.clear();
    }

    /// Ends it on one vCPU, if that is at it.
    pub fn stop_one(&mut self, world: &dyn World, vcpu: usize) -> Result<Vec<(String, bool)>, RunError> {
        let Some(place) = self.vcpus.iter().position(|hammering| *hammering == vcpu) else {
            return Ok(Vec::new());
        };
        Self::end(world, &[self.vcpus.remove(place)], 0)
    }

    fn end(world: &dyn World, vcpus: &[usize], answered: u64) -> Result<Vec<(String, bool)>, RunError> {
        for &vcpu in vcpus {
            world.board().set_stop_word(vcpu, 1);
        }
        let mut verdicts = Vec::new();
        let mut ones = 0;
        for &vcpu in vcpus {
            let reply = world.receive(vcpu)?;
            let Reply::Hammered(counts) = reply else {
                return Err(RunError::Confused(reply));
            };
            ones += counts.out_ones;
            tell(world, vcpu, &counts);
            verdicts.push(verdict(vcpu, &counts));
        }
        if answered > 0 {
            let what = format!("at least {answered} accesses answered all ones inside outages: {ones}");
            verdicts.push((what, ones >= answered));
        }
        Ok(verdicts)
    }
}

fn verdict(vcpu: usize, counts: &HammerCounts) -> (String, bool) {
    match counts.first_violation {
        Some(first) => (format!("vCPU {vcpu}: {} wrong answers, first: {first}", counts.violations), false),
        None => (format!("vCPU {vcpu}: each of {} answers right", counts.iterations), counts.violations == 0),
    }
}

fn tell(world: &dyn World, vcpu: usize, counts: &HammerCounts) {
    let HammerCounts {
        iterations,
        live_ok,
        out_ones,
        ambiguous_ones,
        ambiguous_value,
        ambiguous_initial,
        violations,
        stopped: _,
        first_violation: _,
    } = *counts;
    let sorts = [
        ("accesses", iterations),
        ("live, value came back", live_ok),
        ("out, all ones came back", out_ones),
        ("changing, all ones came back", ambiguous_ones),
        ("changing, value came back", ambiguous_value),
        ("changing, not written before", ambiguous_initial),
        ("wrong", violations),
    ];
    for (sort, number) in sorts {
        let event = Event::new(Kind::AccessCount, Actor::Guest).index(vcpu as u16).text(sort).value(number);
        world.board().journal().emit(event);
    }
}

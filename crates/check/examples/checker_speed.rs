//! How fast events are written to a typed journal, and checked, and what memory that takes.
//!
//! ```sh
//! cargo run --release -p barkeep-check --example checker_speed [EVENTS]
//! ```
//!
//! Single-threaded, in virtual time. The time is the wall clock's: on a machine that has other
//! things to do, that of the best tenth of a run says more than that of all of it. Nothing is
//! asserted but that the stream, which is well-formed, passes.

#[path = "../tests/storm/mod.rs"]
mod storm;

use barkeep_check::{Checker, Ended};
use barkeep_journal::{Clock, Event, Journal, Lane, Sink};
use std::hint::black_box;
use std::time::Instant;
use storm::{Cycle, Storm};

/// Of so many cycles one is of a sort that is rare.
const RARE: usize = 7;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let most = match std::env::args().nth(1) {
        Some(number) => number.replace('_', "").parse()?,
        None => 100_000_000,
    };
    let counts = || std::iter::successors(Some(1_000_000), |n| Some(n * 10)).take_while(|n| *n <= most);
    println!("      events                  ns/event  best tenth    events/s   RSS KiB  entries");
    for events in counts() {
        let (journal, tap) = Journal::typed(Lane::Model, Clock::Virtual, Emitted::default());
        let mut storm = Storm::new(journal);
        let speed = run(&mut storm, || tap.with(|emitted| emitted.0), events);
        print(events, "emit", &speed, String::new())?;
    }
    for events in counts() {
        let (journal, tap) = Journal::typed(Lane::Model, Clock::Virtual, Checked::default());
        let mut storm = Storm::new(journal);
        let speed = run(&mut storm, || tap.with(|checked| checked.events), events);
        let entries = tap.with(|checked| checked.checker.footprint());
        print(events, "emit and check", &speed, entries.to_string())?;
        storm.over();
        let verdict = tap.with(std::mem::take).checker.finish(Ended::ByItself(0));
        if let Some(finding) = verdict.findings.first() {
            return Err(format!("a well-formed stream, and at seq {}: {}", finding.seq, finding.what).into());
        }
    }
    Ok(())
}

/// Takes events and does nothing with them.
#[derive(Default)]
struct Emitted(u64);

impl Sink for Emitted {
    fn event(&mut self, event: &Event) {
        self.0 += 1;
        black_box(event);
    }
}

#[derive(Default)]
struct Checked {
    events: u64,
    checker: Checker,
}

impl Sink for Checked {
    fn event(&mut self, event: &Event) {
        self.events += 1;
        self.checker.event(event);
    }
}

/// Nanoseconds an event takes.
struct Speed {
    mean: f64,
    best: f64,
}

/// Lets so many events happen, or a few more: a cycle is carried out to its end.
fn run(storm: &mut Storm, written: impl Fn() -> u64, events: u64) -> Speed {
    let (mut cycles, mut all, mut best) = (0, 0.0, f64::INFINITY);
    for tenth in 1..=10 {
        let (begin, before) = (Instant::now(), written());
        while written() < events / 10 * tenth {
            storm.cycle(cycles / 5, nth(cycles));
            cycles += 1;
        }
        let ns = begin.elapsed().as_nanos() as f64;
        all += ns;
        best = f64::min(best, ns / (written() - before) as f64);
    }
    Speed { mean: all / written() as f64, best }
}

/// What happens when: the common round and round, the rare in turn.
fn nth(n: usize) -> Cycle {
    let rare = [Cycle::Move(n as u16), Cycle::Unseen, Cycle::Reopen];
    let common = &Cycle::ALL[..Cycle::ALL.len() - rare.len()];
    if n.is_multiple_of(RARE) { rare[n / RARE % rare.len()] } else { common[n % common.len()] }
}

fn print(events: u64, what: &str, speed: &Speed, entries: String) -> std::io::Result<()> {
    let Speed { mean, best } = speed;
    let (rate, rss) = (1e9 / mean, rss_kib()?);
    println!("{events:>12}  {what:<14} {mean:>11.1} {best:>11.1} {rate:>11.0} {rss:>9} {entries:>8}");
    Ok(())
}

/// Memory of this process that is in RAM, in KiB (proc(5), `VmRSS`).
fn rss_kib() -> std::io::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.ok_or_else(|| std::io::Error::other("/proc/self/status has no VmRSS"))
}

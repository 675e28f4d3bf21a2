//! Lane `model`, many times over. The checker takes the events as they come and nothing is written:
//! a time that does not pass is done again from its seed, and that one is written out.

use crate::cli::RunOptions;
use crate::exit::Exit;
use crate::inside::Plan;
use crate::model::{self, Done};
use crate::proc_status;
use barkeep_check::{Checker, Ended};
use barkeep_journal::{Event, Sink};
use barkeep_lab::shell_quoted;
use barkeep_sim::Operations;
use std::fmt;
use std::time::{Duration, Instant};

/// Judges the events and counts them.
#[derive(Default)]
struct Judge {
    checker: Checker,
    events: u64,
}

impl Sink for Judge {
    fn event(&mut self, event: &Event) {
        self.events += 1;
        self.checker.event(event);
    }
}

/// What all times together came to, so far.
#[derive(Default)]
struct Sum {
    times: u64,
    operations: Operations,
    events: u64,
    took_ns: u64,
}

/// Runs the scenario `times` times, from `first` on each with the next seed, until one does not
/// pass. What it says on standard output is the same each time; the wall clock goes to standard error.
///
/// # Errors
/// Results of a time that did not pass cannot be written; done again it does not end as it did.
pub fn run(plan: &Plan, options: &RunOptions, first: u64, times: u64) -> anyhow::Result<Exit> {
    let start = Instant::now();
    let mut sum = Sum::default();
    while sum.times < times {
        let seed = first.wrapping_add(sum.times);
        let Done { result, sink, operations, took_ns } = model::once(plan, options, seed, Judge::default())?;
        let status = result.as_ref().map_or_else(Exit::of, |exit| *exit);
        let verdict = sink.checker.finish(Ended::ByItself(status.code().into()));
        if !verdict.passed() {
            let exit = model::written(plan, options, seed)?;
            let first = Exit::from_code(verdict.exit_code());
            anyhow::ensure!(exit == first, "seed {seed} ended with {first:?}, and then with {exit:?}");
            tell_how_alone(exit, seed, sum.times + 1, times);
            return Ok(exit);
        }
        sum.times += 1;
        sum.operations += operations;
        sum.events += sink.events;
        sum.took_ns += took_ns;
    }
    println!("pass  {sum}");
    eprintln!("{}", sum.paced(start.elapsed()));
    Ok(Exit::Pass)
}

/// Says which time did not pass, and the command that does it alone.
pub fn tell_how_alone(exit: Exit, seed: u64, time: u64, times: u64) {
    if exit == Exit::Usage {
        // What was typed is wrong, whatever the seed.
        return;
    }
    let words = std::env::args_os().map(|word| word.to_string_lossy().into_owned());
    println!("\ntime {time} of {times} did not pass, seed {seed}; it alone:");
    println!("  {}", shell_quoted(&alone(words, seed)));
}

/// The same command line for one seed only.
fn alone(mut words: impl Iterator<Item = String>, seed: u64) -> Vec<String> {
    let mut alone = Vec::new();
    while let Some(word) = words.next() {
        match word.split_once('=').map_or(word.as_str(), |(name, _)| name) {
            // Its value is in the word, or the next one.
            "--times" | "--seed" if word.contains('=') => {}
            "--times" | "--seed" => drop(words.next()),
            _ => alone.push(word),
        }
    }
    alone.extend(["--seed".to_owned(), seed.to_string()]);
    alone
}

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { times, operations, events, took_ns } = self;
        let Operations { calls, config_reads, accesses, dmas, slots } = operations;
        let seconds = Duration::from_nanos(*took_ns).as_secs_f64();
        writeln!(
            f,
            "{times} times, {} operations, {events} events, {seconds:.3} s of virtual time",
            operations.total()
        )?;
        write!(
            f,
            "      operations: {calls} calls, {config_reads} config reads, {accesses} CPU accesses to BARs, \
             {slots} slot changes, {dmas} DMAs"
        )
    }
}

impl Sum {
    /// How fast that was, and the most memory this process ever had, where the kernel tells it.
    fn paced(&self, took: Duration) -> String {
        let seconds = took.as_secs_f64();
        let pace = |count: u64| (count as f64 / seconds) as u64;
        let memory =
            proc_status::kib("VmHWM").map_or(String::new(), |kib| format!(", {kib} KiB of memory at most"));
        format!(
            "wall clock: {seconds:.3} s, {} operations and {} events a second{memory}",
            pace(self.operations.total()),
            pace(self.events)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_time_alone_has_its_own_seed() {
        let words = ["barkeep", "run", "--times", "5", "--seed=7", "--out", "x", "--times=3", "--seed", "1"];
        let alone = alone(words.map(str::to_owned).into_iter(), 9);
        assert_eq!(alone, ["barkeep", "run", "--out", "x", "--seed", "9"]);
    }
}

//! Lane `lab`, many times over: in one boot, each with the next seed, until one does not pass.

use crate::batch::outside::{self as batch, Done, Errand, Run};
use crate::cli::RunOptions;
use crate::exit::{Exit, UsageExt};
use crate::{inside, outside, show, times};
use anyhow::Context;
use barkeep_check::Ended;
use barkeep_report::verdict;
use barkeep_scenario::draw::Draw;
use barkeep_scenario::units::Lapse;
use std::io::IsTerminal;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The journal of the time that did not pass.
const JOURNAL: &str = "journal.jsonl";

/// Runs the scenario as often as is asked for. Of times that pass nothing is kept.
///
/// # Errors
/// What was typed is wrong, the lab cannot run, results cannot be written.
pub fn run(options: &RunOptions) -> anyhow::Result<Exit> {
    let scenario = options.load_scenario()?;
    let (times, first) = (options.times.unwrap_or(1), inside::seed(options, &scenario));
    let text = scenario.to_toml().context("a scenario that was read can be written")?;
    let out = options.out.clone().unwrap_or_else(|| PathBuf::from("out/lab"));
    let folder = out.join("times");
    // A former run's is not to be taken for this one's; where there is none, all the better.
    let _ = std::fs::remove_file(out.join(JOURNAL));
    let run = |time: u64| Run {
        scenario: text.clone(),
        seed: Some(first.wrapping_add(time)),
        kill_after: options.kill_after.filter(|_| time < times).map(|range| moment(range, first, time)),
        folder: folder.join((time + 1).to_string()),
    };
    // What was killed is followed by one that is left alone.
    let all = times + u64::from(options.kill_after.is_some());
    let runs: Vec<Run> = (0..all).map(run).collect();
    let errand = Errand {
        kernel: options.kernel.as_deref(),
        topology: scenario.topology.as_deref().unwrap_or(outside::DEFAULT_TOPOLOGY),
        fast: false,
        timeout: crate::outside::DEFAULT_TIMEOUT,
        arguments: &arguments(),
        runs: &runs,
        boots: &out.join("boots"),
    };
    let (mut events, mut took_ns, mut killed) = (0, 0, 0);
    let mut result = Ok(Exit::Pass);
    batch::carry_out(&errand, &mut |number, done| {
        let was_killed = runs[number].kill_after.is_some_and(|after| tell_killed(&done, number, after));
        killed += u64::from(was_killed);
        if done.verdict.passed() || was_killed {
            events += done.events;
            took_ns += done.took_ns;
            // What cannot be taken away is in nobody's way.
            let _ = std::fs::remove_dir_all(&runs[number].folder);
            return ControlFlow::Continue(());
        }
        result = failed(&done, &out).inspect(|exit| {
            times::tell_how_alone(*exit, first.wrapping_add(number as u64), number as u64 + 1, times);
        });
        ControlFlow::Break(())
    })?;
    let _ = std::fs::remove_dir_all(&folder);
    if let Ok(Exit::Pass) = result {
        let seconds = Duration::from_nanos(took_ns).as_secs_f64();
        let killed = match options.kill_after {
            Some(_) => format!(", {killed} of them killed and nothing left behind, one more after them"),
            None => String::new(),
        };
        println!("pass  {times} times{killed}, {events} events, {seconds:.3} s of virtual time");
    }
    result
}

/// When the VMM of a time is killed. Of the same seed and time it is the same.
fn moment(range: Lapse, seed: u64, time: u64) -> Duration {
    // Not the scenario's own stream, whose first number would always go with the same moment.
    range.drawn(&mut Draw::new(!seed.wrapping_add(time))).longest()
}

/// Whether a time was killed and has left nothing behind; then it is told. One that was over before it
/// was to be killed is like any other.
fn tell_killed(done: &Done, number: usize, after: Duration) -> bool {
    let Ended::Died { why } = &done.verdict.ended else { return false };
    let clean = done.verdict.findings.iter().all(|finding| finding.unfinished);
    if clean {
        let seconds = after.as_secs_f64();
        println!("killed  time {}, {seconds:.6} s after its start: {why}; nothing left behind", number + 1);
    }
    clean
}

/// Puts the journal of a time that did not pass where that of a single one would be, and prints its
/// verdict.
fn failed(done: &Done, out: &Path) -> anyhow::Result<Exit> {
    let journal = out.join(JOURNAL);
    std::fs::rename(&done.journal, &journal).usage(format!("cannot write {}", journal.display()))?;
    let style = show::style(std::io::stdout().is_terminal());
    let mut to = std::io::stdout().lock();
    verdict::print(&mut to, &done.verdict, done.header, Some(&journal), style)?;
    Ok(Exit::from_code(done.verdict.exit_code()))
}

/// The words of this command line that are each run's as well.
pub fn arguments() -> Vec<String> {
    let words: Vec<String> =
        std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    kept(&words)
}

/// Those of a command line that are about the VM.
pub fn kept(words: &[String]) -> Vec<String> {
    let (command, words) = words.split_first().map_or(("", words), |(first, rest)| (first.as_str(), rest));
    let not_theirs = [
        "--lane",
        "--out",
        "--kernel",
        "--times",
        "--seed",
        "--scenario",
        "--kill-after",
        "--until",
        "--commands",
    ];
    let mut left = outside::without_options(words, &not_theirs);
    left.retain(|word| !outside::REPLAY_FLAGS.contains(&word.as_str()));
    if command == "replay" {
        let all: Vec<&str> = left.iter().map(String::as_str).collect();
        let operand = outside::first_operand(&all).map(str::to_owned);
        left.retain(|word| Some(word) != operand.as_ref());
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_run_has_the_words_that_are_about_the_vm() {
        let kept = |words: &str| kept(&words.split(' ').map(str::to_owned).collect::<Vec<_>>()).join(" ");
        assert_eq!(kept("replay x.toml --lane lab --times 50 --cpus 3 --seed=7 --out o"), "--cpus 3");
        assert_eq!(kept("run --scenario x --lane=lab --times 2 --p2p required"), "--p2p required");
    }
}

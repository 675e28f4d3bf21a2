//! Lane `lab`: many episodes in one boot of the emulator, as many boots as it takes, so many of them at
//! the same time. How the episodes are shared out depends on nothing but their number: the same command
//! gives the same bytes on every machine.

use super::interrupt::Interrupt;
use super::judge;
use super::work::{self, Outcome, Show, Terms, Work};
use crate::batch::outside::{self as batch, Done, Errand, Run};
use anyhow::Context;
use barkeep_check::Ended;
use std::collections::BTreeMap;
use std::ops::{ControlFlow, Range};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

/// Episodes of one boot, at the most.
const PER_BOOT: usize = 32;
/// The same, where there is an end to the time: it is looked at between boots.
const PER_TIMED_BOOT: usize = 8;

/// The machine.
pub struct Boots {
    /// The kernel under test.
    pub kernel: PathBuf,
    /// What was said of it on the command line.
    pub named_kernel: Option<PathBuf>,
    /// As for `lab`.
    pub topology: String,
    /// As for `lab`.
    pub fast: bool,
    /// Where what the boots leave goes.
    pub folder: PathBuf,
}

/// What comes of a share of the episodes, told as it is known. The last is let go of once it has been
/// shown: whoever tells of an episode that failed waits for that before it starts another boot.
type Told = anyhow::Result<(usize, Outcome, Sender<Never>)>;

/// Nobody sends one.
enum Never {}

/// Carries all episodes out and shows each; their journals go where `place` says.
///
/// # Errors
/// The lab cannot run, or the testbed failed.
pub fn carry_out(
    work: Work<'_>,
    boots: &Boots,
    terms: &Terms,
    interrupt: &Interrupt,
    place: &(dyn Fn(usize) -> PathBuf + Sync),
    show: &mut Show<'_>,
) -> anyhow::Result<()> {
    let shares = shares(work.len(), terms.until.is_some());
    let (next, over) = (AtomicUsize::new(0), AtomicBool::new(false));
    let (tell, told) = channel();
    thread::scope(|scope| {
        for _ in 0..terms.jobs.clamp(1, shares.len().max(1)) {
            let (tell, next, over, shares) = (tell.clone(), &next, &over, &shares);
            scope.spawn(move || {
                while !over.load(Ordering::Relaxed) && !terms.time_is_up() {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(share) = shares.get(number) else { return };
                    let folder = boots.folder.join((number + 1).to_string());
                    if let Err(error) = one(work, share, boots, terms, &folder, place, &tell, over) {
                        over.store(true, Ordering::Relaxed);
                        // Only fails where nobody listens any more.
                        let _ = tell.send(Err(error));
                        return;
                    }
                }
            });
        }
        drop(tell);
        let result = listen(told, interrupt, &mut |number, outcome| {
            let on = show(number, outcome);
            // Whoever is in the middle of a boot ends it, and begins no other.
            over.store(on.is_break(), Ordering::Relaxed);
            on
        });
        over.store(true, Ordering::Relaxed);
        result
    })
}

/// The episodes of each boot. Two boots can be beside each other, where there are two episodes.
fn shares(episodes: usize, timed: bool) -> Vec<Range<usize>> {
    let most = if timed { PER_TIMED_BOOT } else { PER_BOOT };
    let boots = episodes.div_ceil(most).max(episodes.min(2)).max(1);
    let size = episodes.div_ceil(boots).max(1);
    (0..episodes).step_by(size).map(|first| first..episodes.min(first + size)).collect()
}

/// Shows what is told in the order of the episodes. Takes what is told by value: what nobody has heard when
/// it ends must be let go of, or who told of it waits for ever.
fn listen(told: Receiver<Told>, interrupt: &Interrupt, show: &mut Show<'_>) -> anyhow::Result<()> {
    let (mut over, mut next) = (BTreeMap::new(), 0);
    for told in told {
        let (number, outcome, waiting) = told?;
        over.insert(number, (outcome, waiting));
        interrupt.check()?;
        while let Some((outcome, waiting)) = over.remove(&next) {
            let on = show(next, outcome);
            drop(waiting);
            if on.is_break() {
                return Ok(());
            }
            next += 1;
        }
    }
    // With the time up, one boot may have come further than another.
    for (number, (outcome, _)) in over {
        if show(number, outcome).is_break() {
            break;
        }
    }
    Ok(())
}

#[allow(clippy::too_many_arguments, reason = "it is one thread's whole world")]
fn one(
    work: Work<'_>,
    share: &Range<usize>,
    boots: &Boots,
    terms: &Terms,
    folder: &Path,
    place: &(dyn Fn(usize) -> PathBuf + Sync),
    tell: &Sender<Told>,
    over: &AtomicBool,
) -> anyhow::Result<()> {
    let (mut runs, mut resets) = (Vec::new(), Vec::new());
    for number in share.clone() {
        let episode = work.episode(number)?;
        resets.push(barkeep_storm::resets(&episode));
        runs.push(Run {
            scenario: work::text(&episode)?,
            seed: None,
            kill_after: None,
            folder: place(number),
        });
    }
    let errand = Errand {
        kernel: Some(&boots.kernel),
        topology: &boots.topology,
        fast: boots.fast,
        timeout: terms.patience.as_secs(),
        arguments: &terms.words,
        runs: &runs,
        boots: folder,
    };
    batch::carry_out(&errand, &mut |number, done| {
        let outcome = Outcome { resets: resets[number], ..outcome(done, folder) };
        let passed = outcome.verdict.passed();
        let (waiting, shown) = channel();
        let sent = tell.send(Ok((share.start + number, outcome, waiting)));
        // An episode is shown when all before it are, and those nobody has to wait for: it comes.
        if sent.is_ok() && !passed {
            let _ = shown.recv();
        }
        if sent.is_err() || over.load(Ordering::Relaxed) {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    })
}

fn outcome(done: Done, folder: &Path) -> Outcome {
    let Done { verdict, header: _, journal, events: _, took_ns, interleaving, wall } = done;
    let said = match &verdict.ended {
        Ended::ByItself(0) | Ended::ByItself(1) => None,
        Ended::ByItself(_) | Ended::TimedOut => last_words(folder),
        Ended::Died { why } => Some(why.clone()),
    };
    Outcome {
        verdict,
        resets: 0,
        took_ns,
        wall,
        interleaving: judge::written(interleaving),
        said,
        journal: Some(journal),
    }
}

/// What the last of the boots said on standard error.
fn last_words(folder: &Path) -> Option<String> {
    let last = (1..).map(|boot| folder.join(boot.to_string())).take_while(|boot| boot.is_dir()).last()?;
    let text = std::fs::read_to_string(last.join("stderr.txt")).context("no words").ok()?;
    text.lines().map(str::trim).rfind(|line| !line.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::{Told, listen, shares};
    use crate::storm::interrupt::Interrupt;
    use crate::storm::work::Outcome;
    use barkeep_check::{Ended, Summary, Verdict};
    use std::ops::ControlFlow;
    use std::sync::mpsc::{Sender, TryRecvError, channel};

    /// An episode that did not pass; what is received of it ends when nobody has it any more.
    fn failed(tell: &Sender<Told>, number: usize) -> std::sync::mpsc::Receiver<super::Never> {
        let (waiting, shown) = channel();
        let verdict = Verdict { findings: Vec::new(), counts: Summary::default(), ended: Ended::TimedOut };
        let outcome = Outcome {
            verdict,
            resets: 0,
            took_ns: 0,
            wall: 0..0,
            interleaving: String::new(),
            said: None,
            journal: None,
        };
        assert!(tell.send(Ok((number, outcome, waiting))).is_ok());
        shown
    }

    #[test]
    fn who_tells_of_a_failure_never_waits_for_a_listener_that_is_gone() {
        // Another boot's error, or the end of the storm, comes before what this one tells.
        for error in [true, false] {
            let (tell, told) = channel();
            if error {
                assert!(tell.send(Err(anyhow::anyhow!("the lab cannot run"))).is_ok());
            } else {
                drop(failed(&tell, 0));
            }
            let shown = failed(&tell, 1);
            let result = listen(told, &Interrupt::default(), &mut |_, _| ControlFlow::Break(()));
            assert_eq!(result.is_err(), error);
            assert!(matches!(shown.try_recv(), Err(TryRecvError::Disconnected)));
        }
    }

    #[test]
    fn every_episode_is_in_one_boot_and_no_boot_has_too_many() {
        for (episodes, timed, boots) in
            [(0, false, 0), (1, false, 1), (3, false, 2), (64, false, 2), (65, false, 3), (17, true, 3)]
        {
            let shares = shares(episodes, timed);
            assert_eq!(shares.len(), boots, "{episodes}");
            assert_eq!(
                shares.iter().cloned().flatten().collect::<Vec<_>>(),
                (0..episodes).collect::<Vec<_>>()
            );
            assert!(shares.iter().all(|share| share.len() <= if timed { 8 } else { 32 }));
        }
    }
}

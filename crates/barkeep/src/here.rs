//! `run` and `replay` in this process, on real vCPUs.

use crate::cli::RunOptions;
use crate::exit::{Exit, Wrong};
use crate::guard::{self, Killing, Over};
use crate::inside;
use crate::lines::Lines;
use crate::sandbox;
use anyhow::Context;
use barkeep_journal::{Clock, Journal, Lane, Reader, Sink, layout};
use barkeep_sandbox::Mode;
use barkeep_vmm::kvm_is_here;
use std::fs::File;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Records there is room for in a journal of this process's own; memory is used as it fills.
const RECORDS: usize = 4 << 20;
/// How long the journal's reader waits for what comes next, at first and at most.
const OFTEN: Duration = Duration::from_millis(20);
const SELDOM: Duration = Duration::from_millis(100);

/// What to do without KVM.
const NO_KVM: &str =
    "lane kvm is not available here; load kvm_intel or kvm_amd, or take --lane model, which needs no KVM";

/// Runs here: inside the lab into the lab's journal, which is read outside; else into one of its
/// own, which a thread reads.
///
/// # Errors
/// The VM cannot be made or run.
pub fn run(options: &RunOptions, lane: Lane) -> anyhow::Result<Exit> {
    // Before anything is made: what was typed may be wrong.
    let plan = inside::plan(options, lane)?;
    if lane == Lane::Lab {
        let journal = lab_journal()?;
        return match plan.scenario.kills_vmm() && !guard::is_watched() {
            true => watched(&journal),
            false => inside::run(plan, options, &journal),
        };
    }
    if lane == Lane::Kvm {
        // Not the user's mistake, and nothing is broken: the lane is not here.
        kvm_is_here()
            .map_err(|error| anyhow::Error::new(error).context(Wrong::new(Exit::Skipped, NO_KVM)))?;
    }
    let (lane, clock) = by_program_in_lab().unwrap_or((lane, Clock::Hardware));
    let (journal, shared) = Journal::in_memory(RECORDS, lane, clock)?;
    let reader = Reader::open(shared, layout::HEADER_SIZE + RECORDS * layout::RECORD_SIZE)?;
    let lines =
        Lines::create(options, &plan.scenario, inside::seed(options, &plan.scenario), reader.header())?;
    let ended = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&ended);
    let confined = sandbox::mode(options) != Mode::Off;
    let follower = std::thread::spawn(move || {
        if confined {
            sandbox::shed();
        }
        follow(reader, lines, &told)
    });
    let result = inside::run(plan, options, &journal);
    journal.finish(result.as_ref().map_or_else(|error| Exit::of(error).code(), |exit| exit.code()).into());
    ended.store(true, Ordering::Release);
    follower.thread().unpark();
    let lines = follower.join().map_err(|_| anyhow::anyhow!("the journal's reader panicked"))?;
    lines.verdict(&result)
}

/// Lane and clock of a run that a program in the lab has started, and has given a journal of its own by
/// taking the lab's from it.
fn by_program_in_lab() -> Option<(Lane, Clock)> {
    let variable = |name| std::env::var(name).ok();
    Some((Lane::from_name(&variable("BARKEEP_LANE")?)?, Clock::from_name(&variable("BARKEEP_CLOCK")?)?))
}

/// This same command once more, in a process that its scenario can end.
fn watched(journal: &Journal) -> anyhow::Result<Exit> {
    let mut command = Command::new("/proc/self/exe");
    command.args(std::env::args_os().skip(1));
    let killing = Killing { by_itself: true, after: None };
    Ok(match guard::watch(&mut command, killing, None, journal)? {
        Over::Killed { left: 0 } => Exit::Pass,
        Over::Killed { .. } | Over::Struck { .. } => Exit::Broken,
        // Of a signal nobody has sent: it is told as a death outside.
        Over::Ended(status) => status.code().map_or(Exit::Broken, Exit::from_code),
    })
}

/// Tells what comes, until the run has ended. Writers wake nobody, for that would be a system call for each
/// event; so this looks, and less often the longer nothing came: an idle VM's host is left alone.
fn follow(mut reader: Reader, mut lines: Lines, ended: &AtomicBool) -> Lines {
    let mut pause = OFTEN;
    loop {
        // Asked before the read: what was written before the end is then read for sure.
        let last = ended.load(Ordering::Acquire);
        let next = |reader: &mut Reader| if last { reader.next_after_death() } else { reader.next_event() };
        pause = SELDOM.min(pause * 2);
        while let Some(event) = next(&mut reader) {
            lines.event(&event);
            pause = OFTEN;
        }
        lines.flush();
        if last {
            return lines;
        }
        std::thread::park_timeout(pause);
    }
}

/// The journal of the lab this process runs in.
///
/// # Errors
/// It cannot be found or mapped.
pub fn lab_journal() -> anyhow::Result<Journal> {
    let path = std::env::var("BARKEEP_JOURNAL").context("BARKEEP_JOURNAL")?;
    let size = std::env::var("BARKEEP_JOURNAL_SIZE").context("BARKEEP_JOURNAL_SIZE")?;
    let file = File::options().read(true).write(true).open(&path).context("cannot open the lab's journal")?;
    Ok(Journal::join(file, size.parse().context("BARKEEP_JOURNAL_SIZE")?)?)
}

//! Lane `model`: as many worker processes as there are CPUs. Each takes every so-many-th episode; what
//! came of them is shown in their order, so that nothing depends on which was faster. A worker that
//! dies or hangs is the verdict of the episode it had begun, and another one goes on with the next.

use super::child::{self, Process};
use super::interrupt::Interrupt;
use super::judge::Judge;
use super::work::{Outcome, Show, Terms, Work};
use super::worker::{Assignment, Said};
use crate::exit::{Exit, wrong};
use anyhow::Context;
use barkeep_check::Ended;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{ChildStdout, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

/// The hidden subcommand of a worker.
pub const SUBCOMMAND: &str = "storm-worker";
/// How often it is looked whether one hangs, or a signal came.
const LOOK: Duration = Duration::from_millis(100);

/// What a reader's thread tells of its worker.
enum Told {
    Said(Box<Said>),
    /// Its standard output is at its end: so is it, or as good as.
    Silent,
}

/// A worker and its share.
struct Worker {
    process: Process,
    /// Its episodes that are not over, the next one first.
    left: std::collections::VecDeque<usize>,
    begun: Option<usize>,
    since: Instant,
    /// Counts up with each process that takes this share: what an old one's thread still says is
    /// nobody's.
    life: u64,
    at_rest: bool,
}

/// Carries all episodes out and shows each.
///
/// # Errors
/// A worker cannot be started, or says what is not to be understood.
pub fn carry_out(
    work: Work<'_>,
    terms: &Terms,
    interrupt: &Interrupt,
    show: &mut Show<'_>,
) -> anyhow::Result<()> {
    let (tell, told) = channel();
    let mut pool = Pool { work, terms, tell, workers: Vec::new() };
    let jobs = terms.jobs.clamp(1, work.len().max(1));
    for number in 0..jobs {
        let share = (number..work.len()).step_by(jobs).collect();
        let worker = pool.start(number, share, 0)?;
        pool.workers.push(worker);
    }
    pool.listen(&told, interrupt, show)
}

struct Pool<'a> {
    work: Work<'a>,
    terms: &'a Terms,
    tell: Sender<(usize, u64, Told)>,
    workers: Vec<Worker>,
}

impl Pool<'_> {
    fn start(
        &self,
        number: usize,
        left: std::collections::VecDeque<usize>,
        life: u64,
    ) -> anyhow::Result<Worker> {
        let orders = left.iter().map(|episode| self.work.order(*episode)).collect::<anyhow::Result<_>>()?;
        let until = self.terms.until;
        let time_ms = until.map(|until| until.saturating_duration_since(Instant::now()).as_millis() as u64);
        let assignment = Assignment { storm: self.work.storm()?, time_ms, orders };
        let input = serde_json::to_vec(&assignment).context("an assignment is JSON")?;
        let mut command = child::command(SUBCOMMAND, &self.terms.words);
        command.stdout(Stdio::piped());
        let mut process = Process::start(command, &input)?;
        if let Some(stdout) = process.child.stdout.take() {
            let tell = self.tell.clone();
            let read = move || read(stdout, |told| tell.send((number, life, told)).is_ok());
            thread::Builder::new().name("worker".into()).spawn(read).context("cannot start a thread")?;
        }
        Ok(Worker { process, left, begun: None, since: Instant::now(), life, at_rest: false })
    }

    /// Hears all of them, to the last episode.
    fn listen(
        &mut self,
        told: &Receiver<(usize, u64, Told)>,
        interrupt: &Interrupt,
        show: &mut Show<'_>,
    ) -> anyhow::Result<()> {
        let mut over = BTreeMap::new();
        let mut next = 0;
        while self.workers.iter().any(|worker| !worker.at_rest) {
            match told.recv_timeout(LOOK) {
                Ok((number, life, told)) if self.workers[number].life == life => match told {
                    Told::Said(said) => over.extend(self.workers[number].heard(*said)),
                    Told::Silent => over.extend(self.ended(number, false)?),
                },
                Ok(_) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => anyhow::bail!("nobody listens to the workers"),
            }
            interrupt.check()?;
            for number in 0..self.workers.len() {
                let worker = &self.workers[number];
                if !worker.at_rest && worker.since.elapsed() > self.terms.patience {
                    over.extend(self.ended(number, true)?);
                }
            }
            while let Some(outcome) = over.remove(&next) {
                if show(next, outcome).is_break() {
                    return Ok(());
                }
                next += 1;
            }
        }
        // With the time up, one of them may have come further than another.
        for (number, outcome) in over {
            if show(number, outcome).is_break() {
                break;
            }
        }
        Ok(())
    }

    /// A worker has ended, or has to: the verdict of what it had begun. Another takes what is left.
    fn ended(&mut self, number: usize, hangs: bool) -> anyhow::Result<Option<(usize, Outcome)>> {
        let worker = &mut self.workers[number];
        // What said nothing more is at its end, or stuck on its way there.
        let status = if hangs { worker.process.end() } else { worker.process.child.wait().ok() };
        let by_itself = !hangs && status.is_some_and(|status| status.code().is_some());
        if worker.begun.is_none() && by_itself {
            worker.at_rest = true;
            if worker.left.is_empty() {
                return Ok(None);
            }
            let said = worker.process.said().unwrap_or_default();
            let exit = status.and_then(|status| status.code()).map_or(Exit::Testbed, Exit::from_code);
            return Err(wrong(exit, format!("a worker ended before it began anything: {said}")));
        }
        worker.begun = None;
        // What ends one between two episodes is the end of the second: nobody else would tell of it.
        let Some(episode) = worker.left.pop_front() else {
            worker.at_rest = true;
            return Ok(None);
        };
        let said = worker.process.said();
        let ended = if hangs { Ended::TimedOut } else { died(status) };
        let (left, life) = (std::mem::take(&mut worker.left), worker.life + 1);
        worker.at_rest = left.is_empty();
        worker.life = life;
        if !left.is_empty() {
            self.workers[number] = self.start(number, left, life)?;
        }
        Ok(Some((episode, Judge::default().finish(ended, said))))
    }
}

impl Worker {
    fn heard(&mut self, said: Said) -> Option<(usize, Outcome)> {
        self.since = Instant::now();
        match said {
            Said::Begun(episode) => {
                self.begun = Some(episode);
                None
            }
            Said::Over(episode, outcome) => {
                self.begun = None;
                self.left.pop_front();
                Some((episode, *outcome))
            }
            Said::TimeIsUp => {
                self.left.clear();
                None
            }
        }
    }
}

/// The verdict of an end that was not this program's own.
pub fn died(status: Option<ExitStatus>) -> Ended {
    let why = match status {
        Some(status) => match child::killed_by(status) {
            Some(signal) => format!("its process was ended by {signal}"),
            None => format!("its process ended in the middle of it ({status})"),
        },
        None => "its process is gone".to_owned(),
    };
    Ended::Died { why }
}

/// Reads lines to the end of them, as long as somebody hears.
fn read(stdout: ChildStdout, tell: impl Fn(Told) -> bool) {
    for line in BufReader::new(stdout).lines() {
        // What is cut off is the end, too.
        let Some(said) = line.ok().and_then(|line| serde_json::from_str(&line).ok()) else { break };
        if !tell(Told::Said(Box::new(said))) {
            return;
        }
    }
    tell(Told::Silent);
}

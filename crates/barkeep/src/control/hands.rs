//! Who carries out what may take its time: a thread for each device, so that no device waits for another's
//! reset, and one for the vCPUs.

use crate::{leftovers, sandbox};
use anyhow::Context;
use barkeep_control::{Done, Refusal, RefusalKind};
use barkeep_export::Errno;
use barkeep_journal::Step;
use barkeep_platform::Board;
use barkeep_sandbox::{Role, Sandbox};
use barkeep_vmm::Machine;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use vmm_sys_util::eventfd::EventFd;

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// The device is given up.
    Remove(u16),
    /// It is reset.
    Reset(u16),
    /// No vCPU is to run.
    Pause,
    /// They go on.
    Resume,
}

/// A task, of a connection.
pub struct Job {
    /// Whose it is.
    pub caller: u32,
    /// What is to be done.
    pub task: Task,
    /// Its command in the journal.
    pub step: Step,
}

/// What a task came to.
pub type Outcome = Result<Done, Refusal>;

/// The threads.
pub struct Hands {
    /// Of the devices, by their numbers, and behind them that of the vCPUs.
    jobs: Vec<Sender<Job>>,
    threads: Vec<JoinHandle<()>>,
    ending: Arc<AtomicBool>,
}

/// What a thread needs.
#[derive(Clone)]
struct Tools {
    board: Arc<Board>,
    machine: Arc<Machine>,
    ending: Arc<AtomicBool>,
    done: Sender<(u32, Outcome)>,
    told: Arc<EventFd>,
}

impl Hands {
    /// Starts them. What a task came to goes to `done`, and `told` is readable then.
    ///
    /// # Errors
    /// No thread.
    pub fn start(
        board: &Arc<Board>,
        machine: &Arc<Machine>,
        confined: &Arc<Sandbox>,
        done: Sender<(u32, Outcome)>,
        told: Arc<EventFd>,
    ) -> anyhow::Result<Self> {
        let ending = Arc::new(AtomicBool::new(false));
        let (board, machine) = (Arc::clone(board), Arc::clone(machine));
        let devices = board.driver().devices();
        let tools = Tools { board, machine, ending: Arc::clone(&ending), done, told };
        let mut hands = Self { jobs: Vec::new(), threads: Vec::new(), ending };
        for number in 0..=devices {
            let name = if number < devices { format!("control{number}") } else { "control".to_owned() };
            let (sender, jobs) = channel();
            let (tools, confined) = (tools.clone(), Arc::clone(confined));
            let thread = std::thread::Builder::new().name(name).spawn(move || {
                sandbox::thread(&confined, Role::Device);
                work(&tools, &jobs);
            });
            hands.jobs.push(sender);
            hands.threads.push(thread.context("cannot start a thread")?);
        }
        Ok(hands)
    }

    /// Has a task carried out, after those of the same device that were given before.
    pub fn give(&self, job: Job) {
        let thread = match job.task {
            Task::Remove(device) | Task::Reset(device) => usize::from(device),
            Task::Pause | Task::Resume => self.jobs.len() - 1,
        };
        // It ends only when these senders are gone.
        let _ = self.jobs[thread].send(job);
    }

    /// Waits for the tasks under way; those that were not begun are refused.
    pub fn finish(&mut self) {
        self.ending.store(true, Ordering::Release);
        self.jobs.clear();
        for thread in self.threads.drain(..) {
            // It has no panic of its own.
            let _ = thread.join();
        }
    }
}

impl Drop for Hands {
    fn drop(&mut self) {
        self.finish();
    }
}

fn work(tools: &Tools, jobs: &Receiver<Job>) {
    for Job { caller, task, step } in jobs {
        let outcome = match tools.ending.load(Ordering::Acquire) {
            true => Err(Refusal::new(RefusalKind::Ending, "the VMM is ending")),
            false => carry_out(&tools.board, &tools.machine, task),
        };
        close(&tools.board, step, &outcome);
        // Nobody is left to hear it where the event loop is gone.
        let _ = tools.done.send((caller, outcome));
        let _ = tools.told.write(1);
    }
}

/// Ends a command in the journal.
pub fn close(board: &Board, step: Step, outcome: &Outcome) {
    board.journal().end_with(step, |event| match outcome {
        Ok(_) => event.result(0),
        Err(refusal) => {
            let errno = refusal.errno.unwrap_or(Errno::INVAL.raw_os_error());
            event.text(refusal.message.as_str()).result(-errno)
        }
    });
}

fn carry_out(board: &Board, machine: &Machine, task: Task) -> Outcome {
    match task {
        Task::Remove(device) => {
            let changed = !board.driver().keeper(device).closed();
            if changed {
                board.close(device);
                leftovers::count_removed(board.journal());
            }
            Ok(Done::Remove { changed })
        }
        Task::Reset(device) if board.driver().keeper(device).closed() => {
            let message = format!("{} has been removed", board.driver().address(device));
            Err(Refusal::new(RefusalKind::DeviceGone, message))
        }
        Task::Reset(device) => board.reset(device).map(|()| Done::Reset).map_err(|errno| {
            let message = format!("the reset of {}: {errno}", board.driver().address(device));
            Refusal::failed(message, errno.raw_os_error())
        }),
        Task::Pause => match machine.pause() {
            Ok(changed) => Ok(Done::Pause { changed }),
            Err(error) => Err(Refusal::failed(error.to_string(), Errno::TIMEDOUT.raw_os_error())),
        },
        Task::Resume => Ok(Done::Resume { changed: machine.resume() }),
    }
}

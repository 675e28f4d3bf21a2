//! One run: a machine is put together, started, listened to, and cleaned up after.

use crate::child::Qemu;
use crate::command_line::{Files, Machine, shell_quoted};
use crate::emulator;
use crate::error::LabError;
use crate::initramfs::{self, Carried};
use crate::inside::Orders;
use crate::kernel;
use crate::listen::{Listener, Stop};
use crate::outcome::Outcome;
use crate::results::{self, Results};
use crate::scratch::Scratch;
use crate::signals::Signals;
use crate::topology::Topology;
use barkeep_journal::{Event, Header, Lane};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What to run, and where its results go.
#[derive(Clone, Debug)]
pub struct Request {
    /// The kernel image: a bzImage, or a vmlinux with a PVH entry.
    pub kernel: PathBuf,
    /// The emulated machine's devices.
    pub topology: Topology,
    /// Wall-clock time and two CPUs instead of counted instructions and one.
    pub fast: bool,
    /// How long it may take, on the wall: from the start of the machine, and again from that of a run in it.
    pub timeout: Duration,
    /// The directory for the results; made if it is not there.
    pub out: PathBuf,
    /// The module of the test importer, for a topology that has a device of its.
    pub importer: Option<PathBuf>,
    /// A directory to be found under `/share` inside.
    pub share: Option<PathBuf>,
    /// Files to be found under `/in` inside.
    pub carried: Vec<Carried>,
    /// The inner arguments of this same executable; or `exec PROGRAM ARGUMENTS…`, a static
    /// program below `/share`.
    pub command: Vec<String>,
    /// How the run inside is carried out again, an object of JSON for the journal's first line; `None` where it is none
    /// that could be.
    pub replay: Option<String>,
    /// Words to add to the kernel's command line.
    pub append: String,
}

impl Request {
    fn header(&self) -> Header {
        Header { lane: Lane::Lab, clock: self.orders().clock() }
    }

    fn orders(&self) -> Orders {
        Orders::new(&self.topology, self.fast, &self.command)
    }
}

/// Boots the machine, hands every event to `on_event` as it comes, and returns when the
/// machine is gone. Whatever happens, no process and no private file stays behind.
///
/// # Errors
/// What was asked for cannot be run, or the testbed failed; [`LabError::exit_code`] tells
/// which.
pub fn run(request: &Request, on_event: &mut dyn FnMut(&Event, Header)) -> Result<Outcome, LabError> {
    let Assembled { line, scratch, results } = Assembled::of(request)?;
    let signals = Signals::watch().map_err(LabError::Signals)?;
    let qemu = Qemu::start(&line, scratch.inherited()).map_err(LabError::Spawn)?;
    let mut listener = Listener::new(qemu, scratch, results, on_event);
    let stop = listener.listen(&signals, request.timeout)?;
    settle(listener, stop, request.timeout)
}

/// A machine that is put together and not started.
pub(crate) struct Assembled {
    /// Program and arguments.
    pub(crate) line: Vec<String>,
    pub(crate) scratch: Scratch,
    pub(crate) results: Results,
}

impl Assembled {
    pub(crate) fn of(request: &Request) -> Result<Self, LabError> {
        let kernel = kernel::load(&request.kernel)?;
        let emulator = emulator::find()?;
        let initramfs = initramfs::build(
            &request.orders(),
            &request.carried,
            request.share.as_deref(),
            request.importer.as_deref(),
        )?;
        let results = Results::create(&request.out, request.header(), request.replay.as_deref())?;
        let scratch = Scratch::new(kernel.unpacked.as_deref(), &initramfs, request.topology.disks())
            .map_err(LabError::Scratch)?;
        let line = command(request, &emulator, scratch.names(), results.console());
        Ok(Self { line, scratch, results })
    }
}

/// The command line [`run`] would start QEMU with, as a shell reads it. Words in capitals
/// stand for private files that only a run makes.
///
/// # Errors
/// As [`run`] before anything starts.
pub fn dry_run(request: &Request) -> Result<String, LabError> {
    let kernel = kernel::load(&request.kernel)?;
    let emulator = emulator::find()?;
    let files = Files::shown(kernel.unpacked.is_some(), &request.topology);
    Ok(shell_quoted(&command(request, &emulator, files, request.out.join(results::CONSOLE))))
}

/// What is left to do depends on why the machine is gone.
fn settle(mut listener: Listener<'_>, stop: Stop, timeout: Duration) -> Result<Outcome, LabError> {
    let outcome = match stop {
        Stop::Finished(status) => Outcome::Finished { status, files: listener.unpack(status)? },
        Stop::Ended(status) if !status.success() => {
            let stderr = listener.failed(&format!("QEMU failed ({status})"))?;
            return Err(match refuses_topology(&stderr) && !listener.reached_init() {
                true => LabError::Refused(stderr),
                false => LabError::Crashed { status, stderr },
            });
        }
        Stop::Ended(_) => {
            let console = listener.last_words()?;
            Outcome::Died { reached_init: listener.reached_init(), console }
        }
        Stop::TimedOut => {
            let last = listener.last().cloned().map(Box::new);
            listener.failed(&format!("timed out after {} s of wall time", timeout.as_secs()))?;
            Outcome::TimedOut { after: timeout, reached_init: listener.reached_init(), last }
        }
        Stop::Hangs(line) => {
            listener.failed(&format!("nothing has happened for too long since a task hangs: {line}"))?;
            Outcome::Hung { line }
        }
        Stop::Signal(signal) => {
            listener.failed(&format!("ended by signal {signal}"))?;
            Outcome::Interrupted { signal }
        }
    };
    Ok(outcome)
}

/// QEMU begins what it says about an option with the option.
fn refuses_topology(stderr: &str) -> bool {
    [": -device ", ": -drive ", ": -global ", "global property"].iter().any(|option| stderr.contains(option))
}

fn command(request: &Request, emulator: &Path, files: Files, console: PathBuf) -> Vec<String> {
    let Request { kernel, topology, fast, append, .. } = request;
    Machine { emulator, kernel, files, topology, fast: *fast, console, append }.command()
}

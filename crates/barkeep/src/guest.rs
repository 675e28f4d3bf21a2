//! `run --guest`: a guest of one's own instead of the probe, from its first instruction to its own end.

use crate::control::Endpoint;
use crate::event_loop::{self, EventLoop, Woken};
use crate::exit::{Exit, UsageExt, wrong};
use crate::guest_init;
use crate::terminal::Raw;
use crate::typist::Typist;
use crate::{inside, sandbox};
use barkeep_boot::Guest;
use barkeep_journal::{Actor, Event, Kind};
use barkeep_platform::Board;
use barkeep_platform::power::Wish;
use barkeep_sandbox::Sandbox;
use barkeep_vmm::vcpu::VcpuEnd;
use barkeep_vmm::{Machine, Parts, Shell};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The scenario of a guest of one's own: nothing is done to it.
pub const SCENARIO: &str = "version = 1\nname = \"guest\"\naction = []\n[guest]\nmemory = \"512M\"\n";

/// What is booted, by the names of its files.
#[derive(Clone, Debug, clap::Args)]
pub struct GuestOptions {
    /// Boot this instead of a scenario's probe: a Linux bzImage, or any ELF with a PVH entry. Its console
    /// is the first serial port (console=ttyS0), on this terminal. The command's status is 0 if it powers
    /// off or reboots, 70 if its kernel panics, and what it writes to I/O port 0x603 if it does.
    #[arg(long, value_name = "KERNEL", conflicts_with_all = ["scenario", "times"])]
    pub guest: Option<PathBuf>,
    /// With --guest: its initial RAM disk. `self` is one whose PID 1 is this very program: it says what the guest
    /// has, does what words like barkeep.do=devices of --append say, and powers off.
    #[arg(long, value_name = "FILE", requires = "guest")]
    pub initrd: Option<PathBuf>,
    /// With --guest: its command line.
    #[arg(long, value_name = "WORDS", requires = "guest", default_value = DEFAULT_CMDLINE)]
    pub append: String,
}

/// The initrd that is this program.
const OWN_INITRD: &str = "self";
/// Enough to see what a guest has to say.
const DEFAULT_CMDLINE: &str = "console=ttyS0";

impl GuestOptions {
    /// Reads the files; `None` without a guest.
    ///
    /// # Errors
    /// One cannot be read.
    pub fn read(&self, vcpus: u16) -> anyhow::Result<Option<Guest>> {
        let Self { guest, initrd, append } = self;
        let Some(kernel) = guest else { return Ok(None) };
        let file = |what: &str, path: &Path| {
            std::fs::read(path).usage(format!("cannot read the guest's {what} {}", path.display()))
        };
        let initrd = match initrd.as_deref() {
            Some(path) if path.as_os_str() == OWN_INITRD => {
                Some(barkeep_lab::guest_initrd(guest_init::MARK).usage("no initrd of this program")?)
            }
            Some(path) => Some(file("initrd", path)?),
            None => None,
        };
        let kernel = file("kernel", kernel)?;
        Ok(Some(Guest { kernel, initrd, cmdline: append.clone(), acpi: Some(vcpus) }))
    }
}

/// Runs it to its end, and gives everything back.
///
/// # Errors
/// It cannot be started; what was named is no kernel.
pub fn run(
    shell: Shell,
    board: Arc<Board>,
    guest: Guest,
    vcpus: u16,
    endpoint: Option<Endpoint>,
    confined: &Arc<Sandbox>,
) -> anyhow::Result<Exit> {
    let console = Box::new(std::io::stdout());
    let confine = sandbox::of_vcpus(confined);
    let parts = Parts { board: Arc::clone(&board), probe: None, vcpus, console, confine };
    let machine = inside::start(shell, parts, &guest).usage("cannot start the guest")?;
    // It is in the guest's memory, and never loaded again: its files' size is not to be had twice.
    drop(guest);
    let terminal = Raw::enter();
    let typist = Typist::start(&machine, confined)?;
    let woken = wait(&board, &machine, endpoint, confined);
    let ends = machine.stop();
    drop(typist);
    drop(terminal);
    board.take_apart();
    match woken? {
        (_, Woken::Signal) => Ok(Exit::Interrupted),
        (_, Woken::Done | Woken::VcpuEnded | Woken::Quit) => conclude(&ends, &board),
    }
}

/// Lets it go, and waits for its end. Whoever waits for that on the control socket is told when the loop is
/// dropped.
fn wait(
    board: &Arc<Board>,
    machine: &Arc<Machine>,
    endpoint: Option<Endpoint>,
    confined: &Arc<Sandbox>,
) -> anyhow::Result<(EventLoop, Woken)> {
    let mut events = EventLoop::of(event_loop::event()?, board, machine, endpoint, confined)?;
    machine.resume();
    let woken = events.wait()?;
    events.finish_control();
    Ok((events, woken))
}

/// What the command says of how the guest ended.
fn conclude(ends: &[VcpuEnd], board: &Board) -> anyhow::Result<Exit> {
    let tell = |text: &str| {
        board.journal().emit(Event::new(Kind::Action, Actor::Vmm).text(text));
        eprintln!("barkeep: {text}");
    };
    let of = |end: &VcpuEnd| match end {
        VcpuEnd::Stopped => None,
        VcpuEnd::Asked(wish) => Some(Ok(*wish)),
        VcpuEnd::GuestEnd(why) | VcpuEnd::Failed(why) => Some(Err(why.clone())),
    };
    match ends.iter().find_map(of) {
        Some(Ok(Wish::PowerOff)) => tell("the guest has powered off"),
        Some(Ok(Wish::Reset)) => tell("the guest has rebooted"),
        Some(Ok(Wish::Panic)) => {
            tell("the guest's kernel has panicked");
            return Ok(Exit::Other(PANICKED));
        }
        Some(Ok(Wish::Status(status))) => return Ok(Exit::from_code(status.into())),
        Some(Err(why)) => return Err(wrong(Exit::Broken, format!("the guest cannot go on: {why}"))),
        None => tell("the guest was stopped: the control socket has said so"),
    }
    Ok(Exit::Pass)
}

/// `EX_SOFTWARE`.
const PANICKED: u8 = 70;

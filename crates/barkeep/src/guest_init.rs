//! PID 1 of a guest that is there to be looked at: `--initrd self` holds this very program, which then does
//! what the guest's command line says and nothing else.

mod disk;
mod function;
mod network;
mod peer;
mod resets;

use crate::exit;
use anyhow::{Context, bail};
use barkeep_platform::map;
use function::Function;
use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::mount::{MountFlags, mount};
use rustix::system::{RebootCommand, reboot};
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::exit;
use std::thread::sleep;
use std::time::Duration;

/// A file of the initrd by which this program knows that it is a guest's PID 1. In a container it may be
/// PID 1, too.
pub const MARK: &str = "/barkeep-guest";
/// What a word of the command line for it begins with.
const DO: &str = "barkeep.do=";
/// Its status if something it was told to do failed.
const FAILED: u8 = 1;

/// Whether this process is.
pub fn is_guest_init() -> bool {
    std::process::id() == 1 && Path::new(MARK).exists()
}

/// One of the things it does, in the order of the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Task {
    /// `devices`: says which PCI functions there are, and whose.
    Devices,
    /// `interrupts`: says which interrupts were met how often.
    Interrupts,
    /// `disk:NAME`: reads a disk of the lab's making, on all CPUs, and looks whether it is right.
    Disk(String),
    /// `peer`: has one device write into another and looks whether it arrived.
    Peer,
    /// `reset:ADDRESS`: has the kernel reset a function.
    Reset(String),
    /// `flr:ADDRESS`: resets a function by FLR under its driver.
    Flr(String),
    /// `d3hot:ADDRESS`: sends a function to D3hot and back, whatever its driver thinks of it.
    D3hot(String),
    /// `sleep`: has all drivers put their devices to sleep and wake them.
    Sleep,
    /// `ping:ADDRESS`: looks for a link, and whether somebody answers.
    Ping(String),
    /// `stay:SECONDS`: stays.
    Stay(u64),
    /// `reboot`.
    Reboot,
    /// `status:NUMBER`: ends with this status.
    Status(u8),
    /// `panic`: ends, which a PID 1 may not.
    Panic,
}

impl Task {
    fn of(word: &str) -> Option<Self> {
        let (name, value) = word.split_once(':').map_or((word, None), |(name, value)| (name, Some(value)));
        Some(match (name, value) {
            ("devices", None) => Self::Devices,
            ("interrupts", None) => Self::Interrupts,
            ("disk", Some(name)) => Self::Disk(name.to_owned()),
            ("peer", None) => Self::Peer,
            ("reset", Some(address)) => Self::Reset(address.to_owned()),
            ("flr", Some(address)) => Self::Flr(address.to_owned()),
            ("d3hot", Some(address)) => Self::D3hot(address.to_owned()),
            ("sleep", None) => Self::Sleep,
            ("ping", Some(address)) => Self::Ping(address.to_owned()),
            ("stay", Some(seconds)) => Self::Stay(seconds.parse().ok()?),
            ("reboot", None) => Self::Reboot,
            ("status", Some(number)) => Self::Status(number.parse().ok()?),
            ("panic", None) => Self::Panic,
            _ => return None,
        })
    }
}

/// Does everything it was told, and powers off.
pub fn main() -> ! {
    if let Err(error) = live() {
        println!("guest: {}", exit::told(&error));
        // What cannot be told by its status is told by the words alone.
        let _ = say_status(FAILED);
    }
    end(RebootCommand::PowerOff)
}

fn end(how: RebootCommand) -> ! {
    let _ = std::io::stdout().flush();
    // Only fails for who may not, and this is root.
    let _ = reboot(how);
    loop {
        std::thread::park();
    }
}

fn live() -> anyhow::Result<()> {
    for (target, kind) in [("/proc", "proc"), ("/sys", "sysfs"), ("/dev", "devtmpfs")] {
        let _ = rustix::fs::mkdir(target, Mode::from_raw_mode(0o755));
        match mount(kind, target, kind, MountFlags::empty(), None) {
            // The kernel may have mounted it by itself.
            Ok(()) | Err(Errno::BUSY) => {}
            Err(error) => return Err(error).context(format!("cannot mount {target}")),
        }
    }
    take_console()?;
    println!("guest: up");
    let cmdline = fs::read_to_string("/proc/cmdline").context("/proc/cmdline")?;
    let words = cmdline.split_whitespace().filter_map(|word| word.strip_prefix(DO));
    for (number, word) in words.enumerate() {
        let Some(task) = Task::of(word) else { bail!("nothing is called `{word}`") };
        carry_out(task, number as u64).with_context(|| format!("`{word}` failed"))?;
    }
    Ok(())
}

/// Before /dev was there the kernel may have had no console to give.
fn take_console() -> anyhow::Result<()> {
    let console = File::options().read(true).write(true).open("/dev/console").context("/dev/console")?;
    rustix::stdio::dup2_stdin(&console)?;
    rustix::stdio::dup2_stdout(&console)?;
    rustix::stdio::dup2_stderr(&console)?;
    Ok(())
}

fn carry_out(task: Task, number: u64) -> anyhow::Result<()> {
    match task {
        Task::Devices => devices(),
        Task::Interrupts => interrupts(),
        Task::Disk(name) => disk::check(&name),
        Task::Peer => peer::check(number),
        Task::Reset(address) => resets::by_the_kernel(&address),
        Task::Flr(address) => resets::under_the_driver(&address),
        Task::D3hot(address) => resets::through_d3hot(&address),
        Task::Sleep => resets::sleep_and_wake(),
        Task::Ping(address) => network::ping(&address),
        Task::Stay(seconds) => {
            sleep(Duration::from_secs(seconds));
            Ok(())
        }
        Task::Reboot => end(RebootCommand::Restart),
        Task::Status(status) => say_status(status),
        Task::Panic => exit(1),
    }
}

/// Does not come back.
fn say_status(status: u8) -> anyhow::Result<()> {
    std::io::stdout().flush().context("the console")?;
    let ports = File::options().write(true).open("/dev/port").context("/dev/port")?;
    ports.write_all_at(&[status], map::STATUS_PORT.into()).context("the port for a guest's status")
}

fn devices() -> anyhow::Result<()> {
    for function in Function::all()? {
        let (vendor, device) = (function.text("vendor"), function.text("device"));
        println!("guest: {} {vendor} {device} driver {}", function.address(), function.driver());
    }
    Ok(())
}

fn interrupts() -> anyhow::Result<()> {
    let text = fs::read_to_string("/proc/interrupts").context("/proc/interrupts")?;
    // Those of devices have numbers.
    for line in text.lines().map(str::trim).filter(|line| line.starts_with(|c: char| c.is_ascii_digit())) {
        println!("guest: interrupt {line}");
    }
    Ok(())
}

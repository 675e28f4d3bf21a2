//! PID 1 of a guest that is there to be looked at: `--initrd self` holds this very program, which then does
//! what the guest's command line says and nothing else.

use anyhow::{Context, bail};
use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::mount::{MountFlags, mount};
use rustix::system::{RebootCommand, reboot};
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

/// A file of the initrd by which this program knows that it is a guest's PID 1. In a container it may be
/// PID 1, too.
pub const MARK: &str = "/barkeep-guest";
/// What a word of the command line for it begins with.
const DO: &str = "barkeep.do=";

/// Whether this process is.
pub fn is_guest_init() -> bool {
    std::process::id() == 1 && Path::new(MARK).exists()
}

/// One of the things it does, in the order of the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Task {
    /// Says which PCI functions there are, and whose.
    Devices,
    /// Says which interrupts were met how often.
    Interrupts,
    /// Reboots.
    Reboot,
}

impl Task {
    fn of(word: &str) -> Option<Self> {
        Some(match word {
            "devices" => Self::Devices,
            "interrupts" => Self::Interrupts,
            "reboot" => Self::Reboot,
            _ => return None,
        })
    }
}

/// Does everything it was told, and powers off.
pub fn main() -> ! {
    if let Err(error) = live() {
        println!("guest: {error:#}");
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
    for word in cmdline.split_whitespace().filter_map(|word| word.strip_prefix(DO)) {
        let Some(task) = Task::of(word) else { bail!("nothing is called `{word}`") };
        carry_out(task)?;
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

fn carry_out(task: Task) -> anyhow::Result<()> {
    match task {
        Task::Devices => devices(),
        Task::Interrupts => interrupts(),
        Task::Reboot => end(RebootCommand::Restart),
    }
}

fn devices() -> anyhow::Result<()> {
    let folder = Path::new("/sys/bus/pci/devices");
    let mut names: Vec<_> =
        fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name())).collect::<std::io::Result<_>>()?;
    names.sort();
    for name in names {
        let device = folder.join(&name);
        let text = |file: &str| fs::read_to_string(device.join(file)).unwrap_or_default().trim().to_owned();
        let driver = fs::read_link(device.join("driver")).unwrap_or_default();
        let driver = driver.file_name().map_or("none".into(), |name| name.to_string_lossy().into_owned());
        println!("guest: {} {} {} driver {driver}", name.display(), text("vendor"), text("device"));
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

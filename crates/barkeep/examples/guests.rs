//! Several Linux guests, or one that is talked to, on the machine this runs on: in the lab, by
//! `barkeep lab --share DIR -- exec guests …`. What the guests say goes to standard output.
//!
//!     guests functions KERNEL          a guest for each device of the topology that is bound to vfio-pci,
//!                                      at once; each has an address and pings the next one's
//!     guests shell KERNEL INITRD       waits for the shell of a Debian initrd and types into it
//!
//!     guests refusals KERNEL           runs that must not start: with a device that another VM has, with one
//!                                      whose group a driver has part of, without /dev/kvm; prints how each ended
//!
//! Ends with status 0, or says what has not come.

use anyhow::{Context, bail, ensure};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;

/// The program whose other half this machine's PID 1 is.
const BARKEEP: &str = "/init";
/// By this a run finds the journal of the lab; without it each has one of its own.
const JOURNAL: &str = "BARKEEP_JOURNAL";
/// The prompt of initramfs-tools' shell.
const PROMPT: &str = "(initramfs) ";

fn main() -> anyhow::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["functions", kernel] => functions(kernel),
        ["shell", kernel, initrd] => shell(kernel, initrd),
        ["refusals", kernel] => refusals(kernel),
        _ => bail!("guests functions KERNEL, guests shell KERNEL INITRD, or guests refusals KERNEL"),
    }
}

/// Devices of the topology, as `name=address`.
fn devices() -> anyhow::Result<Vec<String>> {
    let named = std::env::var("BARKEEP_DEVICES").context("BARKEEP_DEVICES")?;
    Ok(named.split_whitespace().map(str::to_owned).collect())
}

fn run(number: usize, kernel: &str, initrd: &str, cmdline: &str, device: Option<&str>) -> Command {
    let mut command = Command::new(BARKEEP);
    command.env_remove(JOURNAL).args(["run", "--lane", "host", "--memory", "256M"]);
    command.arg("--out").arg(format!("/tmp/guest{number}"));
    command.args(["--guest", kernel, "--initrd", initrd, "--append", cmdline]);
    if let Some(device) = device {
        command.args(["--device", device]);
    }
    command.stdout(Stdio::piped());
    command
}

fn functions(kernel: &str) -> anyhow::Result<()> {
    let is_function = |device: &&String| device.starts_with("vf");
    let devices: Vec<String> = devices()?.iter().filter(is_function).cloned().collect();
    ensure!(devices.len() > 1, "the topology has fewer than two virtual functions");
    bring_up_cards()?;
    let address = |number: usize| format!("10.0.0.{}", number % devices.len() + 1);
    let mut guests = Vec::new();
    for (number, device) in devices.iter().enumerate() {
        let cmdline = format!(
            "console=ttyS0 quiet panic=-1 ip={}:::255.255.255.0::eth0:off barkeep.do=devices barkeep.do=ping:{} \
             barkeep.do=stay:5",
            address(number),
            address(number + 1)
        );
        let mut guest = run(number, kernel, "self", &cmdline, Some(device)).spawn().context(BARKEEP)?;
        let said = output(&mut guest)?;
        guests.push((guest, thread::spawn(move || echo(number, said))));
    }
    for (number, (mut guest, echo)) in guests.into_iter().enumerate() {
        let status = guest.wait().context("a guest")?;
        ensure!(echo.join().is_ok(), "the reader of guest {number} panicked");
        ensure!(status.success(), "guest {number} ended with {status}");
    }
    println!("all guests reached each other");
    Ok(())
}

/// A virtual function has a link only while the physical one, which is this machine's, is up.
fn bring_up_cards() -> anyhow::Result<()> {
    /// `IFF_UP`, besides what is always set.
    const UP: &str = "0x1003";
    for entry in fs::read_dir("/sys/class/net").context("/sys/class/net")? {
        let card = entry.context("/sys/class/net")?.path();
        if card.join("device").exists() {
            fs::write(card.join("flags"), UP).with_context(|| card.display().to_string())?;
        }
    }
    Ok(())
}

fn output(guest: &mut Child) -> anyhow::Result<BufReader<ChildStdout>> {
    guest.stdout.take().map(BufReader::new).context("its output")
}

fn echo(number: usize, said: impl BufRead) {
    for line in said.lines().map_while(Result::ok) {
        println!("{number}: {}", line.trim_end());
    }
}

fn shell(kernel: &str, initrd: &str) -> anyhow::Result<()> {
    let cmdline = "console=ttyS0 quiet break=top";
    let mut command = run(0, kernel, initrd, cmdline, None);
    let mut guest = command.stdin(Stdio::piped()).spawn().context(BARKEEP)?;
    let mut said = output(&mut guest)?;
    let mut typed = guest.stdin.take().context("its input")?;
    for line in ["uname -srm", "cat /sys/firmware/acpi/tables/FACP | wc -c", "poweroff -f"] {
        ensure!(until_prompt(&mut said)?, "the guest ended before its shell was there");
        typed.write_all(format!("{line}\n").as_bytes()).context("typing")?;
    }
    until_prompt(&mut said)?;
    let status = guest.wait().context("the guest")?;
    ensure!(status.success(), "the guest ended with {status}");
    println!("\nthe shell was there");
    Ok(())
}

fn refusals(kernel: &str) -> anyhow::Result<()> {
    let devices = devices()?;
    let named =
        |name: &str| devices.iter().find(|device| device.starts_with(name)).context("a device of that name");
    let (own, shared) = (named("own=")?, named("shared=")?);
    let mut holder = run(0, kernel, "self", "console=ttyS0 quiet barkeep.do=stay:600", Some(own)).spawn()?;
    let mut said = output(&mut holder)?;
    ensure!(until(&mut said, "guest: up")?, "the first guest did not come up");
    refused("in use", run(1, kernel, "self", "console=ttyS0", Some(own)))?;
    refused("shared group", run(1, kernel, "self", "console=ttyS0", Some(shared)))?;
    rustix::process::kill_process(rustix::process::Pid::from_child(&holder), rustix::process::Signal::TERM)?;
    println!("the first guest ended with {}", holder.wait()?);
    fs::remove_file("/dev/kvm").context("/dev/kvm")?;
    refused("no KVM", run(1, kernel, "self", "console=ttyS0", Some(own)))?;
    Ok(())
}

/// Prints how a run ends that is not to start.
fn refused(name: &str, mut command: Command) -> anyhow::Result<()> {
    let ended = command.stderr(Stdio::piped()).output().context(BARKEEP)?;
    let said = String::from_utf8_lossy(&ended.stderr);
    let said: Vec<_> = said.lines().filter(|line| line.starts_with("barkeep:")).collect();
    println!("{name}: {}: {}", ended.status, said.join(" | "));
    Ok(())
}

/// Passes on what is said; whether the prompt came before the end.
fn until_prompt(said: &mut impl Read) -> anyhow::Result<bool> {
    until(said, PROMPT)
}

/// The same of any word.
fn until(said: &mut impl Read, word: &str) -> anyhow::Result<bool> {
    let mut last = Vec::new();
    let mut byte = [0];
    while said.read(&mut byte).context("the guest's console")? == 1 {
        std::io::stdout().write_all(&byte).context("standard output")?;
        last.push(byte[0]);
        if last.ends_with(word.as_bytes()) {
            return Ok(true);
        }
    }
    Ok(false)
}

//! Whether a run is confined, and what it may pin.

use crate::cli::RunOptions;
use crate::exit::{UsageExt, told};
use anyhow::Context;
use barkeep_journal::{Actor, Event, Journal, Kind};
use barkeep_sandbox::{Mode, Role, Sandbox, limit};
use barkeep_scenario::Scenario;
use barkeep_vfio::Sharing;
use barkeep_vmm::machine::Confine;
use clap::ValueEnum;
use std::sync::Arc;

/// What becomes of a system call that a thread has no business with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Seccomp {
    /// It ends the command with status 159, and a line says which it was.
    Trap,
    /// It is carried out; the kernel's audit log has it.
    Log,
    /// Nothing is confined, and privileges are kept.
    Off,
}

/// A guest of one's own is confined unless that is turned off. A scenario is a test's, which acts as the machine's
/// administrator and starts processes: it is where that is asked for.
pub fn mode(options: &RunOptions) -> Mode {
    match options.seccomp {
        Some(Seccomp::Trap) => Mode::Trap,
        Some(Seccomp::Log) => Mode::Log,
        Some(Seccomp::Off) => Mode::Off,
        None if options.guest.guest.is_some() => Mode::Trap,
        None => Mode::Off,
    }
}

/// Gets the filters ready. Nothing is confined yet.
///
/// # Errors
/// A filter cannot be made.
pub fn prepare(options: &RunOptions, journal: &Journal) -> anyhow::Result<Arc<Sandbox>> {
    if options.seccomp == Some(Seccomp::Off) && options.guest.guest.is_some() {
        let text = "--seccomp off: this process keeps all its privileges and may make any system call";
        eprintln!("barkeep: {text}");
        journal.emit(Event::new(Kind::Degraded, Actor::Vmm).text(text));
    }
    Sandbox::prepare(mode(options)).map(Arc::new).context("cannot prepare to be confined")
}

/// Confines the process: all is open that it needs.
///
/// # Errors
/// The kernel refuses.
pub fn confine(sandbox: &Sandbox) -> anyhow::Result<()> {
    sandbox.confine_process().usage("cannot be confined")
}

/// Confines each vCPU's thread.
pub fn of_vcpus(sandbox: &Arc<Sandbox>) -> Confine {
    let sandbox = Arc::clone(sandbox);
    Arc::new(move || sandbox.confine_thread(Role::Vcpu).map_err(|error| error.to_string()))
}

/// Confines the calling thread; one that cannot be ends the process, since it would run as it was.
pub fn thread(sandbox: &Sandbox, role: Role) {
    if let Err(error) = sandbox.confine_thread(role) {
        eprintln!("barkeep: a thread cannot be confined: {}", told(&anyhow::Error::new(error)));
        std::process::abort();
    }
}

/// Takes the privileges of the calling thread, which was there before the process was confined.
pub fn shed() {
    if let Err(error) = barkeep_sandbox::shed_privileges() {
        eprintln!("barkeep: a thread cannot give up its privileges: {}", told(&anyhow::Error::new(error)));
        std::process::abort();
    }
}

/// Sees to it that the guest's memory may be pinned, before anything is opened.
///
/// # Errors
/// The memory-lock limit is too low.
pub fn may_pin(options: &RunOptions, scenario: &Scenario, devices: usize) -> anyhow::Result<()> {
    let spaces = match options.sharing(scenario) {
        Sharing::Shared => devices.min(1),
        Sharing::Each => devices,
    };
    limit::ensure(options.memory(scenario).saturating_mul(spaces as u64))
        .usage("the memory-lock limit is too low")
}

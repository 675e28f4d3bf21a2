//! Inside the machine: PID 1.
//!
//! It mounts what a program expects, finds the two windows of shared memory, follows the
//! kernel's log, binds the topology's devices, runs the inner command as a child, and packs
//! what that left in `/out`. It never ends without an event that says why.

mod command;
mod kmsg;
mod mounts;
mod pack;
mod power;
mod preflight;
mod windows;

use crate::command_line::{JOURNAL_SLOT, PARCEL_SLOT};
use crate::error::{EXIT_TESTBED, EXIT_USAGE};
use crate::inside::{self, Orders};
use crate::outcome::PID_1_SAYS;
use crate::topology_rules::VFIO;
use crate::ward::{self, WardError};
use barkeep_journal::{Actor, Event, Journal, Kind, Lane};
use rustix::system::finit_module;
use std::fs;
use std::io;
use std::panic;
use std::path::{Path, PathBuf};

/// The directory whose files come out.
pub const OUT: &str = "/out";

/// Where the module of the test importer lies, where the topology has a device for it.
pub const IMPORTER_MODULE: &str = inside::IMPORTER;

/// Whether this process is PID 1 of the emulated machine. To be asked before the command
/// line is looked at: the kernel puts words of its own there.
pub fn is_lab_init() -> bool {
    std::process::id() == 1 && Path::new(inside::PATH).exists()
}

/// What keeps the inner command from running.
#[derive(Debug, thiserror::Error)]
enum InnerError {
    #[error("the kernel lacks {0}; `barkeep lab --print-config` prints what it needs")]
    Kernel(String),
    #[error(transparent)]
    Topology(#[from] WardError),
    #[error("cannot start {0}: {1}")]
    Start(PathBuf, #[source] io::Error),
    #[error("`exec` needs the program to run")]
    NoProgram,
    #[error(
        "the kernel does not take the importer's module: it is another kernel's, or this one has no modules; scripts/kernel --importer builds it"
    )]
    Module(#[source] io::Error),
    #[error("{0}: {1}")]
    Io(&'static str, #[source] io::Error),
}

impl InnerError {
    /// 2 where kernel, topology or command were the wrong ones to name.
    fn exit_code(&self) -> i32 {
        match self {
            Self::Io(..) => EXIT_TESTBED,
            _ => EXIT_USAGE,
        }
    }
}

/// Does everything PID 1 does, and switches the machine off.
pub fn init_main() -> ! {
    match set_up() {
        Ok((orders, journal)) => live(&orders, &journal),
        // The serial console is all there is to say it on; outside it reads as a death.
        Err(error) => eprintln!("{PID_1_SAYS} cannot set up its journal: {error}"),
    }
    power::off()
}

fn set_up() -> Result<(Orders, Journal), Box<dyn std::error::Error>> {
    mounts::mount_all()?;
    let orders = Orders::read()?;
    let (file, size) = windows::open(JOURNAL_SLOT)?;
    let journal = Journal::create(file, size, Lane::Lab, orders.clock())?;
    Ok((orders, journal))
}

fn live(orders: &Orders, journal: &Journal) {
    end_loudly_on_panic(journal.clone());
    let log = kmsg::Follower::start(journal.clone());
    let status = work(orders, journal).unwrap_or_else(|error| {
        journal.emit(lab_event(error.to_string()).result(error.exit_code()));
        error.exit_code()
    });
    match log {
        Ok(log) => log.drain(),
        Err(error) => journal.emit(lab_event(format!("the kernel's log cannot be read: {error}"))),
    }
    let status = match pack_results(journal) {
        Ok(()) => status,
        Err(error) => {
            journal.emit(lab_event(format!("the results cannot be packed: {error}")));
            EXIT_TESTBED
        }
    };
    journal.finish(status);
}

fn work(orders: &Orders, journal: &Journal) -> Result<i32, InnerError> {
    mounts::raise_limits().map_err(|error| InnerError::Io("cannot raise limits", error.into()))?;
    if orders.binds().any(|driver| driver == VFIO) {
        preflight::check()?;
    }
    load_importer()?;
    let devices = ward::arrange(&orders.devices, journal)?;
    command::run(orders, &devices, journal)
}

/// Loads the test importer, where the topology has a device for it.
fn load_importer() -> Result<(), InnerError> {
    let module = match fs::File::open(inside::IMPORTER) {
        Ok(module) => module,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(InnerError::Io("cannot open the importer's module", error)),
    };
    finit_module(&module, c"", 0).map_err(|error| InnerError::Module(error.into()))
}

fn pack_results(journal: &Journal) -> io::Result<()> {
    let (file, size) = windows::open(PARCEL_SLOT)?;
    pack::pack(Path::new(OUT), file, size, journal)
}

/// An event of the testbed's own.
fn lab_event(text: String) -> Event {
    Event::new(Kind::Degraded, Actor::Lab).text(text)
}

fn end_loudly_on_panic(journal: Journal) {
    panic::set_hook(Box::new(move |info| {
        journal.emit(lab_event(format!("PID 1: {info}")).result(EXIT_TESTBED));
        journal.finish(EXIT_TESTBED);
        power::off()
    }));
}

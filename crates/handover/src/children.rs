//! The two processes, from outside: started, asked, ended.

use crate::step::{End, Side};
use crate::talk::{Ask, ask, pair};
use barkeep_journal::{Actor, Event, Journal, Kind, writer::Step};
use barkeep_model::{Answer, Errno};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};

/// The hidden subcommand of the binary that runs this, which a process is started with; behind it
/// stands which of the two it is.
pub const PROCESS_COMMAND: &str = "handover-process";
/// The two words.
pub const EXPORTER: &str = "exporter";
/// See [`EXPORTER`].
pub const IMPORTER: &str = "importer";
/// The importer beside a VMM ([`crate::second`]).
pub const SECOND: &str = "second";

const SIGKILL: i32 = 9;

/// What the testbed itself could not do.
#[derive(Debug, thiserror::Error)]
pub enum ChildError {
    /// No process, or no end of one.
    #[error("cannot start, stop or wait for a process")]
    Process(#[source] io::Error),
    /// A socket.
    #[error("cannot make a socket ({0})")]
    Socket(Errno),
    /// It is not there to be asked.
    #[error("the {0:?} cannot be asked ({1}); what it said stands above")]
    Gone(Side, Errno),
    /// It ended in another way than it was made to.
    #[error("the {0:?} was to end by {1:?} and ended with {2}")]
    Ended(Side, End, std::process::ExitStatus),
}

/// One process.
struct One {
    child: Child,
    conductor: OwnedFd,
    lifetime: Step,
}

/// Both; either is there until its end was waited for.
pub struct Children {
    exporter: Option<One>,
    importer: Option<One>,
}

impl Children {
    /// Starts both, with a socket between them of which nobody else has an end.
    ///
    /// # Errors
    /// No sockets or processes.
    pub fn start(journal: &Journal) -> Result<Self, ChildError> {
        let (exporters, importers) = pair().map_err(ChildError::Socket)?;
        let exporter = One::start(Side::Exporter, exporters, journal)?;
        let importer = One::start(Side::Importer, importers, journal)?;
        Ok(Self { exporter: Some(exporter), importer: Some(importer) })
    }

    /// Asks one of them.
    ///
    /// # Errors
    /// It is gone.
    pub fn ask(&self, side: Side, what: &Ask) -> Result<Answer, ChildError> {
        let one = match side {
            Side::Exporter => &self.exporter,
            Side::Importer => &self.importer,
        };
        let one = one.as_ref().ok_or(ChildError::Gone(side, Errno::Other(3)))?;
        ask(&one.conductor, what).map_err(|errno| ChildError::Gone(side, errno))
    }

    /// Ends one of them, and waits until the kernel has taken away what it held.
    ///
    /// # Errors
    /// It cannot be ended, or has ended otherwise.
    pub fn end(&mut self, side: Side, end: End, journal: &Journal) -> Result<(), ChildError> {
        let one = match side {
            Side::Exporter => self.exporter.take(),
            Side::Importer => self.importer.take(),
        };
        one.map_or(Ok(()), |one| one.end(side, end, journal))
    }
}

impl Drop for Children {
    fn drop(&mut self) {
        // Only after an error: nothing of an order is left behind for the next one to meet.
        for mut one in [self.exporter.take(), self.importer.take()].into_iter().flatten() {
            let _ = one.child.kill();
            let _ = one.child.wait();
        }
    }
}

impl One {
    fn start(side: Side, other: OwnedFd, journal: &Journal) -> Result<Self, ChildError> {
        let (conductor, theirs) = pair().map_err(ChildError::Socket)?;
        let (name, actor) = match side {
            Side::Exporter => (EXPORTER, Actor::Exporter),
            Side::Importer => (IMPORTER, Actor::Importer),
        };
        let lifetime = journal.begin(Event::new(Kind::Process, actor).text(name));
        let mut command = Command::new("/proc/self/exe");
        command.args([PROCESS_COMMAND, name]).stdin(Stdio::from(theirs)).stdout(Stdio::from(other));
        // The command has the other ends of both sockets, and goes at the end of this function.
        let child = command.spawn().map_err(ChildError::Process)?;
        Ok(Self { child, conductor, lifetime })
    }

    fn end(self, side: Side, end: End, journal: &Journal) -> Result<(), ChildError> {
        let Self { mut child, conductor, lifetime } = self;
        match end {
            // Nothing more will be asked: it returns from its loop with all it holds.
            End::Exit => drop(conductor),
            End::Kill => child.kill().map_err(ChildError::Process)?,
        }
        // Files and mappings are given up before a parent gets to know (`do_exit`).
        let status = child.wait().map_err(ChildError::Process)?;
        let (expected, text) = match end {
            End::Exit => (status.code() == Some(0), "exit"),
            End::Kill => (status.signal() == Some(SIGKILL), "SIGKILL"),
        };
        journal.end_with(lifetime, |event| event.text(text).result(0));
        if expected { Ok(()) } else { Err(ChildError::Ended(side, end, status)) }
    }
}

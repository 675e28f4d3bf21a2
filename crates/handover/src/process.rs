//! One of the two processes: holds what it holds, and does one thing after the other as it is told.
//!
//! Its standard input is the socket to the conductor, its standard output the one to the other
//! process: two descriptors that a child gets without an inherited one too many. It has one
//! thread and closes nothing by itself, so that its end finds everything open that it was not told
//! to close.

mod exporter;
mod importer;
mod second;

use crate::step::Side;
use crate::talk::{Ask, hear, say};
use barkeep_journal::{Actor, Event, Journal, Kind};
use barkeep_model::{Answer, Errno};
use exporter::Exporter;
use importer::Importer;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

/// Why a process ended before it was told to.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// No sockets where they are expected.
    #[error("this is started by `barkeep handover` inside the lab, and by nothing else")]
    NoSockets(#[source] io::Error),
    /// The conductor said something else than it should.
    #[error("the conductor cannot be understood ({0})")]
    Conductor(Errno),
}

/// What a process does with what it is asked.
trait Player {
    /// Does it; `None` for what only the other process can do.
    fn play(&mut self, ask: &Ask) -> Option<Result<u64, Errno>>;
}

/// Does what it is told until the conductor says no more. Then it returns, still holding
/// everything; the caller is to exit at once, by [`std::process::exit`].
///
/// # Errors
/// See [`ProcessError`].
pub fn serve(side: Side, journal: &Journal) -> Result<(), ProcessError> {
    let conductor = io::stdin().as_fd().try_clone_to_owned().map_err(ProcessError::NoSockets)?;
    let other = io::stdout().as_fd().try_clone_to_owned().map_err(ProcessError::NoSockets)?;
    match side {
        Side::Exporter => obey(&conductor, Actor::Exporter, journal, Exporter::new(other)),
        Side::Importer => obey(&conductor, Actor::Importer, journal, Importer::new(other)),
    }
}

/// Is the importer beside a VMM, which journals what it is asked for. `journal` is for what comes after
/// the VMM's death. Returns as [`serve`] does.
///
/// # Errors
/// See [`ProcessError`].
pub fn serve_second(journal: Option<&Journal>) -> Result<(), ProcessError> {
    let conductor = io::stdin().as_fd().try_clone_to_owned().map_err(ProcessError::NoSockets)?;
    let other = io::stdout().as_fd().try_clone_to_owned().map_err(ProcessError::NoSockets)?;
    second::serve(&conductor, other, journal)
}

fn obey(
    conductor: &OwnedFd,
    actor: Actor,
    journal: &Journal,
    player: impl Player,
) -> Result<(), ProcessError> {
    // Never dropped: what it holds is the kernel's to take away, at the end of the process.
    let mut player = std::mem::ManuallyDrop::new(player);
    while let Some(asked) = hear::<Ask>(conductor).map_err(ProcessError::Conductor)? {
        let step = told(&asked).map(|text| journal.begin(Event::new(Kind::ProcessStep, actor).text(text)));
        let answer = player.play(&asked).map_or(Answer::Idle, Answer::from);
        if let Some(step) = step {
            journal.end(step, result(answer));
        }
        say(conductor, &answer).map_err(ProcessError::Conductor)?;
    }
    Ok(())
}

/// What the journal calls it. What is only a look is told by what was seen.
fn told(ask: &Ask) -> Option<String> {
    match ask {
        Ask::SetUpExporter { .. } | Ask::SetUpImporter { .. } => Some("set up".to_owned()),
        Ask::Exporter(step) => Some(crate::step::Step::Exporter(*step).to_string()),
        Ask::Importer(step) => Some(crate::step::Step::Importer(*step).to_string()),
        Ask::StartDma(..) => Some("i.dma".to_owned()),
        Ask::Dma(..)
        | Ask::FinishDma
        | Ask::Attach
        | Ask::ReadRegion
        | Ask::ReadMapping
        | Ask::Outlives { .. }
        | Ask::Exit => None,
    }
}

fn result(answer: Answer) -> i32 {
    match answer {
        Answer::Ok(_) => 0,
        Answer::Failed(errno) => -errno.number(),
        Answer::Idle => -Errno::EINVAL.number(),
        Answer::Hung => -Errno::EBUSY.number(),
    }
}

//! A run that is carried out again, and stopped between two events of its journal.
//!
//! A [`Run`] goes on from event to event, however its lane does that: a thread that waits in the journal's sink, or
//! a machine whose emulator stands still. [`Session`] follows it, shows what the journal has said so far ([`Scene`])
//! and what no journal holds, and does what its [`Command`]s say. None of that is known to the run: up to a stop, and
//! where its clock stands still meanwhile behind it too, it is the run it would have been.

mod command;
mod hex;
mod run;
mod scene;
mod session;

pub use command::{BadCommand, Command, Place};
pub use run::{Refused, Run};
pub use scene::Scene;
pub use session::{End, Options, Session};

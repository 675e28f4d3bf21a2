//! One append-only, versioned stream of events: who did what, to which BAR, mapping and
//! address, with what result, at what time and in which lane.
//!
//! Everything else (verdicts, timelines, traces) is read from it. In the running process an
//! event is a fixed-size record in shared memory, written without a system call beyond the
//! clock, and outliving its writer; [`reader::Reader`] outside turns records back into
//! [`Event`]s and [`json`] makes lines of them. A run of more events than anybody could read
//! hands them to a [`Sink`] instead.
//!
//! What *happened* is written only from an observation, and the event names it
//! ([`SeenBy`]). What the keeper believes is written as [`Kind::Expect`].

pub mod event;
pub mod json;
pub mod kinds;
pub mod layout;
pub mod reader;
mod shared_memory;
mod typed;
mod virtual_clock;
pub mod writer;
pub mod written;

pub use event::{DeviceAddress, Event};
pub use kinds::{Actor, Clock, Kind, Lane, Phase, SeenBy, Trigger};
pub use reader::{Header, Reader};
pub use typed::{Sink, Tap};
pub use virtual_clock::VirtualClock;
pub use writer::{Journal, Precede, Step};

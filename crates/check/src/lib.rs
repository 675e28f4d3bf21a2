//! The checker: holds a journal against the invariants I1 to I7 and against what its scenario
//! expected.
//!
//! It stands on the journal alone: it knows nothing of the keeper, of KVM or of VFIO, and so
//! is right about a keeper that is wrong. Events are fed one at a time and none is kept.
//!
//! ```
//! use barkeep_check::{Checker, Ended};
//! use barkeep_journal::{Actor, Event, Kind};
//!
//! let mut checker = Checker::default();
//! checker.event(&Event::new(Kind::RunStart, Actor::Vmm));
//! let verdict = checker.finish(Ended::ByItself(0));
//! assert_eq!(verdict.exit_code(), 1);
//! assert_eq!(verdict.findings[0].what, "the journal ends without the end of the run");
//! ```

mod address;
mod checker;
mod durations;
mod errno;
mod expectations;
mod findings;
mod i1;
mod i2;
mod i3;
mod i4;
mod i5;
mod i6;
mod i7;
pub mod kernel_lines;
mod kernel_report;
mod mark;
mod outages;
mod signature;
mod sometimes;
mod summary;
mod tally;
mod triggers;
mod verdict;
mod words;
mod world;

pub use checker::Checker;
pub use durations::Durations;
pub use kernel_report::{KernelReport, KernelReports};
pub use mark::{Mark, Marks};
pub use outages::{Outages, Ways};
pub use signature::normalised;
pub use summary::{LongestOutage, Summary};
pub use tally::Tally;
pub use verdict::{Ended, Finding, Invariant, Verdict};
pub use world::revokes;

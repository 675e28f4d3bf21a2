//! What a journal tells, as a person thinks of it: who was at what from when to when, which way into
//! which BAR was away and by whose doing, what became of each event that was handled.
//!
//! [`Follower`] takes events one at a time, in the journal's order, and tells a [`Told`] of each
//! [`Slice`], [`Outage`], [`Handled`] event and change of [`State`] as soon as it is over. Nothing of
//! what is over is kept, so its size goes with what there is at the same time, not with the journal's
//! length. [`Numbers`] are what all of it comes to; [`Point`] and [`Selection`] choose a part of it.
//!
//! It stands on the journal alone: a slice is what two events say, and what no event says (how long the
//! kernel waited for whom, say) has none. A kernel's own steps, where they were recorded, are
//! begin and end events of actor `kernel` like any others, and come out as slices of its lane.

mod device;
mod engines;
mod follower;
mod handled;
mod holders;
mod moments;
mod numbers;
mod outage;
mod party;
mod point;
mod selection;
mod slice;
mod state;
mod told;
mod vocabulary;
mod window;

pub use follower::Follower;
pub use handled::{Handled, Outcome};
pub use numbers::{Numbers, Series};
pub use outage::{EndedBy, Outage, Taken, Way};
pub use party::Party;
pub use point::{BadPoint, Moment, Point};
pub use selection::Selection;
pub use slice::{Slice, What};
pub use state::{Edge, State};
pub use told::Told;

/// Results of system calls, as the journal has them.
const OK: i32 = 0;
const ENOENT: i32 = -2;

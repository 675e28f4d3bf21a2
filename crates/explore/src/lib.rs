//! All interleavings of the real keeper with the specified kernel, for small bounds.
//!
//! Two devices, a VMM with two vCPUs that handle the events they cause, and a third thread that
//! goes past the keeper or imports the same dma-bufs. A call is split where the kernel's locks let
//! somebody in between ([`barkeep_model::kernel::Section`]); the keeper is the one that runs in
//! production ([`barkeep_export::Keeper`]), its steps performed as the driver performs them. Every
//! state that can be reached with so many *actions* (a guest's write, a reset, a call of somebody
//! else) is looked at once, and must satisfy every invariant.
//!
//! A [`Scenario`] says what may happen; a [`Mutant`] is an error planted around the keeper, to see
//! that it is found.

mod action;
mod happened;
mod invariants;
mod kept;
mod machine;
mod mutant;
mod outcome;
mod pool;
mod print;
mod scenario;
mod scene;
mod search;
mod state;
mod station;
mod step;
mod thread;
mod trace;

pub use invariants::Broken;
pub use mutant::Mutant;
pub use outcome::{Count, Outcome, Verdict};
pub use scenario::Scenario;
pub use search::Exploration;

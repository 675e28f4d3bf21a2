//! Every trigger on every machine.
//!
//! [`Trigger`] is what happens, [`Column`] the machine it happens on. [`Cell::of`] makes of the two a scenario
//! and what its journal has to show, or says why they cannot meet. [`judge`] holds a journal to that
//! and measures how long both ways to the BAR were away; [`table`] shows what came of all.

mod cast;
pub mod cell;
pub mod column;
pub mod device;
pub mod judge;
mod measure;
pub mod semantics;
mod story;
pub mod table;
pub mod trigger;
pub mod wanted;

pub use cell::{Cell, Job};
pub use column::{Column, Machine};
pub use judge::judge;
pub use trigger::Trigger;
pub use wanted::{Bar, End, Wanted};

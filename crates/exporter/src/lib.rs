//! The whole exporter, seen working: vfio-pci's own, and an importer that is driven step by step
//! (`guest-kernel/importer`). Every row does something on devices that were opened afresh, and says what
//! was expected and what was seen; what this kernel has no way to do is named so, and is no pass.
//!
//! * [`stage`]: the devices, and what can be done to one.
//! * [`row`]: what a row is, and what can become of it.
//! * [`storm`], [`party`]: resets, and importers that are killed, unbound and unloaded meanwhile.
//! * [`scale`]: how map, revoke and restore scale.
//! * [`table`]: all rows, carried out and printed.
//! * `rows`: the rows themselves, one file for each thing that the exporter does.

pub mod party;
pub mod row;
pub mod scale;
pub mod stage;
pub mod storm;
pub mod table;

mod rows;

pub use stage::{NoStage, Stage};
pub use storm::Storm;
pub use table::{NoRow, Sum, Table};

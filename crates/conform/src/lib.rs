//! Holds the specification of the kernel's export path to a real kernel: the same operations
//! asked of both, every answer compared.
//!
//! | module | does |
//! |---|---|
//! | [`machine`] | the hardware, looked at once |
//! | [`generate`] | episodes of operations from a seed |
//! | [`possible`] | keeps from a device what only the device knows the effect of |
//! | [`record`](mod@record) | asks somebody and writes the answers down |
//! | [`recording`] | the file they stand in |
//! | [`compare`](mod@compare) | finds where the kernel and the specification part, and says it in [`words`] |
//! | [`shrink`](mod@shrink) | the fewest operations that still show it |
//! | [`sensitivity`](mod@sensitivity) | whether errors planted in the specification are found |
//! | [`coverage`] | which operations met which states |
//! | [`report`] | the text at the end |

pub mod compare;
pub mod coverage;
pub mod fits;
pub mod generate;
pub mod kind;
pub mod machine;
pub mod possible;
pub mod record;
pub mod recording;
mod registers;
pub mod report;
pub mod sensitivity;
pub mod shrink;
#[cfg(test)]
mod testbed;
pub mod words;

pub use compare::{Divergence, Field, compare};
pub use coverage::Coverage;
pub use kind::Kind;
pub use machine::Machine;
pub use possible::harmless;
pub use record::{carry_out, record};
pub use recording::{Episode, Header, Recorded, Writer};
pub use report::Report;
pub use sensitivity::{Plant, sensitivity};
pub use shrink::{Batch, Shrunk, shrink};

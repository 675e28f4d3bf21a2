//! A journal's timeline, to be looked at.
//!
//! | | |
//! |---|---|
//! | [`lines`] | one line for each event, lanes beside it: `barkeep trace` |
//! | [`svg`] | a still of a stretch |
//! | [`page`] | a page for a browser, with all the numbers |
//! | [`perfetto`] | a trace for Perfetto |
//! | [`explain`] | sentences about one address, BAR or event |
//! | [`diff`] | two journals: where they part, and their times side by side |
//!
//! All of them read a journal line by line ([`source`]), most of them twice: once to know what there is
//! ([`survey`]), once to tell of the part that was asked for. None keeps what it has told of: what a
//! page or a still holds is bounded, and says what it has put together.

pub mod damages;
pub mod diff;
mod drawing;
pub mod explain;
mod label;
pub mod lines;
pub mod page;
pub mod perfetto;
mod sentence;
pub mod source;
pub mod survey;
pub mod svg;

pub use damages::Damages;
pub use drawing::Drawing;
pub use sentence::said;
pub use source::read;
pub use survey::Survey;

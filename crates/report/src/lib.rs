//! What a person sees of a run, made from its journal alone: a timeline while it goes on, a
//! verdict at its end. And the way back in from a file: [`jsonl`]. What many runs of one scenario
//! come to, for people and for a CI: [`storm`].

mod fold;
mod happening;
pub mod jsonl;
pub mod names;
pub mod storm;
pub mod style;
pub mod time;
pub mod timeline;
pub mod verdict;

pub use jsonl::Damage;
pub use style::Style;
pub use timeline::Timeline;
